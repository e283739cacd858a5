"""Frame strips, tokens, masks and the time line: what is drawn is what was computed."""

import base64
import io
import re
from html.parser import HTMLParser

import pytest
import torch
from PIL import Image

from diffret_core.config import ModelConfig
from diffret_core.course import show
from diffret_core.course.cells import rows_of_cells
from diffret_core.course.layout import base_layout, slider
from diffret_core.course.mask_figure import mask_figure
from diffret_core.course.sampling_figure import sample_times, sampling_figure
from diffret_core.course.stills import stills_html
from diffret_core.course.strips import strip_html
from diffret_core.course.style import PAPER
from diffret_core.course.token_picture import tokens_html
from diffret_core.encoders import tokenize
from diffret_core.frames import sample_frame_indices
from diffret_core.locations import sample_folder


@pytest.fixture
def shown(monkeypatch) -> list:
    """What `display` was called with: HTML, or a bundle."""
    calls: list = []
    monkeypatch.setattr(show, "display", lambda thing, raw=False: calls.append(thing if raw else thing.data))
    return calls


def words_of(html: str) -> list[str]:
    """Everything that is to be read in a piece of HTML."""
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = found.append
    parser.feed(html)
    return found


# --- rows of cells ---------------------------------------------------------------------------------------------------


def cells_of(html: str) -> list[list[str]]:
    """What is to be read or described in each cell of each table row, as a page sees it that drops all styles."""
    rows: list[list[str]] = []
    for row in re.findall(r"<tr.*?</tr>", html):
        cells = re.findall(r"<td.*?>(.*?)</td>", row)
        rows.append([" ".join([*re.findall('alt="(.*?)"', cell), *words_of(cell)]) for cell in cells])
    return rows


def test_cells_are_a_table_row_by_row():
    assert cells_of(rows_of_cells([["a", "<b>b</b>"], ["c", "d"]], style="padding:2px")) == [["a", "b"], ["c", "d"]]


def test_cells_of_one_width_shrink_together():
    wide = rows_of_cells([["a", "b", "c"], ["d"]], cell_width=50)
    assert "width:100%; max-width:150px" in wide
    assert "table-layout:fixed" in wide


def test_frames_tokens_and_stills_are_side_by_side_without_styles():
    frames = torch.zeros(14, 3, 8, 8, dtype=torch.uint8)
    strip = cells_of(strip_html(frames, [place / 4 for place in range(13)]))
    assert [len(row) for row in strip] == [12, 2]
    assert strip[1] == ["frame at 3.00 s 3.00 s", "padding, no frame padding"]
    texts = ["star", "two stars"]
    tokens = cells_of(tokens_html([["star</w>"], ["two</w>", "stars</w>"]], *tokenize(texts, max_words=5)))
    assert [[cell.split()[0] for cell in row] for row in tokens] == [
        ["start", "star", "end", "pad", "pad"],
        ["start", "two", "stars", "end", "pad"],
    ]
    rows = cells_of(stills_html(frames[:4].unflatten(0, (2, 2)), ["a ring", "a star"]))
    assert rows[1] == ["moment 1 of: a star", "moment 2 of: a star", "a star"]


# --- strips ----------------------------------------------------------------------------------------------------------


def test_strip_shows_every_frame_with_its_second_and_padding_by_name():
    frames = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    frames[1, 0] = 255
    html = strip_html(frames, [0.0, 0.25], caption="a <star> & a ring")
    assert words_of(html) == ["“a <star> & a ring”", "0.00 s", "0.25 s", "padding"]
    assert re.findall('alt="(.*?)"', html) == ["frame at 0.00 s", "frame at 0.25 s", "padding, no frame"]
    assert html.count("dashed") == 1
    second = re.findall(r"base64,([\w+/=]+)", html)[1]
    red, green, blue = Image.open(io.BytesIO(base64.b64decode(second))).convert("RGB").getpixel((4, 4))
    assert red > 200 > 60 > max(green, blue)


def test_shown_strip_is_described(shown):
    show.strip(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), [0.0, 0.25])
    assert "2 frames, from left to right, with their times, and 1 places of padding." in shown[1]


# --- a file of one's own ---------------------------------------------------------------------------------------------


CONFIG = ModelConfig(
    clip={
        "embed_dim": 8,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
    },
    max_words=32,
    max_frames=12,
    frames_per_second=4.0,
)


