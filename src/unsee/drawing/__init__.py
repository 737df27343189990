"""Figures and pages from plain tensors, strings and numbers; knows no result."""
