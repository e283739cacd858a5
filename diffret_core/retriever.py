"""DiffusionRet as one model: both encoders, their similarity, and a denoiser for each direction."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from diffret_core import candidates, encoders, sampler
from diffret_core.config import Direction, ModelConfig
from diffret_core.denoiser import Denoiser, pool_frames
from diffret_core.features import TextFeatures, VideoFeatures, normalise_entries
from diffret_core.randomness import generator
from diffret_core.schedule import Denoise, add_noise, noise_schedule
from diffret_core.similarity import TokenInteraction

MAX_LOGIT_SCALE = 100.0
Progress = Callable[[int, int], None]


class Generated(NamedTuple):
    """What the generator says about each query's candidates.

    Attributes:
        candidates: Item indices, most similar first.
        sample: The generated distribution x_0 over them, each entry within -1..1; the mean of all draws.
    """

    candidates: Int[Tensor, "Q N"]
    sample: Float[Tensor, "Q N"]


class Retriever(nn.Module):
    """The whole model. Stage 1 trains all but the denoisers, stage 2 only the denoisers."""

    def __init__(self, config: ModelConfig) -> None:
        """Build the model with random weights."""
        super().__init__()
        self.config = config
        self.clip = encoders.build_clip(config.clip)
        self.temporal = encoders.TemporalTransformer(config.dim, config.num_temporal_layers, config.num_frame_positions)
        self.interaction = TokenInteraction(config.dim, mode=config.mode)
        self.text_query_denoiser = Denoiser(config.dim)
        self.video_query_denoiser = Denoiser(config.dim)
        self.alpha_bar = noise_schedule(config.num_noise_levels, config.schedule)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.clip.logit_scale.device

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """1/tau: the factor on similarities in the contrastive loss, at most 100."""
        return self.clip.logit_scale.exp().clamp(max=MAX_LOGIT_SCALE)

    def denoiser(self, direction: Direction) -> Denoiser:
        """Give the network that serves one direction."""
        return self.text_query_denoiser if direction == "text_to_video" else self.video_query_denoiser

    def encode_tokens(self, word_ids: Int[Tensor, "T W"], word_mask: Bool[Tensor, "T W"]) -> TextFeatures:
        """Encode tokenized texts; see `encoders.encode_words`."""
        words, sentence = encoders.encode_words(self.clip, word_ids, word_mask, mode=self.config.mode)
        return TextFeatures(words, sentence, word_mask)

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Tokenize and encode texts, none of them empty."""
        word_ids, word_mask = encoders.tokenize(texts, self.config.max_words)
        return self.encode_tokens(word_ids.to(self.device), word_mask.to(self.device))

    def encode_videos(self, images: Float[Tensor, "V F 3 H H"], frame_mask: Bool[Tensor, "V F"]) -> VideoFeatures:
        """Encode videos from their normalised frames, padding included; see both functions of `encoders`."""
        frames = encoders.encode_frames(self.clip, images, frame_mask, mode=self.config.mode)
        scaled = normalise_entries(frames) if self.config.normalise_frames else frames
        return VideoFeatures(self.temporal(scaled, frame_mask), frame_mask)

    def similarity(
        self, texts: TextFeatures, videos: VideoFeatures, *, progress: Progress | None = None
    ) -> Float[Tensor, "T V"]:
        """Compare all texts with all videos: S. Progress is told how many texts are done, and of how many."""
        return self.interaction(texts.words, texts.word_mask, videos.frames, videos.frame_mask, progress=progress)

    def bind_denoiser(
        self,
        direction: Direction,
        texts: TextFeatures,
        videos: VideoFeatures,
        queries: Int[Tensor, " B"],
        items: Int[Tensor, "B N"],
    ) -> Denoise:
        """Bind queries and candidates to the network of one direction.

        Args:
            direction: Which side asks.
            texts: Features of all texts.
            videos: Features of all videos.
            queries: Which texts (or videos) ask.
            items: Which videos (or texts) each of them chooses from.

        Returns:
            denoise(x_k, k), for the losses and the sampler.
        """
        scaled = partial(scale_for_denoiser, self.config)
        if direction == "text_to_video":
            asking = scaled(texts.sentence[queries])[:, None]  # [B, 1, D]
            frames, frame_mask = scaled(videos.frames[items]), videos.frame_mask[items]
            chosen_from = pool_frames(asking, frames, frame_mask, mode=self.config.mode)
        else:
            chosen_from = scaled(texts.sentence[items])  # [B, N, D]
            frames, frame_mask = scaled(videos.frames[queries])[:, None], videos.frame_mask[queries][:, None]
            asking = pool_frames(chosen_from, frames, frame_mask, mode=self.config.mode)
        return lambda x_k, k: self.denoiser(direction)(x_k, k, asking, chosen_from)

    def denoising_steps(
        self, denoise: Denoise, noise: Float[Tensor, "B N"], *, draws: Sequence[torch.Generator] | None = None
    ) -> Iterator[sampler.DenoisingStep]:
        """Walk from noise to the generated distribution; see `sampler.ddim_steps`."""
        levels = sampler.noise_levels(self.config.first_level, self.config.scoring.num_steps)
        return sampler.ddim_steps(denoise, noise, levels, self.alpha_bar, eta=self.config.scoring.eta, generators=draws)

    @torch.no_grad()
    def generate(
        self,
        direction: Direction,
        texts: TextFeatures,
        videos: VideoFeatures,
        similarity: Float[Tensor, "T V"],
        *,
        queries: Int[Tensor, " B"],
        seed: int = 0,
    ) -> Generated:
        """Generate a distribution over the best candidates of some queries: candidates and samples, a row for each.

        Each query has its own noise, named by the seed, the direction, its index and the draw: its result does not
        depend on which other queries are computed with it.

        Args:
            direction: Which side asks.
            texts: Features of all texts.
            videos: Features of all videos.
            similarity: S of all texts and videos; it proposes the candidates.
            queries: Indices of the texts (or videos) that ask.
            seed: Seed of the noise.
        """
        rows = similarity[queries] if direction == "text_to_video" else similarity.T[queries]
        items = candidates.top_candidates(rows, self.config.scoring.num_candidates)
        denoise, proposed = self.bind_denoiser(direction, texts, videos, queries, items), rows.gather(1, items)
        samples = []
        for draw in range(self.config.scoring.num_draws):
            own = query_generators(direction, queries, seed=seed, draw=draw)
            samples.append(_last_state(self, denoise, first_state(self, own, proposed), own))
        return Generated(items, torch.stack(samples).mean(dim=0))


