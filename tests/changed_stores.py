"""Stores whose masks are said to have gone otherwise, or that an earlier version has written."""

import pyarrow as pa
import pyarrow.parquet as pq

from unsee.runs.store import Store

FALLING = "still falling: the objective had not converged after the last iteration"
NO_GAIN = "no gain: no mask was better than the untouched image"


def changed(folder, change):
    """Write every part of a store anew, each with the table that `change` makes of its own."""
    for path in folder.glob("part-*"):
        pq.write_table(change(pq.read_table(path)), path, write_page_checksum=True)
    return Store.open(folder)


def with_values(table, column, values):
    """A table with other values in a column, by id."""
    place, field = table.schema.get_field_index(column), table.schema.field(column)
    old = zip(table["id"].to_pylist(), table[column].to_pylist(), strict=True)
    return table.set_column(place, field, pa.array([values.get(id, own) for id, own in old], field.type))


def marked(folder, verdicts=(), attempts=(), errors=()):
    """A store with other verdicts, numbers of attempts and errors, each by id; all others have converged."""

    def change(table):
        known = dict.fromkeys(table["id"].to_pylist(), "converged") | dict(verdicts)
        gone = dict.fromkeys(dict(errors))
        table = with_values(table, "verdict", known | gone)
        table = with_values(table, "attempts", dict.fromkeys(known, 1) | dict(attempts) | gone)
        return with_values(table, "error", dict(errors))

    return changed(folder, change)


def without_attempts(folder):
    """A store as the first ones of format 2, without the columns that came later."""
    return changed(folder, lambda table: table.drop_columns(["attempts", "token_check"]))
