"""Photos in, explanations out: reads, batches, learns, and brings masks back on to the photos."""

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from typing import cast

import numpy as np
import torch
from torch import Tensor

from unsee.classifier import Classifier
from unsee.classifier import Target as TargetLike
from unsee.errors import UnseeError
from unsee.explanation import Explanation, Provenance, Run, Scores, Target
from unsee.fits import Fit, Squash
from unsee.images import Photo, PhotoLike, read_photo
from unsee.masks.adam import Adam
from unsee.masks.frame import Frame
from unsee.masks.learner import Arrival, Learned, learn_each
from unsee.masks.loop import Progress
from unsee.masks.objective import Game, Score
from unsee.masks.perturbation import Perturbation, blend
from unsee.masks.presets import PRESETS
from unsee.masks.settings import Settings, adjusted, described, look_up
from unsee.memory import in_quarters
from unsee.tuning import PRECISIONS, uses_bfloat16

TOP5 = "top5"
_TERMS = ("score", "l1", "tv")
_BATCH_AXES = 4


@dataclass(frozen=True)
class Plan:
    """What is done to every photo of a run.

    Args:
        settings: how masks are learned.
        preset: what the settings are called.
        fit: how photos are brought to the network's input.
        seed: of every photo's draws; a photo's mask does not depend on the photos beside it.
        batch_size: photos that are learned at once; as many as are fast and fit in memory where it is None.
        precision: "float32", "bfloat16", or "auto": bfloat16 in `fast` where the device computes in it.
        compiled: hand a copy of the network to `torch.compile`.
    """

    settings: Settings
    preset: str = "custom"
    fit: Fit = Squash()
    seed: int = 0
    batch_size: int | None = None
    precision: str = "auto"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UnseeError(f"no precision is called {self.precision!r}; there are {', '.join(PRECISIONS)}")
        if self.batch_size is not None and (not isinstance(self.batch_size, int) or self.batch_size < 1):
            raise UnseeError(f"a batch has a whole number of photos, at least 1, not {self.batch_size!r}")
        if not isinstance(self.seed, int):
            raise UnseeError(f"a seed is a whole number, not {self.seed!r}")
        if not isinstance(self.fit, Fit):
            raise UnseeError(f"a fit is unsee.Squash() or unsee.CentreCrop(), not {self.fit!r}")


def explain(
    model: Classifier,
    photos: PhotoLike | Photo | Sequence[PhotoLike | Photo],
    targets: TargetLike | Sequence[TargetLike | None] | None = None,
    *,
    preset: str | Settings = "fast",
    game: str | Game | None = None,
    perturbation: str | Perturbation | None = None,
    iterations: int | None = None,
    score: str | Score | None = None,
    fit: Fit | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    precision: str = "auto",
    compiled: bool = False,
    progress: Progress | None = None,
) -> Explanation | list[Explanation]:
    """Learn which part of a photo, or of each of several, made the classifier say what it said.

    Args:
        model: a `Classifier`; it comes back as it was.
        photos: one path, picture, (h,w,3) array or (3,h,w) tensor; or a list of them, or a (B,3,h,w) tensor
            or (B,h,w,3) array. See `read_photo`.
        targets: the class to explain, as an index or a name, or a tuple of classes to explain together, or
            "top5"; for several photos a list with one for each, or one for all. The predicted class where
            it is None.
        preset: a name in `unsee.PRESETS`, or settings.
        game, perturbation, iterations, score: change the preset in these.
        fit: how a photo is brought to the network's input; squashed to it unless told.
        seed: the same seed gives the same mask on the same machine.
        batch_size: photos that are learned at once; found from the free memory where it is None.
        precision: of the network's passes while the mask is learned: "float32", "bfloat16", or "auto", which
            is bfloat16 in the preset `fast` where the device computes in it, else float32. The scores on the
            result are always the classifier's own.
        compiled: hand a copy of the network to `torch.compile`; pays for itself over many photos only.
        progress: told after each iteration.

    Returns:
        One explanation for one photo, a list of them for several.

    Raises:
        UnseeError: a photo, target or setting that is not one.
    """
    if not isinstance(model, Classifier):
        raise UnseeError("explain takes a Classifier: wrap the network, as in unsee.Classifier(net)")
    name = preset if isinstance(preset, str) else "custom"
    base = preset if isinstance(preset, Settings) else look_up(PRESETS, preset, "preset")
    settings = adjusted(base, game, perturbation, iterations, score)
    plan = Plan(settings, name, Squash() if fit is None else fit, seed, batch_size, precision, compiled)
    sources, several = _listed(photos)
    read = [photo if isinstance(photo, Photo) else read_photo(photo) for photo in sources]
    wanted = one_each(targets, len(read), several)
    explanations = list(explain_each(model, zip(read, wanted, strict=True), plan, progress))
    return explanations if several else explanations[0]


