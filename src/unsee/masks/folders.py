"""Explanations of many photos in folders: finished ones are kept, missing ones are learned.

report = explain_to_folders(classifier, ["cat.jpg", "dog.jpg"], plan_for("fast"), out="masks")
for saved in report.saved:
    print(saved.folder, saved.manifest["scores"])
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from unsee.classifier import Classifier, TargetLike
from unsee.errors import UnseeError
from unsee.explanation import Explanation
from unsee.explanation_files import MANIFEST, read_manifest
from unsee.explanation_row import ROW, save_row
from unsee.files import HOW_TO_REPLACE, folder_for, folder_names
from unsee.images import Photo
from unsee.masks.explain import explain_each
from unsee.masks.loop import Progress, Step
from unsee.masks.network_input import photo_for
from unsee.masks.on_layer import OnLayer
from unsee.masks.photos import Plan, asked_for, precision_of
from unsee.pixels import RGB, UNIT, Bands, checked_bands
from unsee.records import described, differences, few
from unsee.smallest_mask import other_folder, question_record
from unsee.verdicts import STOPPED

PhotoFolder = tuple[str | PathLike[str], Path]
"""A photo, and the folder for its explanation."""


@dataclass(frozen=True)
class FolderEntry:
    """An explanation in its folder; `manifest` is what explanation.json holds."""

    folder: Path
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class FolderReport:
    """The explanations that are in their folders, in the order of the photos, and what went wrong.

    `stopped` tells that the user has stopped it, and that some masks are the best so far.
    """

    saved: tuple[FolderEntry, ...]
    problems: tuple[str, ...]
    stopped: bool = False


def explain_to_folders(
    classifier: Classifier,
    photos: Sequence[str | PathLike[str]],
    plan: Plan,
    target: TargetLike | None = None,
    out: str | PathLike[str] = "explanations",
    *,
    layer: str | OnLayer | None = None,
    force: bool = False,
    bands: Bands | None = None,
    progress: Progress | None = None,
) -> FolderReport:
    """Explain photos and save each explanation to a folder of its own as soon as it is learned.

    A folder that already holds the same explanation is left as it is, so a stopped call can be repeated. A
    photo that cannot be read, whose scores are not finite, or whose folder holds another explanation, does
    not stop the others.

    Args:
        classifier: comes back as it was.
        photos: files.
        plan: settings, fit and seed; `unsee.plan_for` makes it.
        target: as `unsee.explain` takes it; the same for every photo.
        out: folder that gets one folder for each photo, named like the photo without its ending; with several
            areas each is in a folder of its own there, next to areas.png, which shows them in a row.
        layer: mask the activation of this layer instead of pixels; by default the plan's, if it has one. The
            value "mean" is that of the photos that can be read.
        force: replace the explanations that are there.
        bands: the channels that are drawn as red, green and blue, from 0; see `Explanation.show`.
        progress: called after each iteration; `Step.done` counts the photos that need no learning too.

    Returns:
        What the folders hold now, and one line for each photo that could not be explained.

    Raises:
        UnseeError: `out` is a file or cannot be written to, or there is no such target class or layer.
    """
    if layer is not None:
        plan = replace(plan, layer=OnLayer(layer) if isinstance(layer, str) else layer)
    plan = replace(plan.on(classifier, _readable(classifier, photos)), best_so_far=True)
    root, bands = folder_for(out), checked_bands(bands, classifier.input_shape[0])
    folders = [root / name for name in folder_names(photos)]
    places = list(zip(photos, folders, strict=True))
    manifests, missing, problems = _sorted(classifier, places, plan, target, force, bands)
    advance = progress and _counting_from(len(photos) - len(missing), progress)
    refused: dict[int, str] = {}
    stopped = False
    try:
        for inside, saved in _each_saved(
            _explained(classifier, missing, plan, target, advance, refused), plan, bands
        ):
            manifests[inside] = saved.manifest(bands)
            stopped |= saved.run.verdict.startswith(STOPPED)
    except KeyboardInterrupt:
        if not stopped:
            raise
    problems += refused.values()
    every = [inside for folder in folders for inside in _insides(folder, plan)]
    entries = (FolderEntry(inside, manifests[inside]) for inside in every if inside in manifests)
    return FolderReport(tuple(entries), tuple(problems), stopped)


def _each_saved(
    explained: Iterable[tuple[Path, Explanation]], plan: Plan, bands: Bands | None
) -> Iterator[tuple[Path, Explanation]]:
    """Explanations with where they have been saved, and for several areas of a photo the row of all."""
    of_one: list[Explanation] = []
    for folder, explanation in explained:
        inside = _inside(folder, plan, explanation.run.asked_area)
        explanation.save(inside, overwrite=True, bands=bands)
        yield inside, explanation
        of_one.append(explanation)
        if len(of_one) == _masks_each(plan):
            if len(of_one) > 1:
                save_row(of_one, folder / ROW, bands)
            of_one = []


def _readable(classifier: Classifier, photos: Sequence[str | PathLike[str]]) -> Iterator[Photo]:
    """Those of the photos that can be read, one after another."""
    for source in photos:
        with suppress(UnseeError):
            yield photo_for(classifier, source)


def _sorted(
    classifier: Classifier,
    places: Sequence[PhotoFolder],
    plan: Plan,
    target: TargetLike | None,
    force: bool,
    bands: Bands | None,
) -> tuple[dict[Path, Mapping[str, Any]], list[PhotoFolder], list[str]]:
    """The manifests of finished folders, the photos that are missing, and why others cannot be explained."""
    manifests: dict[Path, Mapping[str, Any]] = {}
    missing: list[PhotoFolder] = []
    problems = []
    for source, folder in places:
        try:
            photo = photo_for(classifier, source)
            found = None if force else _all_finished(classifier, photo, plan, target, folder, bands)
        except UnseeError as error:
            problems.append(str(error))
            continue
        if found is None:
            missing.append((source, folder))
        else:
            manifests |= found
    return manifests, missing, problems


def _explained(
    classifier: Classifier,
    missing: Sequence[PhotoFolder],
    plan: Plan,
    target: TargetLike | None,
    progress: Progress | None,
    refused: dict[int, str],
) -> Iterator[tuple[Path, Explanation]]:
    """Explanations with their folders, in order. Each photo is read again in its turn: few are in memory.

    `refused` gets the reason for each photo without one, by its position.
    """
    if not missing:
        return
    waiting, left = deque(enumerate(folder for _, folder in missing)), 0
    pairs = ((photo_for(classifier, source), target) for source, _ in missing)
    for explanation in explain_each(classifier, pairs, plan, progress, refused.__setitem__):
        while waiting[0][0] in refused:
            waiting.popleft()
        left = (left or _masks_each(plan)) - 1
        yield (waiting[0] if left else waiting.popleft())[1], explanation


def _masks_each(plan: Plan) -> int:
    """How many masks each photo gets."""
    return len(plan.areas) if plan.areas and plan.share is None else 1


def _inside(folder: Path, plan: Plan, area: float | None) -> Path:
    """Where a mask lies: in its photo's folder, or with several areas in a folder of its own there."""
    return folder if _masks_each(plan) == 1 else folder / f"area-{area:g}"


