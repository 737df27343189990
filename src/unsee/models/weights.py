"""Read weight files without running any code in them, and fill networks with them."""

import hashlib
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from unsee.errors import UnseeError
from unsee.models.checkpoints import listed, reason, shown, state_dict_of, unpickled

_LONGEST_HEADER = 100_000_000
_SHOWN_KEYS = 3
TAKEN = "weights_taken"


class Weights(dict[str, Tensor]):
    """Tensors by name. `taken` says what part of the file they are and which prefix was removed, or is ""."""

    def __init__(self, tensors: dict[str, Tensor], taken: str = "") -> None:
        super().__init__(tensors)
        self.taken = taken


def read_weights(path: str | Path) -> tuple[Weights, str]:
    """The tensors of a safetensors file or of a checkpoint that `torch.save` wrote, and the file's SHA-256.

    The kind of file is told by its content, not its name. Half-precision tensors come back as float32.
    Prefixes of the keys stay: `without_prefix` and `fill` know which of them the network itself has.

    Raises:
        UnseeError: the file is missing, broken, holds something other than tensors, or several state dicts.
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
    tensors, taken = state_dict_of(_held(data, file), file)
    odd = [key for key, value in tensors.items() if not _is_plain(value)]
    if odd:
        raise UnseeError(
            f"{file}: {listed(odd, _SHOWN_KEYS)}: sparse, quantised or without values; save plain tensors"
        )
    return Weights({key: _single(value) for key, value in tensors.items()}, taken), hashlib.sha256(
        data
    ).hexdigest()


def without_prefix(weights: dict[str, Tensor], own: Collection[str]) -> Weights:
    """The weights without a prefix that all their keys share, such as `module.`, where the network has none.

    Of the shared leading components as many are removed as give the most keys of the network; of equals, the
    fewest. The counter that torch's `AveragedModel` keeps beside `module.` goes with the prefix.

    Args:
        weights: tensors by name.
        own: the network's own keys.
    """
    tensors = best = dict(weights)
    prefix, removed = "", ""
    most = sum(key in own for key in best)
    while tensors:
        beside = {key: value for key, value in tensors.items() if key != "n_averaged"}
        if beside and all(key.startswith("module.") for key in beside):
            tensors = beside
        part = next(iter(tensors)).partition(".")[0] + "."
        if not all(key.startswith(part) and key != part for key in tensors):
            break
        tensors = {key.removeprefix(part): value for key, value in tensors.items()}
        prefix += part
        known = sum(key in own for key in tensors)
        if known > most:
            best, removed, most = tensors, prefix, known
    notes = [getattr(weights, "taken", ""), f"removed the prefix {shown(removed)}" if removed else ""]
    return Weights(best, "; ".join(note for note in notes if note))


def fill(net: nn.Module, weights: dict[str, Tensor], name: str) -> dict[str, str]:
    """Load weights into a network; all keys and shapes must agree, but for a prefix of all keys.

    A network on the meta device gets tensors on the CPU.

    Returns:
        As facts of a `Classifier`: which part of the file was taken, under `TAKEN`; nothing if all of it was.

    Raises:
        UnseeError: they do not; the line names the first keys of the network and of the file that differ.
    """
    own = net.state_dict()
    weights = without_prefix(weights, own)
    fault = _misfit(own, weights)
    if fault:
        taken = f" (unsee {weights.taken})" if weights.taken else ""
        raise UnseeError(
            f"the weight file{taken} does not fit {name}: it {fault}; is the name (--model) right?"
        )
    versioned = OrderedDict(weights)
    empty = any(value.is_meta for value in own.values())
    if empty:
        for key, value in own.items():
            held = weights.get(key, torch.zeros(value.shape))
            versioned[key] = held.to(value.dtype).contiguous()
    versioned._metadata = own._metadata  # type: ignore[attr-defined]
    net.load_state_dict(versioned, strict=False, assign=empty)
    return {TAKEN: weights.taken} if weights.taken else {}


def _misfit(own: dict[str, Tensor], weights: dict[str, Tensor]) -> str:
    """What is wrong with a file's keys, with keys of both sides; "" if nothing is."""
    missing = [key for key in own if key not in weights and not key.endswith("num_batches_tracked")]
    foreign = [key for key in weights if key not in own]
    if missing and foreign:
        return f"lacks {listed(missing, _SHOWN_KEYS)} and has the extra {listed(foreign, _SHOWN_KEYS)}"
    if missing:
        return f"lacks {listed(missing, _SHOWN_KEYS)} and has {listed(weights, _SHOWN_KEYS)}"
    if foreign:
        return f"has the extra {listed(foreign, _SHOWN_KEYS)}, and the network has {listed(own, _SHOWN_KEYS)}"
    misshapen = [key for key in own if key in weights and own[key].shape != weights[key].shape]
    if misshapen:
        first = misshapen[0]
        shapes = f"{tuple(weights[first].shape)}, not {tuple(own[first].shape)}"
        return f"has another shape for {listed(misshapen, _SHOWN_KEYS)} (the first is {shapes})"
    return ""


def _held(data: bytes, file: Path) -> object:
    if not data:
        raise UnseeError(f"{file} is empty, not a weight file")
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") < _LONGEST_HEADER:
        try:
            return load_safetensors(data)
        except Exception as error:
            raise UnseeError(f"{file}: not a whole safetensors file ({reason(error)})") from error
    if data.startswith((b"PK\x03\x04", b"\x80")):
        return unpickled(data, file)
    beginning = data[:40].decode("ascii", "replace")
    if data[:40].isascii() and "".join(beginning.split()).isprintable():
        raise UnseeError(f"{file} is text (it begins {beginning!r}), not a weight file")
    raise UnseeError(f"{file}: neither a whole safetensors file nor one that torch.save wrote")


def _is_plain(value: Tensor) -> bool:
    return value.layout is torch.strided and not value.is_quantized and not value.is_meta


def _single(value: Tensor) -> Tensor:
    return value.detach().float() if value.dtype in (torch.float16, torch.bfloat16) else value.detach()
