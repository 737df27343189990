"""Attention and pooling over tokens that a mask keeps: a deleted token is not there, for every other one.

Token j with mask m_j gets the weight m_j·exp(s_j) / Σ_i m_i·exp(s_i), with the scores s of the attention:
the softmax with log m added to the scores, but with a gradient at m = 0. A mean over tokens is weighted
alike. Class and register tokens are always kept.
"""

import inspect
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.function_overrides import Function, FunctionOverrides, Override

MOST = 30.0
"""How far the score of a deleted token may lie above those that are kept: float32 then holds the gradient of
a token that returns. Weights are exact for every m that is 0, or at least exp(-30)."""
_TOKENS_AXIS = 1
_MULTI_HEAD = inspect.signature(F.multi_head_attention_forward)
_SCALED = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale")


def kept_softmax(scores: Float[Tensor, "b *l n"], keep: Float[Tensor, "b n"]) -> Float[Tensor, "b *l n"]:
    """Softmax over the last axis with each exponential multiplied by how far its token is kept.

    Where no token is wholly kept, the share that is missing goes to none: with 1 - max(m) of the sum of all
    exponentials in the denominator, weights fade to 0 with the mask instead of being renormalised, and are 0
    where everything is deleted. With one token at m = 1 that is nothing.

    Args:
        scores: of the attention; computed in float32 at least.
        keep: in [0,1], one value for each token.
    """
    scores = scores.float() if scores.dtype.itemsize < 4 else scores
    keep = keep.to(scores.dtype).view(len(keep), *(1,) * (scores.ndim - 2), -1)
    with torch.no_grad():
        top = (scores + keep.log()).amax(dim=-1, keepdim=True)
        top = torch.where(top.isfinite(), top, scores.amax(dim=-1, keepdim=True))
    exponentials = (scores - top).clamp(max=MOST).exp()
    kept = keep * exponentials
    missing = (1 - keep.amax(dim=-1, keepdim=True)) * exponentials.sum(dim=-1, keepdim=True)
    return kept / (kept.sum(dim=-1, keepdim=True) + missing)


def kept_mean(tokens: Float[Tensor, "b n d"], keep: Float[Tensor, "b n"]) -> Float[Tensor, "b d"]:
    """The mean over tokens, each weighted with how far it is kept; it fades to 0 as `kept_softmax` does."""
    keep = keep.to(tokens.dtype)
    missing = (1 - keep.amax(dim=1, keepdim=True)) * keep.shape[1]
    weights = keep / (keep.sum(dim=1, keepdim=True) + missing)
    return (weights[..., None] * tokens).sum(dim=_TOKENS_AXIS)


class KeptTokens:
    """What torch's functions become for networks whose tokens are masked.

    Attention and means over as many keys as there are tokens, with or without those of class and registers,
    are those of the kept tokens. All else is left as it is.

    Args:
        keep: in [0,1], for each patch token.
        prefix: how many class and register tokens come before them.
    """

    def __init__(self, keep: Float[Tensor, "b n"], prefix: int) -> None:
        everything = torch.cat([keep.new_ones(len(keep), prefix), keep], dim=1)
        self.by_count = {keep.shape[1]: keep, everything.shape[1]: everything}

    def __call__(self) -> FunctionOverrides:
        """The context in which they hold, for this thread."""
        overrides: dict[Function, Override] = {
            F.scaled_dot_product_attention: self._scaled_dot_product,
            F.multi_head_attention_forward: self._multi_head,
        }
        overrides |= dict.fromkeys((F.softmax, torch.softmax, Tensor.softmax), self._softmax)
        overrides |= dict.fromkeys((torch.mean, Tensor.mean), self._mean)
        return FunctionOverrides(overrides)

    def keep_for(self, tokens: int, rows: int) -> Float[Tensor, "b n"] | None:
        """The mask for so many tokens; with several rows for each image, as heads, each image's repeated."""
        keep = self.by_count.get(tokens)
        if keep is None or rows % len(keep):
            return None
        return keep.repeat_interleave(rows // len(keep), dim=0)

    def _softmax(self, function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
        scores: Tensor = args[0] if args else named["input"]
        axis = args[1] if len(args) > 1 else named.get("dim")
        keep = None
        if scores.ndim > 2 and axis in (-1, scores.ndim - 1):
            keep = self.keep_for(scores.shape[-1], len(scores))
        if keep is None:
            plain: Tensor = function(*args, **named)
            return plain
        return kept_softmax(scores, keep).to(named.get("dtype") or scores.dtype)

    def _mean(self, function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
        tokens: Tensor = args[0] if args else named["input"]
        axis = args[1] if len(args) > 1 else named.get("dim")
        keep = None
        if tokens.ndim == 3 and axis in (_TOKENS_AXIS, -2, (_TOKENS_AXIS,), [_TOKENS_AXIS]):
            keep = self.keep_for(tokens.shape[_TOKENS_AXIS], len(tokens))
        if keep is None:
            plain: Tensor = function(*args, **named)
            return plain
        mean = kept_mean(tokens, keep)
        return mean[:, None] if named.get("keepdim") else mean

    def _scaled_dot_product(self, function: Function, args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
        given = dict(zip(_SCALED, args, strict=False)) | named
        query, key, value = (given[name] for name in _SCALED[:3])
        keep = self.keep_for(key.shape[-2], len(key))
        if keep is None or given.get("is_causal") or given.get("attn_mask") is not None:
            plain: Tensor = function(*args, **named)
            return plain
        return _attended(query, key, value, keep, given.get("scale"))[0]

    def _multi_head(
        self, function: Function, args: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[Tensor, Tensor | None]:
        bound = _MULTI_HEAD.bind(*args, **named)
        bound.apply_defaults()
        given = bound.arguments
        query, key, value = given["query"], given["key"], given["value"]
        keep = self.keep_for(len(key), key.shape[1]) if key.ndim == 3 else None
        others = ("bias_k", "bias_v", "key_padding_mask", "attn_mask")
        unusual = given["use_separate_proj_weight"] or given["add_zero_attn"] or given["is_causal"]
        if keep is None or unusual or any(given[name] is not None for name in others):
            plain: tuple[Tensor, Tensor | None] = function(*args, **named)
            return plain
        weights = given["in_proj_weight"].chunk(3)
        biases = (None,) * 3 if given["in_proj_bias"] is None else given["in_proj_bias"].chunk(3)
        heads = given["num_heads"]
        query, key, value = (
            F.linear(part, weight, bias).view(*part.shape[:2], heads, -1).permute(1, 2, 0, 3)
            for part, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        found, shares = _attended(query, key, value, keep)
        joined = found.permute(2, 0, 1, 3).flatten(2)
        answer = F.linear(joined, given["out_proj_weight"], given["out_proj_bias"])
        return answer, shares.mean(dim=1) if given["need_weights"] else None


def _attended(
    query: Float[Tensor, "b *h l d"],
    key: Float[Tensor, "b *h n d"],
    value: Float[Tensor, "b *h n e"],
    keep: Float[Tensor, "b n"],
    scale: float | None = None,
) -> tuple[Float[Tensor, "b *h l e"], Float[Tensor, "b *h l n"]]:
    """The values' mean for each query, and its weights."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    weights = kept_softmax(scale * query @ key.transpose(-2, -1), keep)
    return (weights.to(value.dtype) @ value), weights
