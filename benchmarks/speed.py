"""How fast `unsee` is, as ratios measured within one run; `make bench` calls it.

The sections of the JSON are independent. If something has many equal iterations, some are timed and the
median is multiplied. Whatever is compared is timed in turn, under the same load.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.progress import Progress

import chart
import unsee
from common import NETWORKS, explained, network, objectives, photos, weights_of
from rivals import PORT_ITERATIONS, lime_seconds, occlusion_seconds, port_seconds
from unsee.classifier import Classifier
from unsee.explanation import Explanation
from unsee.images import Photo
from unsee.masks import PRESETS
from unsee.masks.grid import Grid
from unsee.masks.loop import Step
from unsee.tuning import Tuned, tuned, uses_bfloat16

Rows = list[dict[str, float | str]]
_BATCH = 16
_HERE = Path(__file__).parent
_STATUS = Path("/proc/self/status")


def main() -> None:
    """Measure, print, and write the JSON and the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="only SqueezeNet, in two minutes")
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--networks", default="", help=f"some of {','.join(NETWORKS)}")
    arguments = parser.parse_args()
    names = arguments.networks.split(",") if arguments.networks else list(NETWORKS)
    names = names[:1] if arguments.quick else names
    device = "cuda" if torch.cuda.is_available() else "cpu"
    result: dict[str, Rows] = {}
    with Progress(console=Console(stderr=True)) as progress:
        for title, section in sections(names, arguments.quick, device).items():
            task = progress.add_task(title, total=None)
            if rows := section():
                result[title] = rows
                write(result, device, arguments.out / "bench.json")
            progress.update(task, total=1, completed=1)
    for title, rows in result.items():
        Console(width=160).print(chart.table(title, rows))
    chart.draw(result, arguments.out / "bench.png")
    print(f"{arguments.out / 'bench.json'} and {arguments.out / 'bench.png'} written")


def write(result: dict[str, Rows], device: str, file: Path) -> None:
    """Write what has been measured so far."""
    file.parent.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    record = {"device": device, "threads": threads, "torch": torch.__version__, "sections": result}
    file.write_text(json.dumps(record, indent=1), encoding="utf-8")


def sections(names: list[str], quick: bool, device: str) -> dict[str, Callable[[], Rows]]:
    """The measurements by title."""
    found: dict[str, Callable[[], Rows]] = {
        "cost of one evaluation over the network's own": lambda: [
            cost(name, device, batch, 6 if quick else 12) for name in names for batch in (1, _BATCH)
        ],
        "seconds per mask": lambda: [races(name, device, quick) for name in names],
        "objective and evaluations": lambda: [
            quality(name, device, 4 if quick else 8) for name in names if weights_of(name)
        ],
        "peak memory over one forward and backward": lambda: [
            memory(name) for name in names if device == "cuda" or _STATUS.exists()
        ],
        "growth": lambda: growth(names[0], device, quick),
    }
    if device == "cuda":
        found["masks per second"] = lambda: [throughput(name, device) for name in names]
    return found


def cost(name: str, device: str, batch: int, iterations: int) -> dict[str, float | str]:
    """Time one iteration of `fast` and one bare pass of the network as `fast` runs it, in turn."""
    classifier = network(name, device)
    with classifier.borrowed():
        quick = tuned(classifier, uses_bfloat16(classifier, "auto"))
    net = quick.net
    assert isinstance(net, Tuned)
    views = torch.rand(batch, 3, *classifier.size, device=device)
    views = views.contiguous(memory_format=net.layout).requires_grad_()
    own: list[float] = []
    whole: list[float] = []
    left = time.perf_counter()

    def alone(_: Step) -> None:
        nonlocal left
        _wait(device)
        whole.append(time.perf_counter() - left)
        began = time.perf_counter()
        torch.autograd.grad(net(views).float().softmax(dim=1)[:, 0].sum(), views)
        _wait(device)
        own.append(time.perf_counter() - began)
        left = time.perf_counter()

    settings = replace(PRESETS["fast"], optimiser=PRESETS["fast"].optimiser.limited(iterations))
    unsee.explain(classifier, photos(batch), preset=settings, batch_size=batch, progress=alone)
    ratio = median(whole[2:]) / median(own[2:])
    return {
        "network": name,
        "batch": batch,
        "pass ms": 1e3 * median(own[2:]),
        "over the network's own": ratio,
    }


def races(name: str, device: str, quick: bool) -> dict[str, float | str]:
    """Seconds per mask of `fast` and of its rivals."""
    classifier, pictures = network(name, device), photos(_BATCH)
    mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (classifier.mean, classifier.std))
    one = unsee.Squash().apply(pictures[0].pixels, classifier.size).to(device)
    picture = ((one - mean) / std)[None]
    samples = 10 if quick else 20
    with classifier.borrowed():
        first = port_seconds(classifier.net, picture, samples)
    single = _seconds(classifier, pictures[:1], "fast")
    paper = paper_seconds(classifier, pictures[0], samples)
    with classifier.borrowed():
        second = port_seconds(classifier.net, picture, samples)
    many = _seconds(classifier, pictures, "fast") / _BATCH
    with classifier.borrowed():
        third = port_seconds(classifier.net, picture, samples)
        occlusion, windows = occlusion_seconds(classifier.net, picture)
        lime, _ = lime_seconds(classifier.net, picture)
    port = PORT_ITERATIONS * median([first, second, third])
    return {
        "network": name,
        "fast, 16": many,
        "fast, 1": single,
        "paper, 1": paper,
        "port, 1": port,
        "port / fast 16": port / many,
        "paper / fast 16": paper / many,
        "port / fast 1": port / single,
        f"occlusion ({windows})": occlusion,
        "lime (1000)": lime,
        "occlusion / fast 16": occlusion / many,
    }


