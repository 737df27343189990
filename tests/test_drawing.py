"""Charts, image rows and grids of methods, drawn from plain values."""

import numpy as np
import pytest
import torch
from PIL import Image

from unsee.drawing import panels
from unsee.drawing.charts import Bar, BarChart, ChartLine, LineChart, charts_figure, draw_charts
from unsee.drawing.image_rows import (
    BoxedImage,
    MappedImage,
    PointedImage,
    draw_boxes,
    draw_maps,
    draw_points,
    shortened,
)
from unsee.drawing.method_grid import Cell, GridRow, method_grid

LINE = ChartLine((1.0, 2.0, 4.0), (0.2, 0.5, 0.3), (0.1, 0.4, 0.2), (0.3, 0.6, 0.4))
LINES = LineChart("title", "across", "up", {"one_name": LINE, "other": LINE}, logarithmic=True, marked=2.0)
TICKS = LineChart("title", "across", "up", {"one_name": LINE}, ticks=("a", "b", "c", "d", "e"))
BARS = BarChart(
    "bars",
    ("A", "B"),
    {
        "row_1": {"A": Bar(1.0, 0.5, 2.0), "B": Bar(2.0, float("nan"), float("nan"))},
        "row 2": {"B": Bar(3, 2, 4)},
    },
    {"row_1": {"A": 1.2}},
)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, in order."""
    figures = []
    save = panels.save

    def keep(figure, path):
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr("unsee.drawing.panels.save", keep)
    return figures


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


class TestCharts:
    def test_lines_with_intervals_and_a_shared_legend(self):
        figure = charts_figure([LINES, LINES, TICKS])
        axes = figure.axes[0]
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one name", "other"]
        assert axes.lines[0].get_xydata().tolist() == [[1, 0.2], [2, 0.5], [4, 0.3]]
        assert len(axes.collections) == 2
        assert axes.get_xscale() == "log"
        assert axes.lines[2].get_xdata() == [2.0, 2.0]
        assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("across", "up", "title")

    def test_categories_are_not_connected(self):
        (axes,) = charts_figure([TICKS]).axes
        assert axes.lines[0].get_linestyle() == "None"
        assert [label.get_text() for label in axes.get_xticklabels()] == list("abcde")

    def test_bars_with_intervals_and_published_values(self):
        figure = charts_figure([BARS])
        (axes,) = figure.axes
        assert figure.legends == []
        heights = [bar.get_height() for bar in axes.patches]
        assert heights == pytest.approx([1.0, np.nan, 2.0, 3.0], nan_ok=True)
        assert [label.get_text() for label in axes.get_xticklabels()] == ["row 1", "row 2"]
        assert axes.get_title() == "bars (–: the paper's)"
        (published,) = [
            line for line in axes.lines if line.get_marker() == "_" and len(line.get_xdata()) == 1
        ]
        assert published.get_ydata() == (1.2,)

    def test_many_groups_stand_below_each_other(self):
        many = BarChart("many", ("A",), {str(k): {"A": Bar(1, 0, 2)} for k in range(30)})
        wide, narrow = charts_figure([many, BARS]), charts_figure([BARS, BARS])
        assert {axes.get_subplotspec().colspan.start for axes in wide.axes} == {0}
        assert {axes.get_subplotspec().colspan.start for axes in narrow.axes} == {0, 1}

    def test_it_is_written_as_png(self, tmp_path):
        draw_charts([LINES, BARS], tmp_path / "charts.png")
        with Image.open(tmp_path / "charts.png") as image:
            assert image.format == "PNG"


class TestImageRows:
    def mapped(self, edited=True):
        image = torch.rand(3, 20, 30)
        return MappedImage(image, torch.rand(20, 30), "bee: 0.9", image if edited else None, "edited: 0.1")

    def test_maps_with_edited_images_below(self, tmp_path, drawn):
        draw_maps({"one_name": [self.mapped(), self.mapped()], "b": [self.mapped()]}, tmp_path / "maps.png")
        assert titles(drawn[0]) == ["one name\nbee: 0.9", "b\nbee: 0.9", "edited: 0.1", "edited: 0.1"]

    def test_edited_images_are_left_out_unless_all_images_have_one(self, tmp_path, drawn):
        draw_maps({"a": [self.mapped()], "b": [self.mapped(edited=False)]}, tmp_path / "maps.png")
        assert titles(drawn[0]) == ["a\nbee: 0.9", "b\nbee: 0.9"]

    def test_boxes_are_blurred_and_outlined(self, tmp_path, drawn):
        image = torch.rand(3, 32, 40)
        images = [BoxedImage(image, {"own": ((5, 6, 20, 30), 0.9, 0.1)}), BoxedImage(image, {})]
        draw_boxes(images, tmp_path / "boxes.png")
        axes, empty = drawn[0].axes
        assert axes.get_title() == "own\n0.900 → 0.100"
        assert axes.patches[0].get_bbox().extents == pytest.approx((4.5, 5.5, 19.5, 29.5))
        changed = (np.asarray(axes.images[0].get_array()) != image.permute(1, 2, 0).numpy()).any(axis=-1)
        assert changed[6:30, 5:20].mean() > 0.9
        changed[6:30, 5:20] = False
        assert not changed.any()
        assert not empty.axison

    def test_points_are_marked_by_kind(self, tmp_path, drawn):
        maps = {"a": torch.rand(20, 30), "constant": torch.zeros(20, 30)}
        pointed = PointedImage(torch.rand(3, 20, 30), maps, {"eye": [(3.0, 4.0)], "foot": []})
        draw_points([pointed], tmp_path / "points.png")
        assert titles(drawn[0]) == ["a", "constant"]
        eye, foot = drawn[0].axes[0].collections
        assert eye.get_offsets().tolist() == [[3, 4]]
        assert np.isnan(foot.get_offsets().filled(np.nan)).all()
        assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["eye", "foot"]

    def test_long_names_are_shortened(self):
        assert shortened("bee") == "bee"
        assert len(shortened("b" * 60)) == 26


class TestMethodGrid:
    def test_a_row_for_each_image_and_a_column_for_each_method(self):
        image, saliency = torch.rand(3, 20, 30), torch.rand(20, 30)
        rows = [GridRow(image, "bee\n0.9", {"grad_cam": Cell(saliency, "3 %", (5.0, 6.0, 10.5, 12.0))})]
        figure = method_grid(rows, ["grad_cam", "rise"], "caption")
        assert titles(figure) == ["bee\n0.9", "grad cam\n3 %", "rise\nleft out"]
        assert figure.axes[1].patches[0].get_bbox().extents == pytest.approx((4.5, 5.5, 10.0, 11.5))
        assert figure.axes[2].patches[:] == []
        assert figure.get_supxlabel() == "caption"

    def test_boxes_follow_a_large_image_that_is_shrunk(self):
        cell = Cell(torch.rand(100, 1280), "", (0.0, 0.0, 1280.0, 100.0))
        figure = method_grid([GridRow(torch.rand(3, 100, 1280), "", {"a": cell})], ["a"], "")
        assert figure.axes[1].images[0].get_array().shape[:2] == (50, 640)
        assert figure.axes[1].patches[0].get_bbox().extents == pytest.approx((-0.5, -0.5, 639.5, 49.5))
