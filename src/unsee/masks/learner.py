"""Puts perturbation, grid, objective and loop together: frames and targets in, learned masks out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unsee.classifier import Classifier
from unsee.masks.convergence import verdicts
from unsee.masks.frame import Frame
from unsee.masks.grid import Upsampler
from unsee.masks.loop import Progress, optimise
from unsee.masks.objective import Terms
from unsee.masks.problem import Problem
from unsee.masks.settings import Settings
from unsee.tensors import jitter_offsets

_FIXED_PLACES = 4


@dataclass(frozen=True, eq=False)
class Learned:
    """What a batch has learned; everything is on the CPU.

    Args:
        grids: the masks on their cells, in [0,1], 1 keeps.
        masks: the same as one value a pixel of the network's input.
        scores: of each original, perturbed and fully perturbed picture, still, with `Settings.shown`.
        terms: the objective's weighted parts for the mask that is returned, averaged over a fixed set of
            jitters, so that runs compare.
        history: the parts before each step.
        evaluations: of the network that each image's mask takes: those of the start, up to the disc that is
            taken, and one for each step and perturbation. The search may look further ahead; the final
            scores are not counted.
        verdicts: "converged", or in words what went wrong, for each image.
    """

    grids: Float[Tensor, "b r c"]
    masks: Float[Tensor, "b h w"]
    scores: Float[Tensor, "b 3"]
    terms: Float[Tensor, "3 b"]
    history: Float[Tensor, "iterations 3 b"]
    evaluations: Int[Tensor, " b"]
    verdicts: tuple[str, ...]


def learn(
    classifier: Classifier,
    frames: Sequence[Frame],
    targets: Sequence[tuple[int, ...]],
    classes: int,
    settings: Settings,
    progress: Progress | None = None,
) -> Learned:
    """Learn one mask for each frame (§4.3), all in one batch; each is what it would be alone.

    Args:
        classifier: borrowed, and given back as it was.
        frames: of one size, with `settings.margin` as their margin.
        targets: the target classes of each frame.
        classes: how many logits the classifier has.
        settings: how.
        progress: told after each iteration.
    """
    objective = settings.objective
    with classifier.borrowed():
        problem = Problem.prepare(
            classifier,
            frames,
            targets,
            classes,
            settings.perturbations,
            objective.score,
            settings.input_noise,
        )
        cells = settings.grid.cells(problem.size)
        upsampler = settings.grid.upsampler(problem.size, problem.plain)
        started = settings.start(problem, objective.game, cells)
        iterations = settings.adam.iterations
        offsets = jitter_offsets(list(problem.seeds), iterations, settings.jitter).to(classifier.device)

        def evaluate(grids: Tensor, iteration: int) -> Terms:
            noise = problem.noise_at(iteration)
            scores = problem.jittered_scores(upsampler(grids), offsets[iteration], noise)
            return objective.terms(grids, scores)

        outcome = optimise(started.masks, evaluate, settings.adam, progress)
        terms = fixed_terms(problem, settings, upsampler, outcome.masks)
        masks = upsampler(outcome.masks).clamp(0, 1)
        scores = _evidence(problem, frames, settings, masks)
    spent = started.evaluations + iterations * len(settings.perturbations)
    return Learned(
        grids=outcome.masks.cpu(),
        masks=masks.cpu(),
        scores=scores.cpu(),
        terms=terms.cpu(),
        history=outcome.history.cpu(),
        evaluations=spent,
        verdicts=verdicts(outcome.history.cpu(), outcome.failed_at.cpu(), terms.cpu(), scores.cpu()),
    )


@torch.no_grad()
def fixed_terms(
    problem: Problem, settings: Settings, upsampler: Upsampler, grids: Float[Tensor, "b r c"]
) -> Float[Tensor, "3 b"]:
    """Score, l1 and tv terms of masks, averaged over a fixed set of jitters and without input noise.

    The set is every place for a jitter of up to 4, and 4×4 places spread evenly for a larger one.
    """
    jitter = max(settings.jitter, 1)
    count = min(jitter, _FIXED_PLACES)
    places = torch.linspace(0, jitter - 1, count, device=grids.device).round().long()
    masks = upsampler(grids)
    total = grids.new_zeros(len(grids))
    for offset in torch.cartesian_prod(places, places):
        total += problem.jittered_scores(masks, offset.expand(len(grids), 2))
    return torch.stack(list(settings.objective.terms(grids, total / count**2)))


@torch.no_grad()
def _evidence(
    problem: Problem, frames: Sequence[Frame], settings: Settings, masks: Float[Tensor, "b h w"]
) -> Float[Tensor, "b 3"]:
    shown = Problem.prepare(
        problem.classifier,
        frames,
        [tuple(row.nonzero().flatten().tolist()) for row in problem.targets],
        problem.targets.shape[1],
        [settings.shown],
        problem.score,
    )
    views = torch.stack([torch.ones_like(masks), masks, torch.zeros_like(masks)], dim=1)
    return shown.still_scores(views)
