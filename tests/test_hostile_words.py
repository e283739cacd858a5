"""Captions, queries and names of files are words wherever they are shown: in HTML, in SVG, in plotly's own markup."""

from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
import torch
from served_page import HOSTILE_FILES, HOSTILE_WORDS, chromium, write_hostile_index
from tiny_demo import make_samples

from diffret_core.cli.main import main
from diffret_core.course.demo.collection import SampleCollection
from diffret_core.course.demo.pictures import compared_html, results_html
from diffret_core.course.demo.running import run
from diffret_core.course.demo.state import default_state
from diffret_core.course.demo.token_map import token_map, token_map_svg
from diffret_core.course.demo.walk_picture import walk_svg
from diffret_core.course.layout import slider
from diffret_core.course.prediction_picture import two_orders
from diffret_core.course.rankings import ranking_html, three_rankings_html
from diffret_core.course.stills import stills_html
from diffret_core.course.strips import strip_html
from diffret_core.course.token_picture import tokens_html
from diffret_core.course.video_rows import Playing, video_rows_html
from diffret_core.search import search

PLAIN = "plain"
FRAMES = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)


class Tags(HTMLParser):
    """The tags of a page with the names of their attributes, in order, and its words."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, *(name for name, _ in attributes)))
        self.words += [value for _, value in attributes if value]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return make_samples(tmp_path_factory.mktemp("samples"))


def rows_of(words, samples):
    """Playing videos, all of them with the same words as heading, caption and note."""
    path = samples.video_path(samples.video_ids[0])
    return video_rows_html({words: [Playing(path, words, words)]})


def rankings_of(words, samples):
    """A ranking whose query and captions are the words."""
    found = search(samples.model, samples.videos, samples.video_ids, words)
    named = samples._replace(captions=dict.fromkeys(samples.captions, words))
    return ranking_html(named, found) + three_rankings_html(named, found, meant=samples.video_ids[0])


def demo_of(words, samples):
    """All pictures of the demo: results, walk, map of words, two runs compared."""
    collection = SampleCollection(samples._replace(captions=dict.fromkeys(samples.captions, words)))
    asked = default_state(samples.model.config, words)
    shown, other = run(collection, asked), run(collection, default_state(samples.model.config, f"{words} other"))
    pictures = [results_html(shown, num_shown=3), compared_html(shown, other, num_shown=3), walk_svg(shown, 0)]
    assert len(token_map(collection, shown, 1).words) > 2
    return "".join(pictures)


SHOWN = {
    "strip": lambda words, _: strip_html(FRAMES, [0.0, 1.0], caption=words),
    "stills": lambda words, _: stills_html(FRAMES[None], [words]),
    "tokens": lambda words, _: tokens_html([[words]], torch.tensor([[1, 5, 2]]), torch.ones(1, 3, dtype=torch.bool)),
    "orders": lambda words, _: two_orders([words, f"{words} other"], [f"{words} other", words]),
    "rows": rows_of,
    "rankings": rankings_of,
    "demo": demo_of,
}


@pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN)
def test_words_add_no_tag_and_stay_as_they_were_written(samples, shown):
    hostile, plain = Tags(shown(HOSTILE_WORDS, samples)), Tags(shown(PLAIN, samples))
    if shown is not rankings_of and shown is not demo_of:  # where another query gives another order, and other words
        assert hostile.tags == plain.tags
    assert set(hostile.tags) <= set(plain.tags)
    assert any(HOSTILE_WORDS in words for words in hostile.words)


def test_map_of_words_shows_them_as_words(samples):
    collection = SampleCollection(samples)
    shown = run(collection, default_state(samples.model.config, HOSTILE_WORDS))
    drawn = Tags(token_map_svg(token_map(collection, shown, 1)))
    assert {tag for tag, *_ in drawn.tags} == {"div", "b", "br", "svg", "text", "rect"}
    assert any(HOSTILE_WORDS in words for words in drawn.words)


def test_slider_of_a_figure_shows_names_as_words_and_finds_its_frames():
    (step,) = slider([HOSTILE_WORDS], "")["steps"]
    assert "<" not in step["label"]
    assert step["args"][0] == [HOSTILE_WORDS]


@pytest.fixture(scope="module")
def plots(tmp_path_factory):
    """A folder with the walk of a search, as a page and as a drawing; the query and all names of files are markup."""
    folder = tmp_path_factory.mktemp("plots")
    index = str(write_hostile_index(folder))
    for name in ("walk.html", "walk.svg"):
        assert main(["search", f"{HOSTILE_WORDS} --> x", "--index", index, "--save-plot", str(folder / name)]) == 0
    return folder


def test_saved_drawing_holds_nothing_of_the_words_but_their_shapes(plots):
    drawn = ElementTree.parse(plots / "walk.svg").iter()  # without comments
    tags = {element.tag.split("}")[-1] for element in drawn}
    assert not tags & {"script", "img", "image", "a", "foreignObject"}


def test_saved_page_runs_nothing_and_shows_names_as_they_are(plots):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1000, "height": 800})
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((plots / "walk.html").as_uri())
        page.locator(".js-plotly-plot .bars path").first.wait_for(state="attached")
        shown = "".join(page.text_content(".gtitle").split())  # a long title is broken into lines, between words
        assert "".join(HOSTILE_WORDS[:60].split()) in shown
        pointed = (
            "bar => Plotly.Fx.hover(document.querySelector('.js-plotly-plot'), [{curveNumber: 0, pointNumber: bar}])"
        )
        said = ""
        for bar in range(len(HOSTILE_FILES)):
            page.evaluate(pointed, bar)
            page.locator(".hoverlayer", has_text=f"candidate {bar + 1}:").wait_for(state="attached")
            said += page.text_content(".hoverlayer")
        assert [name for name in HOSTILE_FILES if name not in said] == []
        harmed = "document.querySelector('img[src=x], svg[onload], [onerror], .main-svg a')"
        assert page.evaluate(f"window.hurt === undefined && {harmed} === null")
        assert [address for address in asked if not address.startswith(("file:", "data:", "blob:"))] == []
