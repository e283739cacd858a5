"""The demo driven as a person drives it: controls set, buttons clicked, and what is shown is what the core computes."""

import subprocess
import sys
from dataclasses import replace
from html import escape
from threading import Event, current_thread, main_thread

import ipywidgets as widgets
import pytest
import torch
from own_videos import NAME, tiny_model, write_clip, write_folder
from tiny_demo import HOSTILE, make_samples
from tiny_models import SMALL, architecture, tiny_config

from diffret_core.checkpoints import load_checkpoint, save_checkpoint
from diffret_core.config import ScoringConfig
from diffret_core.course import live, thumbnails
from diffret_core.course.demo import RetrievalDemo, ahead, default_state, rescore, run
from diffret_core.course.demo import controls as controls_module
from diffret_core.course.demo import demo as demo_module
from diffret_core.course.demo.controls import FILM, PIN, UNPIN
from diffret_core.course.demo.own_videos import IndexCollection
from diffret_core.course.demo.pictures import compared_html, results_html
from diffret_core.course.demo.token_map import token_map, token_map_svg
from diffret_core.course.demo.walk_picture import candidates_svg, walk_svg
from diffret_core.encoders import build_clip
from diffret_core.evaluation import ALPHAS
from diffret_core.index import ModelName, build_index, open_index, search_index
from diffret_core.indicator import Indicator
from diffret_core.locations import sample_folder
from diffret_core.search import search
from diffret_core.zero_shot import ZeroShot

EXAMPLES = ("a red circle moves left", "a green star grows")
NEW = "two yellow triangles jump"
CORE = {"VBox", "HBox", "HTML", "Text", "Button", "Dropdown", "IntSlider", "FloatSlider", "BoundedIntText", "Play"}


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return make_samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture
def demo(samples):
    return RetrievalDemo(samples, examples=EXAMPLES, num_shown=3)


@pytest.fixture
def walks(monkeypatch):
    """States that the demo walked for, each still computed for real."""
    asked = []

    def counting(collection, state):
        asked.append(state)
        return run(collection, state)

    monkeypatch.setattr(demo_module, "run", counting)
    return asked


def everything_in(widget):
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in everything_in(child))]


def shows(demo, expected):
    """The results on the page are those of a run, its scores and its words."""
    assert [one[:1] + one[3:] for one in demo.shown.results] == [one[:1] + one[3:] for one in expected.results]
    return demo.view.results.value == results_html(expected, num_shown=3)


def test_demo_has_answered_its_first_example(demo, samples):
    found = search(samples.model, samples.videos, samples.video_ids, EXAMPLES[0])
    assert [one.item.id for one in demo.shown.results] == [one.video for one in found.results]
    assert "4 compared, 3 of them candidates, in " in demo.view.status.value
    assert EXAMPLES[0] in demo.view.results.value


def test_typed_sentence_is_answered_once(demo, samples, walks):
    demo.controls.text.value = f"  {NEW} "
    expected = default_state(samples.model.config, NEW)
    assert shows(demo, run(demo.collection, expected))
    demo.controls.run.click()  # the click leaves the text field first, which has already searched
    assert walks == [expected]
    assert "without a new walk" not in demo.view.status.value


def test_every_control_reaches_the_core(demo, samples):
    controls = demo.controls
    set_to = {"num_steps": 7, "schedule": "linear", "eta": 0.5, "num_candidates": 2, "seed": 9, "num_draws": 3}
    for name, value in (set_to | {"alpha": 2.5, "temperature": 12.0}).items():
        getattr(controls, name).value = value
    assert demo_module.CHANGED in demo.view.status.value
    controls.run.click()
    state = replace(default_state(samples.model.config, EXAMPLES[0]), **set_to, alpha=2.5, temperature=12.0)
    assert demo.shown.state == state
    assert shows(demo, run(demo.collection, state))
    assert controls.level.max == controls.play.max == 7


@pytest.mark.parametrize(("name", "value"), [("alpha", 4.0), ("temperature", 30.0)])
def test_weight_and_temperature_redraw_without_a_new_walk(demo, walks, name, value):
    before = demo.shown
    getattr(demo.controls, name).value = value
    assert walks == []
    assert shows(demo, rescore(before.walk, replace(before.state, **{name: value})))
    assert demo.shown.results != before.results
    assert "without a new walk" in demo.view.status.value


