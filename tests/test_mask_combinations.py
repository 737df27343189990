"""Areas, sufficient masks, layers, scores and stores together: what goes, and what is refused in one line."""

import shutil

import pytest
import torch
import typer

import unsee
from command_line import FILES, refused
from unsee.classifier import Classifier
from unsee.cli import app
from unsee.errors import UnseeError
from unsee.experiments.photo_comparison import compare
from unsee.target_scores import softmax_score


def of_size(make_net, size):
    return Classifier(make_net(5), size=(size, size))


@pytest.mark.parametrize("size", [32, 50, 100])
@pytest.mark.parametrize("area", [0.1, 0.5])
def test_the_area_is_that_of_the_picture_whatever_its_size(make_net, make_photo, size, area):
    found = unsee.explain(of_size(make_net, size), make_photo(), area=area, iterations=20)
    assert found.area == pytest.approx(area, rel=0.05)
    assert "another area" not in found.run.verdict


def test_a_score_that_is_given_goes_before_the_logit_of_areas(make_net, make_photo):
    model, photo = of_size(make_net, 32), make_photo()
    usual = unsee.explain(model, photo, area=0.2, iterations=2)
    for given in (
        unsee.explain(model.scored("softmax"), photo, area=0.2, iterations=2),
        unsee.explain(model, photo, area=0.2, iterations=2, score="softmax"),
    ):
        assert given.run.settings["objective"]["score"] == softmax_score.__name__
        assert 0 <= given.scores.original <= 1
        assert given.scores.original != usual.scores.original


def test_a_kept_part_that_scores_less_than_nothing_has_not_converged():
    class Against(torch.nn.Module):
        """Whatever is not the mean colour lowers the score of class 0."""

        def forward(self, images):
            off = images.square().mean(dim=(1, 2, 3))
            return torch.stack([-off, off], dim=1)

    found = unsee.explain(
        Classifier(Against(), size=(32, 32)), torch.rand(3, 32, 32), 0, area=0.2, iterations=4
    )
    assert found.scores.perturbed <= found.scores.reference
    assert found.run.verdict.startswith("no gain")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"game": "dual"}, "dual is for masks of a given area"),
        ({"area": [0.1, 0.1000001]}, "areas must differ"),
        ({"suppress": 9.0}, "share of the score is above 0 and below 1"),
        ({"layer": "0", "area": 0.1}, "a given area is for masks on pixels"),
        ({"layer": "0", "preset": "extremal-fast"}, "a given area is for masks on pixels"),
        ({"layer": "0", "preset": "extremal"}, "a given area is for masks on pixels"),
    ],
)
def test_what_does_not_go_together(make_net, make_photo, options, line):
    with pytest.raises(UnseeError, match=line):
        unsee.explain(of_size(make_net, 32), make_photo(), **options)


@pytest.mark.parametrize(
    "options", [{"area": 0.1}, {"suppress": 0.9}, {"keep": 0.9}, {"perturbation": "constant"}]
)
def test_options_of_the_mask_are_refused_where_no_mask_is_compared(make_net, make_photo, options):
    with pytest.raises(UnseeError, match=f"{next(iter(options))} is for the learned mask"):
        compare(of_size(make_net, 32), make_photo(), ["gradient"], **options)


def test_learn_refuses_the_share_of_a_mask_for_another_method(run, make_photo):
    make_photo("photos/one.png")
    line = refused(run("learn", "folder:photos", "--method", "gradient", "--suppress", "0.9", "--out", "s"))
    assert "suppress is for the learned mask, and gradient does not take it" in line


@pytest.mark.parametrize("name", sorted(typer.main.get_command(app).commands))
def test_no_command_has_a_flag_twice(name):
    flags = [flag for one in typer.main.get_command(app).commands[name].params for flag in one.opts]
    assert len(flags) == len(set(flags))


class TestFolders:
    @pytest.fixture
    def explain(self, run, tiny):
        return lambda *arguments: run("explain", "--model", "tiny", *arguments)

    def test_a_further_mask_that_is_gone_is_learned_again(self, explain, make_photo, tmp_path):
        asked = (make_photo(), "--suppress", "0.5", "--another", "1")
        assert explain(*asked).code == 0
        folder = tmp_path / "explanations" / "photo" / "another-1"
        before = (folder / "mask.npy").read_bytes()
        shutil.rmtree(folder)
        assert explain(*asked).code == 0
        assert (folder / "mask.npy").read_bytes() == before

    def test_nothing_of_an_earlier_explanation_stays(self, explain, make_photo, tmp_path):
        photo, folder = make_photo(), tmp_path / "explanations" / "photo"
        assert explain(photo, "--suppress", "0.5", "--path", "--another", "1").code == 0
        assert {file.name for file in folder.iterdir()} > FILES
        assert explain(photo, "-n", "2", "--force").code == 0
        assert {file.name for file in folder.iterdir()} == FILES
