"""What `unsee learn` asks of Ray, of a class map and of the screen."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import typer
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

from unsee.choices import look_up
from unsee.classifier import Classifier
from unsee.cli.console import CONSOLE, plain
from unsee.cli.storing import summary, table_of
from unsee.datasets.dataset import Dataset
from unsee.datasets.opening import open_dataset
from unsee.datasets.selection import Selection
from unsee.errors import UnseeError
from unsee.fits import Fit
from unsee.masks import PRESETS, adjusted
from unsee.masks.settings import Settings
from unsee.runs.engines.local import Engine, Local, PartWritten
from unsee.runs.engines.ray import OnRay
from unsee.runs.learn import MASK, learn
from unsee.runs.resume import PartChecked, RowDone, RunState
from unsee.runs.resume import Progress as Told
from unsee.runs.store import Store

_SECONDS_OF_SPEED, _SECONDS_BETWEEN_LINES = 120.0, 30.0
_PRESET = "fast"
_CLASS_MAP = 'write {"dog": [151, 152], …}, class → index, or indices'


@dataclass(frozen=True)
class Mask:
    """What was asked of the learned mask alone, None where nothing was; the names are `unsee.explain`'s."""

    preset: str | None
    game: str | None
    perturbation: str | None
    iterations: int | None
    score: str | None
    precision: str

    def settings(self) -> Settings:
        """The preset with what was changed in it."""
        preset = look_up(PRESETS, self.preset or _PRESET, "preset")
        return adjusted(preset, self.game, self.perturbation, self.iterations, self.score)

    def refuse(self, method: str) -> None:
        """See that nothing was asked that another method has no use for.

        Raises:
            UnseeError: something was.
        """
        given = (self.preset, self.game, self.perturbation, self.iterations, self.score)
        names = ("preset", "game", "perturbation", "iterations", "score")
        used = [name for name, value in zip(names, given, strict=True) if value is not None]
        used += ["precision"] if self.precision != "auto" else []
        if used:
            raise UnseeError(f"--{used[0]} is for the learned mask, {method} has none: leave it out")


@dataclass(frozen=True)
class Wish:
    """How pictures are looked at; the names are `unsee.learn`'s."""

    method: str
    mask: Mask
    layer: str | None
    target: str
    class_map: Mapping[str, Sequence[int]] | None
    seed: int
    fit: Fit
    batch_size: int | None

    def carried_out(
        self,
        classifier: Classifier,
        dataset: Dataset,
        out: str,
        terms: tuple[int | None, int | None, bool],
        engine: Engine,
        check: Callable[[], None],
    ) -> Store:
        """Do what the store lacks, under a bar; `terms` are limit, part size and whether to retry.

        `check` is called after each row.

        Raises:
            UnseeError: what `unsee.learn` raises, or an option that the method has no use for.
        """
        if self.method != MASK:
            self.mask.refuse(self.method)
        with watched(check=check) as progress:
            return learn(
                classifier,
                dataset,
                out,
                method=self.method,
                preset=self.mask.settings(),
                layer=self.layer,
                target=self.target,
                class_map=self.class_map,
                seed=self.seed,
                fit=self.fit,
                precision=self.mask.precision,
                batch_size=self.batch_size,
                limit=terms[0],
                part_size=terms[1],
                retry=terms[2],
                engine=engine,
                progress=progress,
            )


def report(store: Store, as_json: bool) -> None:
    """Say what the store holds now."""
    found = summary(store)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        CONSOLE.print(table_of(found))


def opened(name: str, split: str | None, classes: str | None) -> Selection:
    """The data set that is asked for; says how many pictures a blacklist has taken from it.

    Raises:
        UnseeError: what `open_dataset` raises.
    """
    pictures = open_dataset(name, split, names_in(classes))
    if pictures.left_out:
        CONSOLE.print(f"{pictures.left_out} pictures of {plain(name)} are on its blacklist: left out")
    return pictures


