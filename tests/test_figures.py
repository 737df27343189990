import dataclasses
import io
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib import _pylab_helpers, colormaps
from matplotlib.figure import Figure
from PIL import Image
from unsee.figures.interrogation import draw_interrogation

from unsee.drawing import panels
from unsee.experiments.photo_interrogation import interrogate
from unsee.explanation import Scores, Target
from unsee.figures.explanation import draw_explanation, explanation_figure, explanation_html
from unsee.fits import Squash
from unsee.images import read_photo
from unsee.masks.edits.perturbation import Blur


@pytest.fixture(scope="module")
def drawn(explanation, tmp_path_factory):
    """A folder of the shared explanation's pictures."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_explanation(explanation, folder)
    return folder


@pytest.fixture
def result(classifier, make_photo):
    photo = read_photo(make_photo())
    return interrogate(classifier, photo, (10, 5, 30, 25), Target((1,), ("bee",)), Blur(), Squash())


def opened(path):
    with Image.open(path) as picture:
        picture.load()
        return picture


class TestExplanationPictures:
    def test_all_five_are_there_and_open(self, drawn):
        assert {path.name for path in drawn.iterdir()} == {
            *("mask.png", "heatmap.png", "overlay.png", "perturbed.png", "figure.png"),
        }
        assert {opened(path).format for path in drawn.iterdir()} == {"PNG"}

    @pytest.mark.parametrize("name", ["mask.png", "heatmap.png", "overlay.png", "perturbed.png"])
    def test_have_the_photos_size(self, drawn, name):
        assert opened(drawn / name).size == (56, 40)

    def test_the_mask_is_black_where_it_deletes(self, drawn, explanation):
        grey = np.asarray(opened(drawn / "mask.png"))
        assert grey.shape == (40, 56)
        assert np.array_equal(grey, (explanation.mask.numpy() * 255).round().astype(np.uint8))

    def test_zero_is_black_and_one_is_white(self, explanation, tmp_path):
        mask = torch.ones(40, 56)
        mask[10:20, 5:50] = 0
        draw_explanation(dataclasses.replace(explanation, mask=mask), tmp_path)
        grey = np.asarray(opened(tmp_path / "mask.png").convert("L"))
        assert (grey[10:20, 5:50] == 0).all()
        assert (grey[:10] == 255).all()
        assert (grey[20:] == 255).all()

    @pytest.mark.parametrize("game", ["deletion", "preservation"])
    def test_the_heatmap_is_bright_where_the_evidence_is(self, explanation, tmp_path, game):
        mask = torch.linspace(0, 1, 56).expand(40, 56).contiguous()
        run = dataclasses.replace(explanation.run, game=game)
        draw_explanation(dataclasses.replace(explanation, mask=mask, run=run), tmp_path)
        heat = np.asarray(opened(tmp_path / "heatmap.png"))
        colours = (colormaps[panels.HEATMAP](np.linspace(0, 1, 56))[:, :3] * 255).round()
        expected = colours[::-1] if game == "deletion" else colours
        assert np.abs(heat - expected[None]).max() <= 1
        across = heat.sum(axis=-1, dtype=int).mean(axis=0)
        bright, dark = (across[:10], across[-10:]) if game == "deletion" else (across[-10:], across[:10])
        assert bright.min() > dark.max()

    def test_the_overlay_shows_photo_and_heatmap(self, explanation, tmp_path):
        photo = dataclasses.replace(explanation.photo, pixels=torch.zeros(3, 40, 56))
        photo.pixels[:, :, 28:] = 1
        mask = torch.ones(40, 56)
        mask[20:] = 0
        draw_explanation(dataclasses.replace(explanation, photo=photo, mask=mask), tmp_path)
        overlay = np.asarray(opened(tmp_path / "overlay.png")).astype(int)
        dark_plain, light_plain, dark_marked = overlay[5, 5], overlay[5, 50], overlay[35, 5]
        assert (light_plain - dark_plain).min() > 150
        assert (dark_marked - dark_plain).max() > 100

    def test_the_edited_picture_is_rounded_and_nothing_else(self, drawn, explanation):
        edited = np.asarray(opened(drawn / "perturbed.png"))
        expected = (explanation.perturbed.numpy() * 255).round().transpose(1, 2, 0)
        assert np.array_equal(edited, expected)

    def test_the_figure_is_large_enough_to_read(self, drawn):
        width, height = opened(drawn / "figure.png").size
        assert width > height > 200

    @pytest.mark.parametrize("size", [(1, 1), (3, 400), (400, 3), (1500, 2)])
    def test_photos_of_any_shape(self, explanation, tmp_path, size):
        odd = dataclasses.replace(
            explanation,
            photo=dataclasses.replace(explanation.photo, pixels=torch.rand(3, *size)),
            mask=torch.rand(size),
            perturbed=torch.rand(3, *size),
        )
        draw_explanation(odd, tmp_path)
        assert opened(tmp_path / "overlay.png").size == size[::-1]
        assert min(opened(tmp_path / "figure.png").size) > 100


class TestFigure:
    def test_three_panels_with_their_numbers(self, explanation):
        figure = explanation_figure(explanation)
        titles = [axes.get_title() for axes in figure.axes]
        scores = explanation.scores
        assert len(titles) == 3
        assert titles[0] == f"cat: {scores.original:.4f}"
        assert titles[1] == f"cat: {scores.perturbed:.4f}"
        assert f"{explanation.area:.0%} deleted" in titles[2]
        shown = [axes.images[0].get_array() for axes in figure.axes]
        assert np.allclose(shown[0], explanation.photo.pixels.permute(1, 2, 0), atol=1e-6)
        assert np.allclose(shown[1], explanation.perturbed.permute(1, 2, 0), atol=1e-6)
        assert np.allclose(shown[2][..., 0], explanation.mask, atol=1e-6)

    def test_it_says_what_did_not_converge(self, explanation):
        for verdict, told in (("converged", False), ("still falling", True)):
            run = dataclasses.replace(explanation.run, verdict=verdict, game="preservation")
            title = explanation_figure(dataclasses.replace(explanation, run=run)).axes[2].get_title()
            assert ("did not converge" in title) == told
            assert "kept" in title

    def test_a_large_photo_is_shrunk_for_the_page(self, explanation):
        big = dataclasses.replace(
            explanation,
            photo=dataclasses.replace(explanation.photo, pixels=torch.rand(3, 900, 1300)),
            mask=torch.rand(900, 1300),
            perturbed=torch.rand(3, 900, 1300),
        )
        shapes = {axes.images[0].get_array().shape for axes in explanation_figure(big).axes}
        assert len(shapes) == 1
        height, width, _ = shapes.pop()
        assert width < 1300
        assert height / width == pytest.approx(900 / 1300, abs=0.01)

    @pytest.mark.parametrize(
        "name",
        ["a$b$c", "$\\frac$", "<b>&amp;", "100 % {x} \\n", "a_b^c", "", "[red]", "x" * 200],
        ids=range(8),
    )
    def test_class_names_are_no_formulas(self, explanation, name):
        odd = dataclasses.replace(explanation, target=Target((1,), (name,)))
        buffer = io.BytesIO()
        figure = explanation_figure(odd)
        panels.save(figure, buffer)
        assert opened(io.BytesIO(buffer.getvalue())).format == "PNG"
        title = figure.axes[0].title
        assert "$" not in name or "\\$" in title.get_text() or not title.get_parse_math()

    def test_class_names_in_other_scripts_draw_without_a_warning(self, explanation):
        odd = dataclasses.replace(explanation, target=Target((1,), ("犬 🐱",)))
        panels.save(explanation_figure(odd), io.BytesIO())
        assert "犬" in explanation_html(odd)

    def test_scores_that_are_no_numbers(self, explanation):
        odd = dataclasses.replace(explanation, scores=Scores(float("nan"), 0.1, float("nan")))
        assert "nan" in explanation_figure(odd).axes[0].get_title()

    def test_it_draws_on_a_figure_that_is_given(self, explanation):
        given = Figure()
        assert explanation_figure(explanation, given) is given
        assert len(given.axes) == 3


class TestPyplot:
    def state(self):
        return (
            list(_pylab_helpers.Gcf.figs),
            plt.get_backend(),
            {key: str(value) for key, value in plt.rcParams.items()},
        )

    def test_drawing_leaves_it_alone(self, explanation, result, tmp_path):
        mine = plt.figure()
        before = self.state()
        draw_explanation(explanation, tmp_path)
        explanation_html(explanation)
        draw_interrogation(result, tmp_path)
        assert self.state() == before
        assert plt.gcf() is mine
        assert mine.axes == []
        plt.close(mine)

    def test_show_works_without_a_screen(self, explanation, monkeypatch):
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        plt.switch_backend("Agg")
        plt.close("all")
        shown = []
        monkeypatch.setattr(plt, "show", lambda show=plt.show: (shown.append(plt.gcf()), show()))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            explanation.show()
        assert [len(figure.axes) for figure in shown] == [3]
        plt.close("all")


class TestInterrogationPictures:
    @pytest.mark.parametrize("with_saliency", [False, True])
    def test_files(self, result, tmp_path, with_saliency):
        out = tmp_path / "out"
        out.mkdir()
        draw_interrogation(result, out, torch.rand(40, 56) if with_saliency else None)
        assert {path.name for path in out.iterdir()} == {"perturbed.png", "figure.png"}
        assert opened(out / "perturbed.png").size == (56, 40)
        width, height = opened(out / "figure.png").size
        assert width > height > 200

    def test_only_the_box_is_edited(self, result, tmp_path):
        draw_interrogation(result, tmp_path)
        edited = np.asarray(opened(tmp_path / "perturbed.png")).astype(int)
        photo = (result.photo.pixels.numpy() * 255).round().transpose(1, 2, 0).astype(int)
        changed = (edited != photo).any(axis=-1)
        assert changed[5:25, 10:30].mean() > 0.5
        changed[5:25, 10:30] = False
        assert not changed.any()

    def test_the_box_is_drawn_where_it_is(self, result):
        from unsee.figures.interrogation import interrogation_figure

        figure = interrogation_figure(result)
        for axes, score in zip(figure.axes, (result.scores.original, result.scores.perturbed), strict=True):
            (box,) = axes.patches
            assert box.get_bbox().extents == pytest.approx((9.5, 4.5, 29.5, 24.5))
            assert axes.get_title() == f"bee: {score:.4f}"
