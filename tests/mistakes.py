"""Deliberate mistakes: each replaces one part of the implementation and is wrong in one way."""

from collections.abc import Callable
from dataclasses import replace
from unittest import mock

import torch

from unsee.masks import convergence, loop, objective, outcome, selection
from unsee.masks.edits.linear_blend import LinearBlend, blend
from unsee.masks.edits.perturbation import GaussianNoise
from unsee.masks.objective import Objective
from unsee.masks.optimisers import adam as adam_file
from unsee.masks.optimisers.adam import Adam
from unsee.masks.penalties import MeanAxisVariation
from unsee.masks.scoring import Scored, Scoring
from unsee.masks.starts import CircularStart
from unsee.target_scores import logit_score
from unsee.tensors import gaussian_matrix, jitter_offsets, smooth, upsampling_matrix, window

# The correct functions, saved before anything is replaced.
applied = LinearBlend.apply
noise_at, scored_one = Scoring.noise_at, Scoring._scored
terms_of, port_tv = Objective.terms, MeanAxisVariation.value
start, search, noise_edit = CircularStart.__call__, CircularStart._search, GaussianNoise.references
selected, in_words, penalty_total = outcome.selected, convergence._in_words, objective.penalty_total
fixed_terms, final_scores, adam_step = selection.fixed_terms, outcome._final_scores, Adam.tell


def variation(square: Callable, power: Callable = lambda beta: beta / 2) -> Callable:
    """A total variation with other differences or another power."""

    def penalty(self, mask, game, iteration):
        return self.weight * square(mask).clamp(min=1e-300).pow(power(self.beta)).sum(dim=(-2, -1))

    return penalty


def forward(mask):
    rows = torch.diff(mask, dim=-2, append=mask[..., -1:, :])
    return rows.square() + torch.diff(mask, dim=-1, append=mask[..., :, -1:]).square()


def periodic(mask):
    return (mask.roll(-1, -2) - mask).square() + (mask.roll(-1, -1) - mask).square()


def backward(mask):
    return forward(mask.flip(-1, -2)).flip(-1, -2)


def per_axis(self, mask, game, iteration):
    return port_tv(self, mask, game, iteration) * mask[0].numel()


def mean_l1(self, mask, game, iteration):
    return self.weight * game.saliency(mask).mean(dim=(-2, -1))


def unscaled_l1(self, mask, game, iteration):
    return self.weight * game.saliency(mask).sum(dim=(-2, -1))


def wrong_sign(self, mask, scores, iteration):
    return terms_of(self, mask, scores, iteration) | {"score": scores}


def wrong_side(self, mask, scores, iteration):
    terms = terms_of(self, mask, scores, iteration)
    return terms | {"l1": terms_of(self, 1 - mask, scores, iteration)["l1"]}


def logits(self, edit, given, targets):
    return Scored(logit_score(edit.logits(self.classifier, given), targets), None)


def first_class_alone(self, edit, given, targets):
    first = torch.nn.functional.one_hot(self.labels, targets.shape[1]).to(targets)
    return scored_one(self, edit, given, first.expand_as(targets))


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
    """`Scoring.jittered_scores` with a mistake."""

    def jittered_scores(self, masks, offsets, noise=None, mirrored=None):
        assert mirrored is None
        if move:
            pairs = zip(masks, offsets.tolist(), strict=True)
            masks = torch.stack([mask.roll((-y, -x), (0, 1)) for mask, (y, x) in pairs])
        parts = []
        for edit in self.edits:
            places = torch.zeros_like(offsets) if still_edits else offsets
            reference = window(edit.moving_reference, places, self.size)
            image = window(edit.moving_reference + edit.contrast, offsets, self.size)
            given = blend(image, reference, masks[:, None])
            noisy = given if noise is None or silent else given + noise
            parts.append(self._scored(edit, noisy, self.targets))
        total = Scored.summed(parts)
        return total._replace(values=total.values / len(self.edits)) if divide else total

    return jittered_scores


def adam(**changes) -> Callable:
    """`optimise` with other parameters of Adam."""

    def optimise(more, parameters, *rest):
        return loop.optimise(more, replace(parameters, **changes), *rest)

    return optimise


def one_step_short(self, memory, evaluation, iteration):
    masks, memory = adam_step(self, memory, evaluation, iteration)
    last = (iteration + 1 >= self.iterations)[:, None, None]
    return torch.where(last, evaluation.masks[:, 0], masks), memory


def averaged_over_the_batch(self, memory, evaluation, iteration):
    linear = replace(evaluation.linear, gradient=evaluation.linear.gradient / len(evaluation.masks))
    return adam_step(self, memory, replace(evaluation, linear=linear), iteration)


