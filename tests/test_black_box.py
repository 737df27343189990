"""Any function of images as a classifier."""

import copy
import functools
import pickle
from importlib import import_module

import numpy as np
import pytest
import torch

import unsee
from checks import one_line
from served_models import CLASSES, SIZE, model
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.models import load


def images(count=3, seed=0):
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def forest(images):
    """A model in a module, as the command line finds it."""
    return model(images)


def box(**options):
    """What `python:test_black_box:box` gives."""
    return unsee.BlackBox(forest, size=SIZE, class_names=CLASSES, **options)


class TestScores:
    def test_are_the_functions(self):
        found = box()
        assert isinstance(found, Classifier)
        assert torch.equal(found.logits(images()), torch.from_numpy(model(images().numpy())))
        assert (found.name, found.color, found.reading.differentiable) == ("forest", (0.5,) * 3, False)
        assert found.hookable is False

    @pytest.mark.parametrize(
        ("options", "least", "most"),
        [
            ({}, 0.0, 1.0),
            ({"value_range": (-1024.0, 1024.0)}, -1024.0, 1024.0),
            ({"mean": 0.5, "std": 0.25}, -2.0, 2.0),
        ],
    )
    def test_the_array_that_it_is_given(self, options, least, most):
        given = []

        def fn(array):
            given.append(array)
            array *= 1  # it is the function's own
            return array.mean((2, 3))

        given_images = torch.cat([torch.zeros(1, 3, 8, 6), torch.ones(1, 3, 8, 6)])
        unsee.BlackBox(fn, size=(8, 6), head="logit", **options).logits(given_images)
        array = given[-1]
        assert (array.dtype, array.shape, array.flags.c_contiguous) == (np.float32, (2, 3, 8, 6), True)
        assert (array.min(), array.max()) == (least, most)
        assert torch.equal(given_images[0], torch.zeros(3, 8, 6))

    def test_channels_last(self):
        found = unsee.BlackBox(lambda x: model(x.transpose(0, 3, 1, 2)), size=SIZE, layout="NHWC")
        assert torch.allclose(found.logits(images()), box().logits(images()), atol=1e-5)

    def test_heads_and_one_number(self):
        odds = unsee.BlackBox(lambda x: x.mean((1, 2, 3)), size=4, channels=1, head="probabilities")
        assert odds.probabilities(torch.full((2, 1, 4, 4), 0.25)).tolist() == [[0.25], [0.25]]
        with pytest.raises(UnseeError, match="one number"):
            _ = unsee.BlackBox(lambda x: x.mean((1, 2, 3)), size=4).reading

    def test_other_arrays(self):
        for give in (list, torch.from_numpy, lambda rows: rows.astype(np.float64)):
            found = unsee.BlackBox(lambda x, give=give: give(model(x)), size=SIZE)
            assert torch.allclose(found.logits(images()), box().logits(images()))


class TestCopies:
    def test_pickled_and_copied(self):
        found = box()
        for twin in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
            assert torch.equal(twin.logits(images()), found.logits(images()))

    def test_a_function_that_cannot_be_copied_is_shared(self):
        class Library:
            def __deepcopy__(self, memo):
                raise TypeError("no copies")

            def __call__(self, array):
                return model(array)

        library = Library()
        found = unsee.BlackBox(library, size=SIZE)
        assert found.name == "Library"
        assert copy.deepcopy(found).net.function is library

    def test_names(self):
        assert unsee.BlackBox(functools.partial(model), size=SIZE).name == "model"
        assert box(name="mine").name == "mine"

    def test_by_name(self):
        found = load("python:test_black_box:box", device="cpu")
        assert (found.name, found.names) == ("python:test_black_box:box", CLASSES)
        assert torch.equal(found.logits(images()), box().logits(images()))


class TestRefused:
    @pytest.mark.parametrize(
        ("answer", "part"),
        [
            (lambda x: 1 / 0, "fn failed on an array of shape (1, 3, 16, 16): ZeroDivisionError"),
            (lambda x: None, "fn gave NoneType"),
            (lambda x: [["a"] * 5] * len(x), "as numbers"),
            (lambda x: model(x)[:, 0].argmax(keepdims=True), "fn gave whole numbers"),
            (lambda x: np.zeros((len(x) + 1, 5)), "shape (2, 5) for 1 image"),
            (lambda x: np.zeros((len(x), 5, 1)), "shape (1, 5, 1)"),
            (lambda x: np.zeros((len(x), 0)), "shape (1, 0)"),
            (lambda x: 0.0, "shape ()"),
            (lambda x: model(x) * np.nan, "not finite (nan) for image 0 of 1"),
            (lambda x: np.full((len(x), 5), 1e300), "not finite (1e+300)"),
            (lambda x: torch.zeros(len(x), 5, requires_grad=True), "no array"),
        ],
    )
    def test_answers(self, answer, part):
        def fn(array):
            return answer(array)

        with pytest.raises(UnseeError) as error:
            _ = unsee.BlackBox(fn, size=SIZE).reading
        assert part in one_line(error)

    def test_later_ones_too(self):
        state = {"rows": lambda rows: rows}
        found = unsee.BlackBox(lambda x: state["rows"](model(x)), size=SIZE)
        assert found.reading.classes == 5
        for change in (lambda rows: rows[:, :4], lambda rows: rows[:-1], lambda rows: rows * np.inf):
            state["rows"] = change
            with pytest.raises(UnseeError):
                found.probabilities(images())

    @pytest.mark.parametrize(
        ("options", "part"), [({"layout": "CHW"}, "NHWC"), ({"size": (0, 3)}, "size"), ({"std": 1.0}, "mean")]
    )
    def test_arguments(self, options, part):
        with pytest.raises(UnseeError, match=part):
            unsee.BlackBox(model, **options)


class TestUse:
    @pytest.mark.parametrize("name", ["occlusion", "blur_occlusion", "variable_occlusion", "rise", "lime"])
    def test_methods_without_a_gradient_find_what_counts(self, name):
        """The score is the brightness of the upper left quarter."""

        def corner(array):
            bright = 8 * array[:, :, :8, :8].mean((1, 2, 3))
            return np.stack([bright, 0 * bright], axis=1)

        options = {"rise": {"masks": 200}, "lime": {"samples": 100}}.get(name, {})
        method = getattr(import_module(f"unsee.saliency.{name}"), name)
        found = method(unsee.BlackBox(corner, size=SIZE, mean_color=0.0), images(1), [0], **options)[0].abs()
        side = found.shape[-1] // 2
        assert found[:side, :side].mean() > found[side:, side:].mean()

    def test_scikit_learn(self):
        linear_model = pytest.importorskip("sklearn.linear_model")
        x = images(40).flatten(1).numpy()
        y = (x[:, :100].mean(1) > 0.5).astype(int)
        fitted = linear_model.LogisticRegression().fit(x, y)
        found = unsee.BlackBox(lambda a: fitted.predict_proba(a.reshape(len(a), -1)), size=SIZE)
        assert found.reading.probabilities
        assert np.allclose(found.probabilities(images(4)), fitted.predict_proba(x[:4]), atol=1e-5)
        wrong = unsee.BlackBox(lambda a: fitted.predict(a.reshape(len(a), -1)), size=SIZE)
        with pytest.raises(UnseeError, match="predict_proba"):
            _ = wrong.reading
