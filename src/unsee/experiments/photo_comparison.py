"""The learned mask next to the other saliency methods (fig. 2), each with its smallest box (§5.3)."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier, TargetLike
from unsee.errors import UnseeError
from unsee.experiments.comparison import SHARE, Comparison, MethodResult
from unsee.experiments.smallest_box import smallest_box
from unsee.explanation import Scores, Target
from unsee.fits import Fit, Squash
from unsee.images import Photo, PhotoLike
from unsee.layer_names import layer_called
from unsee.layers import layer_named
from unsee.masks import OnLayer, Plan, plan_for
from unsee.masks.area_penalties import checked_area
from unsee.masks.explain import one_each, versions
from unsee.masks.network_input import NetworkInput, photo_for
from unsee.masks.on_layer import check_no_cells
from unsee.masks.on_photo import on_input
from unsee.masks.outcome import Learned
from unsee.masks.photos import asked_for, learn_photos, target_indices
from unsee.methods import METHODS, method_named
from unsee.neutral import neutral
from unsee.records import described
from unsee.tensors import smooth


@dataclass(frozen=True)
class ComparisonSettings:
    """The methods of a comparison, and their settings.

    Args:
        methods: names in `unsee.METHODS`.
        fit: how photos are fitted to the network's input.
        seed: of the random methods, and of the mask.
        preset: how the mask is learned: by default "fast", or with an area "extremal-fast".
        layer: for the methods that read one; defaults to each method's own.
        perturbation: that the mask is learned against; defaults to the preset's.
        mask_layer: the layer whose activation the mask edits; by default it edits pixels.
        area: share of the picture that the mask should mark; None where the preset chooses it.
        suppress, keep: for the smallest mask that suffices, as in `unsee.explain`.
        optimiser, budget: of the learned mask, as in `unsee.explain`.
    """

    methods: tuple[str, ...] = tuple(METHODS)
    fit: Fit = field(default_factory=Squash)
    seed: int = 0
    preset: str | None = None
    layer: str | None = None
    perturbation: str | None = None
    mask_layer: OnLayer | None = None
    area: float | None = None
    suppress: float | None = None
    keep: float | None = None
    optimiser: str | None = None
    budget: int | None = None

    def __post_init__(self) -> None:
        settings = self.plan.settings
        if self.mask_layer is not None:
            check_no_cells(settings)
        object.__setattr__(self, "methods", tuple(method_named(name).name for name in self.methods))
        if not self.methods:
            raise UnseeError("there is nothing to compare: name at least one method")
        options = ("perturbation", "mask_layer", "area", "suppress", "keep", "optimiser", "budget")
        given = [name for name in options if getattr(self, name) is not None]
        if given and not any(METHODS[name].learned for name in self.methods):
            raise UnseeError(f"{given[0]} is for the learned mask: leave it out, or compare mask too")

    @property
    def plan(self) -> Plan:
        """How the mask is learned.

        Raises:
            UnseeError: there is no such preset or perturbation, or settings exclude each other.
        """
        return plan_for(
            self.preset,
            perturbation=self.perturbation,
            area=None if self.area is None else checked_area(self.area),
            layer=self.mask_layer,
            suppress=self.suppress,
            keep=self.keep,
            fit=self.fit,
            seed=self.seed,
            optimiser=self.optimiser,
            budget=self.budget,
        )


@neutral()
def compare(
    classifier: Classifier,
    photos: PhotoLike | Photo | Sequence[PhotoLike | Photo],
    methods: Sequence[str] | None = None,
    targets: TargetLike | Sequence[TargetLike | None] | None = None,
    seed: int = 0,
    preset: str | None = None,
    layer: str | None = None,
    mask_layer: str | OnLayer | None = None,
    fit: Fit | None = None,
    area: float | None = None,
    perturbation: str | None = None,
    score: str | None = None,
    progress: Callable[[str, str], None] | None = None,
    suppress: float | None = None,
    keep: float | None = None,
    optimiser: str | None = None,
    budget: int | None = None,
) -> Comparison | list[Comparison]:
    """Compare the learned mask with other saliency methods (fig. 2), each with its smallest box (§5.3).

    Args:
        classifier: borrowed, and given back as it was.
        photos: one, or a list of them.
        methods: names in `unsee.METHODS`; defaults to all.
        targets: as `unsee.explain` takes them: one for each photo in a list, or one for all.
        seed: of the random methods, and of the mask.
        preset: how the mask is learned: by default "fast", or with an area "extremal-fast".
        layer: for the methods that read one; defaults to each method's own.
        mask_layer: the layer whose activation the mask edits; by default it edits pixels.
        fit: how photos are fitted to the network's input; defaults to `Squash()`.
        area: share of the picture that the mask should mark.
        perturbation: that the mask is learned against; defaults to the preset's.
        score: of several targets together, as `Classifier` takes it; defaults to the classifier's.
        progress: called with the photo's name and the method before each method.
        suppress, keep: for the smallest mask that suffices, as in `unsee.explain`.
        optimiser, budget: of the learned mask, as in `unsee.explain`.

    Returns:
        One comparison for one photo, a list for several. A method that does not support the network is in
        `refused`.

    Raises:
        UnseeError: a photo cannot be read, or a method, target, preset or perturbation does not exist.
    """
    if isinstance(methods, str):
        methods = [methods]
    names = tuple(METHODS) if methods is None else tuple(method_named(name).name for name in methods)
    if not isinstance(classifier, Classifier):
        raise UnseeError("compare takes a Classifier: wrap the network, as in unsee.Classifier(net)")
    classifier = classifier.scored(score)
    place = OnLayer(mask_layer) if isinstance(mask_layer, str) else mask_layer
    fitted = Squash() if fit is None else fit
    settings = ComparisonSettings(
        names, fitted, seed, preset, layer, perturbation, place, area, suppress, keep, optimiser, budget
    )
    several = isinstance(photos, list | tuple)
    sources = cast("Sequence[PhotoLike | Photo]", photos if several else [photos])
    found = []
    for source, target in zip(sources, one_each(targets, len(sources), several), strict=True):
        photo = photo_for(classifier, source)
        comparer = PhotoComparer.prepare(classifier, photo, target, settings)
        for method in comparer.missing:
            if progress is not None:
                progress(photo.name, method)
            comparer.run(method)
        found.append(comparer.comparison())
    return found if several else found[0]


@dataclass(eq=False)
class PhotoComparer:
    """Explains one photo by one method after another; `known` may hold results of an earlier run."""

    classifier: Classifier
    network_input: NetworkInput
    target: Target
    scores: Scores
    settings: ComparisonSettings
    known: dict[str, MethodResult] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    @neutral()
    def prepare(
        cls, classifier: Classifier, photo: Photo, target: TargetLike | None, settings: ComparisonSettings
    ) -> "PhotoComparer":
        """Bring the photo to the network's input, and score its target.

        Args:
            classifier: borrowed, and given back as it was.
            photo: as it was read.
            target: as `unsee.explain` takes it; None for the predicted class.
            settings: the methods and their settings.

        Raises:
            UnseeError: the target or the layer does not exist, or the scores are not finite.
        """
        if settings.layer is not None:
            layer_named(classifier, settings.layer)
        if settings.mask_layer is not None:
            layer_called(classifier, settings.mask_layer.name)
        network_input = NetworkInput.of(classifier, photo, settings.fit, settings.seed)
        images = torch.stack([network_input.plain, smooth(network_input.plain, 10.0)])
        logits = classifier.still_logits(images).cpu()
        clean = classifier.reading.scores(logits)[0]
        if not bool(clean.isfinite().all()):
            raise UnseeError(classifier.not_finite(photo.name))
        indices = target_indices(classifier, target, clean)
        original, reference = classifier.target_scores(logits, [indices, indices]).tolist()
        scores = Scores(original, reference, reference)
        named = Target(indices, tuple(map(classifier.class_name, indices)), asked_for(target))
        return cls(classifier, network_input, named, scores, settings)

    @property
    def missing(self) -> list[str]:
        """The methods that have not run yet."""
        return [name for name in self.settings.methods if name not in self.known and name not in self.refused]

    @neutral()
    def run(self, method: str) -> None:
        """Run one method, and keep its result or the reason why there is none."""
        began = time.perf_counter()
        try:
            learned = self._learned() if METHODS[method].learned else None
            maps = self._saliency(method) if learned is None else self._mask(learned)
            saliency = maps.detach().float().cpu()
            seconds = time.perf_counter() - began
            box = smallest_box(
                self.classifier, self.network_input.plain, saliency, self.target.indices, SHARE
            )
        except UnseeError as error:
            self.refused[method] = str(error)
            return
        own = () if learned is None else (learned.verdict, learned.token_check)
        self.known[method] = MethodResult(saliency, box, seconds, *own)

    def comparison(self, methods: Sequence[str] | None = None) -> Comparison:
        """The results so far of some methods, in their order; defaults to the methods of the settings."""
        chosen = self.settings.methods if methods is None else methods
        return Comparison(
            photo=self.network_input.photo,
            target=self.target,
            scores=self.scores,
            results={name: self.known[name] for name in chosen if name in self.known},
            refused={name: self.refused[name] for name in chosen if name in self.refused},
            how=comparison_record(self.classifier, self.settings),
            fit=self.settings.fit,
            size=self.classifier.size,
        )

    def _saliency(self, method: str) -> Float[Tensor, "hm wm"]:
        record = METHODS[method]
        layer = self.settings.layer if record.reads_layer else None
        images = self.network_input.plain[None].to(self.classifier.device)
        maps = record(self.classifier, images, [self.target.indices], layer=layer, seed=self.settings.seed)
        return maps[0]

    def _learned(self) -> Learned:
        photo = self.network_input.photo
        plan = self.settings.plan.on(self.classifier, [photo])
        (found,) = learn_photos(self.classifier, [(photo, self.target.indices)], plan)
        return found.learned

    def _mask(self, learned: Learned) -> Float[Tensor, "h w"]:
        """The learned mask as saliency; of cells inside the network, one value a pixel of its input."""
        settings, mask = self.settings.plan.settings, learned.mask
        if settings.own_cells:
            mask = on_input(mask, self.classifier.size)
        return settings.objective.game.saliency(mask)


def comparison_record(classifier: Classifier, settings: ComparisonSettings) -> dict[str, Any]:
    """What a comparison's numbers depend on, as JSON values."""
    return {
        "model": classifier.name,
        "weights_sha256": classifier.weights_sha256,
        "input_size": list(classifier.size),
        "head": classifier.reading.summary,
        "network": classifier.record,
        "channels": classifier.input_shape[0],
        "value_range": list(classifier.value_range),
        "fit": settings.fit.name,
        "seed": settings.seed,
        "preset": settings.plan.preset,
        "layer": settings.layer,
        **({} if settings.area is None else {"area": settings.area}),
        "perturbation": settings.perturbation,
        "mask_layer": described(settings.mask_layer),
        "suppress": settings.suppress,
        "keep": settings.keep,
        "share": SHARE,
        "versions": {**versions(), **_helpers()},
    }


def _helpers() -> dict[str, str]:
    """The versions of the libraries that some methods use, if they are installed."""
    found = {}
    for name in ("captum", "zennit", "scikit-image", "scikit-learn"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
