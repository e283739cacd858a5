"""Does it know what it does not know? Queries that match nothing against those that match something, score by score."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from diffret_core.config import DIRECTIONS, Direction
from diffret_core.detection import (
    RECALL,
    calibration,
    calibration_error,
    detection_measures,
    interval_of,
    resampled,
    risk_coverage,
    threshold_at_recall,
)
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.galleries import encode_captions
from diffret_core.off_the_map import INDICATOR_FILE, Indicator, generator_scores, similarity_scores, write_indicator
from diffret_core.randomness import numpy_generator
from diffret_core.ranking import combined_scores
from diffret_core.retriever import Generated, Retriever
from diffret_core.scenes.foreign_sentences import EVERYDAY, OTHER_LANGUAGES, halves
from diffret_core.scenes.manifest import update_manifest
from diffret_core.scenes.unmatched import (
    annotated_videos,
    near_misses,
    never_seen,
    shuffled_words,
    videos_without_caption,
)
from diffret_core.studies.declaration import BASELINE, Arm, Cell, Measured, Study
from diffret_core.studies.setting import TEST, VALIDATION, Setting
from diffret_core.studies.table import StudyTable, read_study
from diffret_core.studies.training import baseline_model

SHIFTED = "shifted"
MATCHED, MEAN = "matched", "mean"


class Asked(NamedTuple):
    """Queries of one direction, the matched ones first, then kind by kind.

    Attributes:
        texts: All texts: those that ask, or the gallery.
        videos: All videos: the gallery, or those that ask.
        rows: Similarity of the gallery's items to each query; -inf where an item is taken out for that query.
        numbers: How many queries there are of each kind, "matched" first.
        is_answer: Which items answer each matched query.
    """

    texts: TextFeatures
    videos: VideoFeatures
    rows: Float[Tensor, "Q V"]
    numbers: dict[str, int]
    is_answer: Bool[Tensor, "M V"]


def unmatched_texts(video_ids: Sequence[str], captions: Sequence[str], *, measured: bool) -> dict[str, list[str]]:
    """Give texts that match no video of a gallery, by kind; of other languages it is the language that matches none.

    Args:
        video_ids: The gallery: videos of the sample collection.
        captions: Its captions.
        measured: Which half of the sentences of ours to give: that to measure on, or that to choose a score on.
    """
    gallery = annotated_videos(video_ids)
    foreign = [halves(sentences)[measured] for sentences in OTHER_LANGUAGES.values()]
    return {
        "near misses": [one.caption.text for one in near_misses(gallery)],
        "never seen": [one.caption.text for one in never_seen(gallery)],
        "everyday": halves(EVERYDAY)[measured],
        "shuffled words": shuffled_words(captions),
        "other languages": [sentence for sentences in foreign for sentence in sentences],
    }


def _asking_texts(model: Retriever, setting: Setting, name: str) -> Asked:
    gallery, similarity = setting.listed(name)
    kinds = unmatched_texts(gallery.video_ids, gallery.captions, measured=name == TEST)
    others = encode_captions(model, [text for texts in kinds.values() for text in texts])
    texts = TextFeatures(*(torch.cat(both) for both in zip(gallery.texts, others, strict=True)))
    rows = torch.cat([similarity, model.similarity(others, gallery.videos)])
    numbers = {MATCHED: len(similarity), **{kind: len(texts) for kind, texts in kinds.items()}}
    is_answer = gallery.video_of_text[:, None] == torch.arange(len(gallery.video_ids), device=similarity.device)
    return Asked(texts, gallery.videos, rows, numbers, is_answer)


def _asking_videos(model: Retriever, setting: Setting, name: str) -> Asked:
    """Let videos ask: half of those in the shifted style that no caption describes, and the own without captions."""
    (gallery, similarity), shifted = setting.listed(name), setting.listed(SHIFTED).gallery
    middle = len(shifted.video_ids) // 2
    half = shifted.video_ids[middle:] if name == TEST else shifted.video_ids[:middle]
    alone = videos_without_caption(annotated_videos(half), annotated_videos(gallery.video_ids))
    place = [shifted.video_ids.index(video) for video in alone]
    others = VideoFeatures(*(part[place] for part in shifted.videos))
    videos = VideoFeatures(*(torch.cat([own, other, own]) for own, other in zip(gallery.videos, others, strict=True)))
    own = similarity.T
    is_answer = gallery.video_of_text == torch.arange(len(own), device=own.device)[:, None]
    without = own.masked_fill(is_answer, -torch.inf)
    rows = torch.cat([own, model.similarity(gallery.texts, others).T, without])
    numbers = {MATCHED: len(own), "shifted style": len(alone), "caption taken out": len(own)}
    return Asked(gallery.texts, videos, rows, numbers, is_answer)


@torch.no_grad()
def measure_detection(cell: Cell, setting: Setting) -> Measured:
    """Score all queries of validation and of test by everything; what is best on validation is marked as chosen.

    Raises:
        ValueError: If the lists are not those of the sample collection.
    """
    if not {VALIDATION, TEST, SHIFTED} <= set(setting.lists):
        raise ValueError(
            "this study asks what is proved to match nothing, which only the samples know: leave out --data"
        )
    model = baseline_model(cell.seed, setting)
    found = Measured([], {})
    chosen: dict[str, Any] = {}
    for name in (VALIDATION, TEST):
        for direction in DIRECTIONS:
            started = time.monotonic()
            asked = (_asking_texts if direction == "text_to_video" else _asking_videos)(model, setting, name)
            listen = partial(setting.listen, f"generating for {name}")
            given = asked.texts, asked.videos, asked.rows
            scores, generated = generator_scores(model, direction, *given, seed=cell.seed, progress=listen)
            scores = similarity_scores(asked.rows, temperature=1 / float(model.logit_scale)) | scores
            rows = _rows(asked, scores, generated, model, direction)
            seconds = round(time.monotonic() - started, 2)
            if name == VALIDATION:
                chosen[direction] = max((row for row in rows if row["kind"] == MEAN), key=lambda row: row["auroc"])
            own = {"list": name, "direction": direction}
            for row in rows:
                is_chosen = int(row["method"] == chosen[direction]["method"])
                found.rows.append({**own, **row, "chosen": is_chosen, "seconds": seconds})
            places = {f"{name}/{direction}/{score}": _places(value) for score, value in scores.items()}
            found.ranks.update(places)
    return found


def _rows(
    asked: Asked, scores: dict[str, Tensor], generated: Generated, model: Retriever, direction: Direction
) -> list[dict[str, Any]]:
    """Make a row for each score and kind, and for each score's mean over the kinds, each kind counting the same."""
    wrong = _wrong_answers(asked, generated, model)
    errors = _calibration_errors(asked, scores, generated)
    counts = {
        kind: resampled(number, numpy_generator(0, f"detection {direction} {kind}"))
        for kind, number in asked.numbers.items()
    }
    rows = []
    kinds = list(asked.numbers)[1:]
    for score, values in scores.items():
        matched, *unmatched = values.cpu().split(list(asked.numbers.values()))
        measures, risks = [], []
        for kind, own in zip(kinds, unmatched, strict=True):
            measures.append(detection_measures(matched, own, counts[MATCHED], counts[kind]))
            all_wrong = torch.cat([wrong, torch.ones(len(own), dtype=torch.bool)])
            risks.append(float(risk_coverage(torch.cat([matched, own]), all_wrong).mean()))
        aurocs, rates = zip(*measures, strict=True)
        mean = (sum(one) / len(kinds) for one in (aurocs, rates, risks))
        measured_kinds: list[tuple[Any, ...]] = [*zip(kinds, map(len, unmatched), aurocs, rates, risks, strict=True)]
        for kind, number, auroc, rate, risk in [*measured_kinds, (MEAN, sum(map(len, unmatched)), *mean)]:
            about = {"method": score, "kind": kind, "num_queries": number, "num_matched": len(matched)}
            measured = {**_interval("auroc", auroc), **_interval("fpr95", rate), "risk_area": round(risk, 4)}
            others = {"calibration_error": errors.get(score, float("nan")), "threshold": threshold_at_recall(matched)}
            rows.append({**about, **measured, **others})
    return rows


