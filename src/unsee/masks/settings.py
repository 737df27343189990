"""Everything that decides how a mask is learned, in one frozen value."""

from dataclasses import dataclass, field, replace

from unsee.choices import look_up
from unsee.errors import UnseeError
from unsee.masks.edits.edit import Perturbation
from unsee.masks.edits.perturbation import PERTURBATIONS, Blur
from unsee.masks.game import GAMES, Game
from unsee.masks.grid import OWN_CELLS, Grid
from unsee.masks.objective import Objective
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.bundle import Bundle
from unsee.masks.optimisers.protocol import Optimiser
from unsee.masks.optimisers.surrogate import Surrogate
from unsee.masks.smooth_grid import SmoothGrid
from unsee.masks.starts import CircularStart, EditedStart, Start
from unsee.records import NEWER
from unsee.target_scores import SCORES, Score

OPTIMISERS: dict[str, Optimiser] = {"bundle": Bundle(), "adam": Adam(), "surrogate": Surrogate()}
"""Name → optimiser, as `adjusted` takes it; `surrogate` is the one that needs no gradient."""


@dataclass(frozen=True)
class Retry:
    """How a mask is begun again.

    Args:
        start: where it starts this time.
        optimiser: what proposes masks this time.
        empty: begin masks again also where the one that costs nothing was better than what was found, or
            scores nearly the same, not only where the start or the fully edited one was better.
        unconverged: begin every mask again that has not converged.
    """

    start: Start
    optimiser: Optimiser
    empty: bool = False
    unconverged: bool = False


@dataclass(frozen=True)
class Settings:
    """All that decides how a mask is learned.

    Args:
        source: where the values are published.
        objective: game, penalties and score.
        perturbations: what deleted pixels become; several share one mask and their scores are summed.
        grid: the low-resolution mask and how it is upsampled.
        start: where the mask starts.
        optimiser: proposes masks.
        jitter: places along each axis that the window is drawn from; 0 for none.
        input_noise: deviation of Gaussian noise on the normalised input at each iteration.
        targets: how many classes, those with the highest scores on the clean image, are explained by default.
        shown_with: the perturbation that results are shown and scored with; defaults to the first of
            `perturbations`.
        retries: further attempts, in turn, for masks that went wrong; the best attempt counts.
        mirrored: whether every second evaluation, the first among them, is of the mirrored edited image.

    Raises:
        UnseeError: no perturbation, a negative jitter or noise, or no target.
    """

    source: str
    objective: Objective = field(default_factory=Objective)
    perturbations: tuple[Perturbation, ...] = (Blur(),)
    grid: Grid | SmoothGrid = Grid()
    start: Start = CircularStart()
    optimiser: Optimiser = Adam()
    jitter: int = 4
    input_noise: float = 0.0
    targets: int = 1
    shown_with: Perturbation | None = None
    retries: tuple[Retry, ...] = ()
    mirrored: bool = field(default=False, metadata=NEWER)

    def __post_init__(self) -> None:
        if not self.perturbations:
            raise UnseeError("a mask needs at least one perturbation to be learned against")
        if self.jitter < 0 or self.input_noise < 0 or self.targets < 1:
            raise UnseeError("jitter and input noise must not be negative, and there must be a target class")

    def on(self, score: str) -> "Settings":
        """The settings with the classifier's score, by name, unless they have one of their own."""
        return replace(self, objective=self.objective.on(score))

    def with_retry(self, retry: Retry) -> "Settings":
        """The settings of another attempt."""
        return replace(self, start=retry.start, optimiser=retry.optimiser, retries=())

    def until_converged(self, start: Start, optimiser: Optimiser) -> "Settings":
        """The settings with a last attempt for every mask that has not converged.

        If an earlier attempt is the same, it takes its place; if the first one is, nothing is added.
        """
        if (self.start, self.optimiser) == (start, optimiser):
            return self
        kept = tuple(one for one in self.retries if (one.start, one.optimiser) != (start, optimiser))
        return replace(self, retries=(*kept, Retry(start, optimiser, unconverged=True)))

    def with_area(self, area: float | None) -> "Settings":
        """The settings for masks of another area; None leaves it as it is.

        Raises:
            UnseeError: they choose the area themselves, or it is not between 0 and 1.
        """
        return self if area is None else replace(self, objective=self.objective.with_area(area))

    def for_input(self, size: tuple[int, int]) -> "Settings":
        """The settings with grids that know the input's (height, width) in pixels."""
        return replace(self, grid=self.grid.for_input(size), objective=self.objective.for_input(size))

    def with_budget(self, budget: int) -> "Settings":
        """The settings with another number of evaluations for each image and attempt, in whole steps.

        Raises:
            UnseeError: it is no whole number, or too small for the optimiser.
        """
        if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
            raise UnseeError(f"a budget is a whole number of evaluations above 0, got {budget!r}")
        retries = tuple(replace(one, optimiser=_within(one.optimiser, budget)) for one in self.retries)
        return replace(self, optimiser=_within(self.optimiser, budget), retries=retries)

    def without_gradient(self) -> "Settings":
        """The same objective, minimised without a gradient, in one attempt; itself if it needs none.

        Raises:
            UnseeError: the settings are for masks of a given area.
        """
        if not self.needs_gradient:
            return self
        if self.objective.area is not None:
            raise UnseeError(
                "masks of a given area are learned by gradients, which the classifier does not give: leave "
                "area= (--area) out, with a preset such as fast"
            )
        return replace(self, optimiser=Surrogate(), start=EditedStart(), retries=())

    def on_own_cells(self) -> "Settings":
        """The settings for perturbations with cells of their own: one mask value for each, and no jitter.

        The total variation's weight then depends on how many cells there are (`ScaledVariation`).

        Raises:
            UnseeError: they are for masks of a given area.
        """
        if self.objective.area is not None:
            raise UnseeError(
                "masks of a given area lie on pixels: choose another perturbation, or leave area= (--area) "
                "out with a preset such as fast"
            )
        retries = tuple(replace(one, start=one.start.in_cells()) for one in self.retries)
        return replace(
            self,
            objective=self.objective.in_cells(),
            grid=OWN_CELLS,
            jitter=0,
            start=self.start.in_cells(),
            retries=retries,
        )

    @property
    def needs_gradient(self) -> bool:
        """Whether an optimiser of any attempt needs the gradient of the score."""
        return any(one.needs_gradient for one in (self.optimiser, *(r.optimiser for r in self.retries)))

    @property
    def own_cells(self) -> bool:
        """Whether masks lie on a perturbation's own cells, such as tokens, instead of on pixels."""
        return any(one.own_cells for one in self.perturbations)

    @property
    def layer(self) -> str | None:
        """The layer that is masked instead of pixels; None for none."""
        return next((one.masked_layer for one in self.perturbations if one.masked_layer is not None), None)

    @property
    def margin(self) -> int:
        """Pixels by which the canvas that windows are cut from is larger than the network's input."""
        return self.jitter if self.jitter > 1 else 0

    @property
    def shown(self) -> Perturbation:
        """The perturbation of the edited image that results show."""
        return self.shown_with or self.perturbations[0]


