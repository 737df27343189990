"""Work in parts, and freed memory that is kept."""

import subprocess
import sys

import pytest

from unsee.memory import in_quarters

FAULTS = """
import resource, sys, torch
from unsee.memory import keep_freed
if sys.argv[1] == "keep":
    agreed = keep_freed()
    if not agreed:
        print("no")
        raise SystemExit
def passes(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        torch.ones(50_000_000, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
passes(2)
print(passes(5))
"""


@pytest.mark.parametrize(
    ("count", "parts"), [(0, []), (3, [3]), (9, [4, 4, 1]), (16, [4] * 4), (64, [16] * 4)]
)
def test_quarters_are_never_very_small_and_keep_their_order(count, parts):
    seen = []

    def work(some):
        seen.append(len(some))
        return [10 * item for item in some]

    assert in_quarters(work, range(count)) == [10 * item for item in range(count)]
    assert seen == parts


def test_a_quarter_that_does_not_fit_is_halved():
    def work(some):
        if len(some) > 1:
            raise MemoryError
        return list(some)

    assert in_quarters(work, range(9)) == list(range(9))


def test_freed_memory_is_not_cleared_anew_once_it_is_kept():
    given_back, kept = (
        subprocess.check_output([sys.executable, "-c", FAULTS, way], text=True).strip()
        for way in ("plain", "keep")
    )
    if kept == "no":
        pytest.skip("this C library cannot be told to keep what is freed")
    assert int(kept) < int(given_back) / 10
