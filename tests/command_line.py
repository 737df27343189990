"""What tests of the command line share."""

import json
import subprocess
import sys

FILES = {
    "explanation.json",
    "mask.npy",
    "mask_grid.npy",
    "mask.png",
    "heatmap.png",
    "overlay.png",
    "perturbed.png",
    "figure.png",
}
CLASSES = ("ant", "bee", "cat", "tiger cat", "dog")


def strict(text):
    """JSON without NaN and Infinity, which Python's reader lets pass."""

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def refused(result, *parts):
    """Exit code 2, nothing on standard output, one line that says what to fix."""
    assert result.code == 2
    assert result.out == ""
    assert "Traceback" not in result.err
    line = result.err.strip()
    assert line.startswith("unsee: ")
    assert "\n" not in line
    for text in parts:
        assert text in line
    return line


def contents(folder):
    """Every file of a folder with its bytes."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def in_a_process(*arguments, before="", **options):
    """The command line in a process of its own."""
    script = f"{before}\nimport sys\nsys.argv[0] = 'unsee'\nfrom unsee.cli import main\nmain()"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)