def test_other_controls_wait_for_the_button(demo, walks):
    before = demo.view.results.value
    demo.controls.seed.value = 4
    demo.controls.alpha.value = 3.0  # would score a walk anew that is of another seed
    assert demo.view.results.value == before
    assert demo_module.CHANGED in demo.view.status.value
    demo.controls.run.click()
    assert [state.seed for state in walks] == [4]


def test_control_moved_back_takes_the_word_back(demo):
    demo.controls.seed.value = 4
    demo.controls.seed.value = 0
    assert demo_module.CHANGED not in demo.view.status.value


def test_video_asks_for_captions(demo, samples):
    controls = demo.controls
    controls.direction.value = "video_to_text"
    assert (controls.text.layout.display, controls.video.layout.display) == ("none", "")
    controls.video.value = samples.video_ids[3]
    controls.run.click()
    state = default_state(samples.model.config, samples.video_ids[3], direction="video_to_text")
    assert shows(demo, run(demo.collection, state))
    assert demo.shown.results[0].item.words in demo.view.results.value
    controls.examples[1].click()  # an example is a sentence
    assert demo.shown.state == default_state(samples.model.config, EXAMPLES[1])
    assert (controls.text.layout.display, controls.video.layout.display) == ("", "none")


def test_random_query_is_asked_at_once(demo, samples):
    demo.controls.random.click()
    assert demo.shown.state.query == demo.collection.random_query("text_to_video", 1)
    demo.controls.direction.value = "video_to_text"
    demo.controls.random.click()
    assert demo.shown.state.query == demo.collection.random_query("video_to_text", 2)
    assert demo.shown.state.direction == "video_to_text"


def test_walk_is_stepped_and_scrubbed(demo):
    controls, drawn = demo.controls, demo.view.walk
    assert drawn.value == walk_svg(demo.shown, 0)
    controls.forward.click()
    assert drawn.value == walk_svg(demo.shown, 1)
    controls.back.click()
    controls.back.click()  # the end holds
    assert drawn.value == walk_svg(demo.shown, 0)
    controls.level.value = 20
    controls.forward.click()
    assert drawn.value == walk_svg(demo.shown, 20)


def test_new_walk_begins_at_noise_and_rescoring_stays(demo):
    demo.controls.level.value = 12
    demo.controls.alpha.value = 3.0
    assert demo.controls.level.value == 12
    demo.controls.num_steps.value = 4
    demo.controls.run.click()
    assert (demo.controls.level.value, demo.controls.level.max) == (0, 4)
    assert demo.view.walk.value == walk_svg(demo.shown, 0)


def test_map_is_of_the_chosen_result(demo):
    for rank in (3, 1):
        demo.controls.result.value = rank
        assert demo.view.map.value == token_map_svg(token_map(demo.collection, demo.shown, rank))
    assert [label for label, _ in demo.controls.result.options] == [
        f"{one.rank}. {one.item.told}" for one in demo.shown.results[:3]
    ]


def test_pinned_run_is_compared_with_the_next(demo):
    demo.controls.pin.click()
    pinned = demo.shown
    assert "is pinned" in demo.view.compared.value
    demo.controls.text.value = NEW
    assert demo.pinned is pinned
    assert demo.view.compared.value == compared_html(pinned, demo.shown, num_shown=3)
    assert "What changed" in demo.view.compared.value
    demo.controls.alpha.value = 4.5
    assert demo.view.compared.value == compared_html(pinned, demo.shown, num_shown=3)


def test_second_press_lets_the_pinned_run_go(demo):
    pin = demo.controls.pin
    pin.click()
    assert pin.description == UNPIN
    pin.click()
    assert (pin.description, demo.pinned, demo.view.compared.value) == (PIN, None, "")
    pin.click()
    demo.controls.alpha.value = 4.0
    assert pin.description == PIN  # another run is shown: it would be pinned instead
    pin.click()
    assert demo.pinned is demo.shown


