"""Data sets: readers of images with their ground truth, and the generated menagerie."""

from unsee.datasets.dataset import Dataset
from unsee.datasets.opening import KINDS, open_dataset
from unsee.datasets.sample import Instance, Keypoint, Sample

__all__ = ["KINDS", "Dataset", "Instance", "Keypoint", "Sample", "open_dataset"]
