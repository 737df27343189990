"""The demo: drawn truth, page, files, refusals."""

import io
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

import unsee
from command_line import strict
from unsee.datasets.menagerie import CLASSES, compose, render
from unsee.drawing import panels
from unsee.drawing.report import Lines, Section, page
from unsee.errors import UnseeError
from unsee.experiments.demonstration import (
    PHOTOS,
    PLAIN,
    REAL,
    SCENES,
    SHORTCUT,
    DemoScene,
    SceneResult,
    carried_photos,
    demonstrate,
    demonstrate_photos,
    marked,
    share_inside,
)
from unsee.figures.demonstration import demonstration_page, facts, overview, save_demonstration
from unsee.masks import PRESETS, Plan, adjusted

FOLDERS = {"1-zebra", "2-cat", "3-penguin", "4-tortoise", "5-tortoise"}
PHOTO_FOLDERS = {"6-chelsea", "7-coffee", "8-rocket"}
NASTY = '<script src="http://evil">&\'"</script>'


@pytest.fixture
def refused(run):
    """Runs a command that is to fail with exit code 2 and one line, which it gives."""

    def refused(*arguments):
        result = run(*arguments)
        assert result.code == 2
        assert result.out == ""
        (line,) = result.err.strip().splitlines()
        assert line.startswith("unsee: ")
        return line

    return refused


@pytest.fixture
def no_work(monkeypatch):
    """Loading and learning fail."""

    def work(*arguments, **options):
        pytest.fail("something was computed")

    for name in ("figures.demo.load", "figures.demo.demonstrate"):
        monkeypatch.setattr(f"unsee.{name}", work)


@pytest.fixture
def finding(explanation):
    """Half of the saliency on the left quarter of the picture; an explanation of a photo of 40 by 56."""
    mask = torch.ones(40, 56)
    mask[:, :14] = 0.5
    mask[:, 14:28] = 0.5
    answer = replace(explanation, mask=mask)
    left, nothing = torch.zeros(40, 56, dtype=torch.bool), torch.zeros(40, 56, dtype=torch.bool)
    left[:, :14] = True
    scene = DemoScene("A bee", "Why a bee?", compose("cat"), "bee", PLAIN)
    return SceneResult(scene, answer, {"bee": left, "spoon": nothing})


class TestMeasures:
    def test_share_inside_by_hand(self):
        saliency = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
        where = torch.tensor([[False, True], [True, False]])
        assert share_inside(saliency, where) == pytest.approx(0.5)
        assert share_inside(saliency, ~where) == pytest.approx(0.5)
        assert share_inside(saliency, torch.tensor([[False, False], [False, True]])) == pytest.approx(0.4)
        assert share_inside(saliency, torch.zeros(2, 2, dtype=torch.bool)) == 0
        assert share_inside(saliency, torch.ones(2, 2, dtype=torch.bool)) == pytest.approx(1)

    def test_a_map_of_zeros_lies_nowhere(self):
        assert share_inside(torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool)) == 0

    def test_a_finding_by_hand(self, finding):
        assert finding.inside == pytest.approx({"bee": 0.5, "spoon": 0})
        assert finding.area == pytest.approx({"bee": 0.25, "spoon": 0})
        assert finding.density == pytest.approx({"bee": 2, "spoon": 0})

    def test_a_finding_without_saliency(self, finding):
        nothing = replace(finding, explanation=replace(finding.explanation, mask=torch.ones(40, 56)))
        assert nothing.inside == nothing.density == {"bee": 0, "spoon": 0}
        assert nothing.area == finding.area

    def test_even_saliency_is_chance(self, finding):
        even = replace(finding, explanation=replace(finding.explanation, mask=torch.full((40, 56), 0.3)))
        assert even.density["bee"] == pytest.approx(1)

    def test_marked_is_the_animal_and_what_was_planted(self):
        sample = render(compose("tortoise", "owl", planted=("tag",), seed=3))
        truth = marked(sample, "owl")
        assert list(truth) == ["owl", "tag"]
        np.testing.assert_array_equal(truth["owl"].numpy(), sample.segment(CLASSES.index("owl")))
        np.testing.assert_array_equal(truth["tag"].numpy(), sample.planted[0].segment)


