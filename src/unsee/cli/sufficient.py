"""Options and rows of the smallest mask that suffices."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unsee.cli.console import CONSOLE, plain

if TYPE_CHECKING:
    from unsee.masks.folders import FolderEntry

Suppress = Annotated[
    float | None,
    typer.Option(
        "--suppress",
        help="The smallest mask that suppresses this share of the score, such as 0.95, also under a "
        "perturbation that it was not learned with.",
    ),
]
Keep = Annotated[
    float | None,
    typer.Option("--keep", help="The smallest region that keeps this share of the score, such as 0.9."),
]
PathToo = Annotated[
    bool, typer.Option("--path", help="Draw area against share along the path over λ1: path.png, path.csv.")
]
Another = Annotated[
    int, typer.Option("--another", help="Find so many further masks that do not touch those before.", min=0)
]


def report_stopped(manifests: "Iterable[Mapping[str, Any]]") -> None:
    """Say for each photo why fewer further masks were found than were asked for."""
    for manifest in manifests:
        found = manifest.get("sufficiency")
        if found and manifest["sufficient"]["another"] and found["stopped"]:
            CONSOLE.print(f"{plain(Path(manifest['photo']).name)}: {plain(found['stopped'])}")


def further_rows(saved: "FolderEntry") -> "Iterator[tuple[str, ...]]":
    """A row of the table for each further mask, and one that says why there are no more."""
    from unsee.explanation_files import read_manifest
    from unsee.smallest_mask import other_folder

    found = saved.manifest.get("sufficiency")
    for number in range(1, (found["others"] if found else 0) + 1):
        folder = other_folder(saved.folder, number)
        other = read_manifest(folder)
        suppression = other["suppression"]
        yield (
            "",
            f"another {number}",
            f"{other['scores']['original']:.4f}",
            f"{other['scores']['perturbed']:.4f}",
            "–" if suppression is None else f"{suppression:.1%}",
            f"{other['area']:.1%}" + ("" if other["converged"] else " *"),
            plain(folder),
        )
