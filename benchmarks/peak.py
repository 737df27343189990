"""Peak memory, measured in its own process: `python benchmarks/peak.py NETWORK WHAT BATCH`.

WHAT is `passes`, forward and backward passes of the network as `fast` runs it, or `fast`. Prints the bytes in
addition to what the process held before; on the CPU, of the resident set.
"""

import sys
from pathlib import Path

import torch

import unsee
from common import network, photos
from unsee.tuning import tuned, uses_bfloat16

_PASSES = 3


def main() -> None:
    """Print the bytes."""
    name, what, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    classifier = network(name, device)
    pictures = photos(batch)
    unsee.explain(classifier, pictures[:1], iterations=2)
    before = peak(device)
    if what == "fast":
        unsee.explain(classifier, pictures, iterations=_PASSES, batch_size=batch)
    else:
        with classifier.borrowed():
            quick = tuned(classifier, uses_bfloat16(classifier, "auto"))
        views = torch.rand(batch, 3, *classifier.size, device=device, requires_grad=True)
        for _ in range(_PASSES):
            torch.autograd.grad(quick.logits(views).softmax(dim=1)[:, 0].sum(), views)
    print(peak(device) - before)


def peak(device: str) -> int:
    """The most bytes held so far."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
