"""Deliberate mistakes in the metrics, one at a time: the comparisons have to notice each."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import test_metrics_estimates as errors
import test_metrics_localisation as boxed
import test_metrics_pointing as pointed
import test_metrics_scores as scored
from unsee.datasets.sample import Sample
from unsee.heads import Reading
from unsee.input_values import InputValues
from unsee.metrics import curves, estimates, keypoints, localisation, maps, pointing, suppression
from unsee.metrics.estimates import Estimate
from unsee.target_scores import logit_score
from unsee.tensors import smooth, upsampling_matrix

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools'

BLACK = property(lambda _: (0.0, 0.0, 0.0))

# What is right, as it was before anything is replaced.
RULES = dict(localisation._RULES)
boxes_at, ends, iou = localisation.boxes_at, localisation._ends, localisation.iou
centre, gap, nearest, within = pointing._centre, pointing._gap, pointing._nearest, pointing._within
pixels_of, peak, around = pointing._pixels, pointing.peak, keypoints.around_keypoints
cells, exchanged, ranks = keypoints._cells, curves._exchanged, curves.pixel_ranks
normal, wilson = estimates._normal, estimates._wilson


def rule(name, cut):
    """The rules with another cut for one of them."""
    return RULES | {name: (cut, *RULES[name][1:])}


def cut_by(name, change):
    """A rule whose levels or cuts are changed afterwards."""
    return rule(name, lambda saliency, alphas: change(*RULES[name][0](saliency, alphas)))


def a_little_more(levels, cuts):
    return levels, cuts + 1e-9


def from_zero(saliency, alphas):
    return saliency, alphas * saliency.max()


def shifted_energy(saliency, alphas):
    return RULES["energy"][0](saliency - saliency.min(), alphas)


def absolute_energy(saliency, alphas):
    return RULES["energy"][0](saliency.abs(), alphas)


def share_of_values(saliency, alphas):
    """The highest values that are α of all values, not that hold α of the sum."""
    energy = saliency.clamp(min=0)
    highest = energy.flatten().sort(descending=True).values
    return energy, highest[(alphas * len(highest)).ceil().long().clamp(1) - 1]


def clipped_mean(saliency, alphas):
    return saliency, alphas * saliency.clamp(min=0).mean()


def after_resizing(saliency, size, name, alphas=None):
    """The map is resized first, and cut at the image's size."""
    large = F.interpolate(saliency[None, None].double(), size, mode="bilinear", align_corners=False)
    return boxes_at(large[0, 0], size, name, alphas)


def edited(mode):
    """Another way to bring the marks to the image."""
    return lambda length, cells, _: upsampling_matrix(length, cells, mode)


def closed(kept, lent):
    first, last = ends(kept, lent)
    return first, last - 1


def a_pixel_more(kept, lent):
    """The box ends one pixel later than it should."""
    first, last = ends(kept, lent)
    return first, (last + 1).clamp(max=len(lent))


def with_corners(one, two):
    """Overlaps of boxes whose last numbers are their last pixels."""
    grown = torch.tensor([0, 0, 1, 1])
    return iou(one + grown, two + grown)


def over_the_smaller(one, two):
    share = iou(one, two)
    areas = [(part[:, 2:] - part[:, :2]).prod(dim=1).double() for part in (one, two)]
    common = share * (areas[0][:, None] + areas[1][None]) / (1 + share)
    return common / torch.minimum(areas[0][:, None], areas[1][None])


def over_both(one, two):
    """Intersection over the sum of the areas."""
    share = iou(one, two)
    return share / (1 + share)


def worst_of_all(one, two, least=0.5):
    return iou(one, two).amin(dim=1) >= least


def more_than_half(one, two, least=0.5):
    return iou(one, two).amax(dim=1) > least


