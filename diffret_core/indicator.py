"""What decides whether a text is off the map: one score and a threshold, kept beside a model; `off_the_map` has all.

`diffret study ood` chooses it; `diffret search` and the demo go by it.
"""

from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.denoiser_prepared import Conditioned, PreparedDenoiser
from diffret_core.off_the_map import block_scores, similarity_scores, word_pair_scores
from diffret_core.retriever import Retriever
from diffret_core.tensor_files import read_json, write_json
from diffret_core.word_pairs import WordPairs

INDICATOR_FILE = "off_the_map.json"  # beside a model's weights


class Indicator(NamedTuple):
    """What decides whether a text is off the map of a model and a gallery; chosen on validation.

    Attributes:
        score: One of the scores of `similarity_scores`, `generator_scores` and `word_pair_scores`.
        threshold: A text that scores above it counts as off the map.
        recall: Share of the matched texts of validation that score at most that.
        num_videos: Videos of the gallery on which it was chosen: among more the best is more similar.
        known: Word pairs of the captions that the model was trained on, for the scores that need them.
    """

    score: str
    threshold: float
    recall: float
    num_videos: int
    known: WordPairs = MappingProxyType({})


class OffTheMap(NamedTuple):
    """What an indicator says of a text.

    Attributes:
        score: By which score it goes.
        value: The text's; higher where less matches.
        threshold: The indicator's.
        is_off: Whether the value is above the threshold: probably no video matches.
    """

    score: str
    value: float
    threshold: float
    is_off: bool

    def __str__(self) -> str:
        """Say it in a line."""
        verdict = "probably no video matches" if self.is_off else "nothing strange about the text"
        return f"{verdict} ({self.score} {self.value:.3f}, threshold {self.threshold:.3f})"


def write_indicator(folder: Path, indicator: Indicator) -> None:
    """Put an indicator beside a model's weights."""
    write_json(folder / INDICATOR_FILE, {**indicator._asdict(), "known": dict(indicator.known)})


def read_indicator(folder: Path, num_videos: int | None = None) -> Indicator | None:
    """Read a model's indicator; None if it has none, or none for a gallery of this size.

    Args:
        folder: The model's.
        num_videos: Videos of the gallery; None takes an indicator of any. Among more or fewer videos than those on
            which it was chosen the best is more or less similar, so its threshold means something else there.

    Raises:
        ValueError: If the file is no indicator.
    """
    path = folder / INDICATOR_FILE
    if not path.is_file():
        return None
    found = read_json(path)
    if not _is_indicator(found):
        fields = ", ".join(Indicator._fields)
        raise ValueError(f"{path}: is no indicator with {fields}; delete it or make it again")
    indicator = Indicator(**found)
    return indicator if num_videos in (None, indicator.num_videos) else None


def _is_indicator(found: Any) -> bool:
    """Whether what was read has the fields of an indicator, each of its kind."""
    if not isinstance(found, dict) or set(found) != set(Indicator._fields):
        return False
    numbers = [found["threshold"], found["recall"], found["num_videos"]]
    if not isinstance(found["score"], str) or not all(isinstance(one, (int, float)) for one in numbers):
        return False
    known = found["known"]
    return isinstance(known, dict) and all(isinstance(followers, list) for followers in known.values())


@torch.no_grad()
def indicate(
    model: Retriever,
    indicator: Indicator,
    text: str,
    similarity: Float[Tensor, "1 V"],
    *,
    network: PreparedDenoiser,
    given: Conditioned,
    seed: int = 0,
) -> OffTheMap:
    """Say whether a text is off the map.

    Args:
        model: The model.
        indicator: Its indicator.
        text: The text.
        similarity: S of the text and all videos.
        network: The prepared network for text queries.
        given: What that needs of the text and its candidates.
        seed: Seed of the noise, for scores from the generator.

    Raises:
        ValueError: If there is no such score.
    """
    scores = similarity_scores(similarity, temperature=1 / float(model.logit_scale))
    scores |= word_pair_scores([text], indicator.known, similarity)
    if indicator.score not in scores:
        query = torch.zeros(1, dtype=torch.long, device=similarity.device)
        proposed = similarity.sort(dim=1, descending=True).values[:, : given.own.shape[1]]
        scores = block_scores(model, "text_to_video", network, given, query, similarity=proposed, seed=seed)
    if indicator.score not in scores:
        raise ValueError(f"the indicator goes by {indicator.score!r}, of which this model knows nothing")
    value = float(scores[indicator.score])
    return OffTheMap(indicator.score, value, indicator.threshold, value > indicator.threshold)
