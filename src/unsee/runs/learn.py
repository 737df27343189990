"""A run from Python: a classifier, a data set, a store."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset, description
from unsee.datasets.picture import dataset_for, photo_of
from unsee.defaults import DEFAULT_PRESET
from unsee.errors import UnseeError
from unsee.fits import Fit
from unsee.images import Photo
from unsee.layers import layer_named
from unsee.masks import PRESETS, OnLayer, Plan, plan_for
from unsee.masks.optimisers.protocol import Optimiser
from unsee.masks.photos import TOP5
from unsee.masks.plans import CUSTOM
from unsee.masks.settings import Settings
from unsee.methods import Method, method_named
from unsee.neutral import neutral
from unsee.runs.engines.local import Engine, Local
from unsee.runs.job import Job
from unsee.runs.methods import LearnedMask, RowMethod, SaliencyMaps
from unsee.runs.resume import Extent, RunProgress, resume
from unsee.runs.store import Store
from unsee.runs.targets import PREDICTED, TOP1, class_map_of, target_rule

_FIRST = 64
_BEST = {TOP1: 1, TOP5: 5}


@dataclass(frozen=True)
class LearnSettings:
    """Every setting that decides the rows of a run; `learn` explains each.

    Args:
        method: a name in `unsee.METHODS`.
        plan: how masks are learned. Other methods take its layer, seed, fit and batch size.
        target: what is explained in each image.
        class_map: label's name → the classifier's classes.
    """

    method: str = "mask"
    plan: Plan = field(default_factory=plan_for)
    target: str | int = PREDICTED
    class_map: Mapping[str, int | Sequence[int]] | None = None

    def job(self, classifier: Classifier, dataset: Dataset) -> Job:
        """What these settings mean for a classifier and a data set.

        Raises:
            UnseeError: an unknown name, a setting that the method does not take, or a network that does not
                give what the method needs.
        """
        dataset = dataset_for(classifier, dataset)
        class_map = class_map_of(self.class_map)
        rule = target_rule(str(self.target), dataset, classifier, class_map)
        best = _BEST.get(rule.kind)
        method = self._row_method(classifier, dataset, method_named(self.method), best)
        return Job(classifier, dataset, rule, method.resolved(classifier), description(dataset), class_map)

    def _row_method(
        self, classifier: Classifier, dataset: Dataset, method: Method, best: int | None
    ) -> RowMethod:
        """The method, for the `best` classes of an image.

        By default the learned mask explains as many classes as its preset says, and other methods one.
        """
        plan = self.plan
        method.check_network(classifier)
        if method.learned:
            if plan.areas:
                raise UnseeError("a run learns one mask for each target: give one area (--area)")
            named = replace(plan, preset=_name_of(plan.settings)).on(classifier, _first_photos(dataset))
            return LearnedMask(
                replace(named, settings=replace(named.settings, targets=best or named.settings.targets))
            )
        check_for_mask(method.name, {"suppress or keep": plan.sufficient})
        layer = None if plan.layer is None else plan.layer.name
        method.check_layer(layer)
        if plan.precision != "auto":
            raise UnseeError("precision is for the learned mask: other methods use the network's own")
        if layer is not None:
            layer_named(classifier, layer)
        return SaliencyMaps(method, layer, plan.seed, best or 1, plan.fit, plan.batch_size)


def learn(
    classifier: Classifier,
    dataset: Dataset,
    out: str | Path,
    *,
    method: str = "mask",
    preset: str | Settings = DEFAULT_PRESET,
    layer: str | OnLayer | None = None,
    target: str | int = PREDICTED,
    class_map: Mapping[str, int | Sequence[int]] | None = None,
    seed: int = 0,
    fit: Fit | None = None,
    precision: str = "auto",
    batch_size: int | None = None,
    limit: int | None = None,
    part_size: int | None = None,
    retry: bool = False,
    sample: int | None = None,
    engine: Engine | None = None,
    progress: RunProgress | None = None,
    suppress: float | None = None,
    keep: float | None = None,
    optimiser: str | Optimiser | None = None,
    budget: int | None = None,
) -> Store:
    """Learn a mask, or compute another method's saliency map, for every image of a data set.

    A run may be stopped at any moment: the same call again does only what is missing.

    Args:
        classifier: returned in the state in which it was given.
        dataset: from `unsee.open_dataset`, or any object with the methods of `unsee.datasets.Dataset`.
        out: the store: a folder, or an address that fsspec knows.
        method: a name in `unsee.METHODS`.
        preset: how masks are learned: a name in `unsee.PRESETS`, or settings such as
            `unsee.masks.adjusted(unsee.PRESETS["fast"], game="preservation")`. Other methods ignore it.
        layer: for methods that read one; by default each chooses its own. The mask edits its activation
            instead of pixels; see `unsee.OnLayer`, whose "mean" is that of the first 64 images.
        target: "predicted" (as many classes as the preset has; one for other methods), "top1", "top5",
            "label" (the image's own class), "each" (every class in the image, a row each), or one class
            for all images by name or index, several joined by "+".
        class_map: label's name → the classifier's classes, if their names differ. Labels that are not in
            it are left out.
        seed, fit, precision, batch_size: as in `unsee.explain`.
        limit, part_size, retry, sample: see `unsee.runs.resume.Extent`. A sample is drawn with `seed`; a
            larger one continues.
        engine: `unsee.runs.engines.local.Local()`, or `unsee.runs.engines.ray.OnRay(workers)`.
        progress: called with the events of the run.
        suppress, keep: for the smallest mask that suffices, as in `unsee.explain`.
        optimiser, budget: of masks, as in `unsee.explain`.

    Returns:
        The store, with all rows.

    Raises:
        UnseeError: an unknown name, a setting that the method does not take, or a store that has other
            settings, that another run is writing to, or that cannot be written to.
    """
    extent = Extent(limit, part_size, retry, sample)
    plan = plan_for(
        preset,
        layer=layer,
        suppress=suppress,
        keep=keep,
        fit=fit,
        seed=seed,
        batch_size=batch_size,
        precision=precision,
        optimiser=optimiser,
        budget=budget,
    )
    settings = LearnSettings(method, plan, target, class_map)
    return learn_with(settings, classifier, dataset, out, extent, engine, progress)


@neutral()
def learn_with(
    settings: LearnSettings,
    classifier: Classifier,
    dataset: Dataset,
    out: str | Path,
    extent: Extent | None = None,
    engine: Engine | None = None,
    progress: RunProgress | None = None,
) -> Store:
    """The same as `learn`, with the settings as one value.

    Args:
        settings: every setting that decides the rows.
        classifier: returned in the state in which it was given.
        dataset: the images.
        out: the store: a folder, or an address that fsspec knows.
        extent: how far the run goes; all images by default.
        engine: `Local()` by default.
        progress: called with the events of the run.

    Returns:
        The store, with all rows.

    Raises:
        UnseeError: see `learn`.
    """
    _check_types(classifier, dataset, engine, settings.method)
    plan = settings.plan
    if plan.batch_size is None:
        kept = Store(out).manifest.get("settings", {})
        settings = replace(settings, plan=replace(plan, batch_size=kept.get("batch_size")))
    extent = extent or Extent()
    job = settings.job(classifier, extent.ordered(dataset, plan.seed))
    return resume(job, str(out), engine or Local(), extent, progress)


def check_for_mask(method: str, options: Mapping[str, object]) -> None:
    """Refuse options of the learned mask for another method.

    Args:
        method: a name in `unsee.METHODS`.
        options: name → value; None where it is not given.

    Raises:
        UnseeError: there is no such method, or it is not the learned mask and an option is given.
    """
    chosen = method_named(method)
    given = [name for name, value in options.items() if value is not None]
    if given and not chosen.learned:
        raise UnseeError(
            f"{given[0]} is for the learned mask, and {chosen.spelled} does not take it: leave it out, "
            "or use method mask"
        )


def _first_photos(dataset: Dataset) -> Iterator[Photo]:
    """Those of the first images that can be read, for the mean of a layer."""
    for number in range(min(_FIRST, len(dataset))):
        try:
            sample = dataset[number]
        except Exception:  # the run itself records why an image cannot be read
            continue
        yield photo_of(sample)


def _check_types(classifier: object, dataset: object, engine: object, method: object) -> None:
    """Refuse arguments of other types in a line that says what is expected."""
    if not isinstance(classifier, Classifier):
        raise UnseeError("learn takes a Classifier: wrap the network, as in unsee.Classifier(net)")
    if not isinstance(dataset, Dataset):
        given = repr(dataset) if isinstance(dataset, str | Path) else type(dataset).__name__
        raise UnseeError(
            f"learn takes a data set, not {given}: open one as in unsee.open_dataset('folder:photos')"
        )
    if engine is not None and not isinstance(engine, Engine):
        raise UnseeError(
            f"an engine is unsee.runs.engines.local.Local() or unsee.runs.engines.ray.OnRay(2), "
            f"not {engine!r}"
        )
    if not isinstance(method, str):
        raise UnseeError(f"method must be a name in unsee.METHODS such as 'mask', got {method!r}")


def _name_of(settings: Settings) -> str:
    """The name of the preset with these settings but for retries, or of that from which they were changed."""
    for name, preset in PRESETS.items():
        if replace(settings, retries=preset.retries) == preset:
            return name
        if settings.source == preset.source:
            return f"{name}, changed"
    return CUSTOM