def first_of_tied(saliency, size):
    """Ties are not averaged."""
    hot = torch.zeros(saliency.numel(), dtype=torch.float64)
    hot[saliency.flatten().argmax()] = 1
    return peak(hot.reshape(saliency.shape), size)


def after_growing(saliency, size):
    """Ties are averaged at the image's size."""
    return peak(F.interpolate(saliency[None, None].double(), size, mode="bilinear")[0, 0], size)


def corners_on_corners(many, length):
    count = many.shape[-1]
    mean = (many @ torch.arange(count, dtype=many.dtype)) / many.sum(dim=-1)
    return mean * (length - 1) / max(count - 1, 1)


def corner_of_cell(many, length):
    return centre(many, length) - 0.5 * (length / many.shape[-1] - 1)


def city_blocks(point, instances, reach):
    pixels = instances.any(dim=0).nonzero().flip(1).double()
    return float((pixels - torch.tensor(point)).abs().sum(dim=1).min())


def later_is_higher(saliency, size):
    """Of equal heights the last is the first."""
    found = maps.heights(saliency, size)
    return found + torch.arange(found.numel()).reshape(found.shape)


def nearest_heights(saliency, size):
    return maps.heights(F.interpolate(saliency[None, None].double(), size)[0, 0], size)


def squared(point, instances, reach):
    return gap(point, instances, reach) ** 2


def rows_first(point, instances, reach):
    return gap(point[::-1], instances, reach)


def narrow(place, union, reach):
    return within(place, union, reach - 1)


def to_the_last_number(place, boxes):
    return place.round().clamp(boxes[:, :2].floor(), boxes[:, 2:])


def to_the_corner(place, boxes):
    return nearest(place, boxes - 0.5)


def in_boxes(instance, size):
    """What a segment leaves free of its box counts too."""
    return pixels_of(replace(instance, segment=None), size)


def all_hits_together(hit, labels):
    return torch.tensor(hit, dtype=torch.float64).mean()[None], torch.tensor([float(len(hit))])


def of_the_score(score, original, reference):
    return score / original


def never_left_out(score, original, reference):
    return (score - reference) / (original - reference)


def suppressed(score, original, reference):
    return 1 - (score - reference) / (original - reference).where(original - reference >= 1e-6, math.nan)


def not_stretched(mask, alphas, sigma=10.0):
    return smooth(mask, sigma) >= torch.tensor(alphas)[:, None, None]


def stretched_first(mask, alphas, sigma=10.0):
    """Stretched to [0, 1], then blurred."""
    stretched = (mask - mask.min()) / (mask.max() - mask.min())
    return smooth(stretched, sigma) >= torch.tensor(alphas)[:, None, None]


def strictly_above(mask, alphas, sigma=10.0):
    blurred = smooth(mask, sigma)
    stretched = (blurred - blurred.min()) / (blurred.max() - blurred.min())
    return stretched > torch.tensor(alphas, dtype=stretched.dtype)[:, None, None]


def seven(saliency, points, size, window=5):
    return around(saliency, points, size, window + 2)


def shifted_at_the_border(saliency, points, size, window=5):
    """Windows are moved into the map, not cut off."""
    reach = window // 2
    if min(saliency.shape) < window:
        return around(saliency, points, size, window)
    places = cells(points, size, tuple(saliency.shape))
    limits = torch.tensor(saliency.shape[::-1]) - 1 - reach
    moved = torch.minimum(places.clamp(min=reach), limits)
    return around(saliency, moved.double(), tuple(saliency.shape), window)


def padded(saliency, points, size, window=5):
    """What lies beyond the border counts as 0."""
    reach = window // 2
    wide = F.pad(saliency.double(), (reach, reach, reach, reach))
    places = cells(points, size, tuple(saliency.shape)) + reach
    return around(wide, places.double(), tuple(wide.shape), window)


def turned(points, size, shape):
    return cells(points, size, shape).flip(1)


