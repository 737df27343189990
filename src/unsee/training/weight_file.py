"""Train a menagerie network and keep its weights."""

from collections.abc import Callable
from pathlib import Path

from unsee.errors import UnseeError
from unsee.files import HOW_TO_REPLACE
from unsee.models.menagerie import save_menagerie
from unsee.training.train import Recipe, TrainingStep, train_menagerie


def train_to_file(
    out: str | Path,
    recipe: Recipe | None = None,
    *,
    force: bool = False,
    progress: Callable[[TrainingStep], None] | None = None,
) -> Path:
    """Train from scratch, and write the weights as float16 safetensors.

    Args:
        out: the file; its folder must exist.
        recipe: how the network is trained; `Recipe()` by default.
        force: replace a file that is there.
        progress: called after some drawn images and after every step.

    Returns:
        The file.

    Raises:
        UnseeError: the file exists and `force` is False, or it cannot be written.
    """
    file = Path(out)
    if file.exists() and not force:
        raise UnseeError(f"{file} exists: {HOW_TO_REPLACE}")
    if not file.parent.is_dir():
        raise UnseeError(f"{file.parent} is not a folder: make it first")
    net = train_menagerie(Recipe() if recipe is None else recipe, progress)
    try:
        save_menagerie(net, file)
    except OSError as error:
        raise UnseeError(f"{file} cannot be written ({error.strerror or error})") from error
    return file
