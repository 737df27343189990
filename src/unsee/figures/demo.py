"""The demonstration from the networks to the page."""

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.experiments.demonstration import (
    PLAIN,
    REAL,
    SCENES,
    SHORTCUT,
    SceneResult,
    carried_photos,
    demonstrate,
    demonstrate_photos,
)
from unsee.figures.demonstration import refuse_taken, save_demonstration
from unsee.images import Photo
from unsee.masks.loop import Step
from unsee.masks.plans import plan_for
from unsee.models import load


@dataclass(frozen=True)
class DemoStarted:
    """The networks are loaded: how many masks are to learn; why photographs are missing, or ""."""

    masks: int
    left_out: str


@dataclass(frozen=True, eq=False)
class DemoReport:
    """What the demonstration found, its page, and why photographs are missing, "" if none are."""

    findings: tuple[SceneResult, ...]
    page: Path
    left_out: str


def demo(
    out: str | PathLike[str] = "demo-out",
    *,
    iterations: int | None = None,
    seed: int = 0,
    device: str = "auto",
    force: bool = False,
    progress: Callable[[DemoStarted | Step], None] | None = None,
) -> DemoReport:
    """Explain drawn animals with known outlines, then three photographs, and write a page. Downloads nothing.

    The photographs come with scikit-image; without it, they are left out.

    Args:
        out: the folder of the page, the figures and the explanations.
        iterations: at most so many for each mask; by default the preset's.
        seed: of the masks.
        device: a torch device, or "auto" for the fastest available.
        force: replace a demonstration that is there.
        progress: called once the networks are loaded, then after each iteration.

    Raises:
        UnseeError: the folder holds a demonstration and `force` is False, it cannot be written to, or the
            device cannot be used.
    """
    page = refuse_taken(out, force)
    plan = plan_for(iterations=iterations, seed=seed)
    classifiers = {name: load(name, device=device) for name in (PLAIN, SHORTCUT)}
    photographs, left_out = _photographs(device)
    if progress is not None:
        progress(DemoStarted(len(SCENES) + (len(photographs[1]) if photographs else 0), left_out))
    findings = demonstrate(classifiers, plan, progress=progress)
    findings += demonstrate_photos(*photographs, plan, progress=progress) if photographs else []
    save_demonstration(findings, out, force=True)
    return DemoReport(tuple(findings), page, left_out)


def _photographs(device: str) -> tuple[tuple[Classifier, list[Photo]] | None, str]:
    """The network and the photographs, or None and what to install if either is missing."""
    try:
        photos = carried_photos()
        return (load(REAL, device=device), photos), ""
    except UnseeError as error:
        return None, str(error)