def without_half(points, size, shape):
    """Cells by the pixel's corner, not its centre."""
    places = torch.as_tensor(points, dtype=torch.float64).reshape(-1, 2).clamp(min=0)
    return cells(places - 0.5, size, shape)


def nearest_centre(points, size, shape):
    """Corners on corners."""
    places = torch.as_tensor(points, dtype=torch.float64).reshape(-1, 2).clamp(min=0)
    last, ends = (torch.tensor(pair[::-1]) - 1 for pair in (size, shape))
    return torch.minimum((places * ends / last).round().long(), ends)


def backwards(classifier, first, last, *rest):
    return exchanged(classifier, last, first, *rest)


def least_salient_first(saliency, size):
    return ranks(-saliency, size)


def by_cells(saliency, size):
    """The order of the nearest cells."""
    large = F.interpolate(saliency[:, None].double(), size, mode="nearest")[:, 0]
    return ranks(large, size)


def left_sums(values, shares, dim):
    """Rectangles instead of trapezoids."""
    return (values[:, :-1] * shares.diff()).sum(dim=dim)


def evenly(values, shares, dim):
    """Steps of one length, whatever rounding made of them."""
    return (values[:, :-1] + values[:, 1:]).mean(dim=dim) / 2


def best_class(_, logits, targets):
    return (logits.softmax(dim=1) * targets).amax(dim=1)


def logits_of(_, logits, targets):
    return logit_score(logits, targets)


def wald(share, weight, n, scale, error=None):
    """The normal interval of a proportion."""
    found = wilson(share, weight, n, scale, error)
    reach = 1.96 * found.standard_error
    return Estimate(found.value, found.standard_error, found.value - reach, found.value + reach, n)


def per_root(value, deviation, n):
    return normal(value, deviation * math.sqrt(n / (n + 1)), n)


def uncoupled(above, below):
    """The two means vary on their own."""
    a, b = (torch.tensor(part, dtype=torch.float64) for part in (above, below))
    ratio = float(a.mean() / b.mean())
    spread = float((a.var() + ratio**2 * b.var()).sqrt() / b.mean().abs())
    return normal(ratio, spread, len(a))


def mean_of_ratios(above, below):
    return estimates.mean_of((np.array(above) / np.array(below)).tolist())


def counted_too(values):
    """NaN counts as 0."""
    return torch.as_tensor(values, dtype=torch.float64).nan_to_num()


def as_one_class(hit, labels, scale=1):
    found = estimates.proportion(hit, scale)
    shares, _ = pointing.class_precisions(hit, labels)
    return Estimate(scale * float(shares.mean()), found.standard_error, found.low, found.high, found.n)


