"""`unsee.run_experiment`: files, resuming, more images, existing maps, damaged files, refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import unsee
from changed_stores import marked
from experiment_data import drawn, small_network
from pictures import Pictures, network
from unsee import UnseeError
from unsee.cli import experiment as command
from unsee.datasets.menagerie import CLASSES
from unsee.datasets.selection import Selection
from unsee.experiments import record_files
from unsee.experiments.catalogue import EXPERIMENTS
from unsee.experiments.maps import MASK_TOP5
from unsee.experiments.progress import ImagesMeasured, MapsStarted
from unsee.experiments.result_folder import FolderTakenError
from unsee.experiments.tables import tables_json
from unsee.masks import PRESETS, adjusted
from unsee.models.own import BVLC_GOOGLENET

CENTER = ("center",)
ADDED = "images without a map of every method"


@pytest.fixture(scope="module")
def classifier():
    """A small network with the menagerie's classes."""
    return small_network()


@pytest.fixture(scope="module")
def data():
    return drawn()


@pytest.fixture
def experiment(classifier, data, tmp_path):
    """Runs an experiment in a folder, by default on the menagerie with the centre alone."""

    def call(name, limit=None, out="out", dataset=data, methods=CENTER, **options):
        networks = options.pop("classifier", classifier)
        return unsee.run_experiment(
            name, networks, dataset, methods=methods, limit=limit, out=tmp_path / out, **options
        )

    return call


@pytest.fixture
def learned(classifier, data, tmp_path):
    """Makes a store of existing maps, by default of gradients for the labels of the menagerie."""

    def call(limit=3, dataset=data, method="gradient", target="label", **options):
        return unsee.learn(
            classifier, dataset, tmp_path / "maps", method=method, target=target, limit=limit, **options
        )

    return call


