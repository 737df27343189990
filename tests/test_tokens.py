"""Masks on patch tokens: a deleted token is not there, in every family, and gradients at 0 are right."""

import math

import pytest
import timm
import torch

from token_nets import CLASSES, MAKERS, PREFIX, SIZE, convnet, made, max_pooled, shortened, swin
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.masks.edits.edit import Edit, Perturbation
from unsee.masks.edits.tokens import Tokens, token_layer
from unsee.masks.edits.tokens.edits import DroppedTokens, MaskedEmbeddings
from unsee.masks.edits.tokens.token_layer import token_layer_of, without_tokens
from unsee.network_wrappers import ClosedNetwork


def images_for(classifier, count=2, seed=0):
    return torch.rand(count, *classifier.input_shape, generator=torch.Generator().manual_seed(seed)).to(
        classifier.dtype
    )


def edit_of(classifier, count=2, seed=0):
    given = classifier.normalised(images_for(classifier, count, seed))
    found = token_layer_of(classifier, given[:1])
    return (MaskedEmbeddings if found.why_not else DroppedTokens)(given, found)


def some_masks(edit, seed=0, share=0.5):
    shape = (len(edit.images), *edit.size)
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) > share).float()


class TestEveryFamily:
    @pytest.mark.parametrize("name", MAKERS)
    def test_a_mask_of_zeros_and_ones_is_dropping_the_tokens(self, name):
        """Against a copy whose sequence is shorter; each image of the batch with its own mask."""
        classifier = made(name)
        edit = edit_of(classifier)
        assert isinstance(edit, DroppedTokens)
        prefix = edit.token_layer.grid.prefix
        assert prefix == PREFIX.get(name, 1)
        assert edit.size == ((4, 6) if classifier.size == SIZE else (4, 4))
        masks = some_masks(edit)
        masks[0] = 1 - masks[1]  # not the same number of tokens
        masks[0, 0] = 1.0
        with classifier.borrowed(), torch.no_grad():
            masked = edit.logits(classifier, edit.apply(masks))
            plain = classifier.answer(edit.images)
            for row, mask in enumerate(masks):
                kept = mask.flatten().nonzero().flatten()
                stay = torch.cat([torch.arange(prefix), prefix + kept])
                short = shortened(classifier, stay).answer(edit.images[row : row + 1])
                assert torch.allclose(masked[row], short[0], rtol=0, atol=1e-5)
                assert torch.equal(
                    without_tokens(classifier, edit.token_layer, edit.images[[row]], kept), short
                )
                assert (short[0] - plain[row]).abs().max() > 0.01

    @pytest.mark.parametrize("name", MAKERS)
    def test_a_mask_of_ones_is_the_network_itself(self, name):
        classifier = made(name)
        edit = edit_of(classifier)
        ones = torch.ones(2, *edit.size)
        with classifier.borrowed(), torch.no_grad():
            plain = classifier.answer(edit.images)
            assert torch.equal(edit.logits(classifier, edit.apply(ones)), plain)
            nearly = edit.masked(classifier, edit.images, edit.apply(ones))
        assert torch.allclose(nearly, plain, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("name", [name for name in MAKERS if "eager" not in name])  # float32 inside
    def test_gradients_at_0_are_those_of_a_small_step(self, name):
        classifier = made(name)
        classifier = Classifier(classifier.net.double(), size=classifier.size)
        edit = edit_of(classifier, count=1)
        masks = some_masks(edit, seed=2).double()
        masks[0, 0, 0] = 0.4
        masks.requires_grad_()
        with classifier.borrowed():
            score = edit.logits(classifier, edit.apply(masks)).softmax(dim=1)[0, 0]
            (gradient,) = torch.autograd.grad(score, masks)
            assert bool(gradient.isfinite().all())
            score = score.detach()
            zeros = (masks[0] == 0).nonzero()[:3].tolist()
            for row, column in [*zeros, [0, 0]]:
                step = torch.zeros_like(masks)
                step[0, row, column] = 1e-6
                with torch.no_grad():
                    moved = edit.logits(classifier, edit.apply(masks + step)).softmax(dim=1)[0, 0]
                assert float((moved - score) / 1e-6) == pytest.approx(
                    float(gradient[0, row, column]), rel=1e-3, abs=1e-8
                )
                assert abs(float(gradient[0, row, column])) > 1e-7

    @pytest.mark.parametrize("name", MAKERS)
    @pytest.mark.parametrize("value", [0.0, 1.0])
    def test_with_everything_deleted_or_kept_scores_and_gradients_are_finite(self, name, value):
        classifier = made(name)
        edit = edit_of(classifier)
        masks = torch.full((2, *edit.size), value, requires_grad=True)
        with classifier.borrowed():
            score = edit.logits(classifier, edit.apply(masks)).softmax(dim=1)[:, 0].sum()
            (gradient,) = torch.autograd.grad(score, masks)
        assert bool(gradient.isfinite().all())
        assert bool((gradient != 0).any())

    @pytest.mark.parametrize("name", ["torchvision", "timm, no class token", "hf siglip"])
    def test_a_batch_gives_what_single_images_give(self, name):
        classifier = made(name)
        edit = edit_of(classifier, count=3)
        masks = torch.rand(3, *edit.size, generator=torch.Generator().manual_seed(5))
        with classifier.borrowed(), torch.no_grad():
            together = edit.logits(classifier, edit.apply(masks))
            for row in range(3):
                one = edit.select(torch.tensor([row]))
                alone = one.logits(classifier, one.apply(masks[[row]]))
                assert torch.allclose(together[row], alone[0], rtol=0, atol=1e-5)
            joined = edit.select(torch.tensor([2])).joined(edit.select(torch.tensor([0])))
            swapped = joined.logits(classifier, joined.apply(masks[[2, 0]]))
        assert torch.allclose(swapped, together[[2, 0]], rtol=0, atol=1e-5)


class TestOthers:
    def test_where_tokens_cannot_be_dropped_embeddings_are_masked_and_said_so(self):
        classifier = Classifier(swin(), size=(32, 32), name="swin")
        edit = edit_of(classifier)
        assert isinstance(edit, MaskedEmbeddings)
        assert edit.size == (8, 8)
        masks = some_masks(edit)
        embed = classifier.net.features[0][0]
        with classifier.borrowed(), torch.no_grad():
            maps = embed(edit.images)
            mean = maps.mean(dim=(2, 3), keepdim=True)
            mixed = torch.where(masks[:, None] > 0, maps, mean)
            rest = classifier.net.features[0][2](classifier.net.features[0][1](mixed))
            net = classifier.net
            tokens = net.norm(net.features[1](rest))
            expected = net.head(net.flatten(net.avgpool(net.permute(tokens))))
            found = edit.logits(classifier, edit.apply(masks))
            assert torch.allclose(found, expected, rtol=0, atol=1e-5)
            assert not embed._forward_hooks
            told = edit.token_check(classifier, masks, lambda rows: rows[:, 0])
        assert "swin cannot be dropped" in told[0]["note"]
        assert told[0]["deleted"] == int((masks[0] == 0).sum())
        assert told[0]["binarised_score"] == pytest.approx(float(expected[0, 0]), abs=1e-5)
        assert "dropped_score" not in told[0]

    def test_a_known_family_is_not_believed_but_tried(self):
        """Its maximum over the tokens would also be over deleted ones."""
        edit = edit_of(Classifier(max_pooled(), size=SIZE, name="max"))
        assert isinstance(edit, MaskedEmbeddings)
        assert "besides attention" in edit.token_layer.why_not

    def test_two_transformers_in_one_network(self):
        class Both(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.one, self.two = made("timm").net, made("timm", seed=1).net

            def forward(self, images):
                return self.one(images) + self.two(images)

        with pytest.raises(UnseeError, match="no place in both that holds all patch tokens"):
            edit_of(Classifier(Both(), size=SIZE, name="both"))

    def test_patches_of_two_sizes(self):
        """With one kind masked, the network would still see the whole image."""
        net = timm.create_model("crossvit_9_240", pretrained=False, num_classes=CLASSES, depth=([1, 1, 0],))
        with pytest.raises(UnseeError, match="no place in crossvit that holds all patch tokens"):
            edit_of(Classifier(net.eval(), size=(240, 240), name="crossvit"), count=1)

    def test_attention_under_another_name(self):
        net = timm.models.cait.Cait(32, 8, embed_dim=16, depth=1, num_heads=2, num_classes=CLASSES)
        edit = edit_of(Classifier(net.eval(), size=(32, 32), name="cait"))
        assert isinstance(edit, MaskedEmbeddings)
        assert edit.size == (4, 4)

    def test_networks_without_tokens(self, classifier):
        for one in (classifier, Classifier(convnet(), size=(160, 160), name="convnet")):
            with pytest.raises(
                UnseeError, match=f"no place in {one.name} that holds all patch tokens"
            ) as error:
                edit_of(one)
            assert "\n" not in str(error.value)

    def test_closed_networks(self):
        class Elsewhere(ClosedNetwork):
            def forward(self, images):
                return images.mean(dim=(2, 3))

        with pytest.raises(UnseeError, match=r"the layers of .* are closed"):
            edit_of(Classifier(Elsewhere(), size=(32, 32)))

    def test_protocols(self):
        assert isinstance(Tokens(), Perturbation)
        edit = edit_of(made("torchvision"))
        assert isinstance(edit, Edit)


class TestEvidence:
    def test_both_scores_are_those_of_the_binarised_mask(self):
        classifier = made("timm, registers, mean")
        edit = edit_of(classifier)
        masks = torch.rand(2, *edit.size, generator=torch.Generator().manual_seed(4))
        with classifier.borrowed(), torch.no_grad():
            told = edit.token_check(classifier, masks, lambda rows: rows.softmax(dim=1)[:, 2])
            for row, mask in enumerate(masks):
                kept = (mask.flatten() >= 0.5).nonzero().flatten()
                stay = torch.cat([torch.arange(5), 5 + kept])
                short = shortened(classifier, stay).answer(edit.images[[row]]).softmax(dim=1)[0, 2]
                assert told[row]["dropped_score"] == pytest.approx(float(short), abs=1e-6)
                assert told[row]["binarised_score"] == pytest.approx(float(short), abs=1e-5)
                assert told[row]["deleted"] == 24 - len(kept)
                assert told[row]["tokens"] == 24

    @pytest.mark.parametrize("name", ["timm, no class token", "timm, registers, mean"])
    def test_a_mean_over_no_token_has_no_score(self, name):
        classifier = made(name)
        edit = edit_of(classifier)
        masks = torch.zeros(2, *edit.size)
        masks[1, 0, 0] = 1
        with classifier.borrowed(), torch.no_grad():
            first, second = edit.token_check(classifier, masks, lambda rows: rows[:, 0])
        assert first["dropped_score"] is None
        assert math.isfinite(first["binarised_score"])
        assert second["deleted"] == 23
        assert second["dropped_score"] == pytest.approx(second["binarised_score"], abs=1e-5)


def test_the_place_is_found_once_for_a_network(monkeypatch):
    classifier = made("torchvision")
    calls = []
    found = token_layer._found
    monkeypatch.setattr(token_layer, "_found", lambda *given: calls.append(1) or found(*given))
    for _ in range(3):
        edit_of(classifier)
    assert len(calls) == 1
    assert classifier.reading.classes == CLASSES
