"""One sentence against a gallery: the ranking, and the walk that led to it."""

import json

import pytest
import torch
from tiny_models import SMALL, architecture, random_features, tiny_retriever

from diffret_core.config import ScoringConfig
from diffret_core.features import VideoFeatures
from diffret_core.indicator import INDICATOR_FILE, Indicator, read_indicator, write_indicator
from diffret_core.off_the_map import generator_scores, similarity_scores
from diffret_core.randomness import generator
from diffret_core.ranking import combined_scores, generated_probability
from diffret_core.sampler import draw_noise
from diffret_core.search import prepare_gallery, search
from diffret_core.word_pairs import known_pairs

IDS = [f"video{i}" for i in range(5)]
TEXT = "a red circle moves left"


@pytest.fixture(scope="module")
def model():
    scoring = ScoringConfig(num_candidates=3, alpha=0.5, temperature=4.0)
    return tiny_retriever(architecture(SMALL, text_cfg={"vocab_size": 49408}), scoring=scoring)


@pytest.fixture(scope="module")
def videos():
    return random_features(1, 5)[1]


@pytest.fixture(scope="module")
def found(model, videos):
    return search(model, videos, IDS, TEXT)


def test_results_are_all_videos_best_first(found):
    assert [one.rank for one in found.results] == [1, 2, 3, 4, 5]
    assert sorted(one.video for one in found.results) == IDS
    scores = [one.combined_score for one in found.results]
    assert scores == sorted(scores, reverse=True)
    assert all(one.start_seconds == 0 for one in found.results)


def test_results_hold_the_models_own_numbers(model, videos, found):
    with torch.no_grad():
        similarity = model.similarity(model.encode_texts([TEXT]), videos)
    for one in found.results:
        assert one.similarity == pytest.approx(float(similarity[0, IDS.index(one.video)]), abs=1e-6)
        assert one.combined_score == pytest.approx(one.similarity + 0.5 * one.generated_probability, abs=1e-6)


def test_candidates_are_the_most_similar_and_share_all_probability(found):
    by_similarity = sorted(found.results, key=lambda one: -one.similarity)
    assert found.candidates == [one.video for one in by_similarity[:3]]
    assert found.similarity.tolist() == pytest.approx([one.similarity for one in by_similarity[:3]])
    probability = {one.video: one.generated_probability for one in found.results}
    assert sum(probability.values()) == pytest.approx(1)
    assert {video for video, value in probability.items() if value == 0} == set(IDS) - set(found.candidates)
    expected = generated_probability(found.states[-1:], temperature=4.0)[0].tolist()
    assert [probability[video] for video in found.candidates] == pytest.approx(expected)


def test_walk_goes_from_noise_to_the_answer(model, found):
    assert found.levels == [6, 5, 4, 3, 2, 1, 0]
    assert found.states.shape == (7, 3) and found.estimates.shape == (6, 3)
    assert found.states[-1].equal(found.estimates[-1]) and float(found.estimates.abs().max()) <= 1
    candidates = torch.tensor([[IDS.index(video) for video in found.candidates]])
    similarity = torch.zeros(1, 5)
    for one in found.results:
        similarity[0, IDS.index(one.video)] = one.similarity
    score = combined_scores(similarity, candidates, found.states[-1:], alpha=0.5, temperature=4.0)
    assert IDS[int(score.argmax())] == found.results[0].video


def test_search_repeats_itself_and_depends_on_seed_and_text(model, videos, found):
    again = search(model, videos, IDS, TEXT)
    assert again.results == found.results and again.states.equal(found.states)
    assert not search(model, videos, IDS, TEXT, seed=1).states[0].equal(found.states[0])
    assert not search(model, videos, IDS, "a blue square").states[0].equal(found.states[0])


def test_search_does_not_depend_on_the_order_of_the_gallery(model, videos, found):
    order = torch.tensor([3, 0, 4, 2, 1])
    moved = search(model, VideoFeatures(*(part[order] for part in videos)), [IDS[i] for i in order], TEXT)
    assert moved.candidates == found.candidates
    assert [one.video for one in moved.results] == [one.video for one in found.results]


def test_search_of_one_video_finds_it(model, videos):
    found = search(model, VideoFeatures(*(part[:1] for part in videos)), ["only"], TEXT)
    assert [one.video for one in found.results] == ["only"]
    assert found.results[0].generated_probability == pytest.approx(1)


def walk_of_the_plain_network(model, videos, found):
    """States and estimates of the same walk, by the network as it is defined."""
    texts = model.encode_texts([found.text])
    items = torch.tensor([[IDS.index(video) for video in found.candidates]])
    denoise = model.bind_denoiser("text_to_video", texts, videos, torch.zeros(1, dtype=torch.long), items)
    steps = list(model.denoising_steps(denoise, found.states[:1]))
    return torch.cat([found.states[:1], *(step.x_k for step in steps)]), torch.cat([step.x_0_hat for step in steps])