@pytest.fixture
def folders(tmp_path):
    """Two folders with different images of the same names."""
    for number, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        for image in range(3):
            pixels = np.random.default_rng(10 * number + image).integers(0, 256, (40, 40, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{image}.png")
    return {name: unsee.open_dataset(f"folder:{tmp_path / name}") for name in ("one", "two")}


def table_of(result):
    return json.loads((result.folder / "table.json").read_text(encoding="utf-8"))


def test_it_writes_its_files_and_returns_what_they_say(experiment, tmp_path):
    found = experiment("interrogation", 3, methods=["center", "gradient"])
    written = {path.name for path in (tmp_path / "out").iterdir()}
    files = {"table.csv", "table.json", "table.txt", "figure.png", "pictures.png", "experiment.json", "maps"}
    assert files | {"records-000000.json"} <= written
    kept = json.loads((tmp_path / "out" / "records-000000.json").read_text(encoding="utf-8"))
    assert list(found.records) == kept["records"]
    assert {record["id"] for record in found.records} == set(
        map(unsee.open_dataset("menagerie").id, range(3))
    )
    assert json.loads(tables_json(found.summary)) == table_of(found)
    assert (found.name, found.folder) == ("interrogation", tmp_path / "out")


def test_the_folder_is_named_for_the_experiment_by_default(classifier, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = unsee.run_experiment("pointing", classifier, data, methods=CENTER, limit=2)
    assert (tmp_path / "experiments" / "pointing" / "table.json").is_file()
    assert (tmp_path / found.folder).samefile(tmp_path / "experiments" / "pointing")


def test_the_command_gives_the_same_summary(experiment, classifier, run, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "load_models", lambda models, weights, device, network: (classifier,))
    monkeypatch.setattr(unsee, "open_dataset", lambda name, split, classes: drawn())
    options = ("--methods", "center,gradient", "--limit", 3, "--json", "--out", "command")
    printed = run("experiment", "localisation", *options)
    assert printed.code == 0, printed.err
    found = experiment("localisation", 3, methods=("center", "gradient"))
    assert json.loads(printed.out) == table_of(found)
    names = {path.name for path in (tmp_path / "command").iterdir()}
    assert names == {path.name for path in (tmp_path / "out").iterdir()}
    for name in names - {"maps", "experiment.json"}:
        assert (tmp_path / "command" / name).read_bytes() == (tmp_path / "out" / name).read_bytes(), name


def test_an_experiment_of_your_own_runs_too(experiment):
    own = replace(EXPERIMENTS["localisation"], folds=2)
    assert experiment(own, 4).summary.tables[0].rows["center"]["value"].n == 4


def test_any_data_set_will_do(experiment):
    found = experiment("minimality", dataset=Pictures(3), target="predicted", classifier=network())
    assert {record["id"] for record in found.records} == {f"picture-{number:04d}" for number in range(3)}


def test_progress_is_reported_and_can_stop_it(experiment):
    events = []
    whole = experiment("pointing", 3, out="whole", methods=("center", "gradient"), progress=events.append)
    assert [event.source for event in events if isinstance(event, MapsStarted)] == ["center", "gradient"]
    measured = [event.done for event in events if isinstance(event, ImagesMeasured)]
    assert (measured[0], measured[-1]) == (0, 3)
    assert measured == sorted(measured)

    def stop(event):
        if isinstance(event, ImagesMeasured):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment("pointing", 3, methods=("center", "gradient"), progress=stop)
    assert table_of(experiment("pointing", 3, methods=("center", "gradient"))) == table_of(whole)


@pytest.mark.parametrize("limits", [(3, 14), (3, 9), (5, 9)])
def test_more_images_end_as_all_of_them_at_once(experiment, monkeypatch, limits):
    monkeypatch.setattr(record_files, "IMAGES_PER_FILE", 4)
    first, last = (table_of(experiment("pointing", limit, out=f"{limit}")) for limit in limits)
    grown = table_of(experiment("pointing", limits[1], out=f"{limits[0]}"))
    assert grown == last
    assert grown != first


def test_images_are_measured_once(experiment, monkeypatch):
    monkeypatch.setattr(record_files, "IMAGES_PER_FILE", 4)
    experiment("pointing", 10)
    read = []
    stored = record_files.stored_records
    monkeypatch.setattr(
        record_files, "stored_records", lambda *given: read.append(stored(*given)) or read[-1]
    )
    experiment("pointing", 14)
    assert [records is None for records in read] == [False, False, True, True]


def test_a_store_that_has_grown_is_read_again(experiment, learned, tmp_path):
    options = {"masks": [tmp_path / "maps"], "methods": ["gradient"], "limit": 6}
    learned(2)
    few = experiment("minimality", **options)
    assert few.summary.left_out[ADDED] == 4
    learned(6)
    assert ADDED not in experiment("minimality", **options).summary.left_out


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"of": "other"}'])
def test_damaged_records_are_made_again(experiment, tmp_path, broken):
    whole = table_of(experiment("pointing", 3))
    (tmp_path / "out" / "records-000000.json").write_text(broken, encoding="utf-8")
    assert table_of(experiment("pointing", 3)) == whole


@pytest.mark.parametrize(
    ("kept", "experiments", "says"),
    [
        ({"dataset": "one", "target": "predicted"}, {"dataset": "two", "target": "predicted"}, "data.name"),
        ({"target": "elephant"}, {}, "target: elephant → label"),
        ({"fit": unsee.CentreCrop()}, {}, "fit: crop → squash"),
        ({"dataset": "val"}, {}, "data.split: val →"),
    ],
)
def test_maps_of_other_images_or_targets_are_refused(experiment, learned, folders, kept, experiments, says):
    sets = {**folders, "val": drawn("val", 3)}
    kept, experiments = (
        {key: sets.get(value, value) if isinstance(value, str) else value for key, value in options.items()}
        for options in (kept, experiments)
    )
    store = learned(**kept)
    with pytest.raises(UnseeError, match="cannot be used here") as refused:
        experiment("minimality", 3, methods=["gradient"], masks=[store], **experiments)
    assert says in str(refused.value)


def test_a_mask_with_the_published_weights_is_recognised(experiment, learned, tmp_path):
    brief = adjusted(PRESETS["top5"], iterations=2)
    learned(2, method="mask", target="top5", preset=brief)
    store = marked(tmp_path / "maps")
    found = experiment("localisation", 2, masks=[store], methods=["mask-top5", "center"])
    assert set(found.summary.tables[0].rows) == {MASK_TOP5, "center"}


@pytest.mark.parametrize("name", ["games", "architectures", "adversarial", "thresholds-sensitivity"])
def test_experiments_that_make_their_own_maps_take_no_others(experiment, learned, name):
    with pytest.raises(UnseeError, match=r"leave masks=… \(--masks\) out"):
        experiment(name, 2, masks=[learned(2)])


def test_two_stores_of_one_method_are_refused(experiment, learned):
    store = learned(2)
    with pytest.raises(UnseeError, match="two stores hold maps of gradient"):
        experiment("minimality", 2, masks=[store, store])


def test_unsuitable_images_are_counted_and_named(experiment, folders):
    found = experiment("animal-parts", 24).summary
    others = [count for why, count in found.left_out.items() if "an eye and a foot" in why]
    assert 0 < others[0] < 24
    with pytest.raises(UnseeError, match="it needs images with an eye and a foot"):
        experiment("animal-parts", dataset=folders["two"], target="predicted", out="refused")


def test_the_true_label_is_the_network_s_class_for_it(experiment, classifier):
    """A data set whose classes are not the network's has no true label without a class map."""
    net = replace(classifier, class_names=tuple(f"other {name}" for name in CLASSES))
    mapping = {name: number for number, name in enumerate(CLASSES)}
    labels = {}
    for out, class_map in (("unknown", None), ("known", mapping)):
        found = experiment("adversarial", 3, out=out, classifier=net, class_map=class_map)
        labels[out] = [record.get("true_label") for record in found.records if record["turned"]]
    assert labels["unknown"]
    assert set(labels["unknown"]) == {None}
    assert None not in labels["known"]


def test_another_network_is_not_compared_with_the_paper_s(experiment, classifier):
    """Only ImageNet has the paper's numbers, and only the paper's network is compared with them."""
    images = Selection(Pictures(2), range(2), {"name": "imagenet:anywhere", "split": None})
    options = {"dataset": images, "methods": ["gradient"], "target": "predicted"}
    found = experiment("minimality", **options).summary
    assert "BVLC GoogLeNet, not with this network" in found.note
    assert not found.same_network
    assert 15142 in found.tables[0].paper["gradient"].values()
    published = replace(classifier, name=BVLC_GOOGLENET)
    found = experiment("minimality", classifier=published, out="published", **options).summary
    assert found.same_network
    assert "minimality.md" in found.note
    assert not experiment("minimality", 2, out="others").summary.tables[0].paper


def test_another_experiment_in_the_folder_is_refused(experiment, tmp_path):
    experiment("localisation", 2)
    with pytest.raises(FolderTakenError, match="holds the experiment localisation, not pointing"):
        experiment("pointing", 2)
    with pytest.raises(FolderTakenError, match="other maps of center, gradient"):
        experiment("localisation", 2, methods=["gradient"])
    with pytest.raises(FolderTakenError, match="folds: 5 → 3"):
        experiment(replace(EXPERIMENTS["localisation"], folds=3), 2)
    (tmp_path / "out" / "experiment.json").write_text("{", encoding="utf-8")
    with pytest.raises(FolderTakenError, match=r"experiment\.json is damaged"):
        experiment("localisation", 2)


def test_names_that_do_not_exist_are_refused_before_anything_is_computed(experiment, tmp_path, classifier):
    for name, options, says in (
        ("magic", {}, "no experiment is called 'magic'"),
        ("minimality", {"preset": "fats"}, "did you mean fast"),
        ("minimality", {"methods": ["gradent"]}, "did you mean gradient"),
        ("minimality", {"methods": []}, "no method is named"),
        (
            "minimality",
            {"classifier": [classifier, classifier]},
            "takes one network, not 2: .*; architectures takes several",
        ),
    ):
        with pytest.raises(UnseeError, match=says):
            experiment(name, 2, **options)
    assert not (tmp_path / "out").exists()


def test_other_files_are_not_overwritten(experiment, learned, classifier, data, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "table.csv").write_text("mine", encoding="utf-8")
    learned(2, method="center", target="predicted")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for out in ("mine", "maps"):
        with pytest.raises(FolderTakenError, match="holds other files"):
            experiment("pointing", 2, out=out)
        with pytest.raises(FolderTakenError, match="holds other files"):
            unsee.reproduce(classifier, data, methods=CENTER, limit=2, few=2, out=tmp_path / out)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
