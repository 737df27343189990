"""Compare the implementation with the literal version: AssertionError wherever the two part."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numpy.testing import assert_allclose

import literal
from nets import Bench
from unsee.masks.edits.perturbation import PERTURBATIONS
from unsee.masks.grid import Grid
from unsee.masks.learner import Learned, learn
from unsee.masks.objective import (
    GAMES,
    L1,
    SCORES,
    MeanAxisVariation,
    MeanL1,
    Objective,
    Terms,
    TotalVariation,
)
from unsee.masks.optimisers.adam import Adam
from unsee.masks.settings import Settings
from unsee.masks.starts import CircularStart
from unsee.tensors import jitter_offsets

Options = dict[str, object]

for slow in (literal.gaussian_matrix, literal.upsample_matrix, literal.disc):
    setattr(literal, slow.__name__, cache(slow))  # the same arrays for the same numbers, built once


def settings_like(options: Options, edits: str = "blur", cell: float = 8.0) -> Settings:
    """Settings of the implementation that mean what the literal version's options mean."""
    weights = (options["l1"], options["l2"])
    if options["regularisers"] == "sum":
        l1, tv = L1(weights[0], cells=None), TotalVariation(weights[1], options["beta"])
    else:
        l1, tv = MeanL1(weights[0]), MeanAxisVariation(weights[1], options["beta"])
    reading = {"softmax": "softmax", "logits": "logit"}[options["score"]]
    return Settings(
        source="test",
        objective=Objective(GAMES[options["game"]], l1, tv, SCORES[reading]),
        perturbations=PERTURBATIONS[edits],
        grid=Grid(
            cell=cell,
            upsampling=options["upsampling"],
            blur=options["sigma_m"],
            straight_through=options["gradient"] == "authors",
        ),
        algorithm=Adam(rate=options["lr"]),
        jitter=options["margin"],
    )


def objective_of(bench: Bench, settings: Settings) -> Callable[[torch.Tensor, torch.Tensor], Terms]:
    """The implementation's weighted terms at masks and windows, put together as the learner does."""
    problem = bench.problem(settings)
    upsampler = settings.grid.upsampler(problem.size, problem.plain)

    def terms(grids: torch.Tensor, offsets: torch.Tensor) -> Terms:
        scores = problem.jittered_scores(upsampler(grids), offsets, problem.noise_at(0))
        return settings.objective.terms(grids, scores)

    return terms


def weighted(terms: dict[str, float], options: Options) -> list[float]:
    """The literal version's terms with their weights, in the implementation's order."""
    sign = 1.0 if options["game"] == "deletion" else -1.0
    return [sign * terms["score"], options["l1"] * terms["l1"], options["l2"] * terms["tv"]]


def compare_objective(
    bench: Bench, settings: Settings, options: Options, masks: np.ndarray, offsets: np.ndarray
) -> None:
    """Every term, the total, and the gradient to the grid, of one mask and window for each photo."""
    grids, places = torch.from_numpy(masks), torch.from_numpy(offsets)
    found = objective_of(bench, settings)(grids.requires_grad_(), places)
    (slopes,) = torch.autograd.grad(found.total.sum(), grids)
    values, totals = torch.stack(found).detach(), found.total.detach()
    noise = bench.noise(settings, 0)
    for row, frame in enumerate(bench.frames):
        (y, x), (height, width) = offsets[row], frame.size
        window = np.s_[:, y : y + height, x : x + width]
        picture = frame.canvas.numpy()[window]
        crops = [ref[window] for ref in bench.references(settings.perturbations, row, 1)]
        given = (picture, crops, bench.net, bench.targets[row], options)
        added = None if noise is None else noise[row].numpy()
        total, terms = literal.objective(masks[row], *given, noise=added)
        assert_allclose(values[:, row], weighted(terms, options), rtol=1e-9, atol=1e-300)
        assert_allclose(totals[row], total, rtol=1e-9)
        slope = literal.gradient(masks[row], *given, noise=added)
        assert_allclose(slopes[row], slope, rtol=1e-7, atol=1e-14)


def compare_differences(
    bench: Bench, settings: Settings, mask: np.ndarray, cells: int = 3, step: float = 1e-6
) -> None:
    """The implementation's gradient and the central differences of its own objective on random cells."""
    terms, still = objective_of(bench, settings), torch.zeros(1, 2, dtype=torch.long)
    grid = torch.from_numpy(mask)[None].requires_grad_()
    (slope,) = torch.autograd.grad(terms(grid, still).total.sum(), grid)
    rng = np.random.default_rng(0)
    for place in rng.choice(mask.size, cells, replace=False):
        move = torch.zeros_like(grid)
        move.view(-1)[place] = step
        with torch.no_grad():
            above, below = (terms(moved, still).total.item() for moved in (grid + move, grid - move))
        assert_allclose((above - below) / (2 * step), slope.flatten()[place], rtol=1e-5, atol=2e-8)


