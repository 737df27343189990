"""What unsee understands of a network: input, head, layers, cost, and which methods can be used."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.fits import Squash
from unsee.images import Photo, PhotoLike
from unsee.layers import eighth_layer, last_spatial_layer
from unsee.masks import explain, plan_for
from unsee.masks.network_input import photo_for
from unsee.methods import METHODS
from unsee.models.registry import family_named
from unsee.models.weights import TAKEN
from unsee.network_wrappers import afresh
from unsee.records import finite
from unsee.tuning import uses_bfloat16

WORKS, NOT_RUN = "works", "should work (not run)"
_BEST, _SAME = 5, 1e-3


@dataclass(frozen=True)
class Check:
    """What was understood of a network.

    Args:
        model: its name.
        family: the prefix of its name and what that family reads, or that it was made in Python.
        weights: which part of the weight file was taken; "" if there is no choice, or no file.
        input: channels, height, width, value range, mean and std.
        head: what its answer means, and why.
        classes: how many scores it gives, and their names.
        batches: whether images can be given together, and if not, why.
        differentiable: whether its scores have a gradient with respect to the image.
        layers: which layers methods read by default; a reason where none is found.
        precision: of its weights, and of masks by `fast`.
        milliseconds: of one evaluation of one image, alone and with its gradient.
        methods: "works", "should work (not run)" for those of hundreds of evaluations, or why not.
        photo: the best classes of a photo with their scores, and notes on how it was read.
        problems: what is wrong, one line each.
    """

    model: str
    family: str
    weights: str
    input: dict[str, Any]
    head: dict[str, str]
    classes: dict[str, Any]
    batches: str
    differentiable: bool
    layers: dict[str, str]
    precision: dict[str, str]
    milliseconds: dict[str, float]
    methods: dict[str, str]
    photo: dict[str, Any] | None = None
    problems: tuple[str, ...] = field(default=())

    def record(self) -> dict[str, Any]:
        """Everything as JSON values."""
        found: dict[str, Any] = finite(asdict(self))
        return found


def check(classifier: Classifier, photo: PhotoLike | Photo | None = None) -> Check:
    """What unsee understands of a network, found by running it on a probe image, or on a photo.

    Args:
        classifier: comes back as it was.
        photo: also scored, and used to try the methods.

    Raises:
        UnseeError: the network cannot be run, its head cannot be told, or the photo cannot be read.
    """
    reading = classifier.reading
    source = None if photo is None else photo_for(classifier, photo)
    image = _probe(classifier) if source is None else Squash().apply(source.pixels, classifier.size)
    image = image.to(classifier.device, classifier.dtype)
    scores = classifier.probabilities(torch.stack([image, image.flip(-1), torch.zeros_like(image)])).cpu()
    names = classifier.names
    return Check(
        model=classifier.name,
        family=_family(classifier.name),
        weights=str(classifier.facts.get(TAKEN, "")),
        input={
            "channels": classifier.channels,
            "size": list(classifier.size),
            "value_range": list(classifier.value_range),
            "mean": list(classifier.values.mean),
            "std": list(classifier.values.std),
        },
        head={"is": reading.summary, "why": reading.why},
        classes={"count": reading.classes, "names": None if names is None else list(names)},
        batches=f"one image at a time: {reading.alone}" if reading.alone else "several images at once",
        differentiable=reading.differentiable,
        layers={
            "last maps": _tried(lambda: last_spatial_layer(classifier)),
            "an eighth of the input": _tried(lambda: eighth_layer(classifier)),
        },
        precision={
            "weights": str(classifier.net_dtype).removeprefix("torch."),
            "masks by fast": "bfloat16" if uses_bfloat16(classifier, "auto") else "full",
        },
        milliseconds=_cost(classifier, image[None]),
        methods=_methods(classifier, image, int(scores[0].nan_to_num(-torch.inf).argmax())),
        photo=None if source is None else _photo(classifier, source, scores[0]),
        problems=tuple(_problems(classifier, image, scores)),
    )


def _family(name: str) -> str:
    family = family_named(name.partition(":")[0]) if ":" in name else None
    return "made in Python" if family is None else f"{family.prefix}: {family.says}"


def _probe(classifier: Classifier) -> Float[Tensor, "c h w"]:
    draws = torch.Generator().manual_seed(0)
    return torch.rand(classifier.input_shape, generator=draws)


def _tried(call: Callable[[], str]) -> str:
    try:
        return call()
    except UnseeError as error:
        return f"none: {error}"


def _cost(classifier: Classifier, image: Float[Tensor, "1 c h w"]) -> dict[str, float]:
    """Milliseconds of the fastest of three evaluations."""
    found = {}
    with classifier.borrowed(), afresh():
        for name, wanted in (("evaluation", False), ("with gradient", True)):
            if wanted and not classifier.reading.differentiable:
                continue
            times = []
            for _ in range(3):
                began = time.perf_counter()
                with torch.set_grad_enabled(wanted):
                    given = image.clone().requires_grad_(wanted)
                    best = classifier.logits(given).max()
                    result = torch.autograd.grad(best, given)[0] if wanted else best
                    result.sum().item()
                times.append(1000 * (time.perf_counter() - began))
            found[name] = round(min(times), 1)
    return found


def _methods(classifier: Classifier, image: Float[Tensor, "c h w"], target: int) -> dict[str, str]:
    """Each method tried; those that evaluate the network hundreds of times, and need no more, are not run."""
    found, differentiable = {}, classifier.reading.differentiable
    for name, method in METHODS.items():
        if method.costly and not (method.learned and differentiable):
            found[name] = NOT_RUN
            continue
        try:
            if method.learned:
                settings = replace(plan_for(iterations=2).settings, retries=())
                explain(classifier, image.float().clamp(0, 1).cpu(), target, preset=settings)
            else:
                method(classifier, image[None], [target])
            found[name] = WORKS
        except UnseeError as error:
            found[name] = str(error)
        except Exception as error:
            found[name] = f"fails: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return found


def _photo(classifier: Classifier, photo: Photo, scores: Float[Tensor, " k"]) -> dict[str, Any]:
    best = scores.topk(min(_BEST, len(scores)))
    named = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return {
        "name": photo.name,
        "notes": list(photo.notes),
        "best": [
            {"class": index, "name": classifier.class_name(index), "score": score} for index, score in named
        ],
    }


def _problems(
    classifier: Classifier, image: Float[Tensor, "c h w"], scores: Float[Tensor, "3 k"]
) -> list[str]:
    if not bool(scores.isfinite().all()):
        return ["its scores are not finite: check the weights, and mean and std"]
    found = []
    if float((scores[0] - scores[2]).abs().max()) == 0:
        found.append("it gives a black image the same scores: check the weights, and what it is given")
    again = classifier.probabilities(image[None]).cpu()[0]
    if float((again - scores[0]).abs().max()) > _SAME * max(1.0, float(scores[0].abs().max())):
        found.append("it gives the same image other scores each time: turn off what is random in it")
    return found
