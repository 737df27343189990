"""One run of `unsee compare`: what is there already, what is missing, and what could not be done."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from unsee.choices import look_up
from unsee.classifier import Classifier, TargetLike
from unsee.cli.console import plain
from unsee.cli.explaining import folder_names
from unsee.cli.progress import bar
from unsee.errors import UnseeError
from unsee.experiments.photo_comparison import (
    MASK,
    Comparison,
    ComparisonSettings,
    MethodResult,
    PhotoComparer,
    described,
)
from unsee.experiments.smallest_box import SmallestBox
from unsee.figures.comparison import draw_comparisons
from unsee.images import Photo, read_photo
from unsee.masks.photos import asked_for
from unsee.saliency import METHODS

_RECORD = "comparison.json"


@dataclass(frozen=True)
class Job:
    """What is looked at, how, and where the results go."""

    classifier: Classifier
    comparison: ComparisonSettings
    target: TargetLike | None
    out: Path
    force: bool

    def settings(self, photo: Photo) -> dict[str, Any]:
        """What has to agree for a result to be used again."""
        how = described(self.classifier, self.comparison)
        how.pop("versions")
        return {**how, "photo_sha256": photo.sha256, "target": asked_for(self.target)}


@dataclass
class Report:
    """What came of a run, in the order of the photos."""

    comparisons: list[Comparison] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """The numbers as JSON values."""
        return [comparison.manifest() for comparison in self.comparisons]

    @property
    def notes(self) -> list[str]:
        """Why methods were left out, each reason once."""
        reasons = (f"{name}: {why}" for each in self.comparisons for name, why in each.refused.items())
        return list(dict.fromkeys(reasons))

    def table(self) -> Table:
        """The area of each method's smallest box, for people."""
        names = list(dict.fromkeys(name for each in self.comparisons for name in each.results))
        table = Table("method", title="smallest box that takes away 90 % of the score, share of the picture")
        for each in self.comparisons:
            table.add_column(f"{plain(each.photo.name)}\n{plain(each.target.short)}", justify="right")
        for name in names:
            table.add_row(name.replace("_", "-"), *(_area(each, name) for each in self.comparisons))
        return table


def methods_from(text: str | None) -> tuple[str, ...]:
    """Method names between commas, with dashes or underscores; all of them for None.

    Raises:
        UnseeError: a name that is none.
    """
    known = {MASK: None, **METHODS}
    if text is None:
        return tuple(known)
    names = [name.strip().replace("-", "_") for name in text.split(",") if name.strip()]
    if not names:
        raise UnseeError("--methods names nothing: give some as in --methods mask,gradient,grad-cam")
    for name in names:
        look_up(known, name, "method")
    return tuple(dict.fromkeys(names))


def compare_photos(job: Job, photos: Sequence[str]) -> Report:
    """Look at each photo with each method; a photo that cannot be read is reported, and the rest goes on."""
    if job.out.exists() and not job.out.is_dir():
        raise UnseeError(f"{job.out} is a file: --out takes a folder")
    report = Report()
    with bar(transient=True) as progress:
        task = progress.add_task("", total=len(photos) * len(job.comparison.methods), note="")
        for source, name in zip(photos, folder_names(photos), strict=True):
            try:
                photo = read_photo(source)
                comparer = _taken_up(job, photo, job.out / name)
            except UnseeError as error:
                report.problems.append(str(error))
                progress.advance(task, len(job.comparison.methods))
                continue
            progress.advance(task, len(job.comparison.methods) - len(comparer.missing))
            for method in comparer.missing:
                progress.update(task, description=plain(photo.name), note=method.replace("_", " "))
                comparer.run(method)
                _keep(job, comparer, job.out / name)
                progress.advance(task)
            report.comparisons.append(comparer.comparison())
    if report.comparisons:
        _write(job.out / "compare.json", report.manifests)
        draw_comparisons(report.comparisons, job.out / "compare.png")
    return report


def _taken_up(job: Job, photo: Photo, place: Path) -> PhotoComparer:
    """The photo with what an earlier run has left of it.

    Raises:
        UnseeError: the folder holds a comparison with other settings, or a damaged one.
    """
    comparer = PhotoComparer.prepare(job.classifier, photo, job.target, job.comparison)
    record = place / _RECORD
    if job.force or not record.exists():
        return comparer
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
        wanted = json.loads(json.dumps(job.settings(photo)))
        changed = [key for key, value in wanted.items() if kept["settings"].get(key) != value]
        if changed:
            raise UnseeError(
                f"{place} holds another comparison (different {', '.join(changed)}): "
                "--force replaces it, --out writes elsewhere"
            )
        for method, row in kept["methods"].items():
            saliency = torch.from_numpy(np.load(place / f"{method}.npy", allow_pickle=False))
            found = row["smallest_box"]
            box = found and SmallestBox(tuple(found["box"]), found["score"], found["suppression"])
            comparer.known[method] = MethodResult(saliency, box, row["seconds"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnseeError(f"{place} is damaged ({error}): --force replaces it") from error
    return comparer


def _keep(job: Job, comparer: PhotoComparer, place: Path) -> None:
    """Write the newest map and, last, the record of all that are there."""
    newest = next(reversed(comparer.known), None)
    try:
        place.mkdir(parents=True, exist_ok=True)
        if newest is not None:
            np.save(place / f"{newest}.npy", comparer.known[newest].saliency.numpy())
    except OSError as error:
        raise UnseeError(f"{place} cannot be written to ({error.strerror or error})") from error
    everything = comparer.comparison((*comparer.known, *comparer.refused))
    _write(place / _RECORD, {"settings": job.settings(comparer.network_input.photo), **everything.manifest()})


def _write(file: Path, record: object) -> None:
    """JSON, aside first, so that a reader sees a whole file only."""
    aside = file.with_name(f".{file.name}")
    try:
        aside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        aside.replace(file)
    except OSError as error:
        raise UnseeError(f"{file.parent} cannot be written to ({error.strerror or error})") from error


def _area(comparison: Comparison, method: str) -> str:
    if method not in comparison.results:
        return "–"
    box = comparison.results[method].box
    return "no box" if box is None else f"{box.area / (comparison.size[0] * comparison.size[1]):.1%}"
