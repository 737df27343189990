"""Telling the family of a module without importing the package that it comes from."""

from torch import nn


def is_a(module: nn.Module, package: str, name: str) -> bool:
    """Whether a module's class, or one that it is derived from, is this class."""
    return any(each.__module__ == package and each.__name__ == name for each in type(module).__mro__)
