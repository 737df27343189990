"""FILE.unsee.json next to a network's file: how it takes its images, and the names of its classes."""

import hashlib
import json
from pathlib import Path
from typing import Any

from unsee.errors import UnseeError
from unsee.models.request import Request

ENDING = ".unsee.json"
OF_THE_CLASSIFIER = ("size", "mean", "std", "channels", "value_range", "head", "class_names")
_OF_THE_FILE = ("layout", "output")
LAYOUTS = ("NCHW", "NHWC")


def described_by(request: Request, known: dict[str, Any]) -> dict[str, Any]:
    """How a network in a file takes its images: what the file itself says, its sidecar, and options.

    Args:
        request: names the file; its options go before the sidecar.
        known: what the file itself says, as `Classifier` takes it.

    Returns:
        The arguments of `Classifier`.

    Raises:
        UnseeError: the sidecar cannot be read, or nothing says how values in [0,1] are normalised.
    """
    of_sidecar, _ = read_sidecar(request.file)
    found = request.over({**known, **of_sidecar})
    if not {"mean", "std", "value_range"} & found.keys():
        raise UnseeError(
            f"{request.file} does not say how its images are normalised: give mean= and std= (--mean, --std; "
            f"0 and 1 if it takes values in [0,1]), or write them into {request.file}{ENDING}"
        )
    return found


def read_sidecar(file: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What FILE.unsee.json says; nothing without one.

    Returns:
        The arguments of `Classifier`, and `layout` and `output`, which are for ONNX.

    Raises:
        UnseeError: it is not JSON, or has an unknown key or a value of the wrong kind.
    """
    place = file.with_name(file.name + ENDING)
    if not place.exists():
        return {}, {}
    try:
        values = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnseeError(f"{place} cannot be read as JSON ({error})") from error
    if not isinstance(values, dict):
        raise UnseeError(f"{place} must hold one JSON object, with {', '.join(OF_THE_CLASSIFIER)}")
    known = (*OF_THE_CLASSIFIER, *_OF_THE_FILE)
    if unknown := [key for key in values if key not in known]:
        raise UnseeError(f"{place} has the unknown key {unknown[0]!r}: it may have {', '.join(known)}")
    if values.get("layout", "NCHW") not in LAYOUTS:
        raise UnseeError(f"{place}: layout must be NCHW or NHWC, got {values['layout']!r}")
    return (
        {key: checked_value(key, values[key], place) for key in OF_THE_CLASSIFIER if key in values},
        {key: str(values[key]) for key in _OF_THE_FILE if key in values},
    )


def sha256_of(*files: Path) -> str:
    """The SHA-256 of files one after the other, hexadecimal.

    Raises:
        UnseeError: one cannot be read.
    """
    found = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as stream:
                while part := stream.read(1 << 20):
                    found.update(part)
        except OSError as error:
            raise UnseeError(f"{file} cannot be read ({error.strerror or error})") from error
    return found.hexdigest()


def checked_value(key: str, value: Any, place: Path) -> Any:  # noqa: ANN401
    """A value as `Classifier` takes it.

    Raises:
        UnseeError: it is of the wrong kind.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    numbers = isinstance(value, list) and all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in value
    )
    if key == "size" and isinstance(value, int) and number:
        return value, value
    right = {
        "size": numbers and len(value) == 2 and all(isinstance(each, int) for each in value),
        "mean": number or numbers,
        "std": number or numbers,
        "value_range": numbers and len(value) == 2,
        "channels": number,
        "head": isinstance(value, str),
        "class_names": isinstance(value, list | dict),
    }
    if not right[key]:
        raise UnseeError(f"{place}: {key} cannot be {json.dumps(value)[:60]}")
    whole = key in ("size", "channels")
    if numbers and key != "class_names":
        return tuple(value if whole else map(float, value))
    return float(value) if number and not whole else value
