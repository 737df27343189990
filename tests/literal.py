"""The learned mask of Fong & Vedaldi (2017): a slow, literal version for one image in float64.

Images are numpy arrays (3, H, W) with values in [0, 1]; masks are (h, w); 1 keeps and 0 deletes. Nothing here
is random: noise and jitter offsets are arguments. torch is used only for the network, a module from
(1, 3, H, W) to (1, C) logits in float64, and for the gradient at its input; every other derivative is written
by hand.
"""

import math

import numpy as np
import torch
from scipy import ndimage

PAPER = {
    "game": "deletion",  # or "preservation"
    "score": "softmax",  # or "logits"
    "regularisers": "sum",  # or "mean", the PyTorch port's
    "l1": 1e-4,
    "l2": 1e-2,
    "beta": 3.0,
    "upsampling": "nearest",  # or "bilinear", "bilinear_aligned"
    "sigma_m": 5.0,
    "gradient": "exact",  # or "authors"
    "margin": 4,  # pixels by which the canvas is larger than the window, in height and width
    "lr": 0.1,
}
AUTHORS = {**PAPER, "gradient": "authors"}
PORT = {**PAPER, "regularisers": "mean", "l1": 0.01, "l2": 0.2, "upsampling": "bilinear_aligned"}
PORT.update(sigma_m=0.0, margin=0)
RADII = tuple(range(0, 171, 5))
KERNEL = {"mode": "reflect", "truncate": 4.0}
WINDOWS = {0: ((0, 0),), 4: ((0, 1), (1, 3), (2, 0), (3, 2))}  # by margin: where masks are compared


def gaussian(image, sigma):
    """Blur the last two axes with g_sigma (sec. 4.1): cut at 4 sigma, border d c b a | a b c d."""
    if sigma == 0:
        return np.array(image, dtype=np.float64)
    sigmas = (0,) * (image.ndim - 2) + (sigma, sigma)
    return ndimage.gaussian_filter(np.asarray(image, dtype=np.float64), sigmas, **KERNEL)


def gaussian_matrix(pixels, sigma):
    """Write the blur g_sigma (sec. 4.1) of a line as a matrix: column j is the blur of unit vector j."""
    if sigma == 0:
        return np.eye(pixels)
    return np.stack([ndimage.gaussian_filter1d(unit, sigma, **KERNEL) for unit in np.eye(pixels)], axis=1)


def upsample_line(line, pixels, kind):
    """Upsample a line of cells to pixels: the factor s in M(v) = sum_u g(v/s - u) m(u), sec. 4.3."""
    cells = len(line)
    out = np.zeros(pixels)
    for y in range(pixels):
        if kind == "nearest":
            place = (y * cells) // pixels
        elif kind == "bilinear":
            place = min(max((y + 0.5) * cells / pixels - 0.5, 0.0), cells - 1.0)
        elif kind == "bilinear_aligned":
            place = y * (cells - 1) / (pixels - 1) if pixels > 1 else 0.0
        else:
            raise ValueError(f"unknown upsampling: {kind}")
        below = min(math.floor(place), cells - 1)
        above = min(below + 1, cells - 1)
        part = place - below
        out[y] = (1 - part) * line[below] + part * line[above]
    return out


def upsample_matrix(cells, pixels, kind):
    """Write upsample_line (sec. 4.3) as a matrix: column j is the upsampled unit vector j."""
    return np.stack([upsample_line(unit, pixels, kind) for unit in np.eye(cells)], axis=1)


def upsample(m, size, options):
    """Give M of sec. 4.3 from m: upsampled, rounded to 8 bits (only in the authors' code), then blurred."""
    kind, sigma_m = options["upsampling"], options["sigma_m"]
    large = upsample_matrix(m.shape[0], size[0], kind) @ m @ upsample_matrix(m.shape[1], size[1], kind).T
    if options["gradient"] == "authors":
        large = np.round(255.0 * large) / 255.0
    return gaussian_matrix(size[0], sigma_m) @ large @ gaussian_matrix(size[1], sigma_m).T


