"""What saliency is measured by in the paper's experiments (§5): functions of maps, truths and scores alone.

Maps are high where they are salient and come at their own size; pictures are (height, width); points are
(x, y) with the centre of pixel (0, 0) at (0, 0); boxes are half-open (x0, y0, x1, y1). What is not finite is
an error.
"""

from unsee.metrics.curves import STEPS, Curve, deletion, insertion
from unsee.metrics.estimates import Estimate, mean_of, mean_precision_of, proportion, ratio_of
from unsee.metrics.keypoints import around_keypoints
from unsee.metrics.localisation import ENERGY_ALPHAS, MEAN_ALPHAS, VALUE_ALPHAS, boxes_at, iou, localised
from unsee.metrics.pointing import TOLERANCE, difficult, first_peak, hits, mean_precision, peak, touched
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
    "mean_precision",
    "mean_precision_of",
    "normalised",
    "peak",
    "proportion",
    "ratio_of",
    "touched",
]
