"""How much memory is free, and how many images fit in it at once."""

import ctypes
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

Item = TypeVar("Item")
Answer = TypeVar("Answer")

BATCH_SIZE = 16
"""Default number of images in a forward pass; on a CPU larger batches are no faster."""
FEW = BATCH_SIZE // 4
"""The same where each image takes much time or memory."""

_MAP_ABOVE, _TRIM_ABOVE = -3, -1
"""M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of `mallopt`."""
_MAPPED = 32 << 20
_SHARE = 0.5
_UNKNOWN = 4 << 30
_MOST_ON_CPU, _MOST_ELSEWHERE = BATCH_SIZE, 256


def free_memory(device: torch.device) -> int:
    """Bytes that can still be allocated on a device."""
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


def images_that_fit(device: torch.device, each: int) -> int:
    """The batch size for images that need `each` bytes, using at most half of the free memory."""
    most = _MOST_ON_CPU if device.type == "cpu" else _MOST_ELSEWHERE
    return min(max(int(_SHARE * free_memory(device) / max(each, 1)), 1), most)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory has run out, on any device."""
    text = str(error)
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError)
        and any(sign in text for sign in ("DefaultCPUAllocator", "out of memory", "ALLOC_FAILED"))
    )


def by_halves(work: Callable[[Sequence[Item]], list[Answer]], items: Sequence[Item]) -> list[Answer]:
    """Call `work` on all items; if memory runs out, on each half of them, and so on."""
    try:
        return work(items)
    except Exception as error:
        if len(items) < 2 or not is_out_of_memory(error):
            raise
    release()
    middle = len(items) // 2
    return by_halves(work, items[:middle]) + by_halves(work, items[middle:])


def in_quarters(work: Callable[[Sequence[Item]], list[Answer]], items: Sequence[Item]) -> list[Answer]:
    """Call `work` on a quarter of the items at a time, but on at least four.

    For evaluations in full precision, which take more memory than the same batch did while it was learned.
    """
    share = max(-(-len(items) // 4), FEW)
    parts = [items[first : first + share] for first in range(0, len(items), share)]
    return [answer for part in parts for answer in by_halves(work, part)]


def release() -> None:
    """Release unused memory that the GPU's allocator holds."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def keep_freed() -> bool:
    """Make the C library keep freed memory for the next forward pass, if it is glibc.

    By default the memory goes back to the system, which then clears its pages for the next pass; that takes a
    large share of the pass. The setting affects the whole process, so only programs should make it, as the
    command line does.

    Returns:
        Whether the library has accepted the setting.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MAP_ABOVE, _MAPPED)) and bool(mallopt(_TRIM_ABOVE, 2**31 - 1))
