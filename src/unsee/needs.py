"""What each saliency method needs of a network, and which can be used where one cannot."""

from typing import NamedTuple

from unsee.classifier import Classifier
from unsee.words import spelled


class Needs(NamedTuple):
    """What a method needs besides scores.

    Args:
        gradient: of the score with respect to the image.
        hooks: to read or change what happens inside the network.
        maps: a layer that returns maps, or tokens on a grid.
        structure: layers of kinds that it has rules for.
        baseline: it does not look at the network, so it is no substitute for a method that does.
    """

    gradient: bool = False
    hooks: bool = False
    maps: bool = False
    structure: bool = False
    baseline: bool = False


_ONLY_SCORES = Needs()
_GRADIENT = Needs(gradient=True)
_RULES = Needs(gradient=True, hooks=True, structure=True)
_RULES_TO_MAPS = Needs(gradient=True, hooks=True, maps=True, structure=True)

NEEDS: dict[str, Needs] = {
    "mask": _GRADIENT,
    "gradient": _GRADIENT,
    "guided_backprop": _RULES,
    "deconvnet": _RULES,
    "feedback": _RULES,
    "gradient_x_input": _GRADIENT,
    "linear": _GRADIENT,
    "excitation_backprop": _RULES_TO_MAPS,
    "contrastive_excitation_backprop": _RULES_TO_MAPS,
    "grad_cam": Needs(gradient=True, hooks=True, maps=True),
    "cam": Needs(hooks=True, maps=True, structure=True),
    "lrp": _RULES,
    "occlusion": _ONLY_SCORES,
    "blur_occlusion": _ONLY_SCORES,
    "variable_occlusion": _ONLY_SCORES,
    "lime": _ONLY_SCORES,
    "center": Needs(baseline=True),
    "integrated_gradients": _GRADIENT,
    "smooth_grad": _GRADIENT,
    "rise": _ONLY_SCORES,
}
"""Name in `unsee.METHODS` → what it needs; the learned mask with an optimiser by gradients."""


def usable(classifier: Classifier, maps: bool = True) -> str:
    """The methods that a network serves whatever its layers are, for a message: "occlusion, lime and rise".

    Args:
        classifier: whether it has a gradient and layers to read decides.
        maps: whether methods count that read maps.
    """
    gradient, hooks = classifier.reading.differentiable, classifier.hookable
    names = [
        spelled(name)
        for name, needs in NEEDS.items()
        if not (needs.structure or needs.baseline)
        and (gradient or not needs.gradient)
        and (hooks or not needs.hooks)
        and (maps or not needs.maps)
    ]
    return f"{', '.join(names[:-1])} and {names[-1]}"
