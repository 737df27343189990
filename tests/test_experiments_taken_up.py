"""`unsee experiment` again: more pictures, more maps, given maps, damaged files, and what is left out."""

import json

import numpy as np
import pytest
from PIL import Image

from pictures import network
from unsee.classifier import Classifier
from unsee.cli import recording
from unsee.datasets.menagerie import CLASSES
from unsee.experiments.maps import MASK_TOP5

CENTER = ("--methods", "center")


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    """The command line asks a small network that has the menagerie's classes."""
    net = network(len(CLASSES)).net
    small = Classifier(net, size=(32, 32), class_names=tuple(CLASSES), name="tiny")
    monkeypatch.setattr("unsee.cli.parsing.load", lambda name, weights=None, device="auto": small)
    return small


@pytest.fixture
def experiment(run, tmp_path):
    """Runs an experiment; gives the kept table."""

    def call(name, *options, out="out"):
        found = run("experiment", name, *options, "--out", out)
        assert found.code == 0, found.err
        return json.loads((tmp_path / out / "table.json").read_text(encoding="utf-8"))

    return call


@pytest.fixture
def refused(run):
    def call(*options):
        found = run("experiment", *options, "--out", "refused")
        assert found.code == 2, found.err
        assert "Traceback" not in found.err
        return found.err

    return call


@pytest.mark.parametrize("limits", [(3, 32), (3, 20), (5, 9)])
def test_more_pictures_end_as_all_of_them_at_once(experiment, monkeypatch, limits):
    monkeypatch.setattr(recording, "_AT_ONCE", 4)
    first, last = (
        experiment("pointing", *CENTER, "--limit", limit, out=f"{limit}") for limit in (limits[0], limits[1])
    )
    grown = experiment("pointing", *CENTER, "--limit", limits[1], out=f"{limits[0]}")
    assert grown == last
    assert grown != first


def test_pictures_are_asked_about_once(experiment, monkeypatch):
    monkeypatch.setattr(recording, "_AT_ONCE", 4)
    experiment("pointing", *CENTER, "--limit", 10)
    asked = []
    kept = recording._kept
    monkeypatch.setattr(recording, "_kept", lambda *given: asked.append(kept(*given)) or asked[-1])
    experiment("pointing", *CENTER, "--limit", 14)
    assert [own is None for own in asked] == [False, False, True, True]


def test_a_store_that_has_grown_is_read_again(run, experiment):
    learn = ("learn", "menagerie", "--method", "gradient", "--target", "label", "--out", "maps")
    options = ("--masks", "maps", "--methods", "gradient", "--limit", 6)
    assert run(*learn, "--limit", 2).code == 0
    few = experiment("minimality", *options)
    assert few["left_out"]["pictures without a map of every method"] == 4
    assert run(*learn, "--limit", 6).code == 0
    assert "pictures without a map of every method" not in experiment("minimality", *options)["left_out"]


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"of": "other"}'])
def test_records_that_are_damaged_are_made_again(experiment, tmp_path, broken):
    whole = experiment("pointing", *CENTER, "--limit", 3)
    (tmp_path / "out" / "records-000000.json").write_text(broken, encoding="utf-8")
    assert experiment("pointing", *CENTER, "--limit", 3) == whole


