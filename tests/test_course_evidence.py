"""What lesson 09 shows: the studies in any state of being finished, the forest plot, the ceiling, single cases."""

from dataclasses import replace

import pytest
import torch
from tiny_study import study_table

from diffret_core.config import DIRECTIONS
from diffret_core.course import cases, evidence
from diffret_core.course.ceiling_figure import Reach, ceiling_figure, reach
from diffret_core.course.forest_figure import forest_figure
from diffret_core.course.intervals_figure import OnRow, broken_line, intervals_figure
from diffret_core.scenes.claims import ActorClaim, Claim
from diffret_core.scenes.scene import Actor, Scene
from diffret_core.studies import STUDIES
from diffret_core.studies.effects import Effect

NOTHING: dict = {}
SOME = {
    "training": study_table(
        {"baseline": (1, 2, 3), "without_noise": (1, 2), "levels_5": (1,)}, lists=("test", "shifted")
    )
}
ALL = {name: study_table({arm.name: (1, 2, 3) for arm in STUDIES[name].arms}) for name in evidence.GRIDS}
states = pytest.mark.parametrize("tables", [NOTHING, SOME, ALL], ids=["nothing", "some", "all"])
ARMS = sum(len(STUDIES[name].arms) - 1 for name in evidence.GRIDS) + 1

# --- what is finished ------------------------------------------------------------------------------------------------


def test_lines_say_which_cells_are_finished():
    (none,) = evidence.finished_lines(NOTHING, ["training"])
    assert none == "training, 0 of 42 cells. not computed yet: 14 of 14 arms"
    (some,) = evidence.finished_lines(SOME, ["training"])
    told = "baseline (3 of 3 seeds); without_noise (2 of 3 seeds); levels_5 (1 of 3 seeds)"
    assert some == f"training, 6 of 42 cells. {told}; not computed yet: 11 of 14 arms"
    assert evidence.finished_lines(ALL, ["sampling"]) == ["sampling, 60 of 60 cells. all arms (3 of 3 seeds)"]


def test_lines_say_where_the_model_is_the_shipped_one():
    tables = {"scoring": study_table({"baseline": (1, 2, 3)}, model="shipped")}
    (line,) = evidence.finished_lines(tables, ["scoring"])
    assert line.endswith("baseline (3 of 3 seeds); measured with the shipped model, whose seeds draw noise only")


def test_no_study_need_be_there(tmp_path):
    assert evidence.shipped_studies(tmp_path) == {}


def test_effect_is_told_with_its_seeds_and_what_is_missing():
    assert evidence.told(None) == "not computed yet"
    assert evidence.compared(NOTHING, "training", ("a", "combined"), ("b", "combined"), "text_to_video") is None
    three = Effect(1.0, 0.5, 1.5, {1: 1.0, 2: 0.5, 3: 1.5})
    assert " ".join(evidence.told(three).split()) == "+1.0 (0.5 to 1.5) helps (seeds: +1.0, +0.5, +1.5)"
    assert evidence.told(three._replace(of_seeds={2: 1.0})).endswith(
        "(0.5 to 1.5)      a lead, 1 of 3 seeds (seeds: +1.0)"
    )
    four = three._replace(of_seeds={**three.of_seeds, 4: 2.0})
    assert evidence.told(four).endswith("helps (seeds: +1.0, +0.5, +1.5, +2.0)")


# --- the forest plot -------------------------------------------------------------------------------------------------


@states
def test_every_arm_has_a_row_below_the_heading_of_its_factor(tables):
    rows = evidence.forest_rows(tables)
    arms = [(row.study, row.arm.name) for row in rows if row.arm]
    assert len(arms) == len(set(arms)) == ARMS
    heading = ""
    for row in rows[1:]:
        heading = heading if row.arm else row.label
        assert row.arm is None or heading.startswith(f"<b>{row.arm.factor}</b> (baseline: ")


def test_row_says_how_many_seeds_it_has_until_it_has_all():
    labels = {row.arm.name: row.label for row in evidence.forest_rows(SOME) if row.arm}
    assert labels["baseline"] == "<b>baseline</b>"
    assert labels["without_noise"] == "none, one pass · 2 of 3 seeds"
    assert labels["levels_5"] == "5 · 1 of 3 seeds" and labels["levels_10"] == "10"


def test_effects_are_those_of_the_row_and_the_view():
    rows = {row.arm.name: row for row in evidence.forest_rows(SOME) if row.arm}
    for view, reference in (
        ("combined against the baseline's, test", "baseline"),
        ("generator against the similarity, test", ""),
    ):
        asked = evidence.VIEWS[view]
        found = evidence.effects_of(SOME, rows["without_noise"], asked)
        other = (reference, asked.method) if reference else ("without_noise", "similarity")
        for direction in DIRECTIONS:
            mine = ("without_noise", asked.method)
            assert found[direction] == evidence.compared(SOME, "training", mine, other, direction)
    shifted = evidence.VIEWS["combined against the similarity, shifted style"]
    assert evidence.effects_of(SOME, rows["levels_5"], shifted) != evidence.effects_of(
        SOME, rows["levels_5"], shifted._replace(name="test")
    )
    assert evidence.effects_of(SOME, rows["linear"], shifted) == {}


def drawn(tables):
    rows = evidence.forest_rows(tables)
    views = dict(list(evidence.VIEWS.items())[:2])
    effects = {words: [evidence.effects_of(tables, row, view) for row in rows] for words, view in views.items()}
    return rows, effects, forest_figure(rows, effects)