def upsample_transposed(g, cells, options):
    """Propagate a gradient at M (sec. 4.3) to m: A^T g B where M = A m B^T; the authors skip the blur."""
    if options["gradient"] == "authors":
        return block_sum(g, cells)
    kind, sigma_m = options["upsampling"], options["sigma_m"]
    rows = gaussian_matrix(g.shape[0], sigma_m) @ upsample_matrix(cells[0], g.shape[0], kind)
    columns = gaussian_matrix(g.shape[1], sigma_m) @ upsample_matrix(cells[1], g.shape[1], kind)
    return rows.T @ g @ columns


def block_sum(g, cells):
    """Sum g over the pixels of each cell: the authors' backward pass from M to m, without the Gaussian."""
    out = np.zeros(cells)
    for y, x in np.ndindex(g.shape):
        out[(y * cells[0]) // g.shape[0], (x * cells[1]) // g.shape[1]] += g[y, x]
    return out


def block_mean(image, cells):
    """Reduce a mask to the grid (supplement, sec. 2): the mean over each cell's block of pixels."""
    tall, wide = image.shape[0] // cells[0], image.shape[1] // cells[1]
    if (tall * cells[0], wide * cells[1]) != image.shape:
        raise ValueError("the image's sides must be multiples of the grid's")
    out = np.zeros(cells)
    for i, j in np.ndindex(cells):
        out[i, j] = image[i * tall : (i + 1) * tall, j * wide : (j + 1) * wide].mean()
    return out


def l1(m, game, regularisers="sum"):
    """Give ||1 - m||_1 of eq. (4), or ||m||_1 of the supplement's eq. (1); the port takes the mean."""
    sizes = np.abs(1.0 - m) if game == "deletion" else np.abs(m)
    return float(sizes.sum() if regularisers == "sum" else sizes.mean())


def l1_gradient(m, game, regularisers="sum"):
    """Differentiate the L1 term of eq. (4), or of the supplement's eq. (1); sign(0) is 0."""
    sign = -np.sign(1.0 - m) if game == "deletion" else np.sign(m)
    return sign if regularisers == "sum" else sign / m.size


def forward_differences(m):
    """Give the gradient of m in eq. (4), down and to the right: 0 at the last row and column."""
    down, right = np.zeros(m.shape), np.zeros(m.shape)
    down[:-1, :] = m[1:, :] - m[:-1, :]
    right[:, :-1] = m[:, 1:] - m[:, :-1]
    return down, right


def tv(m, beta):
    """Give the total variation of eq. (4): sum_u (dx^2 + dy^2)^(beta/2)."""
    down, right = forward_differences(m)
    return float(((right**2 + down**2) ** (beta / 2.0)).sum())


def tv_gradient(m, beta):
    """Differentiate the total variation of eq. (4), cell by cell; a flat cell adds nothing."""
    down, right = forward_differences(m)
    out = np.zeros(m.shape)
    for i, j in np.ndindex(m.shape):
        square = down[i, j] ** 2 + right[i, j] ** 2
        if square > 0.0:
            outer = beta / 2.0 * square ** (beta / 2.0 - 1.0)
            out[i, j] -= outer * 2.0 * (down[i, j] + right[i, j])
            if i + 1 < m.shape[0]:
                out[i + 1, j] += outer * 2.0 * down[i, j]
            if j + 1 < m.shape[1]:
                out[i, j + 1] += outer * 2.0 * right[i, j]
    return out


def port_tv(m, beta):
    """Give the PyTorch port's TV in place of eq. (4)'s: the mean of |d|^beta, down plus to the right."""
    down, right = np.abs(m[1:, :] - m[:-1, :]) ** beta, np.abs(m[:, 1:] - m[:, :-1]) ** beta
    return sum(float(steps.mean()) for steps in (down, right) if steps.size)


def port_tv_gradient(m, beta):
    """Differentiate port_tv (in place of eq. (4)'s TV), one difference at a time; zeros add nothing."""
    out = np.zeros(m.shape)
    down = [((i, j), (i + 1, j)) for i, j in np.ndindex(m.shape[0] - 1, m.shape[1])]
    right = [((i, j), (i, j + 1)) for i, j in np.ndindex(m.shape[0], m.shape[1] - 1)]
    for pairs in (down, right):
        for here, there in pairs:
            step = m[there] - m[here]
            if step != 0.0:
                grad = beta * abs(step) ** (beta - 1.0) * np.sign(step) / len(pairs)
                out[there] += grad
                out[here] -= grad
    return out


def reference(kind, image, value):
    """Give what replaces deleted pixels (sec. 4.1): colour, the given noise, blur, or the port's median."""
    if kind == "constant":
        return np.zeros(image.shape) + np.asarray(value, dtype=np.float64).reshape(-1, 1, 1)
    if kind == "noise":
        return np.array(value, dtype=np.float64).reshape(image.shape)
    if kind == "blur":
        return gaussian(image, value)
    if kind == "median":
        half = value // 2
        padded = np.pad(image, ((0, 0), (half, half), (half, half)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (value, value), axis=(1, 2))
        return np.stack([np.median(channel, axis=(2, 3)) for channel in windows])
    raise ValueError(f"unknown perturbation: {kind}")


def blend(image, ref, large):
    """Apply Phi of sec. 4.1: M x + (1 - M) r at every pixel of every channel."""
    return large * image + (1.0 - large) * ref


def score_and_gradient(net, image, targets, kind="softmax"):
    """Give f_c, summed over the target classes (supplement, eq. (2)), and its gradient at the input."""
    x = torch.tensor(image[None], dtype=torch.float64, requires_grad=True)
    logits = net(x)
    outputs = torch.softmax(logits, dim=1) if kind == "softmax" else logits
    value = outputs[0, list(targets)].sum()
    (grad,) = torch.autograd.grad(value, x)
    return float(value.detach()), grad[0].numpy()


def score(net, image, targets, kind="softmax"):
    """Give only the score f_c (supplement, eq. (2)): softmax outputs, or plain logits, summed."""
    return score_and_gradient(net, image, targets, kind)[0]


def objective(m, image, references, net, targets, options, noise=None):
    """Give eq. (4), or the supplement's eq. (1), for one window: the total, and the unweighted terms.

    Scores are summed over the references; `noise`, if given, is added to every blended image (the port).
    """
    large = upsample(m, image.shape[1:], options)
    f = 0.0
    for ref in references:
        x = blend(image, ref, large) + (0.0 if noise is None else noise)
        f += score(net, x, targets, options["score"])
    smooth = tv(m, options["beta"]) if options["regularisers"] == "sum" else port_tv(m, options["beta"])
    terms = {"l1": l1(m, options["game"], options["regularisers"]), "tv": smooth, "score": f}
    sign = 1.0 if options["game"] == "deletion" else -1.0
    return options["l1"] * terms["l1"] + options["l2"] * terms["tv"] + sign * f, terms


def gradient(m, image, references, net, targets, options, noise=None):
    """Differentiate eq. (4), or the supplement's eq. (1), for m: exactly, or as the authors' code does."""
    large = upsample(m, image.shape[1:], options)
    at_large = np.zeros(large.shape)
    for ref in references:
        x = blend(image, ref, large) + (0.0 if noise is None else noise)
        _, grad = score_and_gradient(net, x, targets, options["score"])
        at_large += (grad * (image - ref)).sum(axis=0)
    at_mask = upsample_transposed(at_large, m.shape, options)
    smooth = tv_gradient if options["regularisers"] == "sum" else port_tv_gradient
    sparse = l1_gradient(m, options["game"], options["regularisers"])
    sign = 1.0 if options["game"] == "deletion" else -1.0
    return options["l1"] * sparse + options["l2"] * smooth(m, options["beta"]) + sign * at_mask


def disc(size, radius, sigma=10.0):
    """Give the centred disc of the supplement's sec. 2, its edge softened by a Gaussian of 10 pixels."""
    y, x = np.mgrid[: size[0], : size[1]]
    inside = (y - (size[0] - 1) / 2) ** 2 + (x - (size[1] - 1) / 2) ** 2 < radius**2
    return gaussian(inside.astype(np.float64), sigma)


def circular_start(plain, references, net, targets, options, cells, stretch=False, radii=RADII):
    """Search for the smallest disc that is enough for 99 % of the score (sec. 4.3; supplement, sec. 2).

    Returns the start on the grid, its radius (None if no disc is enough: everything is perturbed), and the
    normalised score q of every radius tried. `stretch` is the authors' min-max step on the grid.
    """
    deletion, kind = options["game"] == "deletion", options["score"]
    clean = len(references) * score(net, plain, targets, kind)
    full = sum(score(net, ref, targets, kind) for ref in references)
    tried = []
    for radius in radii:
        round_mask = disc(plain.shape[1:], radius)
        keep = 1.0 - round_mask if deletion else round_mask
        reached = sum(score(net, blend(plain, ref, keep), targets, kind) for ref in references)
        tried.append((reached - full) / (clean - full))
        if tried[-1] < 0.01 if deletion else tried[-1] >= 0.99:
            m = block_mean(keep, cells)
            return (stretched(m) if stretch else m), radius, tried
    return np.zeros(cells), None, tried


def stretched(m):
    """Stretch a mask to [0, 1] as the authors' code does (no equation); a flat mask stays as it is."""
    low, high = m.min(), m.max()
    return m.copy() if high - low < 1e-6 else (m - low) / (high - low)


def adam_step(m, grad, state, t, lr):
    """Take step t = 1, 2, ... of Adam (named in sec. 4.3; Kingma & Ba, algorithm 1), then clip to [0, 1]."""
    first = 0.9 * state[0] + (1 - 0.9) * grad
    second = 0.999 * state[1] + (1 - 0.999) * grad**2
    unbiased_first = first / (1 - 0.9**t)
    unbiased_second = second / (1 - 0.999**t)
    moved = m - lr * unbiased_first / (np.sqrt(unbiased_second) + 1e-8)
    return np.clip(moved, 0.0, 1.0), (first, second)


def learn(start, canvas, references, net, targets, options, offsets, noises=None):
    """Minimise eq. (4), or the supplement's eq. (1): one offset (dy, dx) and one Adam step per iteration.

    `references` have the canvas's size and are cropped with it. Returns the masks, one more than there are
    offsets because the start comes first, and the objective at the start of each iteration.
    """
    height, width = canvas.shape[1] - options["margin"], canvas.shape[2] - options["margin"]
    m = np.array(start, dtype=np.float64)
    state = (np.zeros(m.shape), np.zeros(m.shape))
    masks, totals = [m], []
    for t, (dy, dx) in enumerate(offsets, start=1):
        window = np.s_[:, dy : dy + height, dx : dx + width]
        crops = [ref[window] for ref in references]
        noise = None if noises is None else noises[t - 1]
        total, _ = objective(m, canvas[window], crops, net, targets, options, noise)
        grad = gradient(m, canvas[window], crops, net, targets, options, noise)
        m, state = adam_step(m, grad, state, t, options["lr"])
        masks.append(m)
        totals.append(total)
    return masks, totals


def over_windows(m, canvas, references, net, targets, options):
    """Average eq. (4), or the supplement's eq. (1), over the fixed windows: total and plain terms."""
    height, width = canvas.shape[1] - options["margin"], canvas.shape[2] - options["margin"]
    totals, parts = [], []
    for dy, dx in WINDOWS[options["margin"]]:
        window = np.s_[:, dy : dy + height, dx : dx + width]
        crops = [ref[window] for ref in references]
        total, terms = objective(m, canvas[window], crops, net, targets, options)
        totals.append(total)
        parts.append(terms)
    means = {name: sum(terms[name] for terms in parts) / len(parts) for name in parts[0]}
    return sum(totals) / len(totals), means


def select(masks, totals, canvas, references, net, targets, options):
    """Choose which of `learn`'s masks is returned (no equation): the lowest objective over the fixed windows.

    The candidates are the last mask, the start, the mask with the lowest total of those whose total is known,
    the one that edits nothing and the one that edits everything; the first of equals is taken. Returns its
    name, the mask, and the objective of every candidate by name. A mask that equals an end or the start is
    called so.
    """
    nothing = 1.0 if options["game"] == "deletion" else 0.0
    candidates = {
        "last": masks[-1],
        "start": masks[0],
        "best": masks[totals.index(min(totals))],
        "ideal": np.full(masks[0].shape, nothing),
        "edited": np.full(masks[0].shape, 1.0 - nothing),
    }
    given = (canvas, references, net, targets, options)
    costs = {name: over_windows(mask, *given)[0] for name, mask in candidates.items()}
    chosen = min(costs, key=costs.get)
    known = [
        name for name in ("ideal", "edited", "start") if np.array_equal(candidates[name], candidates[chosen])
    ]
    name = known[0] if known else chosen
    return name, candidates[name], costs | {name: costs[chosen]}