def test_button_is_busy_while_the_core_works_and_free_again_if_it_fails(demo, monkeypatch):
    button, seen = demo.controls.run, []

    def looking(collection, state):
        seen.append((button.disabled, button.description, demo.view.status.value))
        return run(collection, state)

    monkeypatch.setattr(demo_module, "run", looking)
    demo.controls.text.value = HOSTILE
    assert seen[0][:2] == (True, "working …")
    assert escape(HOSTILE) in seen[0][2]
    assert (button.disabled, button.description) == (False, "Run")
    demo.controls.text.value = "\ufeff"  # nothing that can be read
    assert (button.disabled, button.description) == (False, "Run")
    assert "looking for" not in demo.view.status.value
    assert demo.shown.state.query == HOSTILE


@pytest.mark.parametrize("kind", [ValueError, OSError, FileNotFoundError, RuntimeError])
def test_whatever_fails_is_said_in_one_line(demo, monkeypatch, kind):
    def failing(collection, state):
        raise kind("<b>no such\nfile")

    monkeypatch.setattr(demo_module, "run", failing)
    demo.controls.text.value = NEW
    assert "&lt;b&gt;no such file" in demo.view.status.value
    assert "looking for" not in demo.view.status.value
    assert ("reload the page" in demo.view.status.value) == (kind is not ValueError)
    assert not demo.controls.run.disabled


def test_level_and_result_are_drawn_each_by_itself(demo, monkeypatch):
    drawn = []
    monkeypatch.setattr(demo.view, "draw_level", lambda _shown, place: drawn.append(("level", place)))
    monkeypatch.setattr(demo.view, "draw_map", lambda _shown, rank: drawn.append(("map", rank)))
    demo.controls.level.value = 3
    demo.controls.result.value = 2
    demo.controls.level.value = 4
    assert drawn == [("level", 3), ("map", 2), ("level", 4)]


def test_every_weight_that_is_tried_on_validation_can_be_set(demo):
    slider = demo.controls.alpha
    for alpha in ALPHAS:
        steps = (alpha - slider.min) / slider.step
        assert steps == pytest.approx(round(steps))


@pytest.mark.parametrize(("num_candidates", "num_videos", "most"), [(3, 4, 4), (3, 500, 128), (200, 500, 200)])
def test_as_many_candidates_as_the_model_takes_can_be_set(num_candidates, num_videos, most):
    config = tiny_config(scoring=ScoringConfig(num_candidates=num_candidates))
    slider = controls_module._of_run(config, num_videos)["num_candidates"]
    assert (slider.value, slider.max) == (num_candidates, most)


@pytest.mark.parametrize("nothing", ["", "   "])
def test_empty_sentence_is_told_what_to_do(demo, nothing):
    before = demo.view.results.value
    demo.controls.text.value = "x"
    demo.controls.text.value = nothing
    demo.controls.run.click()
    assert "type what you would like to see" in demo.view.status.value
    assert before != demo.view.results.value  # still those of "x"


def test_typed_attack_stays_words(demo):
    demo.controls.text.value = HOSTILE
    demo.controls.pin.click()
    demo.controls.seed.value = 1
    demo.controls.run.click()
    assert demo.shown.state.query == HOSTILE
    shown = [part.value for part in everything_in(demo.whole) if isinstance(part, widgets.HTML)]
    assert any("&lt;img" in value for value in shown)
    assert not any("<img src=x" in value for value in shown)


def test_status_says_whether_a_sentence_is_off_the_map(samples):
    assert "the map" not in RetrievalDemo(samples, examples=EXAMPLES).view.status.value
    for threshold, verdict in ((-1e9, "Off the map"), (1e9, "On the map")):
        indicated = samples._replace(indicator=Indicator("similarity", threshold, 0.95, 4))
        demo = RetrievalDemo(indicated, examples=EXAMPLES)
        assert verdict in demo.view.status.value
        demo.controls.alpha.value = 3.0
        assert verdict in demo.view.status.value


def test_pictures_of_all_candidates_are_made_ahead(samples, monkeypatch):
    asked, plain = [], thumbnails.read_chosen_frames
    monkeypatch.setattr(
        thumbnails, "read_chosen_frames", lambda *given, **options: asked.append(given) or plain(*given, **options)
    )
    thumbnails._moving_picture.cache_clear()
    demo = RetrievalDemo(samples, examples=EXAMPLES, num_shown=1)
    demo.view._ahead.wait()
    num_made = len(asked)
    for item in demo.shown.candidates:
        thumbnails.moving_picture(item.path)
    assert len(demo.shown.candidates) == 3
    assert len(asked) == num_made


