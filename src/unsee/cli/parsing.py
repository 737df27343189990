"""Text on a command line → targets, fits, methods, boxes, bands, names, data sets, models."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unsee.choices import look_up
from unsee.classifier import Classifier, TargetLike
from unsee.cli.console import CONSOLE, plain
from unsee.cli.network_options import note_loaded
from unsee.cli.options import DEFAULT_MODEL, DRAWN_MODEL
from unsee.datasets.dataset import Dataset
from unsee.datasets.opening import DRAWN, open_dataset
from unsee.datasets.selection import Selection
from unsee.errors import UnseeError
from unsee.explanation import Explanation
from unsee.fits import FITS, CentreCrop, Fit
from unsee.masks.area_arguments import SMALLEST
from unsee.masks.edits.layer_mask import SPACE
from unsee.masks.on_layer import VALUES, ZERO, OnLayer
from unsee.masks.photos import Plan, joined_classes
from unsee.memory import keep_freed
from unsee.methods import METHODS, method_named
from unsee.models import load
from unsee.models.saved import load_for
from unsee.pixels import Bands
from unsee.tensors import Box
from unsee.words import counted


def target_from(text: str | None) -> TargetLike | None:
    """A class index or name, several joined by "+", or "top5"; None for the predicted class.

    Raises:
        UnseeError: a "+" has no class on one side.
    """
    if text is None or "+" not in text:
        return text
    return joined_classes(text)


def fit_from(name: str) -> Fit:
    """A fit by name.

    Raises:
        UnseeError: no fit has that name.
    """
    return look_up(dict(FITS), name, "fit")


def layer_from(name: str | None, value: str | None, over: str | None) -> OnLayer | None:
    """Where a mask on a layer lies; None for a mask on pixels.

    Raises:
        UnseeError: an unknown value or `over`, or one of them without a layer.
    """
    if name is None:
        if value is not None or over is not None:
            raise UnseeError("--layer-value and --mask-over are for a mask on a layer: name one")
        return None
    constant: str | float = value or ZERO
    if constant not in VALUES:
        try:
            constant = float(constant)
        except ValueError:
            raise UnseeError(f"--layer-value takes zero, mean or a number, not {value!r}") from None
    return OnLayer(name, constant, over or SPACE)


def methods_from(text: str | None) -> tuple[str, ...]:
    """Method names between commas, with dashes or underscores; all of them for None.

    Raises:
        UnseeError: a name is unknown, or there is none.
    """
    if text is None:
        return tuple(METHODS)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UnseeError("--methods is empty: give names as in --methods mask,gradient,grad-cam")
    return tuple(dict.fromkeys(method_named(name).name for name in names))


def box_from(text: str) -> Box:
    """X0,Y0,X1,Y1 as numbers.

    Raises:
        UnseeError: it is not four whole numbers.
    """
    try:
        left, top, right, bottom = (int(part) for part in text.split(","))
    except ValueError:
        raise UnseeError(f"{text!r} must be four whole numbers, as in --box 40,30,120,200") from None
    return left, top, right, bottom


def bands_from(text: str | None) -> Bands | None:
    """R,G,B as numbers of channels; None for none.

    Raises:
        UnseeError: it is not three whole numbers.
    """
    if text is None:
        return None
    try:
        red, green, blue = (int(part) for part in text.split(","))
    except ValueError:
        raise UnseeError(f"{text!r} must be three whole numbers, as in --bands 4,3,2") from None
    return red, green, blue


def area_from(text: str | None) -> float | tuple[float, ...] | str | None:
    """An area, several between commas, or "smallest"; None for none.

    Raises:
        UnseeError: it is none of these.
    """
    if text is None or text == SMALLEST:
        return text
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UnseeError(
            f"{text!r} must be an area such as 0.1, several as 0.05,0.1,0.2, or {SMALLEST}"
        ) from None


def names_from(text: str | None) -> tuple[str, ...]:
    """The names between commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def classes_from(text: str | None) -> tuple[str, ...]:
    """The classes of a data set between commas.

    Raises:
        UnseeError: one is a file: in other commands --classes names one with the network's class names.
    """
    names = names_from(text)
    for name in names:
        if name.endswith((".txt", ".json")):
            raise UnseeError(
                f"--classes takes classes of the data set, not the file {name}: the names of the "
                f"network's classes are --class-names {name}"
            )
    return names


