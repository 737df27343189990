"""What a store holds, as JSON values: progress, failures, damage and the means of its numbers."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from unsee.records import finite
from unsee.runs.rows import TOKEN_CHECK, token_check_of
from unsee.verdicts import CONVERGED

if TYPE_CHECKING:
    from unsee.runs.store import Store

MEANS = ("score", "perturbed_score", "suppression", "area", "objective", "seconds")
"""The columns whose means are reported."""


def summarise(store: "Store", check: bool = False) -> dict[str, Any]:
    """Summarise a store.

    Args:
        store: what is summarised.
        check: read each part completely, with its checksums, to find damage in its data too.

    Returns:
        JSON values: "rows" of "rows_wanted", "errors" and the ids that "failed", the masks that are
        "unconverged" with their verdicts, "notes" of the edits with how many rows have each, "damaged" parts,
        "means", and what the manifest says of settings,
        starts, and the "sample": its "n" and "seed", or None.
    """
    if check:
        store = store.without([damage for damage in store.checked() if damage is not None])
    table = store.table(["id", "error", "verdict", TOKEN_CHECK, *MEANS])
    known = table.filter(pc.is_valid(table["verdict"]))
    unconverged = known.filter(pc.not_equal(known["verdict"], CONVERGED)).select(["id", "verdict"])
    failed = table.filter(pc.is_valid(table["error"])).select(["id", "error"]).to_pylist()
    summary: dict[str, Any] = finite(
        {
            "store": store.storage.address,
            "settings": store.manifest["settings"],
            "sample": store.manifest.get("sample"),
            "settings_hash": store.manifest["settings_hash"],
            "rows": len(table),
            "rows_wanted": store.manifest["rows_wanted"],
            "left_out": store.manifest["left_out"],
            "errors": len(failed),
            "failed": [{"id": row["id"], "error": row["error"]} for row in failed],
            "unconverged": unconverged.to_pylist(),
            "notes": _notes(table[TOKEN_CHECK]),
            "damaged": list(map(str, store.damaged)),
            "twins": store.twins,
            "parts": len(store.parts),
            "bytes": store.bytes,
            "means": {name: pc.mean(table[name]).as_py() for name in MEANS},
            "starts": store.manifest["starts"],
        }
    )
    return summary


def _notes(token_check: pa.ChunkedArray) -> dict[str, int]:
    """What edits say to people of their masks, and of how many."""
    found = map(token_check_of, token_check.drop_null().to_pylist())
    return dict(Counter(own["note"] for own in found if own and "note" in own))
