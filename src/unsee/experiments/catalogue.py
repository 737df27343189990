"""The experiments that `unsee experiment` knows, by name."""

from unsee.experiments.animal_parts import AnimalParts
from unsee.experiments.experiment import Experiment
from unsee.experiments.localisation import Localisation
from unsee.experiments.minimal_boxes import MinimalBoxes
from unsee.experiments.pointing import Pointing
from unsee.experiments.representativeness import Representativeness

EXPERIMENTS: dict[str, Experiment] = {
    "representativeness": Representativeness(),
    "minimality": MinimalBoxes(),
    "animal-parts": AnimalParts(),
    "localisation": Localisation(),
    "pointing": Pointing(),
}
"""Name → experiment."""
