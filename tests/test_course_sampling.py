"""What lesson 08 needs beyond the sampler: walks for many queries at once, and the film of several draws."""

import pytest
import torch
from tiny_models import random_features, tiny_retriever

from diffret_core.config import ScoringConfig
from diffret_core.course import walks
from diffret_core.course.film_figure import Film, film_figure
from diffret_core.course.style import PLACES
from diffret_core.randomness import generator
from diffret_core.sampler import ddim_steps, noise_levels

# --- walks for many queries ------------------------------------------------------------------------------------------

QUERIES = torch.tensor([4, 1, 0])


@pytest.fixture(scope="module", params=[None, 4], ids=["from noise", "from the similarity"])
def model(request):
    return tiny_retriever(scoring=ScoringConfig(num_candidates=3, start_level=request.param))


@pytest.fixture(scope="module")
def features():
    return random_features(5, 5)


@pytest.fixture(params=["text_to_video", "video_to_text"])
def asked(request, model, features):
    texts, videos = features
    with torch.no_grad():
        similarity = model.similarity(texts, videos)
    return walks.ask(model, request.param, texts, videos, similarity=similarity, queries=QUERIES)


def plainly(asked, model, features, **options):
    """The same walks with the plain network."""
    denoise = model.bind_denoiser(asked.direction, *features, asked.queries, asked.items)
    with torch.no_grad():
        *_, last = ddim_steps(denoise, walks.noise_of(asked), alpha_bar=model.alpha_bar, **options)
    return last.x_k


def test_walks_are_those_of_the_package(asked, model, features):
    with torch.no_grad():
        similarity = model.similarity(*features)
    generated = model.generate(asked.direction, *features, similarity, queries=QUERIES)
    assert torch.equal(asked.items, generated.candidates)
    assert torch.allclose(walks.walk(asked, walks.noise_of(asked)), generated.sample, atol=1e-5)


def test_walks_of_few_steps_are_those_of_the_plain_network(asked, model, features):
    sample = walks.walk(asked, walks.noise_of(asked), num_steps=2)
    expected = plainly(asked, model, features, levels=noise_levels(model.config.first_level, 2))
    assert torch.allclose(sample, expected, atol=1e-5)


def test_walks_with_noise_at_every_step_are_those_of_the_plain_network(asked, model, features):
    own = [generator(0, f"{asked.direction} steps", int(query)) for query in QUERIES]
    levels = noise_levels(model.config.first_level)
    expected = plainly(asked, model, features, levels=levels, eta=1.0, generators=own)
    assert torch.allclose(walks.walk(asked, walks.noise_of(asked), eta=1.0), expected, atol=1e-5)


def test_each_draw_has_a_noise_of_its_own(asked):
    assert not torch.equal(walks.noise_of(asked), walks.noise_of(asked, 1))
    assert not torch.equal(walks.noise_of(asked), walks.noise_of(asked, seed=1))


def test_ranks_follow_the_sample_where_it_decides_and_the_similarity_elsewhere(asked):
    asked = asked._replace(
        rows=torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.35]] * 3), items=torch.tensor([[3, 4, 2]] * 3), queries=QUERIES
    )
    sample = torch.tensor([[0.0, 1.0, 0.5]] * 3)
    ranks = walks.ranks_of(asked, sample)
    assert ranks["generator"].tolist() == [1, 4, 5]  # 4 is the best candidate, 1 and 0 are none
    assert ranks["combined"].tolist() == [1, 4, 5]
    quiet = asked._replace(model=tiny_retriever(scoring=ScoringConfig(num_candidates=3, alpha=0.0)))
    assert walks.ranks_of(quiet, sample)["combined"].tolist() == [2, 4, 5]


def test_share_of_changes_counts_first_candidates():
    one = torch.tensor([[0.1, 0.2], [0.3, 0.1], [0.0, 0.5], [0.9, 0.8]])
    other = torch.tensor([[0.0, 0.9], [0.1, 0.3], [0.0, 0.1], [0.5, 0.4]])
    assert walks.share_of_changes(one, other) == 25


# --- the film --------------------------------------------------------------------------------------------------------

STATES = torch.tensor([[[1.0, -1.0, 0.0], [-2.0, 0.0, 2.0]], [[0.2, 0.1, 0.9], [0.4, 0.3, 0.5]]])
FILM = Film([5, 0], STATES, torch.stack([STATES[1], STATES[1]]))


def drawn(**changes):
    arguments = {"pictures": ["data:one", "data:two", "data:three"], "names": ["a", "<b>", "c"], "meant": 1}
    return film_figure(FILM, **(arguments | changes))


def test_film_has_every_level_under_its_slider_from_noise_to_answer():
    figure = drawn()
    assert [frame.name for frame in figure.frames] == ["5", "0"]
    assert [step.args[0][0] for step in figure.layout.sliders[0].steps] == ["5", "0"]


def test_film_draws_a_row_for_each_draw_and_one_for_their_mean():
    bars = [frame for frame in drawn().frames[0].data if frame.type == "bar"]
    assert [list(bar.y) for bar in bars] == [[1, 0, 0.5], [0, 0.5, 1], [0, 0, 1]]  # stretched; the mean is -0.5 -0.5 1


def test_film_ends_with_the_diamonds_on_the_bars():
    last = drawn().frames[-1].data
    for bar, diamonds in zip(last[0:6:2], last[1:6:2], strict=True):
        assert list(bar.y) == list(diamonds.y)


def test_every_frame_of_the_film_changes_bars_diamonds_and_cursor():
    figure = drawn()
    for frame, level in zip(figure.frames, FILM.levels, strict=True):
        assert list(frame.traces) == list(range(7))
        assert [figure.data[place].type for place in frame.traces] == ["bar", "scatter"] * 3 + ["scatter"]
        assert list(frame.data[-1].x) == [level, level]


def test_film_names_the_order_of_the_mean_of_all_answers():
    assert FILM.leaders() == [2, 0, 1]  # means 0.7, 0.3, 0.2
    labels = {note.text: note.x for note in drawn().layout.annotations if note.xref == "x"}
    assert labels == {"<b>1st</b>": 3, "<b>2nd</b>": 1, "<b>3rd</b>": 2, "★": 2}


def test_film_has_each_picture_once_and_no_star_without_a_candidate_that_is_meant():
    figure = drawn(meant=None)
    assert [image.source for image in figure.layout.images] == ["data:one", "data:two", "data:three"]
    assert "★" not in [note.text for note in figure.layout.annotations]


def test_film_keeps_captions_from_being_markup():
    assert drawn().data[0].customdata[1] == "&lt;b&gt;"


def test_film_names_its_lines_with_a_piece_of_each():
    layout = drawn().layout
    for place, sample in zip(PLACES[:2], layout.shapes, strict=True):
        (name,) = [note for note in layout.annotations if note.text == f"<b>{place.label}</b>" and note.xref != "x"]
        assert (sample.line.color, sample.line.dash) == (place.colour, place.dash)
        assert (sample.y0, sample.yref) == (name.y, name.yref)


def test_film_draws_the_states_of_the_first_two_as_they_are():
    paths = [trace for trace in drawn().data if trace.type == "scatter" and trace.mode == "lines"][1:]
    assert [list(path.x) for path in paths] == [[5, 0]] * 4
    assert [[round(y, 2) for y in path.y] for path in paths] == [[1, 0.2], [-2, 0.4], [0, 0.9], [2, 0.5]]
