"""A model's name, and perhaps a weight file and options, becomes a `Classifier`."""

from collections.abc import Sequence
from pathlib import Path

import torch

from unsee.choices import did_you_mean, nearest
from unsee.class_names import ClassNames
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.heads import Head
from unsee.input_values import Channels
from unsee.models.registry import FAMILIES, Family, families, family_named
from unsee.models.request import Options, Request

__all__ = ["load", "names", "pick_device"]


def names() -> list[str]:
    """Every name of this package's own and of torchvision's networks; other families take any name."""
    return [name for family in FAMILIES.values() for name in family.names()]


def load(
    name: str,
    weights: str | Path | None = None,
    device: str = "auto",
    *,
    size: int | tuple[int, int] | None = None,
    mean: Channels = None,
    std: Channels = None,
    channels: int | None = None,
    value_range: tuple[float, float] | None = None,
    head: Head | None = None,
    class_names: ClassNames | None = None,
    mean_color: Channels = None,
    labels: Sequence[str] | None = None,
    score: str | None = None,
    service: str | Path | None = None,
) -> Classifier:
    """A classifier by name.

    Args:
        name: of a family, such as `torchvision:googlenet`, `timm:NAME`, `hf:NAME`, `onnx:FILE`,
            `python:package.module:function`, `https://host/path`; `unsee models` lists the families.
        weights: a safetensors file, or a state dict or checkpoint of `torch.save`, in which no code is run.
        device: a torch device, or "auto" for the fastest available.
        size: one side, or height and width, of the network's input in pixels.
        mean, std, channels, value_range, head, class_names, mean_color, score: as `Classifier` takes them.
            What is given goes before what the family knows.
        labels: texts to choose from, for a zero-shot classifier.
        service: a TOML file that says how a served model is asked, for `http://…` and `https://…`.

    Raises:
        UnseeError: no such model or device, weights that cannot be found or do not fit, a library that is not
            installed, or options that do not fit the network.
    """
    place = pick_device(device)
    family = _family_of(name)
    options = Options(size, mean, std, channels, value_range, head, class_names, mean_color, score)
    file = None if weights is None else Path(weights)
    described = None if service is None else Path(service)
    request = Request(name.partition(":")[2], name, file, place, options, labels, described)
    classifier = options.applied(family.load(request))
    classifier.net.to(place)
    return classifier


def _family_of(name: str) -> Family:
    """The family of a model's name.

    Raises:
        UnseeError: there is none, or the family has no such name.
    """
    prefix, _, rest = name.partition(":")
    family = family_named(prefix) if rest else None
    if family is not None and (not family.lists or name in family.names()):
        return family
    patterns = [each.pattern for each in families().values() if isinstance(each, Family)]
    close = nearest(name, [*names(), *patterns], cutoff=0.5)
    hint = did_you_mean(close, "`unsee models` lists them")
    raise UnseeError(f"no model is called {name!r}; {hint}")


def pick_device(device: str) -> torch.device:
    """A device by name; "auto" is a GPU where there is one, else the CPU.

    Raises:
        UnseeError: torch does not know it, or this machine does not have it.
    """
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return torch.device("cpu") if accelerator is None else accelerator
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        reason = str(error).splitlines()[0].split(". ")[0]
        raise UnseeError(
            f"the device {device!r} cannot be used ({reason}); try device='cpu' (--device cpu)"
        ) from error
    if chosen.type == "meta":
        raise UnseeError("the device 'meta' computes nothing; try device='cpu' (--device cpu)")
    return chosen
