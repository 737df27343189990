"""What asks for the smallest mask that suffices: arguments, and settings along which λ1 can rise."""

from unsee.errors import UnseeError
from unsee.masks.game import DELETION, PRESERVATION, Game
from unsee.masks.optimisers.protocol import Continuing
from unsee.masks.penalty_protocol import Penalty
from unsee.masks.settings import Settings
from unsee.smallest_mask import Sufficient


def asked_to_suffice(
    suppress: float | None,
    keep: float | None,
    path: bool = False,
    another: int = 0,
    game: Game | str | None = None,
    iterations: int | None = None,
) -> tuple[Sufficient | None, str | None]:
    """The question that arguments ask, None for none, and the game that answers it.

    Args:
        suppress: share of the score to suppress, in deletion.
        keep: share of the score to keep, in preservation.
        path: whether the path over λ1 is drawn.
        another: how many further masks are wanted.
        game: as the caller chose it.
        iterations: as the caller chose them.

    Raises:
        UnseeError: arguments contradict each other, or a value is outside its range.
    """
    if suppress is not None and keep is not None:
        raise UnseeError("suppress (--suppress) deletes and keep (--keep) preserves: give one of them")
    if suppress is None and keep is None:
        if path or another:
            raise UnseeError(
                "path and another (--path, --another) need suppress or keep (--suppress, --keep)"
            )
        return None, game.name if isinstance(game, Game) else game
    share, wanted, name = (
        (suppress, DELETION, "suppress") if suppress is not None else (keep, PRESERVATION, "keep")
    )
    if game is not None and (game if isinstance(game, str) else game.name) != wanted.name:
        raise UnseeError(f"{name} (--{name}) is for the game {wanted.name}: leave game (--game) out")
    if iterations is not None:
        raise UnseeError(
            f"{name} (--{name}) chooses its iterations itself: leave iterations (--iterations) out"
        )
    assert share is not None
    return Sufficient(share, path, another), wanted.name


def area_penalty(settings: Settings) -> Penalty:
    """The penalty whose weight is λ1.

    Raises:
        UnseeError: there is none, the optimiser cannot go on under another λ1, or no pixels are masked.
    """
    if not isinstance(settings.optimiser, Continuing):
        raise UnseeError(
            "suppress and keep (--suppress, --keep) need an optimiser that goes on under another λ1: use the "
            "preset fast"
        )
    if any(one.kind is None for one in settings.perturbations):
        raise UnseeError(
            "suppress and keep (--suppress, --keep) are for masks on pixels: leave the layer out, or choose "
            "a perturbation of pixels, such as blur"
        )
    found = [one for one in settings.objective.penalties if one.lambda1 > 0]
    if len(found) != 1:
        raise UnseeError("suppress and keep need one penalty of the area, L1 or MeanL1, of a weight above 0")
    return found[0]


def check_settings(settings: Settings, layer: object = None, area: object = None) -> None:
    """Refuse settings along which there is no path.

    Raises:
        UnseeError: as `area_penalty`, or a layer is masked, or an area is given.
    """
    if area is not None:
        raise UnseeError(
            "suppress and keep (--suppress, --keep) find the area themselves: leave area (--area) out"
        )
    if layer is not None:
        raise UnseeError(
            "suppress and keep (--suppress, --keep) are for masks on pixels: leave the layer out"
        )
    area_penalty(settings)
