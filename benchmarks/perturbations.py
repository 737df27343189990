"""What each perturbation leaves behind, how exact the pyramid is, and what it costs.

    python benchmarks/perturbations.py [--figure FILE.png] [--network efficientnet_lite0]

Photos are those that scikit-image carries. Cost is the time of one evaluation with its gradient, a batch of
16, over that of the linear blend, alternating in one run.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

import unsee
from common import network
from unsee.classifier import Classifier
from unsee.experiments.demonstration import carried_photos
from unsee.explanation import Explanation
from unsee.fits import Squash
from unsee.images import Photo
from unsee.masks.edits.blur_stack import between
from unsee.masks.edits.edit import Edit
from unsee.masks.edits.perturbation import PERTURBATIONS, Blur
from unsee.masks.edits.pyramid import Pyramid
from unsee.masks.network_input import NetworkInput
from unsee.tensors import smooth

NAMES = ("pyramid", "blur", "constant", "noise", "median")
LEVELS = (6, 8, 12, 16, 24)
ROUNDS, BATCH = 7, 16


def errors(photos: Sequence[Photo]) -> None:
    """The distance of the pyramid to the exact blur, sigma from 0 at the left to 10 at the right."""
    print("levels   root mean square   largest   (values in [0,1])")
    images = [Squash().apply(photo.pixels.double(), (224, 224)) for photo in photos]
    share = torch.linspace(0, 1, 224, dtype=torch.float64)
    exact = [
        torch.stack([smooth(im, 10 * float(s))[..., i] for i, s in enumerate(share)], -1) for im in images
    ]
    for levels in LEVELS:
        pyramid = Pyramid(levels=levels)
        mask = (1 - share).expand(1, 224, 224)
        found = [between(pyramid.stack(image)[None], pyramid.shares, mask)[0] for image in images]
        apart = torch.stack([one - own for one, own in zip(found, exact, strict=True)])
        print(f"{levels:6}   {apart.square().mean().sqrt():16.5f}   {apart.abs().max():7.4f}")


def evaluate(classifier: Classifier, edit: Edit, masks: Tensor, offsets: Tensor) -> float:
    """Seconds of one evaluation with its gradient."""
    masks = masks.clone().requires_grad_()
    began = time.perf_counter()
    logits = edit.logits(classifier, edit.apply(masks, offsets))
    torch.autograd.grad(logits[:, 0].sum(), masks)
    return time.perf_counter() - began


def cost(classifier: Classifier, photos: Sequence[Photo]) -> None:
    """The time of the pyramid over that of the linear blend."""
    inputs = [NetworkInput.of(classifier, photos[i % len(photos)], Squash(), 0, 4) for i in range(BATCH)]
    edits = [one.prepare(classifier, inputs) for one in (Blur(), Pyramid())]
    masks, offsets = torch.rand(BATCH, *classifier.size), torch.randint(0, 4, (BATCH, 2))
    ratios = []
    with classifier.borrowed():
        for _ in range(ROUNDS + 1):
            blend, pyramid = (evaluate(classifier, edit, masks, offsets) for edit in edits)
            ratios.append(pyramid / blend)
    print(f"\none evaluation, batch of {BATCH}: pyramid over blend {statistics.median(ratios[1:]):.3f}")


def left_behind(classifier: Classifier, photos: Sequence[Photo]) -> dict[str, list[Explanation]]:
    """Masks by each perturbation, and the share of the score that is left when another shows the deletion."""
    found: dict[str, list[Explanation]] = {}
    print("\nmask learned with | area, % | score left, %, where it is shown with " + ", ".join(NAMES))
    for name in NAMES:
        made = unsee.explain(classifier, list(photos), perturbation=name)
        found[name] = made if isinstance(made, list) else [made]
        areas = [one.area for one in found[name]]
        shares = [statistics.mean(_left(classifier, one, other) for one in found[name]) for other in NAMES]
        cells = "  ".join(f"{100 * share:5.1f}" for share in shares)
        print(f"{name:17} | {100 * statistics.mean(areas):7.1f} | {cells}")
    return found


def _left(classifier: Classifier, explanation: Explanation, shown: str) -> float:
    (perturbation,) = PERTURBATIONS[shown]
    given = NetworkInput.of(classifier, explanation.photo, Squash(), 0)
    edit = perturbation.prepare(classifier, [given])
    mask = Squash().apply(explanation.mask[None], classifier.size)
    ends = (torch.ones_like(mask), mask)
    with classifier.borrowed(), torch.no_grad():
        logits = torch.cat([edit.logits(classifier, edit.apply(one)) for one in ends])
    whole, left = classifier.target_scores(logits, [explanation.target.indices] * 2).tolist()
    return float(left / whole)


def draw(found: dict[str, list[Explanation]], file: Path) -> None:
    """The edited photos: a row for each photo, a column for each perturbation."""
    rows = len(next(iter(found.values())))
    figure = Figure(figsize=(2.6 * len(found), 2.7 * rows), layout="constrained")
    axes = figure.subplots(rows, len(found), squeeze=False)
    for column, (name, explanations) in enumerate(found.items()):
        for row, one in enumerate(explanations):
            place = axes[row][column]
            if one.perturbed is not None:
                place.imshow(one.perturbed.permute(1, 2, 0).clamp(0, 1).numpy())
            place.set_title(f"{name}: {one.scores.original:.2f} → {one.scores.perturbed:.2f}", fontsize=8)
            place.axis("off")
    figure.savefig(file, dpi=80)


def main() -> None:
    """Print the tables, and draw the figure if a file is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--network", default="efficientnet_lite0")
    options = parser.parse_args()
    classifier, photos = network(options.network), carried_photos()
    errors(photos)
    cost(classifier, photos)
    found = left_behind(classifier, photos)
    if options.figure:
        draw(found, options.figure)


if __name__ == "__main__":
    main()
