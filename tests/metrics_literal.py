"""The metrics of section 5, written out slowly in numpy float64, one value at a time.

Maps are (h, w), masks of objects boolean (H, W), points (x, y), boxes [x0, y0, x1, y1) in pixels.
"""

import math

import numpy as np

from literal import gaussian, upsample_matrix


def kept(saliency, rule, alpha):
    """Say which values of a map are left at a threshold (sec. 5.6)."""
    marks = np.zeros(saliency.shape, dtype=bool)
    if rule == "energy":
        positive = np.maximum(saliency, 0)
        total, held, lowest = positive.sum(), 0.0, None
        for value in sorted(positive.ravel().tolist(), reverse=True):
            held, lowest = held + value, value
            if held >= alpha * total:
                break
        for place in np.ndindex(*saliency.shape):
            marks[place] = positive[place] >= lowest
        return marks
    low, high, mean = saliency.min(), saliency.max(), saliency.sum() / saliency.size
    for place in np.ndindex(*saliency.shape):
        if rule == "value":
            marks[place] = saliency[place] - low >= alpha * (high - low)
        else:
            marks[place] = saliency[place] >= alpha * mean
    return marks


def box_at(saliency, size, rule, alpha):
    """Threshold a map, bring the marks to a size bilinearly, and put a box round all above 0 (sec. 5.6)."""
    return box_round(enlarged(kept(saliency, rule, alpha).astype(float), size))


def box_round(picture):
    above = [place for place in np.ndindex(*picture.shape) if picture[place] > 0]
    if not above:
        return [0, 0, picture.shape[1], picture.shape[0]]
    rows, columns = zip(*above, strict=True)
    return [min(columns), min(rows), max(columns) + 1, max(rows) + 1]


def enlarged(saliency, size):
    """Bring a map to a size bilinearly, pixel centres on cell centres."""
    rows, columns = (
        upsample_matrix(cells, side, "bilinear") for cells, side in zip(saliency.shape, size, strict=True)
    )
    return rows @ saliency @ columns.T


def iou(one, other):
    """Count the pixels that two boxes of whole pixels share, and those in either."""
    sides = [(x, y) for y in range(-5, 30) for x in range(-5, 30)]
    first, second = (
        {(x, y) for x, y in sides if b[0] <= x < b[2] and b[1] <= y < b[3]} for b in (one, other)
    )
    return len(first & second) / len(first | second) if first & second else 0.0


def peak(saliency, size):
    """Average where a map is within 1e-6 of its range of its maximum, then go to pixels (supplement 4)."""
    low, high = saliency.min(), saliency.max()
    tied = [p for p in np.ndindex(*saliency.shape) if saliency[p] >= high - 1e-6 * (high - low)]
    row, column = (sum(place[axis] for place in tied) / len(tied) for axis in (0, 1))
    height, width = saliency.shape
    return [(column + 0.5) * size[1] / width - 0.5, (row + 0.5) * size[0] / height - 0.5]


def first_peak(saliency, size):
    """Enlarge first, then take the first maximum, row by row."""
    large, best = enlarged(saliency, size), None
    for place in np.ndindex(*large.shape):
        if best is None or large[place] > large[best] + 1e-9:
            best = place
    return [best[1], best[0]]


def gap(point, mask):
    """Give the distance from a point to the nearest pixel of an object."""
    return min(math.dist(point, (x, y)) for y, x in np.ndindex(*mask.shape) if mask[y, x])


def pixels_of(box, size):
    """Rasterise a box: every pixel whose square it shares area with."""
    mask = np.zeros(size, dtype=bool)
    for y, x in np.ndindex(*size):
        wide = min(box[2], x + 1) - max(box[0], x)
        high = min(box[3], y + 1) - max(box[1], y)
        mask[y, x] = wide > 0 and high > 0
    return mask


def mean_precision(hit, labels):
    """Average the share of hits of each class (sec. 5.6)."""
    kinds = sorted(set(labels))
    own = [[h for h, label in zip(hit, labels, strict=True) if label == kind] for kind in kinds]
    return sum(sum(some) / len(some) for some in own) / len(kinds)


def binarised(mask, alpha, sigma):
    """Blur a mask again, stretch it to [0, 1], and keep what is not below alpha (sec. 5.2)."""
    blurred = gaussian(mask, sigma)
    return (blurred - blurred.min()) / (blurred.max() - blurred.min()) >= alpha


def around(saliency, point, size, window):
    """Average a map in a window round a keypoint, cut off at the border (sec. 5.4)."""
    cells = [
        min(int((place + 0.5) * many / side), many - 1)
        for place, many, side in zip(point[::-1], saliency.shape, size, strict=True)
    ]
    found = [
        saliency[row, column]
        for row, column in np.ndindex(*saliency.shape)
        if abs(row - cells[0]) <= window // 2 and abs(column - cells[1]) <= window // 2
    ]
    return sum(found) / len(found)


def curve(score, first, last, saliency, steps):
    """Exchange the pixels of one image for those of another, the most salient first; score each step."""
    height, width = first.shape[1:]
    large = enlarged(saliency, (height, width))
    places = sorted(np.ndindex(height, width), key=lambda place: (-round(large[place], 9), place))
    picture, done, shares, scores = first.copy(), 0, [], []
    for step in range(steps + 1):
        upto = step * height * width // steps
        for row, column in places[done:upto]:
            picture[:, row, column] = last[:, row, column]
        done = upto
        shares.append(upto / (height * width))
        scores.append(score(picture))
    area = sum((shares[k + 1] - shares[k]) * (scores[k + 1] + scores[k]) / 2 for k in range(len(shares) - 1))
    return shares, scores, area


def wilson(successes, n, z=1.959963984540054):
    """Solve (p - q)² = z²·q(1 - q)/n for q, both ends of Wilson's interval."""
    p = successes / n
    return sorted(np.roots([1 + z**2 / n, -(2 * p + z**2 / n), p**2]).real)


def ratio(above, below):
    """Give a ratio of means and its standard error to first order, from the covariance of the means."""
    a, b = np.mean(above), np.mean(below)
    covariance = np.cov(above, below, ddof=1) / len(above)
    slope = np.array([1 / b, -a / b**2])
    return a / b, math.sqrt(slope @ covariance @ slope)