@pytest.mark.parametrize("is_prepared", [False, True])
@pytest.mark.parametrize("mode", ["default", "reference"])
@pytest.mark.parametrize("is_normalised", [False, True])
def test_walk_is_that_of_the_plain_network(videos, mode, is_normalised, is_prepared):
    settings = {"scoring": ScoringConfig(num_candidates=3), "mode": mode, "normalise_for_denoiser": is_normalised}
    model = tiny_retriever(architecture(SMALL, text_cfg={"vocab_size": 49408}), spread=3.0, **settings)
    with torch.no_grad():
        found = search(model, prepare_gallery(model, videos) if is_prepared else videos, IDS, TEXT)
        states, estimates = walk_of_the_plain_network(model, videos, found)
    torch.testing.assert_close(found.states, states, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.estimates, estimates, rtol=0, atol=1e-5)


def test_search_of_a_prepared_gallery_gives_the_same(model, videos, found):
    gallery = prepare_gallery(model, videos)
    for _ in range(2):  # and leaves it as it was
        again = search(model, gallery, IDS, TEXT)
        assert [one.video for one in again.results] == [one.video for one in found.results]
        assert (again.candidates, again.levels) == (found.candidates, found.levels)
        torch.testing.assert_close(again.similarity, found.similarity, rtol=0, atol=1e-6)
        torch.testing.assert_close(again.states, found.states, rtol=0, atol=1e-6)
        torch.testing.assert_close(again.estimates, found.estimates, rtol=0, atol=1e-6)
        for one, other in zip(again.results, found.results, strict=True):
            assert one[2:] == pytest.approx(other[2:], abs=1e-6)


def test_search_of_a_prepared_gallery_prepares_nothing_again(model, videos, monkeypatch):
    gallery = prepare_gallery(model, videos)
    monkeypatch.setattr("diffret_core.search.PreparedVideos", None)
    monkeypatch.setattr(model.interaction, "prepare_videos", None)
    assert search(model, gallery, IDS, TEXT).text == TEXT


@pytest.mark.parametrize("text", ["", "  \n"])
def test_empty_text_is_refused(model, videos, text):
    with pytest.raises(ValueError, match="at least one word"):
        search(model, videos, IDS, text)


def test_ids_and_features_of_different_number_are_refused(model, videos):
    with pytest.raises(ValueError, match="4 ids for 5 videos"):
        search(model, videos, IDS[:4], TEXT)
    with pytest.raises(ValueError, match="4 ids for 5 videos"):
        search(model, prepare_gallery(model, videos), IDS[:4], TEXT)


def test_empty_gallery_is_refused(model, videos):
    nothing = VideoFeatures(*(part[:0] for part in videos))
    for make in (lambda: search(model, nothing, [], TEXT), lambda: prepare_gallery(model, nothing)):
        with pytest.raises(ValueError, match="there are no videos"):
            make()


def test_features_that_are_not_finite_are_refused(model, videos):
    frames = videos.frames.clone()
    frames[2, 0, 0] = float("nan")
    for use in (lambda bad: search(model, bad, IDS, TEXT), lambda bad: prepare_gallery(model, bad)):
        with pytest.raises(ValueError, match="videos: number 2 has a feature that is not finite"):
            use(videos._replace(frames=frames))


@pytest.mark.parametrize("prepare", [prepare_gallery, lambda model, videos: videos], ids=["prepared", "features"])
def test_search_without_the_compiled_walk_is_the_same(model, videos, found, prepare, monkeypatch):
    monkeypatch.setattr("diffret_core.search.walk", lambda *arguments: pytest.fail("walked compiled"))
    monkeypatch.setattr("diffret_core.search.can_walk", lambda noise: False)
    plain = search(model, prepare(model, videos), IDS, TEXT)
    assert (plain.levels, plain.candidates) == (found.levels, found.candidates)
    torch.testing.assert_close(plain.states, found.states, rtol=0, atol=1e-5)
    torch.testing.assert_close(plain.estimates, found.estimates, rtol=0, atol=1e-5)


@pytest.mark.parametrize("is_prepared", [False, True])
def test_search_without_noise_starts_from_zeros_and_takes_one_step(videos, is_prepared):
    settings = {"scoring": ScoringConfig(num_candidates=3), "num_noise_levels": 1, "noise": False}
    model = tiny_retriever(architecture(SMALL, text_cfg={"vocab_size": 49408}), spread=3.0, **settings)
    found = search(model, prepare_gallery(model, videos) if is_prepared else videos, IDS, TEXT)
    with torch.no_grad():
        states, estimates = walk_of_the_plain_network(model, videos, found)
    assert found.levels == [1, 0] and not bool(found.states[0].any())
    torch.testing.assert_close(found.states, states, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.estimates, estimates, rtol=0, atol=1e-5)


@pytest.mark.parametrize("is_prepared", [False, True])
def test_search_can_start_from_the_similarity(videos, is_prepared):
    settings = {"scoring": ScoringConfig(num_candidates=3, start_level=2)}
    model = tiny_retriever(architecture(SMALL, text_cfg={"vocab_size": 49408}), spread=3.0, **settings)
    found = search(model, prepare_gallery(model, videos) if is_prepared else videos, IDS, TEXT, seed=4)
    with torch.no_grad():
        states, estimates = walk_of_the_plain_network(model, videos, found)
    assert found.levels == [2, 1, 0]
    torch.testing.assert_close(found.states, states, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.estimates, estimates, rtol=0, atol=1e-5)
    proposed = (model.logit_scale.detach() * found.similarity).softmax(dim=0)
    noise = draw_noise([generator(4, "search noise", TEXT)], 3)[0]
    kept = float(model.alpha_bar[2])
    torch.testing.assert_close(found.states[0], kept**0.5 * proposed + (1 - kept) ** 0.5 * noise)


