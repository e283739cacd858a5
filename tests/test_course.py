"""The teaching layer: what it shows is what the search gave, and it stays readable, small and self-contained."""

import base64
import io
import json
import os
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image

from diffret_core.config import ModelConfig
from diffret_core.course import environment, live, rankings, search_box, setup, show, style, thumbnails
from diffret_core.course.denoising import describe_denoising, headline, leading, relative_heights
from diffret_core.course.denoising_figure import denoising_figure
from diffret_core.course.denoising_picture import save_picture, snapshot_indices
from diffret_core.course.figures import save_denoising_figure
from diffret_core.course.setup import Samples
from diffret_core.datasets import read_collection
from diffret_core.frames import read_frames
from diffret_core.galleries import encode_video_files
from diffret_core.locations import sample_folder
from diffret_core.retriever import Retriever
from diffret_core.search import Search, SearchResult, search

NUM_VIDEOS = 6
CLIP = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> Samples:
    """A few of the real sample videos and a random model."""
    torch.manual_seed(0)
    config = ModelConfig(clip=CLIP, max_words=32, max_frames=2, num_noise_levels=5, num_temporal_layers=1)
    model = Retriever(config).eval()
    collection = read_collection("msrvtt", sample_folder())
    video_ids = list(collection.video_ids("test"))[:NUM_VIDEOS]
    captions = {video: caption for caption, video in reversed(collection.pairs("test"))}
    paths = [collection.video_path(video) for video in video_ids]
    videos = encode_video_files(model, paths, cache_folder=tmp_path_factory.mktemp("features"))
    return Samples(model, collection, video_ids, videos, captions)


@pytest.fixture
def found(samples) -> Search:
    return search(samples.model, samples.videos, samples.video_ids, "a red circle moves left")


@pytest.fixture
def shown(monkeypatch) -> list:
    """What `display` was called with, as (object, raw) pairs."""
    calls: list = []
    for module in (show, live):
        monkeypatch.setattr(module, "display", lambda thing, raw=False: calls.append((thing, raw)))
    return calls


def made_up_search(states: torch.Tensor, text: str = "words") -> Search:
    """A search with given states, [L, N]; candidate j is called vj and has similarity -j."""
    num_levels, num_candidates = states.shape
    videos = [f"v{column}" for column in range(num_candidates)]
    results = [SearchResult(column + 1, video, 0.0, -float(column), 0.0, 0.0) for column, video in enumerate(videos)]
    levels = list(range(num_levels - 1, -1, -1))
    return Search(text, results, videos, -torch.arange(num_candidates).float(), levels, states, states[1:])


# --- environment -----------------------------------------------------------------------------------------------------


def test_environment_says_where_it_runs(capsys):
    environment.check()
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert f"torch {torch.__version__.split('+')[0]}" in said
    assert "on this computer" in said


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [({}, "20000"), ({"OMP_WAIT_POLICY": "active"}, None), ({"GOMP_SPINCOUNT": "7"}, "7")],
)
def test_environment_lets_waiting_threads_sleep_unless_told_otherwise(monkeypatch, chosen, expected):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # so that it is restored in any case
        monkeypatch.delenv(name)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    environment.check()
    assert os.environ.get("GOMP_SPINCOUNT") == expected


def test_environment_names_what_is_missing_in_one_line(monkeypatch):
    monkeypatch.setitem(environment.PACKAGES, "not_a_module", "not-a-package")
    with pytest.raises(
        ModuleNotFoundError, match=r"^this kernel lacks not-a-package: .*make lab.*pip install -e"
    ) as raised:
        environment.check()
    assert "\n" not in str(raised.value)


def test_environment_on_colab_holds_torch_at_its_version(monkeypatch, capsys):
    commands = []
    environment.install_beside_torch(Path("clone"), run=commands.append)
    assert f"torch=={torch.__version__}" in commands[0]
    assert commands[0][-1] == "clone"
    assert not any("upgrade" in word for word in commands[0])
    assert torch.__version__ in capsys.readouterr().out


def test_environment_leaves_an_ordinary_kernel_alone(monkeypatch):
    monkeypatch.setitem(environment.PACKAGES, "not_a_module", "not-a-package")
    monkeypatch.setattr(environment, "install_beside_torch", lambda root: pytest.fail("installed without being asked"))
    with pytest.raises(ModuleNotFoundError):
        environment.check()


# --- setup -----------------------------------------------------------------------------------------------------------


