"""ImageNet's classification and localisation data (ILSVRC 2012)."""

from unsee.datasets.imagenet.classes import WNIDS, class_names
from unsee.datasets.imagenet.dataset import ImageNet
from unsee.datasets.imagenet.layouts import open_imagenet

__all__ = ["WNIDS", "ImageNet", "class_names", "open_imagenet"]
