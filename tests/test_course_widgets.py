"""Predictions, quizzes and progress: they wait for the learner, need no answer, and say as much without a kernel."""

from html.parser import HTMLParser

import ipywidgets as widgets
import pytest

from diffret_core.course import live, predict, prediction_picture, progress, quiz
from diffret_core.course.question import Choice, Question
from diffret_core.course.style import GENERATED, SIMILARITY

OLD_AND_NEW = {"VBox", "HBox", "HTML", "Button", "RadioButtons", "FloatSlider", "Dropdown"}
QUESTIONS = (
    Question("Is 1 < 2?", (Choice("no", "Count again."), Choice("yes", "It is less.", right=True))),
    Question("Is 2 < 1?", (Choice("never & nowhere", "Right so.", right=True), Choice("yes", "It is more."))),
)


@pytest.fixture
def shown(monkeypatch) -> list:
    """What `display` was called with."""
    calls: list = []
    monkeypatch.setattr(live, "display", lambda thing, raw=False: calls.append(thing))
    return calls


def everything_in(widget: widgets.Widget) -> list[widgets.Widget]:
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in everything_in(child))]


def drawn_words(svg: str) -> list[str]:
    """Texts of an SVG, which must be well-formed."""
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = found.append
    parser.feed(svg)
    return found


def number(truth: float = 8) -> predict.Prediction:
    return predict.make_number("How many <frames>?", truth, (0, 12, 1))


# --- predictions -----------------------------------------------------------------------------------------------------


def test_prediction_gives_nothing_away_before_it_is_asked():
    asked = number()
    assert asked.result.value == ""
    assert asked.button.description == predict.TELL
    assert all("8" not in str(getattr(part, "value", "")) for part in everything_in(asked.whole))


def test_prediction_without_a_guess_shows_the_answer_alone():
    asked = number()
    asked.button.click()
    assert drawn_words(asked.result.value)[:3] == ["0", "12", "answer 8"]
    assert "your guess" not in asked.result.value


def test_prediction_draws_the_answer_over_the_guess():
    asked = number()
    asked.guesses[0].value = 3
    assert asked.button.description == predict.COMPARE
    assert asked.result.value == ""
    asked.button.click()
    assert {"answer 8", "your guess 3"} <= set(drawn_words(asked.result.value))


def test_prediction_follows_a_guess_that_is_changed_afterwards():
    asked = number()
    asked.button.click()
    asked.guesses[0].value = 5
    assert "your guess 5" in asked.result.value


def test_prediction_of_a_ranking_joins_each_guess_with_its_place():
    asked = predict.make_ranking("Which first?", ["c", "a", "b"])
    assert [label for label, _ in asked.guesses[0].options] == ["choose", "a", "b", "c"]
    for menu, item in zip(asked.guesses, ["c", "b", "a"], strict=True):
        assert asked.button.description == predict.TELL  # an unfinished ranking is no guess
        menu.value = item
    asked.button.click()
    assert drawn_words(asked.result.value)[:8] == [
        "answer",
        "1. c",
        "2. a",
        "3. b",
        "your guess",
        "c 1.",
        "b 2.",
        "a 3.",
    ]
    assert asked.result.value.count(f'stroke="{SIMILARITY}"') == 1
    assert asked.result.value.count(f'stroke="{GENERATED}"') == 2


def test_prediction_of_a_curve_draws_both_curves():
    asked = predict.make_curve("How does it run?", [1, 2, 4], [0, 0.5, 1], (0, 1))
    asked.guesses[1].value = 0.9
    asked.button.click()
    assert asked.result.value.count("<polyline") == 3  # the axis and two curves
    assert {"answer", "your guess"} <= set(drawn_words(asked.result.value))


def test_names_of_two_curves_that_end_together_do_not_cover_each_other():
    svg = prediction_picture.two_curves([0, 1], [0, 1], [0.5, 1], (0, 1))
    heights = [float(line.split('y="')[1].split('"')[0]) for line in svg.split("<text")[-2:]]
    assert abs(heights[0] - heights[1]) >= 13


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: predict.number("?", truth=13, low=0, high=12), "the answer 13 is not between 0 and 12"),
        (lambda: predict.curve("?", [0, 1], [0, 2], low=0, high=1), "the answer 2 is not between"),
        (lambda: predict.curve("?", [0], [0], low=0, high=1), "two to eight"),
        (lambda: predict.ranking("?", ["a", "a"]), "each once"),
    ],
)
def test_prediction_that_cannot_be_answered_is_refused(make, complaint, shown):
    with pytest.raises(ValueError, match=complaint):
        make()
    assert shown == []


