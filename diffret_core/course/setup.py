"""What every notebook begins with: the sample videos, the small model that was trained for them, and features."""

from pathlib import Path
from typing import NamedTuple

from diffret_core.checkpoints import load_checkpoint
from diffret_core.course.progress import counting
from diffret_core.datasets import Collection, read_collection
from diffret_core.features import VideoFeatures
from diffret_core.galleries import encode_video_files, feature_folder
from diffret_core.indicator import Indicator, read_indicator
from diffret_core.locations import sample_checkpoint, sample_folder
from diffret_core.retriever import Retriever, choose_device
from diffret_core.scenes.manifest import refuse_faults


class Samples(NamedTuple):
    """The sample collection and its model, ready for searching.

    Attributes:
        model: The trained model.
        collection: All splits, with captions and video files.
        video_ids: Ids of the videos that are searched: the test split.
        videos: Their features.
        captions: The first caption of each of them, by id.
        indicator: Says which sentences match none of these videos; None if it was not chosen for as many.
    """

    model: Retriever
    collection: Collection
    video_ids: list[str]
    videos: VideoFeatures
    captions: dict[str, str]
    indicator: Indicator | None = None

    def video_path(self, video_id: str) -> Path:
        """The file of a video."""
        return self.collection.video_path(video_id)


def open_samples(*, folder: Path | str | None = None, model_folder: Path | str | None = None) -> Samples:
    """Open the sample collection and its model, encode the test videos unless that was done before, and report.

    Args:
        folder: Folder of a collection laid out like the samples; by default the samples.
        model_folder: Folder of a trained model; by default the one of the samples.

    Raises:
        FileNotFoundError: If the model or the annotation is missing.
        ValueError: If a video or a caption file is missing or not as released.
    """
    folder = Path(folder or sample_folder())
    refuse_faults(folder)
    model_folder = Path(model_folder or sample_checkpoint())
    model = _open_model(model_folder)
    collection = read_collection("msrvtt", folder)
    video_ids = list(collection.video_ids("test"))
    captions: dict[str, str] = {}
    for caption, video_id in collection.pairs("test"):
        captions.setdefault(video_id, caption)
    videos = encode_video_files(
        model,
        [collection.video_path(video_id) for video_id in video_ids],
        cache_folder=feature_folder(collection, "test"),
        progress=counting("looking at the videos, once"),
    )
    print(report(model, collection))
    indicator = read_indicator(model_folder, len(video_ids))
    return Samples(model, collection, video_ids, videos, captions, indicator)


def report(model: Retriever, collection: Collection) -> str:
    """Say in a few lines what was found; nothing in it depends on the machine but the device."""
    num_weights = sum(int(weights.count_nonzero()) for weights in model.parameters())  # unknown words have zeros
    counts = {split: len(collection.video_ids(split)) for split in ("test", "train", "validation")}
    config = model.config
    lines = (
        f"videos   {counts['test']:,} to search (test split); {counts['train']:,} for training and "
        f"{counts['validation']:,} for validation, drawn on demand",
        f"model    {num_weights / 1e6:.1f} million weights, trained on sample videos only, on {model.device.type}",
        f"search   {config.scoring.num_candidates} candidates, noise levels {config.num_noise_levels} down to 0, "
        f"alpha {config.scoring.alpha:g}",
    )
    return "\n".join(lines)


def _open_model(folder: Path) -> Retriever:
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"{folder}: the trained sample model is missing; get it back with git, or train it anew with "
            "`diffret train --recipe tiny`"
        )
    return load_checkpoint(folder, device=choose_device())