def paper_seconds(classifier: Classifier, photo: Photo, samples: int) -> float:
    """Seconds of `paper` for one photo: what is done once, and 300 times the median iteration."""
    marks = [time.perf_counter()]
    unsee.explain(
        classifier,
        photo,
        preset="paper",
        iterations=samples,
        progress=lambda _: marks.append(time.perf_counter()),
    )
    marks.append(time.perf_counter())
    steps = [after - before for before, after in pairwise(marks[1:-1])]
    once = marks[1] - marks[0] - median(steps) + marks[-1] - marks[-2]
    return once + 300 * median(steps)


def quality(name: str, device: str, count: int) -> dict[str, float | str]:
    """The objectives of `fast` and `paper` on real photos with real weights, and their evaluations."""
    classifier, pictures = network(name, device), photos(count)
    paper, fast = (explained(classifier, pictures, p) for p in ("paper", "fast"))
    return {
        "network": name,
        "photos": count,
        "paper's objective": float(objectives(classifier, paper).mean()),
        "fast's objective": float(objectives(classifier, fast).mean()),
        "paper's evaluations": sum(e.run.evaluations for e in paper) / count,
        "fast's evaluations": sum(e.run.evaluations for e in fast) / count,
        "until the paper's objective": until(fast, float(objectives(classifier, paper).mean())),
    }


def until(some: list[Explanation], goal: float) -> int:
    """Evaluations until the mean objective, each in its own window, is no higher than a goal; -1 if never."""
    totals = [[sum(parts) for parts in zip(*e.run.history.values(), strict=True)] for e in some]
    for count in range(max(map(len, totals))):
        if sum(line[min(count, len(line) - 1)] for line in totals) / len(totals) <= goal:
            return count + 1
    return -1


def memory(name: str) -> dict[str, float | str]:
    """Peak memory of `fast` and of bare passes, each in its own process."""
    peaks = [
        int(subprocess.check_output([sys.executable, str(_HERE / "peak.py"), name, what, str(_BATCH)]))
        for what in ("passes", "fast")
    ]
    mib = [peak / 2**20 for peak in peaks]
    return {"network": name, "passes MiB": mib[0], "fast MiB": mib[1], "fast / passes": mib[1] / mib[0]}


def growth(name: str, device: str, quick: bool) -> Rows:
    """Time per image and iteration over the number of images, the mask's size and the image's size."""
    classifier, fast = network(name, device), PRESETS["fast"]
    short = replace(fast, optimiser=fast.optimiser.limited(5 if quick else 8))
    counts = (1, 4, 16) if quick else (1, 4, 16, 64)
    sides = {side: replace(classifier, size=(side, side)) for side in (112, 224, 448)}
    grids = {cells: replace(short, grid=Grid(shape=(cells, cells))) for cells in (14, 28, 56, 112)}
    ways: list[tuple[str, int, Classifier, unsee.masks.Settings, int]] = [
        *(("images", count, classifier, short, count) for count in counts),
        *(("cells a side", cells, classifier, setting, 8) for cells, setting in grids.items()),
        *(("pixels a side", side, wide, short, 8) for side, wide in sides.items()),
    ]
    return [
        {"of": what, "size": size, "ms per image and iteration": 1e3 * _iteration(network_, count, setting)}
        for what, size, network_, setting, count in ways
    ]


def _iteration(classifier: Classifier, count: int, settings: unsee.masks.Settings) -> float:
    """Seconds per image of an iteration with so many images: the median."""
    marks: list[float] = []
    unsee.explain(
        classifier,
        photos(count),
        preset=settings,
        batch_size=count,
        progress=lambda _: marks.append(time.perf_counter()),
    )
    return median(after - before for before, after in pairwise(marks)) / count


def throughput(name: str, device: str) -> dict[str, float | str]:
    """Masks per second over many images."""
    classifier, pictures = network(name, device), photos(256) * 8
    _seconds(classifier, pictures[:256], "fast", None)
    seconds = _seconds(classifier, pictures, "fast", None)
    return {"network": name, "images": len(pictures), "masks per second": len(pictures) / seconds}


def _seconds(
    classifier: Classifier,
    pictures: list[Photo],
    preset: str | unsee.masks.Settings,
    batch_size: int | None = _BATCH,
) -> float:
    began = time.perf_counter()
    unsee.explain(classifier, pictures, preset=preset, batch_size=batch_size)
    return time.perf_counter() - began


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
