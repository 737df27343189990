"""One run of `unsee explain`: what is there already, what is missing, and what could not be done."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from unsee.classifier import Classifier, TargetLike
from unsee.cli.console import plain
from unsee.cli.progress import learning
from unsee.errors import UnseeError
from unsee.explanation import Explanation
from unsee.explanation_files import MANIFEST
from unsee.images import Photo, read_photo
from unsee.masks import Plan, explain_each
from unsee.masks.photos import asked_for, precision_of
from unsee.records import described


@dataclass(frozen=True)
class Job:
    """What is done to each photo, and where the results go."""

    classifier: Classifier
    plan: Plan
    target: TargetLike | None
    out: Path
    force: bool


@dataclass
class Report:
    """What came of a run, in the order of the photos."""

    manifests: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)

    def add(self, manifest: dict[str, Any], folder: Path) -> None:
        """Take note of one explanation."""
        self.manifests.append(manifest)
        self.folders.append(folder)

    def table(self) -> Table:
        """The numbers of every explanation, for people."""
        table = Table("photo", "target", "score", "edited", "suppressed", "area")
        table.add_column("folder", overflow="fold")
        for manifest, folder in zip(self.manifests, self.folders, strict=True):
            name = manifest["target"]["name"]
            suppression = manifest["suppression"]
            table.add_row(
                plain(Path(manifest["photo"]).name),
                plain(name if isinstance(name, str) else " + ".join(name)),
                _figures(manifest["scores"]["original"], ".4f"),
                _figures(manifest["scores"]["perturbed"], ".4f"),
                _figures(suppression, ".1%"),
                _figures(manifest["area"], ".1%") + ("" if manifest["converged"] else " *"),
                plain(folder),
            )
        if not all(manifest["converged"] for manifest in self.manifests):
            table.caption = (
                "* did not settle: more --iterations may help; `verdict` in explanation.json says why"
            )
        return table


def explain_photos(job: Job, photos: Sequence[str]) -> Report:
    """Explain what is not explained yet; the report tells of a photo that cannot be, and the rest goes on."""
    if job.out.exists() and not job.out.is_dir():
        raise UnseeError(f"{job.out} is a file: --out takes a folder")
    report = Report()
    places = [job.out / name for name in folder_names(photos)]
    found: dict[Path, dict[str, Any]] = {}
    missing: list[tuple[str, Path]] = []
    for source, place in zip(photos, places, strict=True):
        try:
            photo = read_photo(source)
            there = None if job.force else already_there(job, photo, place)
        except UnseeError as error:
            report.problems.append(str(error))
            continue
        if there is None:
            missing.append((source, place))
        else:
            found[place] = there
    try:
        for place, explanation in zip([p for _, p in missing], _explained(job, missing), strict=True):
            explanation.save(place, overwrite=True)
            found[place] = explanation.manifest()
    finally:
        for place in places:
            if place in found:
                report.add(found[place], place)
    return report


def folder_names(photos: Sequence[str]) -> list[str]:
    """A folder name for each photo: its own without the ending, numbered where two would be the same."""
    names: list[str] = []
    for photo in photos:
        stem = Path(photo).stem if Path(photo).stem.strip(". ") else "photo"
        count, name = 1, stem
        while name in names:
            count += 1
            name = f"{stem}-{count}"
        names.append(name)
    return names


def already_there(job: Job, photo: Photo, place: Path) -> dict[str, Any] | None:
    """The manifest in a folder, if it is of this very explanation; None if the folder holds none.

    Raises:
        UnseeError: the folder holds another explanation.
    """
    file = place / MANIFEST
    if not file.exists():
        return None
    try:
        manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        asked = manifest["target"]["asked"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UnseeError(f"{file} is damaged: --force replaces it, --out writes elsewhere") from None
    plan = job.plan
    wanted = {
        "photo_sha256": photo.sha256,
        "model": job.classifier.name,
        "weights_sha256": job.classifier.weights_sha256,
        "settings": json.loads(json.dumps(described(plan.settings))),
        "seed": plan.seed,
        "fit": plan.fit.name,
        "precision": precision_of(job.classifier, plan),
    }
    changed = [key for key, value in wanted.items() if manifest.get(key) != value]
    changed += ["target"] if asked != asked_for(job.target) else []
    if changed:
        raise UnseeError(
            f"{place} holds another explanation (different {', '.join(changed)}): "
            "--force replaces it, --out writes elsewhere"
        )
    return manifest


def _explained(job: Job, photos: Sequence[tuple[str, Path]]) -> Iterator[Explanation]:
    """Explanations in order; each photo is read again when there is room, so that few are in memory."""
    if not photos:
        return
    plan = job.plan
    pairs = ((read_photo(source), job.target) for source, _ in photos)
    what = f"{len(photos)} photo{'s' if len(photos) != 1 else ''}"
    sign = plan.settings.objective.game.sign
    with learning(what, len(photos), sign) as advance:
        yield from explain_each(job.classifier, pairs, plan, advance)


def _figures(value: float | None, style: str) -> str:
    return "–" if value is None else format(value, style)