MISTAKES = {
    "value: strictly above": (
        localisation,
        "_RULES",
        cut_by("value", a_little_more),
        partial(boxed.boxes_by, "value"),
    ),
    "value: share of the maximum": (
        localisation,
        "_RULES",
        rule("value", from_zero),
        partial(boxed.boxes_by, "value"),
    ),
    "energy: what is negative shifted": (
        localisation,
        "_RULES",
        rule("energy", shifted_energy),
        partial(boxed.boxes_by, "energy"),
    ),
    "energy: what is negative counts": (
        localisation,
        "_RULES",
        rule("energy", absolute_energy),
        partial(boxed.boxes_by, "energy"),
    ),
    "energy: share of the values": (
        localisation,
        "_RULES",
        rule("energy", share_of_values),
        partial(boxed.boxes_by, "energy"),
    ),
    "energy: the last one left out": (
        localisation,
        "_RULES",
        cut_by("energy", a_little_more),
        boxed.known_cuts,
    ),
    "mean: of what is positive": (
        localisation,
        "_RULES",
        rule("mean", clipped_mean),
        partial(boxed.boxes_by, "mean"),
    ),
    "mean: median": (
        localisation,
        "_RULES",
        rule("mean", lambda saliency, alphas: (saliency, alphas * saliency.median())),
        partial(boxed.boxes_by, "mean"),
    ),
    "mean: the grid of value": (
        localisation,
        "_RULES",
        RULES | {"mean": (RULES["mean"][0], localisation.VALUE_ALPHAS, math.inf)},
        boxed.usual_grids,
    ),
    "cut after resizing": (localisation, "boxes_at", after_resizing, partial(boxed.boxes_by, "value")),
    "cut after resizing, by energy": (
        localisation,
        "boxes_at",
        after_resizing,
        partial(boxed.boxes_by, "energy"),
    ),
    "cut after resizing, one cell": (localisation, "boxes_at", after_resizing, boxed.one_cell),
    "marks resized to the nearest": (localisation, "upsampling_matrix", edited("nearest"), boxed.one_cell),
    "marks resized with corners aligned": (
        localisation,
        "upsampling_matrix",
        edited("bilinear_aligned"),
        boxed.one_cell,
    ),
    "closed box": (localisation, "_ends", closed, boxed.same_size),
    "box of a pixel more": (localisation, "_ends", a_pixel_more, boxed.same_size),
    "overlap of closed boxes": (localisation, "iou", with_corners, boxed.overlaps),
    "overlap of closed boxes, masks": (localisation, "iou", with_corners, boxed.mask_overlaps),
    "overlap over the smaller": (localisation, "iou", over_the_smaller, boxed.public_overlaps),
    "overlap over both areas": (localisation, "iou", over_both, boxed.public_overlaps),
    "gap counted as overlap": (Tensor, "clamp", lambda part, **_: part, boxed.overlaps),
    "worst of the true boxes": (localisation, "localised", worst_of_all, boxed.found_boxes),
    "more than half": (localisation, "localised", more_than_half, boxed.found_boxes),
    "ties not averaged": (pointing, "peak", first_of_tied, pointed.peaks),
    "ties averaged after resizing": (pointing, "peak", after_growing, pointed.peaks),
    "only exact ties": (pointing, "_TIED", 0.0, pointed.known_peaks),
    "ties of one per cent": (pointing, "_TIED", 0.01, pointed.known_peaks),
    "peak with corners aligned": (pointing, "_centre", corners_on_corners, pointed.known_peaks),
    "peak at the cell's corner": (pointing, "_centre", corner_of_cell, pointed.known_peaks),
    "TorchRay's point before resizing": (pointing, "first_peak", peak, pointed.first_peaks),
    "TorchRay's last point": (
        pointing,
        "heights",
        lambda saliency, size: (
            -maps.heights(-saliency.flip(-1), size).flip(-1) * 0
            + torch.arange(size[0] * size[1]).reshape(size)
        ),
        pointed.first_peaks,
    ),
    "plateaus in the order of rounding": (maps, "_LEVELS", 2**60, scored.plateaus),
    "16 pixels": (pointing, "hits", lambda p, i, t=16.0: gap(p, i, t) <= t, pointed.within),
    "14 pixels": (pointing, "hits", lambda p, i, t=14.0: gap(p, i, t) <= t, pointed.within),
    "open disc": (pointing, "hits", pointing.touched, pointed.within),
    "TorchRay's disc closed": (pointing, "touched", pointing.hits, pointed.within),
    "city blocks": (pointing, "_gap", city_blocks, pointed.distances),
    "squared distance": (pointing, "_gap", squared, pointed.within),
    "rows for columns": (pointing, "_gap", rows_first, pointed.distances),
    "too small a square": (pointing, "_within", narrow, pointed.within),
    "box with its last number": (pointing, "_nearest", to_the_last_number, pointed.boxed),
    "box from its corner": (pointing, "_nearest", to_the_corner, pointed.boxed),
    "difficult up to a quarter": (pointing, "_DIFFICULT_BELOW", 0.2501, pointed.hard_pictures),
    "difficult below a fifth": (pointing, "_DIFFICULT_BELOW", 0.2, pointed.hard_pictures),
    "difficult without its segments": (pointing, "_pixels", in_boxes, pointed.hard_shapes),
    "difficult alone": (Sample, "labels", property(lambda sample: (3, 7)), pointed.hard_pictures),
    "precision of all together": (estimates, "class_precisions", all_hits_together, pointed.precision),
    "share of the score itself": (suppression, "normalised", of_the_score, scored.scores),
    "suppression for score": (suppression, "normalised", suppressed, scored.scores),
    "nothing left out": (suppression, "normalised", never_left_out, scored.scores),
    "left out below 1e-5": (suppression, "LEAST_SPAN", 1e-5, scored.scores),
    "mask not blurred again": (suppression, "smooth", lambda mask, _: mask, scored.simple_masks),
    "mask blurred by 5": (
        suppression,
        "smooth",
        lambda mask, sigma: smooth(mask, min(sigma, 5.0)),
        scored.simple_masks,
    ),
    "mask not stretched": (suppression, "binarised", not_stretched, scored.simple_masks),
    "mask stretched before its blur": (suppression, "binarised", stretched_first, scored.simple_masks),
    "mask kept strictly above": (suppression, "binarised", strictly_above, scored.sharp_masks),
    "flat mask stretched": (suppression, "_FLAT", 0.0, scored.flat_masks),
    "window of 7": (keypoints, "around_keypoints", seven, scored.known_windows),
    "window of 7, literal": (keypoints, "around_keypoints", seven, scored.windows),
    "window moved into the map": (keypoints, "around_keypoints", shifted_at_the_border, scored.windows),
    "window padded with 0": (keypoints, "around_keypoints", padded, scored.known_windows),
    "keypoints' rows for columns": (keypoints, "_cells", turned, scored.known_windows),
    "keypoints without half a pixel": (keypoints, "_cells", without_half, scored.windows),
    "keypoints with corners aligned": (keypoints, "_cells", nearest_centre, scored.windows),
    "insertion for deletion": (curves, "deletion", curves.insertion, scored.deleted),
    "deletion backwards": (curves, "_exchanged", backwards, scored.deleted),
    "insertion backwards": (curves, "_exchanged", backwards, scored.inserted),
    "least salient first": (curves, "pixel_ranks", least_salient_first, scored.deleted),
    "order of the nearest cells": (curves, "pixel_ranks", by_cells, scored.inserted),
    "curve of logits": (Reading, "target_scores", logits_of, scored.deleted),
    "curve of one class": (Reading, "target_scores", best_class, scored.inserted),
    "black for the mean colour": (InputValues, "color", BLACK, scored.deleted),
    "a wider blur": (curves, "_REACH", 20, scored.inserted),
    "a weaker blur": (curves, "_BLUR", 2.0, scored.inserted),
    "area by rectangles": (torch, "trapezoid", left_sums, scored.deleted),
    "area of even steps": (torch, "trapezoid", evenly, scored.inserted),
    "deviation over n": (estimates, "_normal", per_root, errors.means),
    "90 % interval": (estimates, "_Z", 1.6448536269514722, errors.means),
    "90 % interval, Wilson": (estimates, "_Z", 1.6448536269514722, errors.proportions),
    "NaN counted as 0": (estimates, "_finite", counted_too, errors.left_out),
    "normal interval of a proportion": (estimates, "_wilson", wald, errors.proportions),
    "ratio of means that vary apart": (estimates, "ratio_of", uncoupled, errors.ratios),
    "mean of ratios": (estimates, "ratio_of", mean_of_ratios, errors.ratios),
    "classes as one": (estimates, "mean_precision_of", as_one_class, errors.precisions),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(name, monkeypatch):
    place, part, mistake, compare = MISTAKES[name]
    monkeypatch.setattr(place, part, mistake)
    with pytest.raises(AssertionError, match=r"Mismatched elements|^assert"):
        compare()
