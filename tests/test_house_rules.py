"""Rules of this house that a machine can check."""

import ast
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import typer

import unsee
from unsee.cli import app

ROOT = Path(__file__).parents[1]
SOURCE = Path(unsee.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
TREES = {file.relative_to(SOURCE).as_posix(): ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTS = {
    file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")
    for file in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
}
EXAMPLES = [
    pytest.param(ast.parse(block), id=f"{name}-{number}")
    for name, text in DOCUMENTS.items()
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
]


def functions():
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, FUNCTIONS):
                yield name, node


def imported(tree):
    """The top-level packages that a file imports, at any level and under any name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in (
            *("import_module", "__import__"),
        ):
            yield from (str(part.value).split(".")[0] for part in node.args if isinstance(part, ast.Constant))


def test_the_source_is_found():
    assert {"__init__.py", "cli/app.py", "masks/loop.py", "drawing/panels.py"} <= TREES.keys()


def test_one_optimisation_loop_learns_masks():
    """`training` trains networks; every other optimiser is driven by the one loop."""
    steps = [
        (name, ast.unparse(node.func))
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("step", "ask", "tell")
        and name.startswith(("masks/", "runs/", "experiments/", "saliency/", "training/"))
    ]
    assert {step for step in steps if not step[0].startswith("training/")} == {
        ("masks/loop.py", "optimiser.ask"),
        ("masks/loop.py", "optimiser.tell"),
    }


def test_only_drawing_and_figures_import_matplotlib():
    users = {name for name, tree in TREES.items() if "matplotlib" in set(imported(tree))}
    assert users
    assert {name for name in users if not name.startswith(("drawing/", "figures/"))} == set()


def test_nothing_imports_tests_or_development_tools():
    tools = {
        "pytest",
        "hypothesis",
        "beartype",
        "mypy",
        "ruff",
        "scipy",
        "tests",
        "setuptools",
        "pkg_resources",
    }
    assert {
        name: tools & set(imported(tree)) for name, tree in TREES.items() if tools & set(imported(tree))
    } == {}


def test_only_declared_packages_are_imported():
    """Those of the extra `data` only by runs, and by the commands that read what runs have kept."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = modules_of(project["dependencies"])
    data = modules_of(project["optional-dependencies"]["data"])
    foreign = {
        (name, module)
        for name, tree in TREES.items()
        for module in imported(tree)
        if module not in sys.stdlib_module_names and module not in ("unsee", "")
    }
    assert {pair for pair in foreign if pair[1] not in core | data} == set()
    users = {name for name, module in foreign if module not in core}
    assert users
    assert {name for name in users if not name.startswith("runs/")} == set()


def modules_of(requirements):
    names = {name.split(">")[0].split("[")[0].strip().lower() for name in requirements}
    return {{"pillow": "PIL", "scikit-image": "skimage"}.get(name, name) for name in names}


def test_no_keyword_catch_alls():
    caught = [f"{name}:{node.lineno} {node.name}" for name, node in functions() if node.args.kwarg]
    assert caught == []


def test_files_are_short():
    lengths = {name: len((SOURCE / name).read_text(encoding="utf-8").splitlines()) for name in TREES}
    assert {name: length for name, length in lengths.items() if length > 320} == {}


def code_lines(node):
    """Lines of a function without its signature and docstring."""
    body = node.body[1:] if ast.get_docstring(node) and node.body[1:] else node.body
    return node.end_lineno - body[0].lineno + 1


def test_functions_are_short():
    lengths = {f"{name}:{node.lineno} {node.name}": code_lines(node) for name, node in functions()}
    assert {name: length for name, length in lengths.items() if length > 50} == {}


def public(name, node, inside=""):
    """Every public class, function and method that a reader can reach."""
    for part in node.body:
        if isinstance(part, (ast.ClassDef, *FUNCTIONS)) and not part.name.startswith("_"):
            yield f"{name}:{part.lineno} {inside}{part.name}", part
            if isinstance(part, ast.ClassDef):
                yield from public(name, part, f"{part.name}.")


def test_everything_public_has_a_docstring():
    found = [pair for name, tree in TREES.items() for pair in public(name, tree)]
    assert len(found) > 50
    assert [place for place, node in found if not ast.get_docstring(node)] == []
    assert [name for name, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_the_public_face_is_whole():
    for name in unsee.__all__:
        assert getattr(unsee, name) is not None
    assert set(dir(unsee)) == set(unsee.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        unsee.nothing  # noqa: B018
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == unsee.__version__


@pytest.mark.parametrize("command", sorted(typer.main.get_command(app).commands))
def test_the_readme_shows_every_command(command):
    assert f"unsee {command}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_names_every_public_name_it_is_about():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("unsee.load", "unsee.explain", "unsee.Classifier", "--weights", "--json", "--force"):
        assert name in text, name


def links_in(text):
    """The targets of links to files, without anchors; code is left out."""
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(([^)\s]+)\)", prose)
    return [target.partition("#")[0] for target in targets if not re.match(r"\w+:|#", target)]


def test_links_of_documents_lead_to_files():
    links = [(name, target) for name, text in DOCUMENTS.items() for target in links_in(text)]
    assert ("README.md", "CONTRIBUTING.md") in links
    assert [
        (name, target) for name, target in links if not (ROOT / name).parent.joinpath(target).exists()
    ] == []


def test_paths_in_contributing_exist():
    """In its tables a path is given from the root, from the package, or from the first path of its row."""
    lost, seen = [], set()
    for row in DOCUMENTS["CONTRIBUTING.md"].splitlines():
        paths = re.findall(r"`([\w./]+(?:\.py|/))`", row) if row.startswith("|") else []
        bases = [ROOT, SOURCE, *((base / path).parent for base in (ROOT, SOURCE) for path in paths[:1])]
        bases += [base / path for base in (ROOT, SOURCE) for path in paths[:1]]
        seen.update(paths)
        lost += [path for path in paths if not any((base / path).exists() for base in bases)]
    assert {"src/unsee/images.py", "masks/loop.py", "penalties.py", "engines/"} <= seen
    assert lost == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_use_names_that_exist(example):
    for node in ast.walk(example):
        if isinstance(node, ast.Import):
            for alias in node.names:
                import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "unsee":
            assert hasattr(unsee, node.attr), f"unsee.{node.attr}"


def test_tests_and_documents_hold_no_absolute_paths():
    """A path of one machine is of no use on another."""
    homes = tuple(f"/{folder}/" for folder in ("home", "root", "work", "Users"))
    files = [*ROOT.glob("tests/*.py"), *FILES]
    texts = DOCUMENTS | {file.name: file.read_text(encoding="utf-8") for file in files}
    found = [f"{name}: {home}" for name, text in texts.items() for home in homes if home in text]
    assert found == []


class TestAssetsMarker:
    """What `conftest.py` does with tests that need real weights."""

    @pytest.fixture
    def conftest(self, request):
        return request.config.pluginmanager.get_plugin(str(Path(__file__).with_name("conftest.py")))

    def test_without_the_variable_they_are_skipped_with_a_reason(self, conftest, monkeypatch):
        marked = SimpleNamespace(get_closest_marker=lambda name: name == "assets")
        monkeypatch.delenv("UNSEE_ASSETS", raising=False)
        with pytest.raises(pytest.skip.Exception, match="set UNSEE_ASSETS"):
            conftest.pytest_runtest_setup(marked)
        monkeypatch.setenv("UNSEE_ASSETS", "somewhere")
        assert conftest.pytest_runtest_setup(marked) is None

    def test_others_run_without_it(self, conftest, monkeypatch):
        monkeypatch.delenv("UNSEE_ASSETS", raising=False)
        assert conftest.pytest_runtest_setup(SimpleNamespace(get_closest_marker=lambda name: None)) is None

    def test_the_fixture_wants_the_marker(self, request):
        with pytest.raises(pytest.fail.Exception, match="needs the marker"):
            request.getfixturevalue("assets")

    @pytest.mark.assets
    def test_the_fixture_gives_the_folder(self, assets):
        assert (assets / "weights").is_dir()

    def test_torch_keeps_to_one_thread(self):
        assert torch.get_num_threads() == 1


def test_import_contracts_name_every_module():
    contracts = {
        one["id"]: one
        for one in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
            "importlinter"
        ]["contracts"]
    }
    own = {f"unsee.{name.partition('/')[0].removesuffix('.py')}" for name in TREES} - {"unsee.__init__"}
    layered = {name.strip() for line in contracts["layers"]["layers"] for name in line.split("|")}
    assert layered == own
    assert {*contracts["matplotlib"]["source_modules"], "unsee.drawing", "unsee.figures"} == own
