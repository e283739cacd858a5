"""The demo over a folder of one's own videos, opened as an index."""

from functools import partial
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from diffret_core.config import Direction
from diffret_core.course.demo.collection import Item, Proposal, one_video, text_generator
from diffret_core.course.demo.state import DemoState
from diffret_core.course.thumbnails import Part
from diffret_core.extraction import extractor_of
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.index import Model, ModelName, OpenIndex, best_of_videos, model_of, open_index, shown_path
from diffret_core.index.catalogue import CATALOGUE
from diffret_core.index.description import DESCRIPTION
from diffret_core.prepared import PreparedVideos
from diffret_core.retriever import Retriever, choose_device
from diffret_core.schedule import Denoise

_Dates = tuple[tuple[int, int] | None, ...]


class IndexCollection:
    """The videos of an index, each by its best segment. They have no captions, so only sentences can ask."""

    def __init__(self, index: OpenIndex, model: Model) -> None:
        """Keep the index and the model that made it."""
        self.index, self.model = index, model
        self._folder: Path | None = None
        self._seen: _Dates = ()

    @classmethod
    def of(cls, index: OpenIndex, model: Model | None) -> "IndexCollection":
        """Take an index and the model that made it; without one, load it, to the GPU where there is one.

        Raises:
            FileNotFoundError: If the model's files are not there.
            ValueError: If it is another model.
        """
        if model is None:
            return cls(index, model_of(index.description, device=choose_device()))
        if extractor_of(model).key != index.description.key:
            raise ValueError(f"the index was made with {index.description.model}, not with the model that is given")
        return cls(index, model)

    @classmethod
    def opened(
        cls, folder: Path | str, *, name: ModelName | None = None, device: torch.device | str = "cpu"
    ) -> "IndexCollection":
        """Open an index and its model; `refresh` opens the index again if it was brought up to date.

        Args:
            folder: The index.
            name: Where to find the model, if no longer where it was.
            device: Where the model computes.

        Raises:
            FileNotFoundError: If there is no index, or the model's files are not there.
            ValueError: If the index is damaged or holds no video, or the model is another one now.
        """
        folder = Path(folder)
        seen = _dates_of(folder)  # before it is read: what is written meanwhile is seen later
        index = open_index(folder)
        collection = cls(index, model_of(index.description, name=name, device=device))
        collection._folder, collection._seen = folder, seen
        return collection

    def refresh(self) -> bool:
        """Open the index again if its files have changed since, and say whether they have.

        Raises:
            FileNotFoundError: If it is gone.
            ValueError: If it is damaged, holds no video, or was made anew with another model.
        """
        if self._folder is None or (seen := _dates_of(self._folder)) == self._seen:
            return False
        index = open_index(self._folder)
        if index.description.key != self.index.description.key:
            raise ValueError(f"{self._folder}: was made anew with another model; reload the page")
        self.index, self._seen = index, seen
        return True

    def prepare(self, direction: Direction) -> None:
        """Nothing is computed for all queries: features stand in the index."""

    @property
    def asking_videos(self) -> list[Item]:
        """No video can ask."""
        return []

    @property
    def num_videos(self) -> int:
        """How many videos are searched."""
        return len(self.index.videos)

    def propose(self, state: DemoState) -> Proposal:
        """Compare a sentence with all videos; of a large index with those that a first cut keeps.

        Raises:
            ValueError: If the sentence cannot be read, or a video is to ask.
        """
        if state.direction != "text_to_video":
            raise ValueError("the videos of an index have no captions to be found; ask with a sentence")
        texts = self.model.encode_texts([state.query])
        best = best_of_videos(self.index, self.model, texts)
        return Proposal(
            items=[self._item(segment) for segment in best.segments.tolist()],
            similarity=best.similarity[None].to(self.model.device),
            bind=partial(_bind, self.model, texts, best.features) if isinstance(self.model, Retriever) else None,
            generator_of=partial(text_generator, state.query),
            features_of=lambda column: (texts, one_video(best.features, column)),
        )

    def _item(self, segment: int) -> Item:
        video_of, starts = self.index.video_of_segment, self.index.start_seconds
        video = self.index.videos[int(video_of[segment])]
        is_last = segment + 1 == len(starts) or video_of[segment + 1] != video_of[segment]
        part = Part(starts[segment], None if is_last else starts[segment + 1])
        return Item(video.id, shown_path(video.id), video.path, part)


def _dates_of(folder: Path) -> _Dates:
    """Size and date of the files that say what is in an index; None for one that is not there."""
    found: list[tuple[int, int] | None] = []
    for name in (DESCRIPTION, CATALOGUE):
        try:
            status = (folder / name).stat()
            found.append((status.st_size, status.st_mtime_ns))
        except OSError:
            found.append(None)
    return tuple(found)


def _bind(model: Retriever, texts: TextFeatures, videos: VideoFeatures, items: Int[Tensor, "M N"]) -> Denoise:
    """Bind the network to a sentence and its candidates, which are the same in every row."""
    prepared = PreparedVideos(model, VideoFeatures(*(part[items[0]] for part in videos)))
    places = torch.arange(items.shape[1], device=items.device).repeat(len(items), 1)
    given = prepared.condition(texts.sentence.repeat(len(items), 1), places)
    return partial(prepared.network.estimate, given)
