"""A box to type a sentence into: where it lands among queries whose answers are known, and what a search says of it."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

import torch

from diffret_core.course.known_words import unknown_pieces
from diffret_core.course.landing_picture import landing_picture, landing_words
from diffret_core.course.live import show_live, small
from diffret_core.course.matched_figure import Scored
from diffret_core.course.search_box import SearchBox, make_box
from diffret_core.course.setup import Samples
from diffret_core.indicator import Indicator
from diffret_core.off_the_map import generator_scores, similarity_scores, word_pair_scores
from diffret_core.search import Search, prepare_gallery, search


def landing_box(
    samples: Samples, scores: Mapping[str, Scored], indicator: Indicator | None, examples: Sequence[str]
) -> None:
    """Show a box that has already answered its first example; without a kernel, words on all examples.

    Args:
        samples: What is searched, and with which model.
        scores: Of matched and of unmatched queries, by name: those of `off_the_map`.
        indicator: What `diffret search` goes by; None if the model has none.
        examples: Sentences to start from; at least one.
    """
    box = make_landing_box(samples, scores, indicator, examples)
    asked = _asker(samples, scores, indicator)
    answers = "".join(
        f"<li>{_heading(found, unknown)}{_in_lines(landing_words(scores, values, indicator))}</li>"
        for found, unknown, values in map(asked, examples)
    )
    show_live(box.whole, f"<p><i>Run this cell and a box appears here. It answers like this:</i></p><ul>{answers}</ul>")


def make_landing_box(
    samples: Samples, scores: Mapping[str, Scored], indicator: Indicator | None, examples: Sequence[str]
) -> SearchBox:
    """Build the box and answer the first example; see `landing_box`.

    Raises:
        ValueError: If there is no example.
    """
    asked = _asker(samples, scores, indicator)

    def respond(text: str) -> str:
        found, unknown, values = asked(text)
        picture = landing_picture(scores, values, indicator)
        return f"{_heading(found, unknown)}{picture}{_in_lines(landing_words(scores, values, indicator))}"

    told = "up: matched queries, down: unmatched ones of all kinds; dashed: the threshold named below"
    return make_box(examples, respond, done=told)


Answer = tuple[Search, list[str], dict[str, float]]


def _asker(samples: Samples, scores: Mapping[str, Scored], indicator: Indicator | None) -> Callable[[str], Answer]:
    """Make a function that searches for a text, names its unknown pieces, and gives its scores."""
    model, videos = samples.model, samples.videos
    gallery = prepare_gallery(model, videos)

    @torch.no_grad()
    def ask(text: str) -> Answer:
        found = search(model, gallery, samples.video_ids, text, indicator=indicator)
        texts = model.encode_texts([text])
        rows = model.similarity(texts, videos)
        own = similarity_scores(rows, temperature=1 / float(model.logit_scale))
        own |= word_pair_scores([text], {} if indicator is None else indicator.known, rows)
        own |= generator_scores(model, "text_to_video", texts, videos, rows)[0]
        return found, unknown_pieces(model, text), {name: float(own[name]) for name in scores}

    return ask


def _heading(found: Search, unknown: Sequence[str]) -> str:
    off = found.off_the_map
    verdict = "this model has no indicator" if off is None else str(off)
    words = f"Words never learned: {', '.join(unknown)}" if unknown else "All words are known"
    return (
        f"<p><b>“{escape(found.text)}”</b>. <code>diffret search</code> says: <b>{escape(verdict)}</b>. "
        f"{escape(words)}.</p>"
    )


def _in_lines(lines: Sequence[str]) -> str:
    return small("<br>".join(map(escape, lines)))
