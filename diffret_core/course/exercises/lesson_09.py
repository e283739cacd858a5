"""Notebook 09, evaluation: fusing two scores, and choosing on validation; `judged_09.py` has what judges them."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.course.exercises.judged_09 import INTERVAL, SIGN_TEST

Row = Float[Tensor, " V"]
Candidates = Int[Tensor, " N"]
Sample = Float[Tensor, " N"]
OfValidation = Bool[Tensor, "A Q"]
OfTest = Bool[Tensor, "A R"]

# --- one score of two ------------------------------------------------------------------------------------------------


def _fused(similarity: Row, candidates: Candidates, sample: Sample, alpha: float, temperature: float) -> Row:
    fused = similarity.clone()
    fused[candidates] += alpha * torch.softmax(temperature * sample, dim=0)
    return fused


def _fused_by_adding(similarity: Row, candidates: Candidates, sample: Sample, alpha: float, temperature: float) -> Row:
    power = torch.exp(temperature * sample)
    return similarity.scatter_add(0, candidates, alpha * power / power.sum())


def _fused_dividing(similarity: Row, candidates: Candidates, sample: Sample, alpha: float, temperature: float) -> Row:
    return _fused(similarity, candidates, sample, alpha, 1 / temperature)


def _fused_without_temperature(
    similarity: Row, candidates: Candidates, sample: Sample, alpha: float, temperature: float
) -> Row:
    return _fused(similarity, candidates, sample, alpha, 1.0)


def _fused_without_softmax(
    similarity: Row, candidates: Candidates, sample: Sample, alpha: float, temperature: float
) -> Row:
    return similarity.scatter_add(0, candidates, alpha * temperature * sample)


def _fused_without_weight(
    similarity: Row, candidates: Candidates, sample: Sample, alpha: float, temperature: float
) -> Row:
    return _fused(similarity, candidates, sample, 1.0, temperature)


def _fused_in_front(similarity: Row, candidates: Candidates, sample: Sample, alpha: float, temperature: float) -> Row:
    return _fused(similarity, torch.arange(len(candidates)), sample, alpha, temperature)


def _fused_candidates_only(
    similarity: Row, candidates: Candidates, sample: Sample, alpha: float, temperature: float
) -> Row:
    return _fused(similarity, candidates, sample, alpha, temperature)[candidates]


def _fused_as_mean(similarity: Row, candidates: Candidates, sample: Sample, alpha: float, temperature: float) -> Row:
    return _fused((1 - alpha) * similarity, candidates, sample, alpha, temperature)


_ROW = torch.tensor([0.3, 0.7, 0.1, 0.6, 0.5])

FUSED = Exercise(
    name="fused_scores",
    reference=_fused,
    second=_fused_by_adding,
    mistakes=(
        Mistake(_fused_dividing, "Here the sample is multiplied by the temperature, not divided by it."),
        Mistake(_fused_without_temperature, "Multiply the sample by the temperature before the softmax."),
        Mistake(_fused_without_softmax, "Add probabilities: the softmax over the candidates is missing."),
        Mistake(_fused_without_weight, "The probabilities are added with weight alpha; yours have weight 1."),
        Mistake(_fused_in_front, "`candidates` says in which columns to add; yours adds to the first ones."),
        Mistake(_fused_candidates_only, "Return all V scores: items that are no candidates keep their similarity."),
        Mistake(_fused_as_mean, "It is a sum, not a mean: the similarity keeps its weight of 1."),
    ),
    cases=(
        (_ROW, torch.tensor([1, 3, 4]), torch.tensor([0.2, 0.9, -0.4]), 0.5, 5.0),
        (_ROW, torch.tensor([4, 1]), torch.tensor([1.0, 0.5]), 0.1, 2.0),
    ),
)

# --- choosing on validation ------------------------------------------------------------------------------------------


def _choice(validation: OfValidation, test: OfTest) -> tuple[float, float]:
    recall = 100 * test.double().mean(dim=1)
    honest = recall[validation.double().mean(dim=1).argmax()].item()
    return honest, recall.max().item() - honest


def _choice_in_a_loop(validation: OfValidation, test: OfTest) -> tuple[float, float]:
    best = max(range(len(validation)), key=lambda trial: sum(validation[trial].tolist()))
    recalls = [100 * sum(row) / len(row) for row in test.tolist()]
    return recalls[best], max(recalls) - recalls[best]


def _choice_on_test(validation: OfValidation, test: OfTest) -> tuple[float, float]:
    return (100 * test.double().mean(dim=1)).max().item(), 0.0


def _choice_on_both(validation: OfValidation, test: OfTest) -> tuple[float, float]:
    return _choice(torch.cat([validation, test], dim=1), test)


def _choice_told_of_validation(validation: OfValidation, test: OfTest) -> tuple[float, float]:
    return (100 * validation.double().mean(dim=1)).max().item(), _choice(validation, test)[1]


def _choice_against_validation(validation: OfValidation, test: OfTest) -> tuple[float, float]:
    honest = _choice(validation, test)[0]
    return honest, (100 * validation.double().mean(dim=1)).max().item() - honest


def _choice_turned_round(validation: OfValidation, test: OfTest) -> tuple[float, float]:
    honest, optimism = _choice(validation, test)
    return honest, -optimism


def _choice_in_shares(validation: OfValidation, test: OfTest) -> tuple[float, float]:
    honest, optimism = _choice(validation, test)
    return honest / 100, optimism / 100


def _choice_by_number(validation: OfValidation, test: OfTest) -> tuple[float, float]:
    return float(validation.double().mean(dim=1).argmax()), _choice(validation, test)[1]


_TEST = torch.tensor([[1, 0, 1, 1, 0], [1, 1, 1, 1, 0], [0, 1, 0, 1, 0]]).bool()

CHOICE = Exercise(
    name="honest_choice",
    reference=_choice,
    second=_choice_in_a_loop,
    mistakes=(
        Mistake(_choice_on_test, "This is the leak: you choose on the very queries that judge."),
        Mistake(_choice_on_both, "Choosing on both lists looks at the test; choose by `validation` alone."),
        Mistake(_choice_told_of_validation, "Report the chosen trial's R@1 on `test`; yours is that of validation."),
        Mistake(
            _choice_against_validation, "The second number compares two R@1 on `test`: the best there, minus yours."
        ),
        Mistake(_choice_turned_round, "The sign of the second number is turned: the best on test, minus the honest."),
        Mistake(_choice_in_shares, "Both are in percent: multiply by 100."),
        Mistake(_choice_by_number, "This is the number of the chosen trial; return its R@1 on `test`."),
    ),
    cases=(
        (torch.tensor([[1, 1, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0]]).bool(), _TEST),
        (torch.tensor([[0, 1], [0, 0], [1, 1]]).bool(), _TEST),
        (torch.tensor([[0, 1], [1, 1], [0, 0]]).bool(), _TEST),
    ),
)

EXERCISES = (FUSED, CHOICE, INTERVAL, SIGN_TEST)