def test_search_adds_noise_at_every_step_where_eta_asks_for_it(videos):
    samples = {}
    for eta in (0.0, 0.5):
        settings = {"scoring": ScoringConfig(num_candidates=3, eta=eta)}
        model = tiny_retriever(architecture(SMALL, text_cfg={"vocab_size": 49408}), spread=3.0, **settings)
        samples[eta] = [search(model, videos, IDS, TEXT, seed=seed).states for seed in (0, 0, 1)]
    assert samples[0.5][0].equal(samples[0.5][1]) and not samples[0.5][0].equal(samples[0.5][2])
    assert samples[0.5][0][0].equal(samples[0.0][0][0])  # the same start
    assert not torch.allclose(samples[0.5][0][1], samples[0.0][0][1], atol=1e-3)


@pytest.mark.parametrize("score", ["similarity", "energy", "entropy", "disagreement", "reconstruction 3"])
@pytest.mark.parametrize("is_prepared", [False, True], ids=["features", "prepared"])
def test_indicator_goes_by_the_score_of_the_studies(model, videos, score, is_prepared):
    with torch.no_grad():
        texts = model.encode_texts([TEXT])
        rows = model.similarity(texts, videos)
        scores, _ = generator_scores(model, "text_to_video", texts, videos, rows, seed=2)
        scores |= similarity_scores(rows, temperature=1 / float(model.logit_scale))
    value = float(scores[score])
    gallery = prepare_gallery(model, videos) if is_prepared else videos
    for threshold, is_off in ((value - 0.01, True), (value + 0.01, False)):
        indicator = Indicator(score, threshold, 0.95, 5)
        said = search(model, gallery, IDS, TEXT, seed=2, indicator=indicator).off_the_map
        assert (said.score, said.threshold, said.is_off) == (score, threshold, is_off)
        assert said.value == pytest.approx(value, abs=1e-5)


def test_indicator_of_word_pairs_goes_by_the_wording(model, videos):
    indicator = Indicator("word pairs", 0.0, 0.95, 5, known_pairs([TEXT]))
    other = " ".join(reversed(TEXT.split()))
    known, unknown = (search(model, videos, IDS, text, indicator=indicator).off_the_map for text in (TEXT, other))
    assert (known.value, known.is_off) == (0, False)
    assert unknown.value > 0.5 and unknown.is_off
    both = search(model, videos, IDS, other, indicator=indicator._replace(score="similarity + word pairs")).off_the_map
    alone = search(model, videos, IDS, other, indicator=indicator._replace(score="similarity")).off_the_map
    assert both.value == pytest.approx(alone.value + unknown.value, abs=1e-5)


def test_indicator_changes_nothing_else_and_is_asked_for(model, videos, found):
    said = search(model, videos, IDS, TEXT, indicator=Indicator("entropy", 0.0, 0.95, 5))
    assert found.off_the_map is None and said.results == found.results
    assert torch.equal(said.states, found.states)


def test_indicator_is_kept_beside_the_weights(model, videos, tmp_path):
    assert read_indicator(tmp_path) is None
    indicator = Indicator("entropy", 1.25, 0.95, 1000, known_pairs([TEXT]))
    write_indicator(tmp_path, indicator)
    assert read_indicator(tmp_path) == indicator
    with pytest.raises(ValueError, match="goes by 'luck', of which this model knows nothing"):
        search(model, videos, IDS, TEXT, indicator=indicator._replace(score="luck"))


def test_indicator_of_a_gallery_of_another_size_counts_as_none(tmp_path):
    indicator = Indicator("entropy", 1.25, 0.95, 1000)
    write_indicator(tmp_path, indicator)
    assert read_indicator(tmp_path, 1000) == indicator
    assert read_indicator(tmp_path, 999) is None and read_indicator(tmp_path, 1001) is None
    assert read_indicator(tmp_path / "none", 1000) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: [kept],
        lambda kept: {"score": kept["score"]},
        lambda kept: {**kept, "colour": "red"},
        lambda kept: {**kept, "score": 3},
        lambda kept: {**kept, "threshold": "high"},
        lambda kept: {**kept, "known": ["a", "star"]},
        lambda kept: {**kept, "known": {"a": "star"}},
    ],
    ids=["list", "fields missing", "field too many", "score", "threshold", "pairs", "followers"],
)
def test_damaged_indicator_is_refused(tmp_path, damage):
    write_indicator(tmp_path, Indicator("entropy", 1.25, 0.95, 1000, known_pairs([TEXT])))
    path = tmp_path / INDICATOR_FILE
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(ValueError, match="is no indicator with score, threshold, recall, num_videos, known; delete it"):
        read_indicator(tmp_path)
