"""Options that say what a network takes and means, shared by the commands that load one."""

import functools
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from unsee.errors import UnseeError

Size = Annotated[
    str | None,
    typer.Option("--size", help="The network's input in pixels: 224, or 192x256 for height x width."),
]
Mean = Annotated[
    str | None, typer.Option("--mean", help="Subtracted from images in [0,1]: 0.5, or 0.485,0.456,0.406.")
]
Std = Annotated[str | None, typer.Option("--std", help="What they are then divided by, likewise.")]
ChannelCount = Annotated[int | None, typer.Option("--channels", help="Channels of the input.", min=1)]
ValueRange = Annotated[
    str | None,
    typer.Option(
        "--value-range", help="What black and white are for the network, before mean and std: 0,255."
    ),
]
HeadName = Annotated[
    str | None, typer.Option("--head", help="softmax, sigmoid, probabilities, logit or auto.")
]
ClassNamesFile = Annotated[
    Path | None,
    typer.Option("--class-names", help="Names of the classes: one in a line, or a JSON list or mapping."),
]
OrClasses = Annotated[
    Path | None,
    typer.Option(
        "--class-names",
        "--classes",
        help="File with the names of the classes: one in a line, or a JSON list or mapping.",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option("--labels", help='What a zero-shot network chooses from, with commas: "a cat,a dog".'),
]

_OPTIONS: dict[str, Any] = {
    "size": Size,
    "mean": Mean,
    "std": Std,
    "channels": ChannelCount,
    "value_range": ValueRange,
    "head": HeadName,
    "class_names": ClassNamesFile,
    "labels": Labels,
}

Network = dict[str, Any]
"""Arguments of `unsee.load`: only those that were given."""


def with_network_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with these options, which it gets as one argument, `network`.

    A command without `--classes` of its own takes that as another name of `--class-names`.
    """
    own = inspect.signature(command)
    others = [each for each in own.parameters.values() if each.name != "network"]
    given = _OPTIONS if "classes" in own.parameters else _OPTIONS | {"class_names": OrClasses}
    kind = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(name, kind, default=None, annotation=annotation)
        for name, annotation in given.items()
    ]

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:  # noqa: ANN401
        texts = {name: values.pop(name) for name in given}
        command(**values, network=network_from(**texts))

    wrapped.__signature__ = own.replace(parameters=[*others, *added])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {each.name: each.annotation for each in (*others, *added)}
    return wrapped


def network_from(
    size: str | None = None,
    mean: str | None = None,
    std: str | None = None,
    channels: int | None = None,
    value_range: str | None = None,
    head: str | None = None,
    class_names: Path | None = None,
    labels: str | None = None,
) -> Network:
    """Text of the options → arguments of `unsee.load`.

    Raises:
        UnseeError: a text has another form.
    """
    found = {
        "size": None if size is None else _size(size),
        "mean": None if mean is None else _numbers(mean, "--mean"),
        "std": None if std is None else _numbers(std, "--std"),
        "channels": channels,
        "value_range": None if value_range is None else _range(value_range),
        "head": head,
        "class_names": None if class_names is None else _names(class_names),
        "labels": None if labels is None else tuple(part.strip() for part in labels.split(",")),
    }
    return {name: value for name, value in found.items() if value is not None}


def _size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.strip().isdecimal() for side in sides):
        raise UnseeError(f"--size takes 224, or 192x256 for height x width, not {text!r}")
    return int(sides[0]), int(sides[-1])


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UnseeError(
            f"{option} takes numbers with commas, as in 0.485,0.456,0.406, not {text!r}"
        ) from None


def _range(text: str) -> tuple[float, float]:
    values = _numbers(text, "--value-range")
    if len(values) != 2:
        raise UnseeError(f"--value-range takes the values of black and white, as in 0,255, not {text!r}")
    return values[0], values[1]


def _names(file: Path) -> list[str] | dict[str, str]:
    """The names of classes in a file: a JSON list or mapping, else one in a line; empty lines at the end do
    not count."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnseeError(f"the class names in {file} cannot be read ({error})") from error
    if text.lstrip()[:1] in ("[", "{"):
        try:
            names: list[str] | dict[str, str] = json.loads(text)
        except ValueError as error:
            raise UnseeError(f"{file} is neither JSON nor one name in a line ({error})") from error
        return names
    return [line.strip() for line in text.rstrip().splitlines()]
