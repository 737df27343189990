"""Models that are served: right scores or one clear line, and nothing asked twice."""

import copy
import json
import pickle
import time
from importlib import import_module

import numpy as np
import pytest
import torch

import unsee
from checks import one_line
from command_line import refused, strict
from served_models import CLASSES, SIZE, Server, explained, model
from unsee.errors import UnseeError
from unsee.models import load

PLAIN = "mean = 0\nstd = 1\nbackoff = 0.01\n"
JSON = (
    'format = "json"\nscores = "predictions.*.scores"\nsize = 16\nrequest = {instances = "$images"}\n' + PLAIN
)


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """A cache of its own, and no proxy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def serve():
    """Starts a server, and ends it with the test."""
    running = []

    def start(**options):
        running.append(Server(**options).__enter__())
        return running[-1]

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture
def served(tmp_path):
    """Loads the model of a server by a service file of some lines."""

    def make(server, lines="", path="/v2/models/tiny", base=PLAIN, **options):
        file = tmp_path / "service.toml"
        file.write_text(lines + "\n" + base)
        return load(server.at + path, device="cpu", service=file, **options)

    return make


def images(count=3, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return (torch.rand(count, 3, SIZE, SIZE, generator=draws) * 255).round() / 255


def same(found, given, tolerance=1e-5):
    expected = torch.from_numpy(model(given.numpy())).softmax(1)
    return torch.allclose(found.probabilities(given), expected, atol=tolerance)


def line_of(call):
    with pytest.raises(UnseeError) as error:
        call()
    return one_line(error)


def every_fifth(what):
    return lambda number: what if number % 5 == 0 else None


class TestFormats:
    @pytest.mark.parametrize("lines", ["", "binary = true", "batch = 2", 'output = "logits"'])
    def test_kserve(self, serve, served, lines):
        server = serve()
        found = served(server, lines)
        assert (found.size, found.channels) == ((SIZE, SIZE), 3)
        assert same(found, images(7))
        assert max(server.batches) == (2 if "batch" in lines else 7)

    def test_kserve_in_whole_numbers_and_channels_last(self, serve, served):
        server = serve()
        server.metadata["inputs"][0] |= {"datatype": "UINT8", "shape": [1, SIZE, SIZE, 3]}
        found = served(server, base="backoff = 0.01")
        assert same(found, images(4))
        assert max(server.batches) == 1
        assert found.color == (0.5,) * 3
        assert "whole numbers" in line_of(lambda: served(server, "mean = 0\nstd = 1", base=""))

    def test_kserve_told_by_the_file(self, serve, served):
        server = serve()
        server.metadata["inputs"][0]["name"] = "other"
        assert same(served(server, 'input = "other"\nsize = 16'), images())

    @pytest.mark.parametrize("kind", ["png", "jpeg"])
    def test_torchserve_takes_files(self, serve, served, kind):
        names = ", ".join(f'"{name}"' for name in reversed(CLASSES))
        server = serve()
        found = served(
            server,
            f'image = "{kind}"\nsize = 16\nclass_names = [{names}]',
            "/predictions/tiny",
            "backoff = 0.01",
        )
        flat = images(2).mean((2, 3), keepdim=True).mul(255).round().div(255).expand(2, 3, SIZE, SIZE)
        scores = torch.from_numpy(model(flat.numpy())).flip(1).softmax(1)
        assert torch.allclose(found.probabilities(flat), scores, atol=1e-5 if kind == "png" else 2e-2)

    def test_json_of_numbers_and_of_pictures(self, serve, served):
        server = serve()
        assert same(served(server, path="/own", base=JSON), images(5))
        assert server.batches == [1, 1, 1, 2, 5]
        lines = 'format = "json"\nimage = "png"\nscores = "predictions.0.scores"\nsize = 16\n[request]\n'
        lines += 'url = "data:image/png;base64,$image"'
        found = served(server, base=lines, path="/own")
        assert same(found, images(2, seed=1))

    def test_the_proxy_of_the_environment(self, serve, served, monkeypatch):
        server = serve()
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", server.at)
        server.at = "http://model.invalid"
        assert same(served(server), images())
        assert {each["Host"] for each in server.headers} == {"model.invalid"}


class TestFailures:
    @pytest.mark.parametrize(
        "what",
        [(503, b"busy"), (429, b"slow down", {"Retry-After": "0"}), (502, b""), "drop"],
        ids=["503", "429", "502", "drop"],
    )
    def test_that_pass(self, serve, served, what):
        server = serve(fails=every_fifth(what))
        found = served(server, "batch = 1\nconcurrency = 2")
        assert same(found, images(12))
        assert server.questions > len(server.batches)
        assert server.repeated == 1  # a probe image, asked again to see whether the answers stay

    def test_retry_after_is_waited_for(self, serve, served):
        server = serve(fails=lambda number: (429, b"", {"Retry-After": "1"}) if number == 2 else None)
        assert served(server).reading.classes == 5
        assert server.times[2] - server.times[1] > 0.95
        server.fails = lambda _: (429, b"", {"Retry-After": "9999"})
        assert "9999 s" in line_of(lambda: served(server).probabilities(images(1)))

    @pytest.mark.parametrize(
        ("what", "part"),
        [
            ((400, b'{"error": "no such input"}'), "answered 400 (no such input): check format"),
            ((500, b"trace\nback"), "answered 500 (trace back)"),
            ((404, b""), "answered 404: check the address"),
            ((302, b"", {"Location": "http://else/"}), "has moved to http://else/"),
            (b"<html>hello</html>", "gave no JSON, but '<html>hello</html>'"),
            (b"[1, 2]", "gave no outputs, but [1, 2]"),
            (b'{"outputs": []}', "output ="),
            (b'{"outputs": [{"name": "a", "shape": [1, 2], "data": [1.0]}]}', "gave 1 numbers"),
            (b'{"outputs": [{"name": "a", "shape": [1, 2], "data": [1.0, null]}]}', "None"),
            (b'{"outputs": [{"name": "a", "shape": [1, 2], "data": ["a", "b"]}]}', "where the scores"),
            (b'{"outputs": [{"name": "a", "shape": [1, 2], "data": [1.0, NaN]}]}', "not finite (nan)"),
            (b'{"outputs": [{"name": "a", "shape": [1, 2], "data": [1e99, 1]}]}', "not finite (1e+99)"),
            (
                b'{"outputs": [{"name": "a", "shape": [3, 2], "data": [1, 2, 3, 4, 5, 6]}]}',
                "(3, 2) for 1 image",
            ),
        ],
    )
    def test_that_are_the_last_word(self, serve, served, what, part):
        server = serve(fails=lambda _: what)
        found = served(server)
        assert part in line_of(lambda: found.probabilities(images(1)))
        assert server.questions == 1
        server.fails = lambda _: None
        assert same(found, images(1))

    def test_after_the_last_retry(self, serve, served):
        server = serve(fails=lambda _: (503, b"down"))
        line = line_of(lambda: served(server, "retries = 2").reading)
        assert "failed 3 times, the last time it answered 503 (down)" in line
        assert server.questions == 3

    def test_no_server(self, serve, served):
        with Server() as gone:
            pass
        assert "failed 2 times" in line_of(lambda: served(gone, "retries = 1"))

    def test_a_slow_server(self, serve, served):
        server = serve(delay=0.5)
        assert "no answer in 0.1 s" in line_of(lambda: served(server, "timeout = 0.1\nretries = 1").reading)

    def test_the_wrong_number_of_rows(self, serve, served):
        server = serve(scores=lambda _, rows: rows[:-1] if len(rows) > 1 else rows)
        found = served(server)
        assert found.reading.alone  # pairs cannot be asked, so images go one by one
        assert same(found, images(2))
        server = serve(scores=lambda number, rows: rows[:, :4] if number > 5 else rows)
        found = served(server, "batch = 1")
        assert found.reading.classes == 5
        assert "another number" in line_of(lambda: found.probabilities(images(6)))

    def test_names_that_do_not_fit(self, serve, served):
        server = serve()
        options = {"path": "/predictions/tiny", "base": "size = 16"}
        assert "class_names" in line_of(lambda: served(server, **options).reading)
        assert "none of them" in line_of(lambda: served(server, class_names=CLASSES[:4], **options).reading)
        server.top = 3
        line = line_of(lambda: served(server, class_names=CLASSES, **options).reading)
        assert "3 classes and not of" in line

    def test_a_server_that_changes_its_mind(self, serve, served):
        server = serve(scores=lambda number, rows: rows + number)
        server.scores = lambda number, rows: rows * (1 if number < 2 else 1.5)
        assert "answers the same image otherwise" in line_of(lambda: served(server).reading)

    def test_another_model_behind_the_address(self, serve, served):
        server = serve()
        assert same(served(server), images())
        server.scores = lambda _, rows: rows * 0.9
        assert "remove what the old one answered" in line_of(lambda: served(server).reading)
        server.scores = lambda _, rows: rows[:, :3]
        assert "now 3 scores" in line_of(lambda: served(server).reading)

    def test_a_random_one_that_may(self, serve, served):
        draws = np.random.default_rng(0)
        server = serve(scores=lambda _, rows: rows + draws.normal(0, 1, rows.shape))
        found = served(server, "varies = true")
        assert found.reading.random
        assert torch.equal(found.logits(images()), found.logits(images()))


class TestTokens:
    def test_from_the_environment_and_nowhere_else(self, serve, served, monkeypatch, tmp_path):
        server = serve(token="s3cret")
        lines = 'headers = {Authorization = "Bearer ${OWN_TOKEN}"}'
        assert "environment variable OWN_TOKEN" in line_of(lambda: served(server, lines))
        monkeypatch.setenv("OWN_TOKEN", "s3cret")
        found = served(server, lines)
        assert same(found, images())
        kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert b"s3cret" not in kept + json.dumps(found.record).encode() + pickle.dumps(found)
        monkeypatch.setenv("OWN_TOKEN", "old")
        line = line_of(lambda: served(server, lines).probabilities(images(4, seed=9)))
        assert "401 (no token)" in line
        assert "old" not in line

    def test_one_in_the_request(self, served, serve, monkeypatch):
        monkeypatch.setenv("OWN_TOKEN", "s3cret")
        server = serve()
        base = JSON.replace('"$images"', '"$images", key = "${OWN_TOKEN}"')
        found = served(server, path="/own", base=base)
        assert same(found, images())
        assert "s3cret" not in json.dumps(found.record)
        assert found.record["service"]["request"]["key"] == "${OWN_TOKEN}"

    @pytest.mark.parametrize("address", ["http://me:secret@host/predictions/a", "http:///a", "http://a:b/c"])
    def test_addresses_that_are_refused(self, address):
        assert "secret" not in line_of(lambda: load(address))


class TestAskedOnce:
    def test_equal_images_and_those_of_before(self, serve, served):
        server = serve()
        found = served(server, "price = 0.5")
        assert found.reading.classes == 5
        begun = found.net.asked
        found.probabilities(images(2)[[0, 1, 0, 0]])
        found.probabilities(images(3))
        assert found.net.asked == begun + 3
        assert found.net.from_cache == 4
        assert found.account == f"asked 8 images, 4 from the cache, about {8 * 0.5:g} at 0.5 each"
        again = served(server, "price = 0.5")
        assert same(again, images(3))
        assert again.net.asked == 3  # one image, and a pair, to see whether the answers stay
        assert server.repeated == 3 + 3

    def test_another_form_is_another_question(self, serve, served):
        server = serve()
        served(server, "binary = true").probabilities(images(1))
        asked = server.questions
        served(server).probabilities(images(1))
        assert server.questions == 2 * asked

    def test_copies_count_together_and_pickles_ask_on(self, serve, served):
        found = served(serve())
        found.probabilities(images(1))
        twin, sent = copy.deepcopy(found), pickle.loads(pickle.dumps(found))
        twin.probabilities(images(2))
        assert twin.account == found.account
        assert torch.equal(sent.probabilities(images(2)), found.probabilities(images(2)))
        assert (sent.net.asked, sent.net.from_cache) == (0, 2)

    def test_the_limit(self, serve, served):
        server = serve()
        found = served(server, "most_images = 12\nbatch = 2\nconcurrency = 1")
        line = line_of(lambda: found.probabilities(images(11)))
        assert "most_images allows 12" in line
        again = served(server, "most_images = 12\nbatch = 2")
        assert same(again, images(11))
        assert server.repeated == 6

    def test_what_was_answered_is_kept_though_another_fails(self, serve, served):
        server = serve(fails=lambda number: (400, b"") if number == 9 else None)
        found = served(server, "batch = 1\nconcurrency = 3")
        assert "400" in line_of(lambda: found.probabilities(images(8)))
        assert same(found, images(8))
        assert server.repeated == 1

    def test_a_process_that_is_killed_and_goes_on(self, serve, server, served, tmp_path):
        """SIGKILL while three calls are open: all that was answered before is not asked again."""
        web = serve(stuck=17)
        lines = f'batch = 1\nconcurrency = 3\ncache = "{tmp_path / "kept"}"'
        before = served(web, lines)
        assert before.reading.alone == ""
        process = server.Process(
            target=explained, args=(web.at + "/v2/models/tiny", tmp_path / "service.toml", 4)
        )
        process.start()
        assert web.is_stuck.wait(60)
        process.join(0.3)
        process.kill()
        process.join()
        assert process.exitcode == -9
        web.released.set()
        answered, web.stuck = len(web.answered), None
        assert answered > 12
        explained(web.at + "/v2/models/tiny", tmp_path / "service.toml", 4)
        assert len(web.answered) == 4 * 6 + 2
        assert web.repeated == 3  # the first probe image, once in each of the three runs

    def test_calls_that_have_begun_are_kept_after_ctrl_c(self, serve, served, monkeypatch):
        server = serve(delay=0.2)
        found = served(server, "batch = 1\nconcurrency = 2")
        assert found.reading.classes == 5
        with monkeypatch.context() as patched:
            patched.setattr("unsee.models.served.as_completed", self.stopped)
            with pytest.raises(KeyboardInterrupt):
                found.probabilities(images(9))
        while server.busy:
            time.sleep(0.02)
        time.sleep(0.2)
        begun = len(server.answered)
        assert 2 <= begun - 2 < 9
        assert same(found, images(9))
        assert len(server.answered) == 9 + 2
        assert server.repeated == 1

    @staticmethod
    def stopped(tasks):
        time.sleep(0.05)
        raise KeyboardInterrupt

    def test_a_cache_that_is_damaged(self, serve, served, tmp_path):
        folder = tmp_path / "cache" / "unsee" / "served"
        folder.mkdir(parents=True)
        (folder / "answers.sqlite").write_bytes(b"something else" * 100)
        assert "answers.sqlite" in line_of(lambda: served(serve()))


class TestPace:
    def test_calls_at_once_and_in_a_second(self, serve, served):
        server = serve(delay=0.03)
        served(server, "batch = 1\nconcurrency = 3").probabilities(images(9))
        assert 2 <= server.busiest <= 3
        server = serve()
        served(server, "batch = 1\nrate = 50").probabilities(images(9))
        assert server.times[-1] - server.times[0] > (len(server.times) - 1) / 100


class TestFiles:
    @pytest.mark.parametrize(
        ("lines", "part"),
        [
            ('formt = "json"', "unknown key 'formt'; did you mean format?"),
            ("format = ", "cannot be read as TOML"),
            ('format = "grpc"', "must be one of kserve, torchserve, json"),
            ("retries = -1", "retries must be a whole number from 0"),
            ("timeout = 0", "timeout must be a number above 0"),
            ('size = "a"', "size cannot be"),
            ('format = "json"', "needs a [request]"),
            ('format = "json"\nrequest = {a = "$image"}\nbatch = 2', "batch = 2 needs"),
            ('image = "png"', "sends tensors"),
            ('format = "torchserve"\ninput = "a"', "are for format"),
            ('format = "torchserve"\nimage = "float32"', "png or jpeg"),
        ],
    )
    def test_that_are_refused(self, served, lines, part):
        with Server() as server:
            assert part in line_of(lambda: served(server, lines, base=""))

    def test_an_address_that_says_nothing(self, serve):
        assert "format = 'kserve', 'torchserve', 'json'" in line_of(lambda: load(f"{serve().at}/classify"))

    def test_values_that_nobody_knows(self, serve, served):
        assert "are normalised" in line_of(lambda: served(serve(), base=""))

    @pytest.mark.parametrize(
        ("change", "part"),
        [
            ({"shape": [4, 3, 16, 16]}, "exactly 4"),
            ({"shape": [-1, 768]}, "one batch of images"),
            ({"shape": [-1, -1, -1, -1]}, "layout ="),
            ({"datatype": "BYTES"}, "takes BYTES"),
            ({"datatype": None, "shape": None}, "does not say what it takes"),
        ],
    )
    def test_a_service_that_takes_something_else(self, serve, served, change, part):
        server = serve()
        server.metadata["inputs"][0] |= change
        assert part in line_of(lambda: served(server))

    def test_one_for_a_model_that_is_not_served(self):
        assert "is for served models" in line_of(lambda: load("unsee:menagerie", service="a.toml"))


class TestUse:
    @pytest.mark.parametrize("name", ["occlusion", "blur_occlusion", "variable_occlusion", "rise", "lime"])
    def test_methods_without_a_gradient(self, serve, served, name):
        options = {"rise": {"masks": 40}, "lime": {"samples": 20, "segments": 6}}.get(name, {})
        method = getattr(import_module(f"unsee.saliency.{name}"), name)
        own = unsee.BlackBox(model, size=SIZE, mean_color=0.0)
        found = method(served(serve(), "binary = true\nbatch = 64"), images(1), [1], **options)
        assert torch.allclose(found, method(own, images(1), [1], **options), atol=1e-4)

    def test_on_the_command_line(self, serve, run, tmp_path):
        server = serve()
        (tmp_path / "service.toml").write_text("binary = true\nbatch = 64\nprice = 0.002\n" + PLAIN)
        call = ("check", f"{server.at}/v2/models/tiny")
        first, again = (run(*call, "--service", "service.toml", "--json") for _ in range(2))
        assert first.code == 0
        found = strict(first.out)
        assert found["differentiable"] is False
        assert found["milliseconds"]["evaluation"] > 0
        assert {key for key, value in found["methods"].items() if value == "works"} == {"center"}
        assert "images, 1 from the cache, about" in first.err
        assert (
            "asked 6 images" in again.err
        )  # three to see whether the answers stay, three to measure the time
        assert "about 0.012 at 0.002 each" in again.err
        assert "are normalised" in refused(run(*call))

    def test_the_form_is_in_the_results(self, serve, served):
        network = served(serve(), "binary = true")
        found = {"format": "kserve", "binary": True, "input": "pixels", "layout": "NCHW"}
        assert network.record["service"] == found