def test_own_video_is_read_as_the_model_would(shown):
    show.own_video(str(sample_folder() / "videos" / "video9644.mp4"), CONFIG)
    assert words_of(shown[0])[0] == "“video9644.mp4”"
    assert shown[0].count("<img") == 12


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "No file yet"), ("  ", "No file yet"), ("no.mp4", "no such video file"), ("bad.mp4", "is no video")],
)
def test_own_video_that_cannot_be_read_is_answered_in_a_line(name, said, shown, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.mp4").write_text("hello")
    show.own_video(name, CONFIG)
    printed = capsys.readouterr().out
    assert said in printed
    assert printed.count("\n") == 1
    assert shown == []


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_tokens_are_named_numbered_and_told_from_padding():
    html = tokens_html([["star</w>", "down", "wards</w>"]], *tokenize(["star downwards"], max_words=7))
    assert words_of(html)[::2] == ["start", "star", "down-", "wards", "end", "pad", "pad"]
    assert words_of(html)[1::2] == [str(number) for number in tokenize(["star downwards"], max_words=7)[0][0].tolist()]
    assert html.count("dashed") == 2


def test_tokens_of_a_long_text_are_those_that_are_kept():
    html = tokens_html([["a</w>", "star</w>", "spins</w>"]], *tokenize(["a star spins"], max_words=4))
    assert words_of(html)[::2] == ["start", "a", "star", "end"]


def test_tokens_show_markup_as_text():
    assert words_of(tokens_html([["<b></w>"]], *tokenize(["x"], max_words=3)))[2] == "<b>"


# --- masks -----------------------------------------------------------------------------------------------------------

MASK = torch.tensor([[True, True, False, False], [True, False, False, False]])


def test_mask_is_drawn_row_by_row_with_its_share():
    figure = mask_figure(MASK, "x < y", ["a", "b"], places="token")
    assert [list(row) for row in figure.data[0].z] == MASK.int().tolist()
    assert [note.text for note in figure.layout.annotations] == ["<b>real</b> 38%", "<b>padding</b> 62%"]
    assert figure.layout.yaxis.autorange == "reversed"  # the first row on top
    assert figure.layout.title.text == "<b>x &lt; y</b>"


def test_shown_mask_is_described(shown):
    show.mask(MASK, "mask", ["a", "b"], places="frame")
    assert list(shown[0]) == [show.PLOTLY]
    assert "2 rows of 4 places: blue where a frame is real" in shown[1]


# --- the time line ---------------------------------------------------------------------------------------------------


def test_sampled_times_are_those_of_the_frames_that_the_core_reads():
    times = sample_times(20, 25, frames_per_second=1, max_frames=12)
    assert times.kept == [index / 25 for index in sample_frame_indices(500, 25, max_frames=12)]
    assert times.proposed == [float(second) for second in range(20)]
    assert times.in_file[0] == 0
    assert len(times.in_file) <= 300


def test_time_line_has_a_frame_for_every_length_and_says_what_is_kept():
    figure = sampling_figure([3, 12, 20], 25)
    assert [step.label for step in figure.layout.sliders[0].steps] == ["3 s", "12 s", "20 s"]
    assert [frame.name for frame in figure.frames] == ["3 s", "12 s", "20 s"]
    assert [frame.layout.title.text for frame in figure.frames] == [
        "<b>3 proposed, 3 kept (F = 12): 9 of the 12 places stay empty</b>",
        "<b>12 proposed, 12 kept (F = 12)</b>",
        "<b>20 proposed, 12 kept (F = 12): one frame every 1.7 s</b>",
    ]
    kept, proposed, in_file = figure.frames[2].data
    assert (len(kept.x), len(proposed.x), len(in_file.x)) == (12, 20, 250)
    assert figure.layout.title.text == figure.frames[0].layout.title.text


def test_shown_time_line_is_described(shown):
    show.sampling([3, 60], 25)
    assert list(shown[0]) == [show.PLOTLY]
    assert "the at most 12 that are kept" in shown[1]


# --- one look --------------------------------------------------------------------------------------------------------


def test_layout_brings_its_own_paper_and_can_be_changed():
    layout = base_layout("title", height=200).update(xaxis={"range": [0, 1]})
    assert (layout.height, layout.paper_bgcolor, layout.title.text) == (200, PAPER, "title")
    assert layout.xaxis.range == (0, 1)
    assert layout.xaxis.fixedrange is True


def test_slider_goes_to_the_frame_of_its_name():
    steps = slider(["a", "b"], "now: ")["steps"]
    assert [(step["label"], step["args"][0]) for step in steps] == [("a", ["a"]), ("b", ["b"])]
