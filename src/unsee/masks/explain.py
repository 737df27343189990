"""Photos in, explanations out: reads photos, learns masks and brings them back to the photos' size."""

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import cast

import numpy as np
from torch import Tensor

from unsee.classifier import Classifier, TargetLike
from unsee.errors import UnseeError
from unsee.explanation import Explanation, Scores
from unsee.fits import Fit
from unsee.images import Photo, PhotoLike
from unsee.masks.area_arguments import AreaLike
from unsee.masks.edits.edit import Perturbation
from unsee.masks.game import Game
from unsee.masks.loop import Progress
from unsee.masks.network_input import photo_for
from unsee.masks.objective import SCORE
from unsee.masks.on_layer import OnLayer
from unsee.masks.on_photo import on_photo
from unsee.masks.optimisers.protocol import Optimiser
from unsee.masks.photos import LearnedPhoto, PhotoTarget, Plan, Refuse, learn_photos, precision_of
from unsee.masks.plans import plan_for
from unsee.masks.settings import Settings
from unsee.masks.smallest_area import every_area, smallest_of_each
from unsee.neutral import advanced, neutral
from unsee.provenance import Provenance, Run
from unsee.records import described
from unsee.target_scores import Score
from unsee.words import counted

_BATCH_AXES = 4


@neutral()
def explain(
    model: Classifier,
    photos: PhotoLike | Photo | Sequence[PhotoLike | Photo],
    targets: TargetLike | Sequence[TargetLike | None] | None = None,
    *,
    preset: str | Settings | None = None,
    game: str | Game | None = None,
    perturbation: str | Perturbation | None = None,
    iterations: int | None = None,
    score: str | Score | None = None,
    area: AreaLike | None = None,
    share: float | None = None,
    layer: str | OnLayer | None = None,
    suppress: float | None = None,
    keep: float | None = None,
    path: bool = False,
    another: int = 0,
    fit: Fit | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    precision: str = "auto",
    compiled: bool = False,
    optimiser: str | Optimiser | None = None,
    budget: int | None = None,
    progress: Progress | None = None,
) -> Explanation | list[Explanation]:
    """Learn which part of a photo, or of each of several photos, the classifier's score rests on.

    Args:
        model: a `Classifier`; it comes back as it was.
        photos: one path, picture, (h,w,c) array or (c,h,w) tensor; or a list of them, or a (B,c,h,w) tensor
            or (B,h,w,c) array. See `read_photo`.
        targets: the class to explain, as an index or a name, or a tuple of classes to explain together, or
            "top5"; for several photos a list with one for each, or one for all. None for the predicted class.
        preset: a name in `unsee.PRESETS`, or settings; by default "fast", or with an area "extremal-fast".
        game, perturbation, iterations, score: change the preset in these.
        area: share of the picture that the mask is to mark, in (0,1); several for a mask of each; "smallest"
            for the smallest area that keeps, or in deletion removes, `share` of the score.
        share: see `area`; 0.9 by default.
        layer: mask the activation of this layer instead of pixels; see `unsee.OnLayer`.
        suppress: return the mask of least area that suppresses this share of the score, in (0,1), also under
            a perturbation that it was not learned with; see `Explanation.sufficiency`.
        keep: the same in preservation: the smallest region that keeps this share.
        path: draw the path over λ1 that led there when the explanation is saved.
        another: how many further such masks to find, without the cells of those before: `Explanation.others`.
        fit: how a photo is brought to the network's input; defaults to `Squash()`.
        seed: the same seed gives the same mask on the same machine.
        batch_size: photos that are learned at once; None to find it from the free memory.
        precision: of the network's passes while the mask is learned: "float32", "bfloat16", or "auto", which
            is bfloat16 in the preset `fast` if the device supports it, else float32. The scores on the result
            are always the classifier's own.
        compiled: hand a copy of the network to `torch.compile`; pays for itself over many photos only.
        optimiser: "bundle", "adam", "surrogate", which needs no gradient, or one of your own. By default the
            preset's, or "surrogate" where the classifier gives no gradient.
        budget: evaluations of masks for each photo, in place of `iterations`; 1000 by default where the
            optimiser needs no gradient.
        progress: called after each iteration.

    Returns:
        One explanation for one photo, a list of them for several photos or areas, the areas of a photo after
        each other; `run.asked_area` tells which is which.

    Raises:
        UnseeError: a photo cannot be read, or a target or setting is invalid.
        KeyboardInterrupt: it was stopped. Where the classifier gives no gradient, and the masks of all photos
            have been begun, the best so far are returned instead; `run.verdict` says so.
    """
    if not isinstance(model, Classifier):
        raise UnseeError("explain takes a Classifier: wrap the network, as in unsee.Classifier(net)")
    if isinstance(score, str):
        model = model.scored(score)
    plan = plan_for(
        preset,
        game=game,
        perturbation=perturbation,
        iterations=iterations,
        score=score,
        area=area,
        share=share,
        layer=layer,
        suppress=suppress,
        keep=keep,
        path=path,
        another=another,
        fit=fit,
        seed=seed,
        batch_size=batch_size,
        precision=precision,
        compiled=compiled,
        optimiser=optimiser,
        budget=budget,
    )
    sources, several = _listed(photos)
    read = [photo_for(model, photo) for photo in sources]
    wanted = one_each(targets, len(read), several)
    plan = replace(plan.on(model, read), best_so_far=True)
    explanations: list[Explanation] = []
    try:
        explanations.extend(explain_each(model, zip(read, wanted, strict=True), plan, progress))
    except KeyboardInterrupt:
        if len(explanations) < len(read) * max(len(plan.areas), 1):
            raise
    return explanations if several or (plan.areas and plan.share is None) else explanations[0]


