"""How the networks that ship with the package were trained, and how they are evaluated."""

from unsee.training.evaluate import (
    Accuracy,
    Lean,
    Measurement,
    measure_accuracy,
    measure_lean,
    measure_menagerie,
)
from unsee.training.train import SHORTCUT, Recipe, TrainingStep, train_menagerie
from unsee.training.weight_file import train_to_file

__all__ = [
    "SHORTCUT",
    "Accuracy",
    "Lean",
    "Measurement",
    "Recipe",
    "TrainingStep",
    "measure_accuracy",
    "measure_lean",
    "measure_menagerie",
    "train_menagerie",
    "train_to_file",
]
