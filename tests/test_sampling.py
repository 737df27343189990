"""A sample: images drawn at random with a seed, in Python, in stores, experiments and reproductions."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

import unsee
from command_line import refused
from data_sets import LAYOUTS, write_picture
from experiment_data import drawn, small_network
from pictures import BRIEF, Pictures, content, network
from unsee.cli import experiment as command
from unsee.datasets import Dataset, open_dataset
from unsee.datasets.selection import sampled
from unsee.errors import UnseeError
from unsee.experiments import reproduction
from unsee.experiments.catalogue import EXPERIMENTS
from unsee.experiments.result_folder import FolderTakenError
from unsee.runs.engines.local import PartWritten
from unsee.runs.store import Store

COUNT = 30
SMALL = replace(network(), class_names=None)
CENTER = ("--target", "predicted", "--methods", "center")


def ids_of(dataset):
    return [dataset.id(number) for number in range(len(dataset))]


def quick(folder, pictures=None, method="mask", **options):
    data = Pictures(COUNT) if pictures is None else pictures
    own = {"preset": BRIEF} if method == "mask" else {}
    return unsee.learn(network(), data, folder, method=method, part_size=4, batch_size=4, **own, **options)


def ids_in(store):
    return [row["id"] for row in store.rows(maps=False)]


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*")}


@pytest.fixture
def sorted_folder(tmp_path):
    """Ten classes of twenty images, class by class."""
    for number in range(200):
        name = f"{number // 20:02d}/{number % 20:02d}.png"
        write_picture(tmp_path / "pictures" / name, number, width=32, height=32)
    return f"imagefolder:{tmp_path / 'pictures'}"


class TestSelection:
    def test_the_order_is_the_same_everywhere(self):
        assert list(sampled(Pictures(10), 0).numbers) == [1, 3, 8, 6, 2, 0, 7, 5, 4, 9]
        assert list(sampled(Pictures(10), 1).numbers) == [5, 3, 2, 8, 7, 0, 1, 4, 9, 6]

    @pytest.mark.parametrize("seed", [0, 1, 7, 2**70])
    def test_a_sample_begins_with_the_smaller_ones_and_repeats_nothing(self, seed):
        data = Pictures(500)
        whole = ids_of(sampled(data, seed))
        assert sorted(whole) == ids_of(data)
        for n in (1, 99, 100, 200, 500):
            assert ids_of(sampled(data, seed, n)) == whole[:n]
        assert ids_of(sampled(data, seed, 501)) == whole
        assert data.read == []

    def test_seeds_draw_other_images_from_the_whole_data_set(self):
        draws = [set(sampled(Pictures(1000), seed, 50).numbers) for seed in range(40)]
        assert len(set(map(frozenset, draws))) == 40
        assert len(draws[0] & draws[1]) < 15
        places = np.concatenate([list(one) for one in draws])
        assert abs(places.mean() - 499.5) < 4 * 289 / len(places) ** 0.5
        assert np.histogram(places, 10, (0, 1000))[0].min() > 140

    def test_a_sorted_folder_is_sampled_from_all_classes(self, sorted_folder):
        first = open_dataset(sorted_folder, limit=50)
        sample = open_dataset(sorted_folder).sample(50)
        assert len({first.labels(number) for number in range(50)}) == 3
        for seed in range(5):
            sample = open_dataset(sorted_folder).sample(50, seed)
            assert len({sample.labels(number) for number in range(50)}) >= 8

    def test_classes_are_chosen_before(self, sorted_folder):
        chosen = open_dataset(sorted_folder, classes=["02", "07"])
        sample = chosen.sample(10, 3)
        assert {sample.labels(number) for number in range(10)} == {(2,), (7,)}
        assert sample.described == {**chosen.described, "sample_seed": 3}
        assert repr(sample).endswith("['02', '07'], a sample with seed 3: 10 images>")

    @pytest.mark.parametrize("kind", [*LAYOUTS, "menagerie"])
    def test_every_kind_is_sampled(self, kind, tmp_path):
        name, split = ("menagerie", "val") if kind == "menagerie" else LAYOUTS[kind](tmp_path)
        whole = open_dataset(name, split)
        sample = pickle.loads(pickle.dumps(whole.sample(2, 5)))
        assert isinstance(sample, Dataset)
        assert len(sample) == 2
        assert sample.classes == whole.classes
        for number in range(2):
            place = ids_of(whole).index(sample.id(number))
            assert sample.labels(number) == whole.labels(place)
            assert np.array_equal(sample[number].image, whole[place].image)
            assert sample[number].id == sample.id(number)

    def test_what_is_no_sample_is_refused(self):
        data = open_dataset("menagerie")
        for n in (0, -1, True):
            with pytest.raises(UnseeError, match="give a whole number, at least 1"):
                data.sample(n)
        with pytest.raises(
            UnseeError, match="the seed of a sample must be a whole number, at least 0, got -1"
        ):
            data.sample(3, -1)
        with pytest.raises(UnseeError, match="is a sample already"):
            data.sample(10).sample(3)


class TestStore:
    def test_only_the_chosen_images_are_read_each_once(self, tmp_path):
        data = Pictures(COUNT)
        store = quick(tmp_path / "s", data, "gradient", sample=7, seed=4)
        wanted = sampled(Pictures(COUNT), 4, 7)
        assert ids_in(store) == ids_of(wanted)
        assert set(data.read) == set(wanted.numbers)
        assert store.manifest["sample"] == {"n": 7, "seed": 4}
        assert store.manifest["settings"]["data"]["sample_seed"] == 4
        assert store.manifest["settings"]["data"]["pictures"] == COUNT

    def test_a_stopped_run_ends_as_an_undisturbed_one(self, tmp_path):
        whole = content(quick(tmp_path / "whole", sample=10))

        def stop(event):
            if isinstance(event, PartWritten):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            quick(tmp_path / "cut", sample=10, progress=stop)
        before = times(tmp_path / "cut")
        assert len(before) == 1
        assert content(quick(tmp_path / "cut", sample=10)) == whole
        assert before.items() <= times(tmp_path / "cut").items()
        assert len(whole) == 10

    def test_a_larger_sample_continues_and_a_smaller_one_finds_nothing_to_do(self, tmp_path):
        quick(tmp_path / "s", method="gradient", sample=6)
        before = times(tmp_path / "s")
        larger = quick(tmp_path / "s", method="gradient", sample=12)
        assert content(larger) == content(quick(tmp_path / "fresh", method="gradient", sample=12))
        assert ids_in(larger) == ids_of(sampled(Pictures(COUNT), 0, 12))
        after = times(tmp_path / "s")
        assert len(before.items() & after.items()) == 1
        smaller = quick(tmp_path / "s", method="gradient", sample=5)
        assert times(tmp_path / "s") == after
        assert smaller.manifest["sample"] == {"n": 12, "seed": 0}
        whole = quick(tmp_path / "s", method="gradient", sample=1000)
        assert len(whole) == COUNT
        assert whole.manifest["sample"] == {"n": COUNT, "seed": 0}

    @pytest.mark.parametrize(
        ("first", "then", "says"),
        [
            ({"sample": 3}, {"sample": 3, "seed": 1}, r"data.sample_seed: 0 → 1"),
            ({"sample": 3}, {"limit": 3}, r"data.sample_seed: 0 → none"),
            ({"limit": 3}, {"sample": 3}, r"data.sample_seed: none → 0"),
        ],
    )
    def test_another_selection_is_refused(self, first, then, says, tmp_path):
        before = content(quick(tmp_path / "s", method="gradient", **first))
        with pytest.raises(UnseeError, match=rf"has other settings \({says}\): give the same") as found:
            quick(tmp_path / "s", method="gradient", **then)
        assert "\n" not in str(found.value)
        assert content(Store.open(tmp_path / "s")) == before

    def test_a_limit_and_a_sample_are_refused_together(self, tmp_path):
        for call in (
            lambda: quick(tmp_path / "s", limit=3, sample=3),
            lambda: unsee.run_experiment("minimality", SMALL, drawn(), limit=3, sample=3),
            lambda: unsee.reproduce(SMALL, drawn(), limit=3, sample=3, out=tmp_path / "s"),
        ):
            with pytest.raises(UnseeError, match=r"^give --limit or --sample, not both$"):
                call()
        assert not (tmp_path / "s").exists()
        with pytest.raises(UnseeError, match="the sample must be a whole number, at least 1, got 0"):
            quick(tmp_path / "s", sample=0)


class TestLearnCommand:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        """The command loads a small network."""
        monkeypatch.setattr("unsee.cli.parsing.load", lambda name, weights=None, device="auto": network())

    def learn(self, run, data, *options):
        return run(
            "learn", data, "--model", "tiny", "--method", "center", "--target", "0", "--out", "maps", *options
        )

    def test_a_sample_of_a_sorted_folder(self, run, sorted_folder, tmp_path):
        found = self.learn(run, sorted_folder, "--sample", 20, "--seed", 2, "--json")
        assert found.code == 0, found.err
        printed = json.loads(found.out)
        assert printed["sample"] == {"n": 20, "seed": 2}
        assert (printed["rows"], printed["rows_wanted"]) == (20, 20)
        store = Store.open(tmp_path / "maps")
        assert ids_in(store) == ids_of(open_dataset(sorted_folder).sample(20, 2))
        assert len({row["label"] for row in store.rows(maps=False)}) > 5
        more = self.learn(run, sorted_folder, "--sample", 40, "--seed", 2)
        assert "40 of 40" in more.err
        assert "40 images, drawn with seed 2" in run("status", "maps").err
        assert json.loads(run("status", "maps", "--json").out)["sample"] == {"n": 40, "seed": 2}
        assert run("show", "maps", "--out", "shown.png").code == 0

    def test_what_is_refused(self, run, sorted_folder):
        refused(
            self.learn(run, sorted_folder, "--sample", 5, "--limit", 5), "give --limit or --sample, not both"
        )
        assert self.learn(run, sorted_folder, "--sample", 5).code == 0
        refused(self.learn(run, sorted_folder, "--sample", 5, "--seed", 3), "data.sample_seed: 0 → 3")
        refused(self.learn(run, sorted_folder, "--limit", 5), "data.sample_seed: 0 → none")
        assert self.learn(run, sorted_folder, "--sample", 0).code == 2

    def test_a_sample_larger_than_the_data_set_is_all_of_it(self, run, sorted_folder):
        found = self.learn(run, sorted_folder, "--classes", "01", "--sample", 50)
        assert found.code == 0
        assert "--sample 50 takes all images: there are 20" in found.err
        assert "20 images, drawn with seed 0" in found.err


class TestExperiment:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        """The command loads a small network and a small data set."""
        monkeypatch.setattr(command, "load_models", lambda models, weights, device, network: (SMALL,))
        monkeypatch.setattr(unsee, "open_dataset", lambda name, split, classes: drawn())

    def test_a_larger_sample_continues_and_is_as_if_it_was_run_at_once(self, run, tmp_path):
        options = (*CENTER, "--seed", 1)
        assert run("experiment", "minimality", *options, "--sample", 4, "--out", "out").code == 0
        record = tmp_path / "out" / "experiment.json"
        assert json.loads(record.read_text())["sample"] == {"n": 4, "seed": 1}
        found = run("experiment", "minimality", *options, "--sample", 9, "--out", "out", "--json")
        assert found.code == 0, found.err
        assert json.loads(record.read_text())["sample"] == {"n": 9, "seed": 1}
        at_once = run("experiment", "minimality", *options, "--sample", 9, "--out", "fresh", "--json")
        assert json.loads(found.out) == json.loads(at_once.out)
        (store,) = (tmp_path / "out" / "maps").iterdir()
        assert ids_in(Store.open(store)) == ids_of(sampled(drawn(), 1, 9))

    def test_only_images_of_the_sample_are_measured(self, tmp_path):
        call = {"methods": ["center"], "target": "predicted", "sample": 5, "seed": 2}
        found = unsee.run_experiment("minimality", SMALL, drawn(), **call, out=tmp_path / "out")
        assert {record["id"] for record in found.records} == set(ids_of(sampled(drawn(), 2, 5)))

    def test_other_selections_are_refused(self, run):
        options = (*CENTER, "--out", "out")
        both = run("experiment", "minimality", *options, "--limit", 3, "--sample", 3)
        refused(both, "give --limit or --sample, not both")
        assert run("experiment", "minimality", *options, "--sample", 3).code == 0
        other = run("experiment", "minimality", *options, "--sample", 3, "--seed", 1)
        assert other.code == 2
        assert "data.sample_seed: 0 → 1" in other.err
        assert "data.sample_seed: 0 → none" in run("experiment", "minimality", *options, "--limit", 3).err
        assert (
            "--sample 99 takes all images: there are 24"
            in run("experiment", "minimality", *CENTER, "--out", "all", "--sample", 99).err
        )

    def test_existing_maps_of_all_images_serve_a_sample_of_one_seed(self, tmp_path):
        unsee.learn(SMALL, drawn(), tmp_path / "maps", method="gradient", target="predicted")
        call = {"methods": [], "masks": [tmp_path / "maps"], "target": "predicted", "out": tmp_path / "out"}

        def sample(n, seed):
            return unsee.run_experiment("minimality", SMALL, drawn(), **call, sample=n, seed=seed)

        found = sample(4, 0)
        assert {record["id"] for record in found.records} == set(ids_of(sampled(drawn(), 0, 4)))
        with pytest.raises(FolderTakenError, match=r"another experiment \(sample.seed: 0 → 1\)"):
            sample(4, 1)
        with pytest.raises(FolderTakenError, match=r"sample.seed: 0 → none"):
            unsee.run_experiment("minimality", SMALL, drawn(), **call, limit=4)
        assert len({record["id"] for record in sample(6, 0).records}) == 6


class TestReproduce:
    NETWORKS = (small_network("unsee:menagerie"), small_network("unsee:menagerie-shortcut"))

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        """The command loads small networks and a small data set, and runs two experiments."""
        monkeypatch.setattr(command, "load_models", lambda models, weights, device, network: self.NETWORKS)
        monkeypatch.setattr(unsee, "open_dataset", lambda name, split, classes: drawn())
        chosen = {name: EXPERIMENTS[name] for name in ("minimality", "adversarial")}
        monkeypatch.setattr(reproduction, "EXPERIMENTS", chosen)

    def test_the_page_is_of_the_sample_and_says_how_to_draw_it_again(self, run, tmp_path):
        options = ("--methods", "center", "--few", 4, "--out", "out")
        found = run("reproduce", *options, "--sample", 6, "--seed", 3)
        assert found.code == 0, found.err
        text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
        assert "6 images, drawn at random with seed 3, 4 for experiments that learn many masks" in text
        for name, n in (("minimality", 6), ("adversarial", 4)):
            line = text[text.index(f"unsee experiment {name} ") :].partition("<")[0]
            assert f"--sample {n} " in line
            assert "--seed 3 " in line
            assert "--limit" not in line
            kept = json.loads((tmp_path / "out" / name / "experiment.json").read_text())
            assert kept["sample"] == {"n": n, "seed": 3}
        stores = [Store.open(path) for path in (tmp_path / "out" / "maps").iterdir()]
        assert {tuple(ids_in(store)) for store in stores} == {
            tuple(ids_of(sampled(drawn(), 3, n))) for n in (6, 4)
        }
        other = run("reproduce", *options, "--sample", 6, "--seed", 4)
        assert other.code == 2
        assert "data.sample_seed: 3 → 4" in other.err

    def test_a_limit_and_a_sample_are_refused_together(self, run):
        refused(run("reproduce", "--limit", 3, "--sample", 3), "give --limit or --sample, not both")