def unclipped(self, memory, evaluation, iteration):
    with mock.patch.object(adam_file, "within", lambda masks, _: masks):
        return adam_step(self, memory, evaluation, iteration)


def sign_descent(self, memory, evaluation, iteration):
    masks = evaluation.masks[:, 0]
    gradient = evaluation.gradient[:, 0] + evaluation.objective.penalty_gradient(masks, iteration)
    return (masks - 0.1 * gradient.sign()).clamp(0, 1), memory


def common_iteration(self, memory, evaluation, iteration):
    return adam_step(self, memory, evaluation, torch.full_like(iteration, int(iteration[0]) + 1))


def looser(self, scoring, game, masks):
    return search(replace(self, share=0.95), scoring, game, masks)


def one_disc_on(self, scoring, game, masks):
    return (search(self, scoring, game, masks) + 1).clamp(max=len(masks))


def drawn(inside: Callable, soften: float = 10.0) -> Callable:
    """`CircularStart.discs` with another rule for what is inside a radius."""

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


def detached_tv(self, mask, game, iteration):
    return port_tv(self, mask.detach(), game, iteration)


def nan_where_flat(self, mask, game, iteration):
    return self.weight * forward(mask).pow(self.beta / 2).sum(dim=(-2, -1))


def noise_drawn_once(self, iteration):
    return noise_at(self, torch.zeros_like(iteration))


def noise_not_in_units_of_std(self, iteration):
    return (
        None
        if self.input_noise == 0
        else noise_at(self, iteration) * torch.tensor(self.classifier.std).mean()
    )


def swapped(image, reference, mask):
    return torch.lerp(image, reference, mask.expand_as(image))


def mask_swapped(self, masks, offsets=None):
    return applied(self, 1 - masks, offsets)


def red_gradient_alone(ctx, gradient):
    (contrast,) = ctx.saved_tensors
    return gradient[:, 0] * contrast[:, 0], None, None


def half_detached(self, mask, scores, iteration):
    return terms_of(self, mask, scores / 2 + scores.detach() / 2, iteration)


def no_stretch(masks):
    return masks


def sampled(pixels, cells):
    rows, columns = ((torch.arange(k) * n) // k for n, k in zip(pixels.shape[-2:], cells, strict=True))
    return pixels[..., rows[:, None], columns]


def every_target(self, scoring, game, cells):
    return start(replace(self, first_target=False), scoring, game, cells)


def last_disc_where_none(self, scoring, game, masks):
    return search(self, scoring, game, masks).clamp(max=len(masks) - 1)


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


def resized_first(self, network_input):
    return tuple(
        (255 * smooth(picture, self.sigma)).round() / 255
        for picture in (network_input.plain, network_input.canvas)
    )


def not_rounded(self, network_input):
    return network_input.fitted(smooth(network_input.photo.pixels, self.sigma))


def black(self, network_input):
    return torch.zeros(3, *network_input.size), torch.zeros(3, *network_input.canvas_size)


def grey_noise(self, network_input):
    still, moving = noise_edit(self, network_input)
    return still[:1].expand(3, -1, -1), moving[:1].expand(3, -1, -1)


def noise_of_one_seed(self, network_input):
    return noise_edit(self, replace(network_input, seed=0))


def first_window_alone(scoring, settings, *rest):
    return fixed_terms(scoring, replace(settings, jitter=0), *rest)


def fully_perturbed_first(*given):
    return final_scores(*given).flip(1)


def gradient_of_one_edit(self):
    return self.objective.game.sign * self.linear.score_gradient()


def gradient_of_the_log_odds(self):
    return self.gradient


def odds_of_the_targets_alone(logits, targets):
    return (logits.softmax(dim=1) * targets).sum(dim=1).log()


def mean_of_log_odds(parts):
    values = torch.stack([part.values for part in parts]).sum(dim=0)
    return Scored(values, torch.stack([part.log_odds for part in parts]).mean(dim=0))


def last_alone(_, __, masks, *___):
    return torch.zeros(len(masks), dtype=torch.bool)


def without_the_best(scoring, settings, upsampler, batch):
    return selected(scoring, settings, upsampler, replace(batch, best=batch.start))


def without_the_start(scoring, settings, upsampler, batch):
    return selected(scoring, settings, upsampler, replace(batch, start=batch.masks))


def dearer_penalties(terms):
    return penalty_total(terms) + 0.5


def deletion_s_words(name, game):
    return in_words(name, replace(game, ideal=1.0))
