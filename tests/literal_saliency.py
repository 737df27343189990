"""Saliency methods of the paper's supplement, written out slowly in numpy float64, one unit at a time.

A network is a list of layers, each a tuple: ("conv", W, b, stride, pad), ("relu",), ("max", size), ("avg",)
for the global average, ("linear", W, b). Pictures are (channels, height, width).
"""

import numpy as np


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

    P(a_j) = Σ_i P(a_i)·a_j·w⁺_ij / Σ_k a_k·w⁺_ik (Zhang et al. 2016, eq. 5): each unit i above hands what it
    has to the units j below, in proportion to what each excites it with. `sign` multiplies the weights of the
    last layer. Gives the signal before each layer from the top down, the last that which enters `stop`.
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


def guided(layers, x, target, keep_open=True):
    """Give the slope of a logit with ReLU's way back max(g, 0), times [x > 0] unless told."""
    given = forward(layers, x)
    slope = np.zeros_like(given[-1])
    slope[target] = 1
    for layer, entered in zip(reversed(layers), reversed(given[:-1]), strict=True):
        slope = backward(layer, entered, slope, keep_open)
    return slope


def backward(layer, x, above, keep_open):
    kind = layer[0]
    if kind == "relu":
        return np.maximum(above, 0) * ((x > 0) if keep_open else 1)
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


def occlusion(score, picture, color, side, stride):
    """Give the score less the mean score over the squares that cover a pixel; the border cuts squares off."""
    height, width = picture.shape[1:]
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for y in range(0, height, stride):
        for x in range(0, width, stride):
            hidden = picture.copy()
            hidden[:, y : y + side, x : x + side] = color[:, None, None]
            total[y : y + side, x : x + side] += score(hidden)
            count[y : y + side, x : x + side] += 1
    return score(picture) - total / count
