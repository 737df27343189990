"""Standard error, for people; standard output is for results that programs read."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from unsee.verdicts import advice

_NO_TERMINAL = 1000
"""Columns in files and pipes, where lines are not to be broken."""

CONSOLE = Console(stderr=True, width=None if sys.stderr.isatty() or "COLUMNS" in os.environ else _NO_TERMINAL)


def plain(text: object) -> str:
    """Text from outside, such as a file name, without markup and without what a terminal cannot encode."""
    return escape(str(text).encode("utf-8", "backslashreplace").decode())


def report_problems(lines: Iterable[str]) -> None:
    """Print what went wrong, one line each."""
    for line in lines:
        CONSOLE.print(f"[red]unsee:[/] {plain(line)}", soft_wrap=True, highlight=False)


def report_unconverged(verdicts: Iterable[tuple[str, str]]) -> None:
    """Print which masks have not converged, why, and what to do."""
    for name, verdict in verdicts:
        line = f"{plain(name)}: {plain(verdict)}; {advice(verdict)}"
        CONSOLE.print(f"[yellow]not converged:[/] {line}", soft_wrap=True, highlight=False)


def report_doubts(photos: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Print what the reader could not be sure of, for photos with their notes."""
    from unsee.pixels import doubts

    for name, notes in photos:
        for note in doubts(notes):
            CONSOLE.print(f"[yellow]read:[/] {plain(name)}: {plain(note)}", soft_wrap=True, highlight=False)


def report_token_checks(photos: Iterable[tuple[str, Mapping[str, Any], float | None]]) -> None:
    """Print what edits of tokens say of their masks, for photos with the check and the mask's own score.

    A note that several have is printed once.
    """
    notes: dict[str, None] = {}
    for name, found, soft in photos:
        if "tokens" in found:
            scores = {
                "soft mask": soft,
                "binarised": found["binarised_score"],
                "really dropped": found.get("dropped_score"),
            }
            told = ", ".join(f"{what} {value:.4f}" for what, value in scores.items() if value is not None)
            line = f"{plain(name)}: {found['deleted']} of {found['tokens']} tokens deleted"
            line += f"; score with {told}" if told else "; no score is finite"
            CONSOLE.print(f"[dim]tokens:[/] {line}", soft_wrap=True, highlight=False)
        if "note" in found:
            notes[found["note"]] = None
    for note in notes:
        CONSOLE.print(f"[yellow]note:[/] {plain(note)}", soft_wrap=True, highlight=False)


def report_accounts(networks: Iterable[tuple[str, str]]) -> None:
    """Print what served networks were asked, for names and accounts; networks without one are left out."""
    for name, account in networks:
        if account:
            CONSOLE.print(f"[dim]{plain(name)}: {plain(account)}[/]", soft_wrap=True, highlight=False)


def report_damage(parts: Iterable[object]) -> bool:
    """Name the parts of a store that could not be read; True if there are any."""
    damaged = list(parts)
    for part in damaged:
        CONSOLE.print(f"[red]{plain(part)}[/]: left out; the command that made the store does it again")
    return bool(damaged)
