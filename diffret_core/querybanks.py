"""Banks of queries from the training split: captions for text queries, videos for video queries; SPEC section 14."""

from collections.abc import Container
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from diffret_core.checkpoints import video_encoder_fingerprint
from diffret_core.config import Direction
from diffret_core.datasets import Collection
from diffret_core.evaluation import NORMALISED
from diffret_core.extraction import sampling_of
from diffret_core.features import TextFeatures, VideoFeatures, load_features, video_feature_key
from diffret_core.galleries import Gallery, encode_captions, encode_video_files, feature_folder
from diffret_core.normalisation import BETA, QueryBank, joined_banks, query_bank
from diffret_core.randomness import numpy_generator
from diffret_core.retriever import Progress, Retriever
from diffret_core.scores import DirectionScores, MetricRules, compare, generate, item_scores

NUM_QUERIES = 5_000
QUERIES_AT_ONCE = 512  # of a bank compared with the gallery


def bank_captions(
    model: Retriever, collection: Collection, *, num_queries: int = NUM_QUERIES, without: Container[str], seed: int = 0
) -> TextFeatures:
    """Draw training captions and encode them: a bank of text queries.

    Args:
        model: The model.
        collection: The collection.
        num_queries: How many; all if there are fewer.
        without: Videos whose captions are no part of a bank: those of the gallery.
        seed: Seed of the draw.

    Raises:
        ValueError: If there is no such caption.
    """
    captions = [caption.text for caption in collection.pairs("train") if caption.video_id not in without]
    if not captions:
        raise ValueError(f"{collection.name}: no training captions, apart from those of the gallery")
    return encode_captions(model, [captions[number] for number in _draw(len(captions), num_queries, seed, "captions")])


def bank_videos(
    model: Retriever,
    collection: Collection,
    *,
    num_queries: int = NUM_QUERIES,
    without: Container[str],
    cache_folder: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> VideoFeatures:
    """Draw training videos, a bank of video queries: those whose features are kept, or any, to be encoded.

    Of several processes each encodes a share, so all of them have to ask.

    Args:
        model: The model.
        collection: The collection.
        num_queries: How many; all if there are fewer.
        without: Videos that are no part of a bank: those of the gallery.
        cache_folder: Videos are encoded, from their files, and kept here. None takes only those that `keep_gallery`
            has kept beside the collection, and encodes nothing.
        seed: Seed of the draw.
        progress: Called with the number of videos done and to do.

    Raises:
        FileNotFoundError: If there are no such features, or no files to encode.
        ValueError: If the features that are kept are damaged or another model's, or a video is damaged.
    """
    if cache_folder is None:
        return _kept_videos(model, collection, num_queries, without, seed)
    missing = {*collection.missing_videos("train")}
    there = [one for one in collection.video_ids("train") if one not in missing and one not in without]
    if not there:
        raise FileNotFoundError(f"{collection.videos_folder}: holds no training video; fetch some for the bank")
    paths = [collection.video_path(there[number]) for number in _draw(len(there), num_queries, seed, "videos")]
    return encode_video_files(model, paths, cache_folder=cache_folder, all_processes=True, progress=progress)


@torch.no_grad()
def query_banks(
    model: Retriever,
    bank: TextFeatures | VideoFeatures,
    gallery: Gallery,
    *,
    beta: float = BETA,
    rules: MetricRules = "corrected",
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, QueryBank]:
    """Let the queries of a bank ask in a gallery, some at a time, as the queries of the test do.

    Several processes share the work, as in `scores.score_all`; each gets all of it.

    Args:
        model: The model.
        bank: Features of the queries: texts that ask for videos, or videos that ask for texts.
        gallery: What they ask in.
        beta: Inverse temperature.
        rules: Which captions count as a video's; see `evaluation.direction_ranks`.
        seed: Seed of the sampling noise.
        progress: Called with the number of queries done and of all queries.

    Returns:
        A bank for each method whose scores can be normalised, with the items that `item_scores` has.
    """
    banks: dict[str, QueryBank] = {}
    scoring, num_queries = model.config.scoring, len(bank[0])
    direction: Direction = "text_to_video" if isinstance(bank, TextFeatures) else "video_to_text"
    for queries in torch.arange(num_queries, device=model.device).split(QUERIES_AT_ONCE):
        scores = _ask(model, bank, gallery, queries, seed=seed)
        for method in NORMALISED:
            items = item_scores(scores, direction, method, gallery.video_of_text, scoring, rules=rules)
            part = query_bank(items, beta=beta)
            banks[method] = joined_banks(banks[method], part) if method in banks else part
        if progress is not None:
            progress(int(queries[-1]) + 1, num_queries)
    return banks


def _ask(
    model: Retriever,
    bank: TextFeatures | VideoFeatures,
    gallery: Gallery,
    queries: Int[Tensor, " B"],
    *,
    seed: int,
) -> DirectionScores:
    """Let some queries of a bank ask in a gallery."""
    _, videos, _, texts, _ = gallery
    if isinstance(bank, TextFeatures):
        rows = compare(model, TextFeatures(*(part[queries] for part in bank)), videos)
        generated = generate(model, "text_to_video", bank, videos, rows, queries=queries, seed=seed)
    else:
        rows = compare(model, texts, VideoFeatures(*(part[queries] for part in bank))).T
        generated = generate(model, "video_to_text", texts, bank, rows, queries=queries, seed=seed)
    return DirectionScores(rows, generated)


def _kept_videos(
    model: Retriever, collection: Collection, num_queries: int, without: Container[str], seed: int
) -> VideoFeatures:
    path = feature_folder(collection, "train").with_suffix(".safetensors")
    features, video_ids, metadata = load_features(path, VideoFeatures)
    if metadata.get("key") != video_feature_key(video_encoder_fingerprint(model), sampling_of(model.config)):
        raise ValueError(f"{path}: features of another model or another version")
    training = {*collection.video_ids("train")}
    rows = [row for row, one in enumerate(video_ids) if one in training and one not in without]
    if not rows:
        raise ValueError(f"{path}: holds no training video of this collection")
    drawn = torch.tensor([rows[number] for number in _draw(len(rows), num_queries, seed, "videos")])
    return VideoFeatures(features.frames[drawn].float().to(model.device), features.frame_mask[drawn].to(model.device))


def _draw(num_available: int, num_wanted: int, seed: int, what: str) -> list[int]:
    """Draw numbers below `num_available` without replacement, in ascending order."""
    order = numpy_generator(seed, f"query bank of {what}").permutation(num_available)
    return sorted(order[:num_wanted].tolist())
