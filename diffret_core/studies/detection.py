"""Does it know what it does not know? Queries that match nothing against those that match something, score by score."""

import time
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diffret_core.confidence import calibration, calibration_error, risk_coverage
from diffret_core.config import DIRECTIONS, Direction
from diffret_core.datasets import Collection
from diffret_core.detection import detection_measures, interval_of, threshold_at_recall
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.galleries import encode_captions
from diffret_core.off_the_map import generator_scores, similarity_scores, word_pair_scores
from diffret_core.ranking import combined_scores
from diffret_core.retriever import Generated, Retriever
from diffret_core.scenes.unmatched import annotated_videos, videos_without_caption
from diffret_core.studies.declaration import BASELINE, Arm, Cell, Measured, Study
from diffret_core.studies.kinds import MADE_FROM, MATCHED, MEAN, drawn_anew, unmatched_kinds
from diffret_core.studies.setting import TEST, VALIDATION, Setting
from diffret_core.studies.training import baseline_model
from diffret_core.word_pairs import WordPairs, known_pairs

SHIFTED = "shifted"


class Asked(NamedTuple):
    """Queries of one direction, the matched ones first, then kind by kind.

    Attributes:
        texts: All texts: those that ask, or the gallery.
        videos: All videos: the gallery, or those that ask.
        rows: Similarity of the gallery's items to each query; -inf where an item is taken out for that query.
        numbers: How many queries there are of each kind, "matched" first.
        is_answer: Which items answer each matched query.
        made_from: The number of the matched query that each was made from, counted from 1; 0: from none.
        sentences: The texts that ask; empty where videos ask.
    """

    texts: TextFeatures
    videos: VideoFeatures
    rows: Float[Tensor, "Q V"]
    numbers: dict[str, int]
    is_answer: Bool[Tensor, "M V"]
    made_from: Int[Tensor, " Q"]
    sentences: list[str]


def _asking_texts(model: Retriever, setting: Setting, name: str) -> Asked:
    gallery, similarity = setting.listed(name)
    kinds = unmatched_kinds(gallery.video_ids, gallery.captions, measured=name == TEST)
    added = [text for kind in kinds.values() for text in kind.texts]
    others = encode_captions(model, added)
    texts = TextFeatures(*(torch.cat(both) for both in zip(gallery.texts, others, strict=True)))
    rows = torch.cat([similarity, model.similarity(others, gallery.videos)])
    numbers = {MATCHED: len(similarity), **{kind: len(own.texts) for kind, own in kinds.items()}}
    is_answer = gallery.video_of_text[:, None] == torch.arange(len(gallery.video_ids), device=similarity.device)
    made_from = [1 + torch.arange(len(similarity))]
    made_from += [torch.tensor([1 + one for one in own.made_from or [-1] * len(own.texts)]) for own in kinds.values()]
    return Asked(texts, gallery.videos, rows, numbers, is_answer, torch.cat(made_from), [*gallery.captions, *added])


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
    each = 1 + torch.arange(len(own))
    made_from = torch.cat([each, torch.zeros_like(each[:1]).expand(len(alone)), each])
    return Asked(gallery.texts, videos, rows, numbers, is_answer, made_from, [])


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
    known = trained_pairs(setting.collection)
    for name in (VALIDATION, TEST):
        for direction in DIRECTIONS:
            started = time.monotonic()
            asked = (_asking_texts if direction == "text_to_video" else _asking_videos)(model, setting, name)
            listen = partial(setting.listen, f"generating for {name}")
            given = asked.texts, asked.videos, asked.rows
            scores, generated = generator_scores(model, direction, *given, seed=cell.seed, progress=listen)
            scores = similarity_scores(asked.rows, temperature=1 / float(model.logit_scale)) | scores
            if asked.sentences:
                scores |= word_pair_scores(asked.sentences, known, asked.rows)
            rows = _rows(asked, scores, generated, model, direction)
            seconds = round(time.monotonic() - started, 2)
            if name == VALIDATION:
                chosen[direction] = max((row for row in rows if row["kind"] == MEAN), key=lambda row: row["auroc"])
            own = {"list": name, "direction": direction}
            for row in rows:
                is_chosen = int(row["method"] == chosen[direction]["method"])
                found.rows.append({**own, **row, "chosen": is_chosen, "seconds": seconds})
            places = {f"{name}/{direction}/{score}": _places(value) for score, value in scores.items()}
            found.ranks.update(places | {f"{name}/{direction}/{MADE_FROM}": asked.made_from})
    return found


def _rows(
    asked: Asked, scores: dict[str, Tensor], generated: Generated, model: Retriever, direction: Direction
) -> list[dict[str, Any]]:
    """Make a row for each score and kind, and for each score's mean over the kinds, each kind counting the same."""
    wrong = _wrong_answers(asked, generated, model)
    errors = _calibration_errors(asked, scores, generated)
    counts = drawn_anew(asked.numbers, asked.made_from, direction)
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


def trained_pairs(collection: Collection) -> WordPairs:
    """Collect the word pairs of the captions that a model of this collection is trained on."""
    return known_pairs(caption.text for caption in collection.pairs("train"))


OOD = Study(
    name="ood",
    what="does a score tell queries that match nothing from those that match something?",
    baseline={},
    arms=(Arm(BASELINE),),
    measure=measure_detection,
)
