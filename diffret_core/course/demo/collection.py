"""What the demo searches: a collection proposes items for a query, and binds its candidates to the denoiser."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.candidates import top_candidates
from diffret_core.config import Direction
from diffret_core.course.demo.state import DemoState
from diffret_core.course.setup import Samples
from diffret_core.course.thumbnails import WHOLE, Part
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.galleries import encode_captions
from diffret_core.indicator import OffTheMap, indicate
from diffret_core.prepared import PreparedTexts
from diffret_core.randomness import generator
from diffret_core.retriever import query_generators
from diffret_core.schedule import Denoise
from diffret_core.search import PreparedGallery, prepare_gallery
from diffret_core.similarity import compare_blocks


class Item(NamedTuple):
    """What can be found.

    Attributes:
        id: Id of the video.
        words: What is said of it; where captions are searched, the caption that was found.
        path: The video's file.
        part: What of it matches.
    """

    id: str
    words: str
    path: Path
    part: Part = WHOLE

    @property
    def told(self) -> str:
        """What is said of it where it is not shown: also that its file is gone."""
        return self.words if self.path.exists() else f"{self.words} (missing)"


class Proposal(NamedTuple):
    """A query compared with everything that can be found.

    Attributes:
        items: What can be found, a column each.
        similarity: S of the query and each of them.
        bind: Gives the network bound to the query and to candidates, a row for each draw; None for a model without a
            generator.
        generator_of: Gives what draws the noise of a draw, from the seed and the draw's number.
        features_of: Gives sentence and video of a column, to be compared word by frame.
        meant: Ids of the videos that the query was written for, or that asks; none for a sentence of one's own.
        off_the_map: Says, from a seed, whether probably no video matches; None where nothing can tell.
    """

    items: Sequence[Item]
    similarity: Float[Tensor, "1 V"]
    bind: Callable[[Int[Tensor, "M N"]], Denoise] | None
    generator_of: Callable[[int, int], torch.Generator]
    features_of: Callable[[int], tuple[TextFeatures, VideoFeatures]]
    meant: frozenset[str] = frozenset()
    off_the_map: Callable[[int], OffTheMap] | None = None


def text_generator(text: str, seed: int, draw: int) -> torch.Generator:
    """Give what draws the noise of a typed sentence; its first draw is the one of `search`."""
    return generator(seed, f"search noise, draw {draw}" if draw else "search noise", text)


class SampleCollection:
    """The sample videos and their captions; either side can ask."""

    def __init__(self, samples: Samples) -> None:
        """Keep the samples; what a search needs of them is computed when it is first needed."""
        self.samples, self.model = samples, samples.model
        own = set(samples.video_ids)
        self.captions = [pair for pair in samples.collection.pairs("test") if pair.video_id in own]

    @cached_property
    def gallery(self) -> PreparedGallery:
        """The videos, ready to be chosen from."""
        return prepare_gallery(self.model, self.samples.videos)

    @cached_property
    def texts(self) -> TextFeatures:
        """Features of the captions."""
        return encode_captions(self.model, [caption.text for caption in self.captions])

    @cached_property
    def prepared_texts(self) -> PreparedTexts:
        """The captions, ready to be chosen from."""
        return PreparedTexts(self.model, self.texts)

    @cached_property
    def video_items(self) -> list[Item]:
        """What a sentence can find."""
        return [Item(one, self.samples.captions[one], self.samples.video_path(one)) for one in self.samples.video_ids]

    @cached_property
    def caption_items(self) -> list[Item]:
        """What a video can find."""
        return [Item(one.video_id, one.text, self.samples.video_path(one.video_id)) for one in self.captions]

    @property
    def asking_videos(self) -> list[Item]:
        """Videos that can ask."""
        return self.video_items

    @property
    def num_videos(self) -> int:
        """How many videos are searched."""
        return len(self.samples.video_ids)

    def random_query(self, direction: Direction, turn: int) -> str:
        """Give the caption, or the id of the video, that is asked with at some turn."""
        choices = self.samples.video_ids if direction == "video_to_text" else [one.text for one in self.captions]
        place = torch.randint(len(choices), (), generator=generator(0, f"random query, {direction}", turn))
        return choices[int(place)]

    def refresh(self) -> bool:
        """Say whether what is searched has changed; samples do not."""
        return False

    def prepare(self, direction: Direction) -> None:
        """Compute what all queries of a direction need, unless that was done before."""
        _ = self.gallery if direction == "text_to_video" else self.prepared_texts

    def propose(self, state: DemoState) -> Proposal:
        """Compare a query with all videos, or with all captions.

        Raises:
            ValueError: If the query cannot be read, or is no video of the collection.
        """
        return self._videos_for(state.query) if state.direction == "text_to_video" else self._texts_for(state.query)

    def _videos_for(self, text: str) -> Proposal:
        texts, videos, gallery = self.model.encode_texts([text]), self.samples.videos, self.gallery
        (asking,) = self.model.interaction.prepare_texts(texts.words, texts.word_mask)

        def bind(items: Int[Tensor, "M N"]) -> Denoise:
            given = gallery.videos.condition(texts.sentence.repeat(len(items), 1), items)
            return partial(gallery.videos.network.estimate, given)

        similarity = compare_blocks(asking, gallery.blocks)
        return Proposal(
            items=self.video_items,
            similarity=similarity,
            bind=bind,
            generator_of=partial(text_generator, text),
            features_of=lambda column: (texts, one_video(videos, column)),
            meant=frozenset(caption.video_id for caption in self.captions if caption.text == text),
            off_the_map=self._indicator(text, texts, similarity),
        )

    def _indicator(
        self, text: str, texts: TextFeatures, similarity: Float[Tensor, "1 V"]
    ) -> Callable[[int], OffTheMap] | None:
        """Give what says whether a sentence is off the map, with as many candidates as `search` takes."""
        indicator, videos = self.samples.indicator, self.gallery.videos
        if indicator is None:
            return None
        items = top_candidates(similarity, self.model.config.scoring.num_candidates)

        def tell(seed: int) -> OffTheMap:
            given = videos.condition(texts.sentence, items)
            return indicate(self.model, indicator, text, similarity, network=videos.network, given=given, seed=seed)

        return tell

    def _texts_for(self, video_id: str) -> Proposal:
        if video_id not in self.samples.video_ids:
            known = f"{self.samples.video_ids[0]} to {self.samples.video_ids[-1]}"
            raise ValueError(f"there is no video {video_id!r} among those searched; choose one of {known}")
        place = self.samples.video_ids.index(video_id)
        asking, texts, prepared = one_video(self.samples.videos, place), self.texts, self.prepared_texts
        queries = torch.tensor([place])

        def bind(items: Int[Tensor, "M N"]) -> Denoise:
            repeated = VideoFeatures(*(part.expand(len(items), *part.shape[1:]) for part in asking))
            return partial(prepared.network.estimate, prepared.condition(repeated, items))

        return Proposal(
            items=self.caption_items,
            similarity=self.model.similarity(texts, asking).T,
            bind=bind,
            generator_of=lambda seed, draw: query_generators("video_to_text", queries, seed=seed, draw=draw)[0],
            features_of=lambda column: (TextFeatures(*(part[column : column + 1] for part in texts)), asking),
            meant=frozenset([video_id]),
        )


def one_video(videos: VideoFeatures, place: int) -> VideoFeatures:
    """Take one of several videos."""
    return VideoFeatures(*(part[place : place + 1] for part in videos))
