"""What a saliency method needs of a network."""

from typing import NamedTuple


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

    def met(self, gradient: bool, hooks: bool, maps: bool) -> bool:
        """Whether any network that gives so much serves, whatever its layers are; a baseline never counts."""
        return not (
            self.structure
            or self.baseline
            or (self.gradient and not gradient)
            or (self.hooks and not hooks)
            or (self.maps and not maps)
        )


SCORES = Needs()
GRADIENT = Needs(gradient=True)
RULES = Needs(gradient=True, hooks=True, structure=True)
RULES_TO_MAPS = Needs(gradient=True, hooks=True, maps=True, structure=True)
