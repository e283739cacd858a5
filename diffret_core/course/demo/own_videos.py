"""The demo over a folder of one's own videos, opened as an index."""

from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor

from diffret_core.course.demo.collection import Item, Proposal, one_video, text_generator
from diffret_core.course.demo.state import DemoState
from diffret_core.course.thumbnails import Part
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.index import Model, OpenIndex, best_of_videos, shown_path
from diffret_core.prepared import PreparedVideos
from diffret_core.retriever import Retriever
from diffret_core.schedule import Denoise


class IndexCollection:
    """The videos of an index, each by its best segment. They have no captions, so only sentences can ask."""

    def __init__(self, index: OpenIndex, model: Model) -> None:
        """Keep the index and the model that made it."""
        self.index, self.model = index, model

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


def _bind(model: Retriever, texts: TextFeatures, videos: VideoFeatures, items: Int[Tensor, "M N"]) -> Denoise:
    """Bind the network to a sentence and its candidates, which are the same in every row."""
    prepared = PreparedVideos(model, VideoFeatures(*(part[items[0]] for part in videos)))
    places = torch.arange(items.shape[1], device=items.device).repeat(len(items), 1)
    given = prepared.condition(texts.sentence.repeat(len(items), 1), places)
    return partial(prepared.network.estimate, given)
