"""Learned masks: the method of the paper."""

from unsee.masks.explain import explain, explain_each
from unsee.masks.on_layer import OnLayer, on_layer
from unsee.masks.photos import Plan
from unsee.masks.plans import plan_for
from unsee.masks.presets import PRESETS
from unsee.masks.settings import Settings, adjusted

__all__ = [
    "PRESETS",
    "OnLayer",
    "Plan",
    "Settings",
    "adjusted",
    "explain",
    "explain_each",
    "on_layer",
    "plan_for",
]