def test_stills_are_made_in_the_thread_and_boxes_stand_until_then(samples, monkeypatch):
    let_go, made_by = Event(), []

    def slow(path, **options):
        let_go.wait(60)
        made_by.append(current_thread())
        return thumbnails.still(path, **options)

    monkeypatch.setattr(ahead, "still", slow)
    demo = RetrievalDemo(samples, examples=EXAMPLES, num_shown=3)
    shown = demo.shown
    assert not demo.controls.run.disabled
    assert demo.view.candidates.value == candidates_svg(shown, [""] * 3)
    let_go.set()
    demo.view._ahead.wait()
    stills = [thumbnails.still(item.path, side=ahead.STILL_SIDE) for item in shown.candidates]
    assert demo.view.candidates.value == candidates_svg(shown, stills)
    assert main_thread() not in made_by
    demo.controls.direction.value = "video_to_text"
    demo.controls.run.click()
    assert demo.view.candidates.value == candidates_svg(demo.shown, [])


def test_stills_of_a_run_that_was_left_are_not_shown(samples, monkeypatch):
    let_go = Event()

    def slow(path, **options):
        let_go.wait(60)
        return thumbnails.still(path, **options)

    monkeypatch.setattr(ahead, "still", slow)
    demo = RetrievalDemo(samples, examples=EXAMPLES, num_shown=3)
    left = demo.view._ahead._thread
    demo.controls.text.value = NEW
    drawn = []
    demo.view.candidates.observe(lambda change: drawn.append(change.new), names="value")
    let_go.set()
    left.join()
    demo.view._ahead.wait()
    stills = [thumbnails.still(item.path, side=ahead.STILL_SIDE) for item in demo.shown.candidates]
    assert set(drawn) == {candidates_svg(demo.shown, stills)}


