"""Exercise of notebook 05 about a table of counts: joint, p(query) and conditional."""

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake

Table = Float[Tensor, "Q N"]
Tables = tuple[Tensor, Tensor, Tensor]


def _tables(counts: Table) -> Tables:
    joint = counts / counts.sum()
    of_query = joint.sum(dim=1)
    return joint, of_query, joint / of_query[:, None]


def _tables_from_counts(counts: Table) -> Tables:
    rows = counts.sum(dim=1, keepdim=True)
    conditional = counts / rows
    of_query = (rows / rows.sum())[:, 0]
    return torch.einsum("q,qn->qn", of_query, conditional), of_query, conditional


def _tables_joint_by_row(counts: Table) -> Tables:
    _, of_query, conditional = _tables(counts)
    return conditional, of_query, conditional


def _tables_margin_of_candidates(counts: Table) -> Tables:
    joint, _, conditional = _tables(counts)
    return joint, joint.sum(dim=0), conditional


def _tables_conditional_down(counts: Table) -> Tables:
    joint, of_query, _ = _tables(counts)
    return joint, of_query, joint / joint.sum(dim=0)


def _tables_not_divided(counts: Table) -> Tables:
    joint, of_query, _ = _tables(counts)
    return joint, of_query, joint


def _tables_multiplied(counts: Table) -> Tables:
    joint, of_query, _ = _tables(counts)
    return joint, of_query, joint * of_query[:, None]


def _tables_divided_across(counts: Table) -> Tables:
    joint, of_query, _ = _tables(counts)
    return joint, of_query, joint / of_query


def _tables_all_down(counts: Table) -> Tables:
    joint, _, _ = _tables(counts)
    return joint, joint.sum(dim=0), joint / joint.sum(dim=0)


def _tables_in_another_order(counts: Table) -> Tables:
    joint, of_query, conditional = _tables(counts)
    return joint, conditional, of_query


def _tables_of_counts(counts: Table) -> Tables:
    return counts, counts.sum(dim=1), _tables(counts)[2]


TABLES = Exercise(
    name="query_tables",
    reference=_tables,
    second=_tables_from_counts,
    mistakes=(
        Mistake(_tables_joint_by_row, "Your joint sums to 1 in every row; it must sum to 1 over the whole table."),
        Mistake(_tables_margin_of_candidates, "Your p(query) sums down the columns, which gives p(candidate)."),
        Mistake(_tables_conditional_down, "Your conditional sums to 1 down the columns: that is p(query | candidate)."),
        Mistake(
            _tables_not_divided, "p(candidates | query) is the joint divided by p(query); yours is still the joint."
        ),
        Mistake(_tables_multiplied, "Divide the joint by p(query) to get the conditional; you have multiplied."),
        Mistake(_tables_divided_across, "p(query) must divide rows, so it needs the shape [Q, 1]; yours went across."),
        Mistake(_tables_all_down, "You sum down the columns; a row is a query, so sum along it, dim=1."),
        Mistake(_tables_in_another_order, "The order is joint, p(query), conditional; your last two are exchanged."),
        Mistake(_tables_of_counts, "These are still counts: divide by the number of all searches first."),
    ),
    cases=(
        (torch.tensor([[48.0, 6.0, 6.0], [3.0, 30.0, 6.0], [0.0, 1.0, 0.0]]),),
        (torch.tensor([[2.0, 6.0], [1.0, 1.0]]),),
    ),
)
