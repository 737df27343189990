"""The names of ImageNet's thousand classes, as torchvision writes them; torchvision itself takes a second."""

from pathlib import Path


def imagenet_classes() -> tuple[str, ...]:
    """The names in their standard order, that of the sorted WordNet ids."""
    file = Path(__file__).parent / "imagenet_classes.txt"
    return tuple(file.read_text(encoding="utf-8").splitlines())
