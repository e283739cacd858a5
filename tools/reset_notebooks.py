"""`make reset`: notebooks as they were, and a copy of what was in them.

Each notebook that differs from the one in git is copied to my_answers/DATE_TIME/ and then restored. Where there is no
git, as in a downloaded archive, it is made anew from its script in notebooks/py/, without outputs.
"""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(root: Path = ROOT) -> int:
    """Restore all notebooks.

    Returns:
        Exit status.
    """
    changed = {path: original for path in notebooks(root) if (original := original_of(path, root)) != content_of(path)}
    if not changed:
        print("All notebooks are as they were; nothing to restore.")
        return 0
    kept = folder_for_copies(root)
    for path, original in changed.items():
        if path.is_file():
            kept.mkdir(parents=True, exist_ok=True)
            path.replace(kept / path.name)
        path.write_bytes(original)
        print(f"restored {path.relative_to(root)}")
    if kept.is_dir():
        print(f"Your answers are kept in {kept.relative_to(root)}/. Reload notebooks that are open (File, Reload).")
    return 0


def notebooks(root: Path) -> list[Path]:
    """Where the notebook of every script belongs."""
    return [root / "notebooks" / f"{script.stem}.ipynb" for script in sorted((root / "notebooks" / "py").glob("*.py"))]


def content_of(path: Path) -> bytes:
    """What is in a notebook now; nothing if it is gone."""
    return path.read_bytes() if path.is_file() else b""


def original_of(path: Path, root: Path) -> bytes:
    """What a notebook was in git, or what its script makes of it."""
    name = path.relative_to(root).as_posix()
    try:
        shown = subprocess.run(["git", "show", f"HEAD:./{name}"], cwd=root, capture_output=True)
    except FileNotFoundError:
        return from_script(path)
    return shown.stdout if shown.returncode == 0 else from_script(path)


def from_script(path: Path) -> bytes:
    """Make a notebook without outputs from its script."""
    script = path.parent / "py" / f"{path.stem}.py"
    command = [sys.executable, "-m", "jupytext", "--quiet", "--to", "ipynb", "--output", "-", str(script)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def folder_for_copies(root: Path) -> Path:
    """A folder that does not exist yet, named by date and time."""
    stem = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    names = [stem, *(f"{stem}_{number}" for number in range(2, 100))]
    return next(path for name in names if not (path := root / "my_answers" / name).exists())


if __name__ == "__main__":
    sys.exit(main())