def test_setup_report_counts_what_is_there(samples):
    said = setup.report(samples.model, samples.collection)
    assert "1,000 to search" in said
    assert "8,000 for training" in said
    assert "noise levels 5 down to 0" in said
    assert f"{sum(int((p != 0).sum()) for p in samples.model.parameters()) / 1e6:.1f} million weights" in said


def test_setup_without_a_model_says_how_to_get_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="diffret train --recipe tiny"):
        setup.open_samples(model_folder=tmp_path)


# --- thumbnails ------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Collects (tag, attributes) of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def named(self, name: str) -> list[dict]:
        return [attributes for tag, attributes in self.found if tag == name]


def picture_of(data_uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data_uri.split("data:image/webp;base64,")[1])))


def frames_at(picture: Image.Image, num_frames: int) -> tuple[list[Image.Image], int]:
    """What is shown at each step of the clock, and for how long all of it; WebP joins frames that are alike."""
    shown, milliseconds, step = [], 0, 1000 // thumbnails.FRAMES_PER_SECOND
    for index in range(picture.n_frames):
        picture.seek(index)
        picture.load()
        milliseconds += picture.info["duration"]
        while len(shown) < num_frames and len(shown) * step < milliseconds:
            shown.append(picture.convert("RGB"))
    return shown, milliseconds


def test_thumbnail_moves_as_the_video_does(samples):
    path = samples.video_path(samples.video_ids[0])
    read = read_frames(path, max_frames=100, frames_per_second=thumbnails.FRAMES_PER_SECOND, image_size=128)
    shown, _ = frames_at(picture_of(thumbnails.moving_picture(path)), len(read.frames))
    assert len(shown) == len(read.frames) > 10
    for picture, expected in zip(shown, read.frames, strict=True):
        drawn = torch.tensor(list(picture.tobytes()), dtype=torch.float32).reshape(128, 128, 3).permute(2, 0, 1)
        assert (drawn - expected).abs().mean() < 3  # of 255: lossy, but the same picture


