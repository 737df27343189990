"""What training leaves in a checkpoint: unpickle it without running code, and find the network's tensors."""

import io
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unsee.errors import UnseeError
from unsee.quiet import quiet

WELL_KNOWN = (
    *("state_dict", "model_state_dict", "model", "net", "network", "net_state_dict", "network_state_dict"),
    *("model_state", "module", "weights", "params"),
)
"""Names under which training scripts keep a network; where several are in a file, the first is taken."""
_DEPTH = 3


class _Ignored:
    """Stands for an object beside the tensors: takes whatever the pickle gives it and keeps nothing."""

    def __new__(cls, *_: object) -> "_Ignored":
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        """Leaves the arguments alone."""

    def __setstate__(self, _: object) -> None:
        """Leaves the state alone."""


class _Dict:
    def __new__(cls, *_: object) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        return OrderedDict()


class _List:
    def __new__(cls, *_: object) -> list[Any]:  # type: ignore[misc]
        return []


_STAND_INS: dict[type, tuple[str, ...]] = {
    _Ignored: (
        "argparse.Namespace",
        "types.SimpleNamespace",
        *(f"builtins.{name}" for name in ("bool", "dict", "float", "frozenset", "int", "list", "range")),
        *(f"builtins.{name}" for name in ("slice", "str", "tuple")),
        *(f"datetime.{name}" for name in ("date", "datetime", "time", "timedelta", "timezone")),
        *(
            f"{module}.{name}"
            for module in ("pathlib", "pathlib._local")
            for name in ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
        ),
        *(
            f"numpy.{core}.multiarray.{name}"
            for core in ("core", "_core")
            for name in ("scalar", "_reconstruct")
        ),
        *(f"numpy.{name}" for name in ("dtype", "ndarray", "bool", "bool_", "str_", "float16", "float32")),
        *(f"numpy.{name}" for name in ("float64", "int8", "int16", "int32", "int64", "uint8", "uint16")),
        *(f"numpy.{name}" for name in ("uint32", "uint64")),
        "torch.torch_version.TorchVersion",
    ),
    _Dict: (
        "collections.defaultdict",
        "lightning_fabric.utilities.data.AttributeDict",
        "lightning.fabric.utilities.data.AttributeDict",
        "pytorch_lightning.utilities.parsing.AttributeDict",
    ),
    _List: ("collections.deque",),
}
"""What is put in the place of classes and functions that a pickle names: none of the real ones is called."""


def unpickled(data: bytes, file: Path) -> object:
    """What `torch.save` wrote, without running any code in it.

    Namespaces, paths, dates and numpy values beside the tensors become objects without content.

    Raises:
        UnseeError: the file is broken, was not written by `torch.save`, or holds objects of other classes.
    """
    _check_zip(data, file)
    allowed: list[Callable[..., Any] | tuple[Callable[..., Any], str]]
    allowed = [(stand_in, name) for stand_in, names in _STAND_INS.items() for name in names]
    try:
        with quiet(), torch.serialization.safe_globals(allowed):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        found = f"a pickled {shown(named[1])}" if named else "a pickle that is not torch.save's"
        raise UnseeError(
            f"{file}: holds {found}, not only tensors (a whole network, perhaps), and loading it could run "
            "code; save net.state_dict() with torch.save"
        ) from error
    except Exception as error:
        raise UnseeError(f"{file}: not a whole weight file ({reason(error)})") from error


def state_dict_of(held: object, file: Path) -> tuple[dict[str, Tensor], str]:
    """The one dict of tensors in a checkpoint, and a note of which it is; "" if it is the whole file.

    The note also names the state dicts that were left, and what else the file holds.

    In a wrapper it is taken whatever its name; of several, that with the first of the `WELL_KNOWN` names.
    Only dicts whose keys have dots, as parameters of a network do, or with a well-known name are considered:
    an optimiser's state is none.

    Raises:
        UnseeError: there is none, or several and none has a well-known name.
    """
    if _is_state_dict(held):
        return held, ""  # type: ignore[return-value]
    entries = list(held) if isinstance(held, dict) else []
    path: list[str] = []
    left: list[str] = []
    while not (path and _is_state_dict(held)):
        inside = _with_state_dicts(held, _DEPTH - len(path))
        if not inside:
            there = f"; it holds {listed(entries)}" if entries else ""
            raise UnseeError(f"{file}: holds no state dict (names and tensors){there}; save net.state_dict()")
        chosen = next((name for name in WELL_KNOWN if name in inside), inside[0])
        if len(inside) > 1 and chosen not in WELL_KNOWN:
            names = listed([".".join([*path, name]) for name in inside], 8)
            raise UnseeError(
                f"{file}: holds several state dicts ({names}); save the one to explain in a file of its own"
            )
        left += [".".join([*path, name]) for name in inside if name != chosen]
        path.append(chosen)
        held = held[chosen]  # type: ignore[index]
    beside = [name for name in entries if name not in (path[0], *left)]
    return held, _taken(".".join(path), left, beside)  # type: ignore[return-value]


def listed(names: Iterable[object], most: int = 5) -> str:
    """Names from a file for a message: the first few on one line, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(shown(name) for name in every[:most]) + more


def shown(name: object, longest: int = 60) -> str:
    """One name from a file for a message: printable, and cut after so many characters."""
    text = str(name)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def reason(error: Exception) -> str:
    """The first line of what another library says of a broken file."""
    return shown(str(error).partition("\n")[0] or type(error).__name__, 200)


def _taken(chosen: str, left: Sequence[str], beside: Sequence[object]) -> str:
    others = f", not {listed(left)}" if left else ""
    more = f"; also in the file: {listed(beside)}" if beside else ""
    return f"took {shown(chosen)}{others}{more}"


def _check_zip(data: bytes, file: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [name.rpartition("/")[2] for name in archive.namelist()]
    except Exception:  # no zip file, or one that is cut short: torch says what it lacks
        return
    if "constants.pkl" in members:
        raise UnseeError(f"{file}: a TorchScript program, not a weight file; save net.state_dict() instead")
    if "data.pkl" not in members:
        raise UnseeError(
            f"{file}: a zip file that torch.save did not write (it holds {listed(members)}); "
            "save net.state_dict()"
        )


def _is_state_dict(held: object) -> bool:
    return (
        isinstance(held, dict)
        and bool(held)
        and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in held.items())
    )


def _with_state_dicts(held: object, depth: int) -> list[str]:
    """The entries of a dict that are state dicts, or have some inside them down to a depth."""
    if not isinstance(held, dict) or depth == 0:
        return []
    return [
        name
        for name, value in held.items()
        if isinstance(name, str)
        and (
            (name in WELL_KNOWN or any("." in key for key in value))
            if _is_state_dict(value)
            else bool(_with_state_dicts(value, depth - 1))
        )
    ]
