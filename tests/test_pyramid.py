"""The blur whose width follows the mask, against a convolution pixel by pixel."""

import math

import pytest
import torch

import unsee
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.fits import Squash
from unsee.images import read_photo
from unsee.masks.edits.blur_stack import between
from unsee.masks.edits.perturbation import PERTURBATIONS, Blur
from unsee.masks.edits.pyramid import Pyramid
from unsee.masks.network_input import NetworkInput

SIGMA = 3.0


def literal(image, mask, sigma):
    """Every pixel by its own Gaussian, cut off at four deviations; the image is mirrored at its border."""
    channels, height, width = image.shape
    out = torch.empty_like(image)
    for row in range(height):
        for column in range(width):
            own = sigma * (1 - float(mask[row, column]))
            if own == 0:
                out[:, row, column] = image[:, row, column]
                continue
            reach = int(4 * own + 0.5)
            total, weights = torch.zeros(channels, dtype=image.dtype), 0.0
            for down in range(-reach, reach + 1):
                for across in range(-reach, reach + 1):
                    weight = math.exp(-(down**2 + across**2) / (2 * own**2))
                    total += weight * image[:, mirrored(row + down, height), mirrored(column + across, width)]
                    weights += weight
            out[:, row, column] = total / weights
    return out


def mirrored(place, length):
    place %= 2 * length
    return place if place < length else 2 * length - 1 - place


def scene(size=14, seed=0):
    draws = torch.Generator().manual_seed(seed)
    image = torch.rand(3, size, size, generator=draws, dtype=torch.float64)
    rows, columns = torch.meshgrid(*[torch.linspace(0, 1, size, dtype=torch.float64)] * 2, indexing="ij")
    return image, (rows + 0.3 * columns) / 1.3


def prepared(make_net, make_pixels, count=2, margin=3, perturbation=None):
    classifier = Classifier(make_net().double(), size=(32, 32))
    photos = [read_photo(make_pixels(40, 36, seed=seed)) for seed in range(count)]
    inputs = [NetworkInput.of(classifier, photo, Squash(), 0, margin) for photo in photos]
    return classifier, inputs, (perturbation or Pyramid()).prepare(classifier, inputs)


class TestAgainstTheLiteralConvolution:
    def test_noise_under_a_ramp(self):
        image, mask = scene()
        pyramid = Pyramid(SIGMA, levels=12)
        found = between(pyramid.stack(image)[None], pyramid.shares, mask[None])[0]
        assert (found - literal(image, mask, SIGMA)).abs().max() < 0.03

    def test_the_error_falls_with_the_number_of_levels(self):
        image, mask = scene()
        exact, errors = literal(image, mask, SIGMA), []
        for levels in (5, 9, 17, 33):
            pyramid = Pyramid(SIGMA, levels)
            found = between(pyramid.stack(image)[None], pyramid.shares, mask[None])[0]
            errors.append(float((found - exact).square().mean().sqrt()))
        assert errors == sorted(errors, reverse=True)
        assert errors[-1] < errors[0] / 10

    def test_at_a_level_it_is_exact(self):
        image, _ = scene()
        pyramid = Pyramid(SIGMA, levels=5)
        for share in pyramid.shares:
            mask = torch.full((14, 14), 1 - float(share), dtype=torch.float64)
            found = between(pyramid.stack(image)[None], pyramid.shares, mask[None])[0]
            torch.testing.assert_close(found, literal(image, mask, SIGMA), rtol=0, atol=1e-9)


