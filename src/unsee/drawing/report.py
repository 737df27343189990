"""A self-contained HTML page: images are embedded, and nothing is loaded from elsewhere."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from PIL import Image

from unsee.drawing import panels

_QUALITY = 85
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
section > div { overflow-x: auto; }
img { max-width: 100%; background: white; border-radius: 6px; }
table { border-collapse: collapse; margin: .5rem 0; }
td, th { text-align: left; padding: .2rem .9rem .2rem 0; font-variant-numeric: tabular-nums; }
th { font-weight: 600; } footer { margin-top: 3rem; opacity: .7; font-size: .85rem; }
"""


@dataclass(frozen=True)
class Lines:
    """A table with a heading for each column."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, eq=False)
class Section:
    """A heading, a paragraph, figures or PNG files, then tables and facts (name → value)."""

    heading: str
    text: str
    figures: Sequence[Figure | bytes]
    alt: str
    facts: Mapping[str, str]
    tables: Sequence[Lines] = ()


def page(title: str, lead: str, sections: Sequence[Section], footer: str) -> str:
    """The page as HTML; all text is escaped.

    Args:
        title: of the page, also shown as its heading.
        lead: the paragraph below the title.
        sections: in their order on the page.
        footer: the last line.
    """
    body = "".join(_section(section) for section in sections)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{html.escape(title)}</h1><p>{html.escape(lead)}</p>\n{body}"
        f"<footer>{html.escape(footer)}</footer></body></html>\n"
    )


def embedded(figure: Figure | bytes, alt: str) -> str:
    """An `img` element with its data embedded: a figure as PNG, a PNG file converted to JPEG."""
    data = io.BytesIO()
    if isinstance(figure, Figure):
        panels.save(figure, data)
        kind = "png"
    else:
        Image.open(io.BytesIO(figure)).convert("RGB").save(data, "jpeg", quality=_QUALITY)
        kind = "jpeg"
    encoded = base64.b64encode(data.getvalue()).decode()
    return f'<img alt="{html.escape(alt, quote=True)}" src="data:image/{kind};base64,{encoded}">'


def facts_table(facts: Mapping[str, str]) -> str:
    """Names and values as an HTML table of two columns."""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in facts.items()
    )
    return f"<table>{rows}</table>"


def lines_table(lines: Lines) -> str:
    """A table with its heading, as HTML; all text is escaped."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in lines.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in lines.rows
    )
    return f"<h3>{html.escape(lines.title)}</h3><div><table><tr>{head}</tr>{rows}</table></div>"


def _section(section: Section) -> str:
    images = "".join(embedded(figure, section.alt) for figure in section.figures)
    tables = "".join(map(lines_table, section.tables))
    return (
        f"<section><h2>{html.escape(section.heading)}</h2><p>{html.escape(section.text)}</p>"
        f"{images}{tables}{facts_table(section.facts)}</section>\n"
    )
