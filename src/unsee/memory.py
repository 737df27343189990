"""How much memory there is, and how many pictures at once fit in it."""

import ctypes
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

Item = TypeVar("Item")
Answer = TypeVar("Answer")

BATCH_SIZE = 16
"""Images to a forward pass where nothing else decides; on a CPU larger batches are no faster."""

_MAP_ABOVE, _TRIM_ABOVE = -3, -1
"""`mallopt`'s names for the size above which blocks are mapped one by one, and for what is kept at most."""
_MAPPED = 32 << 20
_SHARE = 0.5
_FEW = 4
_UNKNOWN = 4 << 30
_MOST_ON_CPU, _MOST_ELSEWHERE = BATCH_SIZE, 256


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if device.type != "cpu":
        return _UNKNOWN
    table = Path("/proc/meminfo")
    if table.exists():
        for line in table.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return _UNKNOWN


def pictures_that_fit(device: torch.device, each: int) -> int:
    """How many pictures to take at once when each needs so many bytes; more than enough are no faster."""
    most = _MOST_ON_CPU if device.type == "cpu" else _MOST_ELSEWHERE
    return min(max(int(_SHARE * free_memory(device) / max(each, 1)), 1), most)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory has run out, on any device."""
    text = str(error)
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError)
        and any(sign in text for sign in ("DefaultCPUAllocator", "out of memory", "ALLOC_FAILED"))
    )


def by_halves(work: Callable[[Sequence[Item]], list[Answer]], items: Sequence[Item]) -> list[Answer]:
    """What `work` gives for the items, in two halves where memory runs out over all of them."""
    try:
        return work(items)
    except Exception as error:
        if len(items) < 2 or not is_out_of_memory(error):
            raise
    release()
    middle = len(items) // 2
    return by_halves(work, items[:middle]) + by_halves(work, items[middle:])


def in_quarters(work: Callable[[Sequence[Item]], list[Answer]], items: Sequence[Item]) -> list[Answer]:
    """What `work` gives for the items, a quarter of them at a time but never fewer than a few.

    For what is done once to pictures in a precision that takes more memory than their descent.
    """
    share = max(-(-len(items) // 4), _FEW)
    parts = [items[first : first + share] for first in range(0, len(items), share)]
    return [answer for part in parts for answer in by_halves(work, part)]


def release() -> None:
    """Give back what the allocator of a GPU holds and nobody uses."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def keep_freed() -> bool:
    """Have the C library keep what is freed for the next pass, where it can be told to (glibc).

    Else it goes back to the system after each pass, and clearing the pages that come again takes a good
    part of it. It holds for the whole process, so only a program may ask for it: the command line does.

    Returns:
        Whether the library has agreed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MAP_ABOVE, _MAPPED)) and bool(mallopt(_TRIM_ABOVE, 2**31 - 1))
