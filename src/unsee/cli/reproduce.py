"""`unsee reproduce`: all experiments on what is at hand, and a report of them."""

from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import experiment, options
from unsee.cli.console import CONSOLE, plain
from unsee.cli.signals import stoppable

Model = Annotated[
    list[str],
    typer.Option("--model", "-m", help="A network; further ones are for the experiment architectures."),
]
Methods = Annotated[
    str, typer.Option("--methods", help="Names that `unsee methods` lists, with commas; or all.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", help="Only the first so many pictures.", min=2)]
Few = Annotated[
    int, typer.Option("--few", help="Pictures for the two experiments that learn many masks of each.", min=2)
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the report, and of all that it rests on.")]


def command(
    data: experiment.Data = "menagerie",
    split: experiment.Split = None,
    classes: experiment.Classes = None,
    limit: Limit = 48,
    few: Few = 12,
    methods: Methods = (
        "mask,gradient,guided-backprop,excitation-backprop,contrastive-excitation-backprop,grad-cam,occlusion,center"
    ),
    preset: experiment.Preset = "fast",
    class_map: experiment.ClassMap = None,
    models: Model = ["unsee:menagerie", "unsee:menagerie-shortcut"],  # noqa: B006
    weights: experiment.Weights = [],  # noqa: B006
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: Out = Path("reproduction"),
) -> None:
    """Run every experiment of the paper, and write one page: our numbers beside the paper's, with figures.

    On the generated world, as it is unless told, this takes some minutes. The same command again does only
    what is missing. An experiment that the data cannot serve is left out, and the page says why.
    """
    from unsee.choices import look_up
    from unsee.cli.parsing import names_from
    from unsee.cli.reproducing import Reproduction
    from unsee.cli.staging import methods_of, networks
    from unsee.datasets.opening import open_dataset
    from unsee.masks import PRESETS
    from unsee.runs.class_map_file import read_class_map

    look_up(PRESETS, preset, "preset")
    whole = Reproduction(
        networks(models, weights, device, several=True),
        open_dataset(data, split, names_from(classes)),
        methods_of(methods, ()),
        preset,
        None if class_map is None else read_class_map(class_map),
        seed,
        (limit, few),
        out,
        weights,
        [
            *(["--class-map", str(class_map)] if class_map else []),
            *(["--seed", str(seed)] if seed else []),
            *(["--device", device] if device != "auto" else []),
        ],
    )
    with stoppable() as check:
        page, problems = whole.run(check)
    for name, problem in problems.items():
        CONSOLE.print(f"[yellow]{name} was left out[/]: {plain(problem)}")
    CONSOLE.print(f"the report: {plain(page)}")
