"""What one mask costs over the network's own passes: one photo, preset `paper`.

After every iteration of the mask one forward and backward pass of the network alone is timed, so that both
are measured under the same load; the ratio compares the whole explanation, its start and its scores included,
with as many passes as it has iterations. Random weights serve: cost does not depend on them.
"""

import argparse
import json
import time

import torch
from torch import Tensor

import unsee
from unsee.classifier import Classifier
from unsee.masks.loop import Step
from unsee.models.bvlc_googlenet import BVLCGoogLeNet


def main() -> None:
    """Print the ratio, and the seconds it comes from, as one line of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="bvlc", help="bvlc, or a torchvision network such as googlenet")
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    classifier = Classifier(network(arguments.model), name=arguments.model)
    print(json.dumps(measure(classifier, arguments.iterations, arguments.threads)))


def network(name: str) -> torch.nn.Module:
    """A network with random weights, ready for evaluation."""
    if name == "bvlc":
        return BVLCGoogLeNet().eval()
    from torchvision.models import get_model  # noqa: PLC0415

    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    net: torch.nn.Module = get_model(name, weights=None, **options)
    return net.eval()


def measure(classifier: Classifier, iterations: int, threads: int) -> dict[str, float | int | str]:
    """The seconds of one explanation and of as many passes of its network, taken in turn."""
    photo = torch.rand(3, *classifier.size, generator=torch.Generator().manual_seed(0))
    picture = torch.rand(1, 3, *classifier.size, requires_grad=True)
    for _ in range(5):
        one_pass(classifier, picture)
    own: list[float] = []

    def alone(_: Step) -> None:
        own.append(one_pass(classifier, picture))

    began = time.perf_counter()
    unsee.explain(classifier, photo, 0, preset="paper", iterations=iterations, progress=alone)
    seconds = time.perf_counter() - began - sum(own)
    return {
        "model": classifier.name,
        "iterations": iterations,
        "threads": threads,
        "explanation_seconds": round(seconds, 2),
        "network_seconds": round(sum(own), 2),
        "ratio": round(seconds / sum(own), 3),
    }


def one_pass(classifier: Classifier, picture: Tensor) -> float:
    """Seconds of one forward and backward pass to the input, weights without gradients."""
    began = time.perf_counter()
    with classifier.borrowed():
        score = classifier.net(picture).softmax(dim=1)[:, 0].sum()
        torch.autograd.grad(score, picture)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
