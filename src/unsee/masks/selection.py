"""Which mask is returned: the best of those that were evaluated, the start and the ends among them."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unsee.masks.batch import Batch
from unsee.masks.convergence import EDITED, IDEAL, LEARNED, START
from unsee.masks.grid import Upsampler
from unsee.masks.objective import Terms, penalty_total, total
from unsee.masks.scoring import Scoring
from unsee.masks.settings import Settings
from unsee.masks.smooth_grid import SmoothUpsampler

_COLUMNS = {1: (0,), 2: (1, 0), 3: (1, 2, 0), 4: (1, 3, 0, 2)}
"""For each number of jitter places along an axis, the column that each row is paired with."""


class Selected(NamedTuple):
    """The masks that are returned, with their terms over fixed jitters, and what each is.

    Each is named LEARNED, or START, IDEAL or EDITED if it equals one of these.
    """

    masks: Float[Tensor, "b r c"]
    terms: Terms
    names: list[str]


@torch.no_grad()
def selected(
    scoring: Scoring, settings: Settings, upsampler: Upsampler | SmoothUpsampler, batch: Batch
) -> Selected:
    """Of each image's candidates the one with the lowest objective over a fixed set of jitters.

    The candidates are the optimiser's last mask, its start, the evaluated mask with the lowest objective, and
    the two ends: the mask that costs nothing and the fully edited one. One that cannot win, because
    its penalties alone exceed the lowest objective so far, is not evaluated.

    Args:
        scoring: the images with their edits.
        settings: how masks are learned.
        upsampler: from cells to what the mask is laid on.
        batch: finished images.
    """
    last, game = batch.masks, settings.objective.game
    ideal, edited = torch.full_like(last, game.ideal), torch.full_like(last, 1 - game.ideal)
    terms = fixed_terms(scoring, settings, upsampler, last, batch.iteration)
    chosen, tried = last.clone(), [last]
    for masks in (batch.start, batch.best, ideal, edited):
        rows = _can_win(scoring, settings, masks, tried, total(terms), batch.iteration).nonzero().flatten()
        tried.append(masks)
        if not len(rows):
            continue
        new = fixed_terms(scoring.select(rows), settings, upsampler, masks[rows], batch.iteration[rows])
        before = total(terms)[rows]
        won = total(new) < torch.where(before.isfinite(), before, torch.inf)
        winners = rows[won]
        chosen[winners] = masks[winners]
        for part, values in terms.items():
            values[winners] = new[part][won]
    return Selected(chosen, terms, _names(chosen, {IDEAL: ideal, EDITED: edited, START: batch.start}))


def _names(chosen: Float[Tensor, "b r c"], known: dict[str, Tensor]) -> list[str]:
    equal = {name: (chosen == masks).flatten(1).all(dim=1).tolist() for name, masks in known.items()}
    return [next((name for name, same in equal.items() if same[row]), LEARNED) for row in range(len(chosen))]


def _can_win(
    scoring: Scoring,
    settings: Settings,
    masks: Tensor,
    tried: list[Tensor],
    costs: Tensor,
    iteration: Tensor,
) -> Bool[Tensor, " b"]:
    """Where masks differ from those tried before and their objective could be lower than the costs."""
    objective = settings.objective.at(scoring.areas)
    new = torch.stack([(masks != other).flatten(1).any(dim=1) for other in tried]).all(dim=0)
    unscored = objective.terms(masks, torch.zeros_like(costs), iteration)
    least = penalty_total(unscored) + len(settings.perturbations) * objective.least_score
    return new & ((least < costs) | ~costs.isfinite())


def fixed_jitters(settings: Settings) -> int:
    """How many jitters `fixed_terms` averages over."""
    return min(max(settings.jitter, 1), len(_COLUMNS))


@torch.no_grad()
def fixed_terms(
    scoring: Scoring,
    settings: Settings,
    upsampler: Upsampler | SmoothUpsampler,
    grids: Float[Tensor, "b r c"],
    iteration: Int[Tensor, " b"],
) -> Terms:
    """The terms of masks, averaged over a fixed set of jitters, mirrored and not where the settings mirror,
    and without input noise.

    Up to four places along each axis, spread evenly; each row is paired with one column, so that every row
    and every column is used once.

    Args:
        scoring: the images with their edits.
        settings: how masks are learned.
        upsampler: from cells to what the mask is laid on.
        grids: masks on their cells, in [0,1].
        iteration: of each mask, for weights that change with it.
    """
    jitter = max(settings.jitter, 1)
    columns = _COLUMNS[fixed_jitters(settings)]
    places = torch.linspace(0, jitter - 1, len(columns), device=grids.device).round().long()
    masks = upsampler(grids)
    summed = grids.new_zeros(len(grids))
    turns: tuple[Tensor | None, ...] = (None,)
    if settings.mirrored:
        turns = (None, torch.ones(len(grids), dtype=torch.bool, device=grids.device))
    for row, column in enumerate(columns):
        offset = torch.stack([places[row], places[column]]).expand(len(grids), 2)
        for mirrored in turns:
            summed += scoring.jittered_scores(masks, offset, mirrored=mirrored).values
    mean = summed / (len(columns) * len(turns))
    return settings.objective.at(scoring.areas).terms(grids, mean, iteration)
