"""Deliberate mistakes in saliency, one at a time: the comparisons have to notice each."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from unittest import mock

import captum.attr
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import test_compare as comparisons
import test_models as models
import test_saliency as checks
import test_saliency_boxes as boxed
import test_saliency_feedback as gated
import test_saliency_models as networks
import test_tuning as tuning
from unsee import layers
from unsee.classifier import Classifier
from unsee.experiments import masked_scores, smallest_box
from unsee.heads import Reading
from unsee.input_values import InputValues
from unsee.models import response_norm
from unsee.models.response_norm import ResponseNorm
from unsee.saliency import excitation, occluders, relu
from unsee.saliency.targets import chosen
from unsee.target_scores import logit_score
from unsee.tensors import boxes

GRADIENTS, TIMES_INPUT, NOISY, ALONG, SEGMENTS = (
    getattr(captum.attr, name)
    for name in ("Saliency", "InputXGradient", "NoiseTunnel", "IntegratedGradients", "Lime")
)
BLUR, CAM, FEEDBACK, GRAD_CAM, LRP, OCCLUSION, RISE, VARIABLE = (
    import_module(f"unsee.saliency.{name}")
    for name in (
        "blur_occlusion",
        "cam",
        "feedback",
        "grad_cam",
        "lrp",
        "occlusion",
        "rise",
        "variable_occlusion",
    )
)
MEAN, STD = (torch.tensor(color)[:, None, None] for color in (checks.MEAN, checks.STD))

BLACK = property(lambda _: (0.0, 0.0, 0.0))

# What is right, as it was before anything is replaced.
discs, mean_fall, stripes, squares = (
    occluders.discs,
    occluders.mean_fall,
    occluders._stripes,
    occluders.squares,
)
einsum, lerp, drawn, masks = torch.einsum, torch.lerp, VARIABLE.drawn_discs, RISE.random_masks
shared, weighted = excitation._shared, excitation.Excitation._weighted
integrated, topk = ALONG.attribute, Tensor.topk
blend, scores_of, area = masked_scores.blend, masked_scores.scores_under, smallest_box.SmallestBox.area.fget
fitted_box, tightest_box = boxes.fitted_box, boxes.tightest_box
normalise, neighbours = response_norm.response_norm, ResponseNorm._neighbours


def with_options(method: type, **changes) -> Callable:
    """Captum's method, asked for something else."""
    asked = method.attribute
    return lambda self, *given, **named: asked(self, *given, **(named | changes))


def times(factor: Callable) -> Callable:
    """`InputXGradient` with another factor."""

    def attribute(self, inputs):
        return factor(inputs) * GRADIENTS(self.forward_func).attribute(inputs, abs=False)

    return attribute


def from_black(self, inputs, _start, **named):
    return integrated(self, inputs, torch.zeros_like(inputs), **named)


def open_everywhere(ctx, gradient):
    return gradient.clamp(min=0), None, None, None


def open_above(ctx, gradient):
    return gradient.clamp(min=0) * (ctx.saved_tensors[0] > 0), None, None, None


def ungated(ctx, x, gate, most, in_place):
    ctx.most = most
    ctx.save_for_backward(x.clamp(0, most), gate)
    return x.clamp(0, most)


def open_on_the_way_back(ctx, gradient):
    active, _ = ctx.saved_tensors
    return gradient * (active > 0), gradient * active, None, None


def closed_when_clipped(ctx, gradient):
    passed = gradient * (ctx.saved_tensors[0] < ctx.most)
    return (
        passed * ctx.saved_tensors[1] * (ctx.saved_tensors[0] > 0),
        passed * ctx.saved_tensors[0],
        None,
        None,
    )


def signed(operation, positive, *inputs):
    return shared(operation, operation, *inputs)


def undivided(ctx, signal):
    with torch.enable_grad():
        inputs = [part.detach().requires_grad_() for part in ctx.saved_tensors]
        gradients = torch.autograd.grad(ctx.positive(*inputs), inputs, signal)
    return None, None, *(x.detach() * gradient for x, gradient in zip(inputs, gradients, strict=True))


def never_turned(self, function, args, named):
    answer = weighted(self, function, args, named)
    self.calls[-1] = SimpleNamespace(given=self.calls[-1].given, negated=False)
    return answer


