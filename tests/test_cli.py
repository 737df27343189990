"""The command line as a whole: faults, lists, help, processes."""

import io
import os
import re
import subprocess
import sys

import pytest
import torch
import typer
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import squeezenet1_1

import unsee
from command_line import FILES, in_a_process, strict
from unsee.classifier import Classifier
from unsee.cli import app
from unsee.masks import PRESETS
from unsee.models import names


class TestFaults:
    @pytest.fixture
    def broken(self, run, use):
        def load(*rest):
            raise RuntimeError("[red]boom[/bold]\nin two lines")

        use(load)
        return run

    def test_one_line_and_exit_code_1(self, broken, make_photo):
        result = broken("explain", make_photo())
        assert (result.code, result.out) == (1, "")
        assert "Traceback" not in result.err
        (line,) = result.err.strip().splitlines()
        assert "a fault in unsee: RuntimeError: [red]boom[/bold] in two lines" in line
        assert "--debug" in line

    @pytest.mark.parametrize("place", ["before", "after", "last"])
    def test_debug_shows_where(self, broken, make_photo, place):
        photo = make_photo()
        arguments = {
            "before": ("--debug", "explain", photo),
            "after": ("explain", "--debug", photo),
            "last": ("explain", photo, "--debug"),
        }
        result = broken(*arguments[place])
        assert (result.code, result.out) == (1, "")
        assert "Traceback (most recent call last)" in result.err
        assert "in load" in result.err
        assert "a fault in unsee" in result.err

    def test_debug_shows_where_a_user_error_was_raised(self, explain, make_photo):
        result = explain(make_photo(), "--preset", "none", "--debug")
        assert result.code == 2
        assert "Traceback (most recent call last)" in result.err
        assert "unsee: no preset is called 'none'" in result.err

    def test_debug_changes_nothing_else(self, explain, make_photo):
        result = explain(make_photo(), "--debug", "--json")
        assert result.code == 0
        assert len(strict(result.out)) == 1
        assert "Traceback" not in result.err


class TestLists:
    def test_presets(self, run):
        result = run("presets")
        assert (result.code, result.err) == (0, "")
        for name, preset in PRESETS.items():
            assert name in result.out
            assert preset.source in result.out

    def test_presets_as_json(self, run):
        listed = strict(run("presets", "--json").out)
        assert list(listed) == list(PRESETS)
        assert listed["paper"]["optimiser"]["iterations"] == 300
        assert all(preset["source"] for preset in listed.values())

    def test_models(self, run):
        result = run("models")
        assert (result.code, result.err) == (0, "")
        lines, found = result.out.splitlines(), strict(run("models", "--json").out)
        patterns = list(found["families"])
        assert [line.split("  ")[0] for line in lines[: len(patterns)]] == patterns
        assert {"timm:NAME", "hf:NAME|DIR", "onnx:FILE", "python:MODULE:FUNCTION"} < set(patterns)
        assert lines[len(patterns) :] == found["names"] == names()

    def test_version(self, run):
        result = run("--version")
        assert (result.code, result.out, result.err) == (0, f"unsee {unsee.__version__}\n", "")

    @pytest.mark.parametrize("arguments", [("no-such-command",), ("--no-such-option",), ("models", "extra")])
    def test_unknown_commands(self, run, arguments):
        result = run(*arguments)
        assert (result.code, result.out) == (2, "")
        assert "Traceback" not in result.err


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


class TestHelp:
    commands = typer.main.get_command(app).commands

    def test_lists_every_command_with_what_it_does(self, run):
        result = run("--help")
        assert (result.code, result.err) == (0, "")
        for name, command in self.commands.items():
            assert re.search(rf"\b{name}\b +\S+", plain(result.out)), name
            assert command.help, name
        assert "--version" in plain(result.out)
        assert "--debug" in plain(result.out)
        assert run("-h").out == result.out

    def test_without_a_command_it_helps(self, run):
        assert "explain" in plain(run().out)

    @pytest.mark.parametrize("name", sorted(commands))
    def test_each_command_explains_every_option(self, run, name):
        text = plain(run(name, "--help").out)
        for parameter in self.commands[name].params:
            assert parameter.help, parameter.name
            shown = parameter.opts if parameter.param_type_name == "option" else [parameter.metavar]
            for option in shown:
                assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), option
            for word in (*parameter.help.split()[:1], *parameter.help.split()[-1:]):
                assert word in text, (parameter.name, word)
            if isinstance(parameter.show_default, str):
                assert parameter.show_default.split()[0] in text

    def test_the_options_of_explain_are_the_promised_ones(self):
        options = {option for parameter in self.commands["explain"].params for option in parameter.opts}
        assert options >= {
            *("--model", "--weights", "--target", "--preset", "--game", "--perturbation", "--iterations"),
            *("--seed", "--batch-size", "--device", "--out", "--force", "--json"),
        }
        assert set(self.commands) >= {"explain", "interrogate", "presets", "models"}

    @pytest.mark.parametrize(
        "arguments", [("--help",), ("explain", "--help"), ("interrogate", "--help"), ("--version",)]
    )
    def test_needs_no_torch(self, arguments):
        block = "import sys\nfor name in ('torch', 'torchvision', 'matplotlib', 'numpy', 'PIL'):"
        result = in_a_process(*arguments, before=f"{block}\n    sys.modules[name] = None")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.strip()


class TestProcesses:
    def test_explain_with_a_weight_file(self, make_photo, tmp_path):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            save_file(squeezenet1_1(num_classes=6).state_dict(), tmp_path / "w.safetensors")
        photo = make_photo()
        network = ("--model", "torchvision:squeezenet1_1", "--weights", "w.safetensors", "--device", "cpu")
        options = ("--iterations", 2, "--preset", "pytorch-port", "--json")
        done = in_a_process("explain", photo, *network, *options, cwd=tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False)
        (record,) = strict(done.stdout)
        assert record["model"] == "torchvision:squeezenet1_1"
        assert len(record["weights_sha256"]) == 64
        folder = tmp_path / "explanations" / "photo"
        assert {path.name for path in folder.iterdir()} == FILES
        with Image.open(folder / "figure.png") as figure:
            assert min(figure.size) > 200

    @pytest.mark.parametrize("arguments", [("presets",), ("--help",)])
    def test_a_closed_pipe_is_not_a_fault(self, arguments):
        reading, writing = os.pipe()
        os.close(reading)
        script = "import sys; sys.argv[0] = 'unsee'; from unsee.cli import main; main()"
        with open(writing, "wb") as pipe:  # noqa: PTH123
            done = subprocess.run(
                [sys.executable, "-c", script, *arguments],
                stdout=pipe,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.stderr == ""
        assert done.returncode in (0, 1, 141)

    def test_an_output_that_knows_no_unicode(self, run, use, make_photo, monkeypatch, make_net):
        """As with LC_ALL set to a Latin locale, or an old Windows console."""
        odd = Classifier(make_net(2), size=(32, 32), class_names=("犬", "猫"), name="odd")
        use(lambda name, weights, device: odd)
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1", write_through=True))
        result = run("explain", make_photo(), "--iterations", 1, "--json")
        assert result.code == 0
        (record,) = strict(raw.getvalue().decode("latin-1"))
        assert record["target"]["name"] in ("犬", "猫")
