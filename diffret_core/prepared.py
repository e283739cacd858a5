"""Generation for many queries: what videos and texts contribute is computed once per collection; SPEC section 13.

A pooled video is a weighted sum of its frames, so whatever multiplies it can multiply its frames beforehand. The plain
way, `Retriever.generate`, gathers and pools features and runs the whole network at every step; a test holds both equal.
"""

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from diffret_core import sampler
from diffret_core.config import Direction
from diffret_core.denoiser import frame_weights
from diffret_core.denoiser_prepared import Conditioned, PreparedDenoiser
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.retriever import Generated, Progress, Retriever, draw_query_noise, scale_for_denoiser

QUERIES_AT_ONCE = 8  # 32 candidates at D = 512 take 256 kB a query: what a step reads stays in the processor's cache
LARGEST_TABLE = 2**30  # bytes; products of a larger collection are formed for the candidates of each query instead


class PreparedVideos:
    """A collection of videos, ready to be chosen from by any text."""

    @torch.no_grad()
    def __init__(self, model: Retriever, videos: VideoFeatures) -> None:
        """Multiply every frame by what the text-query network multiplies a pooled video by.

        Args:
            model: The model; later changes of its weights are not seen.
            videos: Features of the collection.

        Raises:
            ValueError: If the features are none that the model could have given; see `check_videos`.
        """
        check_videos(videos, model.config.dim)
        self.mode, self.scaled = model.config.mode, partial(scale_for_denoiser, model.config)
        self.network = PreparedDenoiser(model.text_query_denoiser, model.config.num_noise_levels)
        self.frames, self.frame_mask = self.scaled(videos.frames), videos.frame_mask
        num_frames, dim = self.frames.shape[:2].numel(), model.config.dim
        num_products = 4 * dim + model.config.num_noise_levels
        self.tables: tuple[Tensor, ...] | None = None
        if num_frames * num_products * self.frames.element_size() <= LARGEST_TABLE:
            flat = self.frames.flatten(0, 1)
            self.tables = (
                flat @ self.network.level_candidate,
                flat @ self.network.context,
                flat @ self.network.own,
            )

    @torch.no_grad()
    def condition(self, sentence: Float[Tensor, "B D"], items: Int[Tensor, "B N"]) -> Conditioned:
        """Give what the network needs of some texts and their candidates.

        Args:
            sentence: Sentence features of the texts that ask.
            items: Which videos each of them chooses from.
        """
        query = self.scaled(sentence)
        num_queries, num_candidates = items.shape
        num_frames, dim = self.frames.shape[1:]
        frames = self.frames[items].view(num_queries, -1, dim)  # [B, N F, D]
        score = (frames @ query[:, :, None]).view(num_queries, num_candidates, num_frames)
        weight = frame_weights(score, self.frame_mask[items], mode=self.mode).view(-1, num_frames)  # [B N, F]
        pooled = (weight[:, None] @ frames.view(-1, num_frames, dim)).view(num_queries, num_candidates, dim)
        if self.tables is None:
            return self.network.condition(query[:, None], pooled)
        rows = (items.view(-1, 1) * num_frames + torch.arange(num_frames, device=items.device)).contiguous()
        level, context, own = (
            functional.embedding_bag(rows, table, per_sample_weights=weight, mode="sum").view(
                num_queries, num_candidates, -1
            )
            for table in self.tables
        )
        match = pooled @ (query @ self.network.match)[:, :, None]
        return Conditioned((match + level).movedim(2, 0).contiguous(), context, own)


class PreparedTexts:
    """A collection of texts, ready to be chosen from by any video."""

    @torch.no_grad()
    def __init__(self, model: Retriever, texts: TextFeatures) -> None:
        """Multiply every sentence by what the video-query network multiplies a candidate by.

        Args:
            model: The model; later changes of its weights are not seen.
            texts: Features of the collection.

        Raises:
            ValueError: If the features are none that the model could have given; see `check_texts`.
        """
        check_texts(texts, model.config.dim)
        self.mode, self.scaled = model.config.mode, partial(scale_for_denoiser, model.config)
        self.network = PreparedDenoiser(model.video_query_denoiser, model.config.num_noise_levels)
        self.sentence = self.scaled(texts.sentence)
        num_products = 5 * model.config.dim + model.config.num_noise_levels
        self.tables: tuple[Tensor, ...] | None = None
        if len(self.sentence) * num_products * self.sentence.element_size() <= LARGEST_TABLE:
            self.tables = self._products(self.sentence)

    def _products(self, sentence: Float[Tensor, "*B D"]) -> tuple[Tensor, ...]:
        network = self.network
        return (
            sentence @ network.match.T,
            sentence @ network.level_candidate,
            sentence @ network.context,
            sentence @ network.own,
        )

    @torch.no_grad()
    def condition(self, videos: VideoFeatures, items: Int[Tensor, "B N"]) -> Conditioned:
        """Give what the network needs of some videos and their candidates.

        Args:
            videos: Features of the videos that ask.
            items: Which texts each of them chooses from.
        """
        frames, sentence = self.scaled(videos.frames), self.sentence[items]
        by_feature = frames.transpose(1, 2)  # [B, D, F]
        weight = frame_weights(sentence @ by_feature, videos.frame_mask[:, None], mode=self.mode)  # [B, N, F]
        match, level, context, own = (
            self._products(sentence) if self.tables is None else (table[items] for table in self.tables)
        )
        logits = (weight * (match @ by_feature)).sum(dim=-1, keepdim=True)
        logits = logits + level + weight @ (frames @ self.network.level_query)
        return Conditioned(logits.movedim(2, 0).contiguous(), context, own)


