"""Deliberate mistakes: each stands in for one part of the implementation and is wrong in one way."""

from collections.abc import Callable
from dataclasses import replace
from unittest import mock

import torch

from unsee.masks import learner, loop, objective
from unsee.masks.edits import perturbation
from unsee.masks.edits.linear_blend import Views
from unsee.masks.edits.perturbation import GaussianNoise
from unsee.masks.objective import MeanAxisVariation, Objective, Terms
from unsee.masks.optimisers.adam import Adam
from unsee.masks.scoring import Scoring
from unsee.masks.starts import CircularStart
from unsee.tensors import gaussian_matrix, jitter_offsets, smooth, upsampling_matrix, window

# What is right, as it was before anything is replaced.
views_seen = Views.seen
noise_at, terms_of, port_tv = Scoring.noise_at, Objective.terms, MeanAxisVariation.__call__
start, search, noise_edit = CircularStart.__call__, CircularStart._search, GaussianNoise.references
fixed_terms, evidence, adam_step = learner.fixed_terms, learner._evidence, Adam.step


def variation(square: Callable, power: Callable = lambda beta: beta / 2) -> Callable:
    """A total variation of some other differences or power."""

    def penalty(self, mask, game):
        return self.weight * square(mask).clamp(min=1e-300).pow(power(self.beta)).sum(dim=(-2, -1))

    return penalty


def forward(mask):
    rows = torch.diff(mask, dim=-2, append=mask[..., -1:, :])
    return rows.square() + torch.diff(mask, dim=-1, append=mask[..., :, -1:]).square()


def periodic(mask):
    return (mask.roll(-1, -2) - mask).square() + (mask.roll(-1, -1) - mask).square()


def backward(mask):
    return forward(mask.flip(-1, -2)).flip(-1, -2)


def per_axis(self, mask, game):
    return port_tv(self, mask, game) * mask[0].numel()


def mean_l1(self, mask, game):
    return self.weight * game.saliency(mask).mean(dim=(-2, -1))


def unscaled_l1(self, mask, game):
    return self.weight * game.saliency(mask).sum(dim=(-2, -1))


def wrong_sign(self, mask, scores):
    return Terms(scores, self.l1(mask, self.game), self.tv(mask, self.game))


def wrong_side(self, mask, scores):
    return Terms(self.game.sign * scores, self.l1(1 - mask, self.game), self.tv(mask, self.game))


def logits(self, inputs, targets):
    return objective.logit_score(self.classifier.answer(inputs), targets)


def first_class_alone(self, inputs, targets):
    first = torch.nn.functional.one_hot(self.labels, targets.shape[1]).to(targets)
    return self.score(self.classifier.answer(inputs), first.expand_as(targets))


def one_cell_off(length, cells, mode):
    return upsampling_matrix(length, cells, mode).roll(1, dims=1)


def sigma_4(length, sigma):
    return gaussian_matrix(length, 4.0 if sigma == 5 else sigma)


def no_jitter(seeds, iterations, jitter):
    return torch.zeros_like(jitter_offsets(seeds, iterations, jitter))


def turned_jitter(seeds, iterations, jitter):
    return jitter_offsets(seeds, iterations, jitter).flip(-1)


def common_jitter(seeds, iterations, jitter):
    return jitter_offsets(seeds[:1] * len(seeds), iterations, jitter)


def scored(divide=False, move=False, still_edits=False, silent=False) -> Callable:
    """`Scoring.jittered_scores` gone wrong."""

    def jittered_scores(self, masks, offsets, noise=None):
        if move:
            pairs = zip(masks, offsets.tolist(), strict=True)
            masks = torch.stack([mask.roll((-y, -x), (0, 1)) for mask, (y, x) in pairs])
        total = masks.new_zeros(len(masks))
        for views in self.views:
            places = torch.zeros_like(offsets) if still_edits else offsets
            reference = window(views.reference, places, self.size)
            picture = window(views.reference + views.contrast, offsets, self.size)
            seen = perturbation.blend(picture, reference, masks[:, None])
            noisy = seen if noise is None or silent else seen + noise
            total = total + self._score(noisy, self.targets)
        return total / len(self.views) if divide else total

    return jittered_scores


def adam(**changes) -> Callable:
    """`optimise` with some other parameters."""

    def optimise(arrivals, parameters, *rest):
        return loop.optimise(arrivals, replace(parameters, **changes), *rest)

    return optimise


def one_step_short(self, memory, point, iteration):
    masks, memory = adam_step(self, memory, point, iteration)
    last = (iteration + 1 >= self.iterations)[:, None, None]
    return torch.where(last, point.masks, masks), memory


def averaged_over_the_batch(self, memory, point, iteration):
    return adam_step(self, memory, point._replace(slopes=point.slopes / len(point.masks)), iteration)


