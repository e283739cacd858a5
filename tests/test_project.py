"""The project's files agree with one another: locks, environments, README, licence, hooks."""

import ast
import json
import re
import socket
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-test.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def locked(*names: str) -> dict[str, Requirement]:
    """Requirements of lock files, by their normalised names."""
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)
    requirements = [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]
    assert len({canonicalize_name(r.name) for r in requirements}) == len(requirements), "a package is locked twice"
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def readme_map() -> set[str]:
    """Units that README's module map names: the first cell of each row of its table."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Module map")[1].split("\n## ")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    return {name.rstrip("/").removesuffix(".py") for cell in first_cells for name in re.findall(r"`([\w/.]+)`", cell)}


def test_lock_has_exact_versions_only():
    for requirement in locked(*LOCKS).values():
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), requirement  # no ranges, no +cpu, no hashes


def test_lock_pins_torch():
    assert str(locked("requirements.lock")["torch"]) == "torch==2.13.0"


@pytest.mark.parametrize(
    ("extras", "locks"), [((), LOCKS[:1]), (("samples", "fast", "course"), LOCKS[:1]), (("test", "dev"), LOCKS)]
)
def test_lock_satisfies_what_the_package_asks_for(extras, locks):
    lines = PROJECT["dependencies"] if not extras else sum((PROJECT["optional-dependencies"][e] for e in extras), [])
    lock = locked(*locks)
    for asked in map(Requirement, lines):
        pinned = lock[canonicalize_name(asked.name)]
        assert asked.specifier.contains(str(pinned.specifier).removeprefix("==")), (asked, pinned)
        assert str(pinned.marker) == str(asked.marker), (asked, pinned)


@pytest.mark.parametrize(
    ("platform", "machine", "expected"),
    [
        ("linux", "x86_64", "decord"),
        ("win32", "AMD64", "decord"),
        ("darwin", "arm64", "decord2"),
        ("darwin", "x86_64", "decord2"),
        ("linux", "aarch64", "decord2"),
        ("win32", "ARM64", "decord2"),
    ],
)
def test_lock_names_one_decoder_for_every_platform(platform, machine, expected):
    lock = locked("requirements.lock")
    where = {"sys_platform": platform, "platform_machine": machine}
    assert [name for name in ("decord", "decord2") if lock[name].marker.evaluate(where)] == [expected]


def test_environment_installs_the_lock_when_it_is_the_projects_own():
    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("runs in another environment than .venv")
    for name, requirement in locked(*LOCKS).items():
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(version(name)), name


def test_conda_environment_equals_the_lock():
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    python, *_ = dependencies
    assert python.startswith("python" + PROJECT["requires-python"])
    assert dependencies[1:] == ["pip", {"pip": ["-r requirements.lock", "-e ."]}]


def test_readme_map_names_exactly_the_modules_that_exist():
    folder = ROOT / "diffret_core"
    existing = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    assert readme_map() == existing - {"__init__", "__main__", "diffret_core"}


def test_readme_links_lead_somewhere():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_readme_says_what_the_shipped_model_gains():
    """A new model brings new numbers; the sentence must not stay behind."""
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    said = re.search(r"finds (\S+) more of 100 videos for their sentences and (\S+) more sentences", text)
    assert said is not None
    results = json.loads((ROOT / "data_samples" / "model" / "results.json").read_text(encoding="utf-8"))["test"]
    gains = [results[direction]["combined"]["R@1_gain"] for direction in ("text_to_video", "video_to_text")]
    assert [float(number) for number in said.groups()] == [round(gain, 1) for gain in gains]


def test_make_alone_lists_every_target():
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1].split()
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make ([\w-]+) ", listed, re.MULTILINE) == targets


def test_ci_ends_with_all_tests():
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().splitlines()[-1] == "make test-all"


def test_all_tests_are_those_of_make_test_and_the_solved_notebooks():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\ntest-all:" in makefile
    assert '$(pytest) -m "solutions or not solutions" $(TEST_ARGS)' in makefile


def test_pre_commit_hooks_are_local():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {repository["repo"] for repository in hooks["repos"]} == {"local"}


def test_version_and_licence_are_stated_alike():
    tree = ast.parse((ROOT / "diffret_core" / "__init__.py").read_text(encoding="utf-8"))
    stated = next(ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == stated
    assert f"## {stated}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_jupyterlab_is_started_without_news():
    overrides = json.loads((ROOT / "tools/jupyter_lab_settings/overrides.json").read_text(encoding="utf-8"))
    assert overrides["@jupyterlab/apputils-extension:notification"] == {"fetchNews": "false", "checkForUpdates": False}


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.org"])
def test_tests_reach_no_other_machine(host):
    with pytest.raises(RuntimeError, match="tests use no network"):
        socket.create_connection((host, 80), timeout=1)


def test_tests_reach_this_machine():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), timeout=5):
        pass


REACH = "import socket; socket.create_connection(({host!r}, {port}), timeout=1).close()"


def test_programs_that_tests_start_reach_no_other_machine():
    code = REACH.format(host="192.0.2.1", port=80)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "RuntimeError: a test tried to reach 192.0.2.1: tests use no network"


def test_notebook_kernels_reach_this_machine_and_no_other(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = REACH.format(host="127.0.0.1", port=server.getsockname()[1])
        there = REACH.format(host="example.org", port=80)
        content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(here), nbformat.v4.new_code_cell(there)])
        with pytest.raises(CellExecutionError, match="tried to reach example.org: tests use no network"):
            NotebookClient(content, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert [cell.execution_count for cell in content.cells] == [1, 2]  # it was the second cell that failed
