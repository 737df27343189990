"""Circular starts and whole descents of the implementation against the literal version."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import against_literal as against
import literal
from nets import Bench, bench, framed
from unsee.images import Photo
from unsee.masks import PRESETS
from unsee.masks.grid import Grid, to_cells
from unsee.masks.objective import GAMES
from unsee.masks.perturbation import PERTURBATIONS
from unsee.masks.starts import CircularStart, ConstantStart, RandomStart, Started
from unsee.tensors import jitter_offsets

ITERATIONS = 20
SMALL = CircularStart(step=1)
SMALL_RADII = tuple(range(0, 171))
PRESERVATION = {**literal.PAPER, "game": "preservation", "sigma_m": 0.0}
TOP5 = {**literal.PAPER, "l1": 1e-3, "beta": 2.0}
ARTIFACT = {**literal.PAPER, "l1": 1e-5, "l2": 1e-3, "lr": 1.0}


def compare_discs(
    game="deletion",
    edits="blur",
    targets=((2,),),
    size=(48, 48),
    cell=8.0,
    seed=0,
    start=SMALL,
    radii=SMALL_RADII,
    score="softmax",
):
    """Compare circular starts; gives the radii, every one of them neither the first nor a full cover."""
    options = {**literal.PAPER, "game": game, "score": score}
    settings = against.settings_like(options, edits, cell)
    made = bench(settings, size, targets, seed=seed)
    return against.compare_start(made, settings, start, options, radii)


@pytest.mark.parametrize("game", ["deletion", "preservation"])
@pytest.mark.parametrize("edits", ["blur", "constant", "noise", "joint"])
@pytest.mark.parametrize("targets", [((2,), (5,), (0,)), ((1, 4), (3, 2, 6), (5, 0))])
def test_circular_start(game, edits, targets):
    radii = compare_discs(game, edits, targets)
    assert any(0 < radius < 34 for radius in radii)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_circular_start_on_odd_sides_where_pixels_lie_on_the_circles(game, seed):
    compare_discs(game, size=(45, 55), cell=5.0, start=CircularStart(), radii=literal.RADII, seed=seed)


def test_circular_start_of_logits():
    compare_discs(score="logits", targets=((2,), (5, 1)))


@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_authors_start_is_stretched_and_looks_at_the_first_target_alone(game):
    authors = replace(PRESETS["authors"].start, step=1)
    targets = ((2, 4, 1), (5, 0), (6, 3))
    radii = compare_discs(game, targets=targets, start=authors)
    assert radii == compare_discs(game, targets=tuple(t[:1] for t in targets), start=authors)
    assert radii != compare_discs(game, targets=targets, start=replace(authors, first_target=False))


@dataclass(frozen=True)
class TooSmall(CircularStart):
    def radii(self, size):
        return range(0, 6, 5)


@pytest.mark.parametrize("game", ["deletion", "preservation"])
@pytest.mark.parametrize("stretch", [False, True])
def test_everything_is_perturbed_where_no_disc_will_do(game, stretch):
    assert compare_discs(game, start=TooSmall(stretch=stretch), radii=(0, 5)) == [None]


@pytest.mark.parametrize("game", ["deletion", "preservation"])
@pytest.mark.parametrize("stretch", [False, True])
def test_everything_is_perturbed_where_photo_and_perturbed_photo_score_the_same(game, stretch):
    options = {**literal.PAPER, "game": game}
    settings = against.settings_like(options)
    made = bench(settings, targets=((2,), (5,)))
    flat = Photo(torch.full((3, 60, 50), 0.25), "flat", None, "0" * 64, ())
    mixed = replace(made, frames=(framed(flat, (48, 48), settings.margin), made.frames[1]))
    start = replace(SMALL, stretch=stretch)
    started = start(mixed.problem(settings), GAMES[game], (6, 6))
    assert_array_equal(started.masks[0], 0)
    mask, _, _ = against.literal_start(mixed, settings, start, options, 1, SMALL_RADII)
    assert_allclose(started.masks[1], mask, rtol=0, atol=1e-12)


def test_a_start_is_the_mean_over_each_cell_also_where_cells_are_no_whole_pixels():
    drawn = torch.from_numpy(literal.disc((45, 53), 14))
    reach = [
        np.clip(np.arange(n)[None] + 1 - np.linspace(0, n, k + 1)[:, None], 0, 1)
        for n, k in ((45, 6), (53, 7))
    ]
    rows, columns = (weights[:-1] - weights[1:] for weights in reach)
    mean = rows @ drawn.numpy() @ columns.T * (6 * 7) / (45 * 53)
    assert_allclose(to_cells(drawn, (6, 7)), mean, rtol=0, atol=0.02)


def shortened(name, **changes):
    """A preset with 20 iterations and discs in steps of one pixel."""
    preset = PRESETS[name]
    adam = replace(preset.adam, iterations=ITERATIONS)
    start = replace(preset.start, step=1) if isinstance(preset.start, CircularStart) else preset.start
    return replace(preset, **{"adam": adam, "start": start, **changes})


def per_cells(options, count):
    """Scale the sum of eq. (4) to a number of cells other than 28 by 28."""
    return {**options, "l1": options["l1"] * 784 / count}


def compare_preset(
    name="paper",
    options=literal.PAPER,
    targets=((2,),),
    size=(48, 48),
    seed=0,
    activation="smooth",
    **changes,
):
    """Learn with a preset and with the literal version, both from the literal version's circular start."""
    settings = shortened(name, **changes)
    cells = settings.grid.cells(size)
    options = per_cells(options, cells[0] * cells[1])
    made = bench(settings, size, targets, activation, seed)
    starts = [
        against.literal_start(made, settings, settings.start, options, row, SMALL_RADII)[0]
        for row in range(len(targets))
    ]
    return against.compare_learning(made, settings, options, starts)


