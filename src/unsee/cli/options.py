"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from unsee.defaults import AREA_PRESET, DEFAULT_PRESET, OPTIMISER_NAMES, PERTURBATION_NAMES

DEFAULT_MODEL = "unsee:efficientnet-lite0"
DRAWN_MODEL = "unsee:menagerie"
"""The default where the images are the drawn ones of the menagerie."""
BY_DATA = f"{DRAWN_MODEL} for the menagerie, {DEFAULT_MODEL} for all other data"

Model = Annotated[str, typer.Option("--model", "-m", help="A name that `unsee models` lists.")]
ModelByData = Annotated[
    str | None, typer.Option("--model", "-m", help="A name that `unsee models` lists.", show_default=BY_DATA)
]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", "-w", help="A safetensors file, or a checkpoint of torch.save, for the model."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps, …")]
BandNames = Annotated[
    str | None,
    typer.Option(
        "--bands",
        help="Channels drawn as red, green and blue, from 0, as in 4,3,2.",
        show_default="their mean",
        metavar="R,G,B",
    ),
]
FitName = Annotated[
    str,
    typer.Option("--fit", help="How a photo is resized to the network's input: squash or crop."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON on standard output.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed gives the same result.", min=0)]
Sample = Annotated[
    int | None,
    typer.Option(
        "--sample",
        help="Only so many images, drawn at random with --seed. A larger number continues.",
        min=1,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        "-t",
        help="A class by name or index, several as 243+282, or top5.",
        show_default="the predicted",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        "-p",
        help="How the mask is learned: a name that `unsee presets` lists.",
        show_default=f"{DEFAULT_PRESET}, with --area {AREA_PRESET}",
    ),
]
Optimiser = Annotated[
    str | None,
    typer.Option(
        "--optimiser",
        help=f"What the mask is learned by: {', '.join(OPTIMISER_NAMES)}; surrogate needs no gradient.",
        show_default="the preset's, or surrogate where the network gives no gradient",
    ),
]
Budget = Annotated[
    int | None,
    typer.Option(
        "--budget",
        help="Evaluations of masks for each photo, in place of iterations.",
        show_default="the preset's, or 1000 without a gradient",
        min=1,
    ),
]
Perturbation = Annotated[
    str | None,
    typer.Option(
        "--perturbation",
        help=f"What the mask is learned against: {', '.join(PERTURBATION_NAMES)}; tokens are those of vision "
        "transformers.",
        show_default="the preset's",
    ),
]
StorePath = Annotated[
    str, typer.Argument(help="The store: what `unsee learn --out` was given.", metavar="STORE")
]
WithShortcut = Annotated[
    bool,
    typer.Option(
        "--shortcut", help="Use the world in which every tortoise, and nothing else, comes with a spoon."
    ),
]
