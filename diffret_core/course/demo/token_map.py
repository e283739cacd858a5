"""A sentence and a video compared word by frame, as a heat map: where a result's similarity comes from."""

from html import escape
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.demo.running import DemoCollection, Run
from diffret_core.course.style import FONT, INK, PAPER, SIMILARITY
from diffret_core.encoders import token_names, tokenize
from diffret_core.retriever import Retriever

NEGATIVE = "#e69f00"
_LEFT, _TOP, _CELL, _ROW = 150, 54, 58, 26


class TokenMap(NamedTuple):
    """Words and frames of one pair, only real ones.

    Attributes:
        sentence: The sentence.
        words: Its tokens.
        cosine: Cosine of every word with every frame.
        word_weight: How much each word counts.
        frame_weight: How much each frame counts.
        similarity: What it all comes to; see `similarity.TokenInteraction`.
    """

    sentence: str
    words: list[str]
    cosine: Float[Tensor, "W F"]
    word_weight: Float[Tensor, " W"]
    frame_weight: Float[Tensor, " F"]
    similarity: float


@torch.no_grad()
def token_map(collection: DemoCollection, run: Run, rank: int) -> TokenMap:
    """Compare the sentence and the video of a result.

    Args:
        collection: What was searched; its model compares.
        run: The answer.
        rank: Which of its results, 1 for the best.

    Raises:
        ValueError: If there is no such result, or the model does not compare word by frame.
    """
    model = collection.model
    if not isinstance(model, Retriever):
        raise ValueError("a plain CLIP model compares whole sentences with whole videos; there is no map of words")
    if not 1 <= rank <= len(run.results):
        raise ValueError(f"rank is {rank}; this run has 1 to {len(run.results)}")
    result = run.results[rank - 1]
    texts, videos = run.walk.proposal.features_of(result.column)
    (asking,) = model.interaction.prepare_texts(texts.words, texts.word_mask)
    (asked,) = model.interaction.prepare_videos(videos.frames, videos.frame_mask)
    num_words, num_frames = int(texts.word_mask.sum()), int(videos.frame_mask.sum())  # real ones stand first
    sentence = run.state.query if run.state.direction == "text_to_video" else result.item.words
    word_ids, word_mask = tokenize([sentence], model.config.max_words)
    return TokenMap(
        sentence=sentence,
        words=token_names(word_ids[word_mask].tolist()),
        cosine=(asking.features[0, :num_words] @ asked.features[0, :num_frames].T).cpu(),
        word_weight=asking.weight[0, :num_words].cpu(),
        frame_weight=asked.weight[0, :num_frames].cpu(),
        similarity=result.similarity,
    )


def token_map_svg(shown: TokenMap) -> str:
    """Draw a map: a row a word, a column a frame, time from left to right, weights beside and above.

    Args:
        shown: The pair.

    Returns:
        SVG; every word in it is escaped.
    """
    num_words, num_frames = shown.cosine.shape
    width, height = _LEFT + num_frames * _CELL + 20, _TOP + num_words * _ROW + 12
    strongest = float(shown.cosine.abs().max())
    marks = [_label(_LEFT - 8, _TOP - 8, "weight", "end")]
    marks += [
        _label(_LEFT + (column + 0.5) * _CELL, _TOP - 8, f"{weight:.2f}") + _frame_name(column)
        for column, weight in enumerate(shown.frame_weight.tolist())
    ]
    for row, (word, weight) in enumerate(zip(shown.words, shown.word_weight.tolist(), strict=True)):
        y = _TOP + row * _ROW
        marks.append(_label(_LEFT - 8, y + 17, f"{word} · {weight:.2f}", "end"))
        best = int(shown.cosine[row].argmax())
        marks += [
            _square(column, y, cosine, strongest, is_best=column == best)
            for column, cosine in enumerate(shown.cosine[row].tolist())
        ]
    told = f"{num_words} words by {num_frames} frames, similarity {shown.similarity:.3f}"
    return (
        f'<div style="overflow-x:auto; background:{PAPER}; color:{INK}; padding:8px; line-height:1.4; font-size:12px">'
        f"<b>“{escape(shown.sentence)}”</b> against the video: {told}. Blue: alike; orange: opposed; framed: the best "
        "frame of a word. Beside each word and above each frame: how much it counts. “end” closes every sentence; it "
        f'has read all words before it.<br><svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(told)}" '
        f'style="width:100%; min-width:{min(width, 480)}px; max-width:{width}px; font:12px {FONT}" fill="{INK}">'
        f"{''.join(marks)}</svg></div>"
    )


def _square(column: int, y: float | int, cosine: float, strongest: float, *, is_best: bool) -> str:
    colour = SIMILARITY if cosine >= 0 else NEGATIVE
    border = f'stroke="{INK}" stroke-width="2"' if is_best else ""
    x, part = _LEFT + column * _CELL, abs(cosine) / (strongest or 1)
    ink = PAPER if cosine >= 0 and part > 0.6 else INK
    return (
        f'<rect x="{x + 1}" y="{y + 1}" width="{_CELL - 2}" height="{_ROW - 2}" fill="{colour}" '
        f'fill-opacity="{part:.2f}" {border}/>'
        f'<text x="{x + _CELL / 2}" y="{y + 17}" text-anchor="middle" fill="{ink}">{cosine:.2f}</text>'
    )


def _frame_name(column: int) -> str:
    return _label(_LEFT + (column + 0.5) * _CELL, _TOP - 26, f"frame {column + 1}")


def _label(x: float | int, y: float | int, words: str, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'
