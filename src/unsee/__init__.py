"""Which part of this image made the classifier say so?

`load` a classifier, `explain` a photo, and read the `Explanation`. Importing the package is cheap: what a
name needs is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unsee.class_names import read_class_names as read_class_names
    from unsee.classifier import Classifier as Classifier
    from unsee.datasets.opening import open_dataset as open_dataset
    from unsee.errors import UnseeError as UnseeError
    from unsee.experiments.comparison import Comparison as Comparison
    from unsee.experiments.comparison_folders import compare_to_folders as compare_to_folders
    from unsee.experiments.photo_comparison import ComparisonSettings as ComparisonSettings
    from unsee.experiments.photo_comparison import compare as compare
    from unsee.experiments.photo_interrogation import interrogate as interrogate
    from unsee.experiments.photo_interrogation import interrogate_explanation as interrogate_explanation
    from unsee.experiments.reproduction import reproduce as reproduce
    from unsee.experiments.runner import run_experiment as run_experiment
    from unsee.explanation import Explanation as Explanation
    from unsee.figures.demo import demo as demo
    from unsee.figures.stored import show_store as show_store
    from unsee.fits import CentreCrop as CentreCrop
    from unsee.fits import Squash as Squash
    from unsee.images import Photo as Photo
    from unsee.images import read_photo as read_photo
    from unsee.layer_names import layers_of as layers_of
    from unsee.masks import PRESETS as PRESETS
    from unsee.masks import OnLayer as OnLayer
    from unsee.masks import Plan as Plan
    from unsee.masks import Settings as Settings
    from unsee.masks import explain as explain
    from unsee.masks import plan_for as plan_for
    from unsee.masks.folders import explain_to_folders as explain_to_folders
    from unsee.methods import METHODS as METHODS
    from unsee.models import load as load
    from unsee.models.black_box import BlackBox as BlackBox
    from unsee.models.saved import load_for as load_for
    from unsee.network_check import Check as Check
    from unsee.network_check import check as check
    from unsee.runs.export import export as export
    from unsee.runs.learn import learn as learn
    from unsee.runs.store import Store as Store

__version__ = "0.1.0"

_HOMES = {
    "BlackBox": "unsee.models.black_box",
    "CentreCrop": "unsee.fits",
    "Check": "unsee.network_check",
    "Classifier": "unsee.classifier",
    "Comparison": "unsee.experiments.comparison",
    "ComparisonSettings": "unsee.experiments.photo_comparison",
    "Explanation": "unsee.explanation",
    "METHODS": "unsee.methods",
    "OnLayer": "unsee.masks",
    "PRESETS": "unsee.masks",
    "Plan": "unsee.masks",
    "Photo": "unsee.images",
    "Settings": "unsee.masks",
    "Squash": "unsee.fits",
    "Store": "unsee.runs.store",
    "UnseeError": "unsee.errors",
    "check": "unsee.network_check",
    "compare": "unsee.experiments.photo_comparison",
    "compare_to_folders": "unsee.experiments.comparison_folders",
    "demo": "unsee.figures.demo",
    "explain": "unsee.masks",
    "explain_to_folders": "unsee.masks.folders",
    "export": "unsee.runs.export",
    "interrogate": "unsee.experiments.photo_interrogation",
    "interrogate_explanation": "unsee.experiments.photo_interrogation",
    "layers_of": "unsee.layer_names",
    "learn": "unsee.runs.learn",
    "load": "unsee.models",
    "load_for": "unsee.models.saved",
    "open_dataset": "unsee.datasets.opening",
    "plan_for": "unsee.masks",
    "read_class_names": "unsee.class_names",
    "read_photo": "unsee.images",
    "reproduce": "unsee.experiments.reproduction",
    "run_experiment": "unsee.experiments.runner",
    "show_store": "unsee.figures.stored",
}

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOMES:
        raise AttributeError(f"module 'unsee' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
