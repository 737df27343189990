"""The results of an experiment as drawings: its summary as charts, and its first images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from unsee.drawing import image_rows
from unsee.drawing.charts import Bar, BarChart, ChartLine, LineChart, draw_charts
from unsee.drawing.image_rows import BoxedImage, MappedImage, PointedImage, draw_boxes, draw_points
from unsee.experiments.animal_parts import EYE, FOOT, animals_in
from unsee.experiments.experiment import Case, Plot, Record, Summary, Table
from unsee.runs.rendered_row import RenderedRow

_MOST_COLUMNS = 12


def summary_charts(summary: Summary) -> list[LineChart | BarChart]:
    """A line chart for each plot, or a bar chart for each table if there are no plots."""
    if summary.plots:
        return [_line_chart(plot) for plot in summary.plots]
    return [_bar_chart(table) for table in summary.tables]


def draw_summary(summary: Summary, file: Path) -> None:
    """Write the figure of a summary as PNG."""
    draw_charts(summary_charts(summary), file)


def draw_map_columns(sources: Mapping[str, Sequence[RenderedRow]], file: Path) -> None:
    """Write a column for each source: its maps over the images, with the edited images below if all have one.

    Args:
        sources: name of a map source → the rendered rows of the first images.
        file: a PNG; further columns go to files with -2, -3, … after its stem.
    """
    columns = {name: list(map(_mapped, rows)) for name, rows in sources.items()}
    names = list(columns)
    for first in range(0, len(names), _MOST_COLUMNS):
        part = file.with_stem(f"{file.stem}-{first // _MOST_COLUMNS + 1}") if first else file
        image_rows.draw_maps({name: columns[name] for name in names[first : first + _MOST_COLUMNS]}, part)


def draw_boxed(cases: Sequence[tuple[Case, Sequence[Record]]], file: Path) -> None:
    """Write a PNG of images with the boxes that `Interrogations` has blurred."""
    draw_boxes([_boxed(case, records) for case, records in cases], file)


def draw_pointed(cases: Sequence[Case], file: Path) -> None:
    """Write a PNG of images with the keypoints that `AnimalParts` compares."""
    draw_points(list(map(_pointed, cases)), file)


def _boxed(case: Case, records: Sequence[Record]) -> BoxedImage:
    boxes = {r["what"]: (tuple(r["box"]), r["before"], r["after"]) for r in records}
    return BoxedImage(case.network_input.plain, boxes)


def _pointed(case: Case) -> PointedImage:
    height, width = case.sample.image.shape[:2]
    down, across = case.network_input.size[0] / height, case.network_input.size[1] / width
    points: dict[str, list[tuple[float, float]]] = {EYE: [], FOOT: []}
    for point in (p for animal in animals_in(case) for p in animal.keypoints if p.kind in (EYE, FOOT)):
        place = ((point.x + 0.5) * across - 0.5, (point.y + 0.5) * down - 0.5)
        points[point.kind].append(place)
    return PointedImage(case.network_input.plain, {name: case.at_input(name) for name in case.maps}, points)


def _line_chart(plot: Plot) -> LineChart:
    lines = {
        name: ChartLine(
            line.places,
            [one.value for one in line.estimates],
            [one.low for one in line.estimates],
            [one.high for one in line.estimates],
        )
        for name, line in plot.lines.items()
    }
    return LineChart(plot.title, plot.across, plot.up, lines, plot.logarithmic, plot.usual, plot.ticks)


def _bar_chart(table: Table) -> BarChart:
    groups = {
        name: {column: Bar(one.value, one.low, one.high) for column, one in row.items()}
        for name, row in table.rows.items()
    }
    return BarChart(table.title, table.columns, groups, table.paper)


def _mapped(rendered: RenderedRow) -> MappedImage:
    row = rendered.row
    title = f"{image_rows.shortened(row['target_name'][0])}: {row['score']:.3f}"
    edited_title = "" if rendered.edited is None else f"edited: {row['perturbed_score']:.3f}"
    return MappedImage(rendered.image, rendered.saliency, title, rendered.edited, edited_title)
