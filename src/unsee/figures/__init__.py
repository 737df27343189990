"""Pictures of results; the only home of matplotlib."""

from unsee.figures.demonstration import demonstration_page, facts, overview
from unsee.figures.explanation import draw_explanation, explanation_figure, explanation_html, show_explanation
from unsee.figures.interrogation import draw_interrogation

__all__ = [
    "demonstration_page",
    "draw_explanation",
    "draw_interrogation",
    "explanation_figure",
    "explanation_html",
    "facts",
    "overview",
    "show_explanation",
]
