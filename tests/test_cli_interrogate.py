"""`unsee interrogate`."""

import numpy as np
import pytest
import torch

from command_line import refused, strict
from unsee.classifier import Classifier
from unsee.images import read_photo
from unsee.tensors import fitted_box, smooth


class TestInterrogate:
    def record(self, folder):
        return strict((folder / "interrogation.json").read_text())

    def test_a_box(self, interrogate, make_photo, tmp_path):
        result = interrogate(make_photo(), "--box", "3,5,20,30", "--target", "dog", "--out", "out/deep")
        assert (result.code, result.out) == (0, "")
        out = tmp_path / "out" / "deep"
        assert {path.name for path in out.iterdir()} == {"interrogation.json", "perturbed.png", "figure.png"}
        record = self.record(out)
        assert record["box"] == [3, 5, 20, 30]
        assert record["target"] == {"index": [4], "name": ["dog"]}
        assert (record["model"], record["perturbation"]) == ("tiny", "blur")
        photo, edited = read_photo(tmp_path / "photo.png").pixels, read_photo(out / "perturbed.png").pixels
        changed = (photo - edited).abs().amax(dim=0) > 0
        inside = torch.zeros(40, 56, dtype=torch.bool)
        inside[5:30, 3:20] = True
        assert not changed[~inside].any()
        assert changed[inside].float().mean() > 0.5
        for text in ("dog", "blur", "3,5,20,30", "out/deep"):
            assert text in result.err

    def test_its_scores_are_those_of_the_edited_photo(self, interrogate, make_net, make_photo):
        """By hand: a photo of the network's own size, with a box of its blurred self."""
        path = make_photo(height=32, width=32, seed=1)
        photo = read_photo(path).pixels
        blurred = smooth(photo, 10.0)
        model = Classifier(make_net(), size=(32, 32))
        ends = model.probabilities(torch.stack([photo, blurred]))
        wanted = int((ends[0] - ends[1]).argmax())
        result = interrogate(path, "--box", "4,8,20,24", "--target", str(wanted), "--json")
        record = strict(result.out)
        edited = photo.clone()
        edited[:, 8:24, 4:20] = blurred[:, 8:24, 4:20]
        expected = model.probabilities(torch.stack([photo, edited, blurred]))[:, wanted].tolist()
        scores = [record["scores"][key] for key in ("original", "perturbed", "reference")]
        assert scores == pytest.approx(expected, abs=1e-5)
        before, after, whole = expected
        assert record["suppression"] == pytest.approx(1 - (after - whole) / (before - whole), abs=1e-3)

    def test_the_predicted_class_without_a_target(self, interrogate, make_photo, explain):
        photo = make_photo()
        (explained,) = strict(explain(photo, "--json").out)
        record = strict(interrogate(photo, "--box", "0,0,5,5", "--json").out)
        assert record["target"]["index"] == [explained["target"]["index"]]

    def test_by_default_it_writes_to_interrogations(self, interrogate, make_photo, tmp_path):
        assert interrogate(make_photo("flute.png"), "--box", "0,0,5,5").code == 0
        assert self.record(tmp_path / "interrogations" / "flute")["box"] == [0, 0, 5, 5]

    def test_json_is_the_record_and_nothing_else(self, interrogate, make_photo, tmp_path):
        result = interrogate(make_photo(), "--box", "0,0,5,5", "--json", "--out", "out")
        assert strict(result.out) == self.record(tmp_path / "out")

    def test_from_a_saved_mask(self, interrogate, explain, run, tiny, make_photo, tmp_path):
        photo = make_photo()
        explain(photo, "--target", "dog")
        saved = tmp_path / "explanations" / "photo"
        tiny.clear()
        record = strict(run("interrogate", photo, "--from", saved, "--json", "--threshold", "0.7").out)
        saliency = 1 - torch.from_numpy(np.load(saved / "mask.npy"))
        assert tuple(record["box"]) == fitted_box(saliency, 0.7)
        assert record["target"] == {"index": [4], "name": ["dog"]}
        assert tiny[0].name == "tiny"

    def test_from_and_a_box(self, interrogate, explain, make_photo, tmp_path):
        photo = make_photo()
        explain(photo, "--target", "dog")
        given = ("--from", tmp_path / "explanations" / "photo", "--box", "1,2,9,8")
        record = strict(interrogate(photo, *given, "--json").out)
        assert record["box"] == [1, 2, 9, 8]
        assert record["target"]["name"] == ["dog"]
        refused(interrogate(photo, *given, "--target", "bee"), "--force", "--out")
        other = strict(interrogate(photo, *given, "--target", "bee", "--force", "--json").out)
        assert other["target"]["name"] == ["bee"]

    def test_neither_is_refused(self, interrogate, make_photo):
        refused(interrogate(make_photo()), "--box", "--from")

    @pytest.mark.parametrize(
        "box",
        ["0,0,57,40", "0,0,56,41", "-1,0,9,9", "5,5,5,9", "5,5,9,5", "9,9,5,5", "100,100,200,200"],
    )
    def test_a_box_outside_or_empty(self, interrogate, make_photo, box):
        refused(interrogate(make_photo(), f"--box={box}"), box, "56", "40")

    @pytest.mark.parametrize(
        "box", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1;2;3;4", "0,0,5.5,9", "1,,2,3", "[/]"]
    )
    def test_a_malformed_box(self, interrogate, make_photo, box):
        refused(interrogate(make_photo(), f"--box={box}"), repr(box), "40,30,120,200")

    def test_the_whole_photo_is_a_box(self, interrogate, make_photo):
        record = strict(interrogate(make_photo(), "--box", "0,0,56,40", "--json").out)
        assert record["scores"]["perturbed"] == pytest.approx(record["scores"]["reference"], abs=1e-6)
        assert record["suppression"] == pytest.approx(1, abs=1e-4)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--perturbation", "joint"), "joint"),
            (("--perturbation", "blurr"), "blur"),
            (("--fit", "stretch"), "squash"),
            (("--target", "walrus"), "walrus"),
            (("--target", "7"), "0 to 4"),
            (("--model", "huge"), "huge"),
            (("--from", "nowhere"), "nowhere"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_what_the_user_can_fix_is_one_line(self, interrogate, make_photo, tmp_path, options, message):
        refused(interrogate(make_photo(), "--box", "0,0,5,5", *options), message)
        assert not (tmp_path / "interrogations").exists()

    @pytest.mark.parametrize("threshold", ["0", "1.5", "nan", "-1"])
    def test_a_threshold_out_of_range(self, interrogate, explain, make_photo, tmp_path, threshold):
        photo = make_photo()
        explain(photo)
        given = ("--from", tmp_path / "explanations" / "photo", f"--threshold={threshold}")
        refused(interrogate(photo, *given), "threshold")

    def test_from_a_network_of_more_classes(self, interrogate, explain, make_photo, tmp_path):
        photo = make_photo()
        explain(photo, "--target", "dog")
        saved = tmp_path / "explanations" / "photo"
        refused(interrogate(photo, "--from", saved, "--model", "tiny3"), "--weights", "--box")

    def test_from_another_photo(self, interrogate, explain, make_photo, tmp_path):
        explain(make_photo())
        other = make_photo("other.png", seed=1)
        refused(interrogate(other, "--from", tmp_path / "explanations" / "photo"), "other.png")

    def test_an_out_that_cannot_be_written_to(self, interrogate, make_photo, tmp_path):
        (tmp_path / "taken").write_text("a file")
        refused(interrogate(make_photo(), "--box", "0,0,5,5", "--out", "taken"), "taken")
        assert (tmp_path / "taken").read_text() == "a file"

    def test_scores_that_are_not_finite_are_refused(self, run, use, make_photo):

        class Broken(torch.nn.Module):
            def forward(self, x):
                return x.mean(dim=(2, 3)) * float("nan")

        use(lambda *rest, **named: Classifier(Broken(), size=(8, 8)))
        result = run("interrogate", make_photo(), "--box", "0,0,5,5", "--target", "1", "--json")
        assert (result.code, result.out) == (2, "")
        assert "not finite" in result.err
