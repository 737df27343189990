"""Circular starts and whole descents of the implementation, compared with the literal version."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import against_literal as against
import literal
from nets import Bench, bench, input_of
from unsee.images import Photo
from unsee.masks import PRESETS
from unsee.masks.edits.perturbation import PERTURBATIONS
from unsee.masks.game import GAMES
from unsee.masks.grid import Grid, to_cells
from unsee.masks.starts import CircularStart, ConstantStart, RandomStart
from unsee.tensors import jitter_offsets

ITERATIONS = 20
SMALL = CircularStart(step=2)
SMALL_RADII = tuple(range(0, 171, 2))
PRESERVATION = {**literal.PAPER, "game": "preservation", "sigma_m": 0.0}
PLAYED = {"deletion": ("paper", literal.PAPER), "preservation": ("preservation", PRESERVATION)}
TOP5 = {**literal.PAPER, "l1": 1e-3, "beta": 2.0}
ARTIFACT = {**literal.PAPER, "l1": 1e-5, "l2": 1e-3, "lr": 1.0}


def compare_discs(
    game="deletion",
    edits="blur",
    ranks=((0,),),
    size=(48, 48),
    cell=8.0,
    seed=0,
    start=SMALL,
    radii=SMALL_RADII,
    score="softmax",
):
    """Compare circular starts; return the radii."""
    options = {**literal.PAPER, "game": game, "score": score}
    settings = against.settings_like(options, edits, cell)
    made = bench(settings, size, ranks, seed=seed)
    return against.compare_start(made, settings, start, options, radii)


@pytest.mark.parametrize("game", ["deletion", "preservation"])
@pytest.mark.parametrize("edits", ["blur", "constant", "noise", "joint"])
@pytest.mark.parametrize("ranks", [((0,), (1,), (2,)), ((0, 4), (1, 2, 6), (5, 0))])
def test_circular_start(game, edits, ranks):
    radii = compare_discs(game, edits, ranks)
    assert 0 < min(radii) < (25 if game == "deletion" else 34), "some discs must not cover everything"


@pytest.mark.parametrize("step", [1, 5])
@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_circular_start_on_odd_sides_where_pixels_lie_on_the_circles(game, step):
    radii, start = tuple(range(0, 171, step)), CircularStart(step=step)
    compare_discs(game, "noise", ((0,), (1,), (2,)), (45, 55), 5.0, seed=1, start=start, radii=radii)


@pytest.mark.parametrize("game", ["deletion", "preservation"])
@pytest.mark.parametrize("edits", ["blur", "joint"])
def test_evaluations_count_both_ends_each_disc_and_each_step(game, edits):
    name, options = PLAYED[game]
    settings = shortened(name, perturbations=PERTURBATIONS[edits])
    against.compare_evaluations(bench(settings, ranks=((0,), (1, 2))), settings, options)


def test_circular_start_of_logits():
    compare_discs(score="logits", ranks=((0,), (2, 1)))


@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_authors_start_is_stretched_and_scores_only_the_first_target(game):
    authors = replace(PRESETS["authors"].start, step=2)
    ranks = ((0, 4, 1), (1, 0), (2, 3))
    radii = compare_discs(game, ranks=ranks, start=authors)
    assert radii == compare_discs(game, ranks=tuple(t[:1] for t in ranks), start=authors)
    assert radii != compare_discs(game, ranks=ranks, start=replace(authors, first_target=False))


@dataclass(frozen=True)
class TooSmall(CircularStart):
    def radii(self, size):
        return range(0, 6, 5)


@pytest.mark.parametrize("game", ["deletion", "preservation"])
@pytest.mark.parametrize("stretch", [False, True])
def test_everything_is_perturbed_if_no_disc_is_enough(game, stretch):
    assert compare_discs(game, start=TooSmall(stretch=stretch), radii=(0, 5)) == [None]


@pytest.mark.parametrize("game", ["deletion", "preservation"])
@pytest.mark.parametrize("stretch", [False, True])
def test_everything_is_perturbed_if_photo_and_perturbed_photo_have_the_same_score(game, stretch):
    options = {**literal.PAPER, "game": game}
    settings = against.settings_like(options)
    made = bench(settings, ranks=((0,), (1,)))
    flat = Photo(torch.full((3, 60, 50), 0.25), "flat", None, "0" * 64, ())
    mixed = replace(made, inputs=(input_of(flat, (48, 48), settings.margin), made.inputs[1]))
    start = replace(SMALL, stretch=stretch)
    started = start(mixed.scoring(settings), GAMES[game], (6, 6))
    assert_array_equal(started.masks[0], 0)
    mask, _, _ = against.literal_start(mixed, settings, start, options, 1, SMALL_RADII)
    assert_allclose(started.masks[1], mask, rtol=0, atol=1e-12)


def test_a_start_is_the_mean_over_each_cell_even_if_cells_are_not_whole_pixels():
    drawn = torch.from_numpy(literal.disc((45, 53), 14))
    reach = [
        np.clip(np.arange(n)[None] + 1 - np.linspace(0, n, k + 1)[:, None], 0, 1)
        for n, k in ((45, 6), (53, 7))
    ]
    rows, columns = (weights[:-1] - weights[1:] for weights in reach)
    mean = rows @ drawn.numpy() @ columns.T * (6 * 7) / (45 * 53)
    assert_allclose(to_cells(drawn, (6, 7)), mean, rtol=0, atol=0.02)


def shortened(name, **changes):
    """A preset with 20 iterations and discs in steps of two pixels."""
    preset = PRESETS[name]
    start = replace(preset.start, step=2) if isinstance(preset.start, CircularStart) else preset.start
    return replace(preset, **{"optimiser": preset.optimiser.limited(ITERATIONS), "start": start, **changes})


def per_cells(options, count):
    """Options with λ1 of eq. (4) scaled to a number of cells other than 28 by 28."""
    return {**options, "l1": options["l1"] * 784 / count}


def compare_preset(
    name="paper",
    options=literal.PAPER,
    ranks=((0,),),
    size=(48, 48),
    seed=0,
    activation="smooth",
    full=False,
    iterations=ITERATIONS,
    **changes,
):
    """Compare a preset's circular start and the descent from it."""
    settings = shortened(name, **changes)
    settings = replace(settings, optimiser=settings.optimiser.limited(iterations))
    cells = settings.grid.cells(size)
    options = per_cells(options, cells[0] * cells[1])
    made = bench(settings, size, ranks, activation, seed)
    against.compare_start(made, settings, settings.start, options, SMALL_RADII)
    return against.compare_learning(made, settings, options, full)