def _last_state(
    model: Retriever, denoise: Denoise, noise: Float[Tensor, "B N"], draws: Sequence[torch.Generator]
) -> Float[Tensor, "B N"]:
    *_, last = model.denoising_steps(denoise, noise, draws=draws)
    return last.x_k


def take_settings(model: Retriever, config: ModelConfig) -> None:
    """Give a model a configuration of the same architecture whose other settings differ, such as the noise levels."""
    model.config = config
    model.alpha_bar = noise_schedule(config.num_noise_levels, config.schedule)


def scale_for_denoiser(config: ModelConfig, features: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
    """Give sentences or frames the size in which the denoisers read them."""
    return normalise_entries(features) if config.normalise_for_denoiser else features


def query_generators(
    direction: Direction, queries: Int[Tensor, " B"], *, seed: int, draw: int = 0
) -> list[torch.Generator]:
    """Give each query what draws its noise, named by the seed, the direction, the query and the draw."""
    purpose = f"{direction} noise, draw {draw}" if draw else f"{direction} noise"
    return [generator(seed, purpose, int(query)) for query in queries]


def draw_query_noise(
    direction: Direction, queries: Int[Tensor, " B"], num_candidates: int, *, seed: int, draw: int = 0
) -> Float[Tensor, "B N"]:
    """Draw the noise in which each query's sample starts; see `query_generators`."""
    return sampler.draw_noise(query_generators(direction, queries, seed=seed, draw=draw), num_candidates)


def first_state(
    model: Retriever,
    generators: Sequence[torch.Generator],
    similarity: Float[Tensor, "B N"],
    *,
    alpha_bar: Float[Tensor, " K1"] | None = None,
) -> Float[Tensor, "B N"]:
    """Give the state in which each query's walk starts, at the configuration's `first_level`.

    That is noise; zeros for a model that works without; and where the scoring has a start_level, the distribution that
    the similarity gives over the candidates, a softmax at the temperature of stage 1, noised to that level.

    Args:
        model: The model.
        generators: What draws the noise of each query.
        similarity: Similarity of each query's candidates; of most models only its shape, type and device matter.
        alpha_bar: Signal kept at each level; the model's own if None.
    """
    noise = sampler.draw_noise(generators, similarity.shape[1]).to(similarity)
    if not model.config.noise:
        return torch.zeros_like(noise)
    if model.config.scoring.start_level is None:
        return noise
    level = torch.full((len(noise),), model.config.first_level, device=noise.device)
    proposed = (model.logit_scale.detach() * similarity).softmax(dim=-1)
    return add_noise(proposed, level, noise, model.alpha_bar if alpha_bar is None else alpha_bar)


def choose_device(requested: str = "auto") -> torch.device:
    """Choose where to compute: cuda where there is one, else the CPU; mps only on request.

    Args:
        requested: "auto", "cpu", "cuda" or "mps".

    Raises:
        ValueError: If the requested device is not there.
    """
    if requested == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(requested.split(":")[0], False):
        there = ", ".join(name for name, is_there in available.items() if is_there)
        raise ValueError(f"device {requested!r} is not available here; choose one of: auto, {there}")
    try:
        return torch.device(requested)
    except RuntimeError:
        raise ValueError(f"device {requested!r} is none; write for example cuda or cuda:0") from None
