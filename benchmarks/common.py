"""Networks, images and objectives that the benchmarks share."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import get_model

import unsee
from unsee.classifier import Classifier
from unsee.datasets.menagerie import CLASSES, compose, render
from unsee.explanation import Explanation
from unsee.images import Photo, PhotoLike, read_photo
from unsee.masks import PRESETS
from unsee.masks.network_input import NetworkInput
from unsee.masks.objective import total
from unsee.masks.scoring import Scoring
from unsee.memory import keep_freed
from unsee.models.bvlc_googlenet import BVLCGoogLeNet

NETWORKS = ("squeezenet1_1", "googlenet_bvlc", "resnet18")
_FOLDERS = ("photos", "imagenet_val", "imagenet_train")


def assets() -> Path | None:
    """The folder with real weights and photos; None if `UNSEE_ASSETS` is not set."""
    folder = os.environ.get("UNSEE_ASSETS")
    return Path(folder) if folder else None


def weights_of(name: str) -> Path | None:
    """A network's weight file among the assets; None if there is none."""
    folder = assets()
    file = folder / "weights" / f"{name}.safetensors" if folder else None
    return file if file is not None and file.exists() else None


def network(name: str, device: str = "cpu") -> Classifier:
    """A network with its weights from the assets, or with random weights, which take the same time."""
    keep_freed()
    file = weights_of(name)
    if name == "menagerie":
        return unsee.load("unsee:menagerie", device=device)
    if name == "efficientnet_lite0":
        return unsee.load("unsee:efficientnet-lite0", device=device)
    if file is not None and not name.startswith("vit_"):
        full = "unsee:googlenet-bvlc" if name == "googlenet_bvlc" else f"torchvision:{name}"
        return unsee.load(full, file, device)
    if name.startswith("vit_"):
        return _from_timm(name, file, device)
    torch.manual_seed(0)
    net = BVLCGoogLeNet() if name == "googlenet_bvlc" else get_model(name, weights=None)
    return Classifier(net.eval().to(device), name=name)


def _from_timm(name: str, file: Path | None, device: str) -> Classifier:
    """A network of timm's, with weights that take images normalised by ImageNet's mean and deviation."""
    import timm  # noqa: PLC0415

    torch.manual_seed(0)
    net = timm.create_model(name, pretrained=False)
    if file is not None:
        net.load_state_dict({key: value.float() for key, value in load_file(file).items()})
    return Classifier(net.eval().to(device), name=f"timm:{name}")


def photos(count: int) -> list[Photo]:
    """Real photos from the folders of the assets in turn; noise if there are no assets."""
    return [read_photo(source) for source in sources(count)]


def sources(count: int) -> list[PhotoLike]:
    """The photos' files, or noise if there are no assets."""
    folder = assets()
    if folder is None:
        draws = torch.Generator().manual_seed(0)
        return [torch.rand(3, 224, 224, generator=draws) for _ in range(count)]
    lists = [_listed(folder / name) for name in _FOLDERS]
    mixed = [row[place] for place in range(count) for row in lists if place < len(row)]
    return [mixed[place % len(mixed)] for place in range(count)]


def scenes(count: int) -> list[tuple[PhotoLike, str]]:
    """Menagerie scenes of one animal each, with the animal's name."""
    found: list[tuple[PhotoLike, str]] = []
    for seed in range(count):
        animal = CLASSES[seed % len(CLASSES)]
        found.append((render(compose(animal, seed=seed)).image, animal))
    return found


def explained(classifier: Classifier, pictures: Sequence[Photo], preset: str) -> list[Explanation]:
    """One explanation for each photo."""
    answers = unsee.explain(classifier, list(pictures), preset=preset)
    return answers if isinstance(answers, list) else [answers]


def objectives(classifier: Classifier, explanations: Sequence[Explanation]) -> Tensor:
    """The paper's objective of each mask, averaged over all 16 windows of the jitter, in float32."""
    settings = PRESETS["paper"]
    return torch.cat(
        [
            _objectives(classifier, explanations[first : first + 16], settings)
            for first in range(0, len(explanations), 16)
        ]
    )


def _objectives(
    classifier: Classifier, some: Sequence[Explanation], settings: unsee.masks.Settings
) -> Tensor:
    fit, color = unsee.Squash(), classifier.color
    inputs = [NetworkInput(e.photo, classifier.size, settings.margin, fit, color, 0) for e in some]
    grids = torch.stack([e.mask_grid for e in some])
    return over_all_windows(classifier, inputs, [e.target.indices for e in some], grids, settings)


@torch.no_grad()
def over_all_windows(
    classifier: Classifier,
    inputs: Sequence[NetworkInput],
    targets: Sequence[tuple[int, ...]],
    grids: Tensor,
    settings: unsee.masks.Settings,
) -> Tensor:
    """The objective of one mask for each image, averaged over all windows of the jitter, in float32."""
    with classifier.borrowed():
        classes = classifier.reading.classes
        score = settings.objective.score_on(classifier.reading.kind)
        scoring = Scoring.prepare(classifier, inputs, targets, classes, settings.perturbations, score)
        grids = grids.to(scoring.targets)
        masks = settings.grid.upsampler(scoring.size, scoring.targets)(grids)
        places = torch.arange(settings.jitter, device=grids.device)
        offsets = [place.expand(len(inputs), 2) for place in torch.cartesian_prod(places, places)]
        scores = [scoring.jittered_scores(masks, offset).values for offset in offsets]
        iteration = torch.zeros(len(inputs), device=grids.device).long()
        return total(settings.objective.terms(grids, torch.stack(scores).mean(dim=0), iteration)).cpu()


def _listed(folder: Path) -> list[Path]:
    table = folder / "labels.csv"
    if not table.exists():
        return sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png"))
    with table.open(encoding="utf-8") as lines:
        return [folder / row["file"] for row in csv.DictReader(lines)]
