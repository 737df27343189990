"""Explanations saved by earlier versions, and what saving imports."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from unsee.errors import UnseeError
from unsee.explanation import Explanation, Scores
from unsee.explanation_files import FORMAT, read_manifest

OLD = Path(__file__).parent / "data" / "explanation-format-1"


@pytest.fixture
def old(tmp_path):
    """A folder that version 0.1.0 has written, without figure.png."""
    return shutil.copytree(OLD / "saved", tmp_path / "saved")


def test_format_1_is_read(old):
    explanation = Explanation.load(old, OLD / "photo.png")
    manifest = json.loads((old / "explanation.json").read_text(encoding="utf-8"))
    assert "format" not in manifest
    assert np.array_equal(explanation.mask, np.load(old / "mask.npy"))
    assert np.array_equal(explanation.mask_grid, np.load(old / "mask_grid.npy"))
    assert explanation.scores == Scores(**manifest["scores"])
    assert explanation.area == manifest["area"]
    assert explanation.objective == pytest.approx(manifest["objective"], abs=1e-12)
    assert explanation.run.history["l1"] == tuple(manifest["history"]["l1"])
    assert explanation.target.names == ("cat",)
    assert explanation.perturbed.shape == (3, 40, 56)


def test_format_1_has_the_settings_of_today(old):
    before = json.loads((old / "explanation.json").read_text(encoding="utf-8"))["settings"]
    settings = Explanation.load(old, OLD / "photo.png").run.settings
    assert settings["optimiser"] == before["algorithm"]
    assert settings["shown_with"] == before["evidence"]
    new = {"optimiser", "shown_with", "retries"}
    assert settings.keys() == before.keys() - {"algorithm", "evidence"} | new
    assert settings["retries"] == []


def test_format_1_is_saved_again_in_the_format_of_today(old, tmp_path):
    explanation = Explanation.load(old, OLD / "photo.png")
    again = explanation.save(tmp_path / "again")
    assert read_manifest(again)["format"] == FORMAT
    assert torch.equal(Explanation.load(again).mask, explanation.mask)
    assert Explanation.load(again).manifest() == explanation.manifest()


def test_what_is_saved_states_its_format(explanation, tmp_path):
    folder = explanation.save(tmp_path / "saved")
    assert json.loads((folder / "explanation.json").read_text(encoding="utf-8"))["format"] == FORMAT == 2


@pytest.mark.parametrize("version", [0, FORMAT + 1, "2", None, []])
def test_an_unknown_format_is_refused(old, version):
    manifest = json.loads((old / "explanation.json").read_text(encoding="utf-8"))
    (old / "explanation.json").write_text(json.dumps({**manifest, "format": version}), encoding="utf-8")
    with pytest.raises(UnseeError, match=f"reads formats 1 to {FORMAT}: update unsee") as error:
        Explanation.load(old, OLD / "photo.png")
    assert "\n" not in str(error.value)


def test_loading_saving_and_showing_import_nothing_above_an_explanation(tmp_path):
    script = f"""
import sys, unsee
explanation = unsee.Explanation.load({str(OLD / "saved")!r}, {str(OLD / "photo.png")!r})
assert "matplotlib" not in sys.modules
explanation.save({str(tmp_path / "saved")!r})
explanation._repr_html_()
explanation.show()
above = ("cli", "figures", "experiments", "runs", "metrics", "masks", "saliency", "models", "datasets")
print(*(name for name in sys.modules if name.startswith(tuple(f"unsee.{{part}}" for part in above))))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")
