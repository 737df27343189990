"""Is `fast` never worse than `paper`? The objective of both on a grid of settings, networks and pictures.

A cell of the grid is one choice of penalties, classes, score, game and perturbation. Results are kept in one
file for each network, where a stopped command continues. `--report` prints the table of what is there.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from common import network, sources
from unsee.classifier import Classifier
from unsee.images import Photo, read_photo
from unsee.masks import PRESETS
from unsee.masks.edits.perturbation import PERTURBATIONS
from unsee.masks.game import GAMES
from unsee.masks.objective import SCORES, Objective, total
from unsee.masks.penalties import L1, TotalVariation
from unsee.masks.photos import LearnedPhoto, Plan, learn_photos
from unsee.masks.scoring import Scoring
from unsee.masks.settings import Settings

NETWORKS = ("squeezenet1_1", "googlenet_bvlc", "mobilenet_v2", "vit_tiny_patch16_224")


@dataclass(frozen=True)
class Cell:
    """One choice of what is minimised."""

    l1: float = 1e-4
    beta: float = 3.0
    classes: int = 1
    score: str = "softmax"
    game: str = "deletion"
    perturbation: str = "blur"

    @property
    def name(self) -> str:
        """The settings that differ from the paper's, in words."""
        parts = [f"λ1={self.l1:.0e}".replace("e-0", "e-"), f"β={self.beta:g}"]
        parts += [f"{self.classes} classes"] if self.classes > 1 else []
        others = ((self.score, "softmax"), (self.game, "deletion"), (self.perturbation, "blur"))
        return ", ".join(parts + [own for own, usual in others if own != usual])

    def settings(self, preset: str) -> Settings:
        """A preset with this objective."""
        penalties = (L1(self.l1), TotalVariation(1e-2, self.beta))
        return replace(
            PRESETS[preset],
            objective=Objective(GAMES[self.game], penalties, SCORES[self.score]),
            perturbations=PERTURBATIONS[self.perturbation],
            targets=self.classes,
        )


CELLS = (
    *(
        Cell(l1, beta, classes)
        for classes in (1, 5)
        for l1 in (1e-5, 1e-4, 1e-3, 1e-2)
        for beta in (3.0, 2.0)
    ),
    *(Cell(l1, game="preservation") for l1 in (1e-5, 1e-4, 1e-3, 1e-2)),
    Cell(1e-3, 2.0, 5, game="preservation"),
    *(Cell(l1, 3.0, classes, "logit") for classes, l1 in ((1, 1e-4), (1, 1e-2), (5, 1e-3))),
    Cell(1e-3, score="logit", game="preservation"),
    *(Cell(perturbation=name) for name in ("constant", "noise", "joint")),
    *(Cell(1e-3, 2.0, 5, perturbation=name) for name in ("constant", "noise", "joint")),
)


def main() -> None:
    """Learn the masks that are missing, or print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--count", type=int, default=64, help="pictures")
    parser.add_argument("--ways", default="paper,fast/float32,fast/bfloat16", help="PRESET/PRECISION")
    parser.add_argument("--cells", default="", help="numbers of cells, such as 0,3-5; all unless given")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no cell after so long")
    parser.add_argument("--out", type=Path, default=Path("proof-out"))
    parser.add_argument("--report", action="store_true", help="print the table only")
    arguments = parser.parse_args()
    if not arguments.report:
        for name in arguments.networks.split(","):
            measure(name, arguments)
    print(report(arguments.out))


def measure(name: str, arguments: argparse.Namespace) -> None:
    """All cells of one network."""
    began = time.perf_counter()
    classifier = network(name, arguments.device)
    photos = [read_photo(source) for source in sources(arguments.count)]
    file = arguments.out / f"{name}.json"
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for place in chosen(arguments.cells):
        for way in arguments.ways.split(","):
            kept = found.setdefault(CELLS[place].name, {})
            if way in kept or time.perf_counter() - began > arguments.seconds:
                continue
            kept[way] = measured(classifier, photos, CELLS[place], way, arguments.batch)
            file.write_text(json.dumps(found), encoding="utf-8")
            own = kept[way]
            print(
                f"{name} · {CELLS[place].name} · {way}: {sum(own['objective']) / len(photos):.5f}, "
                f"{sum(own['evaluations']) / len(photos):.1f} evaluations, {own['seconds']:.1f} s",
                flush=True,
            )


def chosen(text: str) -> list[int]:
    """The cells' numbers of a text such as 0,3-5."""
    if not text:
        return list(range(len(CELLS)))
    ends = [(part.split("-")[0], part.split("-")[-1]) for part in text.split(",")]
    return [place for first, last in ends for place in range(int(first), int(last) + 1)]