def dataset_from(name: str, split: str | None, classes: str | None) -> Selection:
    """Open a data set; prints how many images its blacklist leaves out.

    Raises:
        UnseeError: the data set cannot be opened.
    """
    dataset = open_dataset(name, split, classes_from(classes))
    if dataset.left_out:
        CONSOLE.print(f"{counted(dataset.left_out, 'image')} of {plain(name)} left out: on its blacklist")
    return dataset


def model_for(data: str) -> str:
    """The network for a data set when none is named: the menagerie's own for drawn images; printed."""
    name = DRAWN_MODEL if is_drawn(data) else DEFAULT_MODEL
    CONSOLE.print(f"network: {name}, the default for {plain(data)}; --model chooses another")
    return name


def is_drawn(data: str) -> bool:
    """Whether a name stands for images of the menagerie."""
    return data.partition(":")[0] in DRAWN


def tell_if_all(sample: int | None, dataset: Dataset) -> None:
    """Print that all images are taken if a sample is to have more than there are."""
    if sample is not None and sample > len(dataset):
        CONSOLE.print(f"--sample {sample} takes all images: there are {len(dataset)}")


def note_trained_fit(classifier: Classifier, fit: Fit) -> None:
    """Print how the network was given photos in training, if that is known and another fit is used."""
    trained = classifier.trained_fit
    if trained is None or trained.name == fit.name:
        return
    share = ""
    if isinstance(trained, CentreCrop) and trained.resize:
        share = f", the middle {max(classifier.size) / trained.resize:.1%} of the shorter side"
    CONSOLE.print(
        f"[dim]{plain(classifier.name)} was trained with --fit {trained.name}{share}; "
        f"this is --fit {fit.name}[/]",
        soft_wrap=True,
        highlight=False,
    )


def note_without_gradient(classifier: Classifier, plan: Plan) -> None:
    """Print how many evaluations a mask takes, if it is learned without a gradient."""
    if classifier.reading.differentiable or not plan.settings.needs_gradient:
        return
    optimiser = plan.on(classifier).settings.optimiser
    CONSOLE.print(
        f"[dim]{plain(classifier.name)} gives no gradient: each mask takes "
        f"{optimiser.iterations * optimiser.masks_per_step} evaluations (--budget)[/]",
        soft_wrap=True,
        highlight=False,
    )


def load_model(
    name: str, weights: Path | None, device: str, network: Mapping[str, Any] | None = None
) -> Classifier:
    """Load a classifier, print what is doubtful about its scores, and keep the memory that the process frees.

    Args:
        name, weights, device: as `unsee.load` takes them.
        network: its other arguments.
    """
    return _loaded(name, lambda: load(name, weights, device, **(network or {})))


def load_model_for(
    saved: Explanation, weights: Path | None, device: str, network: Mapping[str, Any]
) -> Classifier:
    """The same for the network of a saved explanation."""
    return _loaded(saved.provenance.model, lambda: load_for(saved, weights, device, network))


def _loaded(name: str, network: Callable[[], Classifier]) -> Classifier:
    keep_freed()
    with CONSOLE.status(plain(f"loading {name}")):
        classifier = network()
        note_loaded(classifier)
        doubts = classifier.reading.doubts
    for doubt in doubts:
        CONSOLE.print(f"[yellow]scores:[/] {plain(doubt)}", soft_wrap=True, highlight=False)
    return classifier