def explain_each(
    classifier: Classifier,
    photos: Iterable[tuple[Photo, TargetLike | None]],
    plan: Plan,
    progress: Progress | None = None,
    refuse: Refuse | None = None,
) -> Iterator[Explanation]:
    """Explanations of photos with their targets, in order; of each photo one for each of the plan's areas.

    Photos are read when there is room for them, so memory does not grow with their number.

    Args:
        classifier: borrowed while masks are learned, and given back as it was.
        photos: each photo with its target, None for the predicted class.
        plan: how the photos are explained.
        progress: called after each iteration.
        refuse: see `learn_photos`.

    Raises:
        UnseeError: a target or the precision is invalid, or scores are not finite.
    """
    plan = plan.on(classifier)
    explained = partial(_each_once, classifier, plan)
    if plan.share is not None:
        answers = smallest_of_each(explained, photos, plan, progress, refuse)
    elif plan.areas:
        answers = every_area(explained, photos, plan.areas, progress, refuse)
    else:
        answers = explained(photos, progress, refuse)
    yield from advanced(answers)


def _each_once(
    classifier: Classifier,
    plan: Plan,
    photos: Iterable[PhotoTarget],
    progress: Progress | None = None,
    refuse: Refuse | None = None,
) -> Iterator[Explanation]:
    """One explanation for each photo."""
    precision = precision_of(classifier, plan)
    for photo in learn_photos(classifier, photos, plan, progress, refuse):
        yield _explanation(classifier, plan, precision, photo)


def _explanation(
    classifier: Classifier,
    plan: Plan,
    precision: str,
    learned_photo: LearnedPhoto,
) -> Explanation:
    network_input, learned = learned_photo.network_input, learned_photo.learned
    sufficiency = learned.sufficiency
    if sufficiency is not None and sufficiency.asked.path:
        sufficiency = replace(sufficiency, view=network_input.plain.float())
    settings = plan.settings.with_area(learned_photo.area)
    game = settings.objective.game
    photo_size = (network_input.photo.pixels.shape[-2], network_input.photo.pixels.shape[-1])
    mask = on_photo(
        learned.mask, plan.fit, network_input.size, photo_size, game.ideal, plan.settings.own_cells
    )
    return Explanation(
        photo=network_input.photo,
        target=learned_photo.target,
        scores=Scores(*learned.scores.tolist()),
        mask=mask,
        mask_grid=learned.grid.float(),
        perturbed=settings.shown.edited_photo(network_input, mask),
        area=float(game.saliency(learned.mask).mean()),
        run=Run(
            preset=plan.preset,
            game=game.name,
            settings=described(settings),
            seed=plan.seed,
            iterations=len(learned.history[SCORE]),
            evaluations=learned.evaluations,
            objective=learned.terms,
            history=learned.history,
            verdict=learned.verdict,
            seconds=learned.seconds,
            attempts=learned.attempts,
            asked_area=settings.objective.area,
            token_check=learned.token_check,
        ),
        provenance=_provenance(classifier, plan, precision),
        sufficiency=sufficiency,
        others=tuple(
            _explanation(classifier, plan, precision, learned_photo._replace(learned=other))
            for other in learned.others
        ),
    )


def _provenance(classifier: Classifier, plan: Plan, precision: str) -> Provenance:
    return Provenance(
        model=classifier.name,
        weights_sha256=classifier.weights_sha256,
        input_size=classifier.size,
        fit=plan.fit.name,
        precision=precision,
        versions=versions(),
        head=classifier.reading.summary,
        network=classifier.record,
        channels=classifier.input_shape[0],
        value_range=classifier.value_range,
    )


def versions() -> dict[str, str]:
    """The versions of the software that a result depends on."""
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
    """One target for each photo.

    Args:
        targets: a list with one for each photo, or one for all; None for the predicted class.
        count: the number of photos.
        several: whether the photos came as a list.

    Raises:
        UnseeError: the list has another length.
    """
    if several and isinstance(targets, list):
        if len(targets) != count:
            raise UnseeError(
                f"{counted(count, 'photo')} and {counted(len(targets), 'target')}: give one for each, or one "
                "for all"
            )
        return list(targets)
    return [targets] * count  # type: ignore[list-item]
