"""Where the sample collection and its trained model lie: beside the package, in a checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def sample_folder() -> Path:
    """Give the folder of the sample collection.

    Raises:
        FileNotFoundError: If the package was installed without it.
    """
    folder = ROOT / "data_samples"
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: the sample collection is missing; work in a checkout of the project")
    return folder


def sample_checkpoint() -> Path:
    """Give the folder of the model that was trained on the sample collection."""
    return sample_folder() / "model"
