"""Checks of answers: one line, whatever the answer does; every exercise with right, wrong and no answers."""

import math

import numpy as np
import pytest
import torch

from diffret_core.course import check
from diffret_core.course.exercise import Exercise, Mistake, judge
from diffret_core.course.exercises import exercises_of, find_exercise, lessons, questions_of

EXERCISES = [exercise for lesson in lessons() for exercise in exercises_of(lesson)]
MISTAKES = [
    pytest.param(exercise, mistake, id=f"{exercise.name}-{place}")
    for exercise in EXERCISES
    for place, mistake in enumerate(exercise.mistakes, start=1)
]
each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)

# --- every exercise of the course ------------------------------------------------------------------------------------


@each_exercise
def test_exercise_left_blank_is_not_tried_and_gives_the_reference(exercise, capsys):
    for blank in (..., lambda *_: ...):
        assert check.answer(exercise.name, blank) is exercise.reference
        said = capsys.readouterr().out
        assert said == f"{exercise.name}: not tried yet. The notebook goes on with our answer.\n"


@each_exercise
def test_exercise_is_passed_by_its_reference_and_by_an_answer_written_differently(exercise, capsys):
    for right in (exercise.reference, exercise.second):
        usable = check.answer(exercise.name, right)
        for arguments in exercise.cases:
            expected = exercise.reference(*arguments)
            assert isinstance(usable(*arguments), torch.Tensor) == isinstance(expected, torch.Tensor)
        assert usable is right or usable.__wrapped__ is right
        assert capsys.readouterr().out == f"{exercise.name}: passed.\n"
    assert exercise.reference is not exercise.second


@each_exercise
def test_exercise_knows_at_least_three_mistakes_each_with_its_own_message(exercise):
    assert len({mistake.message for mistake in exercise.mistakes}) == len(exercise.mistakes) >= 3


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_mistake_gets_its_own_message(exercise, mistake, capsys):
    assert check.answer(exercise.name, mistake.answer) is exercise.reference
    assert capsys.readouterr().out == f"{exercise.name}: not yet. {mistake.message} Hints are below.\n"


@each_exercise
@pytest.mark.parametrize("useless", [None, "", math.nan, [[[[1.0]]]], object(), [], "text", torch.zeros(0)])
def test_exercise_answers_a_useless_answer_in_one_line(exercise, useless, capsys):
    for wrong in (useless, lambda *_: useless):
        assert check.answer(exercise.name, wrong) is exercise.reference
        said = capsys.readouterr().out
        assert said.startswith(f"{exercise.name}: not yet. ")
        assert said.count("\n") == 1


def test_exercise_names_are_those_of_variables_and_stand_for_one_exercise():
    names = [exercise.name for exercise in EXERCISES]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)


def test_unknown_exercise_is_named_with_the_nearest_one():
    with pytest.raises(ValueError, match="no exercise 'spread_outt'; did you mean 'spread_out'"):
        find_exercise("spread_outt")


def test_unknown_lesson_is_named():
    with pytest.raises(ValueError, match="notebook '99' has no quiz here; there is one for .*01"):
        questions_of("99")
    with pytest.raises(ValueError, match="notebook '99' has no lesson here"):
        exercises_of("99")


# --- judging ---------------------------------------------------------------------------------------------------------


def halves(x: torch.Tensor) -> torch.Tensor:
    return x / 2


FUNCTION = Exercise(
    name="halve",
    reference=halves,
    second=halves,
    mistakes=(Mistake(lambda x: x * 2, "Twice."), Mistake(lambda x: x.T / 2, "Turned.")),
    cases=((torch.arange(6.0).reshape(2, 3),),),
)
VALUE = Exercise(name="count", reference=12, second=12.0, mistakes=(Mistake(30, "That is before."),))


def line(answer: object, exercise: Exercise = FUNCTION) -> str:
    return judge(exercise, answer).line.removeprefix(f"{exercise.name}: not yet. ").removesuffix(" Hints are below.")


@pytest.mark.parametrize("right", [lambda x: (x / 2).tolist(), lambda x: x.numpy() / 2, lambda x: x.double() * 0.5])
def test_right_answer_passes_in_any_type(right):
    assert judge(FUNCTION, right).passed


@pytest.mark.parametrize("right", [12, 12.0, np.int64(12), torch.tensor(12), True + 11])
def test_right_value_passes_in_any_type(right):
    assert judge(VALUE, right).passed


def test_answer_is_compared_with_a_tolerance():
    assert judge(FUNCTION, lambda x: x / 2 + 1e-7).passed
    assert not judge(FUNCTION, lambda x: x / 2 + 1e-3).passed


def test_mistake_is_recognised_by_what_it_does():
    assert line(lambda x: x + x) == "Twice."
    assert line(lambda x: torch.stack([x[0], x[1]], dim=1) / 2) == "Turned."  # also where its shape is wrong
    assert line(30, VALUE) == "That is before."


