"""ImageNet's thousand classes in their standard order, that of their sorted WordNet ids.

`wnids.txt` holds the WordNet ids, from `timm/data/_info/imagenet_synsets.txt` of timm 1.0; the names are from
the metadata of torchvision's weights.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from torchvision.models import GoogLeNet_Weights

from unsee.errors import UnseeError

WNIDS = tuple((Path(__file__).parent / "wnids.txt").read_text(encoding="ascii").split())
"""The WordNet id of each class."""
_INDICES = {wnid: index for index, wnid in enumerate(WNIDS)}


@cache
def class_names() -> tuple[str, ...]:
    """The name of each class."""
    return tuple(GoogLeNet_Weights.IMAGENET1K_V1.meta["categories"])


def known(wnid: str) -> int | None:
    """The index of a class by its WordNet id, or None if it is not one of the thousand."""
    return _INDICES.get(wnid)


def index_of(wnid: str, where: str) -> int:
    """The index of a class by its WordNet id.

    Raises:
        UnseeError: it is not one of the thousand; the message begins with `where`.
    """
    index = known(wnid)
    if index is None:
        raise UnseeError(f"{where}: {wnid!r} is not one of ImageNet's 1000 WordNet ids, such as {WNIDS[0]}")
    return index


def indices(wnids: Sequence[str], where: str) -> dict[str, int]:
    """The indices of several classes by their WordNet ids.

    Raises:
        UnseeError: one is not among the thousand; the message begins with `where`.
    """
    return {wnid: index_of(wnid, where) for wnid in wnids}
