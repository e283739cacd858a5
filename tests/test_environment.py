"""tools/environment.py: what is installed when, and what is thrown away. pip is left out: it would need a network."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "environment.py"


@pytest.fixture
def setup(tmp_path, monkeypatch) -> ModuleType:
    """The script on a small project; `made` lists the environments it made, `installed` what pip was asked for."""
    spec = importlib.util.spec_from_file_location("environment", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    place(module, tmp_path)
    for name in ("requirements.lock", "requirements-test.lock", "pyproject.toml"):
        (tmp_path / name).write_text("# empty\n")
    module.made, module.installed = [], []

    def make_empty_environment(kind: str) -> None:
        module.made.append(kind)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", module.FOLDER], check=True)

    monkeypatch.setattr(module, "make_empty_environment", make_empty_environment)
    monkeypatch.setattr(module, "install", lambda arguments, what, turn: module.installed.append(arguments))
    return module


def place(module: ModuleType, root: Path) -> None:
    module.ROOT, module.FOLDER = root, root / ".venv"
    module.STAMP = module.FOLDER / "diffret-environment.json"


def run(module: ModuleType, kind: str = "lab", python_chosen: bool = False, torch_index: str = "") -> tuple[int, int]:
    """Run once; how many environments were made and how often pip was called by it."""
    module.made.clear()
    module.installed.clear()
    module.bring_up_to_date(kind, python_chosen, torch_index, turn=0)
    return len(module.made), len(module.installed)


def test_second_run_does_nothing(setup):
    assert run(setup) == (1, 2)
    assert run(setup) == (0, 0)


def test_test_tools_are_added_once(setup):
    run(setup, "lab")
    assert run(setup, "test") == (0, 2)
    assert setup.installed[0] == ["-r", "requirements.lock", "-r", "requirements-test.lock"]
    assert run(setup, "test") == run(setup, "lab") == (0, 0)


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_changed_file_is_installed_on_top(setup, name):
    run(setup)
    (setup.ROOT / name).write_text("# another\n")
    assert run(setup) == (0, 2)
    assert run(setup) == (0, 0)


def test_interrupted_installation_starts_anew(setup, monkeypatch):
    def interrupted(arguments: list, what: str, turn: int) -> None:
        raise KeyboardInterrupt

    run(setup)
    (setup.ROOT / "requirements.lock").write_text("# another\n")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(setup, "install", interrupted)
        run(setup)
    assert run(setup) == (1, 2)


def test_dead_interpreter_starts_anew(setup):
    run(setup)
    python = setup.FOLDER / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert run(setup) == (1, 2)


def test_moved_folder_starts_anew(setup, tmp_path):
    run(setup)
    (tmp_path / "moved").mkdir()
    for path in [path for path in tmp_path.iterdir() if path.name != "moved"]:
        path.rename(tmp_path / "moved" / path.name)
    place(setup, tmp_path / "moved")
    assert run(setup) == (1, 2)


def test_torch_index_is_remembered_and_another_starts_anew(setup):
    assert run(setup, torch_index="https://one/cpu") == (1, 2)
    assert setup.installed[0][:2] == ["--extra-index-url", "https://one/cpu"]
    assert run(setup) == (0, 0)
    assert run(setup, torch_index="https://two/cuda") == (1, 2)


def test_chosen_python_counts_only_when_chosen(setup, monkeypatch):
    run(setup)
    monkeypatch.setattr(setup, "python_identity", lambda: "3.9.1 /usr/bin/python3.9")
    assert run(setup) == (0, 0)
    assert run(setup, python_chosen=True) == (1, 2)


def test_old_python_is_refused_with_the_command_that_helps(setup, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    monkeypatch.setattr(setup, "newer_python", lambda: "python3.12")
    with pytest.raises(SystemExit, match=r"Python 3\.10 .* 3\.11 or newer.* make lab PYTHON=python3\.12"):
        setup.refuse_unfit_python("lab")


def test_missing_venv_module_is_answered_with_the_command_that_adds_it(setup, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else name)
    with pytest.raises(SystemExit, match=r"apt install python3\.\d+-venv"):
        setup.refuse_unfit_python("lab")
