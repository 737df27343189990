"""Masks on layers against loops in float64: what is edited, what it costs, and how it is learned."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torchvision.models import get_model

import literal
from against_literal import gradient_told, learned_with_last
from nets import Bench, learn_masks
from nets import bench as steep_bench
from unsee import behind_layer as behind_file
from unsee.activation import MAPS, ActivationForm
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.layer_names import paper_names
from unsee.masks import PRESETS, OnLayer, on_layer
from unsee.masks.edits.edit import Edit, Perturbation
from unsee.masks.edits.layer_mask import LayerEdit, LayerMask
from unsee.masks.game import GAMES
from unsee.masks.on_layer import PAPER_LAYERS, layer_weights, weights_of_layer
from unsee.masks.optimisers.adam import Adam
from unsee.masks.penalties import L1, TiledVariation, TotalVariation
from unsee.masks.settings import Settings
from unsee.masks.starts import CircularStart, ConstantStart
from unsee.tensors.tiles import tiled, tiles_of, untiled

LAYER, BEHIND = "3", 4
FORM = ActivationForm(MAPS, 6, 12, 12)
TILES = (2, 3)
VALUES = {"zero": "zero", "number": 0.3, "each": (0.1, -0.2, 0.3, 0.0, 0.5, 1.0)}


def bench(*given, **options) -> Bench:
    """A bench whose scores do not saturate: its logits are a tenth as far apart."""
    made = steep_bench(*given, **options)
    with torch.no_grad():
        made.classifier.net[-1].weight.mul_(0.1)
        made.classifier.net[-1].bias.mul_(0.1)
    return made


def settings_on(over="space", value="zero", game="deletion", iterations=3) -> Settings:
    """The paper's settings on the layer of the bench's small network."""
    made = bench(PRESETS["paper"])
    base = replace(PRESETS["paper"], optimiser=Adam(iterations=iterations))
    base = replace(base, objective=replace(base.objective, game=GAMES[game]))
    given = VALUES[value]
    found = on_layer(
        base, made.classifier, OnLayer(LAYER, given if not isinstance(given, tuple) else 0.0, over)
    )
    if isinstance(given, tuple):
        found = replace(found, perturbations=(replace(found.perturbations[0], value=given),))
    return found


def channel_of(mask, over, channel):
    """The mask's values for one channel, (12,12); tiles are counted row by row."""
    row, column = divmod(channel, TILES[1])
    if over == "space":
        return mask
    if over == "channels":
        return np.full((12, 12), mask[row, column])
    return mask[12 * row : 12 * row + 12, 12 * column : 12 * column + 12]


def activation_of(made: Bench, row: int) -> np.ndarray:
    with torch.no_grad():
        images = made.classifier.normalised(made.inputs[row].plain[None])
        return made.classifier.net[:BEHIND](images)[0].numpy()


def literal_terms(made: Bench, row: int, mask: np.ndarray, over: str, value: str, game: str) -> list[float]:
    """Score, λ1 and λ2 terms of the supplement's §6.4, cell by cell."""
    activation, constants = activation_of(made, row), VALUES[value]
    edited = np.zeros(activation.shape)
    for channel, i, j in np.ndindex(activation.shape):
        m = channel_of(mask, over, channel)[i, j]
        constant = {"zero": 0.0, "number": 0.3}.get(value)
        constant = constants[channel] if constant is None else constant
        edited[channel, i, j] = m * activation[channel, i, j] + (1 - m) * constant
    with torch.no_grad():
        logits = made.classifier.net[BEHIND:](torch.from_numpy(edited)[None])[0]
    score = float(sum(logits.softmax(dim=0)[target] for target in made.targets[row]))
    weights = layer_weights(144)
    shared = 1 if over == "space" else 6
    cost = sum(abs(1 - m) if game == "deletion" else abs(m) for m in mask.flat)
    l1 = weights.l1 * cost * (144 / 6 if over == "channels" else 1 / shared)
    if over == "channels":
        return [score if game == "deletion" else -score, l1]
    maps = [channel_of(mask, over, channel) for channel in range(shared)]
    variation = weights.variation / shared * sum(literal.tv(one, 3.0) for one in maps)
    return [score if game == "deletion" else -score, l1, variation]


