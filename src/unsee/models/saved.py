"""The network of a saved explanation, loaded again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.explanation import Explanation
from unsee.models import load
from unsee.models.own import INSTALLED
from unsee.models.registry import family_named


def load_for(
    explanation: Explanation,
    weights: str | Path | None = None,
    device: str = "auto",
    options: Mapping[str, Any] | None = None,
) -> Classifier:
    """The network that an explanation was made with, to score its photo again.

    classifier = unsee.load_for(unsee.Explanation.load("explanations/cat"))

    Args:
        explanation: as `unsee.explain` returns it, or loaded from its folder.
        weights: the weight file, if one was used: the explanation knows its hash, but not where it is.
        device: a torch device, or "auto" for the fastest available.
        options: the other arguments of `unsee.load` by name, such as size and mean, if some were used. Labels
            default to the explanation's.

    Raises:
        UnseeError: a weight file was used and is not given, or what `unsee.load` raises.
    """
    origin = explanation.provenance
    if weights is None and origin.weights_sha256 is not None and not _finds_weights(origin.model):
        raise UnseeError(
            f"the mask was learned on {origin.model} with a weight file: name it with weights= (--weights)"
        )
    known = {"labels": origin.network["labels"]} if "labels" in origin.network else {}
    return load(origin.model, weights, device, **known | dict(options or {}))


def _finds_weights(model: str) -> bool:
    """Whether a model's name alone says where its weights are."""
    family = family_named(model.partition(":")[0])
    return model in INSTALLED or (family is not None and family.found)
