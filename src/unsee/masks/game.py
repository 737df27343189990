"""The two games: deletion lowers the score (eq. 3), preservation keeps it (supplement, eq. 1)."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Game:
    """What a mask is to do to the score.

    Args:
        name: "deletion" or "preservation".
        ideal: the mask value that costs nothing; saliency is the distance from it.
        sign: +1 where the score is to fall, -1 where it is to stay.
    """

    name: str
    ideal: float
    sign: float

    def saliency(self, mask: Tensor) -> Tensor:
        """The saliency of a mask: in [0,1], high where the image matters; the shape stays."""
        return (self.ideal - mask).abs()


DELETION = Game("deletion", ideal=1.0, sign=1.0)
PRESERVATION = Game("preservation", ideal=0.0, sign=-1.0)
GAMES: dict[str, Game] = {game.name: game for game in (DELETION, PRESERVATION)}
