"""An index opened to be searched: its videos, where their segments begin, and the features of these."""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.feature_shards import Shards, stacked
from diffret_core.features import VideoFeatures
from diffret_core.index.catalogue import read_catalogue, whole_entries
from diffret_core.index.description import Description, read_description
from diffret_core.index.gallery import IndexGallery, refuse_other_model
from diffret_core.index.large import RowReader, open_vectors
from diffret_core.index.models import Model, ModelName, load_model
from diffret_core.index.writing import shards_of


class IndexedVideo(NamedTuple):
    """A video of an index.

    Attributes:
        id: Its path below the indexed folder, with slashes; see `walk.FoundFile`.
        path: Where it is, or was.
        duration_seconds: Its length.
        missing: It was not there when the folder was last indexed.
    """

    id: str
    path: Path
    duration_seconds: float
    missing: bool


class OpenIndex(NamedTuple):
    """An index in memory.

    Attributes:
        description: What it is of: the folder, the model.
        videos: Its videos, sorted by id.
        video_of_segment: Which of them each segment is a part of; the segments of a video follow one another.
        start_seconds: Where in its video each segment begins.
        features: Of each segment, on the CPU, in float32; None where `vectors` serve.
        vectors: Of a large index: one for each segment, to choose by which of them are worth comparing.
        row_ids: Name of each segment's features.
        reader: Reads the features of single segments.
        gallery: What is computed once for the model that asks.
    """

    description: Description
    videos: list[IndexedVideo]
    video_of_segment: Int[Tensor, " S"]
    start_seconds: list[float]
    features: VideoFeatures | None
    vectors: Float[Tensor, "S D"] | None
    row_ids: list[str]
    reader: RowReader
    gallery: IndexGallery

    def features_of(self, segments: Int[Tensor, " N"]) -> VideoFeatures:
        """Give the features of some segments, on the CPU, in float32."""
        if self.features is None:
            return self.reader.read([self.row_ids[segment] for segment in segments.tolist()])
        return VideoFeatures(*(part[segments] for part in self.features))


def open_index(folder: Path | str) -> OpenIndex:
    """Read an index that `build_index` made, also while one is being made: what is done counts.

    Raises:
        FileNotFoundError: If there is no index in the folder.
        ValueError: If it is damaged, or holds no video.
    """
    folder = Path(folder)
    description = read_description(folder)
    shards, again = shards_of(folder, description), f"diffret index {description.root} --out {folder}"
    try:
        reader = RowReader(shards)
    except ValueError as error:
        raise ValueError(f"{folder}: its features are damaged; make them anew: {again}") from error
    whole = whole_entries(read_catalogue(folder), reader)
    if not whole:
        raise ValueError(f"{folder}: holds no video yet; run: {again}")
    row_ids = [row for entry in whole for row in entry.row_ids]
    vectors = open_vectors(folder, row_ids)
    features = _all_features(shards, row_ids) if vectors is None else None
    num_segments = torch.tensor([len(entry.starts) for entry in whole])
    return OpenIndex(
        description=description,
        videos=[
            IndexedVideo(entry.path, description.root / entry.path, entry.duration_seconds, entry.missing)
            for entry in whole
        ],
        video_of_segment=torch.arange(len(whole)).repeat_interleave(num_segments),
        start_seconds=[start for entry in whole for start in entry.starts],
        features=features,
        vectors=vectors,
        row_ids=row_ids,
        reader=reader,
        gallery=IndexGallery(description, features),
    )


def _all_features(shards: Shards, row_ids: list[str]) -> VideoFeatures:
    rows = shards.read()
    if missing := set(row_ids) - set(rows):
        raise ValueError(f"the features of {len(missing)} segments are damaged; index the videos again")
    frames, frame_mask = stacked([rows[row] for row in row_ids])
    return VideoFeatures(frames.float(), frame_mask)


def model_of(description: Description, *, name: ModelName | None = None, device: torch.device | str = "cpu") -> Model:
    """Load the model that an index was made with.

    Args:
        description: What the index is of.
        name: Where to find that model, if no longer where it was.
        device: Where to.

    Raises:
        FileNotFoundError: If its files are not there.
        ValueError: If it is another model, or its weights cannot be had.
    """
    name = description.model if name is None else name
    model = load_model(name, device=device)
    refuse_other_model(description, model, name)
    return model
