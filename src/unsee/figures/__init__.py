"""Figures of results, one file for each kind of result; they draw with `unsee.drawing`."""
