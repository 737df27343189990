"""What `fast` is compared with: the algorithm of the public port, and other methods that a user might choose.

The port's algorithm is implemented from its description: one image, float32, a 28×28 mask with bilinear
upsampling, new Gaussian noise from numpy at each iteration, Adam at 0.1, regularisers as means, and 500
iterations.
"""

import math
import time

import numpy as np
import torch
import torch.nn.functional as F
from captum.attr import Lime, Occlusion
from skimage.segmentation import slic
from torch import Tensor, nn

PORT_ITERATIONS = 500
_AT_ONCE = 16


def port_seconds(net: nn.Module, picture: Tensor, iterations: int) -> float:
    """Seconds of one iteration of the port's algorithm: the median of so many."""
    side = picture.shape[-1]
    blurred = F.avg_pool2d(picture, 11, stride=1, padding=5)
    mask = torch.ones(1, 1, 28, 28, device=picture.device, requires_grad=True)
    optimizer = torch.optim.Adam([mask], lr=0.1)
    target = int(net(picture).argmax())
    seconds = []
    rng = np.random.default_rng(0)
    for _ in range(iterations):
        began = time.perf_counter()
        large = F.interpolate(mask, size=(side, side), mode="bilinear", align_corners=True)
        large = large.expand(1, 3, side, side)
        drawn = 0.2 * rng.standard_normal((side, side, 3), dtype=np.float32)
        noise = torch.from_numpy(drawn).permute(2, 0, 1).to(picture.device)
        score = torch.softmax(net(picture * large + blurred * (1 - large) + noise), dim=1)[0, target]
        rows = (mask[0, 0, :, 1:] - mask[0, 0, :, :-1]).abs().pow(3).mean()
        columns = (mask[0, 0, 1:] - mask[0, 0, :-1]).abs().pow(3).mean()
        loss = 0.01 * (1 - mask).abs().mean() + 0.2 * (rows + columns) + score
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            mask.clamp_(0, 1)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def occlusion_seconds(net: nn.Module, picture: Tensor) -> tuple[float, int]:
    """Seconds and evaluations of Captum's Occlusion with windows of 35 pixels and stride 8."""
    side = picture.shape[-1]
    places = (1 + math.ceil((side - 35) / 8)) ** 2
    target = int(net(picture).argmax())
    began = time.perf_counter()
    Occlusion(net).attribute(
        picture,
        sliding_window_shapes=(3, 35, 35),
        strides=(3, 8, 8),
        target=target,
        baselines=0,
        perturbations_per_eval=_AT_ONCE,
    )
    return time.perf_counter() - began, places


def lime_seconds(net: nn.Module, picture: Tensor, samples: int = 1000) -> tuple[float, int]:
    """Seconds and evaluations of Captum's LIME over SLIC segments."""
    began = time.perf_counter()
    low, high = picture.amin(), picture.amax()
    pixels = ((picture[0] - low) / (high - low)).permute(1, 2, 0).cpu().numpy()
    segments = torch.from_numpy(slic(pixels, n_segments=50, start_label=0)).to(picture.device)
    target = int(net(picture).argmax())
    Lime(net).attribute(
        picture,
        target=target,
        feature_mask=segments[None, None],
        n_samples=samples,
        perturbations_per_eval=_AT_ONCE,
    )
    return time.perf_counter() - began, samples
