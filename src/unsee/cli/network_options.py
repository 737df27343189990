"""Options that say what a network takes and means, shared by the commands that load one."""

from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from unsee.class_names import read_class_names
from unsee.cli.console import report_accounts
from unsee.errors import UnseeError

if TYPE_CHECKING:
    from unsee.classifier import Classifier

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
ScoreName = Annotated[
    str | None,
    typer.Option(
        "--score",
        help="What several targets score together: softmax, sigmoid (any of them), sigmoid-all or logit. ",
        show_default="the head's",
    ),
]
ClassNamesFile = Annotated[
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
Service = Annotated[
    Path | None,
    typer.Option("--service", help="TOML file that says how a served model (http:, https:) is asked."),
]

_IMAGES_OF = "--classes"
"""Of commands with data sets it chooses images: there only --class-names gives names."""
_SHARED = typer.Typer(add_completion=False)
_GIVEN: ContextVar[dict[str, Any]] = ContextVar("_GIVEN")
_TEXTS: ContextVar[tuple[str, ...]] = ContextVar("_TEXTS")
_LOADED: ContextVar[list["Classifier"]] = ContextVar("_LOADED")


def given_options() -> dict[str, Any]:
    """The options of the command that is running, as arguments of `unsee.load`: those that were given."""
    return _GIVEN.get()


def given_texts() -> tuple[str, ...]:
    """The same as they stand on the command line: names and values."""
    return _TEXTS.get()


def note_loaded(classifier: "Classifier") -> None:
    """Remember a network that the command has loaded, to say in the end what it was asked."""
    _LOADED.get([]).append(classifier)


class NetworkCommand(TyperCommand):
    """A command with these options besides its own; its function finds them by `given_options`."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401
        """Its own options, then these, then --help."""
        own: list[Any] = super().get_params(ctx)
        shared: list[Any] = typer.main.get_command(_SHARED).params
        if any(_IMAGES_OF in option.opts for option in own):
            for option in shared:
                option.opts = [name for name in option.opts if name != _IMAGES_OF]
        return [*own[:-1], *shared, *own[-1:]]

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Run the command.

        Raises:
            UnseeError: a photo is the name of a model.
        """
        if any("--model" in option.opts for option in self.params):
            _refuse_models(ctx.params.get("photos") or [ctx.params.get("photo")])
        shared = typer.main.get_command(_SHARED).params
        values = {str(each.name): ctx.params.pop(str(each.name)) for each in shared}
        given = ((each.opts[0], values[str(each.name)]) for each in shared)
        _GIVEN.set(network_from(**values))
        _TEXTS.set(tuple(part for name, value in given if value is not None for part in (name, str(value))))
        _LOADED.set([])
        try:
            return super().invoke(ctx)
        finally:
            report_accounts((each.name, each.account) for each in _LOADED.get())


@_SHARED.command()
def network_from(
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    channels: ChannelCount = None,
    value_range: ValueRange = None,
    head: HeadName = None,
    class_names: ClassNamesFile = None,
    labels: Labels = None,
    service: Service = None,
    score: ScoreName = None,
) -> dict[str, Any]:
    """Text of the options → arguments of `unsee.load`: only those that were given.

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
        "class_names": None if class_names is None else read_class_names(class_names),
        "score": score,
        "service": service,
        "labels": None if labels is None else tuple(part.strip() for part in labels.split(",")),
    }
    return {name: value for name, value in found.items() if value is not None}


def _refuse_models(photos: Sequence[str | None]) -> None:
    """Stop before any work where a model's name stands in the place of a photo."""
    for text in photos:
        prefix, colon, _ = (text or "").partition(":")
        if text and colon and not Path(text).exists():
            from unsee.models.registry import family_named

            if family_named(prefix) is not None:
                raise UnseeError(f"{text} is a model, not a photo: give it as --model {text}")


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