def _interval(name: str, measure: Any) -> dict[str, float]:
    value, low, high = interval_of(measure)
    return {name: round(value, 4), f"{name}_low": round(low, 4), f"{name}_high": round(high, 4)}


def _wrong_answers(asked: Asked, generated: Generated, model: Retriever) -> Bool[Tensor, " M"]:
    """Say which matched queries get a wrong first answer from the combined score."""
    number, scoring = asked.numbers[MATCHED], model.config.scoring
    candidates, sample = (one[:number] for one in generated)
    combined = combined_scores(
        asked.rows[:number], candidates, sample, alpha=scoring.alpha, temperature=scoring.temperature
    )
    return ~asked.is_answer.gather(1, combined.argmax(dim=1)[:, None])[:, 0].cpu()


def _calibration_errors(asked: Asked, scores: dict[str, Tensor], generated: Generated) -> dict[str, float]:
    """Compare the two probabilities that are claimed of matched queries' answers with how often these are right."""
    number = asked.numbers[MATCHED]
    first = {
        "softmax": asked.rows[:number].argmax(dim=1, keepdim=True),
        "probability": generated.candidates[:number].gather(1, generated.sample[:number].argmax(dim=1, keepdim=True)),
    }
    right = {name: asked.is_answer.gather(1, item)[:, 0] for name, item in first.items()}
    return {name: round(calibration_error(calibration(-scores[name][:number], one)), 4) for name, one in right.items()}


def _places(values: Float[Tensor, " Q"]) -> Tensor:
    """Number the distinct scores from 1 up: all that AUROC, false-positive rate, risk and coverage depend on."""
    return values.cpu().unique(return_inverse=True)[1] + 1


def indicator_of(table: StudyTable) -> Indicator:
    """Give the indicator of text queries: the score and the threshold of validation, both of the first seed."""
    of = {"list": VALIDATION, "direction": "text_to_video", "kind": MEAN, "chosen": 1}
    row = next(row for row in table.rows if all(row[name] == value for name, value in of.items()))
    return Indicator(row["method"], row["threshold"], RECALL, row["num_matched"])


def ship_indicator(folder: Path, samples: Path) -> Path:
    """Put the indicator of a study of the shipped model beside that model, and enter it in the manifest.

    Args:
        folder: Of the study's files.
        samples: The sample collection.
    """
    write_indicator(samples / "model", indicator_of(read_study(folder)))
    update_manifest(samples, {f"model/{INDICATOR_FILE}": {}})
    return samples / "model" / INDICATOR_FILE


OOD = Study(
    name="ood",
    what="does a score tell queries that match nothing from those that match something?",
    baseline={},
    arms=(Arm(BASELINE),),
    measure=measure_detection,
)
