"""The progress bars of an experiment."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from unsee.cli.console import CONSOLE
from unsee.cli.progress import bar
from unsee.cli.run_progress import run_progress
from unsee.experiments.progress import (
    ExperimentProgress,
    ExperimentStarted,
    ImagesMeasured,
    MapsEvent,
    MapsStarted,
)


@contextmanager
def experimenting(check: Callable[[], None]) -> Iterator[ExperimentProgress]:
    """A bar for the maps of each source, and one for the images; `check` is called at each event."""
    stack = ExitStack()
    tell: Callable[[MapsEvent], None] | None = None
    advance: Callable[[ImagesMeasured], None] | None = None

    def progress(event: ExperimentStarted | MapsStarted | MapsEvent | ImagesMeasured) -> None:
        nonlocal tell, advance
        check()
        if isinstance(event, ExperimentStarted):
            stack.close()
            advance = None
            CONSOLE.print(f"{event.number} of {event.total}: {event.title}")
        elif isinstance(event, MapsStarted):
            stack.close()
            advance = None
            report = stack.enter_context(run_progress(f"{event.source.replace('_', ' ')}:", check))
            tell = lambda own: report(own.event)  # noqa: E731
        elif isinstance(event, MapsEvent):
            assert tell is not None
            tell(event)
        else:
            if advance is None:
                stack.close()
                advance = stack.enter_context(_images(event))
            advance(event)

    with stack:
        yield progress


@contextmanager
def _images(first: ImagesMeasured) -> Iterator[Callable[[ImagesMeasured], None]]:
    with bar(transient=True) as progress:
        task = progress.add_task(first.experiment, total=first.total, note="")
        yield lambda event: progress.update(task, completed=event.done)
