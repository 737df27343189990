"""Comparisons of many photos in folders: finished maps are kept, missing ones are computed.

settings = ComparisonSettings(methods=("mask", "grad_cam"))
report = compare_to_folders(classifier, ["cat.jpg", "dog.jpg"], settings, out="comparison")
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unsee.classifier import Classifier, TargetLike
from unsee.errors import UnseeError
from unsee.experiments.comparison import Comparison, MethodResult
from unsee.experiments.comparison_figure import draw_comparisons
from unsee.experiments.photo_comparison import ComparisonSettings, PhotoComparer, comparison_record
from unsee.experiments.smallest_box import SmallestBox
from unsee.files import HOW_TO_REPLACE, folder_for, folder_names, write_json, write_whole
from unsee.images import Photo
from unsee.masks.network_input import photo_for
from unsee.masks.photos import asked_for
from unsee.pixels import RGB, UNIT, Bands, checked_bands
from unsee.records import differences, few
from unsee.words import spelled

_USUAL = {
    "channels": RGB,
    "value_range": list(UNIT),
    **dict.fromkeys(("mask_layer", "perturbation", "suppress", "keep")),
}
FIGURE = "compare.png"
_NEWER = ("head", "network")
"""Settings that older folders do not have: nothing is known to differ."""
RECORD = "comparison.json"
"""The file in a photo's folder that says what the maps next to it depend on."""


@dataclass(frozen=True)
class ComparisonStep:
    """How far a call is: `done` of `total` maps; `method` comes next, None once a photo is finished."""

    photo: str
    method: str | None
    done: int
    total: int


ComparisonProgress = Callable[[ComparisonStep], None]


@dataclass(frozen=True)
class ComparisonReport:
    """The comparisons in the order of the photos, what went wrong, and the channels that are drawn."""

    comparisons: tuple[Comparison, ...]
    problems: tuple[str, ...]
    bands: Bands | None = None

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """The numbers as JSON values, one record for each photo."""
        drawn = {} if self.bands is None else {"bands": list(self.bands)}
        return [comparison.manifest() | drawn for comparison in self.comparisons]

    @property
    def left_out(self) -> list[str]:
        """Why methods were left out, each reason once, after the methods that it is for."""
        methods: dict[str, dict[str, None]] = {}
        for each in self.comparisons:
            for name, why in each.refused.items():
                methods.setdefault(why, {})[name] = None
        return [f"{', '.join(map(spelled, names))}: {why}" for why, names in methods.items()]


def compare_to_folders(
    classifier: Classifier,
    photos: Sequence[str | PathLike[str]],
    settings: ComparisonSettings,
    target: TargetLike | None = None,
    out: str | PathLike[str] = "comparison",
    *,
    force: bool = False,
    bands: Bands | None = None,
    progress: ComparisonProgress | None = None,
) -> ComparisonReport:
    """Compare methods on photos, and save each map as soon as it is computed.

    Maps that are there already, with the same settings, are not computed again, so a stopped call can be
    repeated. A photo that cannot be read, or whose folder holds another comparison, does not stop the others.
    compare.json and compare.png show the numbers and the maps of this call.

    Args:
        classifier: comes back as it was.
        photos: files.
        settings: methods, fit, seed, preset and layer.
        target: as `unsee.explain` takes it; the same for every photo.
        out: folder that gets compare.json, compare.png, and a folder of maps for each photo.
        force: compute all maps again, also where the folder holds another comparison.
        bands: the channels that are drawn as red, green and blue, from 0; see `Explanation.show`.
        progress: called before each map and after each photo.

    Raises:
        UnseeError: `out` is a file or cannot be written to.
    """
    root, bands = folder_for(out), checked_bands(bands, classifier.input_shape[0])
    comparisons, problems, advance = [], [], progress or _ignore
    total = len(photos) * len(settings.methods)
    for number, (source, name) in enumerate(zip(photos, folder_names(photos), strict=True), start=1):
        try:
            photo = photo_for(classifier, source)
            comparer = _resumed(classifier, photo, target, settings, None if force else root / name)
        except UnseeError as error:
            problems.append(str(error))
        else:
            before = number * len(settings.methods) - len(comparer.missing)
            for done, method in enumerate(comparer.missing, start=before):
                advance(ComparisonStep(photo.name, method, done, total))
                comparer.run(method)
                _save(comparer, target, root / name)
            comparisons.append(comparer.comparison())
        advance(ComparisonStep(Path(source).name, None, number * len(settings.methods), total))
    return _reported(ComparisonReport(tuple(comparisons), tuple(problems), bands), root)


def _reported(report: ComparisonReport, root: Path) -> ComparisonReport:
    """The report, once compare.json and compare.png show it."""
    if report.comparisons:
        write_json(root / "compare.json", report.manifests)
        draw_comparisons(report.comparisons, root / FIGURE, report.bands)
    return report


def _ignore(step: ComparisonStep) -> None:
    pass


def _resumed(
    classifier: Classifier,
    photo: Photo,
    target: TargetLike | None,
    settings: ComparisonSettings,
    folder: Path | None,
) -> PhotoComparer:
    """The photo with the maps that its folder holds; none of them where the folder is None.

    Raises:
        UnseeError: the folder holds a comparison with other settings, or a damaged one.
    """
    comparer = PhotoComparer.prepare(classifier, photo, target, settings)
    if folder is None or not (folder / RECORD).exists():
        return comparer
    try:
        kept = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        wanted = _wanted(comparer, target)
        old = kept["settings"]
        usual = _USUAL | {key: wanted[key] for key in _NEWER}
        there = {key: old.get(key, usual.get(key)) for key in wanted}
        if changed := differences(there, wanted):
            raise UnseeError(f"{folder} holds another comparison ({few(changed)}): {HOW_TO_REPLACE}")
        comparer.known.update(_results(kept["methods"], folder))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnseeError(f"{folder} is damaged ({error}): {HOW_TO_REPLACE}") from error
    return comparer


def _results(rows: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, MethodResult]]:
    for method, row in rows.items():
        saliency = torch.from_numpy(np.load(folder / f"{method}.npy", allow_pickle=False))
        found = row["smallest_box"]
        box = found and SmallestBox(tuple(found["box"]), found["score"], found["suppression"])
        own = row.get("verdict"), row.get("token_check", {})
        yield method, MethodResult(saliency, box, row["seconds"], *own)


def _wanted(comparer: PhotoComparer, target: TargetLike | None) -> dict[str, Any]:
    """What has to be the same for a map to be used again."""
    how = comparison_record(comparer.classifier, comparer.settings)
    how.pop("versions")
    return {**how, "photo_sha256": comparer.network_input.photo.sha256, "target": asked_for(target)}


def _save(comparer: PhotoComparer, target: TargetLike | None, folder: Path) -> None:
    """Write the newest map and then the record of all maps that are there."""
    newest = next(reversed(comparer.known), None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if newest is not None:
            array = io.BytesIO()
            np.save(array, comparer.known[newest].saliency.numpy())
            write_whole(folder / f"{newest}.npy", array.getvalue())
    except OSError as error:
        raise UnseeError(f"{folder} cannot be written to ({error.strerror or error})") from error
    everything = comparer.comparison((*comparer.known, *comparer.refused))
    write_json(folder / RECORD, {"settings": _wanted(comparer, target), **everything.manifest()})