def masks_of(count: int, over: str) -> torch.Tensor:
    size = LayerMask(LAYER, FORM, over=over).size
    return torch.rand(count, *size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def compare_terms(over="space", value="zero", game="deletion"):
    """The edit and the objective against the loops, and the gradient against differences."""
    settings = settings_on(over, value, game)
    made = bench(settings, ranks=((0,), (1, 2)))
    masks, scoring = masks_of(2, over), made.scoring(settings)
    start = torch.zeros(2, dtype=torch.long)

    def terms(grids):
        scores = scoring.still_scores(grids[:, None])[:, 0]
        return torch.stack(list(settings.objective.terms(grids, scores, start).values()), dim=1)

    expected = [literal_terms(made, row, masks[row].numpy(), over, value, game) for row in range(2)]
    assert all(0.01 < abs(score) < 0.99 for score, *_ in expected)
    assert_allclose(terms(masks).detach(), expected, rtol=0, atol=1e-12)
    told = gradient_told(made, settings, masks, torch.zeros(2, 2, dtype=torch.long))
    cells = [divmod(place, masks.shape[2]) for place in (0, 3, masks[0].numel() // 2, masks[0].numel() - 1)]
    for row in range(2):
        for i, j in cells:
            ends = []
            for step in (1e-5, -1e-5):
                moved = masks[row].numpy().copy()
                moved[i, j] += step
                ends.append(sum(literal_terms(made, row, moved, over, value, game)))
            # the optimiser is told the gradient of the score by way of its log-odds
            slope = (ends[0] - ends[1]) / 2e-5
            assert float(told[row, i, j]) == pytest.approx(slope, abs=1e-6)


def compare_learning(iterations=8):
    """Eight steps of Adam on m ⊙ a against the literal version, with the activation in the image's place."""
    settings = settings_on(iterations=iterations)
    settings = replace(settings, start=ConstantStart(0.5))
    made = bench(settings, ranks=((0,), (1,)))
    _, last = learned_with_last(made, settings)
    weights = layer_weights(144)
    options = {
        "margin": 0, "sigma_m": 0.0, "upsampling": "nearest", "gradient": "exact", "score": "softmax",
        "regularisers": "sum", "game": "deletion", "beta": 3.0, "lr": 0.1, "l1": weights.l1,
        "l2": weights.variation,
    }  # fmt: skip
    for row in range(2):
        activation = activation_of(made, row)
        masks, _ = literal.learn(
            np.full((12, 12), 0.5),
            activation,
            [np.zeros(activation.shape)],
            made.classifier.net[BEHIND:],
            made.targets[row],
            options,
            [(0, 0)] * iterations,
        )
        assert abs(masks[-1] - 0.5).max() > 0.2
        assert_allclose(last[row], masks[-1], rtol=0, atol=1e-7)


class TestLiteral:
    @pytest.mark.parametrize("game", ["deletion", "preservation"])
    @pytest.mark.parametrize("value", VALUES)
    @pytest.mark.parametrize("over", ["space", "channels", "both"])
    def test_terms_of_given_masks(self, over, value, game):
        compare_terms(over, value, game)

    def test_learning(self):
        compare_learning()

    def test_the_protocols(self):
        assert isinstance(settings_on().perturbations[0], Perturbation)
        made = bench(settings_on())
        edit = made.scoring(settings_on()).shown
        assert isinstance(edit, Edit)

    @pytest.mark.parametrize("cut", [True, False])
    def test_several_masks_of_an_image_are_scored_as_one_by_one(self, cut):
        settings = settings_on()
        made = bench(settings, ranks=((0,), (1,)))
        if cut:
            made = replace(made, classifier=behind_file.behind_layer(made.classifier, LAYER))
            assert made.classifier.net.is_cut
        scoring, masks = made.scoring(settings), masks_of(6, "space").view(2, 3, 12, 12)
        together = scoring.still_scores(masks)
        each = [scoring.still_scores(masks[:, k : k + 1]) for k in range(3)]
        assert torch.allclose(together, torch.cat(each, dim=1), rtol=0, atol=1e-12)

    @pytest.mark.parametrize("cut", [True, False])
    def test_images_that_join_others_keep_their_activations(self, cut):
        settings = settings_on()
        made = bench(settings, ranks=((0,), (1,), (2,)))
        if cut:
            made = replace(made, classifier=behind_file.behind_layer(made.classifier, LAYER))
        scoring, masks = made.scoring(settings), masks_of(3, "space")[:, None]
        parts = [scoring.select(torch.tensor(rows)) for rows in ([2], [0, 1])]
        together = parts[0].joined(parts[1]).still_scores(masks[[2, 0, 1]])
        assert torch.allclose(together, scoring.still_scores(masks)[[2, 0, 1]], rtol=0, atol=1e-12)

    def test_a_mask_of_ones_is_the_network_itself(self):
        settings = settings_on("both", "each")
        made = bench(settings)
        scoring = made.scoring(settings)
        given = scoring.shown.apply(torch.ones(1, *scoring.size, dtype=torch.float64))
        plain = made.classifier.logits(made.inputs[0].plain[None])
        assert torch.equal(given[0], torch.from_numpy(activation_of(made, 0)))
        assert torch.allclose(scoring.shown.logits(made.classifier, given), plain, rtol=0, atol=1e-12)


def upside_down(self, masks, offsets=None):
    return right_apply(self, 1 - masks, offsets)


def without_value(self, masks, offsets=None):
    return self.what.form.laid(self.factors(masks), 1.0) * self.activation


def transposed(matrix, tiles):
    return untiled(matrix, tiles).flip(1)


def across_tiles(self, masks, game, iteration):
    return TotalVariation(self.weight, self.beta).value(masks, game, iteration)


def as_for_pixels(self, masks):
    return self.weight * 784 / masks[0].numel()


right_apply = LayerEdit.apply
MISTAKES = {
    "keeps what it should delete": (LayerEdit, "apply", upside_down, ()),
    "forgets the constant": (LayerEdit, "apply", without_value, ("space", "number")),
    "forgets each channel's constant": (LayerEdit, "apply", without_value, ("space", "each")),
    "takes tiles for other channels": ("unsee.masks.edits.layer_mask", "untiled", transposed, ("channels",)),
    "varies across tiles": (TiledVariation, "value", across_tiles, ("both",)),
    "scales λ1 as for pixels": (L1, "_scaled", as_for_pixels, ()),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_deliberate_mistake_is_noticed(mistake, monkeypatch):
    place, name, wrong, case = MISTAKES[mistake]
    monkeypatch.setattr(*([f"{place}.{name}", wrong] if isinstance(place, str) else [place, name, wrong]))
    with pytest.raises(AssertionError):
        compare_terms(*case)


def test_a_mistake_of_the_cut_is_noticed(monkeypatch):
    """A part behind the layer that is given something else, unnoticed by the check of the parts."""
    right = behind_file.BehindLayer.output
    monkeypatch.setattr(
        behind_file.BehindLayer, "output", lambda self, given, *rest: right(self, given * 1.01, *rest)
    )
    with pytest.raises(AssertionError):
        compare_learning()


@pytest.fixture(scope="module")
def networks():
    """Their layers without weights."""
    with torch.device("meta"):
        return {name: Classifier(get_model(name, weights=None)) for name in ("alexnet", "vgg16")}


class TestWeights:
    @pytest.mark.parametrize(("network", "layer"), PAPER_LAYERS)
    def test_the_papers_layers_have_the_papers_weights(self, networks, network, layer):
        printed = PAPER_LAYERS[network, layer]
        classifier = networks[{"AlexNet": "alexnet", "VGG-16": "vgg16"}[network]]
        form = ActivationForm(MAPS, 64, printed.side, printed.side)
        mask = LayerMask(paper_names(classifier)[layer], form)
        assert weights_of_layer(classifier, mask) == printed
        assert layer_weights(printed.side**2)[1:] == pytest.approx(printed[1:], rel=1e-12)

    def test_what_the_paper_prints(self):
        """As the supplement has it; a slip in the table would be a slip in every mask."""
        assert PAPER_LAYERS["AlexNet", "pool1"] == (27, 1e-4, 1e-2)
        assert PAPER_LAYERS["AlexNet", "pool2"] == PAPER_LAYERS["AlexNet", "relu3"] == (13, 5e-3, 1e-2)
        assert PAPER_LAYERS["AlexNet", "relu4"] == (13, 5e-3, 1e-2)
        assert PAPER_LAYERS["AlexNet", "pool5"] == (6, 1e-2, 1e-3)
        vgg = [PAPER_LAYERS["VGG-16", f"pool{number}"] for number in range(1, 6)]
        assert [one.l1 for one in vgg] == [5e-5, 1e-4, 1e-4, 5e-3, 1e-2]
        assert [one.variation for one in vgg] == [1e-2, 1e-2, 1e-2, 1e-2, 1e-3]
        assert [one.side for one in vgg] == [112, 56, 28, 14, 7]

    def test_fewer_cells_never_cost_less_each_and_vary_more_freely(self):
        weights = [layer_weights(cells) for cells in range(1, 13000, 7)]
        l1, variation = [one.l1 for one in weights], [one.variation for one in weights]
        assert l1 == sorted(l1, reverse=True)
        assert variation == sorted(variation)
        assert layer_weights(1)[1:] == (1e-2, 1e-3)
        assert layer_weights(50_000)[1:] == (5e-5, 1e-2)
        assert 1e-4 < layer_weights(400).l1 < 5e-3
        assert 1e-3 < layer_weights(100).variation < 1e-2

    def test_another_input_size_goes_by_the_rule(self, networks):
        mask = LayerMask(paper_names(networks["vgg16"])["pool4"], ActivationForm(MAPS, 512, 20, 20))
        assert weights_of_layer(networks["vgg16"], mask) == layer_weights(400)


class TestSettings:
    def test_nothing_is_upsampled_blurred_or_jittered(self):
        settings = settings_on()
        scoring = bench(settings).scoring(settings)
        assert scoring.size == (12, 12)
        assert settings.grid.cells(scoring.size) == (12, 12)
        mask = masks_of(1, "space")
        assert torch.equal(settings.grid.upsampler(scoring.size, mask)(mask), mask)
        assert (settings.jitter, settings.input_noise, settings.shown) == (0, 0.0, settings.perturbations[0])

    def test_what_has_nothing_to_do_with_pixels_stays(self):
        made = bench(PRESETS["top5"])
        for name in ("fast", "preservation", "top5", "pytorch-port"):
            base = PRESETS[name]
            found = on_layer(base, made.classifier, LAYER)
            assert found.objective.game == base.objective.game
            assert (found.targets, found.optimiser) == (base.targets, base.optimiser)
            assert found.objective.names == ("score", "l1", "tv")

    def test_discs_are_measured_in_cells(self):
        start = CircularStart().scaled(LayerMask(LAYER, ActivationForm(MAPS, 6, 28, 28)).start_scale)
        assert start == CircularStart(step=1, last=22, soften=1.25)
        assert CircularStart().scaled(LayerMask(LAYER, FORM, over="channels").start_scale) == ConstantStart(
            0.5
        )
        fast = on_layer(PRESETS["fast"], bench(PRESETS["fast"]).classifier, LAYER)
        assert [retry.start.soften for retry in fast.retries] == [10 * 12 / 224] * 2

    def test_a_fully_deleted_mask_costs_the_same_over_channels_and_places(self):
        costs = []
        for over in ("space", "channels", "both"):
            settings = settings_on(over)
            mask = torch.zeros(1, *settings.perturbations[0].size)
            terms = settings.objective.terms(mask, torch.zeros(1), torch.zeros(1, dtype=torch.long))
            costs.append(float(sum(terms.values())))
        assert costs == pytest.approx([costs[0]] * 3)

    def test_the_mean_is_over_all_places_of_all_photos(self):
        made = bench(PRESETS["paper"], ranks=((0,), (0,), (0,)))
        photos = [one.photo for one in made.inputs]
        found = on_layer(PRESETS["paper"], made.classifier, OnLayer(LAYER, "mean"), photos)
        activations = np.stack([activation_of(made, row) for row in range(3)])
        assert_allclose(found.perturbations[0].value, activations.mean(axis=(0, 2, 3)), rtol=1e-6)

    @pytest.mark.parametrize(
        ("where", "says"),
        [
            (OnLayer("9"), "no layer called '9'"),
            (OnLayer("6"), "has one place and 7 channels: mask the channels"),
            (OnLayer(LAYER, "mean"), "there is none: give photos"),
        ],
    )
    def test_what_cannot_be_masked_is_refused(self, where, says):
        with pytest.raises(UnseeError, match=says):
            on_layer(PRESETS["paper"], bench(PRESETS["paper"]).classifier, where)

    @pytest.mark.parametrize("wrong", [{"value": "median"}, {"over": "time"}])
    def test_unknown_words_are_refused(self, wrong):
        with pytest.raises(UnseeError):
            OnLayer(LAYER, **wrong)

    def test_another_number_of_values_is_refused(self):
        with pytest.raises(UnseeError, match="has 6 channels, and the constant 2 values"):
            LayerMask(LAYER, FORM, value=(0.0, 1.0))

    def test_a_mask_for_another_network_is_refused(self):
        settings = settings_on()
        made = bench(settings, size=(32, 32))
        with pytest.raises(UnseeError, match=r"returned \(6, 8, 8\) for an image, and \(6, 12, 12\)"):
            made.scoring(settings)


@pytest.mark.parametrize(("channels", "tiles"), [(1, (1, 1)), (6, (2, 3)), (7, (1, 7)), (512, (16, 32))])
def test_tiles_hold_every_channel_once(channels, tiles):
    assert tiles_of(channels) == tiles
    maps = torch.rand(2, channels, 3, 5)
    matrix = tiled(maps, tiles)
    assert matrix.shape == (2, 3 * tiles[0], 5 * tiles[1])
    assert torch.equal(untiled(matrix, tiles), maps)
    assert torch.equal(matrix[:, -3:, -5:], maps[:, -1])


class TestLearned:
    @pytest.mark.parametrize("over", ["space", "channels", "both"])
    @pytest.mark.parametrize("preset", ["fast", "paper"])
    def test_a_batch_gives_what_single_images_give(self, preset, over):
        settings = on_layer(PRESETS[preset], bench(PRESETS[preset]).classifier, OnLayer(LAYER, over=over))
        settings = replace(settings, optimiser=settings.optimiser.limited(12), retries=())
        made = bench(settings, ranks=((0,), (1,), (2,)))
        together = learn_masks(made.classifier, made.requests, settings)
        for request, one in zip(made.requests, together, strict=True):
            (alone,) = learn_masks(made.classifier, [request], settings)
            assert torch.allclose(one.grid, alone.grid, rtol=0, atol=1e-9)
            assert torch.allclose(one.scores, alone.scores, rtol=0, atol=1e-9)

    def test_cut_or_whole_makes_no_difference(self, monkeypatch):
        settings = settings_on(iterations=12)
        made = bench(settings)
        cut, again = (learn_masks(made.classifier, made.requests, settings)[0] for _ in range(2))
        assert torch.equal(cut.grid, again.grid)
        monkeypatch.setattr(behind_file, "cut_at", lambda *_: None)
        (whole,) = learn_masks(made.classifier, made.requests, settings)
        assert torch.allclose(cut.grid, whole.grid, rtol=0, atol=1e-9)
        assert cut.terms == pytest.approx(whole.terms, abs=1e-9)

    def test_a_network_that_takes_one_image_at_a_time(self):
        class Alone(nn.Module):
            def __init__(self, net):
                super().__init__()
                self.net = net

            def forward(self, x):
                if len(x) != 1:
                    raise ValueError("one image, please")
                return self.net(x)

        settings = settings_on(iterations=5)
        made = bench(settings, ranks=((0,), (1,)))
        expected = learn_masks(made.classifier, made.requests, settings)
        alone = replace(made.classifier, net=Alone(made.classifier.net), mean_color=made.classifier.color)
        assert alone.reading.alone
        own = replace(settings, perturbations=(replace(settings.perturbations[0], layer=f"net.{LAYER}"),))
        for one, other in zip(learn_masks(alone, made.requests, own), expected, strict=True):
            assert torch.allclose(one.grid, other.grid, rtol=0, atol=1e-9)
            assert torch.allclose(one.scores, other.scores, rtol=0, atol=1e-9)

    @pytest.mark.parametrize("over", ["space", "channels", "both"])
    def test_the_scores_are_those_of_the_whole_network_with_the_activation_replaced(self, over):
        settings = settings_on(over, "each", iterations=6)
        made = bench(settings)
        (learned,) = learn_masks(made.classifier, made.requests, settings)
        expected = [
            literal_terms(made, 0, mask, over, "each", "deletion")[0]
            for mask in (np.ones(learned.grid.shape), learned.grid.numpy(), np.zeros(learned.grid.shape))
        ]
        assert_allclose(learned.scores, expected, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("over", ["channels", "both"])
    def test_masks_over_channels_are_shown_by_what_they_keep_at_each_place(self, over):
        settings = settings_on(over, "each", iterations=6)
        made = bench(settings)
        (learned,) = learn_masks(made.classifier, made.requests, settings)
        distance = np.abs(activation_of(made, 0) - np.array(VALUES["each"])[:, None, None])
        kept = np.stack([channel_of(learned.grid.numpy(), over, channel) for channel in range(6)])
        assert_allclose(learned.mask, (kept * distance).sum(axis=0) / distance.sum(axis=0), atol=1e-12)

    def test_where_nothing_can_be_deleted_the_plain_mean_is_shown(self):
        net = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
        with torch.no_grad():
            net[0].weight.zero_()
            net[0].bias.fill_(-1)
        classifier = Classifier(net.double(), size=(16, 16))
        mask = LayerMask("1", ActivationForm(MAPS, 4, 4, 4), over="channels")
        edit = mask.prepare(classifier, [replace(bench(PRESETS["paper"]).inputs[0], size=(16, 16))])
        grid = torch.tensor([[[0.0, 0.5], [1.0, 0.5]]], dtype=torch.float64)
        assert torch.equal(edit.on_places(grid), torch.full((1, 4, 4), 0.5, dtype=torch.float64))
