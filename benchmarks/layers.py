"""How much faster a mask on a layer is learned where the network is cut there; all ratios within one run.

For each layer: one evaluation with its gradient by the part behind the layer, by the whole network with a
hook, and of a mask on pixels by the fast copy that masks on pixels are learned with; in turn, medians. Then
whole masks, cut and not, and how far they differ.

python benchmarks/layers.py --networks googlenet_bvlc,alexnet,vgg16,resnet18 --out bench-out/layers.json
"""

import argparse
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from unittest import mock

import torch
from torch import Tensor

from common import network, photos
from unsee import behind_layer as behind_file
from unsee.behind_layer import BehindLayer, behind_layer
from unsee.classifier import Classifier
from unsee.experiments.layers import shown_layers
from unsee.fits import Squash
from unsee.layer_names import paper_names
from unsee.masks import PRESETS, explain, on_layer
from unsee.masks.network_input import NetworkInput
from unsee.masks.scoring import Scoring
from unsee.masks.settings import Settings
from unsee.tuning import tuned

_NETWORKS = "googlenet_bvlc,alexnet,resnet18,vgg16"
_LAST = 5


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", default=_NETWORKS)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--masks", type=int, default=2, help="photos whose masks are learned, 0 for none")
    parser.add_argument("--out", type=Path, default=Path("bench-out/layers.json"))
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = []
    for name in arguments.networks.split(","):
        classifier = network(name, device)
        papers = {layer: paper for paper, layer in paper_names(classifier).items()}
        for layer in shown_layers(classifier):
            row = {"network": name, "layer": papers.get(layer, layer), "device": device}
            row |= evaluations(classifier, layer, arguments.batch, arguments.repeats)
            if arguments.masks:
                row |= masks(classifier, layer, arguments.masks)
            rows.append(row)
            print(
                "  ".join(
                    f"{key} {value:.4g}" if isinstance(value, float) else f"{value}"
                    for key, value in row.items()
                )
            )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def evaluations(classifier: Classifier, layer: str, batch: int, repeats: int) -> dict[str, float | str]:
    """Milliseconds an image of one evaluation with its gradient, three ways, and their ratios."""
    given = [
        NetworkInput.of(classifier, photo, Squash(), seed, 4) for seed, photo in enumerate(photos(batch))
    ]
    settings = on_layer(PRESETS["paper"], classifier, layer)
    cut, whole = behind_layer(classifier, layer), behind_layer(classifier, layer)
    assert isinstance(cut.net, BehindLayer)
    assert isinstance(whole.net, BehindLayer)
    whole.net.cuts = ()
    with classifier.borrowed():
        fast = tuned(classifier)
    ways = {
        "cut": _step(cut, settings, given),
        "whole": _step(whole, settings, given),
        "pixels": _step(fast, PRESETS["paper"], given),
    }
    spent: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats + 1):
        for way, step in ways.items():
            began = time.perf_counter()
            step()
            if classifier.device.type == "cuda":
                torch.cuda.synchronize()
            spent[way].append(1000 * (time.perf_counter() - began) / batch)
    found = {way: median(times[1:]) for way, times in spent.items()}
    return {
        "is cut": str(cut.net.is_cut),
        **{f"ms, {way}": value for way, value in found.items()},
        "whole / cut": found["whole"] / found["cut"],
        "pixels / cut": found["pixels"] / found["cut"],
    }


def _step(classifier: Classifier, settings: Settings, given: list[NetworkInput]) -> Callable[[], Tensor]:
    """One evaluation of a mask of each image, with its gradient."""
    scoring = Scoring.prepare(
        classifier,
        given,
        [(1,)] * len(given),
        1000,
        settings.perturbations,
        settings.objective.score_on("softmax"),
    )
    start = torch.full((len(given), *scoring.size), 0.5, device=classifier.device)
    offsets = torch.zeros(len(given), 2, dtype=torch.long, device=classifier.device)

    def step() -> Tensor:
        mask = start.clone().requires_grad_()
        scores = scoring.jittered_scores(mask, offsets).values
        return torch.autograd.grad(scores.sum(), mask)[0]

    return step


def masks(classifier: Classifier, layer: str, count: int) -> dict[str, float]:
    """Seconds a mask by `fast` in float32, cut and not, their ratio, and how far scores and masks differ."""
    found, seconds = [], []
    for cut in (True, False):
        refused = nullcontext() if cut else mock.patch.object(behind_file, "cut_at", return_value=None)
        began = time.perf_counter()
        with refused:
            found.append(explain(classifier, photos(count), layer=layer, precision="float32"))
        seconds.append((time.perf_counter() - began) / count)
    pairs = list(zip(*found, strict=True))
    return {
        "s a mask, cut": seconds[0],
        "s a mask, whole": seconds[1],
        "mask, whole / cut": seconds[1] / seconds[0],
        "most difference of masks": max(float((a.mask_grid - b.mask_grid).abs().max()) for a, b in pairs),
        "most difference of scores": max(abs(a.scores.perturbed - b.scores.perturbed) for a, b in pairs),
    }


if __name__ == "__main__":
    main()
