"""The demo's numbers: what it shows is what the core computes, in both directions, whatever is set."""

from dataclasses import asdict, replace

import pytest
import torch
from tiny_demo import make_samples

from diffret_core import sampler
from diffret_core.checkpoints import save_checkpoint
from diffret_core.course import setup
from diffret_core.course.demo import running
from diffret_core.course.demo.collection import SampleCollection, text_generator
from diffret_core.course.demo.running import levels_of, rescore, run
from diffret_core.course.demo.state import DemoState, default_state
from diffret_core.course.setup import Samples
from diffret_core.indicator import Indicator, write_indicator
from diffret_core.ranking import combined_scores
from diffret_core.retriever import take_settings
from diffret_core.schedule import noise_schedule
from diffret_core.search import search

TEXT = "a red circle moves left"


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> Samples:
    return make_samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="module")
def collection(samples) -> SampleCollection:
    return SampleCollection(samples)


@pytest.fixture
def state(samples) -> DemoState:
    return default_state(samples.model.config, TEXT)


# --- the state -------------------------------------------------------------------------------------------------------


def test_default_state_is_the_models_own(samples, state):
    config = samples.model.config
    scoring = asdict(state.scoring())
    assert scoring == asdict(config.scoring) | {"num_steps": 20}
    assert state.schedule == config.schedule


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"query": "  "}, "type what you would like to see"),
        ({"query": "", "direction": "video_to_text"}, "choose a video"),
        ({"eta": 1.5}, "eta is 1.5"),
        ({"seed": -1}, "seed is -1"),
        ({"num_candidates": 0}, "num_candidates is 0"),
        ({"num_draws": 0}, "num_draws is 0"),
        ({"num_steps": 0}, "num_steps is 0"),
        ({"alpha": -1.0}, "alpha is -1"),
        ({"temperature": 0.0}, "temperature is 0"),
    ],
)
def test_state_refuses_what_cannot_work_in_one_line(state, changes, complaint):
    with pytest.raises(ValueError, match=complaint) as refused:
        replace(state, **changes)
    assert "\n" not in str(refused.value)


def test_only_weight_and_temperature_need_no_new_walk(state):
    other = {"query": "x", "direction": "video_to_text", "num_steps": 3, "schedule": "linear", "eta": 0.5}
    other |= {"num_candidates": 2, "seed": 1, "num_draws": 2}
    assert set(other) | {"alpha", "temperature"} == set(asdict(state))
    assert all(replace(state, **{name: value}).needs_new_walk(state) for name, value in other.items())
    assert not replace(state, alpha=2.0, temperature=9.0).needs_new_walk(state)


# --- what is computed ------------------------------------------------------------------------------------------------


@pytest.fixture(params=[None, 3], ids=["from noise", "from the similarity"])
def started(request, samples):
    """The samples with a model whose walks start there."""
    config = samples.model.config
    take_settings(samples.model, replace(config, scoring=replace(config.scoring, start_level=request.param)))
    yield samples
    take_settings(samples.model, config)


def test_run_is_the_search_of_the_core(started, collection):
    samples, state = started, default_state(started.model.config, TEXT)
    found, shown = search(samples.model, samples.videos, samples.video_ids, TEXT), run(collection, state)
    assert [one.item.id for one in shown.results] == [one.video for one in found.results]
    for name in ("rank", "similarity", "generated_probability", "combined_score"):
        expected = [getattr(one, name) for one in found.results]
        assert [getattr(one, name) for one in shown.results] == pytest.approx(expected, abs=1e-5)
    assert [one.id for one in shown.candidates] == found.candidates
    assert shown.walk.levels == found.levels
    assert torch.allclose(shown.walk.states[:, 0], found.states, atol=1e-5)
    assert torch.allclose(shown.walk.estimates[:, 0], found.estimates, atol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 0.7])
