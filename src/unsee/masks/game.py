"""The games: deletion lowers the score (eq. 3), preservation keeps it (supplement, eq. 1), dual does both.

Dual is of Fong, Patrick & Vedaldi 2019: what is kept should score high, and what is left without it low.
"""

from dataclasses import dataclass, field

from torch import Tensor

from unsee.records import NEWER


@dataclass(frozen=True)
class Game:
    """What a mask should do to the score.

    Args:
        name: "deletion", "preservation" or "dual".
        ideal: the mask value that costs nothing; saliency is the distance from it.
        sign: +1 where the score should fall, -1 where it should stay.
        both: whether the score is the difference between that under the mask and that under its complement.
    """

    name: str
    ideal: float
    sign: float
    both: bool = field(default=False, metadata=NEWER)

    def saliency(self, mask: Tensor) -> Tensor:
        """The saliency of a mask: in [0,1], high where the image matters; the shape stays."""
        return (self.ideal - mask).abs()


DELETION = Game("deletion", ideal=1.0, sign=1.0)
PRESERVATION = Game("preservation", ideal=0.0, sign=-1.0)
DUAL = Game("dual", ideal=0.0, sign=-1.0, both=True)
GAMES: dict[str, Game] = {game.name: game for game in (DELETION, PRESERVATION, DUAL)}
