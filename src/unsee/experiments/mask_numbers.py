"""Scores and areas of several masks of one image, and their means: for experiments that compare masks."""

from collections.abc import Iterator, Sequence

from unsee.experiments.experiment import Case, Record, Table, by
from unsee.metrics import mean_of

SOURCE = "look"
"""The key of a map source's name in records; records files of version 0.1 have it."""
_COLUMNS = {"score": "score", "perturbed_score": "edited", "area": "area", "suppression": "suppression"}


def mask_numbers(case: Case) -> Iterator[Record]:
    """A record for each mask of an image, with its scores and its area."""
    for source, row in case.numbers.items():
        yield {"id": case.sample.id, SOURCE: source, **{name: row[name] for name in _COLUMNS}}


def means_table(title: str, records: Sequence[Record]) -> Table:
    """The means of each map source's numbers."""
    rows = {
        source: {
            label: mean_of([record[name] for record in own if record[name] is not None])
            for name, label in _COLUMNS.items()
        }
        for source, own in by(records, SOURCE).items()
    }
    return Table(title, rows)
