"""Explanations by masks on tokens: settings, results, pictures, the commands; the network given back."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import unsee
from lent_nets import check_unchanged, state_of, values_of
from token_nets import SIZE, made, swin
from unsee.classifier import Classifier
from unsee.drawing.checkered import checkered
from unsee.errors import UnseeError
from unsee.explanation import Explanation
from unsee.fits import CentreCrop, Squash
from unsee.masks import PRESETS, adjusted
from unsee.masks.edits.tokens import edits
from unsee.masks.edits.tokens.edits import DroppedTokens
from unsee.masks.grid import OWN_CELLS, Grid
from unsee.masks.on_photo import on_input, on_photo
from unsee.masks.penalties import ScaledVariation, TotalVariation
from unsee.masks.penalty_protocol import gradient_of
from unsee.masks.starts import CircularStart

NAME = "timm, registers, mean"
QUICK = {"perturbation": "tokens", "iterations": 8, "precision": "float32"}


class TestSettings:
    def test_the_grid_follows_the_perturbation(self):
        for name, preset in PRESETS.items():
            if preset.objective.area is not None:
                with pytest.raises(UnseeError, match="masks of a given area lie on pixels"):
                    adjusted(preset, perturbation="tokens")
                continue
            found = adjusted(preset, perturbation="tokens")
            assert (found.grid, found.jitter) == (OWN_CELLS, 0), name
            assert found.shown.name == "tokens"
        found = adjusted(PRESETS["fast"], perturbation="tokens")
        assert replace(found, source="") == replace(PRESETS["tokens"], source="")
        starts = [retry.start for retry in found.retries]
        assert starts == [CircularStart(step=1, last=0, soften=1.0)] * 2

    def test_an_edge_of_the_same_width_costs_the_same_on_any_grid(self):
        """The weight of the total variation follows the number of cells; on 784 it is the paper's."""
        (_, found) = adjusted(PRESETS["top5"], perturbation="tokens").objective.penalties
        assert found == ScaledVariation(1e-2, beta=2.0)
        (_, found) = PRESETS["tokens"].objective.penalties
        assert found == ScaledVariation(1e-2)
        step = torch.zeros(1, dtype=torch.long)
        game = PRESETS["tokens"].objective.game
        costs = {}
        for side in (14, 28, 56):
            ramp = ((torch.arange(side).double() + 0.5) / side).expand(1, side, side)
            costs[side] = float(found.value(ramp, game, step)) * side / (side - 1)
            own = gradient_of(found, ramp, game, step)
            assert torch.allclose(found.gradient(ramp, game, step), own, rtol=0, atol=1e-12)
        assert costs[14] == pytest.approx(costs[28], rel=1e-9)
        assert costs[56] == pytest.approx(costs[28], rel=1e-9)
        mask = torch.rand(1, 28, 28)
        assert torch.equal(found.value(mask, game, step), TotalVariation(1e-2).value(mask, game, step))

    def test_a_grid_that_was_chosen_for_tokens_stays(self):
        own = replace(PRESETS["tokens"], grid=Grid(shape=(4, 4), blur=0.0))
        assert adjusted(own, perturbation="tokens").grid == own.grid

    def test_pixels_do_not_take_the_grid_of_tokens(self):
        with pytest.raises(UnseeError, match="made for tokens, and blur edits pixels"):
            adjusted(PRESETS["tokens"], perturbation="blur")

    def test_compiled_copies_are_refused(self, make_pixels):
        with pytest.raises(UnseeError, match=r"torch\.compile"):
            unsee.explain(made(NAME), make_pixels(), compiled=True, **QUICK)


