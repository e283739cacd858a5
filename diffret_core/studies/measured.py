"""A model measured for a study: fusion chosen on validation from the same trials for all, then each list read once."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import Int
from torch import Tensor

from diffret_core.config import DIRECTIONS, Direction, ScoringConfig
from diffret_core.evaluation import Normalisation, choose_scoring, ranks_of_rows, similarity_ranks
from diffret_core.galleries import encode_gallery
from diffret_core.metrics import bootstrap_interval, paired_bootstrap_interval, retrieval_metrics
from diffret_core.normalisation import BETA
from diffret_core.querybanks import query_banks
from diffret_core.randomness import numpy_generator
from diffret_core.retriever import Retriever
from diffret_core.scores import compare, score_all
from diffret_core.studies.declaration import Measured
from diffret_core.studies.setting import VALIDATION, Setting


def measure_model(model: Retriever, setting: Setting, *, bank_size: int = 0) -> Measured:
    """Choose weight and temperature of the combined score on validation, then measure on every list.

    Args:
        model: The model, with the encoders of the setting's stage 1; its scoring says how samples are drawn.
        setting: The lists.
        bank_size: Training captions, and training videos, in the banks of queries; with 0 nothing is normalised.
    """
    found = Measured([], {})
    for name in setting.lists:
        gallery, similarity = setting.listed(name)
        listen, started = partial(setting.listen, f"generating for {name}"), time.monotonic()
        scores = score_all(model, gallery.texts, gallery.videos, similarity=similarity, progress=listen)
        seconds = round(time.monotonic() - started, 2)
        if name == VALIDATION:
            chosen = choose_scoring(scores, gallery.video_of_text, model.config.scoring)
            model.config = replace(model.config, scoring=chosen)
        normalisation = _normalisation(model, setting, name, bank_size) if bank_size else None
        for direction in DIRECTIONS:
            ranks = ranks_of_rows(
                scores, direction, gallery.video_of_text, model.config.scoring, normalisation=normalisation
            )
            num_candidates = scores[direction].generated.candidates.shape[1]
            rows = _rows(direction, ranks, model.config.scoring, num_candidates)
            _add(found, ranks, rows, name=name, seconds=seconds)
    return found


def measure_similarity(model: Retriever, setting: Setting, cache_folder: Path) -> Measured:
    """Measure the similarity of a model with encoders of its own on every list; nothing is chosen.

    Args:
        model: The model.
        setting: The lists.
        cache_folder: Where features of videos are kept, beside the encoders that made them.
    """
    found = Measured([], {})
    for name, (collection, split) in setting.lists.items():
        encoding, started = partial(setting.listen, f"encoding {name}"), time.monotonic()
        gallery = encode_gallery(model, collection, split, cache_folder=cache_folder, progress=encoding)
        similarity = compare(
            model, gallery.texts, gallery.videos, progress=partial(setting.listen, f"comparing {name}")
        )
        seconds = round(time.monotonic() - started, 2)
        for direction in DIRECTIONS:
            ranks = {"similarity": similarity_ranks(similarity, direction, gallery.video_of_text)}
            num_candidates = min(model.config.scoring.num_candidates, *similarity.shape)
            rows = _rows(direction, ranks, model.config.scoring, num_candidates)
            _add(found, ranks, rows, name=name, seconds=seconds)
    return found


def _normalisation(model: Retriever, setting: Setting, name: str, bank_size: int) -> Normalisation:
    listen = partial(setting.listen, f"asking for the banks of {name}")
    banks = {
        direction: query_banks(
            model, setting.bank(direction, bank_size), setting.listed(name).gallery, beta=BETA, progress=listen
        )
        for direction in DIRECTIONS
    }
    return Normalisation(BETA, banks)


def _add(
    found: Measured, ranks: dict[str, Int[Tensor, " R"]], rows: list[dict[str, Any]], *, name: str, seconds: float
) -> None:
    """Add what was measured on a list in one direction."""
    found.rows.extend({"list": name, **row, "seconds": seconds} for row in rows)
    found.ranks.update({f"{name}/{rows[0]['direction']}/{method}": one.cpu() for method, one in ranks.items()})


def _rows(
    direction: Direction, ranks: dict[str, Int[Tensor, " R"]], scoring: ScoringConfig, num_candidates: int
) -> list[dict[str, Any]]:
    """Make a row for each method; what it gains is counted query by query against the similarity."""
    rows = []
    for method, of_queries in ranks.items():
        low, high = bootstrap_interval(of_queries, numpy_generator(0, f"bootstrap {direction}"))
        row = {
            "direction": direction,
            "method": method,
            "num_queries": len(of_queries),
            **{metric: round(value, 3) for metric, value in retrieval_metrics(of_queries).items()},
            "R@1_low": round(low, 3),
            "R@1_high": round(high, 3),
            "gain": round(100 * float((of_queries == 1).float().mean() - (ranks["similarity"] == 1).float().mean()), 3),
            "num_candidates": num_candidates,
            "ceiling": round(100 * float((ranks["similarity"] <= num_candidates).float().mean()), 3),
            "alpha": scoring.alpha,
            "temperature": scoring.temperature,
        }
        draw = numpy_generator(0, f"paired bootstrap {direction}")
        low, high = paired_bootstrap_interval(of_queries, ranks["similarity"], draw)
        rows.append({**row, "gain_low": round(low, 3), "gain_high": round(high, 3)})
    return rows
