"""Scores corrected for hubs: items that many queries find alike, and that stand before what those queries mean."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

BETA = 20.0  # SPEC section 14


class QueryBank(NamedTuple):
    """What a bank of queries, none of them of the test, says of each item of a gallery.

    Attributes:
        log_sum: log of the sum over the bank's queries of exp(beta * score): how much the bank likes the item.
        is_hub: Whether the item is the best one of any query of the bank: the activation set.
        num_queries: Size of the bank.
        beta: Inverse temperature.
    """

    log_sum: Float[Tensor, " V"]
    is_hub: Bool[Tensor, " V"]
    num_queries: int
    beta: float


def query_bank(score: Float[Tensor, "B V"], *, beta: float = BETA) -> QueryBank:
    """Make a bank of queries from their scores; a large bank is made of parts, see `joined_banks`.

    Args:
        score: Score of every item of the gallery for every query of the bank.
        beta: Inverse temperature, positive.

    Raises:
        ValueError: If there is no query or no item, a score is not finite, or beta is not a positive number.
    """
    _check(score, beta)
    is_hub = torch.zeros(score.shape[1], dtype=torch.bool, device=score.device)
    is_hub[score.argmax(dim=1)] = True
    return QueryBank(torch.logsumexp(beta * score, dim=0), is_hub, len(score), beta)


def joined_banks(one: QueryBank, other: QueryBank) -> QueryBank:
    """Join two parts of a bank, so that no more than a part is ever compared with the gallery at a time.

    Raises:
        ValueError: If they are of different galleries or have different temperatures.
    """
    if one.beta != other.beta or one.log_sum.shape != other.log_sum.shape:
        raise ValueError(
            f"banks of {len(one.log_sum)} and {len(other.log_sum)} items at beta {one.beta} and {other.beta}; "
            "join only parts of one bank"
        )
    return QueryBank(
        torch.logaddexp(one.log_sum, other.log_sum),
        one.is_hub | other.is_hub,
        one.num_queries + other.num_queries,
        one.beta,
    )


def querybank_scores(score: Float[Tensor, "Q V"], bank: QueryBank) -> Float[Tensor, "Q V"]:
    """Normalise scores by a bank of queries: the dynamic inverted softmax.

        s'(q, v) = exp(beta s(q, v)) / sum over b of exp(beta s(b, v))    where the best item of q is a hub

    The other queries keep their scores. What is returned is log(s') / beta, plus a number that is the same for all
    items: the order in every row is that of s', no exponential grows too large, and a bank that likes all items equally
    changes nothing, to the last bit. Rows of both kinds stand side by side: compare along rows, never down a column.

    Source: Bogolin et al., Cross Modal Retrieval with Querybank Normalisation, CVPR 2022; SPEC section 14.

    Args:
        score: Score of every item for every query; of the same kind as those that the bank was made from.
        bank: From the same gallery.

    Raises:
        ValueError: If the bank is of another gallery, or a score is not finite.
    """
    _check(score, bank.beta)
    if score.shape[1:] != bank.log_sum.shape:
        raise ValueError(f"{score.shape[1]} items are scored, the bank is of {len(bank.log_sum)}; use one gallery")
    penalty = (bank.log_sum - bank.log_sum.min()) / bank.beta
    finds_hub = bank.is_hub[score.argmax(dim=1)]
    return torch.where(finds_hub[:, None], score - penalty, score)


def dual_softmax_scores(score: Float[Tensor, "Q V"], *, beta: float = BETA) -> Float[Tensor, "Q V"]:
    """Multiply each query's softmax over the items by each item's softmax over the queries; the log of the product.

    The second softmax looks at all the other queries of the test, which nobody has who searches: what comes out
    compares with no method that answers one query at a time.

    Source: SPEC section 14.

    Args:
        score: Score of every item for every query.
        beta: Inverse temperature, positive.

    Raises:
        ValueError: If there is no query or no item, a score is not finite, or beta is not a positive number.
    """
    _check(score, beta)
    return torch.log_softmax(beta * score, dim=1) + torch.log_softmax(beta * score, dim=0)


def _check(score: Tensor, beta: float) -> None:
    if not (math.isfinite(beta) and beta > 0):
        raise ValueError(f"beta is {beta}, expected a positive number such as {BETA:g}")
    if score.ndim != 2 or score.numel() == 0:
        raise ValueError(f"score has shape {tuple(score.shape)}, expected queries by items, at least one of each")
    if not bool(score.isfinite().all()):
        raise ValueError("scores must be finite; look for empty or damaged features")