@states
def test_forest_draws_what_is_there_and_says_what_is_not(tables):
    rows, effects, figure = drawn(tables)
    for frame in figure.frames:
        unknown, *parts = frame.data
        known = [place for place, one in enumerate(effects[frame.name]) if one]
        assert len(unknown.y) + len(known) == ARMS
        assert all("not computed yet" in words for words in unknown.text)
        assert all(rows[place].arm and place not in known for place in unknown.y)
        for direction, (lines, strokes, dots) in zip(DIRECTIONS, (parts[:3], parts[3:]), strict=True):
            own = [effects[frame.name][place][direction] for place in known]
            assert list(dots.x) == pytest.approx([one.points for one in own], abs=0.006)
            assert [round(place) for place in dots.y] == known
            assert list(lines.x[:2]) == (pytest.approx(list(own[0][1:3]), abs=0.006) if own else [])
            assert len(strokes.x) == sum(len(one.of_seeds) for one in own)
    assert list(figure.layout.yaxis.ticktext) == [row.label for row in rows]


def test_directions_are_told_apart_without_colours():
    _, _, figure = drawn(SOME)
    one, other = figure.data[3], figure.data[6]
    assert one.marker.symbol != other.marker.symbol and set(one.y).isdisjoint(other.y)
    assert "text to video" in one.customdata[0] and "video to text" in other.customdata[0]
    assert "○" not in figure.layout.title.text and "● text to video" in figure.layout.title.text


def test_forest_has_a_slider_over_its_views_and_room_for_all_intervals():
    _, effects, figure = drawn(SOME)
    assert [step.label for step in figure.layout.sliders[0].steps] == list(effects)
    low, high = figure.layout.xaxis.range
    assert all(low < each.low and each.high < high for one in effects.values() for row in one for each in row.values())


def test_broken_line_has_a_gap_behind_each_interval():
    line = broken_line([(1.0, 2.0), (3.0, 4.0)], [0, 5], color="black")
    assert list(line.x) == [1.0, 2.0, None, 3.0, 4.0, None] and list(line.y) == [0, 0, None, 5, 5, None]


def test_rows_have_their_intervals_dots_and_labels_below_a_named_line():
    rows = {"a < b": OnRow(1.0, 0.0, 2.0, "one", "told"), "c": OnRow(5, 4, 6, "five", "told")}
    figure = intervals_figure("t", rows, colour="black", nothing=(3, "the middle"), axis={"range": [0, 9]})
    assert [list(part.x) for part in figure.data] == [[0.0, 2.0], [4, 6], [1.0, 5]]
    assert [note.text for note in figure.layout.annotations] == ["<b>one</b>", "<b>five</b>", "the middle"]
    assert figure.layout.shapes[0].x0 == 3 and figure.layout.yaxis.ticktext[0] == "a &lt; b"
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the first on top


# --- the ceiling -----------------------------------------------------------------------------------------------------

RANKS = torch.tensor([1, 1, 2, 3, 9])


@pytest.mark.parametrize(("size", "shares"), [(1, (40, 0, 60)), (2, (40, 20, 40)), (3, (40, 40, 20)), (9, (40, 60, 0))])
def test_reach_counts_what_n_candidates_hold(size, shares):
    assert reach(RANKS, size) == pytest.approx(Reach(*shares))


def test_ceiling_is_drawn_for_each_n_and_begins_at_the_one_that_is_used():
    figure = ceiling_figure({"mine": RANKS, "other": RANKS + 1}, (1, 2, 3), used=2)
    (slider,) = figure.layout.sliders
    assert [step.label for step in slider.steps] == ["1", "2", "3"] and slider.active == 1
    assert [list(bar.x) for bar in figure.data] == [list(bar.x) for bar in figure.frames[1].data]
    for frame in figure.frames:
        for place, ranks in enumerate((RANKS, RANKS + 1)):
            assert [bar.x[place] for bar in frame.data] == pytest.approx(list(reach(ranks, int(frame.name))))


# --- single cases ----------------------------------------------------------------------------------------------------


def test_mended_came_first_only_after_and_broken_only_before():
    before, after = torch.tensor([1, 2, 1, 5, 3]), torch.tensor([1, 1, 2, 1, 2])
    mended, broken = cases.mended_and_broken(before, after)
    assert (mended.tolist(), broken.tolist()) == ([1, 3], [2])


ACTOR = ActorClaim(shape="star", colour="red", size="small", motions=("left", "spin"))


def shown(**changes):
    """A scene with one actor, as the caption below says it, but for some changes."""
    background = changes.pop("background", "grey")
    looks = {"shape": "star", "colour": "red", "size": "small", "motions": ("left", "spin")} | changes
    actor = Actor(**looks, start=(0.5, 0.5), reach=0.3, clockwise=True)
    return Scene("order", background, (0.5, 0.5), (actor,), num_frames=24)


@pytest.mark.parametrize(
    ("changes", "about"),
    [
        ({"motions": ("spin", "left")}, "order of motions"),
        ({"motions": ("left", "still")}, "motion"),
        ({"colour": "blue"}, "colour"),
        ({"shape": "moon"}, "shape"),
        ({"size": "large"}, "size"),
        ({"background": "beige"}, "background"),
        ({"colour": "blue", "shape": "moon"}, "several things"),
    ],
)
def test_wrong_video_is_wrong_about_the_one_thing_it_shows_otherwise(changes, about):
    assert cases.wrong_about(Claim((ACTOR,), background="grey"), shown(**changes)) == about


def test_what_a_caption_does_not_say_is_not_what_is_wrong():
    silent = Claim((replace(ACTOR, size=None),))
    assert cases.wrong_about(silent, shown(motions=("up", "up"), size="large")) == "motion"
