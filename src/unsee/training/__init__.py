"""How the networks that ship with the package were trained, and how they are evaluated."""

from unsee.training.evaluate import Accuracy, Lean, measure_accuracy, measure_lean
from unsee.training.train import SHORTCUT, Progress, Recipe, train_menagerie

__all__ = [
    "SHORTCUT",
    "Accuracy",
    "Lean",
    "Progress",
    "Recipe",
    "measure_accuracy",
    "measure_lean",
    "train_menagerie",
]
