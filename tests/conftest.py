"""Fixtures that several test files share.

Nothing of `unsee` is imported while this file loads: shapes are checked by a hook that is not there yet.
"""

import multiprocessing
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image
from torch import nn

os.environ.setdefault("MPLBACKEND", "Agg")
torch.set_num_threads(1)  # the networks are small: a second thread mostly waits
settings.register_profile("unsee", deadline=None)
settings.load_profile("unsee")

ASSETS = "UNSEE_ASSETS"
NAMES = ("ant", "bee", "cat", "tiger cat", "dog")


def pytest_runtest_setup(item):
    if item.get_closest_marker("assets") and not os.environ.get(ASSETS):
        pytest.skip(f"needs real weights and photos: set {ASSETS} to the folder that holds them")


@pytest.fixture
def assets(request):
    """The folder of real weights and photos, for tests marked `assets`."""
    if request.node.get_closest_marker("assets") is None:
        pytest.fail("a test that uses the fixture 'assets' needs the marker of the same name", pytrace=False)
    folder = Path(os.environ[ASSETS])
    if not folder.is_dir():
        pytest.fail(f"{ASSETS} names {folder}, which is no folder", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def make_net():
    """Makes a small network of random weights; the same arguments give the same network."""

    def make(classes=5, seed=0, batch_norm=False):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            norm = [nn.BatchNorm2d(8)] if batch_norm else []
            net = nn.Sequential(
                nn.Conv2d(3, 8, 5, padding=2), *norm, nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()
            )
            net.append(nn.Linear(8 * 16, classes))
            with torch.no_grad():
                net[-1].weight.mul_(8)
        return net.eval()

    return make


@pytest.fixture
def classifier(make_net):
    """A small named network that takes 32x32 pixels."""
    from unsee.classifier import Classifier

    return Classifier(make_net(), size=(32, 32), class_names=NAMES, name="tiny")


@pytest.fixture(scope="session")
def make_pixels():
    """Makes (h, w, 3) uint8 pixels: a ramp of colour with a patch of stripes in it."""

    def make(height=40, width=56, seed=0):
        rng = np.random.default_rng(seed)
        rows, columns = np.mgrid[0:height, 0:width]
        ramp = np.stack([rows * 255 / height, columns * 255 / width, 0 * rows + 60], axis=-1)
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        patch = ramp[top : top + height // 2, left : left + width // 2]
        patch[:] = rng.integers(0, 256, patch.shape)
        return ramp.astype(np.uint8)

    return make


@pytest.fixture
def make_photo(make_pixels, tmp_path):
    """Writes a photo into the test's folder and returns its path."""

    def make(name="photo.png", height=40, width=56, seed=0):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(make_pixels(height, width, seed)).save(path, format="PNG")
        return path

    return make


@pytest.fixture(scope="session")
def explanation(make_net, make_pixels, tmp_path_factory):
    """One finished explanation of a photo in a file; frozen, so all tests share it."""
    from unsee.classifier import Classifier
    from unsee.masks import explain

    path = tmp_path_factory.mktemp("photos") / "photo.png"
    Image.fromarray(make_pixels()).save(path)
    classifier = Classifier(make_net(), size=(32, 32), class_names=NAMES, name="tiny")
    return explain(classifier, path, preset="paper", iterations=6)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs the command line in the test's folder; gives exit code, standard output and standard error."""
    from unsee.cli import main
    from unsee.cli.console import CONSOLE

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(CONSOLE, "width", 200)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["unsee", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture(scope="session")
def server():
    """Starts processes that have loaded torch already, so that they can be killed soon after their start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "pictures", "unsee.runs.learn"])
    return context


@pytest.fixture(scope="session")
def undisturbed(server, tmp_path_factory):
    """The folder of a small run that nothing disturbed, to be copied."""
    from small_runs import finished

    folder = tmp_path_factory.mktemp("stores") / "undisturbed"
    finished(server, folder)
    return folder


@pytest.fixture(scope="session")
def whole(undisturbed):
    """The content of that run."""
    from pictures import content
    from unsee.runs.store import Store

    return content(Store.open(undisturbed))


@pytest.fixture
def use(monkeypatch):
    """Puts a function in the place of `unsee.load` on the command line, and keeps figures cheap."""

    def save(figure, path):
        Image.new("RGB", (3, 1)).save(path, format="PNG")

    def use(load):
        monkeypatch.setattr("unsee.cli.parsing.load", load)
        monkeypatch.setattr("unsee.models.saved.load", load)
        monkeypatch.setattr("unsee.drawing.panels.save", save)

    return use


@pytest.fixture
def tiny(make_net, use):
    """Lets `--model` name small networks; gives what was asked for."""
    from unsee.classifier import Classifier
    from unsee.errors import UnseeError

    asked = []
    sizes = {"tiny": 5, "tiny3": 3, "unsee:efficientnet-lite0": 5}

    def load(name, weights=None, device="auto", score=None):
        asked.append(SimpleNamespace(name=name, weights=weights, device=device))
        if name not in sizes:
            raise UnseeError(f"no model is called {name!r}")
        classes = sizes[name]
        return Classifier(
            make_net(classes), size=(32, 32), class_names=NAMES[:classes], name=name, score=score
        )

    use(load)
    return asked


@pytest.fixture
def explain(run, tiny):
    """Runs `unsee explain` with a small network and two iterations."""
    return lambda *arguments: run("explain", "--model", "tiny", "--iterations", 2, *arguments)


@pytest.fixture
def interrogate(run, tiny):
    """Runs `unsee interrogate` with a small network."""
    return lambda *arguments: run("interrogate", "--model", "tiny", *arguments)


@pytest.fixture
def batches(monkeypatch):
    """Notes how many photos are taken up at a time; `batches.before` is called before each time."""
    photos = sys.modules["unsee.masks.photos"]
    learn_each = photos.learn_each

    class Batches(list):
        before = staticmethod(lambda: None)

    taken = Batches()

    def counting(classifier, take, *rest):
        def counted(places):
            taken.before()
            batch = take(places)
            taken.extend([len(batch)] if batch else [])
            return batch

        return learn_each(classifier, counted, *rest)

    monkeypatch.setattr(photos, "learn_each", counting)
    return taken
