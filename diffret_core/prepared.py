"""Generation for many queries: what videos and texts contribute is computed once per collection; SPEC section 13.

A pooled video is a weighted sum of its frames, so whatever multiplies it can multiply its frames beforehand. The plain
way, `Retriever.generate`, gathers and pools features and runs the whole network at every step; a test holds both equal.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from diffret_core import sampler
from diffret_core.config import Direction
from diffret_core.denoiser import frame_weights
from diffret_core.denoiser_compiled import sample
from diffret_core.denoiser_prepared import Conditioned, PreparedDenoiser, chosen_products
from diffret_core.feature_checks import check_items, check_texts, check_videos
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.retriever import (
    Generated,
    Progress,
    Retriever,
    first_state,
    query_generators,
    scale_for_denoiser,
)

QUERIES_AT_ONCE = 32  # conditioned together: 32 candidates at D = 512 take 256 kB each
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

        Raises:
            ValueError: If there is not a row of candidates for each text, or a candidate does not exist.
        """
        check_items(items, len(sentence), len(self.frames))
        query, flat = self.scaled(sentence), self.frames.flatten(0, 1)
        num_frames = self.frames.shape[1]
        rows = items[..., None] * num_frames + torch.arange(num_frames, device=items.device)  # [B, N, F]
        weight = frame_weights(chosen_products(query, flat, rows), self.frame_mask[items], mode=self.mode)

        def pooled(table: Float[Tensor, "R C"]) -> Float[Tensor, "B N C"]:
            bags = functional.embedding_bag(
                rows.flatten(0, 1), table, per_sample_weights=weight.flatten(0, 1), mode="sum"
            )
            return bags.unflatten(0, items.shape)

        if self.tables is None:
            return self.network.condition(query[:, None], pooled(flat))
        level, context, own = map(pooled, self.tables)
        match = (weight * chosen_products(query @ self.network.match, flat, rows)).sum(dim=-1, keepdim=True)
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
    queries: Int[Tensor, " Q"] | None = None,
    similarity: Float[Tensor, "Q N"] | None = None,
    seed: int = 0,
    compiled: bool = True,
    progress: Progress | None = None,
) -> Generated:
    """Generate a distribution over the candidates of many queries of one direction: `Retriever.generate`, but faster.

    Args:
        model: The model.
        direction: Which side asks.
        texts: Features of all texts.
        videos: Features of all videos.
        items: Which videos (or texts) each text (or video) chooses from.
        queries: Which texts (or videos) ask, a row of `items` each; all of them if None.
        similarity: Similarity of those candidates, from which a model with a start_level starts; others need none.
        seed: Seed of the noise.
        compiled: Whether the walk is the compiled one, where `denoiser_compiled.can_walk`.
        progress: Called with the number of queries done and of all queries.

    Raises:
        ValueError: Before any work, if the features are none that the model could have given, there is not a row of
            candidates for each query, or a candidate does not exist; or the model needs similarities to start from.
    """
    if similarity is None:
        if model.config.scoring.start_level is not None:
            raise ValueError("this model's walks start from the similarity; give that of the candidates")
        similarity = texts.sentence.new_zeros(items.shape)
    samples: list[Tensor] = []
    draw_numbers = range(model.config.scoring.num_draws)
    blocks = conditioned_blocks(model, direction, texts, videos, items, queries=queries)
    for (some, network, given), proposed in zip(blocks, similarity.split(QUERIES_AT_ONCE), strict=True):
        noises = [query_generators(direction, some, seed=seed, draw=draw) for draw in draw_numbers]
        draws = [draw_sample(model, network, given, own, proposed, compiled=compiled) for own in noises]
        samples.append(torch.stack(draws).mean(dim=0))
        if progress is not None:
            progress(sum(map(len, samples)), len(items))
    return Generated(items, torch.cat(samples))


def conditioned_blocks(
    model: Retriever,
    direction: Direction,
    texts: TextFeatures,
    videos: VideoFeatures,
    items: Int[Tensor, "Q N"],
    *,
    queries: Int[Tensor, " Q"] | None = None,
) -> Iterator[tuple[Int[Tensor, " B"], PreparedDenoiser, Conditioned]]:
    """Give the queries, some at a time, with the network and what it needs of them; arguments as of `generate_all`."""
    check_texts(texts, model.config.dim)
    check_videos(videos, model.config.dim)
    sizes = len(texts.sentence), len(videos.frames)
    num_queries, num_items = sizes if direction == "text_to_video" else reversed(sizes)
    asking = torch.arange(num_queries, device=items.device) if queries is None else queries
    check_items(items, len(asking), num_items)
    prepared = PreparedVideos(model, videos) if direction == "text_to_video" else PreparedTexts(model, texts)
    for some, candidates in zip(asking.split(QUERIES_AT_ONCE), items.split(QUERIES_AT_ONCE), strict=True):
        if isinstance(prepared, PreparedVideos):
            given = prepared.condition(texts.sentence[some], candidates)
        else:
            given = prepared.condition(VideoFeatures(videos.frames[some], videos.frame_mask[some]), candidates)
        yield some, prepared.network, given


def draw_sample(
    model: Retriever,
    network: PreparedDenoiser,
    given: Conditioned,
    generators: Sequence[torch.Generator],
    similarity: Float[Tensor, "B N"],
    *,
    compiled: bool = True,
) -> Float[Tensor, "B N"]:
    """Draw a sample of some queries: along the fastest walk there is, or step by step where every step adds noise."""
    levels = sampler.noise_levels(model.config.first_level, model.config.scoring.num_steps)
    noise = first_state(model, generators, similarity.to(given.own))
    if model.config.scoring.eta == 0:
        walk = sample if compiled else PreparedDenoiser.walk
        return walk(network, given, noise, levels, model.alpha_bar)
    *_, last = model.denoising_steps(partial(network.estimate, given), noise, draws=generators)
    return last.x_k
