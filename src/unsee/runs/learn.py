"""A run in Python: a classifier, a data set, a store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from unsee.choices import look_up
from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset, description
from unsee.errors import UnseeError
from unsee.fits import Fit, Squash
from unsee.layers import layer_named
from unsee.masks import PRESETS
from unsee.masks.photos import TOP5, Plan
from unsee.masks.settings import Settings
from unsee.runs.engines.local import Engine, Local
from unsee.runs.job import Job
from unsee.runs.methods import LearnedMask, RowMethod, SaliencyMaps
from unsee.runs.resume import Extent, Progress, resume
from unsee.runs.store import Store
from unsee.runs.targets import PREDICTED, TOP1, class_map_of, target_rule
from unsee.saliency import LAYERED, METHODS, SEEDED

MASK = "mask"
_BEST = {TOP1: 1, TOP5: 5}


def learn(
    classifier: Classifier,
    dataset: Dataset,
    out: str | Path,
    *,
    method: str = MASK,
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
        method: "mask", or a name in `unsee.saliency.METHODS`; `layer` is for those that read one.
        preset: how masks are learned: a name in `unsee.PRESETS`, or settings such as
            `unsee.masks.adjusted(unsee.PRESETS["fast"], game="preservation")`; for the mask alone.
        seed, fit, precision, batch_size: as in `unsee.explain`.
        target: "predicted" (as many classes as the preset has; the best one for other methods), "top1",
            "top5", "label" (the picture's own class), "each" (every class in the picture, a row each), or
            one class for all pictures by name or index, several joined by "+".
        class_map: label's name → the classifier's classes, where their names differ; others are left out.
        limit, part_size, retry: see `unsee.runs.resume.Extent`.
        engine: `unsee.runs.engines.local.Local()`, or `unsee.runs.engines.ray.OnRay(workers)`.
        progress: told how it goes.

    Raises:
        UnseeError: a name, target or setting that is none, a store that was begun with other settings, that
            another run is writing to or that cannot be written to.
    """
    _understood(classifier, dataset, engine, method)
    mapping = class_map_of(class_map)
    rule = target_rule(str(target), dataset, classifier, mapping)
    kept = Store(out).manifest.get("settings", {})
    size = kept.get("batch_size") if batch_size is None else batch_size
    settings = preset if isinstance(preset, Settings) else look_up(PRESETS, preset, "preset")
    plan = Plan(settings, _name(settings), fit or Squash(), seed, size, precision)
    best = _BEST.get(rule.kind)
    row_method = (
        _learning(plan, layer, best) if method == MASK else _looking(classifier, method, layer, plan, best)
    )
    job = Job(classifier, dataset, rule, row_method.resolved(classifier), description(dataset), mapping)
    return resume(job, str(out), engine or Local(), Extent(limit, part_size, retry), progress)


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
        raise UnseeError(f"a method has a name, 'mask' or one of unsee.saliency.METHODS, {method!r} is none")


def _name(settings: Settings) -> str:
    """What settings are called: as the preset is, or as the one that they were made from."""
    for name, preset in PRESETS.items():
        if settings == preset:
            return name
        if settings.source == preset.source:
            return f"{name}, changed"
    return "custom"


def _learning(plan: Plan, layer: str | None, best: int | None) -> RowMethod:
    """The learned mask, about the `best` classes, or as many as its settings say."""
    if layer is not None:
        raise UnseeError("the learned mask reads no layer: leave it out")
    settings = replace(plan.settings, targets=best or plan.settings.targets)
    return LearnedMask(replace(plan, settings=settings))


def _looking(classifier: Classifier, name: str, layer: str | None, plan: Plan, best: int | None) -> RowMethod:
    """Another method, about the `best` classes, or the best one; of a plan it takes fit, seed and batch size.

    Raises:
        UnseeError: no such method, a layer for one that reads none, or a precision.
    """
    if plan.precision != "auto":
        raise UnseeError("a precision is for the learned mask: other methods compute as the network does")
    key = name.replace("-", "_").casefold()
    call: Any = look_up({MASK: None, **METHODS}, key, "method")
    options: dict[str, str | int | None] = {}
    if key in LAYERED:
        options["layer"] = layer
        if layer is not None:
            layer_named(classifier, layer)
            call = partial(call, layer=layer)
    elif layer is not None:
        raise UnseeError(f"{name} reads no layer: leave it out; {', '.join(LAYERED)} read one")
    if key in SEEDED:
        options["seed"] = plan.seed
        call = partial(call, seed=plan.seed)
    return SaliencyMaps(key, call, tuple(options.items()), best or 1, plan.fit, plan.batch_size)