def names_in(text: str | None) -> tuple[str, ...]:
    """The names between commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def map_from(file: Path | None) -> Mapping[str, Sequence[int]] | None:
    """A class map from a JSON file: name → an index, a list of them, or an object with `imagenet_index`.

    Raises:
        UnseeError: the file is missing, or holds something else.
    """
    if file is None:
        return None
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnseeError(f"{file} is no class map ({error}): {_CLASS_MAP}") from None
    if not isinstance(kept, dict):
        raise UnseeError(f"{file} is no class map (it holds a {type(kept).__name__}): {_CLASS_MAP}")
    try:
        return {str(name): _indices(value) for name, value in kept.items()}
    except (ValueError, TypeError, KeyError) as error:
        raise UnseeError(f"{file} is no class map ({error}): {_CLASS_MAP}") from None


def _indices(value: object) -> list[int]:
    listed = value["imagenet_index"] if isinstance(value, dict) else value
    several = listed if isinstance(listed, list) else [listed]
    found = [index for index in several if isinstance(index, int) and not isinstance(index, bool)]
    if not found or len(found) < len(several):
        raise ValueError(f"{value!r} is no list of indices")
    return found


def engine_from(
    name: str, workers: int | None, threads: int | None, gpus: float | None, device: str
) -> Engine:
    """Who does the work; threads of this process are set here.

    Raises:
        UnseeError: an unknown engine, or one machine's process asked for several workers or GPUs.
    """
    if name == "local":
        if workers not in (None, 1) or gpus is not None:
            raise UnseeError("the local engine is one process: --engine ray takes --workers and --gpus")
        if threads is not None:
            torch.set_num_threads(threads)
        return Local()
    if name != "ray":
        raise UnseeError(f"no engine is called {name!r}; there are local, ray")
    each = gpus if gpus is not None else float(device == "cuda")
    cores = os.cpu_count() or 1
    shared = max(int(torch.cuda.device_count() / each), 1) if each else max(cores // (threads or 1), 1)
    count = workers or shared
    return OnRay(count, threads or max(cores // count, 1), each)


class _Rate(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        """What the bar shows."""
        return Text(_rate(task))


def _rate(task: Task) -> str:
    speed = task.finished_speed or task.speed
    return "" if not speed else f"{speed:.2f}/s" if speed < 10 else f"{speed:.0f}/s"


def _line(task: Task) -> str:
    """How far a run is, where no bar can be drawn."""
    left = task.time_remaining
    time_left = "" if left is None else f"{timedelta(seconds=int(left))} left"
    parts = (f"{task.completed:.0f} of {task.total:.0f} rows", _rate(task), time_left, task.fields["note"])
    return ", ".join(part for part in parts if part)


def _nothing() -> None:
    """Nothing is to be checked."""


@contextmanager
def watched(what: str = "", check: Callable[[], None] = _nothing) -> Iterator[Told]:
    """A bar over rows, with rate and time left; gives what is to be told of a run, called `what`.

    `check` is called each time. Where there is no terminal a line is written now and then.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    blind = not CONSOLE.is_interactive
    bar = Progress(
        *columns,
        console=CONSOLE,
        transient=True,
        speed_estimate_period=_SECONDS_OF_SPEED,
        disable=blind,
    )
    with bar:
        task = bar.add_task(f"{what} getting ready", total=None, note="")
        rows, errors = 0, 0
        unwritten = 0
        spoken = time.monotonic()

        def told(event: PartChecked | RunState | RowDone | PartWritten) -> None:
            nonlocal rows, errors, unwritten, spoken
            check()
            if isinstance(event, PartChecked):
                bar.update(
                    task, description=f"{what} checking parts", completed=event.done, total=event.total
                )
                return
            if isinstance(event, RunState):
                for damage in event.damaged:
                    CONSOLE.print(f"[yellow]{plain(damage)}[/]: its pictures are done again")
                for damage in event.beyond:
                    CONSOLE.print(f"[yellow]{plain(damage)}[/]: left as it is, beyond --limit")
                if event.left_out:
                    CONSOLE.print(f"{event.left_out} pictures show no class which is asked about: left out")
                rows, errors = event.there, event.errors
                bar.reset(task, description=f"{what} learning", completed=rows, total=event.total)
            elif isinstance(event, RowDone):
                unwritten += 1
            else:
                rows, errors, unwritten = rows + event.rows, errors + event.errors, 0
            note = f"{errors} without a map" if errors else ""
            bar.update(task, completed=rows + unwritten, note=note)
            if blind and time.monotonic() - spoken > _SECONDS_BETWEEN_LINES:
                spoken = time.monotonic()
                CONSOLE.print(f"{what} {_line(bar.tasks[0])}".strip())

        yield told
