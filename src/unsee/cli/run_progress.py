"""The progress bar of a run over a data set."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from unsee.cli.console import CONSOLE, plain
from unsee.runs.engines.local import PartWritten
from unsee.runs.resume import PartChecked, RowDone, RunProgress, RunState
from unsee.words import counted

_SECONDS_OF_SPEED = 120.0
SECONDS_BETWEEN_LINES = 30.0
"""How often a line is printed if there is no terminal for a bar."""


class _Rate(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        """The text of the column."""
        return Text(_rate(task))


def _rate(task: Task) -> str:
    speed = task.finished_speed or task.speed
    return "" if not speed else f"{speed:.2f}/s" if speed < 10 else f"{speed:.0f}/s"


def _line(task: Task) -> str:
    """Progress as a line, for output that is not a terminal."""
    left = task.time_remaining
    time_left = "" if left is None else f"{timedelta(seconds=int(left))} left"
    parts = (f"{task.completed:.0f} of {task.total:.0f} rows", _rate(task), time_left, task.fields["note"])
    return ", ".join(part for part in parts if part)


class _Rows:
    """Counts the rows of a run, and shows them in a bar or in lines."""

    def __init__(self, bar: Progress, name: str, seconds_between_lines: float) -> None:
        self.bar, self.name, self.seconds_between_lines = bar, name, seconds_between_lines
        self.task = bar.add_task(f"{name} getting ready", total=None, note="")
        self.rows, self.errors, self.unwritten = 0, 0, 0
        self.printed = time.monotonic()

    def report(self, event: PartChecked | RunState | RowDone | PartWritten) -> None:
        """Show an event of the run."""
        if isinstance(event, PartChecked):
            description = f"{self.name} checking parts"
            self.bar.update(self.task, description=description, completed=event.done, total=event.total)
            return
        if isinstance(event, RunState):
            _print_state(event)
            self.rows, self.errors = event.there, event.errors
            self.bar.reset(
                self.task, description=f"{self.name} learning", completed=self.rows, total=event.total
            )
        elif isinstance(event, RowDone):
            self.unwritten += 1
        else:
            self.rows, self.errors, self.unwritten = self.rows + event.rows, self.errors + event.errors, 0
        note = f"{self.errors} without a map" if self.errors else ""
        self.bar.update(self.task, completed=self.rows + self.unwritten, note=note)
        if not CONSOLE.is_interactive and time.monotonic() - self.printed > self.seconds_between_lines:
            self.printed = time.monotonic()
            CONSOLE.print(f"{self.name} {_line(self.bar.tasks[0])}".strip())


def _print_state(state: RunState) -> None:
    for damage in state.damaged:
        CONSOLE.print(f"[yellow]{plain(damage)}[/]: its images are done again")
    for damage in state.beyond:
        CONSOLE.print(f"[yellow]{plain(damage)}[/]: left as it is, beyond --limit or --sample")
    if state.left_out:
        CONSOLE.print(f"{counted(state.left_out, 'image')} without a class to explain: left out")


def _no_check() -> None:
    """Check nothing."""


@contextmanager
def run_progress(
    name: str = "",
    check: Callable[[], None] = _no_check,
    seconds_between_lines: float = SECONDS_BETWEEN_LINES,
) -> Iterator[RunProgress]:
    """A bar over rows, with rate and time left; without a terminal, a line now and then.

    Args:
        name: of the run, shown before each description.
        check: called at each event; may raise to stop the run.
        seconds_between_lines: how often a line is printed without a terminal.

    Yields:
        The function to call with each event of the run.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns,
        console=CONSOLE,
        transient=True,
        speed_estimate_period=_SECONDS_OF_SPEED,
        disable=not CONSOLE.is_interactive,
    ) as bar:
        rows = _Rows(bar, name, seconds_between_lines)

        def report(event: PartChecked | RunState | RowDone | PartWritten) -> None:
            check()
            rows.report(event)

        yield report
