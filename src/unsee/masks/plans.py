"""Names and numbers, as users give them, become the plan by which masks are learned."""

from unsee.choices import look_up
from unsee.defaults import AREA_PRESET, DEFAULT_PRESET
from unsee.errors import UnseeError
from unsee.fits import Fit, Squash
from unsee.masks.area_arguments import AreaLike, areas_asked
from unsee.masks.edits.edit import Perturbation
from unsee.masks.game import Game
from unsee.masks.on_layer import OnLayer, check_no_area, check_no_perturbation
from unsee.masks.optimisers.protocol import Optimiser
from unsee.masks.photos import Plan
from unsee.masks.presets import PRESETS
from unsee.masks.settings import Settings, adjusted
from unsee.masks.smallest_mask_arguments import asked_to_suffice, check_settings
from unsee.target_scores import Score

CUSTOM = "custom"
"""What results call settings that are not of `PRESETS`."""


def plan_for(
    preset: str | Settings | None = None,
    *,
    game: str | Game | None = None,
    perturbation: str | Perturbation | None = None,
    iterations: int | None = None,
    score: str | Score | None = None,
    area: AreaLike | None = None,
    share: float | None = None,
    layer: str | OnLayer | None = None,
    suppress: float | None = None,
    keep: float | None = None,
    path: bool = False,
    another: int = 0,
    fit: Fit | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    precision: str = "auto",
    compiled: bool = False,
    optimiser: str | Optimiser | None = None,
    budget: int | None = None,
) -> Plan:
    """How masks are learned, from the arguments of `unsee.explain`; no network is needed yet.

    plan = unsee.plan_for("fast", game="preservation")
    unsee.explain_to_folders(classifier, ["cat.jpg", "dog.jpg"], plan)

    Args:
        preset: a name in `unsee.PRESETS`, or settings; by default "fast", or with an area "extremal-fast".
        game, perturbation, iterations, score: change the preset in these.
        area, share, layer, suppress, keep, path, another: as in `unsee.explain`.
        fit, seed, batch_size, precision, compiled, optimiser, budget: as in `unsee.explain`.

    Raises:
        UnseeError: an unknown name, a value outside its range, or arguments that exclude each other.
    """
    question, own_game = asked_to_suffice(suppress, keep, path, another, game, iterations)
    areas = areas_asked(area, share)
    chosen = (DEFAULT_PRESET if area is None else AREA_PRESET) if preset is None else preset
    base = chosen if isinstance(chosen, Settings) else look_up(PRESETS, chosen, "preset")
    if budget is not None and (iterations is not None or question is not None):
        raise UnseeError(
            "a budget takes the place of iterations, and the smallest mask that suffices has one of its own: "
            "leave budget= (--budget) out"
        )
    settings = adjusted(base, game or own_game, perturbation, iterations, score, areas.single, optimiser)
    if question is not None:
        check_settings(settings, layer, area)
    if layer is not None:
        check_no_perturbation(perturbation)
        check_no_area(area)
    return Plan(
        settings,
        chosen if isinstance(chosen, str) else CUSTOM,
        Squash() if fit is None else fit,
        seed,
        batch_size,
        precision,
        compiled,
        areas.several,
        areas.share,
        question,
        OnLayer(layer) if isinstance(layer, str) else layer,
        budget,
        iterations,
    )
