"""An experiment's results: its summary as charts, and its first images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from unsee.drawing import image_rows
from unsee.drawing.charts import Bar, BarChart, ChartLine, LineChart, charts_figure, draw_charts
from unsee.drawing.image_rows import BoxedImage, MappedImage, PointedImage
from unsee.experiments.animal_parts import EYE, FOOT, animals_in
from unsee.experiments.experiment import Case, Plot, Record, Summary, Table
from unsee.runs.rendered_row import RenderedRow


def summary_figure(summary: Summary) -> Figure:
    """A panel for each plot, or for each table if there are no plots."""
    return charts_figure(_charts(summary))


def draw_summary(summary: Summary, file: Path) -> None:
    """Write the figure as PNG."""
    draw_charts(_charts(summary), file)


def draw_maps(sources: Mapping[str, Sequence[RenderedRow]], file: Path) -> None:
    """Write a PNG with a column for each source of maps, and the edited images below if all rows have one."""
    columns = {name: [_mapped(rendered) for rendered in rows] for name, rows in sources.items()}
    image_rows.draw_maps(columns, file)


def boxed(case: Case, records: Sequence[Record]) -> BoxedImage:
    """An image with the boxes that `Interrogations` has blurred."""
    boxes = {r["what"]: (tuple(r["box"]), r["before"], r["after"]) for r in records}
    return BoxedImage(case.frame.plain, boxes)


def pointed(case: Case) -> PointedImage:
    """An image with the keypoints that `AnimalParts` compares."""
    height, width = case.sample.image.shape[:2]
    down, across = case.frame.size[0] / height, case.frame.size[1] / width
    points: dict[str, list[tuple[float, float]]] = {EYE: [], FOOT: []}
    for point in (p for animal in animals_in(case) for p in animal.keypoints if p.kind in (EYE, FOOT)):
        place = ((point.x + 0.5) * across - 0.5, (point.y + 0.5) * down - 0.5)
        points[point.kind].append(place)
    return PointedImage(case.frame.plain, {name: case.at_input(name) for name in case.maps}, points)


def _charts(summary: Summary) -> list[LineChart | BarChart]:
    if summary.plots:
        return [_line_chart(plot) for plot in summary.plots]
    return [_bar_chart(table) for table in summary.tables]


def _line_chart(plot: Plot) -> LineChart:
    lines = {
        name: ChartLine(
            line.places,
            *zip(*((one.value, one.low, one.high) for one in line.estimates), strict=True),
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
    return MappedImage(rendered.picture, rendered.saliency, title, rendered.edited, edited_title)
