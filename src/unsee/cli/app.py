"""The commands of the application."""

from typing import Annotated

import typer

import unsee
from unsee.cli import (
    check,
    compare,
    demo,
    experiment,
    explain,
    export,
    interrogate,
    layers,
    learn,
    listings,
    measure_menagerie,
    reproduce,
    show,
    status,
    train_menagerie,
)
from unsee.cli.network_options import NetworkCommand

app = typer.Typer(
    name="unsee",
    help="Which part of this image made the classifier say so? Learned masks and the edited image.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit code 0, 2 for what you can fix, 1 for a fault, 130 after Ctrl-C, 143 after SIGTERM. "
    "--debug shows the traceback of 1 and 2.",
)


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"unsee {unsee.__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None: ...


app.command("explain", cls=NetworkCommand)(explain.command)
app.command("compare", cls=NetworkCommand)(compare.command)
app.command("demo")(demo.command)
app.command("check", cls=NetworkCommand)(check.command)
app.command("layers", cls=NetworkCommand)(layers.command)
app.command("interrogate", cls=NetworkCommand)(interrogate.command)
app.command("learn", cls=NetworkCommand)(learn.command)
app.command("status")(status.command)
app.command("show")(show.command)
app.command("export")(export.command)
app.command("experiment", cls=NetworkCommand)(experiment.command)
app.command("experiments")(listings.experiments)
app.command("reproduce", cls=NetworkCommand)(reproduce.command)
app.command("presets")(listings.presets)
app.command("methods")(listings.methods)
app.command("datasets")(listings.datasets)
app.command("models")(listings.models)
app.command("train-menagerie")(train_menagerie.command)
app.command("measure-menagerie")(measure_menagerie.command)
