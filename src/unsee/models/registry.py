"""The families of models: a row for each; other packages add theirs by an entry point."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import final

from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.models.request import Request
from unsee.optional import function_at

GROUP = "unsee.models"
"""The entry points of other packages: the name is the prefix, the object a `Family`."""


@final
@dataclass(frozen=True)
class Family:
    """A kind of model that names begin with.

    Args:
        prefix: of the names, without the colon.
        place: what comes after the colon, such as NAME or FILE.
        says: what it reads, in a line.
        loader: "module:function", imported when needed, or the function itself. It takes a `Request` and
            returns a classifier in evaluation mode, on any device.
        lists: likewise, a function without arguments that gives the rest of every name; empty where any name
            may do.
        weights: whether a weight file may be given.
        labels: whether labels may be given, as zero-shot classifiers need.
        found: whether the name alone says where the weights are.
        service: whether a service file may be given.
    """

    prefix: str
    place: str
    says: str
    loader: str | Callable[[Request], Classifier]
    lists: str | Callable[[], list[str]] = ""
    weights: bool = True
    labels: bool = False
    found: bool = False
    service: bool = False

    @property
    def pattern(self) -> str:
        """How its names look, such as timm:NAME."""
        return f"{self.prefix}:{self.place}"

    def names(self) -> list[str]:
        """Every name of the family; none where they cannot be listed."""
        known: list[str] = function_at(self.lists)() if self.lists else []
        return [f"{self.prefix}:{rest}" for rest in known]

    def load(self, request: Request) -> Classifier:
        """The classifier, without the options.

        Raises:
            UnseeError: what was given cannot be loaded, or the family does not take it.
        """
        if request.labels is not None and not self.labels:
            raise UnseeError(
                f"labels= (--labels) are for zero-shot classifiers, as in hf:…, and {request.name} is none: "
                "give class_names= (--class-names) to name its classes"
            )
        if request.service is not None and not self.service:
            raise UnseeError(
                f"service= (--service) is for served models, as in https://…, and {request.name} is none: "
                "leave it out"
            )
        if request.weights is not None and not self.weights:
            raise UnseeError(f"{request.name} holds its weights: leave weights= (--weights) out")
        found: Classifier = function_at(self.loader)(request)
        if not isinstance(found, Classifier):
            raise UnseeError(
                f"the model family {self.prefix}: gave no Classifier, but {type(found).__name__}"
            )
        return found


FAMILIES: dict[str, Family] = {
    family.prefix: family
    for family in (
        Family(
            "unsee",
            "NAME",
            "the networks of this package, and the paper's own",
            "unsee.models.own:load",
            lists="unsee.models.own:names",
        ),
        Family(
            "torchvision",
            "NAME",
            "torchvision's networks, with its weights or a weight file",
            "unsee.models.from_torchvision:load",
            lists="unsee.models.from_torchvision:names",
        ),
        Family(
            "timm",
            "NAME",
            "timm's networks, with their weights or a weight file",
            "unsee.models.timm_models:load",
        ),
        Family(
            "hf",
            "NAME|DIR",
            "image classifiers of Hugging Face, from the hub or a folder; zero-shot ones with --labels",
            "unsee.models.hugging_face:load",
            labels=True,
            found=True,
        ),
        Family(
            "torchscript",
            "FILE",
            "a network saved by torch.jit.save (the file is code)",
            "unsee.models.torchscript:load",
            weights=False,
            found=True,
        ),
        Family(
            "export",
            "FILE",
            "a program saved by torch.export.save (the file is code)",
            "unsee.models.exported:load",
            weights=False,
            found=True,
        ),
        Family(
            "onnx",
            "FILE",
            "an ONNX file, by onnxruntime on the CPU; it gives no gradient",
            "unsee.models.onnx_models:load",
            weights=False,
            found=True,
        ),
        Family(
            "python",
            "MODULE:FUNCTION",
            "your own function that returns a module, a Classifier or a BlackBox",
            "unsee.models.python_function:load",
        ),
        *(
            Family(
                scheme,
                "//HOST/PATH",
                f"a model served by {scheme}, described by --service; it gives no gradient",
                "unsee.models.served:load",
                weights=False,
                found=True,
                service=True,
            )
            for scheme in ("http", "https")
        ),
    )
}
"""Prefix → family, of this package."""


def family_named(prefix: str) -> Family | None:
    """The family of a prefix, of this package or another; None if there is none.

    Raises:
        UnseeError: another package has it, and it cannot be loaded.
    """
    if prefix in FAMILIES:
        return FAMILIES[prefix]
    found = [point for point in entry_points(group=GROUP) if point.name == prefix]
    return _loaded(found[0]) if found else None


def families() -> dict[str, Family | str]:
    """Prefix → family, first this package's; for one that cannot be loaded the reason."""
    found: dict[str, Family | str] = dict(FAMILIES)
    for point in entry_points(group=GROUP):
        if point.name not in found:
            try:
                found[point.name] = _loaded(point)
            except UnseeError as error:
                found[point.name] = str(error)
    return found


def _loaded(point: EntryPoint) -> Family:
    try:
        family = point.load()
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnseeError(
            f"the model family {point.name}: ({point.value}) cannot be loaded: {reason}"
        ) from error
    if not isinstance(family, Family) or family.prefix != point.name:
        raise UnseeError(f"the model family {point.name}: ({point.value}) is no Family of that prefix")
    return family
