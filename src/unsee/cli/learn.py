"""`unsee learn`: a method over a whole data set, into a store."""

from pathlib import Path
from typing import Annotated, Any

import typer

from unsee.cli import options
from unsee.cli.compare import Area
from unsee.cli.explain import GameName
from unsee.cli.layers import LayerValue, MaskOver
from unsee.cli.network_options import given_options
from unsee.cli.signals import stoppable
from unsee.cli.sufficient import Keep, Suppress

Data = Annotated[
    str,
    typer.Argument(help="menagerie, imagenet:DIR, coco:DIR, folder:DIR, …", metavar="DATASET"),
]
Out = Annotated[
    str, typer.Option("--out", "-o", help="A folder, or an address that fsspec knows, for the store.")
]
Split = Annotated[str | None, typer.Option("--split", help="Part of the data set, such as val.")]
Classes = Annotated[str | None, typer.Option("--classes", help="Only images of these classes, with commas.")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", help="Only the first so many images.", min=1)]
Method = Annotated[str, typer.Option("--method", help="mask, or a name that `unsee methods` lists.")]
Iterations = Annotated[
    int | None,
    typer.Option("--iterations", help="Iterations at most.", show_default="the preset's"),
]
Layer = Annotated[
    str | None,
    typer.Option(
        "--layer",
        help="Layer whose activation the mask edits instead of pixels; or that Grad-CAM and excitation read.",
    ),
]
RunTarget = Annotated[
    str,
    typer.Option(
        "--target",
        "-t",
        help="predicted (as many as the preset has), top1, top5, label (the image's own class), each "
        "(every class in it, a row each), or one class for all by name or index, several as 243+282.",
    ),
]
ClassMap = Annotated[
    Path | None,
    typer.Option("--class-map", help="JSON file: class of the data set → indices of the network's."),
]
Precision = Annotated[str, typer.Option("--precision", help="float32, bfloat16 or auto, as in explain.")]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", "-b", help="Images at once.", show_default="what fits", min=1)
]
PartSize = Annotated[
    int | None,
    typer.Option(
        "--part-size", help="Images in a part: a kill loses at most one part.", show_default="chosen", min=1
    ),
]
Retry = Annotated[bool, typer.Option("--retry", help="Do parts again in which images failed.")]
EngineName = Annotated[str, typer.Option("--engine", help="local, or ray for several processes.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", "-j", help="Ray's workers.", show_default="one per GPU or core", min=1),
]
Threads = Annotated[
    int | None, typer.Option("--threads", help="CPU threads of each worker.", show_default="its share", min=1)
]
Gpus = Annotated[
    float | None,
    typer.Option(
        "--gpus", help="GPUs of each of Ray's workers.", show_default="one if --device is one", min=0
    ),
]


def command(
    dataset: Data,
    out: Out,
    split: Split = None,
    classes: Classes = None,
    limit: Limit = None,
    sample: options.Sample = None,
    method: Method = "mask",
    preset: options.Preset = None,
    game: GameName = None,
    perturbation: options.Perturbation = None,
    iterations: Iterations = None,
    optimiser: options.Optimiser = None,
    budget: options.Budget = None,
    area: Area = None,
    layer: Layer = None,
    layer_value: LayerValue = None,
    mask_over: MaskOver = None,
    suppress: Suppress = None,
    keep: Keep = None,
    target: RunTarget = "predicted",
    class_map: ClassMap = None,
    model: options.ModelByData = None,
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
    """Learn masks, or compute another method's maps, for a whole data set, into a store that pandas reads.

    Stop it with Ctrl-C, or kill it: the same command again does only what is missing. An image that cannot
    be read is recorded with the reason, and the run goes on. The exit code is 0 once all rows are there;
    `unsee status` says which have no map.
    """
    from unsee.cli.parsing import (
        dataset_from,
        fit_from,
        layer_from,
        load_model,
        model_for,
        note_without_gradient,
        tell_if_all,
    )
    from unsee.cli.run_progress import run_progress
    from unsee.cli.store_table import print_summary
    from unsee.masks.plans import plan_for
    from unsee.runs.class_map_file import read_class_map
    from unsee.runs.engines.choice import engine_named
    from unsee.runs.learn import LearnSettings, check_for_mask, learn_with
    from unsee.runs.resume import Extent

    extent = Extent(limit, part_size, retry, sample)
    images = dataset_from(dataset, split, classes)
    tell_if_all(sample, images)
    own: dict[str, Any] = {
        "preset": preset,
        "game": game,
        "perturbation": perturbation,
        "iterations": iterations,
        "optimiser": optimiser,
        "budget": budget,
        "area": area,
        "suppress": suppress,
        "keep": keep,
    }
    check_for_mask(method, own)
    plan = plan_for(
        **own,
        layer=layer_from(layer, layer_value, mask_over),
        fit=fit_from(fit),
        seed=seed,
        batch_size=batch_size,
        precision=precision,
    )
    mapping = None if class_map is None else read_class_map(class_map)
    settings = LearnSettings(method, plan, target, mapping)
    classifier = load_model(model or model_for(dataset), weights, device, given_options())
    if method == "mask":
        note_without_gradient(classifier, plan)
    runner = engine_named(engine, workers, threads, gpus, classifier.device.type)
    with stoppable() as check, run_progress(check=check) as progress:
        store = learn_with(settings, classifier, images, out, extent, runner, progress)
    print_summary(store.summary(), as_json)
