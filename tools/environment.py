"""Make and keep the project's environment, the folder .venv at the root. Called by the Makefile.

    python3 tools/environment.py lab     the packages of requirements.lock and this project
    python3 tools/environment.py test    the same, and those of requirements-test.lock

A stamp inside .venv is written only after everything is installed. It records what was installed and from where:
a matching stamp means nothing to do, a changed lock is installed on top, and an environment without a stamp (an
interrupted installation), moved, or whose Python is gone is thrown away and made again.

Only the standard library, and syntax that old Pythons read, so that they get an explanation and not a traceback.
"""

import argparse
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"
STAMP = FOLDER / "diffret-environment.json"
LOCKS = {"lab": ["requirements.lock"], "test": ["requirements.lock", "requirements-test.lock"]}
OLDEST_PYTHON = (3, 11)
SIZES = """\
Setting up .venv. With a CPU build of torch: 0.5 GB to download, 1.8 GB on disk. With the CUDA build, which is what
Linux gets unless TORCH_INDEX names another index: 3.0 GB to download, 5.7 GB on disk. The tools of `make test` add
0.1 GB and 0.4 GB. It takes one to several minutes, once."""


def main() -> int:
    """Bring .venv up to what is asked for.

    Returns:
        Exit status.
    """
    parser = argparse.ArgumentParser(description="Make and keep the project's environment.")
    parser.add_argument("kind", choices=sorted(LOCKS))
    parser.add_argument("--python-chosen", action="store_true", help="this interpreter was asked for by name")
    parser.add_argument("--torch-index", default="", help="another package index to take torch from")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    turn = wait_for_turn()
    try:
        bring_up_to_date(arguments.kind, arguments.python_chosen, arguments.torch_index, turn)
    except KeyboardInterrupt:
        print("\nInterrupted. Nothing is lost: the next run starts the installation again.", file=sys.stderr)
        return 130
    return 0


def wait_for_turn() -> int:
    """Wait until no other setup, nor a pip that an interrupted one left running, works in this folder.

    Returns:
        The file descriptor that holds the lock; pip inherits it.
    """
    turn = os.open(str(ROOT), os.O_RDONLY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("Another setup is still working in this folder; waiting for it.", flush=True)
        fcntl.flock(turn, fcntl.LOCK_EX)
    return turn


def bring_up_to_date(kind: str, python_chosen: bool, torch_index: str, turn: int) -> None:
    """Install what the stamp does not already record."""
    stamp = read_sound_stamp()
    if stamp and python_chosen and stamp["python"] != python_identity():
        stamp = {}
    if stamp and torch_index and stamp["torch_index"] != torch_index:
        stamp = {}
    wanted = {name: digest(ROOT / name) for name in LOCKS[kind] + ["pyproject.toml"]}
    if stamp and wanted.items() <= stamp["installed"].items():
        return
    started = time.monotonic()
    if not stamp:
        make_empty_environment(kind)
        stamp = {"root": str(ROOT), "python": python_identity(), "torch_index": torch_index, "installed": {}}
    if STAMP.exists():
        STAMP.unlink()
    index = ["--extra-index-url", stamp["torch_index"]] if stamp["torch_index"] else []
    install(index + [part for name in LOCKS[kind] for part in ("-r", name)], "packages", turn)
    install(["--no-deps", "--no-build-isolation", "--editable", "."], "this project", turn)
    stamp["installed"].update(wanted)
    partial = STAMP.with_suffix(".partial")
    partial.write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
    partial.replace(STAMP)
    print(f"Environment ready in {time.monotonic() - started:.0f} s.", flush=True)


def read_sound_stamp() -> dict:
    """Read the stamp of an environment that can be used.

    Returns:
        The stamp; empty where there is none, the folder was moved, or its Python no longer runs.
    """
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        sound = stamp["root"] == str(ROOT) and identity_of(FOLDER / "bin" / "python") == stamp["python"]
    except (OSError, ValueError, KeyError, subprocess.CalledProcessError):
        return {}
    return stamp if sound else {}


def identity_of(python: Path) -> str:
    """Ask an interpreter for its version and real place."""
    code = "import os, sys; print('%d.%d.%d' % sys.version_info[:3], os.path.realpath(sys.executable))"
    return subprocess.run([str(python), "-c", code], check=True, stdout=subprocess.PIPE).stdout.decode().strip()


def python_identity() -> str:
    """Version and real place of the interpreter that runs this script."""
    return "{}.{}.{} {}".format(*sys.version_info[:3], os.path.realpath(sys.executable))


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_empty_environment(kind: str) -> None:
    """Throw away what is left of .venv and make a new one with this interpreter."""
    refuse_unfit_python(kind)
    print(SIZES, flush=True)
    if FOLDER.is_symlink() or FOLDER.is_file():
        FOLDER.unlink()
    elif FOLDER.exists():
        print("The .venv found here is incomplete or was made for another Python or place: making it anew.", flush=True)
        shutil.rmtree(str(FOLDER))
    subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)


