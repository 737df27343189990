"""What a model family is asked for: a name, perhaps a weight file, and options that override."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch

from unsee.class_names import ClassNames, class_names_of
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.heads import GIVEN, Head
from unsee.input_values import Channels
from unsee.records import digest


@dataclass(frozen=True)
class Options:
    """What a user says about a network; None leaves what the family knows. `unsee.load` explains each."""

    size: int | tuple[int, int] | None = None
    mean: Channels = None
    std: Channels = None
    channels: int | None = None
    value_range: tuple[float, float] | None = None
    head: Head | None = None
    class_names: ClassNames | None = None
    mean_color: Channels = None
    score: str | None = None

    def given(self) -> dict[str, Any]:
        """Those that are not None, as `Classifier` takes them."""
        found = {part.name: getattr(self, part.name) for part in fields(self)}
        if isinstance(self.size, int):
            found["size"] = (self.size, self.size)
        return {name: value for name, value in found.items() if value is not None}

    def applied(self, classifier: Classifier) -> Classifier:
        """The classifier with these options.

        Raises:
            UnseeError: they do not fit it, or each other.
        """
        given = self.given()
        if not given:
            return classifier
        facts = dict(classifier.facts)
        if "class_names" in given:
            facts["class_names_sha256"] = digest(class_names_of(given["class_names"]))
        if "head" in given:
            given["head_reason"] = GIVEN
        return replace(classifier, **given, facts=facts)


@dataclass(frozen=True)
class Request:
    """What `unsee.load` was asked for.

    Args:
        rest: the name after the family's prefix, such as "resnet18" or a file.
        name: the whole name, such as "timm:resnet18"; it is the classifier's name.
        weights: a weight file, if one was given.
        device: where the network is going to run.
        options: what the user says about the network. `unsee.load` applies them to the classifier that the
            family returns; a family needs them only where they decide how the network is built.
        labels: of a zero-shot classifier, if some were given.
        service: the file that describes a served model, if one was given.
    """

    rest: str
    name: str
    weights: Path | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    options: Options = field(default_factory=Options)
    labels: Sequence[str] | None = None
    service: Path | None = None

    def over(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """What is known of the network, where the user says nothing else."""
        return {**known, **self.options.given()}

    @property
    def file(self) -> Path:
        """The rest as a file.

        Raises:
            UnseeError: there is no such file.
        """
        file = Path(self.rest)
        if file.is_dir():
            raise UnseeError(f"{file} is a folder, and {self.name.partition(':')[0]}: takes a file")
        if not file.is_file():
            raise UnseeError(f"{file}: no such file")
        return file