@pytest.mark.parametrize(("num_steps", "schedule"), [(20, "cosine"), (4, "linear")])
def test_run_follows_every_control_as_the_plain_sampler_does(samples, collection, state, eta, num_steps, schedule):
    asked = replace(state, eta=eta, num_steps=num_steps, schedule=schedule, num_draws=3, seed=5, num_candidates=2)
    shown = run(collection, asked)
    model, videos = samples.model, samples.videos
    with torch.no_grad():
        texts = model.encode_texts([TEXT])
        similarity = model.similarity(texts, videos)
    items = similarity.topk(2).indices
    alpha_bar = noise_schedule(20, schedule)
    levels = [20 * step // num_steps for step in range(num_steps, -1, -1)]
    lasts = []
    with torch.no_grad():
        denoise = model.bind_denoiser("text_to_video", texts, videos, torch.tensor([0]), items)
        for draw in range(3):
            own = [text_generator(TEXT, 5, draw)]
            noise = sampler.draw_noise(own, 2)
            *_, last = sampler.ddim_steps(denoise, noise, levels, alpha_bar, eta=eta, generators=own)
            lasts.append(last.x_k)
            assert torch.allclose(shown.walk.states[-1, draw], last.x_k[0], atol=1e-4)
            assert torch.allclose(shown.walk.states[0, draw], noise[0])
    expected = combined_scores(similarity, items, torch.stack(lasts).mean(dim=0), alpha=0.5, temperature=4.0)
    by_id = {one.item.id: one.combined_score for one in shown.results}
    assert [by_id[video] for video in samples.video_ids] == pytest.approx(expected[0].tolist(), abs=1e-4)


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_video_finds_captions_as_the_retriever_generates_them(samples, collection, eta):
    model, config = samples.model, samples.model.config
    asked = default_state(config, samples.video_ids[2], direction="video_to_text")
    asked = replace(asked, num_draws=3, seed=4, eta=eta)
    shown = run(collection, asked)
    texts = collection.texts
    similarity = model.similarity(texts, samples.videos)
    take_settings(model, replace(config, scoring=asked.scoring()))
    try:
        made = model.generate("video_to_text", texts, samples.videos, similarity, queries=torch.tensor([2]), seed=4)
    finally:
        take_settings(model, config)
    assert shown.walk.items.tolist() == made.candidates.tolist()
    assert torch.allclose(shown.walk.states[-1].mean(dim=0), made.sample[0], atol=1e-4)
    expected = combined_scores(similarity.T[2:3], made.candidates, made.sample, alpha=0.5, temperature=4.0)[0].tolist()
    for one in shown.results:
        assert one.combined_score == pytest.approx(expected[one.column], abs=1e-4)
        assert one.item.words == collection.captions[one.column].text


def test_places_won_count_from_the_ranking_by_similarity(collection, state):
    runs = [run(collection, replace(state, alpha=50.0, query=caption.text)) for caption in collection.captions]
    for shown in runs:
        by_similarity = sorted(shown.results, key=lambda one: -one.similarity)
        for place, one in enumerate(by_similarity, start=1):
            assert one.similarity_rank == place
            assert one.places_won == place - one.rank
    assert any(one.places_won for shown in runs for one in shown.results)


def test_rescoring_a_walk_is_a_run_of_the_new_state(collection, state):
    first, moved = run(collection, state), replace(state, alpha=3.0, temperature=20.0)
    again, anew = rescore(first.walk, moved), run(collection, moved)
    assert [one[:1] + one[3:] for one in again.results] == [one[:1] + one[3:] for one in anew.results]
    assert again.state == moved
    assert again.results != first.results
    assert again.walk is first.walk


def test_rescoring_for_a_state_of_another_walk_is_refused(collection, state):
    with pytest.raises(ValueError, match="walk anew"):
        rescore(run(collection, state).walk, replace(state, seed=1))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"query": "no such video", "direction": "video_to_text"}, "there is no video 'no such video'"),
        ({"num_steps": 21}, "num_steps is 21"),
        ({"alpha": float("inf")}, "alpha is inf"),
    ],
)
def test_run_refuses_what_the_model_cannot_do(collection, state, changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        run(collection, replace(state, **changes))


def test_levels_are_named_shortly(samples):
    assert levels_of(samples.model.config, 2) == "20, 10, 0"
    assert levels_of(samples.model.config, 20) == "20, 19, 18, …, 1, 0"


def test_random_queries_are_of_the_collection_and_differ(collection, samples):
    texts = {collection.random_query("text_to_video", turn) for turn in range(30)}
    videos = {collection.random_query("video_to_text", turn) for turn in range(30)}
    assert texts <= {caption.text for caption in collection.captions}
    assert videos <= set(samples.video_ids)
    assert len(texts) > 2
    assert len(videos) > 2


def test_clock_counts_comparing_and_walking_only(samples, state, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(running.time, "perf_counter", lambda: now[0])

    class Slow(SampleCollection):
        def prepare(self, direction):
            super().prepare(direction)
            now[0] += 100

        def propose(self, state):
            now[0] += 1
            return super().propose(state)._replace(off_the_map=self.tell)

        def tell(self, seed):
            now[0] += 10

    collection = Slow(samples)
    assert run(collection, state).walk.seconds == 1
    assert {"gallery", "texts", "prepared_texts"} & set(vars(collection)) == {"gallery"}


# --- off the map -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", ["similarity", "entropy", "disagreement"])
@pytest.mark.parametrize("threshold", [-1e9, 1e9])
def test_indicator_says_what_search_says_whatever_the_demo_is_set_to(samples, state, score, threshold):
    indicator = Indicator(score, threshold, 0.95, len(samples.video_ids))
    found = search(samples.model, samples.videos, samples.video_ids, TEXT, seed=3, indicator=indicator)
    collection = SampleCollection(samples._replace(indicator=indicator))
    for changes in ({}, {"num_candidates": 2, "num_steps": 3, "num_draws": 2, "alpha": 2.0}):
        told = run(collection, replace(state, seed=3, **changes)).walk.off_the_map
        assert told._replace(value=0) == found.off_the_map._replace(value=0)
        assert told.value == pytest.approx(found.off_the_map.value, abs=1e-5)
        assert told.is_off == (threshold < 0)


def test_nothing_is_said_of_the_map_where_nothing_can_tell(samples, collection, state):
    assert run(collection, state).walk.off_the_map is None
    indicated = SampleCollection(samples._replace(indicator=Indicator("similarity", 0.0, 0.95, 4)))
    asked = default_state(samples.model.config, samples.video_ids[0], direction="video_to_text")
    assert run(indicated, asked).walk.off_the_map is None


@pytest.mark.parametrize("num_videos", [4, 5], ids=["this gallery", "another gallery"])
def test_opened_samples_have_the_indicator_of_their_gallery_only(tmp_path, num_videos):
    model_folder = tmp_path / "model"
    save_checkpoint(model_folder, make_samples(tmp_path).model)
    indicator = Indicator("entropy", 2.5, 0.95, num_videos)
    write_indicator(model_folder, indicator)
    opened = setup.open_samples(folder=tmp_path / "collection", model_folder=model_folder)
    assert opened.indicator == (indicator if num_videos == len(opened.video_ids) else None)
