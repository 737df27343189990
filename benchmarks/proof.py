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
from statistics import mean
from typing import Any

import torch

from common import network, over_all_windows, sources
from unsee.classifier import Classifier
from unsee.images import Photo, read_photo
from unsee.masks import PRESETS
from unsee.masks.edits.perturbation import PERTURBATIONS
from unsee.masks.game import GAMES
from unsee.masks.objective import Objective
from unsee.masks.penalties import L1, TotalVariation
from unsee.masks.photos import LearnedPhoto, Plan, learn_photos
from unsee.masks.settings import Settings
from unsee.target_scores import SCORES

Results = dict[str, Any]
NETWORKS = ("squeezenet1_1", "googlenet_bvlc", "mobilenet_v2", "vit_tiny_patch16_224")

_EMPTY = 0.005


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
    *(Cell(perturbation=name) for name in ("constant", "noise", "joint", "pyramid")),
    *(Cell(1e-3, 2.0, 5, perturbation=name) for name in ("constant", "noise", "joint", "pyramid")),
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
    found: list[float] = []
    for first in range(0, len(some), 64):
        group = some[first : first + 64]
        grids = torch.stack([one.learned.grid for one in group])
        grids = grids if value is None else torch.full_like(grids, value)
        inputs, targets = [one.network_input for one in group], [one.target.indices for one in group]
        found += over_all_windows(classifier, inputs, targets, grids, settings).tolist()
    return found


def report(folder: Path) -> str:
    """Tables of a folder's results, in Markdown: one for each precision, and how far these are apart."""
    found = {
        name: json.loads(file.read_text(encoding="utf-8"))
        for name in NETWORKS
        if (file := folder / f"{name}.json").exists()
    }
    tables = [_table(way, found) for way in ("fast/bfloat16", "fast/float32")]
    return "\n\n".join([*tables, _apart(found)])


def _table(way: str, found: dict[str, Results]) -> str:
    lines = [f"| {way} | " + " | ".join(found) + " | evaluations |", "|---" * (len(found) + 2) + "|"]
    for cell in CELLS:
        known = [kept.get(cell.name, {}) for kept in found.values()]
        there = [kept[way] for kept in known if way in kept and "paper" in kept]
        if there:
            texts = [compared(kept, way, cell) if way in kept and "paper" in kept else "" for kept in known]
            each = "–".join(f"{f(mean(kept['evaluations']) for kept in there):.0f}" for f in (min, max))
            lines.append(f"| {cell.name} | " + " | ".join(texts) + f" | {each} |")
    return "\n".join(lines)


def _apart(found: dict[str, Results]) -> str:
    """Over all cells, how far the mean objectives of the two precisions are apart."""
    pairs = {
        (name, cell.name): [
            excess(kept[cell.name], way, cell)[0] for way in ("fast/bfloat16", "fast/float32")
        ]
        for name, kept in found.items()
        for cell in CELLS
        if {"paper", "fast/bfloat16", "fast/float32"} <= kept.get(cell.name, {}).keys()
    }
    apart = {key: abs(one / other - 1) for key, (one, other) in pairs.items()}
    within = sum(value <= 0.02 for value in apart.values())
    far = sorted(apart, key=lambda key: -apart[key])[:5]
    listed = ", ".join(f"{name} {cell}: {apart[name, cell]:.1%}" for name, cell in far)
    return f"bfloat16 and float32 agree within 2 % in {within} of {len(apart)} cells; farthest: {listed}"


def compared(kept: Results, way: str, cell: Cell) -> str:
    """Mean and worst objective over that of `paper`, and the masks that are empty where `paper`'s are not."""
    average, worst = excess(kept, way, cell)
    empty = sum(a < _EMPTY <= b for a, b in zip(kept[way]["area"], kept["paper"]["area"], strict=True))
    return f"{average:.3f}, {worst:.2f}" + (f", {empty} empty" if empty else "")


def excess(kept: Results, way: str, cell: Cell) -> tuple[float, float]:
    """Mean over mean, and the largest of any picture.

    Objectives are counted from the lowest possible score. A logit has none: there the gain of `paper` over
    the untouched image is divided by that of the way.
    """
    own, paper = (torch.tensor(kept[one]["objective"], dtype=torch.float64) for one in (way, "paper"))
    if cell.score == "logit":
        untouched = torch.tensor(kept["paper"]["untouched"], dtype=torch.float64)
        above, below = untouched - paper, (untouched - own).clamp(min=1e-9)
    else:
        least = -len(PERTURBATIONS[cell.perturbation]) if cell.game == "preservation" else 0
        above, below = own - least, paper - least
    return float(above.mean() / below.mean()), float((above / below).max())


if __name__ == "__main__":
    main()
