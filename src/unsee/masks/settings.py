"""Everything that decides a mask, in one frozen value."""

from dataclasses import dataclass, field, replace

from unsee.choices import look_up
from unsee.errors import UnseeError
from unsee.masks.edits.perturbation import PERTURBATIONS, Blur, Perturbation
from unsee.masks.grid import Grid
from unsee.masks.objective import GAMES, SCORES, Game, Objective, Score
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.protocol import Algorithm
from unsee.masks.starts import CircularStart, Start


@dataclass(frozen=True)
class Settings:
    """How a mask is learned.

    Args:
        source: where the values are published.
        objective: game, regularisers and score.
        perturbations: what deleted pixels become; several share one mask and their scores are summed.
        grid: the low-resolution mask and how it is upsampled.
        start: where the mask starts.
        algorithm: takes the steps.
        jitter: places along each axis that the window is drawn from; 0 for none.
        input_noise: deviation of Gaussian noise on the normalised input at each iteration.
        targets: how many classes, the best of the clean image, are the target where none is named.
        evidence: the perturbation that results are shown and scored with; the first of `perturbations`
            unless told.

    Raises:
        UnseeError: no perturbation, a negative jitter or noise, no target.
    """

    source: str
    objective: Objective = field(default_factory=Objective)
    perturbations: tuple[Perturbation, ...] = (Blur(),)
    grid: Grid = Grid()
    start: Start = CircularStart()
    algorithm: Algorithm = Adam()
    jitter: int = 4
    input_noise: float = 0.0
    targets: int = 1
    evidence: Perturbation | None = None

    def __post_init__(self) -> None:
        if not self.perturbations:
            raise UnseeError("a mask needs at least one perturbation to be learned against")
        if self.jitter < 0 or self.input_noise < 0 or self.targets < 1:
            raise UnseeError("jitter and input noise must not be negative, and there must be a target class")

    @property
    def margin(self) -> int:
        """Pixels by which the canvas is larger than the network's input."""
        return self.jitter if self.jitter > 1 else 0

    @property
    def shown(self) -> Perturbation:
        """The perturbation of the edited picture."""
        return self.evidence or self.perturbations[0]


def adjusted(
    settings: Settings,
    game: Game | str | None = None,
    perturbation: Perturbation | str | None = None,
    iterations: int | None = None,
    score: Score | str | None = None,
) -> Settings:
    """The settings with some of them changed; None leaves one as it is.

    Of several perturbations results are shown with the one they were shown with before, or else the last.

    Raises:
        UnseeError: a name that is not there.
    """
    if game is not None:
        chosen = game if isinstance(game, Game) else look_up(GAMES, game, "game")
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
        evidence = settings.shown if settings.shown in edits else edits[-1]
        settings = replace(settings, perturbations=edits, evidence=evidence)
    if iterations is not None:
        settings = replace(settings, algorithm=settings.algorithm.limited(iterations))
    return settings
