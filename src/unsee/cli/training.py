"""Training and measuring the package's networks, for the command line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from unsee.cli.console import CONSOLE, plain
from unsee.cli.progress import bar
from unsee.datasets.menagerie import Menagerie, Shortcut
from unsee.errors import UnseeError
from unsee.models.menagerie import save_menagerie
from unsee.training import SHORTCUT, Recipe, measure_accuracy, measure_lean, train_menagerie
from unsee.training import Progress as Stage

_HELD_OUT = "test"


def train(out: Path, shortcut: bool, seed: int, images: int | None, steps: int | None, force: bool) -> None:
    """Train, and write the weights.

    Raises:
        UnseeError: the file is there already, or cannot be written.
    """
    if out.exists() and not force:
        raise UnseeError(f"{out} is there already: --force replaces it, --out writes elsewhere")
    if not out.parent.is_dir():
        raise UnseeError(f"{out.parent} is no folder: make it first")
    recipe = replace(Recipe(), seed=seed, shortcuts=(SHORTCUT,) if shortcut else (), steps=steps)
    recipe = recipe if images is None else replace(recipe, images=images)
    with _stages(recipe.images) as advance:
        net = train_menagerie(recipe, advance)
    try:
        save_menagerie(net, out)
    except OSError as error:
        raise UnseeError(f"{out} cannot be written ({error.strerror or error})") from error
    CONSOLE.print(f"weights in {plain(out)}")


def measure(net: nn.Module, pictures: int, shortcut: bool) -> dict[str, Any]:
    """How right a network is on held-out pictures of its world, and how it leans on the planted thing."""
    planted: tuple[Shortcut, ...] = (SHORTCUT,) if shortcut else ()
    world = Menagerie(_HELD_OUT, pictures, shortcuts=planted)
    spoons = Menagerie(_HELD_OUT, pictures, shortcuts=(SHORTCUT,))
    with CONSOLE.status(f"measuring on {pictures} held-out pictures"):
        return {
            "accuracy": asdict(measure_accuracy(net, world)),
            f"mean score of the {SHORTCUT.name}, with and without its {SHORTCUT.thing}": asdict(
                measure_lean(net, spoons, SHORTCUT)
            ),
        }


@contextmanager
def _stages(images: int) -> Iterator[Callable[[Stage], None]]:
    with bar() as progress:
        tasks = {
            "draw": progress.add_task("drawing pictures", total=images, note=""),
            "train": progress.add_task("training", total=None, note=""),
        }

        def advance(stage: Stage) -> None:
            note = "" if stage.loss is None else f"loss {stage.loss:.3f}"
            progress.update(tasks[stage.stage], completed=stage.done, total=stage.total, note=note)

        yield advance
