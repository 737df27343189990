"""The generated data set: reproducible, balanced, and correctly annotated."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

from unsee.datasets.menagerie import CLASSES, Menagerie, compose, contact_sheet, render
from unsee.datasets.menagerie.dice import Dice
from unsee.datasets.sample import tight_box
from unsee.errors import UnseeError

PINNED = {
    ("train", 0): "46b8ba8d0e600db5",
    ("val", 17): "065306c302791551",
    ("test", 1199): "dc4d211781444e85",
}
FEET = {
    "cat": 4,
    "crocodile": 3,
    "elephant": 4,
    "giraffe": 4,
    "ladybird": 6,
    "owl": 2,
    "penguin": 2,
    "rabbit": 3,
    "tortoise": 4,
    "zebra": 4,
}
TWO_EYED = {"butterfly", "cat", "ladybird", "owl", "penguin"}


def digest(image):
    return hashlib.sha256(image.tobytes()).hexdigest()[:16]


@pytest.fixture(scope="module")
def samples():
    return list(Menagerie("val", 36, several=0.4))


@pytest.mark.parametrize(("split", "index"), PINNED)
def test_samples_are_pinned(split, index):
    assert digest(Menagerie(split)[index].image) == PINNED[split, index]


def test_another_process_draws_the_same():
    code = (
        "import hashlib; from unsee.datasets.menagerie import Menagerie; m = Menagerie('test');"
        "print(*(hashlib.sha256(m[i].image.tobytes()).hexdigest()[:16] for i in (30, 4)))"
    )
    path = str(Path(__file__).parents[1] / "src")
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "7"},
    )
    data = Menagerie("test")
    assert run.stdout.split() == [digest(data[4 if k else 30].image) for k in range(2)]


def test_drawing_needs_no_torch():
    code = "import sys, unsee.datasets.menagerie; sys.exit('torch' in sys.modules)"
    path = str(Path(__file__).parents[1] / "src")
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})


def test_seeds_splits_and_indices_differ():
    pictures = [Menagerie("val")[0], Menagerie("val")[1], Menagerie("test")[0], Menagerie("val", seed=1)[0]]
    assert len({digest(sample.image) for sample in pictures}) == len(pictures)


def test_dice_follow_a_literal_pcg64():
    """The 53 high bits of raw words, which numpy's own Generator uses for doubles."""
    ours = Dice(5, 1, 2)
    numpys = np.random.Generator(np.random.PCG64(np.random.SeedSequence(5, spawn_key=(1, 2))))
    assert [ours.uniform(0.0, 1.0) for _ in range(5)] == numpys.random(5).tolist()
    assert sorted(ours.shuffled(9)) == list(range(9))
    draws = [ours.integer(3) for _ in range(600)]
    assert {draws.count(k) > 150 for k in range(3)} == {True}


def test_classes_are_balanced():
    data = Menagerie("train", 120, several=0.0)
    labels = [data.scene(k).animals for k in range(120)]
    for block in range(10):
        assert sorted(labels[12 * block : 12 * block + 12]) == [(k,) for k in range(12)]
    assert labels[:12] != labels[12:24]


def test_share_of_images_with_several_animals():
    data = Menagerie("train", several=0.3)
    scenes = [data.scene(k).animals for k in range(1500)]
    counts = [len(animals) for animals in scenes]
    assert counts.count(1) / 1500 == pytest.approx(0.7, abs=0.04)
    assert counts.count(2) / 1500 == pytest.approx(0.15, abs=0.03)
    assert all(len(set(animals)) == len(animals) for animals in scenes)


def test_annotations_match_their_samples(samples):
    for sample in samples:
        assert sample.image.shape == (224, 224, 3)
        assert sample.image.dtype == np.uint8
        assert sample.label == sample.instances[0].label
        assert [CLASSES[i.label] for i in sample.instances] == [i.name for i in sample.instances]
    assert {len(sample.labels) for sample in samples} == {1, 2, 3}
    assert {len(sample.things) for sample in samples} >= {0, 1, 2, 3}


