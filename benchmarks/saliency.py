"""What every saliency method costs compared with the passes that it needs at least, and where it points.

Times are divided by those of bare passes of the same network, in the same batch size and timed in turn with
the method. Where a method points is measured on scenes of the menagerie, where the truth is known: the share
of scenes in which the map's maximum lies on the animal, and the share of the saliency that lies there.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track
from torch import Tensor

import unsee
from chart import Rows, table
from common import network, photos
from unsee.classifier import Classifier
from unsee.datasets.menagerie import CLASSES, compose, render
from unsee.masks import PRESETS
from unsee.methods import METHODS

_AT_ONCE = 16
_ROUNDS = 9


class Passes(NamedTuple):
    """Forward and backward passes per image that a method needs at least."""

    forward: int
    backward: int


ONE = Passes(1, 1)
COSTS: dict[str, Passes] = {
    **dict.fromkeys(("gradient", "guided_backprop", "deconvnet", "gradient_x_input", "linear"), ONE),
    "excitation_backprop": Passes(2, 1),
    "contrastive_excitation_backprop": Passes(2, 1),
    "grad_cam": ONE,
    "cam": Passes(1, 0),
    "lrp": Passes(3, 2),
    "feedback": Passes(12, 12),
    "occlusion": Passes(785, 0),
    "blur_occlusion": Passes(785, 0),
    "variable_occlusion": Passes(785, 0),
    "lime": Passes(1001, 0),
    "integrated_gradients": Passes(50, 50),
    "smooth_grad": Passes(25, 25),
    "rise": Passes(4000, 0),
}
"""Excitation needs the activations, then W⁺x and its backward pass; LRP's z⁺ needs two more of each. Feedback
stops when no gate closes; 12 are what it usually needs."""

FEWER: dict[str, tuple[dict[str, int], int]] = {
    "rise": ({"masks": 400}, 400),
    "lime": ({"samples": 400}, 401),
    "feedback": ({"passes": 4}, 4),
}
"""Timed with fewer draws or passes, and the forward passes that are left; each takes the same time."""


def main() -> None:
    """Print both tables and write them as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", default="squeezenet1_1,googlenet_bvlc,resnet18")
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    arguments = parser.parse_args()
    result: dict[str, Rows] = {}
    for name in filter(None, arguments.networks.split(",")):
        classifier = network(name)
        rows = [cost(classifier, m) for m in track(COSTS, description=name)]
        result[f"{name}: time compared with the passes that are needed"] = rows
    if arguments.scenes:
        result["the menagerie: where it points"] = pointing(arguments.scenes)
    for title, rows in result.items():
        Console(width=120).print(table(title, rows))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "saliency.json").write_text(json.dumps(result, indent=1), encoding="utf-8")


def cost(classifier: Classifier, method: str) -> dict[str, float | str]:
    """Seconds of a method per image, and their ratio to those of its passes."""
    needs = COSTS[method]
    by_itself = needs.forward > 12
    pictures = photos(1 if by_itself else _AT_ONCE)
    images = torch.stack([unsee.Squash().apply(p.pixels, classifier.size) for p in pictures])
    views = images if len(images) == _AT_ONCE else images.expand(_AT_ONCE, -1, -1, -1).contiguous()
    share = 1.0
    call: Callable[..., Tensor] = METHODS[method].call
    if method in FEWER:
        options, left = FEWER[method]
        share = left / needs.forward
        call = partial(call, **options)
    whole: list[float] = []
    bare: list[float] = []
    for _ in range(3 if by_itself else _ROUNDS):
        bare.append(_passes(classifier, views, needs) * len(images) * share)
        began = time.perf_counter()
        call(classifier, images, [0] * len(images))
        whole.append(time.perf_counter() - began)
    own, theirs = median(whole), median(bare)
    each = own / len(images) / share
    return {"method": method, "seconds per image": each, "over its passes": own / theirs}


def _passes(classifier: Classifier, views: Tensor, needs: Passes) -> float:
    """Seconds of a method's passes per image, from bare passes of a batch."""
    with classifier.borrowed():
        began = time.perf_counter()
        with torch.set_grad_enabled(needs.backward > 0):
            entered = views.clone().requires_grad_(needs.backward > 0)
            score = classifier.logits(entered)[:, 0].sum()
        forward = time.perf_counter() - began
        began = time.perf_counter()
        if needs.backward:
            torch.autograd.grad(score, entered)
        backward = time.perf_counter() - began
    return (needs.forward * forward + needs.backward * backward) / len(views)


def pointing(scenes: int) -> Rows:
    """Hits and shares of every method, including the learned mask, over scenes of one animal each."""
    classifier = network("menagerie")
    samples = [render(compose(CLASSES[seed % len(CLASSES)], seed=seed)) for seed in range(scenes)]
    targets = [seed % len(CLASSES) for seed in range(scenes)]
    drawn = [unsee.read_photo(sample.image).pixels for sample in samples]
    images = torch.stack([unsee.Squash().apply(pixels, classifier.size) for pixels in drawn])
    animals = torch.stack([torch.from_numpy(s.segment(t)) for s, t in zip(samples, targets, strict=True)])
    wanted = torch.tensor(targets)
    rows: Rows = []
    for name, method in track(METHODS.items(), description="the menagerie"):
        if method.learned:
            maps = _masks(classifier, drawn, targets)
        else:
            parts = [slice(first, first + _AT_ONCE) for first in range(0, scenes, _AT_ONCE)]
            maps = torch.cat([method(classifier, images[i], wanted[i]) for i in parts])
        hits, inside = judged(maps, animals)
        rows.append({"method": name, "points at the animal": hits, "saliency inside it": inside})
    chance = float(animals.float().mean())
    return [
        *rows,
        {"method": "(the animal's area)", "points at the animal": chance, "saliency inside it": chance},
    ]


def judged(maps: Tensor, animals: Tensor) -> tuple[float, float]:
    """The share of maps whose maximum lies on the animal, and the mean share of the saliency that does."""
    large = F.interpolate(maps[:, None].float(), animals.shape[1:], mode="bilinear")[:, 0].clamp(min=0)
    hits, shares = [], []
    for spread, where in zip(large, animals, strict=True):
        rows, columns = torch.nonzero(spread >= spread.max() - 1e-6 * spread.max(), as_tuple=True)
        hits.append(float(where[int(rows.float().mean()), int(columns.float().mean())]))
        shares.append(float((spread * where).sum() / spread.sum().clamp(min=1e-12)))
    return sum(hits) / len(hits), sum(shares) / len(shares)


def _masks(classifier: Classifier, images: list[Tensor], targets: list[int]) -> Tensor:
    settings = PRESETS["fast"]
    found = unsee.explain(classifier, images, targets, preset=settings)
    assert isinstance(found, list)
    grids = torch.stack([each.mask_grid for each in found])
    return 1 - settings.grid.upsampler(classifier.size, grids)(grids)


if __name__ == "__main__":
    main()