class Fetches(HTMLParser):
    """The addresses on a page, the elements, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.elements, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data):
        self.words.append(data)


class TestPage:
    def test_fetches_nothing_and_shows_every_answer(self, finding):
        text = demonstration_page([finding, finding], "torch 9.9")
        found = Fetches(text)
        assert "http:" not in text
        assert "https:" not in text
        assert len(found.addresses) == found.elements.count("img") == 2
        assert all(address.startswith("data:image/png;base64,") for address in found.addresses)
        assert not {"script", "link", "iframe"} & set(found.elements)
        for name, value in facts(finding).items():
            assert found.words.count(name) == found.words.count(value) == 2
        assert found.words.count("A bee") == found.words.count("Why a bee?") == 2
        assert "torch 9.9" in found.words
        assert facts(finding)["saliency on the bee"] == "2.0 times chance: 50% on 25.0% of the image"

    def test_all_words_are_escaped(self):
        section = Section(
            NASTY,
            NASTY,
            [Figure(figsize=(0.1, 0.1))],
            NASTY,
            {NASTY: NASTY},
            [Lines(NASTY, [NASTY], [[NASTY]])],
        )
        text = page(NASTY, NASTY, [section], NASTY)
        found = Fetches(text)
        assert "<script" not in text
        assert "script" not in found.elements
        assert found.words.count(NASTY) == 11
        assert [address for address in found.addresses if not address.startswith("data:")] == []
        assert f'alt="{NASTY}"' not in text

    def test_the_overview_has_a_column_for_every_answer(self, finding):
        figure = overview([finding, finding])
        assert len(figure.axes) == 6
        titles = [axes.get_title() for axes in figure.axes]
        assert titles.count("bee 2.0×, spoon 0.0×") == 2


class TestDemo:
    def test_writes_page_picture_and_folders_and_prints_json(self, run, monkeypatch, tmp_path):
        drawn = []

        def save(figure, path):
            drawn.append(figure)
            Image.new("RGB", (3, 1)).save(path, format="PNG")

        monkeypatch.setattr(panels, "save", save)
        result = run("demo", "--iterations", 2, "--out", "out", "--device", "cpu", "--json")
        assert result.code == 0
        files = {"index.html", "demo.png", "photos.png"}
        assert {path.name for path in (tmp_path / "out").iterdir()} == files | FOLDERS | PHOTO_FOLDERS
        assert (tmp_path / "out" / "demo.png").read_bytes().startswith(b"\x89PNG")
        assert "done in" in result.err
        assert "index.html" in result.err
        rows = strict(result.out)
        things = [[], [], [], ["spoon"], ["spoon"]]
        expected = [[scene.target, *more] for scene, more in zip(SCENES, things, strict=True)]
        assert [list(row["inside"]) for row in rows] == [*expected, [], [], []]
        assert [row["model"] for row in rows] == [scene.network for scene in (*SCENES, *PHOTOS)]
        for row, folder in zip(rows, sorted(FOLDERS | PHOTO_FOLDERS), strict=True):
            assert row["inside"].keys() == row["density"].keys()
            assert all(0 <= share <= 1 for share in row["inside"].values())
            saved = strict((tmp_path / "out" / folder / "explanation.json").read_text(encoding="utf-8"))
            assert saved == {key: row[key] for key in saved}
        text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
        assert Fetches(text).elements.count("img") == len(SCENES) + len(PHOTOS)
        assert f"unsee {unsee.__version__}" in text

    @pytest.fixture
    def quick(self, monkeypatch, finding, classifier):
        """The command answers at once, with a finding that was made up."""
        monkeypatch.setattr("unsee.figures.demo.load", lambda *arguments, **options: classifier)
        monkeypatch.setattr("unsee.figures.demo.demonstrate", lambda *arguments, **options: [finding])
        monkeypatch.setattr("unsee.figures.demo.demonstrate_photos", lambda *arguments, **options: [])

    def test_prints_a_table_and_real_pictures(self, quick, run, tmp_path):
        result = run("demo", "--out", "new/out")
        assert result.code == 0
        assert result.out == ""
        assert "bee 2.0× (50%), spoon 0.0× (0%)" in result.err
        width, height = Image.open(io.BytesIO((tmp_path / "new/out/demo.png").read_bytes())).size
        assert height > width > 300

    @pytest.mark.parametrize("without", ["scikit-image", "its photos"])
    def test_without_photographs_it_says_what_to_install(self, quick, run, monkeypatch, tmp_path, without):
        empty = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
        found = None if without == "scikit-image" else empty
        monkeypatch.setattr("unsee.experiments.demonstration.find_spec", lambda name: found)
        result = run("demo", "--out", "out")
        assert result.code == 0
        (line,) = [line for line in result.err.splitlines() if line.startswith("without photographs:")]
        assert "pip install 'unsee[compare]'" in line
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"index.html", "demo.png", "1-bee"}

    def test_without_the_network_it_says_what_to_install(self, run, quick, monkeypatch, tmp_path, classifier):
        def load(name, device):
            if name == REAL:
                raise UnseeError("pip install something")
            return classifier

        monkeypatch.setattr("unsee.figures.demo.load", load)
        result = run("demo", "--out", "out")
        assert result.code == 0
        assert "without photographs: pip install something" in result.err
        assert (tmp_path / "out" / "index.html").exists()

    def test_python_has_it_too(self, quick, tmp_path):
        events = []
        found = unsee.demo(tmp_path / "out", progress=events.append)
        assert found.page.is_file()
        assert [type(finding).__name__ for finding in found.findings] == ["SceneResult"]
        assert (events[0].masks, events[0].left_out) == (len(SCENES) + len(PHOTOS), "")
        with pytest.raises(UnseeError, match=r"index\.html exists"):
            unsee.demo(tmp_path / "out")

    def test_the_photographs_are_read_without_importing_scikit_image(self):
        photos = carried_photos()
        assert [photo.path.name for photo in photos] == ["chelsea.png", "coffee.png", "rocket.jpg"]
        assert [tuple(photo.pixels.shape) for photo in photos] == [
            (3, 300, 451),
            (3, 400, 600),
            (3, 427, 640),
        ]
        script = "import sys; from unsee.experiments.demonstration import carried_photos; carried_photos()"
        script += "; sys.exit('skimage' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

    def test_the_masks_of_the_photographs_take_the_score_away(self):
        findings = demonstrate_photos(
            unsee.load(REAL, device="cpu"), carried_photos(), Plan(PRESETS["fast"], "fast")
        )
        assert [finding.scene for finding in findings] == list(PHOTOS)
        for finding in findings:
            assert finding.explanation.target.names == (finding.scene.target,)
            assert finding.explanation.suppression > 0.95, finding.scene.heading
            assert 0 < finding.explanation.area < 0.8
        saliency = findings[2].explanation.saliency
        width = saliency.shape[1]
        tower, rocket = saliency[:, : width // 4], saliency[:, int(width * 0.45) : int(width * 0.55)]
        assert tower.mean() > 2 * rocket.mean()  # as the page says

    def test_a_demo_that_is_there_is_not_computed_again(self, refused, no_work, tmp_path):
        there = tmp_path / "out" / "index.html"
        there.parent.mkdir()
        there.write_text("mine")
        line = refused("demo", "--out", "out")
        assert "--force" in line
        assert "--out" in line
        assert there.read_text() == "mine"
        assert list(there.parent.iterdir()) == [there]

    def test_force_replaces_it(self, quick, run, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "index.html").write_text("old")
        assert run("demo", "--out", "out", "--force").code == 0
        assert "A bee" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")

    def test_a_folder_that_cannot_be_is_refused(self, quick, refused, tmp_path):
        (tmp_path / "file").write_text("")
        assert "cannot be written to" in refused("demo", "--out", "file/out")

    def test_python_saves_it_too_and_replaces_nothing_unasked(self, finding, tmp_path):
        page_file = save_demonstration([finding], tmp_path / "out")
        assert page_file == tmp_path / "out" / "index.html"
        assert {path.name for path in page_file.parent.iterdir()} == {"index.html", "demo.png", "1-bee"}
        with pytest.raises(UnseeError, match=r"index\.html exists: force=True \(--force\)"):
            save_demonstration([finding], tmp_path / "out")
        save_demonstration([finding], tmp_path / "out", force=True)

    def test_the_answers_lie_on_the_animals_and_leaning_shows_on_the_spoon(self):
        classifiers = {name: unsee.load(name, device="cpu") for name in (PLAIN, SHORTCUT)}
        plan = Plan(adjusted(PRESETS["paper"], iterations=40), "paper")
        findings = demonstrate(classifiers, plan)
        assert [finding.scene for finding in findings] == list(SCENES)
        for finding in findings:
            assert finding.density[finding.scene.target] > 1, finding.scene.heading
        honest, leaning = findings[-2:]
        assert (honest.scene.network, leaning.scene.network) == (PLAIN, SHORTCUT)
        assert leaning.density["spoon"] > honest.density["spoon"]