def no_rule(function, args, named):
    return function(*args, **named)


def halves(function, args, named):
    half = (args[0] + args[1]) / 2
    return args[0].copy_(half + half.detach())


def logits_of(_, logits, targets):
    return logit_score(logits, targets)


def first_class(logits, classes):
    return chosen(logits, [row[:1] for row in classes])


def every_class(logits, classes):
    return torch.ones_like(logits)


def first_tokens(_grid, given):
    tokens = given[:, :16].transpose(1, 2)
    return tokens.reshape(*tokens.shape[:2], 4, 4)


def turned(equation, maps, *rest):
    return einsum(equation.replace("bkhw", "bkwh"), maps, *rest)


def rectified(*given):
    return einsum(*given).clamp(min=0)


def smaller(size, side, stride):
    return squares(size, side - 1.0 / occluders.scale(size), stride)


def whole_squares(length, size, side, stride):
    found = stripes(length, size, side, stride)
    return found[found.sum(dim=1) == found.sum(dim=1).max()]


def mean_color(view, sigma):
    return view.mean(dim=(1, 2), keepdim=True).expand_as(view)


def counted_whole(hidden):
    return mean_fall(occluders.Hidden((some.pieces > 0).to(some.pieces), some.falls) for some in hidden)


def unshifted(*given):
    none = lambda _low, _high, shape, **_: torch.zeros(shape, dtype=torch.long)  # noqa: E731
    with mock.patch.object(torch, "randint", none):
        yield from masks(*given)


def share_of_the_score(*given):
    scores = scores_of(*given)
    scores[-1] = 0
    return scores


def unnormalised(saliency, threshold):
    return tightest_box(saliency >= threshold)


def strictly_above(saliency, threshold):
    return fitted_box(saliency, min(threshold + 1e-6, 1.0))


def closed(marked):
    left, top, right, bottom = tightest_box(marked)
    return left, top, max(right - 1, left + 1), max(bottom - 1, top + 1)


def square_root(ctx, x, near, k):
    total = F.conv2d(x.square(), near).add_(k)
    ctx.save_for_backward(x, total, total.rsqrt(), near)
    return x * total.rsqrt()


linear = checks.test_closed_forms_on_a_linear_network
gradients = checks.test_gradients_and_relu_rules_are_the_literal_ones
smooth_grad = checks.test_smooth_grad_is_the_absolute_mean_of_the_gradients_at_the_pictures_it_draws
adding_up = checks.test_integrated_gradients_add_up_to_the_difference_from_the_mean_colour
called = partial(checks.test_rules_hold_however_a_network_calls_its_functions, "guided_backprop", "function")
relu6 = checks.test_relu6_counts_as_closed_above_6
ascent = partial(gated.test_feedback_is_the_literal_ascent, checks.SIZE)
one_layer = gated.test_of_one_layer_the_active_units_that_raise_the_score_are_left
clipped = gated.test_a_unit_that_relu6_clips_stays_on_without_passing_a_gradient
excited = checks.test_excitation_is_the_literal_propagation_of_probability
contrast = checks.test_contrastive_excitation_is_the_difference_of_two_signals
conserved = checks.test_no_signal_is_lost_layer_by_layer_where_all_weights_are_positive
zennits = checks.test_excitation_is_zennits_on_plain_modules
shortcut = checks.test_a_shortcut_shares_the_signal_in_proportion
handed_on = partial(checks.test_excitation_hands_its_signal_through_every_activation, nn.GELU())
lrp = checks.test_lrp_is_zennits_on_plain_modules
lrp_shortcut = checks.test_lrp_shares_over_a_shortcut_in_proportion
lrp_sum = checks.test_lrp_keeps_its_sum_over_a_shortcut
lrp_pooling = checks.test_lrp_pools_signed_maps_alike_by_module_and_by_function
grad_cam = partial(checks.test_grad_cam_is_captums, 2)
last_maps = checks.test_grad_cam_reads_the_last_maps_by_itself
grad_cam_tokens = networks.test_grad_cam_reads_the_patch_tokens_of_a_transformer
cam = checks.test_cam_is_the_weighted_sum_of_the_last_maps_and_averages_to_the_logit_without_its_bias
cam_of_means = checks.test_cam_of_a_network_whose_means_are_the_logits_is_the_targets_map
occlusion = checks.test_occlusion_is_a_double_loop_over_squares
places = checks.test_the_papers_squares_stand_at_784_places
blurred = checks.test_blur_occlusion_weighs_each_disc_as_far_as_it_covers
variable = checks.test_variable_occlusion_takes_the_smallest_of_the_discs_that_matter_most
draws = checks.test_variable_occlusion_draws_areas_and_rows_as_the_supplement_says
square_draws, wide_draws = partial(draws, 224, 224), partial(draws, 224, 448)
lime = checks.test_lime_finds_what_each_segment_adds_to_a_linear_score
rise = checks.test_rise_is_the_mean_of_masks_weighted_with_what_they_leave
rise_masks = checks.test_rises_masks_are_random_cells_enlarged_and_cut_at_random
center = checks.test_center_falls_from_the_middle_to_the_corners
box = partial(boxed.test_a_box_is_the_literal_one, "random")
box_of_steps = partial(boxed.test_a_box_is_the_literal_one, "steps of a quarter")
smallest = boxed.test_the_smallest_box_is_the_literal_one
seer = Classifier(comparisons.Patch().eval(), size=(32, 32), mean=(0.0,) * 3, std=(1.0,) * 3)
tightest = partial(comparisons.test_the_smallest_box_is_the_tightest_that_blurs_the_score_away, seer)
missing = partial(comparisons.test_a_map_that_misses_needs_a_larger_box_and_a_small_share_a_smaller, seer)
shrinking = comparisons.test_boxes_only_shrink_as_the_threshold_rises
norm = partial(models.compare_response_norm, ResponseNorm())
norm_gradients = partial(tuning.test_response_norm_equals_torchs, torch.contiguous_format)

