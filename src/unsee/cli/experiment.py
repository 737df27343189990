"""`unsee experiment`: one of the paper's experiments over a data set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unsee.cli import options
from unsee.cli.console import CONSOLE, plain
from unsee.cli.network_options import given_options
from unsee.cli.signals import stoppable
from unsee.defaults import DEFAULT_PRESET, METHODS_SHOWN
from unsee.errors import UnseeError
from unsee.words import counted, spelled

if TYPE_CHECKING:
    from unsee.classifier import Classifier
    from unsee.experiments.runner import ExperimentResult

Name = Annotated[str, typer.Argument(help="A name that `unsee experiments` lists.", metavar="NAME")]
Data = Annotated[str, typer.Option("--data", help="A data set that `unsee datasets` lists.")]
Split = Annotated[str | None, typer.Option("--split", help="Part of the data set, such as val.")]
Classes = Annotated[
    str | None, typer.Option("--classes", help="Only images of these classes, separated by commas.")
]
Limit = Annotated[int | None, typer.Option("--limit", "-n", help="Only the first so many images.", min=1)]
Methods = Annotated[
    str, typer.Option("--methods", help="Names that `unsee methods` lists, separated by commas; or all.")
]
Masks = Annotated[
    list[str],
    typer.Option("--masks", help="A store of existing maps; may be given several times."),
]
Models = Annotated[
    list[str],
    typer.Option(
        "--model",
        "-m",
        help="A name that `unsee models` lists; several times for architectures.",
        show_default=False,
    ),
]
Weights = Annotated[
    list[Path],
    typer.Option("--weights", "-w", help="A weight file for the model; for several models, in their order."),
]
Preset = Annotated[str, typer.Option("--preset", "-p", help="How masks are learned: see `unsee presets`.")]
Asked = Annotated[
    str | None,
    typer.Option(
        "--target", "-t", help="predicted, top1, top5, label or each.", show_default="the experiment's"
    ),
]
LayerNames = Annotated[
    str | None,
    typer.Option(
        "--layers", help="For layers: the layers to mask, separated by commas.", show_default="chosen"
    ),
]
ClassMap = Annotated[
    Path | None,
    typer.Option("--class-map", help="JSON file: class of the data set → indices of the network's classes."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Folder for maps, records, tables, figures.", show_default="experiments/NAME"
    ),
]

_METHODS = spelled(",".join(METHODS_SHOWN))


def command(
    name: Name,
    data: Data = "menagerie",
    split: Split = None,
    classes: Classes = None,
    limit: Limit = None,
    sample: options.Sample = None,
    methods: Methods = _METHODS,
    masks: Masks = [],  # noqa: B006
    preset: Preset = DEFAULT_PRESET,
    layers: LayerNames = None,
    target: Asked = None,
    class_map: ClassMap = None,
    models: Models = [],  # noqa: B006
    weights: Weights = [],  # noqa: B006
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: Out = None,
    as_json: options.Json = False,
) -> None:
    """Run one of the paper's experiments: maps, records, tables with 95 % intervals, and the figure.

    The same command again does only what is missing. A larger --limit or --sample continues.
    """
    import unsee
    from unsee.choices import look_up
    from unsee.cli.experiment_progress import experimenting
    from unsee.cli.parsing import classes_from, model_for, names_from, tell_if_all
    from unsee.experiments.catalogue import experiment_named
    from unsee.masks import PRESETS
    from unsee.runs.class_map_file import read_class_map
    from unsee.runs.resume import Extent

    chosen = experiment_named(name, names_from(layers))
    look_up(PRESETS, preset, "preset")
    Extent(limit, sample=sample)
    networks = load_models(models or [model_for(data)], weights, device, given_options())
    dataset = unsee.open_dataset(data, split, classes_from(classes))
    tell_if_all(sample, dataset)
    mapping = None if class_map is None else read_class_map(class_map)
    with stoppable() as check, experimenting(check) as progress:
        found = unsee.run_experiment(
            chosen,
            networks,
            dataset,
            methods=methods.split(","),
            masks=masks,
            preset=preset,
            target=target,
            class_map=mapping,
            seed=seed,
            limit=limit,
            sample=sample,
            out=out,
            progress=progress,
        )
    _print_result(found, as_json)


def _print_result(found: "ExperimentResult", as_json: bool) -> None:
    """Print the tables: as JSON on standard output, or for people on standard error."""
    from unsee.experiments.tables import tables_json, text_tables

    if as_json:
        typer.echo(tables_json(found.summary))
        return
    for table in text_tables(found.summary):
        CONSOLE.print(table)
    CONSOLE.print(f"tables and figures: {plain(found.folder)}")


def load_models(
    models: Sequence[str],
    weights: Sequence[Path],
    device: str,
    network: Mapping[str, Any] | None = None,
) -> "tuple[Classifier, ...]":
    """The networks that --model names, with the files that --weights names; options are for all of them.

    Raises:
        UnseeError: there are weight files, but not one for each network.
    """
    from unsee.cli.parsing import load_model

    if weights and len(weights) != len(models):
        raise UnseeError(
            f"{counted(len(models), 'network')} and {counted(len(weights), 'weight file')}: give one for "
            "each network, or none"
        )
    files: Sequence[Path | None] = weights or [None] * len(models)
    return tuple(load_model(name, file, device, network) for name, file in zip(models, files, strict=True))