def explain_each(
    classifier: Classifier,
    photos: Iterable[tuple[Photo, TargetLike | None]],
    plan: Plan,
    progress: Progress | None = None,
) -> Iterator[Explanation]:
    """Explanations of photos with their targets, in order.

    Photos are drawn when there is room for them: memory does not grow with their number.
    """
    cabin = _Cabin(classifier, iter(photos), plan)
    precision = precision_of(classifier, plan)
    half = precision == "bfloat16"
    learning = learn_each(
        classifier, cabin.enter, plan.settings, plan.batch_size, half, plan.compiled, progress
    )
    ready: dict[int, Explanation] = {}
    due = 0
    while (found := _next(learning)) is not None:
        place, learned = found
        frame, target, asked = cabin.leave(place)
        ready[place] = _explanation(classifier, plan, precision, frame, target, asked, learned)
        while due in ready:
            yield ready.pop(due)
            due += 1


def precision_of(classifier: Classifier, plan: Plan) -> str:
    """What a plan's masks are learned in; "auto" leaves the published presets, all of Adam, in full."""
    exact = plan.precision == "auto" and isinstance(plan.settings.algorithm, Adam)
    if not exact and uses_bfloat16(classifier, plan.precision):
        return "bfloat16"
    return str(classifier.net_dtype).removeprefix("torch.")


def _next(learning: Iterator[tuple[int, Learned]]) -> tuple[int, Learned] | None:
    with torch.inference_mode(False), torch.enable_grad():
        return next(learning, None)


class _Cabin:
    """The photos that are being learned, from when they are drawn until their mask is there."""

    def __init__(
        self, classifier: Classifier, photos: Iterator[tuple[Photo, TargetLike | None]], plan: Plan
    ) -> None:
        self.classifier, self.photos, self.plan = classifier, photos, plan
        self.inside: dict[int, tuple[Frame, tuple[int, ...], str]] = {}
        self.drawn = 0

    def enter(self, places: int) -> list[Arrival]:
        """Up to so many further photos, with their target classes."""
        batch = list(islice(self.photos, places))
        if not batch:
            return []
        frames = [_frame(self.classifier, self.plan, photo) for photo, _ in batch]
        clean = in_quarters(self._clean, frames)
        arrivals = []
        for frame, (_, asked), scores in zip(frames, batch, clean, strict=True):
            target = target_indices(self.classifier, asked, scores, self.plan.settings.targets)
            without_pictures = replace(frame)
            self.inside[self.drawn] = without_pictures, target, asked_for(asked)
            arrivals.append(Arrival(self.drawn, frame, target, len(scores)))
            self.drawn += 1
        return arrivals

    def _clean(self, frames: Sequence[Frame]) -> list[Tensor]:
        return list(self.classifier.probabilities(torch.stack([frame.plain for frame in frames])).cpu())

    def leave(self, place: int) -> tuple[Frame, tuple[int, ...], str]:
        """Frame, target classes and how they were asked for."""
        return self.inside.pop(place)


def _frame(classifier: Classifier, plan: Plan, photo: Photo) -> Frame:
    margin = plan.settings.margin
    return Frame(photo, classifier.size, margin, plan.fit, classifier.color, plan.seed, classifier.dtype)


