"""A run in Python: a classifier, a data set, a store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from unsee.choices import look_up
from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset, description
from unsee.errors import UnseeError
from unsee.fits import Fit, Squash
from unsee.layers import layer_named
from unsee.masks import PRESETS
from unsee.masks.photos import TOP5, Plan
from unsee.masks.settings import Settings
from unsee.methods import Method, method_named
from unsee.runs.engines.local import Engine, Local
from unsee.runs.job import Job
from unsee.runs.methods import LearnedMask, Saliency, Work
from unsee.runs.resume import Progress, Terms, run
from unsee.runs.store import Store
from unsee.runs.targets import PREDICTED, TOP1, class_map_of, question

_BEST = {TOP1: 1, TOP5: 5}


def learn(
    classifier: Classifier,
    dataset: Dataset,
    out: str | Path,
    *,
    method: str = "mask",
    preset: str | Settings = "fast",
    layer: str | None = None,
    target: str | int = PREDICTED,
    class_map: Mapping[str, int | Sequence[int]] | None = None,
    seed: int = 0,
    fit: Fit | None = None,
    precision: str = "auto",
    batch_size: int | None = None,
    limit: int | None = None,
    part_size: int | None = None,
    retry: bool = False,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Store:
    """Learn a mask for every picture of a data set, or let another method look; returns the store of all.

    The same call again does only what is missing; a run may be stopped at any moment.

    Args:
        classifier: borrowed, and given back as it was.
        dataset: `unsee.open_dataset` gives one; anything with its four methods will do.
        out: the store: a folder, or an address that fsspec knows.
        method: a name in `unsee.METHODS`; `layer` is for those that read one.
        preset: how masks are learned: a name in `unsee.PRESETS`, or settings such as
            `unsee.masks.adjusted(unsee.PRESETS["fast"], game="preservation")`; for the mask alone.
        seed, fit, precision, batch_size: as in `unsee.explain`.
        target: "predicted" (as many classes as the preset has; the best one for other methods), "top1",
            "top5", "label" (the picture's own class), "each" (every class in the picture, a row each), or
            one class for all pictures by name or index, several joined by "+".
        class_map: label's name → the classifier's classes, where their names differ; others are left out.
        limit, part_size, retry: see `unsee.runs.resume.Terms`.
        engine: `unsee.runs.engines.local.Local()`, or `unsee.runs.engines.ray.OnRay(workers)`.
        progress: told how it goes.

    Raises:
        UnseeError: a name, target or setting that is none, a store that was begun with other settings, that
            another run is writing to or that cannot be written to.
    """
    _understood(classifier, dataset, engine, method)
    mapping = class_map_of(class_map)
    asked = question(str(target), dataset, classifier, mapping)
    kept = Store(out).manifest.get("settings", {})
    size = kept.get("batch_size") if batch_size is None else batch_size
    settings = preset if isinstance(preset, Settings) else look_up(PRESETS, preset, "preset")
    plan = Plan(settings, _name(settings), fit or Squash(), seed, size, precision)
    best = _BEST.get(asked.kind)
    work = _work(classifier, method_named(method), layer, plan, best)
    job = Job(classifier, dataset, asked, work.settled(classifier), description(dataset), mapping)
    return run(job, str(out), engine or Local(), Terms(limit, part_size, retry), progress)


def _understood(classifier: object, dataset: object, engine: object, method: object) -> None:
    """Say what was given in place of a classifier, a data set, an engine or a method."""
    if not isinstance(classifier, Classifier):
        raise UnseeError("learn takes a Classifier: wrap the network, as in unsee.Classifier(net)")
    if not isinstance(dataset, Dataset):
        given = repr(dataset) if isinstance(dataset, str | Path) else type(dataset).__name__
        raise UnseeError(
            f"learn takes a data set, not {given}: unsee.open_dataset opens one, as in "
            "unsee.open_dataset('folder:photos')"
        )
    if engine is not None and not isinstance(engine, Engine):
        raise UnseeError(
            f"an engine is unsee.runs.engines.local.Local() or unsee.runs.engines.ray.OnRay(2), "
            f"not {engine!r}"
        )
    if not isinstance(method, str):
        raise UnseeError(f"method must be a name in unsee.METHODS such as 'mask', got {method!r}")


def _name(settings: Settings) -> str:
    """What settings are called: as the preset is, or as the one that they were made from."""
    for name, preset in PRESETS.items():
        if settings == preset:
            return name
        if settings.source == preset.source:
            return f"{name}, changed"
    return "custom"


def _work(classifier: Classifier, method: Method, layer: str | None, plan: Plan, best: int | None) -> Work:
    """A method for a plan, for the `best` classes of an image.

    The learned mask defaults to as many classes as its settings say, another method to one, and of the plan
    it takes the fit, seed and batch size.

    Raises:
        UnseeError: a layer for a method that reads none, a layer that does not exist, or a precision for
            another method than the learned mask.
    """
    method.check_layer(layer)
    if method.learned:
        settings = replace(plan.settings, targets=best or plan.settings.targets)
        return LearnedMask(replace(plan, settings=settings))
    if plan.precision != "auto":
        raise UnseeError("a precision is for the learned mask: other methods compute as the network does")
    if layer is not None:
        layer_named(classifier, layer)
    return Saliency(method, layer, plan.seed, best or 1, plan.fit, plan.batch_size)
