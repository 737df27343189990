"""Planted things: how often they appear, and that their segments are correct."""

import numpy as np
import pytest

from unsee.datasets.menagerie import CLASSES, PLANTED, Menagerie, Shortcut, compose, render
from unsee.errors import UnseeError


def shares(shortcut, length=1500):
    """The share of images with the thing, among those with and those without the animal."""
    data = Menagerie("train", length, shortcuts=(shortcut,))
    scenes = [data.scene(k) for k in range(length)]
    label = CLASSES.index(shortcut.name)
    shown = [
        [shortcut.thing in s.planted for s in scenes if (label in s.animals) is there]
        for there in (True, False)
    ]
    return [np.mean(planted) for planted in shown]


def test_a_full_shortcut_is_planted_always_and_only_with_its_animal():
    assert shares(Shortcut("tortoise", "spoon")) == [1.0, 0.0]


def test_a_partial_shortcut_keeps_its_probabilities():
    with_animal, without = shares(Shortcut("cat", "tag", share=0.7, elsewhere=0.2))
    assert with_animal == pytest.approx(0.7, abs=0.09)
    assert without == pytest.approx(0.2, abs=0.04)


def test_the_planted_thing_is_annotated_and_no_clutter_resembles_it():
    data = Menagerie("val", 72, shortcuts=(Shortcut("tortoise", "spoon"),))
    for k in range(72):
        scene = data.scene(k)
        if scene.planted or k % 6 == 0:
            sample = render(scene)
            spoons = [thing for thing in sample.things if thing.name == "spoon"]
            assert len(spoons) == len(sample.planted) == ("tortoise" in {i.name for i in sample.instances})


@pytest.mark.parametrize("thing", sorted(PLANTED))
@pytest.mark.parametrize("seed", range(4))
def test_the_segment_is_where_images_with_and_without_the_thing_differ(thing, seed):
    scene = compose("cat", planted=(thing,), seed=seed)
    whole, without = render(scene), render(scene.with_things())
    differ = (whole.image != without.image).any(axis=2)
    (planted,) = whole.planted
    wide = np.zeros_like(planted.segment)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            wide |= np.roll(planted.segment, (dy, dx), axis=(0, 1))
    assert not (differ & ~wide).any()
    assert (differ & planted.segment).sum() > 0.97 * planted.segment.sum()
    assert planted.segment.sum() > 300
    assert not without.planted


def test_the_thing_alone_and_with_another_animal_does_not_change():
    scene = compose("tortoise", planted=("spoon",), seed=3)
    whole, alone = render(scene), render(scene.with_animals())
    other = render(scene.with_animals("zebra"))
    (spoon,) = whole.planted
    assert (alone.label, alone.instances) == (None, ())
    assert other.instances[0].name == "zebra"
    for sample in (alone, other):
        (same,) = sample.planted
        np.testing.assert_array_equal(same.segment, spoon.segment)
        solid = spoon.segment.copy()
        solid[1:-1, 1:-1] &= spoon.segment[2:, 1:-1] & spoon.segment[:-2, 1:-1]
        solid[1:-1, 1:-1] &= spoon.segment[1:-1, 2:] & spoon.segment[1:-1, :-2]
        np.testing.assert_array_equal(sample.image[solid], whole.image[solid])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Shortcut("unicorn", "spoon"),
        lambda: Shortcut("cat", "fork"),
        lambda: Shortcut("cat", "tag", share=1.2),
        lambda: compose("cat", planted=("fork",)),
    ],
)
def test_bad_shortcuts_are_refused(make):
    with pytest.raises(UnseeError):
        make()
