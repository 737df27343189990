"""Thirty networks of ten families through `unsee.check`: none may end in a traceback.

python benchmarks/networks.py [--out networks.json]

Random weights, as torchvision makes them, at their own input size; minutes a network on two cores.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torchvision.models import get_model, get_model_weights

from unsee.classifier import Classifier
from unsee.network_check import check

NETWORKS = {
    "AlexNet, VGG": ("alexnet", "vgg11", "vgg11_bn", "vgg13"),
    "SqueezeNet": ("squeezenet1_0", "squeezenet1_1"),
    "ResNet": ("resnet18", "resnet34", "resnext50_32x4d", "wide_resnet50_2"),
    "DenseNet, GoogLeNet": ("densenet121", "googlenet"),
    "MobileNet": ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"),
    "ShuffleNet": ("shufflenet_v2_x0_5", "shufflenet_v2_x1_0"),
    "MNASNet": ("mnasnet0_5", "mnasnet1_0"),
    "EfficientNet": ("efficientnet_b0", "efficientnet_b1", "efficientnet_v2_s"),
    "RegNet, ConvNeXt": ("regnet_x_400mf", "regnet_y_400mf", "convnext_tiny"),
    "transformers": ("vit_b_16", "vit_b_32", "swin_t", "swin_v2_t", "maxvit_t"),
}


def main() -> None:
    """Check each network; print a line for each, and exit with 1 if a method fails unexpectedly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("networks.json"))
    out = parser.parse_args().out
    records, failing = {}, 0
    for name in (name for family in NETWORKS.values() for name in family):
        began = time.perf_counter()
        records[name] = found = check(_network(name)).record()
        fails = [method for method, state in found["methods"].items() if state.startswith("fails")]
        works = sum(state.startswith("works") for state in found["methods"].values())
        failing += len(fails)
        took = time.perf_counter() - began
        print(
            f"{name:20} {found['head']['is']:8} {works} methods work, fail: {fails or 'none'}, {took:.0f} s"
        )
        out.write_text(json.dumps(records, indent=1), encoding="utf-8")
    raise SystemExit(failing > 0)


def _network(name: str) -> Classifier:
    torch.manual_seed(0)
    transforms = get_model_weights(name).DEFAULT.transforms()
    size = transforms.crop_size[0]
    return Classifier(get_model(name, weights=None), size=(size, size), name=name)


if __name__ == "__main__":
    main()
