"""The experiments that `unsee experiment` knows, by name, in the order of the paper."""

from collections.abc import Sequence

from unsee.choices import look_up
from unsee.errors import UnseeError
from unsee.experiments.adversarial import AdversarialDefence
from unsee.experiments.animal_parts import AnimalParts
from unsee.experiments.architectures import Architectures
from unsee.experiments.experiment import Experiment
from unsee.experiments.games import Games
from unsee.experiments.insertion_deletion import InsertionDeletion
from unsee.experiments.interrogation import Interrogations
from unsee.experiments.layers import Layers
from unsee.experiments.localisation import Localisation
from unsee.experiments.minimality import Minimality
from unsee.experiments.pointing import Pointing
from unsee.experiments.representativeness import Representativeness
from unsee.experiments.sensitivity import Sensitivity

EXPERIMENTS: dict[str, Experiment] = {
    "interrogation": Interrogations(),
    "representativeness": Representativeness(),
    "minimality": Minimality(),
    "animal-parts": AnimalParts(),
    "adversarial": AdversarialDefence(),
    "localisation": Localisation(),
    "pointing": Pointing(),
    "architectures": Architectures(),
    "layers": Layers(),
    "games": Games(),
    "thresholds-sensitivity": Sensitivity(),
    "insertion-deletion": InsertionDeletion(),
}
"""Name → experiment."""


def experiment_named(name: str, layers: Sequence[str] = ()) -> Experiment:
    """An experiment by its name.

    Args:
        name: in `EXPERIMENTS`.
        layers: to mask, where the experiment is about layers; by default it chooses.

    Raises:
        UnseeError: there is no such experiment, or it is not about layers and some are given.
    """
    found = look_up(EXPERIMENTS, name, "experiment")
    if not layers:
        return found
    if found.about.on_layers is None:
        takers = [key for key, each in EXPERIMENTS.items() if each.about.on_layers is not None]
        raise UnseeError(
            f"layers= (--layers) is for the experiment {', '.join(takers)}: leave it out of {name}"
        )
    return found.about.on_layers(tuple(layers))