@pytest.mark.parametrize("activation", ["smooth", "relu"])
@pytest.mark.parametrize("size", [(48, 48), (40, 56)])
def test_paper(activation, size):
    learned = compare_preset(activation=activation, size=size, full=True)
    lengths = [{name: len(values) for name, values in one.history.items()} for one in learned]
    assert lengths == [{"score": ITERATIONS, "l1": ITERATIONS, "tv": ITERATIONS}]


@pytest.mark.parametrize("size", [(48, 48), (40, 56)])
def test_preservation(size):
    compare_preset("preservation", PRESERVATION, size=size, full=True)


@pytest.mark.parametrize("edits", ["blur", "constant", "black", "noise", "uniform-noise", "median", "joint"])
@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_each_perturbation(game, edits):
    name, options = PLAYED[game]
    compare_preset(name, options, perturbations=PERTURBATIONS[edits], seed=4)


@pytest.mark.parametrize("name", ["top5", "artifact-joint", "artifact-constant"])
def test_presets_of_several_classes(name):
    options = {"top5": TOP5, "artifact-joint": ARTIFACT, "artifact-constant": literal.PAPER}[name]
    compare_preset(name, options, ranks=((0, 1, 2, 3, 4),), seed=2, full=True)


@pytest.mark.parametrize("ranks", [((0,),), ((0, 1, 2),)])
@pytest.mark.parametrize("size", [(48, 48), (40, 56)])
def test_authors(ranks, size):
    compare_preset("authors", literal.AUTHORS, ranks, size, full=True)


