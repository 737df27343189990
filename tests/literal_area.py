"""Extremal perturbations (Fong, Patrick & Vedaldi 2019): a slow, literal version for one image in float64.

Written from the paper and the published description of the authors' code: plain loops over pixels. Marks are
what the mask selects, kept or deleted; torch is used only for the network and the gradient at its input.
"""

import math

import numpy as np
import torch


def kernel(distance, sigma):
    """1 up to half of sigma, then a Gaussian."""
    return math.exp(-2 * max(distance / sigma - 0.5, 0.0) ** 2)


def painted(cells, row, column, step, sigma):
    """What each cell of the window round a pixel (counted from the margin's corner) paints it with."""
    reach = 1 + math.ceil(sigma / step)
    border = 1 + math.ceil(2 * sigma / step)
    values = []
    for ky in range(2 * reach + 1):
        for kx in range(2 * reach + 1):
            y, x = row // step + ky - border, column // step + kx - border
            inside = 0 <= y < cells.shape[0] and 0 <= x < cells.shape[1]
            distance = math.hypot(row - sigma - step * y, column - sigma - step * x)
            weight = kernel(distance, sigma)
            values.append((y, x, weight * cells[y, x] if inside else 0.0, weight if inside else 0.0))
    return values


def smooth_maximum(cells, step, sigma, coldness=20.0):
    """The pixels with their margin, and the derivative of each by each cell."""
    reach, border = 1 + math.ceil(sigma / step), 1 + math.ceil(2 * sigma / step)
    size = [step * (n + 2 * border - 2 * reach) - step + 1 for n in cells.shape]
    pixels, derivatives = np.zeros(size), np.zeros((*size, *cells.shape))
    for row in range(size[0]):
        for column in range(size[1]):
            values = painted(cells, row, column, step, sigma)
            powers = [math.exp(coldness * value) for _, _, value, _ in values]
            total = sum(powers)
            level = sum(value * power for (_, _, value, _), power in zip(values, powers, strict=True)) / total
            pixels[row, column] = level
            for (y, x, value, weight), power in zip(values, powers, strict=True):
                if weight:
                    derivatives[row, column, y, x] += (
                        weight * power / total * (1 + coldness * (value - level))
                    )
    return pixels, derivatives


def area_penalty(pixels, area, iteration, weight=300.0, growth=1.0035):
    """The weighted mean square distance of the sorted pixels from a step, and its derivative."""
    count = pixels.size
    low = int(count * (1 - area))
    order = np.argsort(pixels.ravel(), kind="stable")
    step = np.zeros(count)
    for place, pixel in enumerate(order):
        step[pixel] = 0.0 if place < low else 1.0
    factor = weight * growth**iteration
    apart = pixels - step.reshape(pixels.shape)
    return factor * np.mean(apart**2), factor * 2 * apart / count


def blurred(image, sigma, color):
    """A Gaussian blur cut at 4 sigma; beyond the border is a colour (in the authors' code 0, normalised)."""
    if sigma == 0:
        return image.copy()
    reach = math.ceil(4 * sigma)
    weights = np.array([math.exp(-0.5 * (place / sigma) ** 2) for place in range(-reach, reach + 1)])
    weights /= weights.sum()
    out = np.pad(image - color[:, None, None], ((0, 0), (reach, reach), (reach, reach)))
    for axis in (1, 2):
        out = np.apply_along_axis(np.convolve, axis, out, weights, "same")
    return out[:, reach:-reach, reach:-reach] + color[:, None, None]


def between_levels(stack, mask):
    """The picture between its levels, pixel by pixel, and its derivative in the mask."""
    last = len(stack) - 1
    image, derivative = np.zeros_like(stack[0]), np.zeros_like(stack[0])
    for row in range(mask.shape[0]):
        for column in range(mask.shape[1]):
            place = mask[row, column] * last
            below = min(int(place), last - 1)
            low, high = stack[below][:, row, column], stack[below + 1][:, row, column]
            image[:, row, column] = low + (place - below) * (high - low)
            derivative[:, row, column] = last * (high - low)
    return image, derivative


def logit_and_gradient(net, stack, mask, target, turn):
    """The target's logit of the picture between its levels, mirrored or not, and its gradient."""
    image, derivative = between_levels(stack, mask)
    given = torch.from_numpy((image[:, :, ::-1] if turn else image).copy())[None].requires_grad_()
    logit = net(given)[0, target]
    (gradient,) = torch.autograd.grad(logit, given)
    back = gradient[0].numpy()
    back = back[:, :, ::-1] if turn else back
    return float(logit.detach()), (back * derivative).sum(axis=0)


def learn(
    image, color, net, target, area, iterations, game, step=7, sigma=21, levels=8, strongest=20.0, rate=0.01
):
    """The marks of every iteration and the terms before each step; `image` is normalised, `net` takes it."""
    size = image.shape[1:]
    stack = [blurred(image, strongest * (1 - level / (levels - 1)), color) for level in range(levels)]
    cells = np.ones([math.ceil(n / step) for n in size])
    velocity, found, history = None, [cells.copy()], []
    for t in range(iterations):
        pixels, derivatives = smooth_maximum(cells, step, sigma)
        inside = (slice(sigma, sigma + size[0]), slice(sigma, sigma + size[1]))
        marks, turn = pixels[inside], t % 2 == 0
        loss, by_mark = 0.0, np.zeros(size)
        if game in ("preservation", "dual"):
            logit, derivative = logit_and_gradient(net, stack, marks, target, turn)
            loss, by_mark = loss - logit, by_mark - derivative
        if game in ("deletion", "dual"):
            logit, derivative = logit_and_gradient(net, stack, 1 - marks, target, turn)
            loss, by_mark = loss + logit, by_mark - derivative
        penalty, by_pixel = area_penalty(pixels, area, t)
        by_pixel[inside] += by_mark
        gradient = np.tensordot(by_pixel, derivatives, axes=((0, 1), (0, 1)))
        velocity = gradient if velocity is None else 0.9 * velocity + 0.1 * gradient
        cells = np.clip(cells - rate * velocity, 0, 1)
        history.append((loss, penalty))
        found.append(cells.copy())
    return found, history
