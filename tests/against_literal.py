"""Compare the implementation with the literal version: AssertionError wherever the two differ."""

from collections.abc import Callable
from functools import cache
from unittest import mock

import numpy as np
import torch
from numpy.testing import assert_allclose

import literal
from nets import Bench, learn_masks
from unsee.masks import loop, outcome
from unsee.masks.batch import Batch
from unsee.masks.edits.perturbation import PERTURBATIONS
from unsee.masks.game import GAMES
from unsee.masks.grid import Grid
from unsee.masks.jittered import JitteredScorer
from unsee.masks.objective import Objective, Terms, total
from unsee.masks.optimisers.adam import Adam
from unsee.masks.outcome import Learned
from unsee.masks.penalties import L1, MeanAxisVariation, MeanL1, TotalVariation
from unsee.masks.settings import Settings
from unsee.masks.starts import CircularStart
from unsee.target_scores import SCORES
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
        objective=Objective(GAMES[options["game"]], (l1, tv), SCORES[reading]),
        perturbations=PERTURBATIONS[edits],
        grid=Grid(
            cell=cell,
            upsampling=options["upsampling"],
            blur=options["sigma_m"],
            straight_through=options["gradient"] == "authors",
        ),
        optimiser=Adam(rate=options["lr"]),
        jitter=options["margin"],
    )


def objective_of(bench: Bench, settings: Settings) -> Callable[[torch.Tensor, torch.Tensor], Terms]:
    """The implementation's weighted terms at masks and windows, put together as the learner does."""
    scoring = bench.scoring(settings)
    upsampler = settings.grid.upsampler(scoring.size, scoring.targets)

    def terms(grids: torch.Tensor, offsets: torch.Tensor) -> Terms:
        zeros = torch.zeros(len(grids), dtype=torch.long)
        scores = scoring.jittered_scores(upsampler(grids), offsets, scoring.noise_at(zeros)).values
        return settings.objective.terms(grids, scores, zeros)

    return terms


def gradient_told(
    bench: Bench, settings: Settings, grids: torch.Tensor, offsets: torch.Tensor
) -> torch.Tensor:
    """The objective's gradient as optimisers are told it in their first step, by way of the log-odds."""
    scoring, zeros = bench.scoring(settings), torch.zeros(len(grids), dtype=torch.long)
    upsampler = settings.grid.upsampler(scoring.size, scoring.targets)
    scorer = JitteredScorer(scoring, settings, upsampler, offsets[:, None], zeros)
    batch = Batch.begin(tuple(range(len(grids))), scorer, grids, settings.optimiser)
    evaluation = loop._evaluated(batch, grids.detach()[:, None], needs_gradient=True)
    return evaluation.gradient[:, 0] + settings.objective.penalty_gradient(grids.detach(), zeros)


def learned_with_last(bench: Bench, settings: Settings) -> tuple[list[Learned], list[torch.Tensor]]:
    """What is learned of each photo in one batch, and where the optimiser ended."""
    last, selected = {}, outcome.selected

    def noted(scoring, settings, upsampler, batch):
        last.update(zip(batch.ids, batch.masks, strict=True))
        return selected(scoring, settings, upsampler, batch)

    with mock.patch.object(outcome, "selected", noted):
        learned = learn_masks(bench.classifier, bench.requests, settings)
    return learned, [last[request.id] for request in bench.requests]


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
    (gradient,) = torch.autograd.grad(total(found).sum(), grids)
    told = gradient_told(bench, settings, grids, places)
    values, totals = torch.stack(list(found.values())).detach(), total(found).detach()
    noise = bench.noise(settings, 0)
    for row, one in enumerate(bench.inputs):
        (y, x), (height, width) = offsets[row], one.size
        window = np.s_[:, y : y + height, x : x + width]
        picture = one.canvas.numpy()[window]
        crops = [ref[window] for ref in bench.references(settings.perturbations, row, 1)]
        given = (picture, crops, bench.net, bench.targets[row], options)
        added = None if noise is None else noise[row].numpy()
        cost, terms = literal.objective(masks[row], *given, noise=added)
        assert_allclose(values[:, row], weighted(terms, options), rtol=1e-9, atol=1e-300)
        assert_allclose(totals[row], cost, rtol=1e-9)
        expected = literal.gradient(masks[row], *given, noise=added)
        assert_allclose(gradient[row], expected, rtol=1e-7, atol=1e-14)
        assert_allclose(told[row], expected, rtol=1e-7, atol=1e-14)


def compare_differences(
    bench: Bench, settings: Settings, mask: np.ndarray, cells: int = 3, step: float = 1e-6
) -> None:
    """The implementation's gradient and the central differences of its own objective on random cells."""
    terms, still = objective_of(bench, settings), torch.zeros(1, 2, dtype=torch.long)
    grid = torch.from_numpy(mask)[None].requires_grad_()
    (gradient,) = torch.autograd.grad(total(terms(grid, still)).sum(), grid)
    rng = np.random.default_rng(0)
    for place in rng.choice(mask.size, cells, replace=False):
        move = torch.zeros_like(grid)
        move.view(-1)[place] = step
        with torch.no_grad():
            above, below = (total(terms(moved, still)).item() for moved in (grid + move, grid - move))
        assert_allclose((above - below) / (2 * step), gradient.flatten()[place], rtol=1e-5, atol=2e-8)