def test_thumbnail_holds_its_end_and_starts_over(samples):
    path = samples.video_path(samples.video_ids[0])
    read = read_frames(path, max_frames=100, frames_per_second=thumbnails.FRAMES_PER_SECOND, image_size=16)
    picture = picture_of(thumbnails.moving_picture(path))
    _, milliseconds = frames_at(picture, len(read.frames))
    moving = (len(read.frames) - 1) * (1000 // thumbnails.FRAMES_PER_SECOND)
    assert milliseconds == moving + thumbnails.LAST_FRAME_MILLISECONDS
    assert picture.info["loop"] == 0  # for ever


def test_thumbnail_of_a_long_video_is_in_fast_motion(tmp_path):
    pictures = [Image.new("RGB", (32, 32), (value, 0, 0)) for value in range(0, 200, 2)]
    pictures[0].save(tmp_path / "long.gif", save_all=True, append_images=pictures[1:], duration=200)
    shown, milliseconds = frames_at(picture_of(thumbnails.moving_picture(tmp_path / "long.gif")), 24)
    assert milliseconds < 24 * 200
    assert shown[-1].getpixel((64, 64))[0] > 190


def test_thumbnail_of_a_single_picture_stands_still(tmp_path):
    Image.new("RGB", (32, 32), "red").save(tmp_path / "one.gif")
    assert picture_of(thumbnails.moving_picture(tmp_path / "one.gif")).size == (128, 128)


def test_thumbnail_is_small(samples):
    sizes = [len(thumbnails.moving_picture(samples.video_path(video))) for video in samples.video_ids]
    assert max(sizes) < 32_000  # a page of them stays below what a notebook may weigh


def test_thumbnail_escapes_its_title(samples):
    tags = Tags(thumbnails.thumbnail_html(samples.video_path(samples.video_ids[0]), title='"><script>x</script>'))
    assert [tag for tag, _ in tags.found] == ["img"]
    assert tags.named("img")[0]["alt"] == '"><script>x</script>'


def test_still_shows_the_middle_of_the_video(tmp_path):
    colours = ("red", "lime", "blue")
    pictures = [Image.new("RGB", (32, 32), colour) for colour in colours]
    pictures[0].save(tmp_path / "three.gif", save_all=True, append_images=pictures[1:], duration=500)
    picture = picture_of(thumbnails.still(tmp_path / "three.gif", side=24))
    red, green, blue = picture.convert("RGB").getpixel((12, 12))
    assert picture.size == (24, 24)
    assert green > 200 > max(red, blue)


# --- rankings --------------------------------------------------------------------------------------------------------


def test_ranking_shows_the_best_in_order_with_their_captions(samples, found):
    html = rankings.ranking_html(samples, found, num_shown=4)
    titles = [image["title"] for image in Tags(html).named("img")]
    assert titles == [samples.captions[one.video] for one in found.results[:4]]
    for one in found.results[:4]:
        assert f"combined {one.combined_score:.3f}" in html
    assert (html.count("<tr"), html.count("<td")) == (1, 4)  # side by side also where styles are dropped


def test_ranking_escapes_the_sentence(samples, found):
    html = rankings.ranking_html(samples, found._replace(text="<script>alert(1)</script>"))
    assert Tags(html).named("script") == []
    assert "&lt;script&gt;" in html


def test_three_rankings_are_sorted_by_their_own_score(samples, found):
    html = rankings.three_rankings_html(samples, found, num_shown=NUM_VIDEOS)
    fields = {"similarity": "similarity", "generated": "generated_probability", "combined": "combined_score"}
    assert list(rankings.SCORES) == list(fields)
    for name, field in fields.items():
        values = [float(value) for value in re.findall(rf"{name} (-?\d+\.\d+)<", html)]
        expected = sorted((getattr(one, field) for one in found.results), reverse=True)
        assert values == pytest.approx(expected, abs=5e-4)


def test_three_rankings_tell_the_place_of_the_video_that_was_meant(samples, found):
    meant = found.results[1].video
    html = rankings.three_rankings_html(samples, found, num_shown=NUM_VIDEOS, meant=meant)
    by_combined = html.split("by combined")[1]
    assert "the video that was meant is at place 2" in by_combined
    assert html.count("&#9733;") == 3
    assert (html.count("<tr"), html.count("<td")) == (3, 3 * NUM_VIDEOS)
    assert "meant" not in rankings.three_rankings_html(samples, found)


# --- the denoising figure --------------------------------------------------------------------------------------------


def stretched(values: torch.Tensor) -> list[float]:
    return ((values - values.min()) / (values.max() - values.min())).tolist()


def test_figure_has_every_state_and_estimate_under_its_slider(found):
    figure = denoising_figure(found)
    assert [step.label for step in figure.layout.sliders[0].steps] == [str(k) for k in found.levels]
    assert [step.args[0][0] for step in figure.layout.sliders[0].steps] == [frame.name for frame in figure.frames]
    estimates = [*found.estimates, found.states[-1]]
    for frame, k, state, estimate in zip(figure.frames, found.levels, found.states, estimates, strict=True):
        bars, diamonds, cursor = frame.data
        assert list(bars.y) == pytest.approx(stretched(state), abs=1e-3)
        assert list(diamonds.y) == pytest.approx(stretched(estimate), abs=1e-3)
        assert list(cursor.x) == [k, k]
        assert frame.traces == (0, 1, len(figure.data) - 1)


def test_figure_keeps_the_kind_of_each_trace_in_every_frame(found):
    figure = denoising_figure(found)
    for frame in figure.frames:  # plotly takes a trace without a type for a line
        assert [trace.type for trace in frame.data] == [figure.data[index].type for index in frame.traces]


def test_figure_settles_on_its_estimate(found):
    bars, diamonds, _ = denoising_figure(found).frames[-1].data
    assert bars.y == diamonds.y


def test_relative_heights_keep_the_order_of_every_level():
    states = torch.randn(4, 9)
    heights = relative_heights(states)
    assert torch.equal(heights.argsort(dim=1), states.argsort(dim=1))
    assert torch.equal(heights.amin(dim=1), torch.zeros(4))
    assert torch.equal(heights.amax(dim=1), torch.ones(4))
    assert torch.equal(relative_heights(torch.full((2, 3), 7.0)), torch.full((2, 3), 0.5))


def test_figure_runs_from_noise_on_the_left_to_the_answer_on_the_right(found):
    figure = denoising_figure(found)
    assert figure.layout.xaxis2.range == (found.levels[0], 0)
    assert figure.layout.sliders[0].active == 0
    assert list(figure.data[0].y) == pytest.approx(stretched(found.states[0]), abs=1e-3)


def test_figure_names_the_candidates_that_end_first():
    states = torch.tensor([[9.0, 0, 0, 0, 0], [0.1, 0.5, -1.0, 0.9, 0.3]])
    assert leading(made_up_search(states)) == [3, 1, 4]
    figure = denoising_figure(made_up_search(states))
    above_bars = {note.x: note.text for note in figure.layout.annotations if note.xref == "x"}
    assert above_bars == {4: "<b>1st</b>", 2: "<b>2nd</b>", 5: "<b>3rd</b>"}
    raised = {note.x: note.yshift > 0 for note in figure.layout.annotations if note.xref == "x"}
    assert raised == {2: False, 4: True, 5: False}  # no name touches that of a bar nearby
    assert [figure.data[0].marker.color[column] for column in (3, 1, 4)] == [place.colour for place in style.PLACES]
    assert [line.line.dash for line in figure.data[-4:-1]] == [place.dash for place in style.PLACES[::-1]]


def test_figure_draws_one_path_per_candidate(found):
    figure = denoising_figure(found)
    paths = sorted(tuple(trace.y) for trace in figure.data[2:-1])
    heights = relative_heights(torch.cat([found.estimates, found.states[-1:]]))
    assert paths == sorted(tuple(round(value, 3) for value in column) for column in heights.T.tolist())


@pytest.mark.parametrize("num_candidates", [1, 2, 40])
def test_figure_can_be_drawn_for_any_number_of_candidates(num_candidates):
    states = torch.zeros(3, num_candidates)  # all equal: no range to scale by
    figure = denoising_figure(made_up_search(states))
    assert "NaN" not in figure.to_json()
    assert describe_denoising(made_up_search(states)).startswith(f"{num_candidates} candidates")


def test_figure_shows_markup_in_a_sentence_as_text():
    figure = denoising_figure(made_up_search(torch.randn(3, 4), text="<b>bold</b> & more"))
    assert figure.layout.title.text.startswith("<b>“&lt;b&gt;bold&lt;/b&gt; &amp; more”</b>")


def test_title_of_the_figure_fits_on_a_narrow_page():
    title = denoising_figure(made_up_search(torch.zeros(2, 2), text="a & b " * 20)).layout.title.text
    lines = [unescape(line) for line in title.removeprefix("<b>").split("</b><br>")[0].split("<br>")]
    assert len(lines) == 2
    assert max(map(len, lines)) <= 60


def test_buttons_of_the_figure_are_beside_its_level_and_not_over_its_title():
    layout = denoising_figure(made_up_search(torch.zeros(2, 2))).layout
    [buttons], [level] = layout.updatemenus, layout.sliders
    assert (buttons.x, buttons.xanchor, level.currentvalue.xanchor) == (0, "left", "right")
    assert buttons.y < layout.yaxis2.domain[0]


def test_headline_is_cut_where_it_would_not_fit():
    assert headline(made_up_search(torch.zeros(2, 2), text="a star")) == "“a star”"
    assert len(headline(made_up_search(torch.zeros(2, 2), text="star " * 200))) <= 92


def test_figure_carries_a_picture_of_each_candidate(found):
    figure = denoising_figure(found, pictures=dict.fromkeys(found.candidates, "data:image/webp;base64,AAAA"))
    assert [image.x for image in figure.layout.images] == list(range(1, len(found.candidates) + 1))


def test_figure_is_described_by_its_numbers():
    states = torch.tensor([[0.0, 1.0, 2.0], [0.25, -0.5, 0.75]])
    said = describe_denoising(made_up_search(states))
    assert said.startswith("3 candidates")
    assert "noise level 1 the bars are random numbers (here from 0.00 to 2.00)" in said
    assert "(from -0.50 to 0.75), in which candidate 3 is the highest" in said
    assert "in which all are equal" in describe_denoising(made_up_search(torch.ones(2, 3)))


def test_places_differ_by_more_than_colour():
    for field in ("label", "colour", "dash", "linestyle"):
        assert len({getattr(place, field) for place in style.PLACES}) == len(style.PLACES)


def test_snapshots_include_both_ends():
    assert snapshot_indices(51) == [0, 25, 45, 48, 50]
    assert snapshot_indices(2) == [0, 1]


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_figure_is_saved_as_a_picture(found, tmp_path, ending, start):
    save_denoising_figure(found, tmp_path / f"walk.{ending}")
    assert (tmp_path / f"walk.{ending}").read_bytes().startswith(start)


def test_picture_shows_dollar_signs_as_text(found, tmp_path):
    no_formula = r"costs $\oops{5} and $6"
    captions = dict.fromkeys(found.candidates, no_formula)
    save_picture(found._replace(text=no_formula), tmp_path / "walk.png", captions=captions)
    assert (tmp_path / "walk.png").stat().st_size > 10_000


def test_figure_is_saved_as_a_page_that_needs_no_network(found, tmp_path):
    save_denoising_figure(found, tmp_path / "walk.html")
    page = Tags((tmp_path / "walk.html").read_text(encoding="utf-8"))
    assert all("src" not in script for script in page.named("script"))
    assert page.named("link") == []


@pytest.mark.parametrize(
    ("name", "advice"),
    [("walk.mp4", r"use .html, .png"), ("walk", r"use .html, .png"), ("no/walk.png", "make it first")],
)
def test_figure_is_not_saved_where_it_cannot_be(found, tmp_path, name, advice):
    with pytest.raises((ValueError, FileNotFoundError), match=advice):
        save_denoising_figure(found, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# --- showing ---------------------------------------------------------------------------------------------------------


def test_showing_a_figure_emits_plotly_json_alone_and_then_its_description(samples, found, shown):
    show.denoising(samples, found)
    (bundle, raw), (caption, _) = shown
    assert raw
    assert list(bundle) == [show.PLOTLY]
    assert len(bundle[show.PLOTLY]["frames"]) == len(found.levels)
    assert len(json.dumps(bundle)) < 120_000
    assert describe_denoising(found) in caption.data


def test_showing_a_ranking_is_html(samples, found, shown):
    show.ranking(samples, found, num_shown=2)
    show.three_rankings(samples, found, num_shown=2)
    assert [len(Tags(thing.data).named("img")) for thing, _ in shown] == [2, 6]


# --- the search box --------------------------------------------------------------------------------------------------

EXAMPLES = ["a red circle moves left", "a star spins"]


@pytest.fixture
def box(samples) -> search_box.SearchBox:
    return search_box.make_search_box(samples, EXAMPLES, num_shown=2)


def test_search_box_has_answered_its_first_example(box):
    assert EXAMPLES[0] in box.result.value
    assert f"of {NUM_VIDEOS} videos" in box.status.value


def test_search_box_answers_what_is_typed(box, samples):
    box.text.value = "  a blue star  "
    expected = search(samples.model, samples.videos, samples.video_ids, "a blue star")
    assert box.result.value == rankings.ranking_html(samples, expected, num_shown=2)


def test_search_box_takes_an_example(box):
    box.examples[1].click()
    assert box.text.value == EXAMPLES[1]
    assert EXAMPLES[1] in box.result.value


@pytest.mark.parametrize("text", ["", "   "])
def test_search_box_answers_an_empty_text_kindly_and_keeps_the_last_ranking(box, text):
    before = box.result.value
    box.text.value = text
    assert "Type what you would like to see" in box.status.value
    assert box.result.value == before


def test_search_box_says_that_it_is_busy(box, monkeypatch, samples):
    said = []

    def slow_search(*arguments):
        said.append(box.status.value)
        return search(*arguments)

    monkeypatch.setattr(search_box, "search", slow_search)
    box.text.value = "a <b>star</b>"
    assert len(said) == 1
    assert "searching for “a &lt;b&gt;star&lt;/b&gt;”" in said[0]


def test_search_box_searches_once_for_one_text(box, monkeypatch):
    calls = []
    monkeypatch.setattr(search_box, "search", lambda *arguments: calls.append(arguments) or search(*arguments))
    box.text.value = "a blue star"  # leaving the field has searched,
    box.button.click()  # and then the click arrives
    assert len(calls) == 1


def test_search_box_repeats_what_the_core_refuses(box, monkeypatch):
    def refusing_search(*_):
        raise ValueError("nothing <real> in it")

    monkeypatch.setattr(search_box, "search", refusing_search)
    box.text.value = "odd"
    assert "nothing &lt;real&gt; in it" in box.status.value


def test_search_box_needs_an_example(samples):
    with pytest.raises(ValueError, match="at least one sentence"):
        search_box.make_search_box(samples, [])


def test_search_box_is_shown_with_something_for_a_page_without_a_kernel(samples, shown):
    search_box.search_box(samples, EXAMPLES, num_shown=1)
    ((bundle, raw),) = shown
    assert raw
    assert set(bundle) == {live.WIDGET, "text/html"}
    assert EXAMPLES[0] in bundle["text/html"]


def test_search_box_uses_widgets_of_both_supported_versions(box):
    old_and_new = {"Text", "Button", "HTML", "HBox", "VBox"}
    widgets = [box.text, box.button, *box.examples, box.status, box.result, box.whole]
    assert {type(widget).__name__ for widget in widgets} <= old_and_new
    assert box.text.continuous_update is False
