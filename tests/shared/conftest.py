"""For the tests that need the material beside the project, which is not part of it."""

import os
from pathlib import Path

import pytest

BESIDE_THE_PROJECT = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder ../shared, or the one that DIFFRET_SHARED names; the test is skipped where there is none."""
    folder = Path(os.environ.get("DIFFRET_SHARED", BESIDE_THE_PROJECT))
    if not folder.is_dir():
        pytest.skip(f"needs the material that is kept outside the project, and {folder} is not a folder")
    return folder
