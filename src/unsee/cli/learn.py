"""`unsee learn`: a method over a whole data set, into a store."""

from pathlib import Path
from typing import Annotated

import typer

from unsee.cli import options
from unsee.cli.explain import GameName, Iterations, Perturbation, ScoreName
from unsee.cli.signals import stoppable

Data = Annotated[
    str,
    typer.Argument(help="menagerie, imagenet:DIR, coco:DIR, folder:DIR, …", metavar="DATASET"),
]
Out = Annotated[str, typer.Option("--out", "-o", help="The store: a folder, or an address fsspec knows.")]
Split = Annotated[str | None, typer.Option("--split", help="Part of the data set, such as val.")]
Classes = Annotated[str | None, typer.Option("--classes", help="Only pictures of these, with commas.")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", help="Only the first so many pictures.", min=1)]
Method = Annotated[str, typer.Option("--method", help="mask, or a name that `unsee methods` lists.")]
Preset = Annotated[
    str | None,
    typer.Option("--preset", "-p", help="How the mask is learned: see `unsee presets`. [default: fast]"),
]
Layer = Annotated[
    str | None, typer.Option("--layer", help="Layer that Grad-CAM and excitation read. [default: their own]")
]
Target = Annotated[
    str,
    typer.Option(
        "--target",
        "-t",
        help="predicted (as many as the preset has), top1, top5, label (the picture's own class), each "
        "(every class in it, a row each), or one class for all by name or index, several as 243+282.",
    ),
]
ClassMap = Annotated[
    Path | None,
    typer.Option("--class-map", help="JSON file: class of the data set → indices of the network's."),
]
Precision = Annotated[str, typer.Option("--precision", help="float32, bfloat16 or auto, as in explain.")]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", "-b", help="Pictures at once. [default: what fits]", min=1)
]
PartSize = Annotated[
    int | None,
    typer.Option(
        "--part-size", help="Pictures to a part, lost together when killed. [default: found]", min=1
    ),
]
Retry = Annotated[bool, typer.Option("--retry", help="Do parts again in which pictures failed.")]
EngineName = Annotated[str, typer.Option("--engine", help="local, or ray for several processes.")]
Workers = Annotated[
    int | None, typer.Option("--workers", "-j", help="Ray's workers. [default: what is there]", min=1)
]
Threads = Annotated[
    int | None, typer.Option("--threads", help="CPU threads of each worker. [default: its share]", min=1)
]
Gpus = Annotated[
    float | None,
    typer.Option("--gpus", help="GPUs of each of Ray's workers. [default: one if --device is one]", min=0),
]


def command(
    dataset: Data,
    out: Out,
    split: Split = None,
    classes: Classes = None,
    limit: Limit = None,
    method: Method = "mask",
    preset: Preset = None,
    game: GameName = None,
    perturbation: Perturbation = None,
    score: ScoreName = None,
    iterations: Iterations = None,
    layer: Layer = None,
    target: Target = "predicted",
    class_map: ClassMap = None,
    model: options.Model = options.DEFAULT_MODEL,
    weights: options.Weights = None,
    seed: options.Seed = 0,
    fit: options.FitName = "squash",
    precision: Precision = "auto",
    batch_size: BatchSize = None,
    device: options.Device = "auto",
    engine: EngineName = "local",
    workers: Workers = None,
    threads: Threads = None,
    gpus: Gpus = None,
    part_size: PartSize = None,
    retry: Retry = False,
    as_json: options.Json = False,
) -> None:
    """Learn masks, or run another method, over a data set; keep all in a store that pandas can open.

    Stop it with Ctrl-C, or kill it: the same command again does only what is missing. A picture that is
    broken is recorded with its reason, and the run goes on: the exit code is 0 once all rows are there,
    `unsee status` says which have no map.
    """
    from unsee.cli.learning import Mask, Wish, engine_from, map_from, opened, report
    from unsee.cli.parsing import fit_from, load_model

    pictures = opened(dataset, split, classes)
    mapping, scaling = map_from(class_map), fit_from(fit)
    how = Mask(preset, game, perturbation, iterations, score, precision)
    classifier = load_model(model, weights, device)
    runner = engine_from(engine, workers, threads, gpus, classifier.device.type)
    wish = Wish(method, how, layer, target, mapping, seed, scaling, batch_size)
    with stoppable() as check:
        store = wish.carried_out(classifier, pictures, out, (limit, part_size, retry), runner, check)
    report(store, as_json)