MISTAKES = {
    "gradient: sum over the colours": (Tensor, "amax", Tensor.sum, partial(gradients, "gradient")),
    "gradient: signs kept": (
        GRADIENTS,
        "attribute",
        with_options(GRADIENTS, abs=False),
        partial(gradients, "gradient"),
    ),
    "gradient: sum over the colours, closed form": (Tensor, "amax", Tensor.sum, partial(linear, "gradient")),
    "smooth_grad: smallest colour, closed form": (
        Tensor,
        "amax",
        Tensor.amin,
        partial(linear, "smooth_grad"),
    ),
    "smooth_grad: absolute gradients averaged": (
        NOISY,
        "attribute",
        with_options(NOISY, abs=True),
        smooth_grad,
    ),
    "smooth_grad: noise no share of the range": (
        NOISY,
        "attribute",
        with_options(NOISY, stdevs=0.3),
        smooth_grad,
    ),
    "linear: gradient alone": (TIMES_INPUT, "attribute", times(torch.ones_like), partial(linear, "linear")),
    "linear: towards the mean colour": (
        TIMES_INPUT,
        "attribute",
        times(lambda x: x - MEAN),
        partial(linear, "linear"),
    ),
    "gradient_x_input: times the image": (
        TIMES_INPUT,
        "attribute",
        times(lambda x: x * STD + MEAN),
        partial(linear, "gradient_x_input"),
    ),
    "integrated gradients from black": (
        ALONG,
        "attribute",
        from_black,
        partial(linear, "integrated_gradients"),
    ),
    "integrated gradients from black, added up": (ALONG, "attribute", from_black, adding_up),
    "integrated gradients at the middle alone": (
        ALONG,
        "attribute",
        with_options(ALONG, n_steps=1),
        adding_up,
    ),
    "closed ReLUs let through": (
        relu._Relu,
        "backward",
        staticmethod(open_everywhere),
        partial(gradients, "guided_backprop"),
    ),
    "deconvnet stopped by closed ReLUs": (
        relu._Relu,
        "backward",
        staticmethod(open_above),
        partial(gradients, "deconvnet"),
    ),
    "ReLU6 open above 6": (relu._Relu, "backward", staticmethod(open_above), relu6),
    "a function overlooked": (
        relu,
        "_FUNCTIONS",
        tuple(way for way in relu._FUNCTIONS if way is not torch.relu),
        called,
    ),
    "feedback: closed gates open again": (
        FEEDBACK,
        "_left",
        lambda gate, effect: (effect > 0).to(gate),
        ascent,
    ),
    "feedback: units that raise the score off": (
        FEEDBACK,
        "_left",
        lambda gate, effect: gate * (effect < 0),
        ascent,
    ),
    "feedback: units of one layer that raise the score off": (
        FEEDBACK,
        "_left",
        lambda gate, effect: gate * (effect < 0),
        one_layer,
    ),
    "feedback: silent units stay on": (FEEDBACK, "_left", lambda gate, effect: gate * (effect >= 0), ascent),
    "feedback: one round": (torch, "equal", lambda *_: True, ascent),
    "feedback: sum over the colours": (Tensor, "amax", Tensor.sum, ascent),
    "feedback: gates open on the way up": (FEEDBACK._Gate, "forward", staticmethod(ungated), ascent),
    "feedback: gates open on the way back": (
        FEEDBACK._Gate,
        "backward",
        staticmethod(open_on_the_way_back),
        ascent,
    ),
    "feedback: clipped units off": (FEEDBACK._Gate, "backward", staticmethod(closed_when_clipped), clipped),
    "weights of both signs, and biases": (excitation, "_shared", signed, excited),
    "weights of both signs, and biases, zennit": (excitation, "_shared", signed, zennits),
    "averages hand the signal on": (excitation, "average", no_rule, excited),
    "shares not divided by their sum": (excitation._Shared, "backward", staticmethod(undivided), conserved),
    "no weights turned": (excitation.Excitation, "_weighted", never_turned, contrast),
    "whole signal both ways of a shortcut": (excitation, "_sum", no_rule, shortcut),
    "half the signal each way of a shortcut": (excitation, "_sum", halves, shortcut),
    "activations scale the signal": (excitation, "_activation", no_rule, handed_on),
    "LRP: relevance of every class": (LRP, "chosen", every_class, lrp),
    "LRP: whole relevance both ways of a shortcut": (LRP, "_summed", no_rule, lrp_shortcut),
    "LRP: half the relevance each way of a shortcut": (LRP, "_summed", halves, lrp_shortcut),
    "LRP: whole relevance both ways, summed": (LRP, "_summed", no_rule, lrp_sum),
    "LRP: averages share equally": (LRP, "_averaged", no_rule, lrp_pooling),
    "Grad-CAM: gradients not averaged": (Tensor, "mean", lambda part, **_: part, grad_cam),
    "Grad-CAM: what is negative shown": (Tensor, "clamp", lambda part, **_: part, grad_cam),
    "Grad-CAM: layer before": (GRAD_CAM, "last_spatial_layer", lambda _: "3", last_maps),
    "Grad-CAM: class token for a patch": (layers.TokenGrid, "maps", first_tokens, grad_cam_tokens),
    "CAM: first class of several": (CAM, "chosen", first_class, cam),
    "CAM: what is negative left out": (torch, "einsum", rectified, cam),
    "CAM: rows for columns": (torch, "einsum", turned, cam_of_means),
    "squares too small": (OCCLUSION, "squares", smaller, occlusion),
    "no squares cut off": (occluders, "_stripes", whole_squares, places),
    "blur occlusion: hard discs": (BLUR, "discs", lambda *what: discs(*what[:3], 0.0), blurred),
    "blur occlusion: diameter for radius": (BLUR, "discs", lambda s, c, r, b: discs(s, c, 2 * r, b), blurred),
    "blur occlusion: discs round corners": (
        BLUR,
        "discs",
        lambda size, centers, radii, soft: discs(size, centers - radii[:, None], radii, soft),
        blurred,
    ),
    "blur occlusion: mean colour": (BLUR, "smooth", mean_color, blurred),
    "blur occlusion: discs counted whole": (BLUR, "mean_fall", counted_whole, blurred),
    "variable occlusion: largest disc": (Tensor, "argmin", Tensor.argmax, variable),
    "variable occlusion: strongest disc": (Tensor, "topk", lambda falls, _: topk(falls, 1), variable),
    "variable occlusion: weakest discs": (Tensor, "topk", lambda falls, k: topk(-falls, k), variable),
    "variable occlusion: mean colour": (VARIABLE, "smooth", mean_color, variable),
    "variable occlusion: rows round the middle": (VARIABLE, "_ROW", (112.0, 47.5054), square_draws),
    "variable occlusion: diameters for radii": (
        VARIABLE,
        "math",
        SimpleNamespace(pi=torch.pi / 4),
        square_draws,
    ),
    "variable occlusion: height for width": (
        VARIABLE,
        "drawn_discs",
        lambda count, size, seed: drawn(count, size[::-1], seed),
        wide_draws,
    ),
    "LIME: black for what is left out": (SEGMENTS, "attribute", with_options(SEGMENTS, baselines=0), lime),
    "RISE: shown for hidden": (torch, "lerp", lambda color, view, mask: lerp(view, color, mask), rise),
    "RISE: black where hidden": (InputValues, "color", BLACK, rise),
    "RISE: logits for softmax": (Tensor, "softmax", lambda logits, **_: logits, rise),
    "RISE: hidden cells for shown": (
        RISE,
        "random_masks",
        lambda count, cells, kept, *rest: masks(count, cells, 1 - kept, *rest),
        rise_masks,
    ),
    "RISE: masks not shifted": (RISE, "random_masks", unshifted, rise_masks),
    "RISE: hard masks": (
        RISE,
        "F",
        SimpleNamespace(interpolate=lambda x, size, **_: F.interpolate(x, size)),
        rise_masks,
    ),
    "center: city blocks": (torch, "hypot", lambda down, across: down.abs() + across.abs(), center),
    "center: squared distance": (torch, "hypot", lambda down, across: down**2 + across**2, center),
    "box round all above": (boxes, "fitted_box", strictly_above, box_of_steps),
    "box of a map as it is": (boxes, "fitted_box", unnormalised, box),
    "box without its last row and column": (boxes, "tightest_box", closed, box),
    "box of rows for columns": (boxes, "tightest_box", lambda marked: tightest_box(marked.T), box),
    "smallest box: ten thresholds": (smallest_box, "STEPS", 10, smallest),
    "smallest box: largest": (smallest_box.SmallestBox, "area", property(lambda one: -area(one)), smallest),
    "smallest box: share of the score itself": (smallest_box, "scores_under", share_of_the_score, smallest),
    "smallest box: logits for softmax": (Reading, "target_scores", logits_of, smallest),
    "smallest box: all around blurred": (
        masked_scores,
        "blend",
        lambda x, y, mask: blend(y, x, mask),
        smallest,
    ),
    "smallest box: mean colour": (smallest_box, "smooth", mean_color, smallest),
    "smallest box: corners aligned": (
        smallest_box,
        "F",
        SimpleNamespace(
            interpolate=lambda x, size, **_: F.interpolate(x, size, mode="bilinear", align_corners=True)
        ),
        smallest,
    ),
    "largest box that will do": (smallest_box.SmallestBox, "area", property(lambda one: -area(one)), missing),
    "smallest box without its last row and column": (boxes, "tightest_box", closed, tightest),
    "thresholds from the top": (
        smallest_box,
        "fitted_box",
        lambda x, cut: fitted_box(x, 1.01 - cut),
        shrinking,
    ),
    "LRN: alpha not divided": (
        ResponseNorm,
        "_neighbours",
        lambda self, x: self.size * neighbours(self, x),
        norm,
    ),
    "LRN: three channels": (
        ResponseNorm,
        "_neighbours",
        lambda self, x: neighbours(ResponseNorm(3), x) * 0.6,
        norm,
    ),
    "LRN: k of 2": (response_norm, "response_norm", lambda x, near, k: normalise(x, near, 2 * k), norm),
    "LRN: beta of 1/2": (response_norm._Normalise, "forward", staticmethod(square_root), norm),
    "LRN: beta of 1/2 on the backward pass": (response_norm, "_BETA", 0.5, norm_gradients),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(name, monkeypatch):
    place, part, mistake, compare = MISTAKES[name]
    monkeypatch.setattr(place, part, mistake)
    with pytest.raises(AssertionError, match=r"Mismatched elements|^assert"):
        compare()
