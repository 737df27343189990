"""Masks without a gradient beside the alternatives: objective, suppression, area and pointing by evaluations.

`fast` learns each mask with gradients; `surrogate/N` without, in N evaluations; `cmaes/N` by the separable
CMA-ES of the library cmaes, on 14×14 cells; `rise/4000` is RISE's map, cut where the objective is lowest. The
objective is the paper's, over all 16 windows of the jitter. Photos come from UNSEE_ASSETS; `--network
menagerie` draws scenes. Rows are written as they are known, and a stopped command continues; `--part 2/8`
takes every eighth image from the second, so that several commands can share the work.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from cmaes import SepCMA
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

import unsee
from common import network, sources
from unsee.datasets.menagerie import CLASSES, compose, render
from unsee.images import Photo, read_photo
from unsee.masks import PRESETS
from unsee.masks.network_input import NetworkInput
from unsee.masks.objective import total
from unsee.masks.optimisers.surrogate import Surrogate
from unsee.masks.scoring import Scoring
from unsee.masks.settings import Settings
from unsee.metrics.pointing import peak
from unsee.saliency.rise import rise
from unsee.scores import Scores

_WAYS = "fast,surrogate/300,surrogate/1000,surrogate/2000,cmaes/1000,cmaes/2000,rise/4000"
_CUTS = 24
_CELLS = 14
_SUPPRESSED = 0.9
_AT_ONCE = 50
_Row = dict[str, float | None]
_Boxes = Sequence[tuple[float, float, float, float]]


def main() -> None:
    """Measure, then print the table and draw the figure of all rows in the folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="squeezenet1_1", help="squeezenet1_1, menagerie …")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--ways", default=_WAYS)
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("black-boxes-out"))
    arguments = parser.parse_args()
    place = arguments.out / arguments.network
    place.mkdir(parents=True, exist_ok=True)
    part, parts = map(int, arguments.part.split("/"))
    classifier = network(arguments.network, arguments.device)
    file = place / f"rows-{part}-of-{parts}.json"
    rows: dict[str, _Row] = json.loads(file.read_text()) if file.exists() else {}
    numbers = range(part - 1, arguments.count, parts)
    known = sources(arguments.count) if arguments.network != "menagerie" else []
    for number in track(numbers, description=classifier.name):
        missing = [way for way in arguments.ways.split(",") if f"{way} {number}" not in rows]
        if missing:
            photo, target, boxes = _scene(number) if not known else (read_photo(known[number]), None, ())
            case = Case.of(classifier, photo, target)
        for way in missing:
            rows[f"{way} {number}"] = measured(case, boxes, way)
            file.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    summary = summarised([json.loads(one.read_text()) for one in place.glob("rows-*.json")])
    show(summary, classifier.name)
    (place / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    draw(summary, classifier.name, place / "black-boxes.png")


@dataclass(frozen=True)
class Case:
    """One photo and what its masks are scored against: the preset `paper`, with all windows of its jitter."""

    classifier: unsee.Classifier
    photo: Photo
    target: tuple[int, ...]
    scoring: Scoring

    @classmethod
    def of(cls, classifier: unsee.Classifier, photo: Photo, target: str | None) -> "Case":
        """A case; without a target for the predicted class."""
        paper, fit = PRESETS["paper"], unsee.Squash()
        given = NetworkInput.of(classifier, photo, fit, 0, paper.margin)
        best = int(classifier.still_logits(given.plain[None].to(classifier.device)).argmax())
        indices = (best,) if target is None else (CLASSES.index(target),)
        score = paper.objective.score_on(classifier.reading.score_name)
        with classifier.borrowed():
            scoring = Scoring.prepare(
                classifier, [given], [indices], classifier.reading.classes, paper.perturbations, score
            )
        return cls(classifier, photo, indices, scoring)

    @torch.no_grad()
    def costs(self, grids: Tensor, offsets: Tensor) -> Tensor:
        """The objective of masks on the paper's cells, each at its own jitter."""
        paper, parts = PRESETS["paper"], []
        with self.classifier.borrowed():
            for some, at in zip(torch.split(grids, _AT_ONCE), torch.split(offsets, _AT_ONCE), strict=True):
                scoring = self.scoring.select(torch.zeros(len(some), dtype=torch.long))
                masks = some.to(scoring.targets)
                upsampler = paper.grid.upsampler(scoring.size, scoring.targets)
                scores = scoring.jittered_scores(upsampler(masks), at.to(masks.device)).values
                iteration = torch.zeros(len(some), dtype=torch.long, device=masks.device)
                parts.append(total(paper.objective.terms(masks, scores, iteration)).cpu())
        return torch.cat(parts)

    def objectives(self, grids: Tensor) -> Tensor:
        """The objective of masks, averaged over all windows."""
        places = torch.arange(PRESETS["paper"].jitter)
        windows = torch.cartesian_prod(places, places)
        costs = self.costs(grids.repeat_interleave(len(windows), dim=0), windows.repeat(len(grids), 1))
        return costs.view(len(grids), -1).mean(dim=1)

    @torch.no_grad()
    def masks(self, grids: Tensor) -> Tensor:
        """Masks with one value a pixel of the network's input."""
        upsampler = PRESETS["paper"].grid.upsampler(self.scoring.size, self.scoring.targets)
        return upsampler(grids.to(self.scoring.targets)).clamp(0, 1)


def _scene(number: int) -> tuple[Photo, str, _Boxes]:
    label = number % len(CLASSES)
    sample = render(compose(CLASSES[label], seed=number))
    return read_photo(sample.image), CLASSES[label], sample.boxes(label)


def measured(case: Case, boxes: _Boxes, way: str) -> _Row:
    """Objective, suppression, deleted area and whether the mask points into a box, of one way."""
    kind, _, budget = way.partition("/")
    began = time.perf_counter()
    grid, evaluations = _WAYS_OF[kind](case, int(budget or 0))
    seconds = time.perf_counter() - began
    mask = case.masks(grid[None])
    versions = torch.stack([torch.ones_like(mask), mask, torch.zeros_like(mask)], dim=1)[0][None]
    with torch.no_grad(), case.classifier.borrowed():
        original, edited, reference = case.scoring.still_scores(versions)[0].tolist()
    row, column = peak(1 - mask.double().cpu(), (mask.shape[1], mask.shape[2]))[0].tolist()
    inside = any(x0 <= column < x1 and y0 <= row < y1 for x0, y0, x1, y1 in boxes)
    return {
        "evaluations": float(evaluations),
        "objective": float(case.objectives(grid[None])[0]),
        "suppression": Scores(original, edited, reference).suppression,
        "area": float((1 - mask).mean()),
        "pointed": float(inside) if boxes else None,
        "seconds": seconds,
    }


def _learned(case: Case, settings: Settings) -> tuple[Tensor, int]:
    answer = unsee.explain(case.classifier, case.photo, case.target, preset=settings, precision="float32")
    assert isinstance(answer, unsee.Explanation)
    return answer.mask_grid, answer.run.evaluations


def _fast(case: Case, _: int) -> tuple[Tensor, int]:
    return _learned(case, PRESETS["fast"])


def _surrogate(case: Case, budget: int) -> tuple[Tensor, int]:
    return _learned(case, replace(PRESETS["paper"].without_gradient(), optimiser=Surrogate(budget=budget)))


def _cma(case: Case, budget: int) -> tuple[Tensor, int]:
    """The separable CMA-ES, from the fully deleted image, at its default population size."""
    cells = _CELLS * _CELLS
    bounds = np.tile([0.0, 1.0], (cells, 1))
    search = SepCMA(mean=np.full(cells, 0.25), sigma=0.3, bounds=bounds, seed=0)
    draws, best, lowest, spent = torch.Generator().manual_seed(0), None, np.inf, 0
    while spent + search.population_size <= budget:
        points = [search.ask() for _ in range(search.population_size)]
        grids = _enlarged(torch.tensor(np.stack(points), dtype=torch.float32))
        costs = case.costs(grids, torch.randint(0, PRESETS["paper"].jitter, (len(grids), 2), generator=draws))
        search.tell([(point, float(cost)) for point, cost in zip(points, costs, strict=True)])
        spent += len(points)
        if float(costs.min()) < lowest:
            lowest, best = float(costs.min()), grids[int(costs.argmin())]
    middle = _enlarged(torch.tensor(search.mean, dtype=torch.float32)[None].clamp(0, 1))[0]
    candidates = torch.stack([middle, middle if best is None else best])
    return candidates[int(case.objectives(candidates).argmin())], spent


def _enlarged(points: Tensor) -> Tensor:
    shape = PRESETS["paper"].grid.cells((224, 224))
    return F.interpolate(points.view(-1, 1, _CELLS, _CELLS), shape, mode="nearest")[:, 0]


def _rise(case: Case, masks: int) -> tuple[Tensor, int]:
    """The map's highest cells deleted, as many as make the objective lowest; the cuts are not counted."""
    image = case.scoring.classifier, case.photo
    given = NetworkInput.of(*image, unsee.Squash(), 0).plain[None].to(case.classifier.device)
    found = rise(case.classifier, given, [case.target], masks=masks).cpu()
    cells = PRESETS["paper"].grid.cells(case.classifier.size)
    heat = F.adaptive_avg_pool2d(found[None].float(), cells)[0, 0]
    shares = np.geomspace(0.005, 0.6, _CUTS).tolist()
    grids = torch.stack([1.0 - (heat > heat.flatten().quantile(1 - share)).float() for share in shares])
    return grids[int(case.objectives(grids).argmin())], masks


_WAYS_OF = {"fast": _fast, "surrogate": _surrogate, "cmaes": _cma, "rise": _rise}


def summarised(parts: Sequence[dict[str, _Row]]) -> dict[str, _Row]:
    """Means of each way over the images that `fast` has been measured on too."""
    rows = {key: row for part in parts for key, row in part.items()}
    ways = list(dict.fromkeys(key.split(" ")[0] for key in rows))
    summary: dict[str, _Row] = {}
    for way in sorted(ways, key=lambda one: (one != "fast", one.split("/")[0], len(one), one)):
        pairs = [
            (row, rows[f"fast {key.split(' ')[1]}"])
            for key, row in rows.items()
            if key.startswith(f"{way} ") and f"fast {key.split(' ')[1]}" in rows
        ]
        own = [row["objective"] for row, _ in pairs]
        ratios = np.array([_number(row, "objective") / _number(fast, "objective") for row, fast in pairs])
        suppressed = np.array([_number(row, "suppression") for row, _ in pairs])
        pointed = [row["pointed"] for row, _ in pairs if row["pointed"] is not None]
        summary[way] = {
            "images": float(len(own)),
            "evaluations": _mean(pairs, "evaluations"),
            "objective / fast": _mean(pairs, "objective")
            / float(np.mean([_number(f, "objective") for _, f in pairs])),
            "mean of ratios": float(ratios.mean()),
            "median of ratios": float(np.median(ratios)),
            "suppressed by 90 %": float((suppressed >= _SUPPRESSED).mean()),
            "area": _mean(pairs, "area"),
            "pointed": None if not pointed else float(np.mean([one for one in pointed if one is not None])),
            "seconds": _mean(pairs, "seconds"),
        }
    return summary


def _number(row: _Row, name: str) -> float:
    value = row[name]
    return float("nan") if value is None else value


def _mean(pairs: Sequence[tuple[_Row, _Row]], name: str) -> float:
    return float(np.mean([_number(row, name) for row, _ in pairs]))


def show(summary: dict[str, _Row], name: str) -> None:
    """Print the means."""
    columns = list(next(iter(summary.values())))
    table = Table("way", *columns, title=name)
    for way, row in summary.items():
        table.add_row(way, *("–" if row[column] is None else f"{row[column]:.3g}" for column in columns))
    Console(width=160).print(table)


def draw(summary: dict[str, _Row], name: str, file: Path) -> None:
    """Each way's objective over that of `fast`, and its deleted area, by evaluations."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    kinds = list(dict.fromkeys(way.split("/")[0] for way in summary))
    for axis, column in zip(axes, ("objective / fast", "area"), strict=True):
        for kind in kinds:
            rows = [row for way, row in summary.items() if way.split("/")[0] == kind]
            axis.plot(
                [_number(row, "evaluations") for row in rows],
                [_number(row, column) for row in rows],
                marker="o",
                label=kind + (", with gradients" if kind == "fast" else ""),
            )
        axis.set(xscale="log", xlabel="evaluations of the network", ylabel=column)
    axes[0].set(yscale="log")
    axes[0].legend()
    figure.suptitle(name)
    figure.savefig(file, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
