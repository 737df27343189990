"""Ctrl-C and SIGTERM stop a command soon, and it says so."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

from unsee.cli.console import CONSOLE

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STOPPED = 128
_GOES_ON = "[yellow]stopped[/]; the same command again goes on from here"


@contextmanager
def stopped_at_once() -> Iterator[None]:
    """Exit immediately on either signal, for the time in which libraries are being imported."""

    def leave(number: int, _: FrameType | None) -> NoReturn:
        os.write(2, b"stopped\n")
        os._exit(_STOPPED + number)

    with _handled(leave):
        yield


@contextmanager
def stoppable(says: str = _GOES_ON) -> Iterator[Callable[[], None]]:
    """Stop the work inside on either signal, and exit with 130 or 143.

    Gives a check that stops the work if a library has swallowed the exception of an earlier signal.
    """
    came: list[int] = []

    def stop(number: int, _: FrameType | None) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    try:
        with _handled(stop):
            yield check
            check()
    except KeyboardInterrupt:
        CONSOLE.print(says)
        raise typer.Exit(_STOPPED + (came[0] if came else signal.SIGINT)) from None


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
