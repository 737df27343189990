"""`unsee layers`."""

import json
from typing import Annotated

import typer

from unsee.cli.console import plain
from unsee.cli.network_options import given_options
from unsee.cli.options import Device, Json, Weights

Layer = Annotated[
    str | None,
    typer.Option(
        "--layer",
        help="Mask the activation of this layer instead of pixels: a name that `unsee layers` lists.",
    ),
]
LayerValue = Annotated[
    str | None,
    typer.Option(
        "--layer-value",
        help="What deleted cells of the layer become: zero, mean (of each channel, over the photos), or a "
        "number.",
        show_default="zero",
    ),
]
MaskOver = Annotated[
    str | None,
    typer.Option(
        "--mask-over",
        help="What a mask on a layer has a value for: space, channels or both.",
        show_default="space",
    ),
]


def command(
    model: Annotated[str, typer.Argument(help="A name that `unsee models` lists.", metavar="MODEL")],
    weights: Weights = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """List the layers that a mask can lie on: name, type, shape for one image, and the paper's name."""
    from unsee.cli.parsing import load_model
    from unsee.layer_names import layers_of

    found = layers_of(load_model(model, weights, device, given_options()))
    if as_json:
        rows = [
            {"name": one.name, "type": one.kind, "shape": list(one.shape), "paper": one.paper or None}
            for one in found
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("layer", "type", "shape", "paper's name", title=plain(model))
    for one in found:
        table.add_row(plain(one.name), one.kind, " × ".join(map(str, one.shape)), one.paper)
    Console().print(table)
