"""Hugging Face's image classifiers, from the hub or a folder. No code in them is ever run."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.heads import AUTO
from unsee.models.processors import ProcessorFacts, facts_of
from unsee.models.request import Request
from unsee.models.sidecar import sha256_of
from unsee.models.weights import fill, read_weights
from unsee.models.zero_shot import zero_shot
from unsee.optional import library
from unsee.quiet import quiet
from unsee.target_scores import LOGIT, SIGMOID, SOFTMAX

Value = TypeVar("Value")
_CLASSIFIES = "ForImageClassification"
_SHOWN = 3
_PROBLEMS = {
    "regression": LOGIT,
    "multi_label_classification": SIGMOID,
    "single_label_classification": SOFTMAX,
}


def load(request: Request) -> Classifier:
    """An image classifier of Hugging Face, or with labels a zero-shot one such as CLIP.

    Raises:
        UnseeError: transformers is missing; the network cannot be found, has other weights than it needs, or
            is no classifier; or its image processor does something that unsee does not.
    """
    transformers = library("transformers", "transformers")
    with _silent(transformers):
        config = _fetched(request, lambda: transformers.AutoConfig.from_pretrained(request.rest))
        classifies = any(name.endswith(_CLASSIFIES) for name in config.architectures or ())
        zero = (
            type(config) in transformers.MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING and not classifies
        )
        if zero and request.labels is None:
            raise UnseeError(
                f"{request.name} is a zero-shot classifier: give the classes to choose from as labels= "
                '(--labels "a cat,a dog")'
            )
        if not zero and not classifies:
            kinds = ", ".join(config.architectures or ()) or "an unknown kind"
            raise UnseeError(f"{request.name} is {kinds}, and no image classifier")
        if not zero and request.labels is not None:
            raise UnseeError(
                f"{request.name} has classes of its own, so it takes no labels= (--labels): "
                "class_names= (--class-names) names them"
            )
        kind = f"AutoModelFor{'ZeroShot' if zero else ''}ImageClassification"
        net, sha256, taken = _network(request, getattr(transformers, kind), config)
        processor = _processor(request, transformers)
        own = _own_values(request, config) if processor is None else facts_of(processor, request.name)
        known = _described(own, request, sha256, taken)
        if zero:
            tokenizer = _fetched(request, lambda: transformers.AutoTokenizer.from_pretrained(request.rest))
            return zero_shot(net, tokenizer, request, known)
    return Classifier(net.eval(), class_names=_class_names(config), **_head(config), **known)


def _described(
    own: ProcessorFacts, request: Request, sha256: str | None, taken: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "facts": taken,
        "size": own.size,
        "mean": own.mean,
        "std": own.std,
        "trained_fit": own.fit,
        "name": request.name,
        "weights_sha256": sha256,
    }


def _network(request: Request, kind: Any, config: Any) -> tuple[nn.Module, str | None, dict[str, str]]:  # noqa: ANN401
    """The network, the hash of its weight file where there is one file, and what of it was taken.

    Raises:
        UnseeError: it has weights that are missing or of another shape: they would be random.
    """
    if request.weights is not None:
        state, sha256 = read_weights(request.weights)
        net: nn.Module = kind.from_config(config, dtype=torch.float32)
        return net, sha256, fill(net, state, request.name)
    net, about = _fetched(
        request, lambda: kind.from_pretrained(request.rest, output_loading_info=True, dtype=torch.float32)
    )
    wrong = sorted(map(str, (*about["missing_keys"], *about["mismatched_keys"])))
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise UnseeError(
            f"{request.name} has no trained weights for {', '.join(wrong[:_SHOWN])}{more}: it is no finished "
            "classifier, and would be random there"
        )
    cached = library("transformers.utils", "transformers").cached_file
    file = cached(request.rest, "model.safetensors", _raise_exceptions_for_missing_entries=False)
    return net, None if file is None else sha256_of(Path(file)), {}


def _processor(request: Request, transformers: Any) -> Any:  # noqa: ANN401
    """The image processor; None if there is none."""
    try:
        return transformers.AutoImageProcessor.from_pretrained(request.rest)
    except Exception:
        return None


def _own_values(request: Request, config: Any) -> ProcessorFacts:  # noqa: ANN401
    """Size, mean and std as the user gives them, where no image processor does.

    Raises:
        UnseeError: the user does not.
    """
    side = getattr(getattr(config, "vision_config", config), "image_size", None)
    given = request.over(
        {} if side is None else {"size": (side, side) if isinstance(side, int) else tuple(side)}
    )
    if not {"size", "mean", "std"} <= given.keys():
        raise UnseeError(
            f"{request.name} has no image processor that can be read: give size=, mean= and std= "
            "(--size, --mean, --std)"
        )
    return ProcessorFacts(given["size"], given["mean"], given["std"], None)


def _class_names(config: Any) -> Mapping[int | str, str] | None:  # noqa: ANN401
    """The names of `id2label`; None where it has only LABEL_0 and so on, which name nothing."""
    names: Mapping[int | str, str] = config.id2label
    return None if all(name == f"LABEL_{index}" for index, name in names.items()) else names


def _head(config: Any) -> dict[str, Any]:  # noqa: ANN401
    """What the answer means, as Hugging Face's own pipeline takes it, and why."""
    kind = _PROBLEMS.get(config.problem_type)
    if kind is not None:
        return {"head": kind, "head_reason": f"the configuration's problem_type is {config.problem_type}"}
    if config.num_labels == 1:
        return {"head": SIGMOID, "head_reason": "the configuration has one label"}
    return {"head": AUTO}


def _fetched(request: Request, get: Callable[[], Value]) -> Value:
    """What is read from the folder or the hub.

    Raises:
        UnseeError: it is not there, or cannot be read.
    """
    try:
        return get()
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if Path(request.rest).is_dir():
            raise UnseeError(
                f"{request.rest} cannot be read as a network of Hugging Face ({reason})"
            ) from error
        raise UnseeError(
            f"{request.name} could not be downloaded and read ({reason}); connect to the network, or give a "
            "folder that save_pretrained has written, as in hf:FOLDER"
        ) from error


@contextmanager
def _silent(transformers: Any) -> Iterator[None]:  # noqa: ANN401
    """Without what transformers and the hub print about weights that they read."""
    about = transformers.utils.logging
    bars = about.is_progress_bar_enabled()
    try:
        about.disable_progress_bar()
        with quiet("transformers", "huggingface_hub"):
            yield
    finally:
        if bars:
            about.enable_progress_bar()