def test_boxes_are_tight_and_half_open(samples):
    for instance in (i for sample in samples for i in (*sample.instances, *sample.things)):
        x0, y0, x1, y1 = instance.box
        inside = instance.segment[y0:y1, x0:x1]
        assert inside.sum() == instance.segment.sum()
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()


def test_tight_box_of_one_pixel_and_of_an_empty_mask():
    mask = np.zeros((5, 7), dtype=np.bool_)
    assert tight_box(mask) is None
    mask[3, 6] = True
    assert tight_box(mask) == (6, 3, 7, 4)


def test_segments_do_not_overlap(samples):
    for sample in samples:
        stack = np.stack([i.segment for i in (*sample.instances, *sample.things)])
        assert stack.sum(axis=0).max() <= 1


def test_keypoints_lie_inside_their_animal(samples):
    for sample in samples:
        for instance in sample.instances:
            for point in instance.keypoints:
                assert instance.segment[round(point.y), round(point.x)]


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_shows_eyes_and_feet(name):
    """Nearly all scenes show all eyes; the number of feet is the largest in eight poses."""
    pictures = [render(compose(name, seed=seed)) for seed in range(8)]
    points = [[p.kind for p in sample.instances[0].keypoints] for sample in pictures]
    eyes = 2 if name in TWO_EYED else 1
    assert max(kinds.count("eye") for kinds in points) == eyes
    assert sum(kinds.count("eye") == eyes for kinds in points) >= 7
    assert max(kinds.count("foot") for kinds in points) == FEET.get(name, 0)


def test_eyes_are_drawn_where_the_keypoints_say():
    """For nine eyes in ten the pupil is darker than the median of its animal."""
    darker = []
    for seed in range(3):
        for label, name in enumerate(CLASSES):
            sample = render(compose(name, seed=100 + seed))
            grey = sample.image.mean(axis=2)
            for point in sample.instances[0].keypoints:
                if point.kind == "eye":
                    x, y = round(point.x), round(point.y)
                    darker.append(
                        grey[y - 1 : y + 2, x - 1 : x + 2].min() < np.median(grey[sample.segment(label)])
                    )
    assert np.mean(darker) > 0.9


def test_a_composed_scene_has_the_requested_animals():
    sample = render(compose("zebra", "owl", seed=2))
    assert [i.name for i in sample.instances] == ["zebra", "owl"]
    assert sample.label == CLASSES.index("zebra")
    assert min(i.segment.sum() for i in sample.instances) > 800


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes:UserWarning")
def test_a_loader_with_workers_gives_the_same_samples():
    data = Menagerie("val", 8)
    loader = DataLoader(data, batch_size=4, num_workers=2, collate_fn=list, multiprocessing_context="spawn")
    got = [digest(sample.image) for batch in loader for sample in batch]
    assert got == [digest(sample.image) for sample in data]


def test_indices_out_of_range_are_refused():
    data = Menagerie("val", 3)
    assert data.scene(-1) == data.scene(2)
    with pytest.raises(IndexError):
        data[3]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Menagerie("dev"),
        lambda: Menagerie("val", 0),
        lambda: Menagerie("val", several=1.5),
        lambda: compose("unicorn"),
        lambda: compose("cat", "owl", "fish", "zebra"),
        lambda: contact_sheet([]),
    ],
)
def test_bad_requests_are_refused_in_one_line(make):
    with pytest.raises(UnseeError, match=r"^[^\n]+$"):
        make()


def test_contact_sheet_places_the_images(samples):
    sheet = np.asarray(contact_sheet(samples[:5], columns=3, gap=2))
    assert sheet.shape == (2 * 226 + 2, 3 * 226 + 2, 3)
    np.testing.assert_array_equal(sheet[228:452, 228:452], samples[4].image)
    assert (sheet[:, :2] == 255).all()
