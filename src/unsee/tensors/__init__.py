"""Gaussian smoothing, upsampling of grids, seeded draws, jittered windows and boxes."""

from unsee.tensors.boxes import Box, fitted_box, tightest_box
from unsee.tensors.draws import generator, jitter_offsets
from unsee.tensors.smoothing import gaussian_matrix, smooth
from unsee.tensors.upsampling import UPSAMPLINGS, upsampling_matrix
from unsee.tensors.windows import window

__all__ = [
    "UPSAMPLINGS",
    "Box",
    "fitted_box",
    "gaussian_matrix",
    "generator",
    "jitter_offsets",
    "smooth",
    "tightest_box",
    "upsampling_matrix",
    "window",
]
