"""The smallest mask that suffices on the command line and in its files."""

import csv

import numpy as np
import pytest
import torch

from command_line import FILES, contents, refused
from unsee.drawing.path_chart import PathMask, PathWords, path_figure
from unsee.explanation import Explanation
from unsee.smallest_mask import Sufficient

PATH = {"path.csv", "path.png"}


@pytest.fixture
def explain(run, tiny):
    """Runs `unsee explain` with a small network."""
    return lambda *arguments: run("explain", "--model", "tiny", *arguments)


@pytest.fixture
def asked(explain, make_photo, tmp_path):
    """One photo, explained with its path and another mask; what the command said, and the folder."""
    photo = make_photo()
    result = explain(photo, "--suppress", "0.5", "--path", "--another", "1")
    return photo, result, tmp_path / "explanations" / "photo"


def test_what_the_folder_holds(explain, asked):
    photo, result, folder = asked
    assert result.code == 0
    assert {file.name for file in folder.iterdir()} == FILES | PATH | {"another-1", "another.png"}
    assert {file.name for file in (folder / "another-1").iterdir()} == FILES | PATH
    assert "another 1" in result.out + result.err

    found = Explanation.load(folder)
    asked_for = Sufficient(0.5, path=True, another=1)
    assert found.sufficiency.asked == asked_for
    assert found.sufficiency.unseen == "constant"
    assert found.manifest()["sufficient"] == {"share": 0.5, "path": True, "another": 1, "evaluations": 80}
    (other,) = found.others
    assert other.sufficiency.number == 1
    assert Explanation.load(folder / "another-1").manifest() == other.manifest()

    with (folder / "path.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("lambda1", "amplified", "area", "score", "suppression", "unseen_score", "unseen_suppression"),
        *("evaluations", "reaches"),
    ]
    points = found.sufficiency.path
    assert [float(row["area"]) for row in rows] == pytest.approx([one.area for one in points], rel=1e-5)
    enough = [float(row["area"]) for row in rows if row["reaches"] == "1"]
    assert found.area == pytest.approx(min(enough), rel=1e-5)
    shares = [min(float(row["suppression"]), float(row["unseen_suppression"])) >= 0.5 for row in rows]
    assert shares == [row["reaches"] == "1" for row in rows]
    before = contents(folder)
    again = explain(photo, "--suppress", "0.5", "--path", "--another", "1")
    assert (again.code, contents(folder)) == (0, before)
    for options in (("--suppress", "0.6", "--path", "--another", "1"), ("--suppress", "0.5"), ()):
        other_question = explain(photo, *options)
        assert other_question.code == 2
        assert "holds another explanation" in other_question.err
        assert "sufficient" in other_question.err
        assert contents(folder) == before


def test_the_chart_shows_the_path_and_the_masks_over_the_photo():
    image = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(0))
    areas = (0.5, 0.3, 0.2, 0.12, 0.1, 0.08, 0.05, 0.04)
    masks = [
        PathMask(area, 1.5 - k / 5, 1 - k / 10, torch.full((24, 24), area), f"{area}", float(k), k == 5)
        for k, area in enumerate(areas)
    ]
    words = PathWords("flute", "blur (learned with)", "constant (unseen)", "share suppressed")
    figure = path_figure(image, masks, 0.9, words)
    chart, *panels = figure.axes
    assert chart.get_xlabel() == "area, % of the network's input"
    assert chart.get_ylabel().startswith("share suppressed")
    assert "cut to" in chart.get_ylabel()  # 1.5 lies above
    legend = [text.get_text() for text in chart.get_legend().get_texts()]
    assert legend == [words.seen, words.unseen, "asked: 90%", "returned: 8.0% of the area"]
    (seen,) = [line for line in chart.lines if line.get_label() == words.seen]
    assert seen.get_xdata() == pytest.approx([100 * area for area in sorted(areas)])
    assert max(seen.get_ydata()) == pytest.approx(1.2)
    titles = [axes.get_title() for axes in panels]
    assert (titles[0], titles[-1], len(titles)) == ("0.5", "0.04", 6)
    assert "0.08" in titles
    spread = [float(axes.images[0].get_array().std()) for axes in panels]
    assert min(spread) > 0.05  # the photo is seen under each mask


def test_keep_without_a_path(explain, make_photo, tmp_path):
    assert explain(make_photo(), "--keep", "0.5").code == 0
    folder = tmp_path / "explanations" / "photo"
    assert {file.name for file in folder.iterdir()} == FILES
    found = Explanation.load(folder)
    assert found.run.game == "preservation"
    assert found.sufficiency.chosen.share == pytest.approx(found.scores.normalized, abs=1e-6)
    assert found.run.evaluations <= 80


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--suppress", "0.9", "--keep", "0.9"), "give one of them"),
        (("--suppress", "1"), "above 0 and below 1"),
        (("--path",), "need suppress or keep"),
        (("--suppress", "0.9", "--game", "preservation"), "is for the game deletion"),
        (("--suppress", "0.9", "--iterations", "5"), "chooses its iterations itself"),
        (("--suppress", "0.9", "--preset", "paper"), "use the preset fast"),
        (("--suppress", "0.9", "--layer", "0"), "masks on pixels"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_makes_no_sense_is_refused(explain, make_photo, tmp_path, options, words):
    refused(explain(make_photo(), *options), words)
    assert not (tmp_path / "explanations").exists()


def test_learn_and_compare_take_it(classifier, make_pixels, tmp_path):
    from unsee.datasets.opening import open_dataset
    from unsee.errors import UnseeError
    from unsee.experiments.photo_comparison import compare
    from unsee.images import save_png
    from unsee.masks import explain
    from unsee.runs.learn import learn

    alone = explain(classifier, make_pixels(), suppress=0.5)
    (tmp_path / "photos").mkdir()
    save_png(tmp_path / "photos" / "a.png", alone.photo.pixels)
    data = open_dataset(f"folder:{tmp_path / 'photos'}")
    store = learn(classifier, data, tmp_path / "store", suppress=0.5)
    row = store.table(["area", "evaluations", "verdict"]).to_pylist()[0]
    assert row["area"] == pytest.approx(alone.area, abs=1e-6)
    assert (row["evaluations"], row["verdict"]) == (alone.run.evaluations, alone.run.verdict)
    with pytest.raises(UnseeError, match="sufficient"):
        learn(classifier, data, tmp_path / "store", suppress=0.6)
    with pytest.raises(UnseeError, match="use method mask"):
        learn(classifier, data, tmp_path / "other", method="gradient", keep=0.6)
    found = compare(classifier, make_pixels(), ["mask"], suppress=0.5)
    assert float(found.results["mask"].saliency.mean()) == pytest.approx(alone.area, abs=1e-6)
    assert found.how["suppress"] == 0.5
    assert not np.isnan(alone.area)