class TestEdit:
    def test_ones_keep_the_image_and_zeros_blur_it_as_blur_does(self, make_net, make_pixels):
        classifier, inputs, edit = prepared(make_net, make_pixels)
        other = Blur().prepare(classifier, inputs)
        offsets = torch.tensor([[0, 2], [3, 1]])
        for value in (0.0, 1.0):
            masks = torch.full((2, 32, 32), value, dtype=torch.float64)
            for places in (None, offsets):
                torch.testing.assert_close(edit.apply(masks, places), other.apply(masks, places))

    def test_between_them_less_is_lost_than_by_the_blend_and_more_than_nothing(self, make_net, make_pixels):
        classifier, inputs, edit = prepared(make_net, make_pixels)
        half = torch.full((2, 32, 32), 0.5, dtype=torch.float64)
        assert not torch.allclose(edit.apply(half), Blur().prepare(classifier, inputs).apply(half), atol=0.05)

    def test_the_gradient_is_that_of_what_is_computed(self, make_net, make_pixels):
        _, _, edit = prepared(make_net, make_pixels)
        masks = torch.rand(2, 32, 32, dtype=torch.float64, generator=torch.manual_seed(1))
        masks.requires_grad_()
        for offsets in (None, torch.tensor([[0, 2], [3, 1]])):
            weights = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=torch.manual_seed(2))
            found = torch.autograd.grad((edit.apply(masks, offsets) * weights).sum(), masks)[0]
            step = 1e-7
            moved = [edit.apply(masks.detach() + sign * step, offsets) for sign in (1, -1)]
            expected = ((moved[0] - moved[1]) * weights).sum(dim=1) / (2 * step)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)

    def test_it_is_continuous_at_the_levels(self, make_net, make_pixels):
        _, _, edit = prepared(make_net, make_pixels)
        for share in Pyramid().shares[1:-1]:
            keep = torch.full((2, 32, 32), 1 - float(share), dtype=torch.float64)
            assert (edit.apply(keep - 1e-9) - edit.apply(keep + 1e-9)).abs().max() < 1e-6

    def test_a_window_is_that_of_the_canvas(self, make_net, make_pixels):
        classifier, inputs, edit = prepared(make_net, make_pixels, count=1)
        masks = torch.rand(1, 32, 32, dtype=torch.float64, generator=torch.manual_seed(3))
        pyramid = Pyramid()
        stack = classifier.normalised(pyramid.stack(inputs[0].canvas))
        cut = between(stack[None, :, :, 2:34, 1:33], pyramid.shares, masks)
        torch.testing.assert_close(edit.apply(masks, torch.tensor([[2, 1]])), cut)

    def test_some_and_joined(self, make_net, make_pixels):
        classifier, inputs, edit = prepared(make_net, make_pixels, count=3)
        masks = torch.rand(3, 32, 32, dtype=torch.float64, generator=torch.manual_seed(4))
        singles = [Pyramid().prepare(classifier, [one]) for one in inputs]
        together = singles[0].joined(singles[1]).joined(singles[2])
        chosen = edit.select(torch.tensor([2, 0]))
        offsets = torch.tensor([[1, 1], [0, 3], [2, 0]])
        expected = edit.apply(masks, offsets)
        assert torch.equal(together.apply(masks, offsets), expected)
        assert torch.equal(chosen.apply(masks[[2, 0]], offsets[[2, 0]]), expected[[2, 0]])


class TestUsed:
    def test_explained_alone_and_together(self, classifier, make_pixels):
        photos = [make_pixels(seed=seed) for seed in range(2)]
        options = {"perturbation": "pyramid", "iterations": 5, "precision": "float32"}
        both = unsee.explain(classifier, photos, 1, **options)
        alone = unsee.explain(classifier, photos[1], 1, **options)
        torch.testing.assert_close(both[1].mask, alone.mask, rtol=0, atol=1e-4)
        assert alone.run.settings["perturbations"][0]["name"] == "pyramid"
        assert alone.perturbed.shape == alone.photo.pixels.shape
        assert not torch.equal(alone.perturbed, alone.photo.pixels)

    def test_the_edited_photo_keeps_where_the_mask_does(self, make_net, make_pixels):
        _, inputs, _ = prepared(make_net, make_pixels, count=1)
        height, width = inputs[0].photo.pixels.shape[-2:]
        mask = torch.ones(height, width)
        mask[:, : width // 2] = 0
        edited = Pyramid().edited_photo(inputs[0], mask)
        assert torch.equal(edited[..., width // 2 :], inputs[0].photo.pixels[..., width // 2 :])
        assert (edited - inputs[0].photo.pixels)[..., : width // 2].abs().max() > 0.1

    @pytest.mark.parametrize("wrong", [{"levels": 1}, {"sigma": 0.0}, {"sigma": -1.0}])
    def test_what_is_refused(self, wrong):
        with pytest.raises(UnseeError, match="two levels or more"):
            Pyramid(**wrong)

    def test_by_name(self):
        assert PERTURBATIONS["pyramid"] == (Pyramid(),)
