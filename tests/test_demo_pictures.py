"""What the demo draws: the numbers of the run, and every word, id and file name escaped."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch
from own_videos import NAME, tiny_model, write_folder
from tiny_demo import HOSTILE, make_samples

from diffret_core.course.demo.changes import changes_in_words
from diffret_core.course.demo.collection import Item, SampleCollection
from diffret_core.course.demo.off_the_map import off_the_map_in_words
from diffret_core.course.demo.own_videos import IndexCollection
from diffret_core.course.demo.pictures import compared_html, places_in_words, results_html
from diffret_core.course.demo.running import Run, run
from diffret_core.course.demo.state import default_state
from diffret_core.course.demo.token_map import token_map, token_map_svg
from diffret_core.course.demo.walk_picture import candidates_svg, level_shown, walk_svg
from diffret_core.course.denoising import relative_heights
from diffret_core.course.thumbnails import Part
from diffret_core.encoders import token_names, tokenize
from diffret_core.index import build_index, open_index, search_index
from diffret_core.indicator import OffTheMap

TEXT = "a red circle moves left"


class Page(HTMLParser):
    """What a browser makes of HTML: its texts, and its elements with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.words, self.elements = [], []
        self.feed(page)

    def handle_data(self, data):
        self.words.append(data)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))


def elements(page, tag):
    return [attributes for name, attributes in Page(page).elements if name == tag]


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return SampleCollection(make_samples(tmp_path_factory.mktemp("samples")))


@pytest.fixture(scope="module")
def answer(collection):
    """Answers with some controls changed."""
    base = default_state(collection.model.config, TEXT)

    def answered(**changes) -> Run:
        return run(collection, replace(base, **changes))

    return answered


@pytest.fixture
def hostile(answer):
    """A run whose query, ids, captions and file names are all an attack."""
    found = answer(num_draws=2)
    items = [
        Item(f"{HOSTILE}{number}", f"{HOSTILE}{number}", one.path.with_name(f"{HOSTILE}.mp4"), Part(70.0))
        for number, one in enumerate(found.walk.proposal.items)
    ]
    walk = found.walk._replace(proposal=found.walk.proposal._replace(items=items))
    state = replace(found.state, query=HOSTILE)
    return Run(state, [one._replace(item=items[one.column]) for one in found.results], walk)


def test_results_show_each_video_with_its_numbers(answer):
    found = answer(alpha=30.0)
    page = results_html(found, num_shown=3)
    words = " ".join(Page(page).words)
    for one in found.results[:3]:
        for number in (one.similarity, one.generated_probability, one.combined_score):
            assert f"{number:.3f}" in words
        assert one.item.words in words
        assert places_in_words(one) in words
    assert [image["alt"] for image in elements(page, "img")] == [one.item.words for one in found.results[:3]]
    assert all(image["src"].startswith("data:image/webp;base64,") for image in elements(page, "img"))


def test_change_of_place_is_told_with_its_direction(answer):
    one = answer().results[0]
    assert places_in_words(one._replace(rank=2, similarity_rank=5)) == "▲ from 5."
    assert places_in_words(one._replace(rank=5, similarity_rank=2)) == "▼ from 2."
    assert places_in_words(one._replace(rank=2, similarity_rank=2)) == "not moved"


def test_nothing_hostile_becomes_an_element(collection, hostile, answer):
    pages = [
        results_html(hostile, num_shown=4),
        compared_html(hostile, answer(), num_shown=4),
        compared_html(answer(), hostile, num_shown=4),
        walk_svg(hostile, 1),
        candidates_svg(hostile, []),
        token_map_svg(token_map(collection, answer(), 1)._replace(sentence=HOSTILE, words=[HOSTILE] * 7)),
    ]
    for page in pages:
        found = Page(page).elements
        assert not any("onerror" in attributes for _, attributes in found)
        assert not any(attributes.get("src") == "x" for _, attributes in found)
        assert "onerror" in page  # it is there, as words
    (drawing,) = elements(walk_svg(hostile, 1), "svg")
    assert HOSTILE in drawing["aria-label"]


def test_video_whose_file_is_gone_is_said_to_be(hostile):
    page = results_html(hostile, num_shown=2)
    assert elements(page, "img") == []
    assert page.count("gone or cannot be read") == 2
    assert page.count("from 1:10") == 2