@pytest.mark.parametrize("activation", ["smooth", "relu"])
@pytest.mark.parametrize("size", [(48, 48), (40, 56)])
def test_paper(activation, size):
    learned = compare_preset(activation=activation, size=size)
    assert learned.history.shape == (ITERATIONS, 3, 1)


@pytest.mark.parametrize("size", [(48, 48), (40, 56)])
def test_preservation(size):
    compare_preset("preservation", PRESERVATION, size=size)


@pytest.mark.parametrize("edits", ["blur", "constant", "black", "noise", "uniform-noise", "median", "joint"])
@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_each_perturbation(game, edits):
    options = {"deletion": literal.PAPER, "preservation": PRESERVATION}[game]
    compare_preset(PRESET_OF[game], options, perturbations=PERTURBATIONS[edits], seed=4)


PRESET_OF = {"deletion": "paper", "preservation": "preservation"}


@pytest.mark.parametrize("name", ["top5", "artifact-joint", "artifact-constant"])
def test_presets_of_several_classes(name):
    options = {"top5": TOP5, "artifact-joint": ARTIFACT, "artifact-constant": literal.PAPER}[name]
    compare_preset(name, options, targets=((4, 0, 2, 6, 1),), seed=2)


@pytest.mark.parametrize("targets", [((2,),), ((4, 1, 0),)])
@pytest.mark.parametrize("size", [(48, 48), (40, 56)])
def test_authors(targets, size):
    compare_preset("authors", literal.AUTHORS, targets, size)


def compare_port(iterations=ITERATIONS, targets=((2,), (5,)), shape=(6, 7)):
    """The PyTorch port's preset on a smaller grid, from a mask of ones."""
    settings = shortened("pytorch-port", grid=replace(PRESETS["pytorch-port"].grid, shape=shape))
    settings = replace(settings, adam=replace(settings.adam, iterations=iterations))
    made = bench(settings, (45, 53), targets, seed=3)
    against.compare_learning(made, settings, literal.PORT, [np.ones(shape)] * len(targets))


def test_pytorch_port():
    compare_port()


def test_pytorch_port_on_its_own_grid():
    compare_port(iterations=4, targets=((2,),), shape=PRESETS["pytorch-port"].grid.shape)


def from_own_start(settings, options, size, targets, seed=0, activation="smooth"):
    """Compare descents from the implementation's own start, which is compared elsewhere or not at all."""
    made = bench(settings, size, targets, activation, seed)
    cells = settings.grid.cells(size)
    started: Started = settings.start(made.problem(settings), settings.objective.game, cells)
    return against.compare_learning(made, settings, options, list(started.masks.numpy()))


@pytest.mark.parametrize("size", [(45, 53), (38, 60)])
def test_alexnets_cells_are_no_whole_pixels_and_keep_their_l1(size):
    settings = shortened("alexnet")
    assert settings.grid.cells((227, 227)) == (30, 30)
    from_own_start(settings, literal.PAPER, size, ((2,),))


@pytest.mark.parametrize("start", [ConstantStart(0.0), ConstantStart(0.5), ConstantStart(1.0), RandomStart()])
def test_other_starts_and_logits_and_bilinear_cells(start):
    objective = replace(PRESETS["paper"].objective, score=against.SCORES["logit"])
    settings = shortened("paper", start=start, objective=objective, grid=Grid(upsampling="bilinear", cell=6.0))
    options = per_cells({**literal.PAPER, "score": "logits", "upsampling": "bilinear"}, 8 * 6)
    from_own_start(settings, options, (48, 38), ((2, 3), (1,)))


BATCH = ((2,), (5, 1), (0, 6, 3))


@pytest.mark.parametrize(
    ("name", "options"),
    [("paper", literal.PAPER), ("preservation", PRESERVATION), ("authors", literal.AUTHORS)],
)
@pytest.mark.parametrize("edits", ["blur", "joint"])
def test_each_image_of_a_batch_is_what_it_would_be_alone(name, options, edits):
    together = compare_preset(name, options, BATCH, perturbations=PERTURBATIONS[edits])
    settings = shortened(name, perturbations=PERTURBATIONS[edits])
    made = bench(settings, targets=BATCH)
    for row in range(3):
        alone: Bench = replace(made, frames=made.frames[row : row + 1], targets=made.targets[row : row + 1])
        learned = against.learn(alone.classifier, alone.frames, alone.targets, alone.classes, settings)
        assert_allclose(learned.grids[0], together.grids[row], rtol=0, atol=1e-10)
        assert_allclose(learned.history[:, :, 0], together.history[:, :, row], rtol=0, atol=1e-10)


def test_jitter_takes_every_place_alike_and_hangs_on_the_seed_alone():
    draws = jitter_offsets([3, 8], 4000, 4)
    assert_array_equal(jitter_offsets([8], 4000, 4)[:, 0], draws[:, 1])
    assert_array_equal(jitter_offsets([8], 20, 4)[:, 0], draws[:20, 1])
    places = np.bincount((4 * draws[:, 0, 0] + draws[:, 0, 1]).numpy(), minlength=16)
    assert len(places) == 16
    assert np.abs(places - 250).max() < 80
    assert bool((draws[:, 0] != draws[:, 1]).any())
    assert not bool(jitter_offsets([3], 50, 0).any())