def test_predictions_fold_their_answer_where_no_kernel_listens(shown):
    predict.number("How many <frames>?", truth=8, low=0, high=12)
    predict.ranking("Which first?", ["c", "a"])
    predict.curve("How?", [1, 2], [0.25, 1], low=0, high=1)
    answers = ["<b>8</b>", "<b>c, then a</b>", "<b>0.25 at 1, 1 at 2</b>"]
    for bundle, answer in zip(shown, answers, strict=True):
        assert set(bundle) == {live.WIDGET, "text/html"}
        question, folded = bundle["text/html"].split("<details>")
        assert answer not in question
        assert answer in folded
    assert "How many &lt;frames&gt;?" in shown[0]["text/html"]


# --- quizzes ---------------------------------------------------------------------------------------------------------


def radios(box: widgets.VBox) -> list[widgets.RadioButtons]:
    return [part for part in everything_in(box) if isinstance(part, widgets.RadioButtons)]


def test_quiz_begins_with_nothing_chosen_and_answers_every_choice():
    box = quiz.make_quiz(QUESTIONS)
    reply = box.children[0].children[2]
    assert [radio.value for radio in radios(box)] == [None, None]
    assert reply.value == ""
    radios(box)[0].value = 0
    assert quiz.WRONG in reply.value
    assert "Count again." in reply.value
    radios(box)[0].value = 1
    assert quiz.RIGHT in reply.value
    assert "It is less." in reply.value
    assert box.children[1].children[2].value == ""


def test_quiz_folds_its_answers_where_no_kernel_listens(shown):
    quiz.show("01")
    (bundle,) = shown
    assert set(bundle) == {live.WIDGET, "text/html"}
    words = quiz.in_words(QUESTIONS)
    assert words.count("<details>") == 2
    assert "Is 1 &lt; 2?" in words
    assert "<b>never &amp; nowhere</b>. Right so." in words


def test_questions_use_widgets_of_both_supported_versions():
    curve = predict.make_curve("?", [0, 1], [0, 1], (0, 1)).whole
    boxes = [quiz.make_quiz(QUESTIONS), number().whole, predict.make_ranking("?", ["a", "b"]).whole, curve]
    parts = [part for box in boxes for part in everything_in(box)]
    assert {type(part).__name__ for part in parts} == OLD_AND_NEW
    assert not any(getattr(part, "continuous_update", False) for part in parts)


def test_widget_on_colab_is_shown_alone(shown, monkeypatch):
    monkeypatch.setattr(live, "on_colab", lambda: True)
    live.show_live(widgets.HTML(), "words")
    assert set(shown[0]) == {live.WIDGET}


# --- progress --------------------------------------------------------------------------------------------------------


class Line:
    """Stands for what `display` gives back: remembers what the line said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, words, display_id):
        self.update(words)
        return self

    def update(self, words) -> None:
        self.said.append(words.data)


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """What the clock shows; it stands still unless a test moves it."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def said(monkeypatch) -> list[str]:
    line = Line()
    monkeypatch.setattr(progress, "display", line)
    return line.said


def test_progress_takes_itself_away_at_the_end(clock, said):
    report = progress.counting("looking")
    clock[0] += 1
    report(1, 2000)
    assert said == ["looking: 1 of 2,000"]
    report(2000, 2000)
    assert said[-1] == ""


def test_progress_is_silent_where_it_is_quick(clock, said):
    assert list(progress.track([1, 2, 3], "counting")) == [1, 2, 3]
    assert said == []


def test_progress_speaks_a_few_times_a_second(clock, said):
    for _ in progress.track(range(100), "counting"):
        clock[0] += 0.1
    assert 20 < len(said) <= 40
    assert said[-1] == ""
