"""A model measured on a split as it is reported: every row, every interval, and what they were measured on."""

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from diffret_core.config import ComputePrecision, Direction
from diffret_core.config.checks import above_zero, at_least
from diffret_core.datasets import Collection, Split
from diffret_core.evaluation import Normalisation, evaluate, over_seeds
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.galleries import Gallery, encode_gallery
from diffret_core.normalisation import BETA, QueryBank
from diffret_core.querybanks import NUM_QUERIES, bank_captions, bank_videos, query_banks
from diffret_core.retriever import Retriever
from diffret_core.scores import MetricRules, score_all

Listen = Callable[[str, int, int], None]
Banks = dict[Direction, dict[str, QueryBank]]


@dataclass(frozen=True, kw_only=True)
class MeasurementSettings:
    """What is measured, and how.

    Attributes:
        split: Which split.
        allow_missing: So many missing videos may be left out.
        precision: Of the products inside the video encoder.
        rules: How ranks are counted; see `evaluation.direction_ranks`.
        seed: Seed of every random choice, and of the first noise.
        num_seeds: So many times everything is generated, each time from other noise.
        bank_size: Training captions (and videos) in the bank of queries; with 0 nothing is normalised.
        num_bank_videos: Training videos to encode for the bank of video queries; with 0 only what `keep_gallery` has
            kept beside the collection is used.
        beta: Inverse temperature of the normalised scores.
    """

    split: Split = "test"
    allow_missing: int = 0
    precision: ComputePrecision = "float32"
    rules: MetricRules = "corrected"
    seed: int = 0
    num_seeds: int = 1
    bank_size: int = NUM_QUERIES
    num_bank_videos: int = 0
    beta: float = BETA

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        at_least("the number of noise seeds", self.num_seeds, 1)
        at_least("the size of the bank", self.bank_size, 0)
        at_least("the number of videos in the bank", self.num_bank_videos, 0)
        above_zero("beta", self.beta)


def measure(
    model: Retriever,
    collection: Collection,
    settings: MeasurementSettings,
    *,
    cache_folder: Path,
    bank_folder: Path,
    listen: Listen = lambda *_: None,
) -> dict[str, Any]:
    """Measure a model on a split; of several processes each does a share and gets all of the result.

    Args:
        model: The model.
        collection: The collection.
        settings: What is measured, and how.
        cache_folder: Where features of the split's videos are kept between runs.
        bank_folder: Where features of training videos are kept, if any are encoded.
        listen: Told what is being done, how much of it is done, and of how much.

    Returns:
        The metrics of `evaluation.evaluate` with the rows of normalised scores, by direction; with several seeds
        "generator" and "combined" have "over_seeds", see `evaluation.over_seeds`. Under "protocol" what they were
        measured on and how: "query_bank" has the number of its queries by direction, and none where there is no bank.

    Raises:
        FileNotFoundError: If more videos are missing than allowed.
        ValueError: If a video is damaged.
    """
    gallery = encode_gallery(
        model,
        collection,
        settings.split,
        cache_folder=cache_folder,
        allow_missing=settings.allow_missing,
        precision=settings.precision,
        progress=partial(listen, "encoding videos"),
    )
    scores = score_all(
        model,
        gallery.texts,
        gallery.videos,
        seed=settings.seed,
        progress=partial(listen, "generating"),
        comparing=partial(listen, "comparing texts with videos"),
    )
    seeds = [settings.seed + number for number in range(settings.num_seeds)]
    scores_of_seeds = [scores]
    for seed in seeds[1:]:
        similarity, heard = scores["text_to_video"].similarity, partial(listen, f"generating, seed {seed}")
        again = score_all(model, gallery.texts, gallery.videos, similarity=similarity, seed=seed, progress=heard)
        scores_of_seeds.append(again)
    banks = _banks(model, collection, gallery, settings, bank_folder=bank_folder, listen=listen)
    scoring, video_of_text = model.config.scoring, gallery.video_of_text
    normalisation = Normalisation(settings.beta, banks) if banks else None
    found: dict[str, Any] = evaluate(
        scores, video_of_text, scoring, seed=settings.seed, rules=settings.rules, normalisation=normalisation
    )
    if len(seeds) > 1:
        for direction, methods in over_seeds(scores_of_seeds, video_of_text, scoring, rules=settings.rules).items():
            for method, one in methods.items():
                found[direction][method]["over_seeds"] = {"seeds": seeds, **one}
    return {**found, "protocol": _protocol(model, collection, gallery, settings, seeds=seeds, banks=banks)}


def _banks(
    model: Retriever,
    collection: Collection,
    gallery: Gallery,
    settings: MeasurementSettings,
    *,
    bank_folder: Path,
    listen: Listen,
) -> Banks:
    """Make the banks of queries: of captions, and of videos where there are any."""
    if not settings.bank_size:
        return {}
    draw: dict[str, Any] = {"without": {*gallery.video_ids}, "seed": settings.seed}
    queries: dict[Direction, TextFeatures | VideoFeatures] = {
        "text_to_video": bank_captions(model, collection, num_queries=settings.bank_size, **draw)
    }
    if settings.num_bank_videos:
        progress = partial(listen, "encoding training videos")
        draw |= {"num_queries": settings.num_bank_videos, "cache_folder": bank_folder, "progress": progress}
        queries["video_to_text"] = bank_videos(model, collection, **draw)
    else:
        try:
            queries["video_to_text"] = bank_videos(model, collection, num_queries=settings.bank_size, **draw)
        except (FileNotFoundError, ValueError) as error:  # none are kept, or another model's
            warnings.warn(
                f"video queries have no bank ({error}); --video-bank N encodes N training videos for one", stacklevel=2
            )
    return {
        direction: query_banks(
            model,
            bank,
            gallery,
            beta=settings.beta,
            rules=settings.rules,
            seed=settings.seed,
            progress=partial(listen, f"asking for the bank, {direction.replace('_', '-')}"),
        )
        for direction, bank in queries.items()
    }


def _protocol(
    model: Retriever,
    collection: Collection,
    gallery: Gallery,
    settings: MeasurementSettings,
    *,
    seeds: list[int],
    banks: Banks,
) -> dict[str, Any]:
    return {
        "collection": collection.name,
        "split": settings.split,
        "num_texts": len(gallery.captions),
        "num_videos": len(gallery.video_ids),
        "num_left_out": len(collection.video_ids(settings.split)) - len(gallery.video_ids),
        "mode": model.config.mode,
        "metrics": settings.rules,
        "scoring": asdict(model.config.scoring),
        "seeds": seeds,
        "query_bank": {
            "beta": settings.beta,
            **{direction: bank["similarity"].num_queries for direction, bank in banks.items()},
        },
    }
