"""Progress bars."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, cast

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from unsee.cli.console import CONSOLE, plain
from unsee.words import counted, spelled

if TYPE_CHECKING:
    from unsee.experiments.comparison_folders import ComparisonStep
    from unsee.figures.demo import DemoStarted
    from unsee.masks.loop import Step
    from unsee.training import TrainingStep


def bar(transient: bool = False) -> Progress:
    """A bar whose tasks have a description and a `note` that changes."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=CONSOLE, transient=transient)


@contextmanager
def learning(
    what: str, photos: int, sign: float = 1.0, account: Callable[[], str] = str
) -> "Iterator[Callable[[Step], None]]":
    """A bar over photos, with objective and score; gives the callback for each step.

    `sign` is that of the score in the objective (`Game.sign`), `account` says what a served network has been
    asked so far. Several runs may share the bar: each counts its photos from 0.
    """
    with bar(transient=True) as progress:
        task = progress.add_task(what, total=photos, note="getting ready", visible=photos > 0)
        before = last = 0.0

        def advance(step: "Step") -> None:
            nonlocal before, last
            before += last if step.done < last else 0.0
            last = step.done
            note = f"objective {step.objective:.4f}  score {sign * step.score:.4f}  {account()}".rstrip()
            progress.update(task, completed=before + last, note=note)

        yield advance


@contextmanager
def demonstrating() -> "Iterator[Callable[[DemoStarted | Step], None]]":
    """A bar over the masks of the demonstration, once the networks are loaded; gives the callback."""
    with ExitStack() as shown:
        status = shown.enter_context(CONSOLE.status("loading networks"))
        bars: list[Callable[[Step], None]] = []

        def advance(event: "DemoStarted | Step") -> None:
            if bars:
                bars[-1](cast("Step", event))
                return
            started = cast("DemoStarted", event)
            status.stop()
            if started.left_out:
                line = f"[yellow]without photographs:[/] {plain(started.left_out)}"
                CONSOLE.print(line, soft_wrap=True, highlight=False)
            bars.append(shown.enter_context(learning(counted(started.masks, "mask"), started.masks)))

        yield advance


@contextmanager
def comparing() -> "Iterator[Callable[[ComparisonStep], None]]":
    """A bar over the maps of a comparison; gives the callback for each map."""
    with bar(transient=True) as progress:
        task = progress.add_task("", total=None, note="")

        def advance(step: "ComparisonStep") -> None:
            note = "" if step.method is None else spelled(step.method)
            progress.update(
                task, description=plain(step.photo), completed=step.done, total=step.total, note=note
            )

        yield advance


@contextmanager
def training(images: int) -> "Iterator[Callable[[TrainingStep], None]]":
    """Two bars, over drawn images and over training steps; gives the callback for both.

    They appear with the first step, so that an error before it is all there is to read.
    """
    progress = bar()
    tasks = {
        "draw": progress.add_task("drawing images", total=images, note=""),
        "train": progress.add_task("training", total=None, note=""),
    }

    def advance(step: "TrainingStep") -> None:
        progress.start()
        note = "" if step.loss is None else f"loss {step.loss:.3f}"
        progress.update(tasks[step.stage], completed=step.done, total=step.total, note=note)

    try:
        yield advance
    finally:
        progress.stop()
