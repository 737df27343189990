"""Work in parts, and keeping freed memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from unsee.memory import in_quarters

HELD = """
import sys, torch
from unsee.memory import keep_freed
if sys.argv[1] == "keep" and not keep_freed():
    print("no")
    raise SystemExit
def resident():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) // 1024
before = resident()
blocks = [torch.ones(20_000_000, dtype=torch.uint8) for _ in range(10)]
del blocks
print(resident() - before)
"""


@pytest.mark.parametrize(
    ("count", "parts"), [(0, []), (3, [3]), (9, [4, 4, 1]), (16, [4] * 4), (64, [16] * 4)]
)
def test_quarters_have_at_least_four_items_and_keep_the_order(count, parts):
    seen = []

    def work(some):
        seen.append(len(some))
        return [10 * item for item in some]

    assert in_quarters(work, range(count)) == [10 * item for item in range(count)]
    assert seen == parts


def test_a_quarter_that_runs_out_of_memory_is_halved():
    def work(some):
        if len(some) > 1:
            raise MemoryError
        return list(some)

    assert in_quarters(work, range(9)) == list(range(9))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system has no /proc")
def test_the_process_keeps_freed_memory_after_keep_freed():
    given_back, kept = (
        subprocess.check_output([sys.executable, "-c", HELD, way], text=True).strip()
        for way in ("plain", "keep")
    )
    if kept == "no":
        pytest.skip("this C library cannot keep freed memory")
    assert int(given_back) < 60
    assert int(kept) > 150
