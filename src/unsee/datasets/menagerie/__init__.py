"""Generated scenes of drawn animals with complete ground truth."""

from unsee.datasets.menagerie.animals import CLASSES
from unsee.datasets.menagerie.dataset import SPLITS, Menagerie, Shortcut
from unsee.datasets.menagerie.export import export_coco, export_imagenet
from unsee.datasets.menagerie.scene import Scene, compose, render
from unsee.datasets.menagerie.sheet import contact_sheet
from unsee.datasets.menagerie.things import PLANTED

__all__ = [
    "CLASSES",
    "PLANTED",
    "SPLITS",
    "Menagerie",
    "Scene",
    "Shortcut",
    "compose",
    "contact_sheet",
    "export_coco",
    "export_imagenet",
    "render",
]
