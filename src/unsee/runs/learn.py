"""A run in Python: a classifier, a data set, a store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset
from unsee.errors import UnseeError
from unsee.fits import Fit, Squash
from unsee.masks import PRESETS
from unsee.masks.photos import TOP5, Plan
from unsee.masks.settings import Settings, look_up
from unsee.runs.job import Job
from unsee.runs.local import Engine, Local
from unsee.runs.run import Progress, Terms, run
from unsee.runs.store import Store
from unsee.runs.targets import PREDICTED, TOP1, question
from unsee.runs.work import LearnedMask, Saliency, Work
from unsee.saliency import LAYERED, METHODS, SEEDED
from unsee.saliency.layers import layer_named

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
    target: str = PREDICTED,
    class_map: Mapping[str, Sequence[int]] | None = None,
    seed: int = 0,
    fit: Fit | None = None,
    precision: str = "auto",
    batch_size: int | None = None,
    limit: int | None = None,
    part_size: int | None = None,
    retry: bool = False,
    data: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Store:
    """Learn a mask for every picture of a data set, or let another method look, and keep all in a store.

    The same call again does only what is missing; a run may be stopped at any moment.

    Args:
        classifier: borrowed, and given back as it was.
        dataset: `unsee.open_dataset` gives one; anything with its four methods will do.
        out: the store: a folder, or an address that fsspec knows.
        method: "mask", or a name in `unsee.saliency.METHODS`; `layer` is for those that read one.
        preset, seed, fit, precision, batch_size: as in `unsee.explain`.
        target: "predicted" (as many classes as the preset has), "top1", "top5", "label" (the picture's own
            class) or "each" (every class in the picture, a row each).
        class_map: label's name → the classifier's classes, where their names differ; others are left out.
        limit, part_size, retry: see `unsee.runs.run.Terms`.
        data: what the data set is called, for the record; compared when the store is taken up again.
        engine: `unsee.runs.local.Local()`, or `unsee.runs.cluster.OnRay(workers)`.
        progress: told how it goes.

    Returns:
        The store.

    Raises:
        UnseeError: a name, target or setting that is none, a store that was begun with other settings, that
            another run is writing to or that cannot be written to.
    """
    if not isinstance(classifier, Classifier):
        raise UnseeError("learn takes a Classifier: wrap the network, as in unsee.Classifier(net)")
    terms = Terms(limit, part_size, retry)
    asked = question(target, dataset, classifier, class_map)
    size = batch_size or Store(out).manifest.get("settings", {}).get("batch_size")
    plan = Plan(_settings(preset, target), _name(preset), fit or Squash(), seed, size, precision)
    if method == MASK and layer is not None:
        raise UnseeError("the learned mask reads no layer: leave it out")
    work: Work = LearnedMask(plan) if method == MASK else _looking(classifier, method, layer, plan)
    described = {"name": type(dataset).__name__} if data is None else data
    job = Job(classifier, dataset, asked, work.settled(classifier), described, class_map)
    return run(job, str(out), engine or Local(), terms, progress)


def _settings(preset: str | Settings, target: str) -> Settings:
    settings = preset if isinstance(preset, Settings) else look_up(PRESETS, preset, "preset")
    return replace(settings, targets=_BEST.get(target, settings.targets))


def _name(preset: str | Settings) -> str:
    return preset if isinstance(preset, str) else "custom"


def _looking(classifier: Classifier, name: str, layer: str | None, plan: Plan) -> Saliency:
    """Another method; of the plan's settings it takes how many classes are meant, and no more."""
    key = name.replace("-", "_")
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
    best = plan.settings.targets
    return Saliency(key, call, tuple(options.items()), best, plan.fit, plan.batch_size)