def test_mistake_that_stops_is_recognised_by_what_it_stops_with():
    stopping = FUNCTION._replace(mistakes=(Mistake(lambda x: x @ x, "Not a product."), *FUNCTION.mistakes))
    assert line(lambda x: torch.matmul(x, x), stopping) == "Not a product."
    assert "stops with ZeroDivisionError" in line(lambda x: 1 / 0, stopping)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: None, "is None, as if a `return` or a value were missing. It should be"),
        (lambda x: x[:1], "has the shape (1, 3), expected (2, 3)"),
        (lambda x: x * math.nan, "holds NaN"),
        (lambda x: x / 0, "holds NaN"),
        (lambda x: math.nan, "holds NaN"),
        (lambda x: "  ", "is an empty text"),
        (lambda x: "half", "is 'half', expected numbers"),
        (lambda x: x > 1, "holds values of type bool, expected float32"),
        (lambda x: x @ x, "stops with RuntimeError: "),
        (lambda x: exit(), "stops with SystemExit"),
        (lambda x: nothing_here, "stops with NameError: name 'nothing_here' is not defined"),  # noqa: F821
        (lambda: 1, "stops with TypeError"),
        (lambda x: x * 0, "halve([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]) is [[0.0, 0.0, 0.0], "),
        (lambda x: x * 0, "It should be [[0.0, 0.5, 1.0], [1.5, 2.0, 2.5]]."),
        (7, "7 is not a function; define halve with def."),
    ],
)
def test_wrong_answer_gets_a_clear_line(answer, said):
    assert said in line(answer)
    assert "\n" not in line(answer)


@pytest.mark.parametrize(
    ("answer", "said"),
    [(13, "Not right: the answer is 13."), ("", "is an empty text"), ([12, 12], "has the shape (2,), expected ()")],
)
def test_wrong_value_gets_a_clear_line(answer, said):
    assert said in line(answer, VALUE)


def test_text_and_parts_are_compared_one_by_one():
    text = Exercise("word", "moon", " moon ", ())
    assert judge(text, "moon ").passed
    assert line("sun", text) == "Not right: the answer is 'sun'."
    assert line(3, text) == "Not right: the answer is of type int, expected text."
    parts = Exercise("both", (torch.ones(2), ["a", "b"]), None, ())
    assert judge(parts, [[1, 1], ("a", "b")]).passed
    assert line(([1, 1], ["a", "c"]), parts) == (
        "Not right: the answer is wrong in part 2, which is wrong in part 2, which is 'c'."
    )
    assert "expected 2 parts" in line(torch.ones(2), parts)
    ends = Exercise("ends", (1.5, 2.5), None, ())
    assert judge(ends, torch.tensor([1.5, 2.5])).passed and judge(ends, torch.tensor([1.5, 2.5]).numpy()).passed
    assert "wrong in part 2" in line(torch.tensor([1.5, 2.0]), ends)
    assert "expected 2 parts" in line(torch.tensor([1.5, 2.5, 3.5]), ends)
    both = parts._replace(reference=lambda: (torch.ones(2), torch.zeros(3)), cases=((),))
    assert line(lambda: (torch.ones(2), torch.ones(1)), both) == (
        "both() is wrong in part 2, which is [1.0], of length 1, expected 3. "
        "It should be ([1.0, 1.0], [0.0, 0.0, 0.0])."
    )


def test_answer_that_changes_its_argument_is_told_so():
    def greedy(x):
        halved = x / 2
        x.zero_()
        return halved

    for _ in range(2):  # and it cannot change what it is judged by
        assert "changes what it is given; make a new one" in line(greedy)
    words = Exercise("first", lambda words: words[0], None, (), cases=((["a", "b"],),))
    assert "changes what it is given" in line(lambda words: words.pop(0), words)
    assert judge(words, lambda words: list(words).pop(0)).passed


def test_right_answer_in_another_type_goes_on_in_tensors():
    usable = judge(FUNCTION, lambda x: (x.double() / 2).tolist()).usable
    found = usable(torch.ones(2, 2))
    assert torch.equal(found, torch.full((2, 2), 0.5))
    assert judge(FUNCTION, lambda x: x.numpy() / 2).usable(torch.ones(1)).dtype == torch.float32
    assert isinstance(judge(VALUE._replace(reference=torch.tensor(12)), 12).usable, torch.Tensor)
    assert judge(FUNCTION, lambda x: x * 2).usable is halves


def test_answer_must_keep_a_gradient_that_the_right_one_has():
    learned = FUNCTION._replace(cases=((torch.ones(2, 2, requires_grad=True),),))
    assert judge(learned, lambda x: x * 0.5).passed
    for without in (lambda x: x.detach() / 2, lambda x: (x / 2).tolist()):
        assert "has lost its gradient" in line(without, learned)


def test_messages_show_short_numbers_and_names():
    def thirds(x):
        return x / 3

    assert "is [[0.0, 0.3333, 0.6667], [1.0, 1.333, 1.667]]." in line(thirds)
    assert "is a list of tensors; join them, for example with torch.stack" in line(lambda x: list(x / 2))
    applied = Exercise("apply", lambda f: f(1.0), None, (), cases=((thirds,),))
    assert "apply(thirds) is 3." in line(lambda f: 3, applied)
    layer = Exercise("apply", lambda layer: 1.0, None, (), cases=((torch.nn.Linear(2, 3),),))
    assert "apply(Linear) is 3." in line(lambda layer: 3, layer)


def test_check_prints_one_line_also_where_the_answer_prints(capsys):
    def talkative(x):
        print("here")
        return x / 2

    assert judge(FUNCTION, talkative).passed
    assert capsys.readouterr().out == ""


# --- quizzes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", lessons("quiz"))
def test_quiz_has_one_right_choice_in_changing_places_and_a_reason_for_each(lesson):
    questions = questions_of(lesson)
    assert 3 <= len(questions) <= 6
    for question in questions:
        assert 2 <= len(question.choices) <= 5
        assert [choice.right for choice in question.choices].count(True) == 1
        assert len({choice.because for choice in question.choices}) == len(question.choices)
        assert all(len(choice.text) <= 90 for choice in question.choices)
    places = {[choice.right for choice in question.choices].index(True) for question in questions}
    assert len(places) > 1