@torch.no_grad()
def generate_all(
    model: Retriever,
    direction: Direction,
    texts: TextFeatures,
    videos: VideoFeatures,
    items: Int[Tensor, "Q N"],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Generated:
    """Generate a distribution over the candidates of every query of one direction: `Retriever.generate`, but faster.

    Args:
        model: The model.
        direction: Which side asks.
        texts: Features of all texts.
        videos: Features of all videos.
        items: Which videos (or texts) each text (or video) chooses from.
        seed: Seed of the noise.
        progress: Called with the number of queries done and of all queries.

    Raises:
        ValueError: Before any work, if the features are none that the model could have given, there is not a row of
            candidates for each query, or a candidate does not exist.
    """
    check_texts(texts, model.config.dim)
    check_videos(videos, model.config.dim)
    sizes = len(texts.sentence), len(videos.frames)
    num_queries, num_items = sizes if direction == "text_to_video" else reversed(sizes)
    _check_items(items, num_queries, num_items)
    scoring = model.config.scoring
    levels = sampler.noise_levels(model.config.num_noise_levels, scoring.num_steps)
    prepared = PreparedVideos(model, videos) if direction == "text_to_video" else PreparedTexts(model, texts)
    samples = []
    for queries in torch.arange(len(items), device=items.device).split(QUERIES_AT_ONCE):
        if isinstance(prepared, PreparedVideos):
            given = prepared.condition(texts.sentence[queries], items[queries])
        else:
            given = prepared.condition(
                VideoFeatures(videos.frames[queries], videos.frame_mask[queries]), items[queries]
            )
        draws = [
            prepared.network.walk(
                given,
                draw_query_noise(direction, queries, items.shape[1], seed=seed, draw=draw).to(given.own),
                levels,
                model.alpha_bar,
            )
            for draw in range(scoring.num_draws)
        ]
        samples.append(torch.stack(draws).mean(dim=0))
        if progress is not None:
            progress(int(queries[-1]) + 1, len(items))
    return Generated(items, torch.cat(samples))


def check_texts(texts: TextFeatures, dim: int) -> None:
    """Refuse features of texts that no model with features of size `dim` could have given.

    Raises:
        ValueError: If there is no text, a size does not match, a feature is not finite, or a text has no word.
    """
    _check_features("texts", texts.words, texts.word_mask, dim)
    every_sentence = texts.word_mask.new_ones(len(texts.word_mask), 1)
    _check_features("sentences", texts.sentence[:, None], every_sentence, dim)


def check_videos(videos: VideoFeatures, dim: int) -> None:
    """Refuse features of videos that no model with features of size `dim` could have given.

    Raises:
        ValueError: If there is no video, a size does not match, a feature is not finite, or a video has no frame.
    """
    _check_features("videos", videos.frames, videos.frame_mask, dim)


def _check_features(what: str, features: Tensor, mask: Tensor, dim: int) -> None:
    if not len(features):
        raise ValueError(f"there are no {what}; give at least one")
    if features.shape[-1] != dim:
        raise ValueError(f"{what} have features of size {features.shape[-1]}; this model's have {dim}")
    if features.shape[:-1] != mask.shape:
        raise ValueError(f"{what} are {tuple(features.shape[:-1])} features with a mask of {tuple(mask.shape)}")
    faulty = ~features.sum(dim=-1).isfinite().all(dim=-1)  # a sum, because a mask of all entries would be large
    if bool(faulty.any()):
        raise ValueError(
            f"{what}: number {int(faulty.int().argmax())} has a feature that is not finite; encode it again"
        )
    empty = ~mask.any(dim=-1)
    if bool(empty.any()):
        raise ValueError(f"{what}: number {int(empty.int().argmax())} has nothing real in it; leave it out")


def _check_items(items: Int[Tensor, "Q N"], num_queries: int, num_items: int) -> None:
    if len(items) != num_queries or not items.shape[1]:
        raise ValueError(f"candidates are {tuple(items.shape)}; give each of the {num_queries} queries a row of them")
    if int(items.min()) < 0 or int(items.max()) >= num_items:
        raise ValueError(
            f"candidates range over {int(items.min())}..{int(items.max())}; there are only 0 to {num_items - 1}"
        )
