"""`unsee reproduce`: all experiments, and a report of them."""

from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import experiment, options
from unsee.cli.console import CONSOLE, plain
from unsee.cli.network_options import given_options, given_texts
from unsee.cli.signals import stoppable
from unsee.defaults import DEFAULT_PRESET, FEW_REPRODUCED, IMAGES_REPRODUCED, METHODS_REPRODUCED
from unsee.words import spelled

Model = Annotated[
    list[str],
    typer.Option(
        "--model",
        "-m",
        help="A network; further ones are for the experiment architectures.",
        show_default=f"both of the menagerie for the menagerie, {options.DEFAULT_MODEL} for all other data",
    ),
]
Methods = Annotated[
    str, typer.Option("--methods", help="Names that `unsee methods` lists, separated by commas; or all.")
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", "-n", help="Only the first so many images.", show_default=str(IMAGES_REPRODUCED), min=2
    ),
]
Sample = Annotated[
    int | None,
    typer.Option("--sample", help="Only so many images, drawn at random with --seed.", min=2),
]
Few = Annotated[
    int, typer.Option("--few", help="Images for the two experiments that learn many masks per image.", min=2)
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the report and of all results.")]

_SHORTCUT = "unsee:menagerie-shortcut"

_METHODS = spelled(",".join(METHODS_REPRODUCED))


def command(
    data: experiment.Data = "menagerie",
    split: experiment.Split = None,
    classes: experiment.Classes = None,
    limit: Limit = None,
    sample: Sample = None,
    few: Few = FEW_REPRODUCED,
    methods: Methods = _METHODS,
    preset: experiment.Preset = DEFAULT_PRESET,
    class_map: experiment.ClassMap = None,
    models: Model = [],  # noqa: B006
    weights: experiment.Weights = [],  # noqa: B006
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: Out = Path("reproduction"),
) -> None:
    """Run every experiment of the paper, and write one page: our numbers next to the paper's, with figures.

    With the generated data set, the default, this takes some minutes. The same command again does only what
    is missing. An experiment that the data do not suit is left out, and the page says why.
    """
    import unsee
    from unsee.choices import look_up
    from unsee.cli.experiment_progress import experimenting
    from unsee.cli.parsing import classes_from, is_drawn, model_for, tell_if_all
    from unsee.masks import PRESETS
    from unsee.runs.class_map_file import read_class_map
    from unsee.runs.resume import Extent

    look_up(PRESETS, preset, "preset")
    Extent(limit, sample=sample)
    if not models:
        models = [model_for(data), *([_SHORTCUT] if is_drawn(data) else [])]
    networks = experiment.load_models(models, weights, device, given_options())
    dataset = unsee.open_dataset(data, split, classes_from(classes))
    tell_if_all(sample, dataset)
    mapping = None if class_map is None else read_class_map(class_map)
    with stoppable() as check, experimenting(check) as progress:
        found = unsee.reproduce(
            networks,
            dataset,
            methods=methods.split(","),
            preset=preset,
            class_map=mapping,
            seed=seed,
            limit=limit,
            sample=sample,
            few=few,
            out=out,
            weights=weights,
            options=_further(class_map, device),
            progress=progress,
        )
    for name, problem in found.problems.items():
        CONSOLE.print(f"[yellow]{name} was left out[/]: {plain(problem)}")
    CONSOLE.print(f"the report: {plain(found.page)}")


def _further(class_map: Path | None, device: str) -> list[str]:
    """The options that the page's commands also need."""
    return [
        *(["--class-map", str(class_map)] if class_map else []),
        *(["--device", device] if device != "auto" else []),
        *given_texts(),
    ]
