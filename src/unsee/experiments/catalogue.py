"""The experiments that `unsee experiment` knows, by name, in the order of the paper."""

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
