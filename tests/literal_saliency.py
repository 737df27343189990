"""Saliency methods of the paper's supplement: slow, literal versions in numpy float64, one unit at a time.

A network is a list of layers, each a tuple: ("conv", W, b, stride, pad), ("relu",), ("max", size), ("avg",)
for the global average, ("linear", W, b). Images are (channels, height, width).
"""

import math

import numpy as np

from literal import gaussian, upsample_matrix

RELUS = {
    "gradient": lambda gradient, x: gradient * (x > 0),
    "guided_backprop": lambda gradient, x: np.maximum(gradient, 0) * (x > 0),
    "deconvnet": lambda gradient, x: np.maximum(gradient, 0),
}
"""A method's backward pass through max(x, 0)."""


def forward(layers, x):
    """Give the activations before each layer, and the logits last."""
    given = [x]
    for layer in layers:
        given.append(answer(layer, given[-1]))
    return given


def answer(layer, x):
    kind = layer[0]
    if kind == "conv":
        return weighed(x, layer[1], layer[3], layer[4]) + layer[2][:, None, None]
    if kind == "relu":
        return np.maximum(x, 0)
    if kind == "max":
        size = layer[1]
        height, width = (side // size for side in x.shape[1:])
        blocks = x[:, : height * size, : width * size].reshape(len(x), height, size, width, size)
        return blocks.max(axis=(2, 4))
    if kind == "avg":
        return x.mean(axis=(1, 2))
    return layer[1] @ x + layer[2]


def weighed(x, weight, stride, pad):
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    reach = weight.shape[2]
    height, width = ((side - reach) // stride + 1 for side in padded.shape[1:])
    out = np.zeros((len(weight), height, width))
    for o, y, z in np.ndindex(*out.shape):
        window = padded[:, y * stride : y * stride + reach, z * stride : z * stride + reach]
        out[o, y, z] = (window * weight[o]).sum()
    return out


def excitation(layers, x, top, stop, sign=1.0):
    """Send the probabilities `top` of the logits down to what enters layer `stop`.

    P(a_j) = Σ_i P(a_i)·a_j·w⁺_ij / Σ_k a_k·w⁺_ik (Zhang et al. 2016, eq. 5): each unit i above passes its
    probability to the units j below, in proportion to how strongly each excites it. `sign` multiplies the
    weights of the last layer. Gives the signal at the input of each layer from the top down to `stop`.
    """
    given = forward(layers, x)
    signals = [top]
    for place in range(len(layers) - 1, stop - 1, -1):
        layer, entered = layers[place], given[place]
        turned = sign if place == len(layers) - 1 else 1.0
        signals.append(handed(layer, entered, signals[-1], turned))
    return signals


def handed(layer, x, above, sign):
    kind = layer[0]
    below = np.zeros_like(x)
    if kind == "relu":
        return above
    if kind == "avg":
        return (
            below
            + np.maximum(x, 0)
            * np.divide(
                above,
                np.maximum(x, 0).sum(axis=(1, 2)),
                out=np.zeros_like(above),
                where=x.sum(axis=(1, 2)) > 0,
            )[:, None, None]
        )
    if kind == "max":
        size = layer[1]
        for c, y, z in np.ndindex(*above.shape):
            block = x[c, y * size : (y + 1) * size, z * size : (z + 1) * size]
            row, column = np.unravel_index(block.argmax(), block.shape)
            below[c, y * size + row, z * size + column] += above[c, y, z]
        return below
    if kind == "linear":
        for i, row in enumerate(np.maximum(sign * layer[1], 0)):
            share = row * np.maximum(x, 0)
            if share.sum() > 0:
                below += above[i] * share / share.sum()
        return below
    weight, stride, pad = np.maximum(sign * layer[1], 0), layer[3], layer[4]
    padded = np.pad(np.maximum(x, 0), ((0, 0), (pad, pad), (pad, pad)))
    spread, reach = np.zeros_like(padded), weight.shape[2]
    for o, y, z in np.ndindex(*above.shape):
        window = np.s_[:, y * stride : y * stride + reach, z * stride : z * stride + reach]
        share = padded[window] * weight[o]
        if share.sum() > 0:
            spread[window] += above[o, y, z] * share / share.sum()
    return spread[:, pad : pad + x.shape[1], pad : pad + x.shape[2]]


def gradient(layers, x, target, method="gradient"):
    """Give the gradient of a logit with the method's backward pass through ReLU."""
    given = forward(layers, x)
    below = np.zeros_like(given[-1])
    below[target] = 1
    for layer, entered in zip(reversed(layers), reversed(given[:-1]), strict=True):
        below = backward(layer, entered, below, method)
    return below


def backward(layer, x, above, method="gradient"):
    kind = layer[0]
    if kind == "relu":
        return RELUS[method](above, x)
    if kind == "avg":
        return np.broadcast_to(above[:, None, None] / x[0].size, x.shape).copy()
    if kind == "linear":
        return layer[1].T @ above
    if kind == "max":
        return handed(layer, x, above, 1.0)
    weight, stride, pad = layer[1], layer[3], layer[4]
    spread = np.zeros((len(x), x.shape[1] + 2 * pad, x.shape[2] + 2 * pad))
    reach = weight.shape[2]
    for o, y, z in np.ndindex(*above.shape):
        window = np.s_[:, y * stride : y * stride + reach, z * stride : z * stride + reach]
        spread[window] += above[o, y, z] * weight[o]
    return spread[:, pad : pad + x.shape[1], pad : pad + x.shape[2]]


def feedback(layers, x, targets):
    """Switch units off behind the ReLUs until none lowers the score (Cao et al. 2015).

    A unit that returns x and gets the gradient g does not raise the score where x·g <= 0. Gives the gradient
    of the targets' logits in the network that is left, and their sum in each round.
    """
    relus = [place for place, layer in enumerate(layers) if layer[0] == "relu"]
    gates, scores = {place: 1.0 for place in relus}, []
    while True:
        given = [x]
        for place, layer in enumerate(layers):
            given.append(answer(layer, given[-1]) * gates.get(place, 1.0))
        scores.append(sum(given[-1][target] for target in targets))
        below = np.zeros_like(given[-1])
        below[list(targets)] = 1
        left = {}
        for place in reversed(range(len(layers))):
            if place in gates:
                left[place] = gates[place] * np.ones_like(below)
                for unit in np.ndindex(*below.shape):
                    if max(given[place][unit], 0) * below[unit] <= 0:
                        left[place][unit] = 0
            below = backward(layers[place], given[place], below * gates.get(place, 1.0))
        if all((left[place] == gates[place]).all() for place in relus):
            return below, scores
        gates = left


def cam(layers, x, targets):
    """Give Σ_k w_k·A_k (Zhou et al. 2016): A is the global average's input, w the last layer's weights."""
    maps, weights = forward(layers, x)[-3], layers[-1][1]
    return sum(weights[target, k] * maps[k] for target in targets for k in range(len(maps)))


def center(size):
    """Give 1 minus the distance from the centre, relative to the corners' (Zhang et al. 2016)."""
    middle = [(side - 1) / 2 for side in size]
    falls = np.zeros(size)
    for place in np.ndindex(*size):
        falls[place] = 1 - math.dist(place, middle) / math.dist((0, 0), middle)
    return falls


def occlusion(score, image, color, side, stride):
    """Give the score minus its mean over the squares that cover a pixel; the border cuts squares off."""
    height, width = image.shape[1:]
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for y in range(0, height, stride):
        for x in range(0, width, stride):
            hidden = image.copy()
            hidden[:, y : y + side, x : x + side] = color[:, None, None]
            total[y : y + side, x : x + side] += score(hidden)
            count[y : y + side, x : x + side] += 1
    return score(image) - total / count


def disc(size, center, radius, softness):
    """Give a disc around a centre (row, column) with soft edges (supplement, sec. 4.1)."""
    inside = np.zeros(size)
    for place in np.ndindex(*size):
        inside[place] = math.dist(place, center) <= radius
    return gaussian(inside, softness)


def fall(score, image, blurred, piece):
    """Give how far the score falls when the image is blurred where the piece covers it."""
    return score(image) - score(image * (1 - piece) + blurred * piece)


def blur_occlusion(score, image, diameter, stride, blur, middle):
    """Give the mean fall over the discs at every stride, each weighted by how far it covers a pixel."""
    size, blurred = image.shape[1:], gaussian(image, blur)
    total, cover = np.zeros(size), np.zeros(size)
    for y in range(0, size[0], stride):
        for x in range(0, size[1], stride):
            piece = disc(size, (y + middle, x + middle), diameter / 2, blur)
            total += piece * fall(score, image, blurred, piece)
            cover += piece
    return total / cover


def variable_occlusion(score, image, centers, radii, share, blur):
    """Give the smallest disc among the share of discs with the largest falls."""
    blurred = gaussian(image, blur)
    pieces = [disc(image.shape[1:], *where, blur) for where in zip(centers, radii, strict=True)]
    falls = [fall(score, image, blurred, piece) for piece in pieces]
    order = sorted(range(len(falls)), key=lambda place: -falls[place])
    strongest = order[: math.ceil(share * len(falls))]
    return pieces[min(strongest, key=lambda place: radii[place])]


def rise_mask(cells, corner, size):
    """Upsample a grid with one extra cell per axis, and crop it at a corner (Petsiuk et al., sec. 3.2)."""
    tall, wide = (math.ceil(side / (count - 1)) for side, count in zip(size, cells.shape, strict=True))
    rows = upsample_matrix(cells.shape[0], cells.shape[0] * tall, "bilinear")
    columns = upsample_matrix(cells.shape[1], cells.shape[1] * wide, "bilinear")
    large = rows @ cells @ columns.T
    return large[corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]]


def rise(probability, image, color, masks, kept):
    """Give Σ f(I ⊙ M)·M / (N·p) with the colour where M is 0 (Petsiuk et al. 2018, eq. 6)."""
    shown = (image * mask + color[:, None, None] * (1 - mask) for mask in masks)
    total = sum(mask * probability(seen) for mask, seen in zip(masks, shown, strict=True))
    return total / (len(masks) * kept)


def softmax(logits):
    """Give the probabilities of logits."""
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()


def box(saliency, threshold):
    """Give [x0, y0, x1, y1) around all min-max normalised values that reach the threshold (sec. 5.3)."""
    low, high = saliency.min(), saliency.max()
    reached = [
        place for place in np.ndindex(*saliency.shape) if saliency[place] - low >= threshold * (high - low)
    ]
    rows, columns = zip(*reached, strict=True)
    return min(columns), min(rows), max(columns) + 1, max(rows) + 1


def smallest_box(score, image, blurred, saliency, share):
    """Give the smallest of the boxes at 0, 0.01, …, 1 that suppresses a share of the score (sec. 5.3)."""
    rows, columns = (
        upsample_matrix(cells, side, "bilinear")
        for cells, side in zip(saliency.shape, image.shape[1:], strict=True)
    )
    large = rows @ saliency @ columns.T
    original, least = score(image), score(blurred)
    found = []
    for left, top, right, bottom in {box(large, step / 100) for step in range(101)}:
        hidden = image.copy()
        hidden[:, top:bottom, left:right] = blurred[:, top:bottom, left:right]
        if (original - score(hidden)) / (original - least) >= share:
            found.append(((right - left) * (bottom - top), (left, top, right, bottom)))
    return min(found)[1]
