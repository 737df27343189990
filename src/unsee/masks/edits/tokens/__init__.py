"""Masks on the patch tokens of transformers: where they are, attention without some of them, the edits."""

from unsee.masks.edits.tokens.perturbation import Tokens

__all__ = ["Tokens"]