@pytest.fixture
def two_folders(tmp_path):
    """Other pictures under the same names."""
    for number, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        for picture in range(3):
            pixels = np.random.default_rng(10 * number + picture).integers(0, 256, (40, 40, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{picture}.png")


@pytest.mark.parametrize(
    ("learned", "asked", "says"),
    [
        (("folder:one",), ("--data", "folder:two", "--target", "predicted"), "data.name"),
        (("menagerie", "--target", "elephant"), (), "target: elephant → label"),
        (("menagerie", "--target", "label", "--fit", "crop"), (), "fit: crop → squash"),
        (("menagerie", "--split", "val", "--target", "label"), (), "data.split: val →"),
    ],
)
def test_maps_of_other_pictures_or_questions_are_refused(run, refused, two_folders, learned, asked, says):
    assert run("learn", *learned, "--method", "gradient", "--limit", 3, "--out", "maps").code == 0
    assert says in refused("minimality", *asked, "--masks", "maps", "--methods", "gradient", "--limit", 3)


def test_a_mask_with_the_published_weights_is_known_as_such(run, experiment):
    learn = ("learn", "menagerie", "--preset", "top5", "--iterations", 2, "--target", "top5", "--limit", 2)
    assert run(*learn, "--out", "maps").code == 0
    options = ("--masks", "maps", "--methods", "mask-top5,center", "--limit", 2)
    rows = {row["row"] for row in experiment("localisation", *options)["tables"]}
    assert rows == {MASK_TOP5, "center"}


@pytest.mark.parametrize("name", ["games", "architectures", "adversarial", "thresholds-sensitivity"])
def test_who_makes_maps_of_its_own_takes_no_others(run, refused, name):
    learn = ("learn", "menagerie", "--method", "gradient", "--target", "label", "--limit", 2)
    assert run(*learn, "--out", "maps").code == 0
    assert "leave --masks out" in refused(name, "--masks", "maps", "--limit", 2)


def test_what_cannot_serve_is_counted_and_named(experiment, refused, two_folders):
    found = experiment("animal-parts", *CENTER, "--limit", 24)
    others = [count for why, count in found["left_out"].items() if "an eye and a foot" in why]
    assert 0 < others[0] < 24
    line = refused("animal-parts", "--data", "folder:two", "--target", "predicted", *CENTER)
    assert "it needs pictures with an eye and a foot" in line


def test_the_true_label_is_the_network_s_class_for_it(run, tmp_path, small_network, monkeypatch):
    """A data set whose classes are not the network's has no true label, unless a class map says which."""
    names = tuple(f"other {name}" for name in CLASSES)
    net = Classifier(small_network.net, size=(32, 32), class_names=names, name="tiny")
    monkeypatch.setattr("unsee.cli.parsing.load", lambda name, weights=None, device="auto": net)
    mapping = {name: number for number, name in enumerate(CLASSES)}
    (tmp_path / "classes.json").write_text(json.dumps(mapping), encoding="utf-8")
    rows = {}
    for out, more in (("unknown", ()), ("known", ("--class-map", "classes.json"))):
        assert run("experiment", "adversarial", *CENTER, "--limit", 3, *more, "--out", out).code == 0
        kept = json.loads((tmp_path / out / "records-000000.json").read_text(encoding="utf-8"))
        rows[out] = [record.get("true_label") for record in kept["records"] if record["turned"]]
    assert rows["unknown"]
    assert set(rows["unknown"]) == {None}
    assert None not in rows["known"]


def test_another_network_is_not_compared_with_the_paper_s(experiment, tmp_path, monkeypatch, small_network):
    for number in range(2):
        (tmp_path / "val" / CLASSES[number]).mkdir(parents=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "val" / CLASSES[number] / "a.png")
    monkeypatch.setattr("unsee.cli.experimenting.description", lambda dataset: {"name": "imagenet:anywhere"})
    options = ("--data", "imagefolder:val", "--methods", "gradient", "--target", "predicted")
    found = experiment("minimality", *options)
    assert "BVLC GoogLeNet, another network" in found["note"]
    assert {row["paper"] for row in found["tables"]} >= {15142}
    monkeypatch.setattr("unsee.cli.experimenting.BVLC_GOOGLENET", "tiny")
    assert "minimality.md" in experiment("minimality", *options)["note"]


def test_nobody_else_s_files_are_written_over(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "table.csv").write_text("mine", encoding="utf-8")
    assert run("learn", "menagerie", "--method", "center", "--limit", 2, "--out", "store").code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for command in (("experiment", "pointing"), ("reproduce",)):
        for out in ("mine", "store"):
            found = run(*command, *CENTER, "--limit", 2, "--out", out)
            assert (found.code, "holds other things" in found.err) == (2, True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
