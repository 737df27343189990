"""Pictures of results; the only home of matplotlib."""

from unsee.figures.explanation import draw_explanation, explanation_figure, explanation_html, show_explanation
from unsee.figures.interrogation import draw_interrogation

__all__ = [
    "draw_explanation",
    "draw_interrogation",
    "explanation_figure",
    "explanation_html",
    "show_explanation",
]
