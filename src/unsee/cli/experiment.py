"""`unsee experiment`: the paper's experiments over a data set."""

import json
from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain
from unsee.cli.stopping import stoppable

Name = Annotated[str, typer.Argument(help="A name that `unsee experiments` lists.", metavar="NAME")]
Data = Annotated[str, typer.Option("--data", help="A data set that `unsee datasets` lists.")]
Split = Annotated[str | None, typer.Option("--split", help="Part of the data set, such as val.")]
Classes = Annotated[str | None, typer.Option("--classes", help="Only pictures of these, with commas.")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", help="Only the first so many pictures.", min=1)]
Methods = Annotated[
    str, typer.Option("--methods", help="Names that `unsee methods` lists, with commas; or all.")
]
Masks = Annotated[str | None, typer.Option("--masks", help="A store of learned masks that is there already.")]
Preset = Annotated[str, typer.Option("--preset", "-p", help="How masks are learned: see `unsee presets`.")]
Asked = Annotated[
    str | None,
    typer.Option("--target", "-t", help="predicted, top1, top5, label or each. [default: the experiment's]"),
]
ClassMap = Annotated[
    Path | None,
    typer.Option("--class-map", help="JSON file: class of the data set → indices of the network's."),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for maps, records, tables and the figure.")]


def command(
    name: Name,
    data: Data = "menagerie",
    split: Split = None,
    classes: Classes = None,
    limit: Limit = None,
    methods: Methods = "mask,gradient,guided-backprop,grad-cam,center",
    masks: Masks = None,
    preset: Preset = "fast",
    target: Asked = None,
    class_map: ClassMap = None,
    model: options.Model = options.DEFAULT_MODEL,
    weights: options.Weights = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: Out = Path("experiment"),
    as_json: options.Json = False,
) -> None:
    """Run one of the paper's experiments: maps, records, tables with 95 % intervals, and the figure.

    The same command again does only what is missing. A larger --limit goes on.
    """
    from unsee.cli.comparing import methods_from
    from unsee.cli.experimenting import Trial, table_rows, tables_of
    from unsee.cli.learning import map_from, names_in
    from unsee.cli.names import load_model
    from unsee.datasets.opening import open_dataset, whole_name
    from unsee.experiments.catalogue import EXPERIMENTS
    from unsee.masks.settings import look_up

    experiment = look_up(EXPERIMENTS, name, "experiment")
    chosen, listed = names_in(classes), methods_from(None if methods == "all" else methods)
    trial = Trial(
        experiment,
        load_model(model, weights, device),
        open_dataset(data, split, chosen),
        {"name": whole_name(data), "split": split, "classes": list(chosen)},
        listed,
        preset,
        target or experiment.target,
        map_from(class_map),
        masks,
        seed,
        limit,
        out,
    )
    with stoppable():
        summary = trial.run()
    if as_json:
        typer.echo(json.dumps(table_rows(summary), indent=1))
        return
    for table in tables_of(summary):
        CONSOLE.print(table)
    CONSOLE.print(f"tables and figure: {plain(out)}")
