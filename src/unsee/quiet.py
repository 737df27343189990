"""Keep other libraries from printing what unsee says itself, in one line."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_SILENT = logging.CRITICAL + 1


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Without Python's warnings, and without what these loggers and those below them log.

    Loggers below them that are first made inside are silent too, unless they set a level of their own.

    Args:
        loggers: dotted names, such as "torch.export".
    """
    known = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    tops = [logging.getLogger(name) for name in loggers]
    below = [each for each in known if each.name.startswith(tuple(f"{name}." for name in loggers))]
    before = {each: each.level for each in (*tops, *below)}
    try:
        for each in before:
            each.setLevel(_SILENT)
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for each, level in before.items():
            each.setLevel(level)