def test_missing_file_is_marked_in_the_table_of_two_runs(hostile, answer):
    assert compared_html(hostile, hostile, num_shown=2).count("(missing)") == 4
    assert "(missing)" not in compared_html(answer(), answer(), num_shown=2)


def test_what_is_meant_is_marked_and_its_place_told(collection, answer):
    caption = collection.captions[2]
    found = answer(query=caption.text)
    place = next(one.rank for one in found.results if one.item.id == caption.video_id)
    page = results_html(found, num_shown=4)
    assert f"the video it was written for: best at place {place} of 4" in page
    assert page.count("&#9733;") == 2  # its card, and that line
    assert "&#9733;" not in results_html(answer(), num_shown=4)
    asked = answer(query=caption.video_id, direction="video_to_text")
    own = [one.rank for one in asked.results if one.item.id == caption.video_id]
    page = results_html(asked, num_shown=len(asked.results))
    assert f"a caption of the video that asks: best at place {own[0]} of " in page
    assert page.count("&#9733;") == len(own) + 1
    assert elements(page, "img")[0]["alt"] == next(
        one.words for one in collection.asking_videos if one.id == caption.video_id
    )


# --- the walk --------------------------------------------------------------------------------------------------------


def test_level_shown_is_the_mean_of_all_draws(answer):
    found = answer(num_draws=3, eta=0.5)
    first, last = level_shown(found.walk, 0), level_shown(found.walk, len(found.walk.levels) - 1)
    assert (first.k, last.k) == (20, 0)
    assert torch.equal(first.state, found.walk.states[0].mean(dim=0))
    assert torch.equal(first.estimate, found.walk.estimates[0].mean(dim=0))
    assert torch.equal(last.state, last.estimate)
    with pytest.raises(ValueError, match="place is 21"):
        level_shown(found.walk, 21)


@pytest.mark.parametrize("place", [0, 10, 20])
def test_bars_are_as_high_as_the_states(answer, place):
    found = answer()
    heights = [float(one["height"]) for one in elements(walk_svg(found, place), "rect")]
    expected = relative_heights(found.walk.states[:, 0])[place]
    drawn = (torch.tensor(heights) - min(heights)) / (max(heights) - min(heights))
    assert torch.allclose(drawn, expected, atol=2e-3)
    assert f"noise level {found.walk.levels[place]} of 20" in walk_svg(found, place)


def test_marked_candidates_are_those_that_end_first_and_are_named(answer):
    found = answer()
    best = found.walk.states[-1, 0].argsort(descending=True).tolist()
    words = " ".join(Page(candidates_svg(found, [])).words)
    for label, column in zip(("1st", "2nd", "3rd"), best, strict=True):
        assert f"{label}: {found.candidates[column].words}" in words


def test_candidates_are_pictured_below_their_bars(answer):
    found = answer()
    drawn = candidates_svg(found, ["data:1", "", "data:3"])
    images, boxes = elements(drawn, "image"), elements(drawn, "rect")
    assert [image["href"] for image in images] == ["data:1", "data:3"]
    bars = elements(walk_svg(found, 0), "rect")
    for picture, bar in zip([images[0], boxes[0], images[1]], bars, strict=True):
        middles = [float(one["x"]) + float(one["width"]) / 2 for one in (picture, bar)]
        assert middles[0] == pytest.approx(middles[1], abs=0.2)
    assert elements(candidates_svg(found, []), "rect") == []  # captions have no picture


def test_draws_are_dots_only_where_there_are_several(answer):
    assert elements(walk_svg(answer(), 3), "circle") == []
    assert len(elements(walk_svg(answer(num_draws=4), 3), "circle")) == 12


# --- words and frames ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["text_to_video", "video_to_text"])
def test_map_adds_up_to_the_similarity(collection, answer, direction):
    query = TEXT if direction == "text_to_video" else collection.asking_videos[1].id
    found = answer(query=query, direction=direction)
    for rank in (1, 4):
        shown = token_map(collection, found, rank)
        of_words = (shown.cosine.amax(dim=1) * shown.word_weight).sum()
        of_frames = (shown.cosine.amax(dim=0) * shown.frame_weight).sum()
        assert float(of_words + of_frames) / 2 == pytest.approx(found.results[rank - 1].similarity, abs=1e-5)
        assert len(shown.words) == len(shown.cosine)
        assert shown.words[0] == "start"
        assert shown.words[-1] == "end"
        assert len(elements(token_map_svg(shown), "rect")) == shown.cosine.numel()
    with pytest.raises(ValueError, match="rank is 99"):
        token_map(collection, found, 99)


