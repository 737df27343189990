"""Networks that take other images than RGB: masks, perturbations, the other methods, saved results."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import unsee
from channel_nets import SIZE, SPAN, Undone, band_net, banded, bands, summed
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.explanation import Explanation
from unsee.fits import Squash
from unsee.images import read_photo
from unsee.layers import layer_outputs
from unsee.masks.edits.perturbation import PERTURBATIONS, Constant, NativeBlur
from unsee.masks.network_input import NetworkInput, photo_for
from unsee.methods import METHODS

CHANNELS = (1, 3, 4, 7)


def learned(classifier, photo, **options):
    options = {"preset": "paper", "iterations": 6, "targets": 1, **options}
    return unsee.explain(classifier, photo, **options)


class TestMasks:
    @pytest.mark.parametrize("channels", CHANNELS)
    def test_fast_lowers_the_score(self, channels):
        found = unsee.explain(banded(channels), bands(channels), preset="fast", iterations=12)
        assert found.mask.shape == (30, 36)
        assert found.perturbed.shape == found.photo.pixels.shape == (channels, 30, 36)
        assert found.scores.perturbed < found.scores.original - 0.05
        edited = found.mask < 0.9
        changes = (found.perturbed - found.photo.pixels).abs().amax(dim=(1, 2))
        assert edited.any()
        assert (changes > 0.01).all(), "every channel is edited"
        assert (found.provenance.channels, found.manifest()["channels"]) == (channels, channels)

    def test_grey_gives_the_mask_of_the_same_grey_in_rgb(self, tmp_path):
        Image.fromarray(bands(1)[..., 0]).save(tmp_path / "grey.png")
        rgb = Classifier(band_net(3), size=SIZE, mean=0.25, std=1.0, mean_color=0.4)
        grey = Classifier(summed(rgb.net), size=SIZE, channels=1, mean=0.25, std=1.0, mean_color=0.4)
        for perturbation in ("blur", "constant", "black", "median"):
            pair = [learned(one, tmp_path / "grey.png", perturbation=perturbation) for one in (rgb, grey)]
            assert [len(one.photo.pixels) for one in pair] == [3, 1]
            assert pair[0].scores.original - pair[0].scores.reference > 0.05
            torch.testing.assert_close(pair[1].mask, pair[0].mask, rtol=0, atol=1e-5)
            torch.testing.assert_close(pair[1].scores.perturbed, pair[0].scores.perturbed, rtol=1e-6, atol=0)
            torch.testing.assert_close(pair[1].perturbed.expand(3, -1, -1), pair[0].perturbed)

    @pytest.mark.parametrize("channels", [1, 5])
    def test_a_value_range_that_the_network_undoes_changes_nothing(self, channels):
        net, array = band_net(channels), bands(channels)
        plain = Classifier(net, size=SIZE, channels=channels)
        ranged = Classifier(Undone(net), size=SIZE, channels=channels, value_range=SPAN)
        expected = learned(plain, array, perturbation="joint")
        low, high = SPAN
        for given in (array, low + (high - low) * (array / 255)):
            found = learned(ranged, given, perturbation="joint")
            torch.testing.assert_close(found.mask, expected.mask, rtol=0, atol=1e-5)
            torch.testing.assert_close(found.photo.pixels, expected.photo.pixels)
        assert expected.scores.original - expected.scores.perturbed > 0.01

    @pytest.mark.parametrize("channels", [1, 4, 7])
    @pytest.mark.parametrize("name", sorted(set(PERTURBATIONS) - {"tokens"}))
    def test_every_perturbation_replaces_every_channel(self, channels, name):
        classifier = banded(channels, mean_color=tuple(np.linspace(0.2, 0.8, channels)))
        photo = read_photo(bands(channels), channels=channels)
        network_input = NetworkInput.of(classifier, photo, Squash(), 3, margin=4)
        for edit in (*PERTURBATIONS[name], NativeBlur()):
            still, moving = edit.references(network_input)
            assert (still.shape, moving.shape) == ((channels, 24, 24), (channels, 28, 28))
            assert still.min() >= 0
            assert still.max() <= 1
            changed = (still - network_input.plain).abs().amax(dim=(1, 2))
            assert (changed > 0.02).all()
        found = learned(classifier, photo, perturbation=name, iterations=2)
        assert found.mask.isfinite().all()

    def test_each_channel_has_its_own_mean_colour_and_noise(self):
        colours = (0.1, 0.9, 0.3, 0.7, 0.5)
        photo = read_photo(bands(5), channels=5)
        network_input = NetworkInput.of(banded(5, mean_color=colours), photo, Squash(), 3)
        constant, noise, _ = (edit.references(network_input)[0] for edit in PERTURBATIONS["joint"])
        assert constant[:, 0, 0].tolist() == pytest.approx(colours)
        assert noise[[0, 2, 4]].mean(dim=(1, 2)).tolist() == pytest.approx([0.15, 0.3, 0.5], abs=0.07)
        assert not torch.allclose(noise[0] - 0.1, noise[4] - 0.5, atol=0.05)

    def test_a_constant_colour_of_other_channels_is_refused(self):
        with pytest.raises(UnseeError, match="has 3 values for 5 channels: give one for each") as caught:
            learned(banded(5), bands(5), perturbation=Constant((0.1, 0.2, 0.3)))
        assert "\n" not in str(caught.value)
        for colour in ((), (0.2, 1.2), "grey"):
            with pytest.raises(UnseeError, match="a value in"):
                Constant(colour)

    def test_input_noise_has_the_networks_channels(self):
        noisy = replace(unsee.PRESETS["paper"], input_noise=0.1)
        found = learned(banded(2), bands(2), preset=noisy, iterations=3)
        assert found.mask.isfinite().all()

    def test_a_batch_gives_what_single_images_give(self):
        arrays = [bands(4, seed=seed) for seed in range(3)]
        together = learned(banded(4), np.stack(arrays))
        for one, array in zip(together, arrays, strict=True):
            torch.testing.assert_close(one.mask, learned(banded(4), array).mask, rtol=0, atol=1e-5)


class TestMethods:
    @pytest.mark.parametrize("channels", [1, 5])
    @pytest.mark.parametrize("method", sorted(METHODS))
    def test_every_method_gives_a_map(self, channels, method):
        options = {"lime": {"samples": 60}, "rise": {"masks": 64}, "variable_occlusion": {"draws": 60}}
        images = torch.stack(
            [torch.from_numpy(bands(channels, SIZE, seed)).permute(2, 0, 1) / 255 for seed in (0, 1)]
        )
        found = METHODS[method].call(banded(channels), images, [1, 2], **options.get(method, {}))
        smaller = {"excitation_backprop", "contrastive_excitation_backprop", "grad_cam", "cam"}
        assert found.shape[0] == 2
        assert found.shape[1:] == SIZE or method in smaller
        assert found.isfinite().all()
        assert found.abs().max() > 0

    @pytest.mark.parametrize("method", ["gradient", "occlusion", "lime", "rise", "blur_occlusion", "mask"])
    def test_grey_is_explained_as_the_same_grey_in_rgb(self, method):
        grey = torch.from_numpy(bands(1, SIZE)).permute(2, 0, 1)[None] / 255
        net = band_net(3)
        rgb, one = (
            Classifier(net, size=SIZE, mean=0.0, std=1.0),
            Classifier(summed(net), size=SIZE, channels=1, mean=0.0, std=1.0),
        )
        options = {"lime": {"samples": 60}, "rise": {"masks": 64}}.get(method, {})
        expected = METHODS[method].call(rgb, grey.expand(1, 3, -1, -1), [1], **options)
        found = METHODS[method].call(one, grey, [1], **options)
        if method == "gradient":  # of the sum of the colours, instead of the largest of them
            images = grey.expand(1, 3, -1, -1).double().clone().requires_grad_()
            (each,) = torch.autograd.grad(rgb.logits(images)[0, 1], images)
            expected = each.sum(dim=1).abs()
        torch.testing.assert_close(found.double(), expected.double(), rtol=1e-4, atol=1e-5)

    def test_images_of_other_channels_are_refused(self):
        with pytest.raises(UnseeError, match=r"shape \(batch, 5, height, width\), not \(1, 3, 24, 24\)"):
            METHODS["gradient"](banded(5), torch.rand(1, 3, *SIZE), [0])

    def test_layers_are_found(self):
        outputs, _ = layer_outputs(banded(6))
        assert outputs[0].names == ["0"]

    def test_interrogation_and_comparison(self, tmp_path):
        classifier, array = banded(5), bands(5)
        result = unsee.interrogate(classifier, array, (6, 4, 24, 20), 1, perturbation="noise")
        assert result.perturbed.shape == (5, 30, 36)
        changed = (result.perturbed != result.photo.pixels).any(dim=0)
        assert changed[4:20, 6:24].all()
        assert changed.sum() == 16 * 18
        result.save(tmp_path / "box")
        with Image.open(tmp_path / "box" / "perturbed.png") as image:
            assert np.ptp(np.asarray(image), axis=2).max() == 0, "the mean of the channels, as grey"
        found = unsee.compare(classifier, array, ["gradient", "center", "mask"], 1)
        assert {name: tuple(one.saliency.shape) for name, one in found.results.items()} == dict.fromkeys(
            ("gradient", "center", "mask"), SIZE
        )


class TestSaved:
    @pytest.mark.parametrize("channels", [1, 4, 7])
    def test_it_comes_back_the_same(self, channels, tmp_path):
        np.save(tmp_path / "scan.npy", np.moveaxis(bands(channels), -1, 0))
        found = learned(banded(channels), tmp_path / "scan.npy")
        found.save(tmp_path / "out")
        again = Explanation.load(tmp_path / "out")
        assert torch.equal(again.perturbed, found.perturbed)
        assert torch.equal(again.photo.pixels, found.photo.pixels)
        assert torch.equal(again.mask, found.mask)
        assert again.provenance == found.provenance
        assert again.manifest() == found.manifest()

    def test_arrays_in_the_networks_range_come_back_the_same(self, tmp_path):
        ranged = Classifier(Undone(band_net(1)), size=SIZE, channels=1, value_range=SPAN)
        array = 2048 * (bands(1)[..., 0] / 255) - 1024
        found = learned(ranged, array)
        found.save(tmp_path / "out")
        again = Explanation.load(tmp_path / "out", array)
        assert torch.equal(again.photo.pixels, found.photo.pixels)
        assert again.provenance.value_range == SPAN
        with pytest.raises(UnseeError, match="not the photo that was explained"):
            Explanation.load(tmp_path / "out", array / 2)

    def test_an_edited_picture_of_other_channels_is_refused(self, tmp_path):
        np.save(tmp_path / "scan.npy", bands(5))
        learned(banded(5), tmp_path / "scan.npy").save(tmp_path / "out")
        np.save(tmp_path / "out" / "perturbed.npy", np.zeros((4, 30, 36), np.float32))
        with pytest.raises(UnseeError, match=r"perturbed.npy has shape \(4, 30, 36\), but the photo \(5,"):
            Explanation.load(tmp_path / "out")
        (tmp_path / "out" / "perturbed.npy").unlink()
        with pytest.raises(UnseeError, match="holds no complete explanation"):
            Explanation.load(tmp_path / "out")

    def test_rgb_is_saved_as_before(self, tmp_path):
        learned(banded(3), bands(3)).save(tmp_path / "out")
        assert not (tmp_path / "out" / "perturbed.npy").exists()

    def test_an_rgb_photo_may_be_explained_by_a_grey_network_and_the_reverse(self, tmp_path):
        colour = read_photo(bands(3))
        found = learned(banded(1), colour)
        expected = photo_for(banded(1), bands(3))
        assert torch.equal(found.photo.pixels, expected.pixels)
        assert found.photo.sha256 == expected.sha256
        assert "colour converted to grey" in found.photo.notes
        found.save(tmp_path / "out")
        assert torch.equal(Explanation.load(tmp_path / "out", bands(3)).perturbed, found.perturbed)
        grey = read_photo(bands(1)[..., 0], channels=1)
        assert torch.equal(photo_for(banded(3), grey).pixels, read_photo(bands(1)[..., 0]).pixels)
        assert json.loads((tmp_path / "out" / "explanation.json").read_text())["channels"] == 1
