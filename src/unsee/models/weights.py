"""Read weight files without running any code in them."""

import hashlib
import pickle
import warnings
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from unsee.errors import UnseeError

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_SHOWN_KEYS = 3


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], str]:
    """The tensors of a safetensors file or of a saved state dict, and the file's SHA-256.

    Half-precision tensors come back as float32. A `module.` before every key, as data-parallel training
    leaves it, is removed.

    Raises:
        UnseeError: the file is missing, broken, or holds something other than tensors.
    """
    file = Path(path)
    if file.is_dir():
        raise UnseeError(f"{file} is a folder, not a weight file")
    if not file.is_file():
        raise UnseeError(f"{file}: no such weight file")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UnseeError(f"{file}: the weight file cannot be read ({error.strerror})") from error
    if file.suffix == ".safetensors":
        try:
            tensors: object = load_safetensors(data)
        except SafetensorError as error:
            raise UnseeError(f"{file}: not a whole safetensors file ({error})") from error
    else:
        tensors = _pickled(file)
    return _state_dict(tensors, file), hashlib.sha256(data).hexdigest()


def fill(net: nn.Module, weights: dict[str, Tensor], name: str) -> None:
    """Load weights into a network; all keys and shapes must agree.

    Raises:
        UnseeError: they do not; the line names the first keys that differ.
    """
    own = net.state_dict()
    missing = [key for key in own if key not in weights and not key.endswith("num_batches_tracked")]
    foreign = [key for key in weights if key not in own]
    misshapen = [key for key in own if key in weights and own[key].shape != weights[key].shape]
    for keys, word in ((missing, "lacks"), (foreign, "has the extra"), (misshapen, "has another shape for")):
        if keys:
            listed = ", ".join(keys[:_SHOWN_KEYS])
            more = f" and {len(keys) - _SHOWN_KEYS} more" if len(keys) > _SHOWN_KEYS else ""
            raise UnseeError(
                f"the weight file does not fit {name}: it {word} {listed}{more}; is the name (--model) right?"
            )
    versioned = OrderedDict(weights)
    versioned._metadata = own._metadata  # type: ignore[attr-defined]
    net.load_state_dict(versioned, strict=False)


def _pickled(file: Path) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnseeError(
            f"{file}: not a plain state dict, and loading it could run code; save net.state_dict() instead"
        ) from error
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnseeError(f"{file}: not a whole weight file ({reason})") from error


def _state_dict(tensors: object, file: Path) -> dict[str, Tensor]:
    if isinstance(tensors, dict):
        for wrapper in _WRAPPERS:
            if isinstance(tensors.get(wrapper), dict):
                tensors = tensors[wrapper]
                break
    sound = isinstance(tensors, dict) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in tensors.items()
    )
    if not sound or not tensors:
        raise UnseeError(f"{file}: holds no state dict (names and tensors); save net.state_dict()")
    assert isinstance(tensors, dict)
    prefix = "module." if all(key.startswith("module.") for key in tensors) else ""
    return {key.removeprefix(prefix): _single(value) for key, value in tensors.items()}


def _single(value: Tensor) -> Tensor:
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