def compare_start(
    bench: Bench,
    settings: Settings,
    start: CircularStart,
    options: Options,
    radii: tuple[int, ...] = literal.RADII,
) -> list[int | None]:
    """Radius and mask on the grid of each photo's circular start; returns the radii."""
    scoring = bench.scoring(settings)
    size = scoring.size
    cells = settings.grid.cells(size)
    started = start(scoring, settings.objective.game, cells)
    found = []
    for row in range(len(bench.inputs)):
        mask, radius, _ = literal_start(bench, settings, start, options, row, radii)
        assert_allclose(started.masks[row], mask, rtol=0, atol=1e-12)
        if radius is not None and len(settings.perturbations) == 1:
            tried = int(started.evaluations[row]) - 2
            assert start.radii(size)[tried - 1] == radius
        found.append(radius)
    return found


def compare_evaluations(bench: Bench, settings: Settings, options: Options) -> None:
    """How often each photo goes through the network: both ends, the discs up to the radius, the steps."""
    started = settings.start(bench.scoring(settings), settings.objective.game, (6, 6))
    learned = learn_masks(bench.classifier, bench.requests, settings)
    edits = len(settings.perturbations)
    for row in range(len(bench.inputs)):
        radii = tuple(settings.start.radii(bench.inputs[row].size))
        _, radius, tried = literal_start(bench, settings, settings.start, options, row, radii)
        assert radius == radii[len(tried) - 1]
        assert started.evaluations[row] == (len(tried) + 2) * edits
        assert learned[row].evaluations == (len(tried) + 2 + settings.optimiser.iterations) * edits


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
    size = bench.inputs[row].size
    return literal.circular_start(
        bench.inputs[row].plain.numpy(),
        bench.references(settings.perturbations, row, 0),
        bench.net,
        targets,
        options,
        settings.grid.cells(size),
        stretch=start.stretch,
        radii=radii,
    )


def compare_learning(bench: Bench, settings: Settings, options: Options, full: bool = False) -> list[Learned]:
    """History, last and returned mask of each photo, learned in one batch, from the same start and draws.

    The start is the implementation's own, since the gradient of |1 - m| is not continuous where m is 1.
    With `full` also the mask of every pixel, the scores, and the terms averaged over the fixed windows.
    """
    learned, last = learned_with_last(bench, settings)
    iterations, scoring = settings.optimiser.iterations, bench.scoring(settings)
    started = settings.start(scoring, settings.objective.game, settings.grid.cells(scoring.size))
    draws = [bench.noise(settings, i) for i in range(iterations)]
    assert draws[0] is None or len({float(draw.sum()) for draw in draws}) == iterations
    for row, one in enumerate(bench.inputs):
        canvas, edited = one.canvas.numpy(), bench.references(settings.perturbations, row, 1)
        offsets = jitter_offsets([one.seed], iterations, settings.jitter)[:, 0].tolist()
        noises = None if draws[0] is None else [draw[row].numpy() for draw in draws]
        given = (canvas, edited, bench.net, bench.targets[row], options, offsets, noises)
        masks, totals = literal.learn(started.masks[row].numpy(), *given)
        assert_allclose(np.sum(list(learned[row].history.values()), axis=0), totals, rtol=0, atol=1e-8)
        assert_allclose(last[row], masks[-1], rtol=0, atol=1e-8)
        assert np.abs(masks[-1] - masks[0]).max() > 1e-3, "a mask that never moved proves nothing"
        _compare_selection(learned[row], literal.select(masks, totals, *given[:5]), options)
        if full:
            _compare_outcome(bench, settings, options, learned[row], row)
    return learned


def _compare_selection(
    learned: Learned, selection: tuple[str, np.ndarray, dict[str, float]], options: Options
) -> None:
    """Which mask is returned, and whether a further attempt is worth while."""
    chosen, grid, costs = selection
    assert_allclose(learned.grid, grid, rtol=0, atol=1e-8)
    assert_allclose(sum(learned.terms.values()), costs[chosen], rtol=0, atol=1e-8)
    assert learned.stuck == (chosen in ("start", "edited"))
    original, edited, perturbed = learned.scores.tolist()
    gained = original - edited if options["game"] == "deletion" else edited - perturbed
    hardly = gained < 0.1 * abs(original - perturbed)
    assert learned.verdict.startswith("no gain") == (chosen not in ("last", "best") or hardly)


def _compare_outcome(bench: Bench, settings: Settings, options: Options, learned: Learned, row: int) -> None:
    """What the learner says about the mask that it returns."""
    one, grid = bench.inputs[row], learned.grid.numpy()
    plain = one.plain.numpy()
    large = literal.upsample(grid, one.size, options).clip(0, 1)
    assert_allclose(learned.mask, large, rtol=0, atol=1e-12)
    (shown,) = bench.references([settings.shown], row, 0)
    views = (plain, literal.blend(plain, shown, large), shown)
    scores = [literal.score(bench.net, view, bench.targets[row], options["score"]) for view in views]
    assert_allclose(learned.scores, scores, rtol=0, atol=1e-10)
    edited = bench.references(settings.perturbations, row, 1)
    given = (one.canvas.numpy(), edited, bench.net, bench.targets[row], options)
    _, terms = literal.over_windows(grid, *given)
    assert_allclose(list(learned.terms.values()), weighted(terms, options), rtol=0, atol=1e-10)
