"""One image's way along the path over λ1: what is known of it, and what it does next."""

import math
from dataclasses import dataclass, field, replace

from jaxtyping import Float
from torch import Tensor

from unsee.masks.optimisers.protocol import Memory
from unsee.smallest_mask import PathPoint

FIRST, FURTHER, RADIUS = 18, 5, 0.15
"""Steps under the first λ1 and under each further one; how far a cell may move in the first of these."""
AMPLIFY, MOST = 1.5, 3.4
"""Factor between amplifications that are tried, and the largest."""
CHECK = 2
"""Evaluations of a check: under the learned and under the unseen perturbation."""
_REFINING = 3 * CHECK
"""Evaluations that are kept for amplifying the best mask less."""
_FINE, _TIGHT = math.log(1.02), math.log(1.1)


@dataclass(frozen=True)
class Bracket:
    """Between which λ1 the highest that suffices lies, as natural logarithms.

    Args:
        now: the one that is tried.
        enough: the highest that sufficed; -inf if none has yet.
        too_much: the lowest above it that did not suffice; inf if none has yet.
        step: logarithm of the factor while only one side is known.
    """

    now: float
    enough: float = -math.inf
    too_much: float = math.inf
    step: float = math.log(4)

    def told(self, suffices: bool) -> "Bracket":
        """The bracket after `now` was tried, and the next to try: beyond the known side, or the middle."""
        enough = max(self.enough, self.now) if suffices else self.enough
        too_much = self.too_much if suffices else min(self.too_much, self.now)
        if math.isinf(too_much):
            new = enough + self.step
        elif math.isinf(enough):
            new = too_much - self.step
        else:
            new = (enough + too_much) / 2
        return replace(self, now=new, enough=enough, too_much=too_much)


@dataclass(frozen=True, eq=False)
class OptimiserState:
    """The state of an optimiser: masks and what it remembers, each of one row."""

    masks: Float[Tensor, "1 r c"]
    memory: Memory


@dataclass(eq=False)
class Walk:
    """The state of one image's path: stages of the optimiser, each under its own λ1 and then checked.

    Args:
        bracket: of the logarithm of the factor on λ1.
        budget: evaluations at most.
        edits: evaluations of each step.
        final: evaluations that are kept for the end.
        spent: evaluations so far.
        state: the optimiser's; None before the first stage.
        trial: the amplification that is checked next.
    """

    bracket: Bracket
    budget: int
    edits: int
    final: int
    spent: int
    state: OptimiserState | None = None
    trial: float = 1.0
    pending: bool = False
    refining: bool = False
    points: list[PathPoint] = field(default_factory=list)
    grids: list[Float[Tensor, "r c"]] = field(default_factory=list)
    history: list[Float[Tensor, "n terms"]] = field(default_factory=list)
    best: int | None = None
    _start: OptimiserState | None = None
    _amplified: float = 1.0
    _low: float | None = None
    _best_base: Tensor | None = None
    _amplified_low: float = 1.0
    _high: float = 1.0
    _best_factor: float = 1.0

    @property
    def factor(self) -> float:
        """On λ1: of the stage, or of the best mask once its amplification is refined."""
        return self._best_factor if self.refining else math.exp(self.bracket.now)

    @property
    def first_steps(self) -> int:
        """Steps under the first λ1: fewer where each costs several evaluations."""
        return max(FIRST // self.edits, 8)

    @property
    def start(self) -> OptimiserState | None:
        """Where the next stage starts: the last state that sufficed, or the present one."""
        return self._start or self.state

    def arrived(self, state: OptimiserState, history: Float[Tensor, "n terms"]) -> None:
        """A stage has ended: its mask is checked next, amplified as the last one that sufficed was."""
        self.state, self.pending, self.trial, self._low = state, True, self._amplified, None
        self.history.append(history)
        self.spent += len(history) * self.edits

    @property
    def base(self) -> Float[Tensor, "1 r c"]:
        """The mask that is checked next, before it is amplified."""
        if self.refining:
            assert self._best_base is not None
            return self._best_base
        assert self.state is not None
        return self.state.masks

    def judged(self, point: PathPoint, grid: Float[Tensor, "r c"]) -> None:
        """A check has been made. λ1 may rise where a stage led to a smaller mask that suffices.

        One that needs much more amplification than the last is no reason to go higher.
        """
        self.points.append(point)
        self.grids.append(grid)
        better = point.reaches and (self.best is None or point.area < self.points[self.best].area)
        if better:
            self.best, self._best_base = len(self.points) - 1, self.base
            if not self.refining:
                self._amplified_low, self._best_factor = self._low or self.trial / AMPLIFY, self.factor
        if self.refining:
            self._refined(point)
        elif better and (self._start is None or self.trial <= self._amplified * AMPLIFY):
            self._start, self._amplified, self.pending = self.state, self.trial, False
            self.bracket = self.bracket.told(True)
        elif not point.reaches and self._may_amplify(point.area):
            self._low, self.trial = self.trial, self.trial * AMPLIFY
        else:
            self.pending = False
            self.bracket = self.bracket.told(False)

    def _may_amplify(self, area: float) -> bool:
        """Whether the same mask is tried with more amplification: while it may still become the smallest."""
        smaller = self.best is None or area * math.sqrt(AMPLIFY) < self.points[self.best].area
        return smaller and self.trial * AMPLIFY <= MOST and self.affords(CHECK)

    def may_go_on(self) -> bool:
        """Whether another stage and its check fit into the budget, and λ1 is not known well enough."""
        tight = self.bracket.too_much - self.bracket.enough < _TIGHT
        return not tight and self.affords(FURTHER * self.edits + CHECK + _REFINING)

    def begin_refining(self) -> bool:
        """Whether less amplification of the best mask is worth a try; the trial is then set."""
        if self.best is None:
            return False
        if not self.refining:
            self.refining, self._high = True, self.points[self.best].amplified
        self.trial = math.sqrt(self._amplified_low * self._high)
        return math.log(self._high / self._amplified_low) > _FINE and self.affords(CHECK)

    def _refined(self, point: PathPoint) -> None:
        if point.reaches:
            self._high = self.trial
        else:
            self._amplified_low = self.trial

    def affords(self, evaluations: int) -> bool:
        """Whether so many evaluations leave enough for the end."""
        return self.spent + evaluations + self.final <= self.budget

    @property
    def chosen(self) -> int:
        """The mask that is returned: the best, or where none suffices the one that comes closest."""
        if self.best is not None:
            return self.best
        return max(range(len(self.points)), key=lambda place: self.points[place].worst)
