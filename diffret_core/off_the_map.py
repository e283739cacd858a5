"""What the model says about each query as numbers by which queries that match nothing stand out; see `detection`."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from diffret_core import detection
from diffret_core.candidates import top_candidates
from diffret_core.config import Direction
from diffret_core.denoiser_prepared import Conditioned, PreparedDenoiser
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.prepared import conditioned_blocks, draw_sample
from diffret_core.randomness import generator
from diffret_core.ranking import generated_probability
from diffret_core.retriever import Generated, Progress, Retriever, query_generators
from diffret_core.sampler import draw_noise
from diffret_core.schedule import add_noise
from diffret_core.word_pairs import WordPairs, share_unknown

LEVEL_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Noise levels at which an answer is reconstructed, as shares of K."""
SIMILARITY_SCORES = ("similarity", "margin", "energy", "softmax")
WORD_PAIR_SCORES = ("word pairs", "similarity + word pairs")
NUM_DRAWS = 4
"""Fewest draws that are compared, and noisings of an answer that are reconstructed."""


def similarity_scores(rows: Float[Tensor, "Q V"], *, temperature: float) -> dict[str, Float[Tensor, " Q"]]:
    """Score queries by their similarities alone.

    Args:
        rows: Similarity of all items to each query; an item of -inf counts as absent.
        temperature: Of energy and softmax.
    """
    return {
        "similarity": detection.low_maximum(rows),
        "margin": detection.low_margin(rows),
        "energy": detection.energy(rows, temperature=temperature),
        "softmax": detection.low_softmax(rows, temperature=temperature),
    }


def word_pair_scores(
    texts: Sequence[str], known: WordPairs, rows: Float[Tensor, "Q V"]
) -> dict[str, Float[Tensor, " Q"]]:
    """Score texts by their wording; these two are ours, not the paper's, and no word of a video enters the first.

    Args:
        texts: The queries.
        known: Word pairs of the captions that the model was trained on.
        rows: Similarity of all videos to each.

    Returns:
        "word pairs": share of a text's word pairs that no such caption has; and "similarity + word pairs": low maximum
        of the similarity plus that share, both of which lie within a range of 1 or 2.
    """
    unknown = rows.new_tensor([share_unknown(text, known) for text in texts])
    return dict(zip(WORD_PAIR_SCORES, (unknown, detection.low_maximum(rows) + unknown), strict=True))


@torch.no_grad()
def generator_scores(
    model: Retriever,
    direction: Direction,
    texts: TextFeatures,
    videos: VideoFeatures,
    rows: Float[Tensor, "Q V"],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[dict[str, Float[Tensor, " Q"]], Generated]:
    """Score queries by what is generated for them.

    Args:
        model: The model; its scoring says how many candidates, steps and draws, and the temperature.
        direction: Which side asks.
        texts: Features of all texts.
        videos: Features of all videos.
        rows: Similarity of all items to each query, which proposes candidates; an item of -inf counts as absent. All
            texts (or videos) ask, in order.
        seed: Seed of all noise.
        progress: Called with the number of queries done and of all queries.

    Returns:
        "probability": low maximum of the generated distribution; its "entropy"; "disagreement" of draws; and for each
        level k of `LEVEL_SHARES` "reconstruction k", the error with which the one-hot answer noised to k is found
        again, mean over `NUM_DRAWS` noises. And what was generated.
    """
    num_present = int(rows.isfinite().sum(dim=1).min())  # as many candidates for all queries: entropy depends on it
    items = top_candidates(rows, min(model.config.scoring.num_candidates, num_present))
    found: list[dict[str, Tensor]] = []
    num_done = 0
    for queries, network, given in conditioned_blocks(model, direction, texts, videos, items):
        proposed = rows[queries].gather(1, items[queries])
        found.append(block_scores(model, direction, network, given, queries, similarity=proposed, seed=seed))
        num_done += len(queries)
        if progress is not None:
            progress(num_done, len(items))
    scores = {name: torch.cat([block[name] for block in found]) for name in found[0]}
    return scores, Generated(items, scores.pop("sample"))


def block_scores(
    model: Retriever,
    direction: Direction,
    network: PreparedDenoiser,
    given: Conditioned,
    queries: Int[Tensor, " B"],
    *,
    similarity: Float[Tensor, "B N"],
    seed: int,
) -> dict[str, Tensor]:
    """Score a block of queries by what is generated for them; see `generator_scores`.

    Args:
        model: The model.
        direction: Which side asks.
        network: Its prepared network for that direction.
        given: What that needs of the queries and their candidates.
        queries: Numbers of the queries, from which their noise follows.
        similarity: Similarity of their candidates.
        seed: Seed of all noise.

    Returns:
        The scores, and beside them the "sample".
    """
    scoring = model.config.scoring
    draws = torch.stack(
        [
            draw_sample(model, network, given, query_generators(direction, queries, seed=seed, draw=draw), similarity)
            for draw in range(max(NUM_DRAWS, scoring.num_draws))
        ]
    )
    sample = draws[: scoring.num_draws].mean(dim=0)
    probability = generated_probability(sample, temperature=scoring.temperature)
    of_draws = torch.stack([generated_probability(one, temperature=scoring.temperature) for one in draws])
    scores = {
        "sample": sample,
        "probability": detection.low_maximum(probability),
        "entropy": detection.entropy(probability),
        "disagreement": detection.disagreement(of_draws),
    }
    x_0 = functional.one_hot(sample.argmax(dim=1), sample.shape[1]).to(sample)
    for k in reconstruction_levels(model.config.num_noise_levels):
        noises = [generator(seed, f"{direction} reconstruction from level {k}", int(query)) for query in queries]
        scores[f"reconstruction {k}"] = _reconstruction(model, partial(network.estimate, given), x_0, k, noises)
    return scores


def _reconstruction(
    model: Retriever,
    denoise: Callable[[Tensor, Tensor], Tensor],
    x_0: Float[Tensor, "B N"],
    k: int,
    noises: list[torch.Generator],
) -> Float[Tensor, " B"]:
    level = torch.full((len(x_0),), k, device=x_0.device)
    errors = []
    for _ in range(NUM_DRAWS):
        epsilon = draw_noise(noises, x_0.shape[1]).to(x_0)
        x_k = add_noise(x_0, level, epsilon, model.alpha_bar)
        errors.append(detection.reconstruction_error(x_0, denoise(x_k, level)))
    return torch.stack(errors).mean(dim=0)


def reconstruction_levels(num_noise_levels: int) -> list[int]:
    """Give the noise levels from which answers are reconstructed, of 1 to K."""
    return sorted({max(1, round(share * num_noise_levels)) for share in LEVEL_SHARES})