class TestExplanations:
    def test_have_a_mask_value_for_each_token_and_both_scores(self, make_pixels, tmp_path):
        classifier = made("timm")
        found = unsee.explain(classifier, make_pixels(64, 90), preset="tokens", precision="float32")
        assert found.mask_grid.shape == (4, 6)
        nearest = np.array(
            Image.fromarray(found.mask_grid.numpy()).resize((90, 64), Image.Resampling.NEAREST)
        )
        assert torch.equal(found.mask, torch.from_numpy(nearest))
        assert found.area == pytest.approx(float(1 - found.mask_grid.mean()), abs=1e-6)
        assert found.perturbed is None
        told = found.run.token_check
        assert told["tokens"] == 24
        assert told["deleted"] == int((found.mask_grid < 0.5).sum()) > 0
        assert told["dropped_score"] == pytest.approx(told["binarised_score"], abs=1e-5)
        assert found.scores.perturbed < 0.7 * found.scores.original
        folder = found.save(tmp_path / "out")
        assert not (folder / "perturbed.png").exists()
        loaded = Explanation.load(folder, make_pixels(64, 90))
        assert loaded.run.token_check == told
        assert json.loads((folder / "explanation.json").read_text())["token_check"] == told

    def test_original_and_reference_are_those_of_the_network(self, make_pixels):
        classifier = made(NAME)
        found = unsee.explain(classifier, make_pixels(), 2, **QUICK)
        image = Squash().apply(found.photo.pixels, SIZE)[None]
        assert found.scores.original == float(classifier.probabilities(image)[0, 2])
        given = DroppedTokens(classifier.normalised(image), _place(classifier, image))
        with classifier.borrowed(), torch.no_grad():
            none = given.logits(classifier, torch.zeros(1, 24)).softmax(dim=1)[0, 2]
        assert found.scores.reference == pytest.approx(float(none), abs=1e-6)

    def test_preservation_and_the_published_optimiser(self, make_pixels):
        kept = unsee.explain(made(NAME), make_pixels(), game="preservation", **QUICK)
        assert kept.mask_grid.shape == (4, 6)
        adam = unsee.explain(made(NAME), make_pixels(), preset="paper", **QUICK)
        assert adam.run.iterations == 8

    def test_the_same_seed_gives_the_same_mask_and_a_batch_what_single_photos_give(self, make_pixels):
        classifier = made("torchvision")
        photos = [make_pixels(40, 40, seed) for seed in range(3)]
        together = unsee.explain(classifier, photos, 1, **QUICK)
        again = unsee.explain(classifier, photos, 1, **QUICK)
        for photo, one, same in zip(photos, together, again, strict=True):
            assert torch.equal(one.mask, same.mask)
            alone = unsee.explain(classifier, photo, 1, **QUICK)
            assert torch.allclose(one.mask_grid, alone.mask_grid, rtol=0, atol=1e-3)
            assert one.scores.perturbed == pytest.approx(alone.scores.perturbed, abs=1e-4)

    def test_networks_that_take_one_image_at_a_time(self, make_pixels):
        class Alone(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = made("torchvision").net

            def forward(self, images):
                assert len(images) == 1
                return self.net(images)

        photos = [make_pixels(40, 40, seed) for seed in range(2)]
        single = unsee.explain(Classifier(Alone(), size=(32, 32)), photos, 1, **QUICK)
        usual = unsee.explain(made("torchvision"), photos, 1, **QUICK)
        for one, other in zip(single, usual, strict=True):
            assert torch.allclose(one.mask_grid, other.mask_grid, rtol=0, atol=1e-3)

    def test_input_noise_is_refused(self, make_pixels):
        with pytest.raises(UnseeError, match="edits no pixels"):
            unsee.explain(made(NAME), make_pixels(), preset="pytorch-port", **QUICK)


def _place(classifier, image):
    from unsee.masks.edits.tokens.token_layer import token_layer_of

    return token_layer_of(classifier, classifier.normalised(image))


class TestGivenBack:
    def test_also_after_a_mistake_inside(self, make_pixels, monkeypatch):
        classifier = made(NAME)
        classifier.net.train()
        before = state_of(classifier.net), values_of(classifier.net)
        unsee.explain(classifier, make_pixels(), 1, **QUICK)
        check_unchanged(classifier.net, *before)

        def broken(*_):
            raise ValueError("in the middle")

        for name in ("layer_named", "without_tokens"):
            monkeypatch.setattr(edits, name, broken)
        with pytest.raises(ValueError, match="in the middle"):
            unsee.explain(classifier, make_pixels(), 1, **QUICK)
        check_unchanged(classifier.net, *before)
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in classifier.net.modules())
        assert torch.overrides._get_current_function_mode() is None

    def test_threads_do_not_see_each_others_masks(self, make_pixels):
        classifiers = [made(NAME), Classifier(swin(), size=(32, 32))]
        for classifier in classifiers:
            photo = make_pixels()
            image = classifier.normalised(torch.rand(2, *classifier.input_shape))
            with torch.no_grad():
                plain = classifier.answer(image)
            expected = unsee.explain(classifier, photo, 1, **QUICK)
            ready = threading.Barrier(3)

            def learned(classifier=classifier, photo=photo, ready=ready):
                ready.wait()
                return unsee.explain(classifier, photo, 1, **QUICK).mask_grid

            def answered(classifier=classifier, image=image, ready=ready):
                ready.wait()
                with torch.no_grad():
                    return [classifier.answer(image) for _ in range(40)]

            with ThreadPoolExecutor(3) as pool:
                masks = [pool.submit(learned) for _ in range(2)]
                answers = pool.submit(answered)
                assert all(torch.allclose(one, plain, rtol=0, atol=1e-6) for one in answers.result())
                for one in masks:
                    assert torch.allclose(one.result(), expected.mask_grid, rtol=0, atol=1e-5)
            assert not any(m._forward_hooks for m in classifier.net.modules())