def unclipped(self, memory, point, iteration):
    ends = torch.full_like(point.masks, torch.inf)
    with mock.patch.object(torch.Tensor, "clamp_", lambda masks, *_: masks.minimum(ends)):
        return adam_step(self, memory, point, iteration)


def sign_descent(self, memory, point, iteration):
    slopes = point.slopes + point.objective.penalty_slopes(point.masks)
    return (point.masks - 0.1 * slopes.sign()).clamp(0, 1), memory


def common_iteration(self, memory, point, iteration):
    return adam_step(self, memory, point, torch.full_like(iteration, int(iteration[0]) + 1))


def looser(self, problem, game, masks):
    return search(replace(self, share=0.95), problem, game, masks)


def one_disc_on(self, problem, game, masks):
    return (search(self, problem, game, masks) + 1).clamp(max=len(masks))


def drawn(inside: Callable, soften: float = 10.0) -> Callable:
    """`CircularStart.discs` with another rule for what lies inside a radius."""

    def discs(self, size):
        rows, columns = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in size)
        square = rows[:, None].square() + columns.square()
        hard = torch.stack([inside(square, radius) for radius in self.radii(size)])
        return smooth(hard.double(), soften)

    return discs


def exact_gradient(self, mask):
    pixels = self.rows @ mask @ self.columns.T
    if self.blur_rows is None:
        return pixels
    rounded = pixels + ((255 * pixels).round() / 255 - pixels).detach()
    return self.blur_rows @ rounded @ self.blur_columns.T


def no_rounding(self, mask):
    pixels = self.rows @ mask @ self.columns.T
    if self.blur_rows is None:
        return pixels
    return pixels + (self.blur_rows @ pixels @ self.blur_columns.T - pixels).detach()


def floored(self, mask):
    pixels = self.rows @ mask @ self.columns.T
    if self.blur_rows is None:
        return pixels
    seen = self.blur_rows @ ((255 * pixels).floor() / 255) @ self.blur_columns.T
    return pixels + (seen - pixels).detach()


def detached_tv(self, mask, game):
    return port_tv(self, mask.detach(), game)


def nan_where_flat(self, mask, game):
    return self.weight * forward(mask).pow(self.beta / 2).sum(dim=(-2, -1))


def noise_drawn_once(self, iteration):
    return noise_at(self, 0)


def noise_not_in_units_of_std(self, iteration):
    return (
        None
        if self.input_noise == 0
        else noise_at(self, iteration) * torch.tensor(self.classifier.std).mean()
    )


def swapped(image, reference, mask):
    return torch.lerp(image, reference, mask.expand_as(image))


def seen_swapped(self, masks, offsets):
    return views_seen(self, 1 - masks, offsets)


def red_slope_alone(ctx, slopes):
    (contrast,) = ctx.saved_tensors
    return slopes[:, 0] * contrast[:, 0], None, None


def half_detached(self, mask, scores):
    return terms_of(self, mask, scores / 2 + scores.detach() / 2)


def no_stretch(masks):
    return masks


def sampled(pixels, cells):
    rows, columns = ((torch.arange(k) * n) // k for n, k in zip(pixels.shape[-2:], cells, strict=True))
    return pixels[..., rows[:, None], columns]


def every_target(self, problem, game, cells):
    return start(replace(self, first_target=False), problem, game, cells)


def last_disc_where_none(self, problem, game, masks):
    return search(self, problem, game, masks).clamp(max=len(masks) - 1)


def fewer_places(seeds, iterations, jitter):
    return jitter_offsets(seeds, iterations, max(jitter - 1, 0))


def weaker(maps, sigma, radius=None):
    return smooth(maps, 0.9 * sigma, radius)


def longer_reach(maps, sigma, radius=None):
    return smooth(maps, sigma)


def mirrored(image, size):
    reach = size // 2
    padded = torch.nn.functional.pad(image[None], (reach,) * 4, mode="reflect")[0]
    return padded.unfold(1, size, 1).unfold(2, size, 1).flatten(3).median(dim=-1).values


def resized_first(self, frame):
    return tuple((255 * smooth(picture, self.sigma)).round() / 255 for picture in (frame.plain, frame.canvas))


def not_rounded(self, frame):
    return frame.fitted(smooth(frame.photo.pixels, self.sigma))


def black(self, frame):
    return torch.zeros(3, *frame.size), torch.zeros(3, *frame.canvas_size)


def grey_noise(self, frame):
    still, moving = noise_edit(self, frame)
    return still[:1].expand(3, -1, -1), moving[:1].expand(3, -1, -1)


def noise_of_one_seed(self, frame):
    return noise_edit(self, replace(frame, seed=0))


def first_window_alone(problem, settings, upsampler, masks):
    return fixed_terms(problem, replace(settings, jitter=0), upsampler, masks)


def fully_perturbed_first(*given):
    return evidence(*given).flip(1)
