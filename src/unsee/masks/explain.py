"""Photos in, explanations out: reads, batches, learns, and brings masks back on to the photos."""

import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from unsee.masks.frame import Frame
from unsee.masks.learner import Learned, learn
from unsee.masks.loop import Progress
from unsee.masks.objective import Game, Score
from unsee.masks.perturbation import Perturbation, blend
from unsee.masks.presets import PRESETS
from unsee.masks.settings import Settings, adjusted, described, look_up

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
        batch_size: photos that are learned at once.
    """

    settings: Settings
    preset: str = "custom"
    fit: Fit = Squash()
    seed: int = 0
    batch_size: int = 16

    def __post_init__(self) -> None:
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
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
    preset: str | Settings = "paper",
    game: str | Game | None = None,
    perturbation: str | Perturbation | None = None,
    iterations: int | None = None,
    score: str | Score | None = None,
    fit: Fit | None = None,
    seed: int = 0,
    batch_size: int = 16,
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
        batch_size: photos that are learned at once.
        progress: told after each iteration of each batch.

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
    plan = Plan(settings, name, Squash() if fit is None else fit, seed, batch_size)
    sources, several = _listed(photos)
    read = [photo if isinstance(photo, Photo) else read_photo(photo) for photo in sources]
    wanted = _one_each(targets, len(read), several)
    explanations = list(explain_each(model, zip(read, wanted, strict=True), plan, progress))
    return explanations if several else explanations[0]


def explain_each(
    classifier: Classifier,
    photos: Iterable[tuple[Photo, TargetLike | None]],
    plan: Plan,
    progress: Progress | None = None,
) -> Iterator[Explanation]:
    """Explanations of photos with their targets, in order; photos are drawn a batch at a time."""
    source = iter(photos)
    while batch := list(islice(source, plan.batch_size)):
        yield from _explain_batch(classifier, batch, plan, progress)


def _explain_batch(
    classifier: Classifier,
    batch: Sequence[tuple[Photo, TargetLike | None]],
    plan: Plan,
    progress: Progress | None,
) -> Iterator[Explanation]:
    began = time.perf_counter()
    settings = plan.settings
    with torch.inference_mode(False), torch.enable_grad():
        frames = [_frame(classifier, plan, photo) for photo, _ in batch]
        clean = classifier.probabilities(torch.stack([frame.plain for frame in frames])).cpu()
        classes = clean.shape[1]
        chosen = [
            target_indices(classifier, target, row, settings.targets)
            for (_, target), row in zip(batch, clean, strict=True)
        ]
        learned = learn(classifier, frames, chosen, classes, settings, progress)
    seconds = (time.perf_counter() - began) / len(batch)
    for row, frame in enumerate(frames):
        asked = asked_for(batch[row][1])
        yield _explanation(classifier, plan, frame, chosen[row], asked, learned, row, seconds)


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
    frame: Frame,
    target: tuple[int, ...],
    asked: str,
    learned: Learned,
    row: int,
    seconds: float,
) -> Explanation:
    game = plan.settings.objective.game
    photo_size = (frame.photo.pixels.shape[-2], frame.photo.pixels.shape[-1])
    mask = learned.masks[row]
    on_photo = plan.fit.back(mask, photo_size, game.ideal).clamp(0, 1).float()
    return Explanation(
        photo=frame.photo,
        target=Target(target, tuple(map(classifier.class_name, target)), asked),
        scores=Scores(*learned.scores[row].tolist()),
        mask=on_photo,
        mask_grid=learned.grids[row].float(),
        perturbed=_edited(frame, plan, on_photo, photo_size),
        area=float(game.saliency(mask).mean()),
        run=Run(
            preset=plan.preset,
            game=game.name,
            settings=described(plan.settings),
            seed=plan.seed,
            iterations=plan.settings.adam.iterations,
            evaluations=int(learned.evaluations[row]),
            objective=dict(zip(_TERMS, learned.terms[:, row].tolist(), strict=True)),
            history={name: tuple(learned.history[:, part, row].tolist()) for part, name in enumerate(_TERMS)},
            verdict=learned.verdicts[row],
            seconds=seconds,
        ),
        provenance=Provenance(
            model=classifier.name,
            weights_sha256=classifier.weights_sha256,
            input_size=classifier.size,
            fit=plan.fit.name,
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


def _one_each(
    targets: TargetLike | Sequence[TargetLike | None] | None, count: int, several: bool
) -> list[TargetLike | None]:
    if several and isinstance(targets, list):
        if len(targets) != count:
            raise UnseeError(
                f"{count} photos need {count} targets, not {len(targets)}: one for each, or one for all"
            )
        return list(targets)
    return [targets] * count  # type: ignore[list-item]