def compare_port(iterations=ITERATIONS, ranks=((0,), (1,)), shape=(6, 7)):
    """Compare the PyTorch port's preset on a smaller grid, from a mask of ones."""
    settings = shortened("pytorch-port", grid=replace(PRESETS["pytorch-port"].grid, shape=shape))
    settings = replace(settings, optimiser=settings.optimiser.limited(iterations))
    made = bench(settings, (45, 53), ranks, seed=3)
    assert_array_equal(settings.start(made.scoring(settings), settings.objective.game, shape).masks, 1)
    against.compare_learning(made, settings, literal.PORT, full=True)


def test_pytorch_port():
    compare_port()


def test_pytorch_port_on_its_own_grid():
    compare_port(iterations=4, ranks=((0,),), shape=(28, 28))


def compare_other(settings, options, size, ranks):
    """Compare descents from a start that the literal version does not have."""
    return against.compare_learning(bench(settings, size, ranks), settings, options)


@pytest.mark.parametrize("size", [(45, 53), (38, 60)])
def test_alexnets_cells_are_not_whole_pixels_and_keep_their_l1(size):
    settings = shortened("alexnet")
    assert settings.grid.cells((227, 227)) == (30, 30)
    compare_other(settings, literal.PAPER, size, ((0,),))


@pytest.mark.parametrize("start", [ConstantStart(0.0), ConstantStart(0.5), ConstantStart(1.0), RandomStart()])
def test_other_starts_and_logits_and_bilinear_cells(start):
    objective = replace(PRESETS["paper"].objective, score=against.SCORES["logit"])
    settings = shortened(
        "paper", start=start, objective=objective, grid=Grid(upsampling="bilinear", cell=6.0)
    )
    options = per_cells({**literal.PAPER, "score": "logits", "upsampling": "bilinear"}, 8 * 6)
    compare_other(settings, options, (48, 38), ((0, 3), (1,)))


BATCH = ((0,), (1, 0), (2, 6, 3))


@pytest.mark.parametrize(
    ("name", "options", "edits"),
    [
        ("paper", literal.PAPER, "joint"),
        ("preservation", PRESERVATION, "constant"),
        ("authors", literal.AUTHORS, "blur"),
    ],
)
def test_each_image_of_a_batch_gives_what_it_gives_alone(name, options, edits):
    together = compare_preset(name, options, BATCH, perturbations=PERTURBATIONS[edits])
    settings = shortened(name, perturbations=PERTURBATIONS[edits])
    made = bench(settings, ranks=BATCH)
    _, ends = against.learned_with_last(made, settings)
    for row in range(3):
        alone: Bench = replace(made, inputs=made.inputs[row : row + 1], targets=made.targets[row : row + 1])
        (learned,), (last,) = against.learned_with_last(alone, settings)
        assert_allclose(last, ends[row], rtol=0, atol=1e-10)
        assert_allclose(learned.grid, together[row].grid, rtol=0, atol=1e-10)
        assert list(learned.history) == list(together[row].history)
        histories = [list(one.history.values()) for one in (learned, together[row])]
        assert_allclose(*histories, rtol=0, atol=1e-10)


def test_jitter_is_uniform_and_depends_only_on_the_seed():
    draws = jitter_offsets([3, 8], 4000, 4)
    assert_array_equal(jitter_offsets([8], 4000, 4)[:, 0], draws[:, 1])
    assert_array_equal(jitter_offsets([8], 20, 4)[:, 0], draws[:20, 1])
    places = np.bincount((4 * draws[:, 0, 0] + draws[:, 0, 1]).numpy(), minlength=16)
    assert len(places) == 16
    assert np.abs(places - 250).max() < 80
    assert bool((draws[:, 0] != draws[:, 1]).any())
    assert not bool(jitter_offsets([3], 50, 0).any())