def adjusted(
    settings: Settings,
    game: Game | str | None = None,
    perturbation: Perturbation | str | None = None,
    iterations: int | None = None,
    score: Score | str | None = None,
    area: float | None = None,
    optimiser: Optimiser | str | None = None,
) -> Settings:
    """The settings with some of them changed; None leaves one as it is.

    Args:
        settings: a preset, or settings of your own.
        game: one of `GAMES`, or its name.
        perturbation: one perturbation, or a name in `PERTURBATIONS`, which may stand for several. If they
            include the one that results were shown with, it stays; else the last is shown. One with cells of
            its own, such as tokens, brings its grid: no upsampling, blur or jitter.
        iterations: steps of the optimiser, at least 1.
        score: a function like those in `SCORES`, or a name in it; without one the network's head decides.
        area: share of the picture that masks should have, in (0,1).
        optimiser: what proposes masks, or a name in `OPTIMISERS`; there is one attempt then.

    Raises:
        UnseeError: an unknown name, an invalid number of iterations, an area for settings that choose it
            themselves, or a perturbation of pixels for settings whose masks are not laid on pixels or the
            other way round.
    """
    settings = settings.with_area(area)
    if optimiser is not None:
        settings = _optimised(settings, optimiser)
    if game is not None:
        chosen = game if isinstance(game, Game) else look_up(GAMES, game, "game")
        if chosen.both and settings.objective.area is None:
            raise UnseeError("the game dual is for masks of a given area: give area= (--area) too")
        settings = replace(settings, objective=replace(settings.objective, game=chosen))
    if score is not None:
        reading = score if callable(score) else look_up(SCORES, score, "score")
        settings = replace(settings, objective=replace(settings.objective, score=reading))
    if perturbation is not None:
        edits: tuple[Perturbation, ...]
        if isinstance(perturbation, Perturbation):
            edits = (perturbation,)
        else:
            edits = look_up(PERTURBATIONS, perturbation, "perturbation")
        settings = _perturbed(settings, edits)
    if iterations is not None:
        retries = tuple(replace(one, optimiser=one.optimiser.limited(iterations)) for one in settings.retries)
        settings = replace(settings, optimiser=settings.optimiser.limited(iterations), retries=retries)
    return settings


def _optimised(settings: Settings, optimiser: Optimiser | str) -> Settings:
    """The settings with another optimiser, and no further attempts.

    Raises:
        UnseeError: there is none of that name, or masks of a given area are for another one.
    """
    own = look_up(OPTIMISERS, optimiser, "optimiser") if isinstance(optimiser, str) else optimiser
    if settings.objective.area is not None:
        raise UnseeError(
            "masks of a given area have an optimiser of their own: leave optimiser= (--optimiser) out"
        )
    start = settings.start if own.needs_gradient else EditedStart()
    return replace(settings, optimiser=own, start=start, retries=())


def _within(optimiser: Optimiser, budget: int) -> Optimiser:
    """The optimiser with as many whole steps as a budget allows."""
    if budget < optimiser.masks_per_step:
        raise UnseeError(f"a step takes {optimiser.masks_per_step} evaluations, and the budget is {budget}")
    return optimiser.limited(budget // optimiser.masks_per_step)


def _perturbed(settings: Settings, edits: tuple[Perturbation, ...]) -> Settings:
    """The settings with other perturbations, and the grid that goes with them.

    Raises:
        UnseeError: the masks have the cells of another perturbation, and these edit pixels.
    """
    if any(edit.own_cells for edit in edits):
        if not settings.own_cells:
            settings = settings.on_own_cells()
    elif settings.own_cells:
        raise UnseeError(
            f"the preset's masks are made for {settings.perturbations[0].name}, and {edits[0].name} edits "
            "pixels: choose another preset, such as fast"
        )
    shown = settings.shown if settings.shown in edits else edits[-1]
    return replace(settings, perturbations=edits, shown_with=shown)
