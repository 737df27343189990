"""A detector of attacked images by their heatmaps (§5.5), cross-validated."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.metrics import Estimate, mean_of
from unsee.optional import library

SIDE = 28
"""Cells along each side of the heatmaps that it reads."""
_FOLDS = 5


def detection_rate(clean: Float[Tensor, "n h w"], changed: Float[Tensor, "n h w"]) -> Estimate:
    """The share of heatmaps that a linear classifier on their cells labels correctly, in %.

    Both heatmaps of an image are always in the same fold, so every pair is classified by a detector that was
    trained on neither; the standard error is over pairs. The paper trained AlexNet on 4,000 images; logistic
    regression needs fewer.

    Args:
        clean: the heatmaps of n images.
        changed: those of the same images, attacked.
    """
    count = len(clean)
    if count < 2:
        return mean_of([])
    linear, folds, line = (
        library(f"sklearn.{name}", "compare") for name in ("linear_model", "model_selection", "pipeline")
    )
    scaler = library("sklearn.preprocessing", "compare").StandardScaler()
    model = line.make_pipeline(scaler, linear.LogisticRegression(C=0.01, max_iter=1000))
    cells = torch.cat([clean, changed]).flatten(1).numpy()
    truth = torch.arange(2).repeat_interleave(count).numpy()
    pairs = torch.arange(count).repeat(2).numpy()
    predicted = folds.cross_val_predict(
        model, cells, truth, groups=pairs, cv=folds.GroupKFold(min(_FOLDS, count))
    )
    hits = (predicted == truth).reshape(2, count).mean(axis=0)
    found = mean_of((100 * hits).tolist())
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 100.0))