def compare_start(
    bench: Bench,
    settings: Settings,
    start: CircularStart,
    options: Options,
    radii: tuple[int, ...] = literal.RADII,
) -> list[int | None]:
    """Radius and mask on the grid of each photo's circular start; returns the radii."""
    problem = bench.problem(settings)
    size = problem.size
    cells = settings.grid.cells(size)
    started = start(problem, settings.objective.game, cells)
    found = []
    for row in range(len(bench.frames)):
        mask, radius, _ = literal_start(bench, settings, start, options, row, radii)
        assert_allclose(started.masks[row], mask, rtol=0, atol=1e-12)
        if radius is not None and len(settings.perturbations) == 1:
            tried = int(started.evaluations[row]) - 2
            assert start.radii(size)[tried - 1] == radius
        found.append(radius)
    return found


def compare_evaluations(bench: Bench, settings: Settings, options: Options) -> None:
    """How often each photo goes through the network: both ends, the discs up to the radius, the steps."""
    started = settings.start(bench.problem(settings), settings.objective.game, (6, 6))
    learned = learn(bench.classifier, bench.arrivals, settings)
    edits = len(settings.perturbations)
    for row in range(len(bench.frames)):
        radii = tuple(settings.start.radii(bench.frames[row].size))
        _, radius, tried = literal_start(bench, settings, settings.start, options, row, radii)
        assert radius == radii[len(tried) - 1]
        assert started.evaluations[row] == (len(tried) + 2) * edits
        assert learned[row].evaluations == (len(tried) + 2 + settings.algorithm.iterations) * edits


def literal_start(
    bench: Bench,
    settings: Settings,
    start: CircularStart,
    options: Options,
    row: int,
    radii: tuple[int, ...] = literal.RADII,
) -> tuple[np.ndarray, int | None, list[float]]:
    """The literal version's circular start of one photo."""
    targets = bench.targets[row][:1] if start.first_target else bench.targets[row]
    size = bench.frames[row].size
    return literal.circular_start(
        bench.frames[row].plain.numpy(),
        bench.references(settings.perturbations, row, 0),
        bench.net,
        targets,
        options,
        settings.grid.cells(size),
        stretch=start.stretch,
        radii=radii,
    )


def compare_learning(bench: Bench, settings: Settings, options: Options, full: bool = False) -> list[Learned]:
    """History and last mask of each photo, learned in one batch, from the same start and with the same draws.

    The start is the implementation's own, since the slope of |1 - m| hangs on the last digit where m is 1.
    With `full` also the mask of every pixel, the scores, and the terms averaged over the fixed windows.
    """
    learned = learn(bench.classifier, bench.arrivals, settings)
    iterations, problem = settings.algorithm.iterations, bench.problem(settings)
    started = settings.start(problem, settings.objective.game, settings.grid.cells(problem.size))
    draws = [bench.noise(settings, i) for i in range(iterations)]
    assert draws[0] is None or len({float(draw.sum()) for draw in draws}) == iterations
    for row, frame in enumerate(bench.frames):
        canvas, edited = frame.canvas.numpy(), bench.references(settings.perturbations, row, 1)
        offsets = jitter_offsets([frame.seed], iterations, settings.jitter)[:, 0].tolist()
        noises = None if draws[0] is None else [draw[row].numpy() for draw in draws]
        given = (canvas, edited, bench.net, bench.targets[row], options, offsets, noises)
        masks, totals = literal.learn(started.masks[row].numpy(), *given)
        assert_allclose(learned[row].history.sum(dim=1), totals, rtol=0, atol=1e-8)
        assert_allclose(learned[row].grid, masks[-1], rtol=0, atol=1e-8)
        assert np.abs(masks[-1] - masks[0]).max() > 1e-3, "a mask that never moved proves nothing"
        if full:
            _compare_outcome(bench, settings, options, learned[row], row)
    return learned


def _compare_outcome(bench: Bench, settings: Settings, options: Options, learned: Learned, row: int) -> None:
    """What the learner says about the masks it ended with."""
    frame, grid = bench.frames[row], learned.grid.numpy()
    (height, width), plain = frame.size, frame.plain.numpy()
    large = literal.upsample(grid, frame.size, options).clip(0, 1)
    assert_allclose(learned.mask, large, rtol=0, atol=1e-12)
    (shown,) = bench.references([settings.shown], row, 0)
    views = (plain, literal.blend(plain, shown, large), shown)
    scores = [literal.score(bench.net, view, bench.targets[row], options["score"]) for view in views]
    assert_allclose(learned.scores, scores, rtol=0, atol=1e-10)
    edited = bench.references(settings.perturbations, row, 1)
    parts = []
    for y, x in {0: [(0, 0)], 4: [(0, 1), (1, 3), (2, 0), (3, 2)]}[options["margin"]]:
        window = np.s_[:, y : y + height, x : x + width]
        crops = [ref[window] for ref in edited]
        _, terms = literal.objective(
            grid, frame.canvas.numpy()[window], crops, bench.net, bench.targets[row], options
        )
        parts.append(weighted(terms, options))
    assert_allclose(learned.terms, np.mean(parts, axis=0), rtol=0, atol=1e-10)
