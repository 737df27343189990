"""Attention and means over kept tokens against versions written out in float64."""

import math

import pytest
import torch
from torch.nn import functional as F

from unsee.masks.edits.tokens.attention import MOST, KeptTokens, kept_mean, kept_softmax


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def literal_weights(scores, keep):
    """One query: its weights over the keys, written out."""
    numbers = [math.exp(s) * m for s, m in zip(scores.tolist(), keep.tolist(), strict=True)]
    missing = (1 - max(keep.tolist())) * sum(math.exp(s) for s in scores.tolist())
    return torch.tensor([n / (sum(numbers) + missing) for n in numbers], dtype=torch.float64)


def literal_attention(query, key, value, keep, scale):
    """(B,H,L,D): every image, head and query in turn."""
    out = torch.zeros(*query.shape[:-1], value.shape[-1], dtype=torch.float64)
    for b, h, row in torch.cartesian_prod(*map(torch.arange, query.shape[:3])).tolist():
        scores = torch.stack([scale * (query[b, h, row] * one).sum() for one in key[b, h]])
        out[b, h, row] = sum(
            w * v for w, v in zip(literal_weights(scores, keep[b]), value[b, h], strict=True)
        )
    return out


class TestAttention:
    KEEP = torch.tensor([[0.0, 0.3, 1.0, 0.0, 0.7], [0.5, 0.1, 0.0, 0.2, 0.4]], dtype=torch.float64)

    @pytest.mark.parametrize("prefix", [0, 2])
    def test_of_all_kinds_is_the_literal_one(self, prefix):
        tokens, heads, width = 5 + prefix, 2, 3
        query, key, value = (draws(2, heads, tokens, width, seed=s) for s in range(3))
        everything = torch.cat([torch.ones(2, prefix, dtype=torch.float64), self.KEEP], dim=1)
        expected = literal_attention(query, key, value, everything, 3**-0.5)
        scaled = literal_attention(query, key, value, everything, 2.0)
        with KeptTokens(self.KEEP, prefix)():
            fused = F.scaled_dot_product_attention(query, key, value)
            twice = F.scaled_dot_product_attention(query, key, value, scale=2.0)
            scores = query @ key.transpose(-2, -1) * 3**-0.5
            written = [scores.softmax(dim=-1), F.softmax(scores, dim=-1), torch.softmax(scores, 3)]
            flat = (scores.flatten(0, 1).softmax(dim=-1) @ value.flatten(0, 1)).view_as(value)
        assert torch.allclose(fused, expected, rtol=0, atol=1e-12)
        assert torch.allclose(twice, scaled, rtol=0, atol=1e-12)
        assert torch.allclose(flat, expected, rtol=0, atol=1e-12)
        for weights in written:
            assert torch.allclose(weights @ value, expected, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("bias", [True, False])
    def test_of_torchs_module_is_that_of_its_heads(self, bias):
        module = torch.nn.MultiheadAttention(6, 2, bias=bias, batch_first=True).double()
        with torch.no_grad():
            for weight in module.parameters():
                weight.copy_(draws(*weight.shape, seed=weight.numel()))
        probe, tokens = draws(2, 3, 6, seed=4), draws(2, 5, 6, seed=5)
        biases = module.in_proj_bias.chunk(3) if bias else (None,) * 3
        weights = module.in_proj_weight.chunk(3)
        query, key, value = (
            F.linear(x, w, b).unflatten(-1, (2, 3)).transpose(1, 2)
            for x, w, b in zip((probe, tokens, tokens), weights, biases, strict=True)
        )
        found = literal_attention(query, key, value, self.KEEP, 3**-0.5)
        expected = module.out_proj(found.transpose(1, 2).flatten(2))
        with KeptTokens(self.KEEP, 0)():
            for needed in (True, False):
                out, shares = module(probe, tokens, tokens, need_weights=needed)
                assert torch.allclose(out, expected, rtol=0, atol=1e-12)
        assert shares is None

    def test_log_m_on_the_keys_is_the_same_where_m_is_above_0(self):
        keep = torch.tensor([[1.0, 0.3, 0.01, 1e-6]], dtype=torch.float64)
        scores = draws(1, 4, 4)
        expected = (scores + keep.log()).softmax(dim=-1)
        assert torch.allclose(kept_softmax(scores, keep), expected, rtol=1e-12, atol=0)

    def test_deleted_keys_far_above_the_kept_ones_take_nothing(self):
        scores = torch.tensor([[[200.0, 0.0, -1.0]]])
        keep = torch.tensor([[0.0, 1.0, 1.0]], requires_grad=True)
        weights = kept_softmax(scores, keep)
        expected = torch.tensor([0.0, -1.0]).softmax(dim=0)
        assert float(weights[0, 0, 0].detach()) == 0
        assert torch.allclose(weights[0, 0, 1:], expected)
        (gradient,) = torch.autograd.grad(weights[0, 0, 0], keep)
        assert float(gradient[0, 0]) == pytest.approx(math.exp(MOST) * float(expected[0]), rel=1e-4)

    def test_means_are_weighted(self):
        tokens = draws(2, 5, 3)
        expected = [
            sum(m * t for m, t in zip(keep.tolist(), rows, strict=True))
            / (sum(keep.tolist()) + 5 * (1 - max(keep.tolist())))
            for keep, rows in zip(self.KEEP, tokens, strict=True)
        ]
        with KeptTokens(self.KEEP, 1)():
            found = [tokens.mean(dim=1), tokens.mean(1), torch.mean(tokens, dim=1)]
            assert tokens.mean(dim=1, keepdim=True).shape == (2, 1, 3)
            others = tokens.mean(dim=2), tokens[:, :3].mean(dim=1), tokens[0].mean(dim=0)
        for one in found:
            assert torch.allclose(one, torch.stack(expected), rtol=0, atol=1e-12)
        plain = tokens.mean(dim=2), tokens[:, :3].mean(dim=1), tokens[0].mean(dim=0)
        assert all(map(torch.equal, others, plain))

    def test_without_a_token_that_is_kept_wholly_weights_fade_with_the_mask(self):
        """Else a mask of 0.001 everywhere would change nothing: weights are renormalised."""
        scores, tokens = draws(1, 2, 4), draws(1, 4, 3)
        for share in (0.0, 0.25, 1.0):
            keep = torch.full((1, 4), share, dtype=torch.float64)
            assert torch.allclose(kept_softmax(scores, keep), share * scores.softmax(dim=-1), atol=1e-12)
            assert torch.allclose(kept_mean(tokens, keep), share * tokens.mean(dim=1), atol=1e-12)

    def test_what_is_no_attention_over_the_tokens_stays(self):
        x = draws(2, 5)
        scores = draws(2, 3, 4, 7)
        with KeptTokens(self.KEEP, 1)():
            assert torch.equal(x.softmax(dim=1), torch.softmax(x, 1))
            inside = scores.softmax(dim=-1)
        assert torch.equal(inside, scores.softmax(dim=-1))
