"""What a notebook asks first: is everything here? Imports only the standard library, so that it can always answer."""

import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

PACKAGES: dict[str, str] = {
    "torch": "torch",
    "open_clip": "open_clip_torch",
    "decord": "decord",
    "jaxtyping": "jaxtyping",
    "safetensors": "safetensors",
    "plotly": "plotly",
    "ipywidgets": "ipywidgets",
}
"""What the notebooks import -> what pip calls it."""

ROOT = Path(__file__).resolve().parents[2]


def check() -> None:
    """Say where the notebook runs, and see to it that what it needs is installed.

    On Colab, what is missing is installed; the torch that Colab brings is never replaced. Where torch is not loaded
    yet, its threads are told to wait awake for a fifteenth of the usual time when another one is late: on a busy
    machine it always is, and everything took several times as long.

    Raises:
        ModuleNotFoundError: If packages are missing: the kernel is not the project's.
    """
    if on_colab() and missing_packages():
        install_beside_torch(ROOT)
    if missing := missing_packages():
        raise ModuleNotFoundError(
            f"this kernel lacks {', '.join(missing)}: choose the kernel that `make lab` starts (menu Kernel, Change "
            f"Kernel), or install the project into this one: pip install -e '{ROOT}[course]'"
        )
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    place = "on Colab, with Colab's own torch" if on_colab() else "on this computer"
    print(f"Python {platform.python_version()}, torch {torch_version()}, {place}")


def on_colab() -> bool:
    """Whether this is a Colab kernel."""
    return "google.colab" in sys.modules


def missing_packages() -> list[str]:
    """Names, as pip knows them, of the packages that are not installed."""
    return [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]


def torch_version() -> str:
    """Version of torch without the build's name: "2.13.0"."""
    return version("torch").split("+")[0]


def install_beside_torch(root: Path, *, run: Callable[[Sequence[str]], object] = subprocess.check_call) -> None:
    """Install the project's dependencies while holding torch at the version that is here.

    Args:
        root: Folder of the project.
        run: Runs a command.
    """
    held = f"torch=={version('torch')}"
    print(f"installing what is missing; torch stays as it is ({held})")
    run([sys.executable, "-m", "pip", "install", "--quiet", held, "plotly", "ipywidgets", str(root)])
    importlib.invalidate_caches()