def target_indices(
    classifier: Classifier, target: TargetLike | None, scores: Tensor, best: int = 1
) -> tuple[int, ...]:
    """The classes that a target means for an image with these scores (C,).

    Without a target they are the `best` highest-scoring classes of the clean image, the highest first.

    Raises:
        UnseeError: a class that is not there.
    """
    if target is None or (isinstance(target, str) and target == TOP5):
        count = min(best if target is None else 5, len(scores))
        return tuple(scores.topk(count).indices.tolist())
    if isinstance(target, int | str | np.integer):
        return (classifier.class_index(str(target), len(scores)),)
    if not isinstance(target, list | tuple):
        raise UnseeError(f"a target is a class index, a name or a tuple of them, not {type(target).__name__}")
    indices = tuple(dict.fromkeys(classifier.class_index(str(part), len(scores)) for part in target))
    if not indices:
        raise UnseeError("a target of several classes needs at least one class")
    return indices


def _explanation(
    classifier: Classifier,
    plan: Plan,
    precision: str,
    frame: Frame,
    target: tuple[int, ...],
    asked: str,
    learned: Learned,
) -> Explanation:
    game = plan.settings.objective.game
    photo_size = (frame.photo.pixels.shape[-2], frame.photo.pixels.shape[-1])
    mask = learned.mask
    on_photo = plan.fit.back(mask, photo_size, game.ideal).clamp(0, 1).float()
    return Explanation(
        photo=frame.photo,
        target=Target(target, tuple(map(classifier.class_name, target)), asked),
        scores=Scores(*learned.scores.tolist()),
        mask=on_photo,
        mask_grid=learned.grid.float(),
        perturbed=_edited(frame, plan, on_photo, photo_size),
        area=float(game.saliency(mask).mean()),
        run=Run(
            preset=plan.preset,
            game=game.name,
            settings=described(plan.settings),
            seed=plan.seed,
            iterations=len(learned.history),
            evaluations=learned.evaluations,
            objective=dict(zip(_TERMS, learned.terms.tolist(), strict=True)),
            history={name: tuple(learned.history[:, part].tolist()) for part, name in enumerate(_TERMS)},
            verdict=learned.verdict,
            seconds=learned.seconds,
        ),
        provenance=Provenance(
            model=classifier.name,
            weights_sha256=classifier.weights_sha256,
            input_size=classifier.size,
            fit=plan.fit.name,
            precision=precision,
            versions=versions(),
        ),
    )


def _edited(frame: Frame, plan: Plan, mask: Tensor, photo_size: tuple[int, int]) -> Tensor:
    """The edit on the whole photo; what the network never saw stays as it is."""
    reference = plan.settings.shown.references(frame)[0]
    on_photo = plan.fit.back(reference, photo_size, 0.0).clamp(0, 1).float()
    left, top, right, bottom = plan.fit.window(photo_size, frame.size)
    seen = torch.zeros(photo_size)
    seen[round(top) : round(bottom), round(left) : round(right)] = 1
    return blend(frame.photo.pixels, on_photo, torch.where(seen > 0, mask, 1.0)[None])


def asked_for(target: TargetLike | None) -> str:
    """A target as the record of a result words it."""
    if target is None:
        return "predicted"
    if isinstance(target, int | str | np.integer):
        return str(target)
    return "+".join(str(part) for part in target)


def versions() -> dict[str, str]:
    """The versions a result depends on."""
    libraries = {name: version(name) for name in ("unsee", "torch", "torchvision", "numpy", "pillow")}
    return {"python": platform.python_version(), **libraries}


def _listed(photos: PhotoLike | Photo | Sequence[PhotoLike | Photo]) -> tuple[list[PhotoLike | Photo], bool]:
    """The photos one by one, and whether they came as several."""
    batch = isinstance(photos, Tensor | np.ndarray) and photos.ndim == _BATCH_AXES
    if batch or isinstance(photos, list | tuple):
        return list(cast("Sequence[PhotoLike | Photo]", photos)), True
    return [cast("PhotoLike | Photo", photos)], False


def one_each(
    targets: TargetLike | Sequence[TargetLike | None] | None, count: int, several: bool
) -> list[TargetLike | None]:
    """The targets of so many photos; `several` where they came as a list."""
    if several and isinstance(targets, list):
        if len(targets) != count:
            raise UnseeError(
                f"{count} photos need {count} targets, not {len(targets)}: one for each, or one for all"
            )
        return list(targets)
    return [targets] * count  # type: ignore[list-item]
