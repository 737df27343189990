"""What a store holds, as JSON values: progress, failures, damage and the means of its numbers."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unsee.records import finite
from unsee.runs.rows import TOKEN_CHECK, token_check_of
from unsee.verdicts import CONVERGED

MEANS = ("score", "perturbed_score", "suppression", "area", "objective", "seconds")
"""The columns whose means are reported."""
SUMMARY_COLUMNS = ("id", "error", "verdict", TOKEN_CHECK, *MEANS)
"""The columns that a summary reads."""


def summarise(
    table: pa.Table, manifest: Mapping[str, Any], address: str, files: Mapping[str, Any]
) -> dict[str, Any]:
    """Summarise a store.

    Args:
        table: its rows, with `SUMMARY_COLUMNS`.
        manifest: its manifest.
        address: where it is.
        files: what is known of its files, by name, as JSON values.

    Returns:
        JSON values: `files`, "rows" of "rows_wanted", "errors" and the ids that "failed", the masks that are
        "unconverged" with their verdicts, "notes" of the edits with how many rows have each, "means", and
        what the manifest says of settings, starts, and the "sample": its "n" and "seed", or None.
    """
    known = table.filter(pc.is_valid(table["verdict"]))
    unconverged = known.filter(pc.not_equal(known["verdict"], CONVERGED)).select(["id", "verdict"])
    failed = table.filter(pc.is_valid(table["error"])).select(["id", "error"]).to_pylist()
    summary: dict[str, Any] = finite(
        {
            "store": address,
            "settings": manifest["settings"],
            "sample": manifest.get("sample"),
            "settings_hash": manifest["settings_hash"],
            "rows": len(table),
            "rows_wanted": manifest["rows_wanted"],
            "left_out": manifest["left_out"],
            "errors": len(failed),
            "failed": [{"id": row["id"], "error": row["error"]} for row in failed],
            "unconverged": unconverged.to_pylist(),
            "notes": _notes(table[TOKEN_CHECK]),
            **files,
            "means": {name: pc.mean(table[name]).as_py() for name in MEANS},
            "starts": manifest["starts"],
        }
    )
    return summary


def _notes(token_check: pa.ChunkedArray) -> dict[str, int]:
    """What edits say to people of their masks, and of how many."""
    found = map(token_check_of, token_check.drop_null().to_pylist())
    return dict(Counter(own["note"] for own in found if own and "note" in own))
