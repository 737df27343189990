"""Metrics of the paper's experiments (§5): functions of maps, ground truths and scores.

Maps are high where salient and come at their own size; image sizes are (height, width); points are
(x, y) with the centre of pixel (0, 0) at (0, 0); boxes are half-open (x0, y0, x1, y1). Values that are
not finite are an error.
"""

from unsee.metrics.curves import STEPS, Curve, deletion, insertion
from unsee.metrics.estimates import Estimate, mean_of, mean_precision_of, proportion, ratio_of
from unsee.metrics.keypoints import around_keypoints
from unsee.metrics.localisation import ENERGY_ALPHAS, MEAN_ALPHAS, VALUE_ALPHAS, boxes_at, iou, localised
from unsee.metrics.pointing import TOLERANCE, difficult, first_peak, hits, peak, touched
from unsee.metrics.suppression import LEAST_SPAN, binarised, normalised

__all__ = [
    "ENERGY_ALPHAS",
    "LEAST_SPAN",
    "MEAN_ALPHAS",
    "STEPS",
    "TOLERANCE",
    "VALUE_ALPHAS",
    "Curve",
    "Estimate",
    "around_keypoints",
    "binarised",
    "boxes_at",
    "deletion",
    "difficult",
    "first_peak",
    "hits",
    "insertion",
    "iou",
    "localised",
    "mean_of",
    "mean_precision_of",
    "normalised",
    "peak",
    "proportion",
    "ratio_of",
    "touched",
]
