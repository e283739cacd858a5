"""The demo without a kernel: its numbers are the core's, and its menu and slider reach every state."""

from dataclasses import replace

import pytest
import torch
from tiny_demo import make_samples

from diffret_core import sampler
from diffret_core.course.demo.collection import SampleCollection, text_generator
from diffret_core.course.demo.playable import playable
from diffret_core.course.demo.playable_figure import playable_figure
from diffret_core.course.demo.state import default_state
from diffret_core.ranking import generated_probability
from diffret_core.schedule import noise_schedule
from diffret_core.search import search

TEXT, STEPS = "a red circle moves left", (1, 4, 20)


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return SampleCollection(make_samples(tmp_path_factory.mktemp("samples")))


@pytest.fixture(scope="module")
def state(collection):
    return replace(default_state(collection.model.config, TEXT), num_draws=1)


@pytest.fixture(scope="module")
def choices(collection, state):
    asked = {"one": state, "<b>two</b>": replace(state, query=collection.captions[2].text, seed=3)}
    return {name: playable(collection, one, STEPS, num_shown=3) for name, one in asked.items()}


def test_last_level_is_the_generated_probability_of_search(collection, choices):
    samples = collection.samples
    found = search(samples.model, samples.videos, samples.video_ids, TEXT)
    by_id = {one.video: one.generated_probability for one in found.results}
    expected = [by_id[item.id] for item in choices["one"].items]
    assert choices["one"].probability[-1, -1].tolist() == pytest.approx(expected, abs=1e-5)


def test_all_levels_are_those_of_the_plain_sampler(collection, state, choices):
    model, videos = collection.model, collection.samples.videos
    with torch.no_grad():
        texts = model.encode_texts([TEXT])
        items = model.similarity(texts, videos).topk(3).indices
        denoise = model.bind_denoiser("text_to_video", texts, videos, torch.tensor([0]), items)
        noise = sampler.draw_noise([text_generator(TEXT, 0, 0)], 3)
        steps = list(sampler.ddim_steps(denoise, noise, [20, 15, 10, 5, 0], noise_schedule(20)))
    states = {20: noise, **{step.k: step.x_k for step in steps}}
    shown = choices["one"]
    for place, k in enumerate(shown.levels):
        still_at = next(level for level in (0, 5, 10, 15, 20) if level >= k)
        expected = generated_probability(states[still_at], temperature=state.temperature)[0]
        assert torch.allclose(shown.probability[place, 1], expected, atol=1e-4)


def test_shown_candidates_are_the_best_in_the_end_in_order_of_similarity(collection, state, choices):
    few = playable(collection, state, STEPS, num_shown=2)
    whole = choices["one"]
    last = whole.probability[-1].mean(dim=0)
    kept = last.argsort(descending=True)[:2].sort().values.tolist()
    assert [item.id for item in few.items] == [whole.items[column].id for column in kept]
    assert torch.equal(few.probability, whole.probability[:, :, kept])
    assert few.num_candidates == whole.num_candidates == 3


def test_what_a_sentence_was_written_for_is_marked(collection, choices):
    caption = collection.captions[2]
    shown = choices["<b>two</b>"]
    assert shown.meant == [item.id == caption.video_id for item in shown.items]
    assert not any(choices["one"].meant)


def test_slider_and_menu_reach_every_state(choices):
    figure = playable_figure(choices)
    frames = {frame.name: frame for frame in figure.frames}
    assert len(frames) == 2 * 21
    (menu,) = figure.layout.updatemenus
    assert [button.label for button in menu.buttons] == ["one", "&lt;b&gt;two&lt;/b&gt;"]
    for button, one in zip(menu.buttons, choices.values(), strict=True):
        traces, layout = button.args
        assert traces["x"] == [pytest.approx(values.tolist(), abs=6e-4) for values in one.probability[0]]
        (slider,) = layout["sliders"]
        assert [step["label"] for step in slider["steps"]] == [str(k) for k in range(20, -1, -1)]
        for place, step in enumerate(slider["steps"]):
            frame = frames[step["args"][0][0]]
            drawn = [list(bar.x) for bar in frame.data]
            assert drawn == [pytest.approx(values.tolist(), abs=6e-4) for values in one.probability[place]]
        assert len(layout["images"]) == len(layout["yaxis.ticktext"]) == len(one.items)
        assert one.query in layout["title.text"]
    assert figure.layout.sliders[0].steps[0].args[0] == ("0: 20",)


def test_figure_refuses_answers_that_differ_in_shape(collection, state, choices):
    with pytest.raises(ValueError, match="0 kinds"):
        playable_figure({})
    other = playable(collection, state, (1, 2), num_shown=3)
    with pytest.raises(ValueError, match="2 kinds"):
        playable_figure({"one": choices["one"], "other": other})
