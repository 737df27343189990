"""Everything that decides a mask, in one frozen value."""

import difflib
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar

from unsee.errors import UnseeError
from unsee.masks.edits.perturbation import PERTURBATIONS, Blur, Perturbation
from unsee.masks.grid import Grid
from unsee.masks.objective import GAMES, SCORES, Game, Objective, Score
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.protocol import Algorithm
from unsee.masks.starts import CircularStart, Start

Value = TypeVar("Value")


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


def look_up(choices: dict[str, Value], name: object, kind: str) -> Value:
    """The value of a name.

    Raises:
        UnseeError: there is none; the line lists those there are.
    """
    if isinstance(name, str) and name in choices:
        return choices[name]
    close = difflib.get_close_matches(str(name), choices, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UnseeError(f"no {kind} is called {name!r}; {hint}there are {', '.join(choices)}")


def described(value: object) -> Any:  # noqa: ANN401
    """A setting as plain JSON values, each object with its type's name under "type"."""
    if is_dataclass(value) and not isinstance(value, type):
        parts = {part.name: described(getattr(value, part.name)) for part in fields(value)}
        return {"type": type(value).__name__, **parts}
    if isinstance(value, tuple | list):
        return [described(part) for part in value]
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return value
