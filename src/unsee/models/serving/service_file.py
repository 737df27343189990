"""The file that describes a service: how it is asked, how it answers, what it may cost."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from unsee.choices import did_you_mean, nearest
from unsee.errors import UnseeError
from unsee.models.serving.calls import Calls
from unsee.models.serving.form import FORMATS, JSON, KSERVE, PICTURES, TORCHSERVE, VALUES, Form, has_many
from unsee.models.serving.kept_answers import usual_folder
from unsee.models.sidecar import LAYOUTS, OF_THE_CLASSIFIER, checked_value

_BATCH = 8


@dataclass(frozen=True)
class Service:
    """What is known of a service before it is called.

    Args:
        form: of the questions and answers.
        calls: how it is called.
        batch: images in a call, at most.
        most_images: that may be asked by one process; None for any number.
        price: of an image; None if there is none.
        cache: the folder of the answers.
        varies: whether it may answer an image differently each time.
        network: what `Classifier` takes, as far as the file says it.
    """

    form: Form
    calls: Calls = field(default_factory=Calls)
    batch: int = 1
    most_images: int | None = None
    price: float | None = None
    cache: Path = field(default_factory=usual_folder)
    varies: bool = False
    network: Mapping[str, Any] = field(default_factory=dict)


def read_service(file: Path | None, address: str) -> Service:
    """A service, by its file and its address.

    Args:
        file: in TOML; without one the address says which format it has.
        address: of the model.

    Raises:
        UnseeError: the file cannot be read, has an unknown key or a wrong value, or the format is not known.
    """
    values = {} if file is None else _read(file)
    where = address if file is None else str(file)
    for key, value in values.items():
        if key not in OF_THE_CLASSIFIER and not _KEYS[key][0](value):
            raise UnseeError(f"{where}: {key} must be {_KEYS[key][1]}, got {str(value)[:60]!r}")
    network = {
        key: checked_value(key, values[key], file or Path()) for key in OF_THE_CLASSIFIER if key in values
    }
    form = _form(values, address, where)
    several = form.format == KSERVE or has_many(form.request)
    batch = values.get("batch", _BATCH if several else 1)
    if batch > 1 and not several:
        raise UnseeError(f'{where}: batch = {batch} needs a request with "$images": write batch = 1')
    cache = values.get("cache")
    return Service(
        form=form,
        calls=_calls(values),
        batch=batch,
        most_images=values.get("most_images"),
        price=None if "price" not in values else float(values["price"]),
        cache=usual_folder() if cache is None else _beside(file, cache),
        varies=values.get("varies", False),
        network=network,
    )


def _calls(values: Mapping[str, Any]) -> Calls:
    whole = ("concurrency", "retries", "headers")
    given: dict[str, Any] = {
        part.name: values[part.name] if part.name in whole else float(values[part.name])
        for part in fields(Calls)
        if part.name in values
    }
    return Calls(**given)


def _form(values: Mapping[str, Any], address: str, where: str) -> Form:
    """The form of questions and answers.

    Raises:
        UnseeError: nothing says which format it is, or keys contradict each other.
    """
    known = KSERVE if "/v2/models/" in address else TORCHSERVE if "/predictions/" in address else None
    kind = values.get("format", known)
    if kind is None:
        raise UnseeError(
            f"{where} does not say how images are sent: write a service file with format = "
            f"{', '.join(map(repr, FORMATS))}, and give it as service= (--service)"
        )
    own = {part.name: values[part.name] for part in fields(Form) if part.name in values}
    form = Form(**{"image": "png" if kind == TORCHSERVE else "float32", **own, "format": kind})
    if kind == JSON and not form.request:
        raise UnseeError(f'{where}: format = "json" needs a [request], such as instances = "$images"')
    if kind == KSERVE and (form.image in PICTURES or form.request or form.scores):
        raise UnseeError(
            f'{where}: format = "kserve" sends tensors: leave out request and scores, and let image be '
            "float32 or uint8"
        )
    if kind != KSERVE and (form.input or form.output or form.binary):
        raise UnseeError(f'{where}: input, output and binary are for format = "kserve"')
    if kind == TORCHSERVE and not form.request and form.image not in PICTURES:
        raise UnseeError(f"{where}: without a [request] an image is sent as png or jpeg")
    return form


def _read(file: Path) -> dict[str, Any]:
    """The values in a file.

    Raises:
        UnseeError: it is no TOML, or has an unknown key.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnseeError(f"the service file {file} cannot be read as TOML ({error})") from error
    known = (*_KEYS, *OF_THE_CLASSIFIER)
    for key in values:
        if key not in known:
            hint = did_you_mean(nearest(key, known, 1), also=f"it may have {', '.join(known)}")
            raise UnseeError(f"{file} has the unknown key {key!r}; {hint}")
    return values


def _beside(file: Path | None, folder: str) -> Path:
    """A folder as a service file names it: from where the file lies."""
    place = Path(folder).expanduser()
    return place.absolute() if file is None else file.parent.absolute() / place


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _one_of(*choices: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in choices, f"one of {', '.join(choices)}"


def _whole(least: int) -> tuple[Callable[[Any], bool], str]:
    return (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least,
        f"a whole number from {least}",
    )


_TEXT = (lambda value: isinstance(value, str) and bool(value), "a text")
_SWITCH = (lambda value: isinstance(value, bool), "true or false")
_POSITIVE = (lambda value: _number(value) and value > 0, "a number above 0")
_NOT_NEGATIVE = (lambda value: _number(value) and value >= 0, "a number from 0")
_TEXTS = (
    lambda value: isinstance(value, dict) and all(isinstance(each, str) for each in value.values()),
    "a table of texts",
)
_KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "format": _one_of(*FORMATS),
    "image": _one_of(*VALUES, *PICTURES),
    "layout": _one_of(*LAYOUTS),
    "input": _TEXT,
    "output": _TEXT,
    "binary": _SWITCH,
    "request": (lambda value: isinstance(value, dict) and bool(value), "a table"),
    "scores": _TEXT,
    "headers": _TEXTS,
    "batch": _whole(1),
    "concurrency": _whole(1),
    "rate": _POSITIVE,
    "timeout": _POSITIVE,
    "retries": _whole(0),
    "backoff": _NOT_NEGATIVE,
    "most_images": _whole(0),
    "price": _NOT_NEGATIVE,
    "cache": _TEXT,
    "varies": _SWITCH,
}
"""Key → whether a value is right, and what it must be."""