def test_python_exits_without_making_all_pictures():
    videos = sorted(map(str, sample_folder().joinpath("videos").glob("video90*.mp4")))
    script = """if True:
        import atexit, pathlib, sys
        from diffret_core.course import thumbnails
        from diffret_core.course.demo.ahead import PicturesAhead
        from diffret_core.course.demo.collection import Item
        num_made = lambda: thumbnails._moving_picture.cache_info().currsize
        atexit.register(lambda: print(num_made()))  # after the threads have ended
        PicturesAhead().make([Item(path, path, pathlib.Path(path)) for path in sys.argv[1:]], None)
    """
    ended = subprocess.run([sys.executable, "-c", script, *videos], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < len(videos) == 100


def test_walk_takes_as_long_whatever_its_steps(demo):
    assert demo.controls.play.interval * (demo.controls.play.max + 1) == pytest.approx(FILM, rel=0.1)
    demo.controls.num_steps.value = 2
    demo.controls.run.click()
    assert demo.controls.play.interval * 3 == FILM


def test_demo_uses_widgets_of_both_supported_versions_with_names(demo):
    parts = everything_in(demo.whole)
    assert {type(part).__name__ for part in parts} == CORE
    assert not any(getattr(part, "continuous_update", False) for part in parts)
    settable = (widgets.Text, widgets.Button, widgets.Dropdown, widgets.IntSlider, widgets.BoundedIntText)
    assert all(part.description for part in parts if isinstance(part, (*settable, widgets.FloatSlider)))
    assert all(row.layout.flex_flow == "row wrap" for row in parts if isinstance(row, widgets.HBox))


def test_demo_stands_as_words_where_no_kernel_listens(demo, monkeypatch):
    shown = []
    monkeypatch.setattr(live, "display", lambda thing, raw=False: shown.append(thing))
    demo._ipython_display_()
    assert set(shown[0]) == {live.WIDGET, "text/html"}
    assert demo.view.results.value in shown[0]["text/html"]
    assert "<svg" not in shown[0]["text/html"]  # JupyterLab would remove it


def test_demo_over_an_index_waits_for_the_first_sentence(tmp_path):
    model = tiny_model()
    build_index(write_folder(tmp_path / "videos"), tmp_path / "index", model, NAME, num_workers=1)
    demo = RetrievalDemo.of_index(open_index(tmp_path / "index"), model, num_shown=3)
    assert demo.shown is None
    assert demo.view.explained.layout.display == "none"
    assert demo.controls.pin.disabled
    assert demo.controls.random.layout.display == "none"
    assert [value for _, value in demo.controls.direction.options] == ["text_to_video"]
    demo.controls.text.value = NEW
    assert shows(demo, run(demo.collection, default_state(model.config, NEW)))
    assert demo.view.explained.layout.display == ""


def test_missing_file_is_said_on_its_card_and_in_the_menu(tmp_path):
    model = tiny_model()
    build_index(write_folder(tmp_path / "videos"), tmp_path / "index", model, NAME, num_workers=1)
    demo = RetrievalDemo.of_index(open_index(tmp_path / "index"), model, num_shown=3)
    demo.controls.text.value = NEW
    assert "gone or cannot be read" not in demo.view.results.value
    (tmp_path / "videos" / demo.shown.results[0].item.id).unlink()
    demo.controls.seed.value = 1
    demo.controls.run.click()
    assert demo.view.results.value.count("gone or cannot be read") == 1
    assert sum(label.endswith(" (missing)") for label, _ in demo.controls.result.options) == 1


def test_model_without_generator_ranks_by_similarity_and_hides_what_would_do_nothing(tmp_path):
    clip = architecture(SMALL, text_cfg={"vocab_size": 49408})
    model = ZeroShot(build_clip(clip), tiny_config(clip=clip, max_words=16)).eval()
    build_index(write_folder(tmp_path / "videos"), tmp_path / "index", model, NAME, num_workers=1)
    index = open_index(tmp_path / "index")
    demo = RetrievalDemo.of_index(index, model, examples=[NEW], num_shown=3)
    found = search_index(index, model, NEW)
    assert [(one.item.id, one.similarity) for one in demo.shown.results] == [
        (one.video, pytest.approx(one.similarity)) for one in found.results
    ]
    assert all(one.combined_score == one.similarity and one.places_won == 0 for one in demo.shown.results)
    parts = everything_in(demo.whole)
    hidden = [*demo.controls.of_walk, *demo.controls.of_scores, demo.controls.play, demo.controls.level]
    assert not any(one in parts for one in [*hidden, demo.controls.result, demo.view.map, demo.view.walk])
    words = " ".join(part.value for part in parts if isinstance(part, widgets.HTML))
    assert "plain CLIP model" in words
    assert not any(told in words for told in ("noise level", "candidates", "generated", "alpha", "removes"))
    assert demo.view._ahead._thread is None


def test_model_that_did_not_make_the_index_is_refused(tmp_path):
    build_index(write_folder(tmp_path / "videos"), tmp_path / "index", tiny_model(), NAME, num_workers=1)
    torch.manual_seed(99)
    with pytest.raises(ValueError, match="not with the model that is given"):
        RetrievalDemo.of_index(open_index(tmp_path / "index"), tiny_model(max_frames=5))


def test_index_that_was_brought_up_to_date_is_opened_again(tmp_path):
    save_checkpoint(tmp_path / "model", tiny_model())
    model, name = load_checkpoint(tmp_path / "model"), ModelName("checkpoint", str(tmp_path / "model"))
    videos = write_folder(tmp_path / "videos")
    build_index(videos, tmp_path / "index", model, name, num_workers=1)
    demo = RetrievalDemo(IndexCollection.opened(tmp_path / "index"), examples=[NEW], num_shown=3)
    first = demo.shown
    demo.controls.run.click()
    assert demo.shown is first
    write_clip(videos / "new.mp4", seed=77)
    build_index(videos, tmp_path / "index", model, name, num_workers=1)
    demo.controls.run.click()
    assert len(demo.shown.results) == len(first.results) + 1 == 6
    assert demo.controls.num_candidates.max == 6
    for path in (tmp_path / "index").iterdir():
        path.unlink()
    demo.controls.run.click()
    assert "no index here" in demo.view.status.value
    build_index(videos, tmp_path / "index", tiny_model(max_frames=5), NAME, num_workers=1)
    demo.controls.run.click()
    assert "another model; reload the page" in demo.view.status.value