def _insides(folder: Path, plan: Plan) -> list[Path]:
    """Where all masks of a photo lie."""
    areas: tuple[float | None, ...] = plan.areas if _masks_each(plan) > 1 else (None,)
    return [_inside(folder, plan, area) for area in areas]


def _all_finished(
    classifier: Classifier,
    photo: Photo,
    plan: Plan,
    target: TargetLike | None,
    folder: Path,
    bands: Bands | None,
) -> dict[Path, Mapping[str, Any]] | None:
    """The manifests of all masks of a photo, by their folders; None if one is missing.

    Raises:
        UnseeError: a folder holds another explanation.
    """
    areas: tuple[float | None, ...] = plan.areas if _masks_each(plan) > 1 else (None,)
    found: dict[Path, Mapping[str, Any]] = {}
    for area in areas:
        inside = _inside(folder, plan, area)
        single = replace(plan, settings=plan.settings.with_area(area))
        manifest = _finished(classifier, photo, single, target, inside, bands)
        if manifest is not None:
            found[inside] = manifest
    whole = len(found) == len(areas) and (len(areas) == 1 or (folder / ROW).exists())
    return found if whole else None


def _finished(
    classifier: Classifier,
    photo: Photo,
    plan: Plan,
    target: TargetLike | None,
    folder: Path,
    bands: Bands | None,
) -> Mapping[str, Any] | None:
    """The manifest of the same explanation in a folder; None if the folder holds none.

    Raises:
        UnseeError: the folder holds another explanation.
    """
    file = folder / MANIFEST
    if not file.exists():
        return None
    try:
        manifest = read_manifest(folder)
        asked = manifest["target"]["asked"]
        settings = described(plan.settings.with_area(_found_area(plan, manifest)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UnseeError(f"{file} is damaged: {HOW_TO_REPLACE}") from None
    wanted = {
        "photo_sha256": photo.sha256,
        "model": classifier.name,
        "weights_sha256": classifier.weights_sha256,
        "settings": settings,
        "asked_share": plan.share,
        "seed": plan.seed,
        "fit": plan.fit.name,
        "precision": precision_of(classifier, plan),
        "target": asked_for(target),
        "channels": classifier.input_shape[0],
        "value_range": list(classifier.value_range),
        "bands": None if bands is None else list(bands),
        "sufficient": question_record(plan.sufficient),
    }
    # older manifests do not have these: nothing is known to differ
    newer = {
        "input_size": list(classifier.size),
        "head": classifier.reading.summary,
        "network": classifier.record,
    }
    wanted |= {key: value for key, value in newer.items() if key in manifest}
    usual = {"channels": RGB, "value_range": list(UNIT)}
    kept = {**{key: manifest.get(key, usual.get(key)) for key in wanted}, "target": asked}
    if changed := differences(kept, wanted):
        raise UnseeError(f"{folder} holds another explanation ({few(changed)}): {HOW_TO_REPLACE}")
    others = manifest.get("sufficiency", {}).get("others", 0)
    if str(manifest["verdict"]).startswith(STOPPED):
        return None
    whole = all((other_folder(folder, place) / MANIFEST).exists() for place in range(1, others + 1))
    return manifest if whole else None


def _found_area(plan: Plan, manifest: Mapping[str, Any]) -> float | None:
    """The area that was found for a share of the score; None where no share is asked for."""
    return manifest.get("asked_area") if plan.share is not None else None


def _counting_from(done: int, progress: Progress) -> Progress:
    def advance(step: Step) -> None:
        progress(replace(step, done=done + step.done))

    return advance
