"""Defaults that Python and the command line share; importing them is cheap."""

DEFAULT_PRESET, AREA_PRESET = "fast", "extremal-fast"
"""How masks are learned by default, and masks of a given area."""

PERTURBATION_NAMES = (
    "blur",
    "constant",
    "black",
    "noise",
    "uniform-noise",
    "median",
    "median-gaussian",
    "pyramid",
    "joint",
    "tokens",
)
"""The names in `masks.edits.perturbation.PERTURBATIONS`, for help without torch; a test compares them."""

OPTIMISER_NAMES = ("bundle", "adam", "surrogate")
"""The names in `masks.settings.OPTIMISERS`, likewise."""

METHODS_SHOWN = ("mask", "gradient", "guided_backprop", "grad_cam", "center")
"""The methods that an experiment compares by default."""

METHODS_REPRODUCED = (
    "mask",
    "gradient",
    "guided_backprop",
    "excitation_backprop",
    "contrastive_excitation_backprop",
    "grad_cam",
    "occlusion",
    "center",
)
"""The methods that the report of all experiments compares by default."""

IMAGES_REPRODUCED, FEW_REPRODUCED = 48, 12
"""How many images the report is of by default, and those of its experiments that learn many masks each."""