def measured(
    classifier: Classifier, photos: Sequence[Photo], cell: Cell, way: str, batch: int | None
) -> dict[str, object]:
    """What one way makes of the pictures in one cell."""
    preset, precision = [*way.split("/"), "auto"][:2]
    settings = cell.settings(preset)
    began = time.perf_counter()
    plan = Plan(settings, preset, precision=precision, batch_size=batch)
    learned = list(learn_photos(classifier, ((photo, None) for photo in photos), plan))
    seconds = time.perf_counter() - began
    return {
        "objective": objectives(classifier, learned, settings),
        "untouched": objectives(classifier, learned, settings, settings.objective.game.ideal),
        "evaluations": [one.learned.evaluations for one in learned],
        "area": [float(settings.objective.game.saliency(one.learned.grid).mean()) for one in learned],
        "scores": [one.learned.scores.tolist() for one in learned],
        "verdict": [one.learned.verdict for one in learned],
        "seconds": seconds,
    }


def objectives(
    classifier: Classifier, some: Sequence[LearnedPhoto], settings: Settings, value: float | None = None
) -> list[float]:
    """The objective of each mask over all windows of the jitter, in float32; of constant masks if `value`."""
    groups = [some[first : first + 64] for first in range(0, len(some), 64)]
    return [one for group in groups for one in _objectives(classifier, group, settings, value).tolist()]


@torch.no_grad()
def _objectives(
    classifier: Classifier, some: Sequence[LearnedPhoto], settings: Settings, value: float | None
) -> Tensor:
    inputs = [one.network_input for one in some]
    with classifier.borrowed():
        classes = classifier.logits(inputs[0].plain[None].to(classifier.device)).shape[1]
        scoring = Scoring.prepare(
            classifier,
            inputs,
            [one.target.indices for one in some],
            classes,
            settings.perturbations,
            settings.objective.score,
        )
        grids = torch.stack([one.learned.grid for one in some]).to(scoring.targets)
        if value is not None:
            grids = torch.full_like(grids, value)
        masks = settings.grid.upsampler(scoring.size, scoring.targets)(grids)
        places = torch.arange(settings.jitter, device=grids.device)
        windows = torch.cartesian_prod(places, places)
        scores = [scoring.jittered_scores(masks, place.expand(len(some), 2)).values for place in windows]
        iteration = torch.zeros(len(some), device=grids.device).long()
        return total(settings.objective.terms(grids, torch.stack(scores).mean(dim=0), iteration)).cpu()


def report(folder: Path) -> str:
    """The table of a folder's results, in Markdown."""
    ways = ("fast/float32", "fast/bfloat16")
    lines = ["| network | cell | way | mean | worst | empty | evaluations |", "|---|---|---|---|---|---|---|"]
    for name in NETWORKS:
        file = folder / f"{name}.json"
        if not file.exists():
            continue
        for cell, kept in json.loads(file.read_text(encoding="utf-8")).items():
            lines += [
                f"| {name} | {cell} | {way} | " + " | ".join(row(kept, way, cell)) + " |"
                for way in ways
                if way in kept and "paper" in kept
            ]
    return "\n".join(lines)


def row(kept: dict[str, dict[str, list[float]]], way: str, cell: str) -> list[str]:
    """The cells of a line of the table."""
    own, paper = (torch.tensor(kept[one]["objective"], dtype=torch.float64) for one in (way, "paper"))
    untouched = torch.tensor(kept["paper"]["untouched"], dtype=torch.float64)
    if "logit" in cell:
        low = (untouched - own, untouched - paper)
        mean, worst = float(low[1].mean() / low[0].mean()), float((low[1] / low[0].clamp(min=1e-9)).max())
    else:
        edits = 3 if "joint" in cell else 1
        least = -edits if "preservation" in cell else 0
        mean = float((own - least).mean() / (paper - least).mean())
        worst = float(((own - least) / (paper - least)).max())
    empty = sum(a < 0.005 <= b for a, b in zip(kept[way]["area"], kept["paper"]["area"], strict=True))
    evaluations = torch.tensor(kept[way]["evaluations"], dtype=torch.float64).mean()
    return [f"{mean:.3f}", f"{worst:.2f}", str(empty), f"{evaluations:.1f}"]


if __name__ == "__main__":
    main()