def test_token_names_are_words_and_pieces():
    (word_ids,), (word_mask,) = tokenize(["A red zürchwards,"], 16)
    names = token_names(word_ids[word_mask].tolist())
    assert names[:3] == ["start", "a", "red"]
    assert names[-2:] == [",", "end"]
    assert "".join(names[3:-2]).replace("-", "") == "zürchwards"


# --- two runs --------------------------------------------------------------------------------------------------------


def test_changes_name_every_control_that_differs(answer):
    lines = changes_in_words(answer(), answer(seed=3, schedule="linear"), num_shown=3)
    assert lines[0] == "Controls: schedule “cosine” → “linear”; seed 0 → 3."
    assert changes_in_words(answer(), answer(), num_shown=3)[0] == "Controls: all the same."


def test_changes_count_and_name_what_moved(answer):
    before = answer()
    a, b, c, d = before.results
    after = before._replace(results=[one._replace(rank=rank) for rank, one in enumerate((c, a, d, b), start=1)])
    first, kept, moved = changes_in_words(before, after, num_shown=3)[1:]
    assert first == f"First was: {a.item.words}. First is now: {c.item.words}."
    assert kept == "2 of the best 3 are in both."
    assert moved == f"Of these, the one that moves furthest rises from place 3 to 1: {c.item.words}."
    assert changes_in_words(before, before, num_shown=3)[1:] == [
        f"First in both: {a.item.words}.",
        "3 of the best 3 are in both.",
    ]


def test_runs_of_both_directions_are_not_compared_by_place(collection, answer):
    other = answer(query=collection.asking_videos[0].id, direction="video_to_text")
    assert "cannot be compared" in changes_in_words(answer(), other, num_shown=3)[-1]


def test_comparison_shows_both_runs_with_the_place_in_the_other(answer):
    pinned, present = answer(), answer(alpha=40.0, seed=2)
    halves = compared_html(pinned, present, num_shown=4).split("<b>now</b>")
    for half, one, other in zip(halves, (pinned, present), (present, pinned), strict=True):
        cells = Page(half).words
        best = one.results[0]
        place = next(that.rank for that in other.results if that.column == best.column)
        numbers = [best.similarity, best.generated_probability, best.combined_score]
        row = ["1.", best.item.words, *(f"{number:.3f}" for number in numbers), f"{place}."]
        assert cells[cells.index("1.") :][:6] == row


# --- off the map -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_off", "verdict"), [(True, "Off the map: probably no video"), (False, "On the map: nothing")]
)
def test_words_say_whether_a_sentence_is_off_the_map_and_why(is_off, verdict):
    words = off_the_map_in_words(OffTheMap("similarity", -0.4, -0.5, is_off))
    assert words.startswith(verdict)
    assert "judged by similarity, is -0.400; " in words
    assert words.endswith("at most -0.500.")


# --- one's own videos ------------------------------------------------------------------------------------------------


def test_own_videos_are_found_as_the_index_is_searched(tmp_path):
    model = tiny_model()
    build_index(write_folder(tmp_path / "videos"), tmp_path / "index", model, NAME, num_workers=1)
    index = open_index(tmp_path / "index")
    own = IndexCollection(index, model)
    state = default_state(model.config, TEXT)
    found, shown = search_index(index, model, TEXT), run(own, state)
    assert [(one.item.id, one.item.part.start_seconds) for one in shown.results] == [
        (one.video, one.start_seconds) for one in found.results
    ]
    for name in ("similarity", "generated_probability", "combined_score"):
        expected = [getattr(one, name) for one in found.results]
        assert [getattr(one, name) for one in shown.results] == pytest.approx(expected, abs=1e-5)
    assert torch.allclose(shown.walk.states[:, 0], found.search.states, atol=1e-5)
    (long,) = (place for place, video in enumerate(index.videos) if video.id == "b/long.MOV")
    starts = [index.start_seconds[one] for one in (index.video_of_segment == long).nonzero().flatten().tolist()]
    for one in shown.results:
        ends = dict(zip(starts, [*starts[1:], None], strict=True)) if one.item.id == "b/long.MOV" else {0.0: None}
        assert one.item.part.end_seconds == ends[one.item.part.start_seconds]
    similarity = token_map(own, shown, 2)
    assert similarity.similarity == shown.results[1].similarity
    with pytest.raises(ValueError, match="no captions"):
        run(own, replace(state, direction="video_to_text"))
