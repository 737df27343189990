"""Does `extremal-fast` reach the score of `extremal` at the same area? Score, area, sharpness, evaluations.

Each photo is explained by `extremal`; then `extremal-fast` is asked for the very area that it reached.
Explanations are saved in the folder, where a stopped command continues. Photos are of UNSEE_ASSETS.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from rich.console import Console
from rich.progress import track
from rich.table import Table

import unsee
from common import assets, network
from unsee.classifier import Classifier
from unsee.explanation import Explanation
from unsee.explanation_row import save_row
from unsee.masks.area_penalties import step_of
from unsee.masks.settings import adjusted

_AT_ONCE = 4
_SPREAD = 16


def main() -> None:
    """Print the table and write it as JSON, with each photo's two masks side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--network", default="efficientnet_lite0", help="efficientnet_lite0, googlenet_bvlc …"
    )
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--area", type=float, default=0.1)
    parser.add_argument("--game", default="preservation")
    parser.add_argument("--out", type=Path, default=Path("area-out"))
    arguments = parser.parse_args()
    classifier = network(arguments.network)
    place = arguments.out / f"{arguments.network}-{arguments.game}-{arguments.area:g}"
    photos = _photos(arguments.count)
    slow = _slow(classifier, photos, arguments.area, arguments.game, place / "extremal")
    fast = _fast(classifier, slow, arguments.game, place / "extremal-fast")
    rows = [_row(one, other) for one, other in zip(slow, fast, strict=True)]
    for one, other in zip(slow, fast, strict=True):
        save_row([one, other], place / f"{Path(one.photo.name).stem}.png")
    (place / "area.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    Console(width=120).print(_table(arguments.network, rows))


def _photos(count: int) -> list[Path]:
    """Photos of the ImageNet validation set: the first of at least sixteen that are spread over it."""
    folder = assets()
    if folder is None:
        raise SystemExit("this needs real photos: set UNSEE_ASSETS")
    files = sorted((folder / "imagenet_val" / "images").iterdir())
    return files[:: max(len(files) // max(count, _SPREAD), 1)][:count]


def _slow(
    classifier: Classifier, photos: Sequence[Path], area: float, game: str, place: Path
) -> list[Explanation]:
    """As published, a few photos at once."""
    missing = [photo for photo in photos if not (place / photo.stem / "explanation.json").exists()]
    settings = adjusted(unsee.PRESETS["extremal"], game=game, area=area)
    for first in track(range(0, len(missing), _AT_ONCE), description="extremal", disable=not missing):
        some = missing[first : first + _AT_ONCE]
        answers = unsee.explain(classifier, list(some), preset=settings)
        assert isinstance(answers, list)
        for photo, answer in zip(some, answers, strict=True):
            answer.save(place / photo.stem, overwrite=True)
    return [Explanation.load(place / photo.stem) for photo in photos]


def _fast(classifier: Classifier, slow: Sequence[Explanation], game: str, place: Path) -> list[Explanation]:
    """At the area that the published masks reached, photo by photo, and for the same class."""
    found = []
    for one in track(slow, description="extremal-fast"):
        assert one.photo.path is not None
        folder = place / Path(one.photo.path).stem
        answer = unsee.explain(classifier, one.photo.path, one.target.indices, game=game, area=one.area)
        assert isinstance(answer, Explanation)
        answer.save(folder, overwrite=True)
        found.append(answer)
    return found


def _row(slow: Explanation, fast: Explanation) -> dict[str, float | str]:
    """The numbers of one photo; `gain` is how much better the fast mask's score is."""
    sign = 1 if slow.run.game == "deletion" else -1
    return {
        "photo": slow.photo.name,
        "original": slow.scores.original,
        "slow": slow.scores.perturbed,
        "fast": fast.scores.perturbed,
        "gain": sign * (slow.scores.perturbed - fast.scores.perturbed),
        "slow_area": slow.area,
        "fast_area": fast.area,
        "slow_blur": _unsharp(slow),
        "fast_blur": _unsharp(fast),
        "slow_evaluations": slow.run.evaluations,
        "fast_evaluations": fast.run.evaluations,
        "slow_seconds": slow.run.seconds,
        "fast_seconds": fast.run.seconds,
    }


def _unsharp(explanation: Explanation) -> float:
    """The mean square distance of the mask from a step of its own area."""
    flat = explanation.saliency.flatten()[None]
    return float((flat - step_of(flat, flat.mean(dim=1).double())).square().mean())


def _table(name: str, rows: Sequence[dict[str, float | str]]) -> Table:
    """Means over the photos."""
    table = Table("", "extremal", "extremal-fast", title=f"{name}, {len(rows)} photos")
    for label, key, style in (
        ("score of the edited photo", "", ".2f"),
        ("area", "_area", ".3f"),
        ("distance from a sharp mask", "_blur", ".4f"),
        ("evaluations", "_evaluations", ".0f"),
        ("seconds a photo", "_seconds", ".0f"),
    ):
        table.add_row(label, *(format(_mean(rows, way + key), style) for way in ("slow", "fast")))
    gains = [float(row["gain"]) for row in rows]
    error = stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else float("nan")
    better = sum(gain >= 0 for gain in gains)
    table.caption = f"gain {mean(gains):+.2f} ± {error:.2f}; no worse on {better} of {len(rows)}"
    return table


def _mean(rows: Sequence[dict[str, float | str]], key: str) -> float:
    return mean(float(row[key]) for row in rows)


if __name__ == "__main__":
    main()
