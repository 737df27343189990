"""What is told about a network is checked: class names, mean and std, value range, channels."""

import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

import unsee
from checks import one_line
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.input_values import IMAGENET_MEAN, IMAGENET_STD


def named(make_net, names):
    return Classifier(make_net(len(names)), size=(32, 32), class_names=names)


class TestClassNames:
    @pytest.mark.parametrize(
        "names",
        [
            ("ant", "bee", "cow"),
            ["ant", "bee", "cow"],
            {2: "cow", 0: "ant", 1: "bee"},
            {"1": "bee", "0": "ant", "2": "cow"},
        ],
    )
    def test_in_any_form(self, make_net, names):
        model = named(make_net, names)
        assert model.class_names == ("ant", "bee", "cow")
        assert model.reading.classes == 3

    @pytest.mark.parametrize(
        ("names", "line"),
        [
            ("cat", "one string"),
            ({"ant": 0, "bee": 1}, "turn a mapping"),
            ({1: "ant"}, "keys of class_names must be 0, got 1"),
            ({0: "ant", 2: "bee"}, "keys of class_names must be 0 to 1"),
        ],
    )
    def test_refused_at_once(self, make_net, names, line):
        with pytest.raises(UnseeError, match=line) as error:
            Classifier(make_net(2), size=(32, 32), class_names=names)
        one_line(error)

    @pytest.mark.parametrize("count", [4, 6])
    def test_a_wrong_count_is_refused_at_the_first_answer(self, make_net, make_pixels, count):
        model = Classifier(make_net(5), size=(32, 32), class_names=tuple("abcdef"[:count]))
        with pytest.raises(UnseeError, match=f"{count} class names, but the network gives 5 scores") as error:
            unsee.explain(model, make_pixels(), 0)
        one_line(error)

    @pytest.mark.parametrize(
        ("names", "target", "index"),
        [
            (["0", "1", "10", "11", "2", "3"], "2", 4),
            (["0", "1", "10", "11", "2", "3"], 2, 2),
            (["7", "3"], "7", 0),
            (["7", "3"], "3", 1),
            (["7", "3"], "0", 0),
            (["cardigan", "Cardigan"], "Cardigan", 1),
            (["cardigan", "Cardigan"], "cardigan", 0),
            (["Welsh corgi", "Corgi"], "corgi", 1),
        ],
    )
    def test_a_name_goes_before_an_index_and_its_own_case_before_another(
        self, make_net, names, target, index
    ):
        model = named(make_net, names)
        assert model.class_index(target, len(names)) == index

    def test_also_where_an_image_is_explained(self, make_net, make_pixels):
        model = named(make_net, ["0", "1", "10", "11", "2", "3"])
        for target, index in (("2", 4), (2, 2), (("2", 0), (4, 0))):
            done = unsee.explain(model, make_pixels(), target, iterations=1)
            assert done.target.indices == (index if isinstance(index, tuple) else (index,))


class TestInputValues:
    @pytest.mark.parametrize(
        "options",
        [
            {"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)},
            {"mean": (123.7, 116.3, 103.5), "std": 1.0},
            {"mean": 0.0, "std": (58.4, 57.1, 57.4)},
        ],
    )
    def test_of_0_to_255_are_refused_with_what_to_do(self, options):
        with pytest.raises(UnseeError, match="divide both by 255") as error:
            Classifier(nn.Identity(), **options)
        one_line(error)

    def test_of_0_to_255_belong_to_that_range(self):
        model = Classifier(
            nn.Identity(), mean=(124.0, 116.0, 104.0), std=(58.0, 57.0, 57.0), value_range=(0.0, 255.0)
        )
        plain = Classifier(
            nn.Identity(), mean=[v / 255 for v in (124, 116, 104)], std=[v / 255 for v in (58, 57, 57)]
        )
        images = torch.rand(2, 3, 4, 4, dtype=torch.float64)
        assert torch.allclose(model.normalised(images), plain.normalised(images))
        assert model.color == pytest.approx(plain.color)

    def test_an_x_ray_network_is_given_its_own_values(self):
        model = Classifier(nn.Identity(), channels=1, value_range=(-1024.0, 1024.0))
        images = torch.tensor([0.0, 0.25, 1.0]).reshape(1, 1, 1, 3)
        assert model.normalised(images).flatten().tolist() == [-1024, -512, 1024]
        assert (model.input_shape, model.color) == ((1, 224, 224), (0.5,))

    @pytest.mark.parametrize(
        ("options", "channels", "mean", "std"),
        [
            ({}, 3, IMAGENET_MEAN, IMAGENET_STD),
            ({"channels": 1}, 1, (0.0,), (1.0,)),
            ({"mean": (0.5,), "std": (0.25,)}, 1, (0.5,), (0.25,)),
            ({"mean": 0.5, "std": 0.5}, 3, (0.5,) * 3, (0.5,) * 3),
            ({"mean": 0.5, "std": 0.5, "channels": 4}, 4, (0.5,) * 4, (0.5,) * 4),
            ({"mean": 0.0, "std": (1.0, 2.0)}, 2, (0.0, 0.0), (1.0, 2.0)),
        ],
    )
    def test_channels_mean_and_std_follow_from_each_other(self, options, channels, mean, std):
        model = Classifier(nn.Identity(), **options)
        assert (model.channels, model.values.mean, model.values.std) == (channels, mean, std)

    @pytest.mark.parametrize(
        "options",
        [
            {"mean": (0.1, 0.2), "std": (1.0, 1.0, 1.0)},
            {"mean": (0.1, 0.2), "channels": 3},
            {"channels": 0},
            {"value_range": (1.0, 0.0)},
            {"value_range": (0.0, float("inf"))},
            {"mean": float("nan"), "std": 1.0},
            {"mean": 0.5, "std": 0.0},
            {"mean": 0.5},
            {"std": 0.5},
            {"channels": True},
            {"mean_color": (0.1, 0.2)},
            {"mean_color": (5.0, 5.0, 5.0)},
            {"head": "sofmax"},
        ],
    )
    def test_contradictions_are_refused_in_one_line(self, options):
        with pytest.raises(UnseeError) as error:
            Classifier(nn.Identity(), **options)
        one_line(error)

    def test_values_of_the_wrong_type_are_refused_in_one_line(self):
        script = textwrap.dedent("""
            from torch import nn
            import unsee
            wrong = (
                {"mean": "0.5", "std": "0.5"}, {"mean": True, "std": 1.0}, {"mean_color": "red"},
                {"class_names": 5}, {"head": 3}, {"mean": (0.5, None, 0.5), "std": 1.0},
            )
            for options in wrong:
                try:
                    unsee.Classifier(nn.Identity(), **options)
                except unsee.UnseeError as error:
                    print(error)
        """)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        lines = done.stdout.splitlines()
        assert (done.stderr, len(lines)) == ("", 6)
        for line, word in zip(
            lines, ("mean", "mean", "mean_color", "class_names", "head", "mean"), strict=True
        ):
            assert word in line

    def test_survive_a_copy_with_other_names(self):
        from dataclasses import replace

        for options in ({}, {"channels": 1, "value_range": (-1024.0, 1024.0)}, {"mean": 0.3, "std": 2.0}):
            model = Classifier(nn.Identity(), **options)
            again = replace(model, name="other")
            assert (again.values, again.color, again.channels) == (model.values, model.color, model.channels)
