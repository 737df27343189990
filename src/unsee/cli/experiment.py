"""`unsee experiment`: the paper's experiments over a data set."""

from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain
from unsee.cli.signals import stoppable

Name = Annotated[str, typer.Argument(help="A name that `unsee experiments` lists.", metavar="NAME")]
Data = Annotated[str, typer.Option("--data", help="A data set that `unsee datasets` lists.")]
Split = Annotated[str | None, typer.Option("--split", help="Part of the data set, such as val.")]
Classes = Annotated[str | None, typer.Option("--classes", help="Only pictures of these, with commas.")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", help="Only the first so many pictures.", min=1)]
Methods = Annotated[
    str, typer.Option("--methods", help="Names that `unsee methods` lists, with commas; or all.")
]
Masks = Annotated[
    list[str],
    typer.Option("--masks", help="A store of maps that is there already; may be given several times."),
]
Models = Annotated[
    list[str],
    typer.Option("--model", "-m", help="A name that `unsee models` lists; for architectures several times."),
]
Weights = Annotated[
    list[Path],
    typer.Option("--weights", "-w", help="A weight file for the model; for several models in their order."),
]
Preset = Annotated[str, typer.Option("--preset", "-p", help="How masks are learned: see `unsee presets`.")]
Asked = Annotated[
    str | None,
    typer.Option("--target", "-t", help="predicted, top1, top5, label or each. [default: the experiment's]"),
]
ClassMap = Annotated[
    Path | None,
    typer.Option("--class-map", help="JSON file: class of the data set → indices of the network's."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Folder for maps, records, tables, figures. [default: experiments/NAME]"
    ),
]


def command(
    name: Name,
    data: Data = "menagerie",
    split: Split = None,
    classes: Classes = None,
    limit: Limit = None,
    methods: Methods = "mask,gradient,guided-backprop,grad-cam,center",
    masks: Masks = [],  # noqa: B006
    preset: Preset = "fast",
    target: Asked = None,
    class_map: ClassMap = None,
    models: Models = [options.DEFAULT_MODEL],  # noqa: B006
    weights: Weights = [],  # noqa: B006
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: Out = None,
    as_json: options.Json = False,
) -> None:
    """Run one of the paper's experiments: maps, records, tables with 95 % intervals, and the figure.

    The same command again does only what is missing. A larger --limit goes on.
    """
    from unsee.choices import look_up
    from unsee.cli.experimenting import Trial
    from unsee.cli.parsing import names_from
    from unsee.cli.staging import methods_of, networks, stores_at
    from unsee.cli.tabling import json_of, tables_of
    from unsee.datasets.opening import open_dataset
    from unsee.experiments.catalogue import EXPERIMENTS
    from unsee.experiments.maps import Setup
    from unsee.masks import PRESETS
    from unsee.runs.class_map_file import read_class_map

    experiment = look_up(EXPERIMENTS, name, "experiment")
    look_up(PRESETS, preset, "preset")
    given = stores_at(masks)
    setup = Setup(
        networks(models, weights, device, several=name == "architectures"),
        open_dataset(data, split, names_from(classes)),
        methods_of(methods, given),
        preset,
        target or experiment.target,
    )
    mapping = None if class_map is None else read_class_map(class_map)
    folder = out or Path("experiments") / name
    trial = Trial(experiment, setup, mapping, given, seed, limit, folder, folder / "maps")
    with stoppable() as check:
        summary = trial.run(check)
    if as_json:
        typer.echo(json_of(summary))
        return
    for table in tables_of(summary):
        CONSOLE.print(table)
    CONSOLE.print(f"tables and figures: {plain(folder)}")