class TestPictures:
    def test_masks_of_cells_are_not_smoothed(self):
        mask = torch.tensor([[0.0, 0.2], [0.7, 1.0]])
        found = on_photo(mask, Squash(), (8, 8), (5, 7), 1.0, cells=True)
        assert found.unique().tolist() == pytest.approx([0.0, 0.2, 0.7, 1.0])
        assert found[0].tolist() == pytest.approx([0.0] * 4 + [0.2] * 3) or found[0, 3] in (0.0, 0.2)
        cropped = on_photo(mask, CentreCrop(), (8, 8), (40, 80), 1.0, cells=True)
        left, top, right, bottom = map(round, CentreCrop().window((40, 80), (8, 8)))
        assert cropped[top, left] == 0
        assert cropped[bottom - 1, left] == pytest.approx(0.7)
        assert bool((cropped[:, : left - 1] == 1).all())
        assert bool((cropped[:, right + 1 :] == 1).all())

    def test_masks_on_the_input_have_the_value_of_the_cell(self):
        mask = torch.rand(3, 2)
        assert torch.equal(on_input(mask, (6, 4)), mask.repeat_interleave(2, 0).repeat_interleave(2, 1))
        assert torch.equal(on_input(mask, (3, 2)), mask)

    def test_deleted_tokens_are_checkered_out(self, make_pixels):
        found = unsee.explain(made(NAME), make_pixels(64, 96), 1, **QUICK)
        photo, gone, mask = found.panels()
        assert "tokens dropped, not painted" in gone[1]
        assert f"{found.run.token_check['dropped_score']:.4f}" in gone[1]
        kept = found.mask >= 0.5
        assert torch.equal(gone[0][:, kept], photo[0][:, kept])
        greys = gone[0][:, ~kept]
        assert greys.unique().tolist() == pytest.approx([0.62, 0.78])
        assert torch.equal(mask[0], found.mask)

    def test_a_checkerboard(self):
        board = checkered(torch.zeros(3, 56, 56), torch.ones(56, 56, dtype=torch.bool))
        assert board[0, 0, :3].tolist() == pytest.approx([0.78, 0.62, 0.78])
        assert board[2, 1, :2].tolist() == pytest.approx([0.62, 0.78])


@pytest.mark.assets
class TestRealWeights:
    def test_dropping_gives_the_score_and_the_mask_lies_on_the_flute(self, assets):
        classifier = unsee.load(
            "timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k",
            assets / "weights" / "vit_tiny_patch16_224.safetensors",
            "cpu",
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
        )
        found = unsee.explain(classifier, assets / "photos" / "flute.jpg", "flute", perturbation="tokens")
        told = found.run.token_check
        assert found.mask_grid.shape == (14, 14)
        assert found.scores.original > 0.9
        assert found.suppression > 0.95
        assert 0.05 < found.area < 0.4
        assert told["dropped_score"] == pytest.approx(told["binarised_score"], abs=1e-5)
        assert told["dropped_score"] < 0.05
        gone = found.mask_grid < 0.5
        assert bool(gone[8:11, 1:4].any())
        assert not bool(gone[:3].any())