def refuse_unfit_python(kind: str) -> None:
    """Stop with the command that helps where this Python is too old or cannot make environments."""
    version = "{}.{}".format(*sys.version_info)
    if sys.version_info < OLDEST_PYTHON:
        found = newer_python()
        advice = f"Name a newer one: make {kind} PYTHON={found}" if found else "Install a newer one."
        sys.exit(f"Python {version} ({sys.executable}) is too old, this project needs 3.11 or newer. {advice}")
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        sudo = "" if os.geteuid() == 0 else "sudo "
        command = f"{sudo}apt install python{version}-venv"
        sys.exit(f"Python {version} ({sys.executable}) lacks its venv module. On Debian and Ubuntu:\n    {command}")


def newer_python() -> str:
    """Name of an interpreter on the PATH that is new enough, or nothing."""
    for name in ("python3.13", "python3.12", "python3.11"):
        test = [name, "-c", "import ensurepip, venv"]
        if shutil.which(name) and subprocess.run(test, stderr=subprocess.DEVNULL).returncode == 0:
            return name
    return ""


def install(arguments: list, what: str, turn: int) -> None:
    """Run pip, with one line of progress in place of its hundreds."""
    log = FOLDER / "install.log"
    command = [str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    command += ["--disable-pip-version-check"] + arguments
    pip = subprocess.Popen(command, cwd=str(ROOT), stdout=subprocess.PIPE, universal_newlines=True, pass_fds=[turn])
    try:
        with log.open("a", encoding="utf-8") as record:
            show_progress(pip, what, record)
    finally:
        pip.kill()
    if pip.wait() < 0:
        sys.exit(
            f"pip was stopped by signal {-pip.returncode}: run the same command again, it starts the installation anew"
        )
    if pip.returncode != 0:
        sys.exit(f"pip could not install {what}: the reason is above, everything it said is in {log}")


def show_progress(pip: subprocess.Popen, what: str, record: TextIO) -> None:
    """Say what pip is doing until it ends: one line that renews itself on a terminal, a line now and then elsewhere."""
    doing = [what]
    reader = threading.Thread(target=read_steps, args=(pip.stdout, record, doing), daemon=True)
    reader.start()
    started = time.monotonic()
    on_terminal = sys.stdout.isatty()
    while pip.poll() is None:
        reader.join(0.5 if on_terminal else 10)
        if reader.is_alive():
            line = f"  {time.monotonic() - started:4.0f} s  {doing[0]}"
            print("\r" + line[:79].ljust(79) if on_terminal else line, end="" if on_terminal else "\n", flush=True)
    reader.join()
    print("\r" + " " * 79 + "\r" if on_terminal else "", end="", flush=True)


def read_steps(lines: Iterable, record: TextIO, doing: list) -> None:
    """Record what pip prints, and keep the newest step of it with the number of packages met so far."""
    num_packages = 0
    for line in lines:
        record.write(line)
        verb, *rest = line.split() or [""]
        name = rest[0].split("/")[-1] if rest else ""
        if verb in {"Collecting", "Processing"}:
            num_packages += 1
            doing[0] = f"{num_packages} packages, looking at {name}"
        elif verb == "Downloading":
            doing[0] = f"{num_packages} packages, downloading {' '.join([name] + rest[1:])}"
        elif verb == "Installing":
            doing[0] = f"unpacking {len(rest) - 2} packages"


if __name__ == "__main__":
    sys.exit(main())
