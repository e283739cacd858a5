"""Notebook 06, attention among candidates: weights with the additive logit, and the estimate made of them."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from diffret_core.course.exercise import Exercise, Mistake

Query = Float[Tensor, "B Q D"]
Candidates = Float[Tensor, "B N D"]
State = Float[Tensor, "B N"]
Layer = Callable[[Tensor], Tensor]

# --- who is attended to ----------------------------------------------------------------------------------------------


def _weights(q: Query, key: Candidates, x_k: State) -> State:
    return ((q * key).sum(dim=-1) + x_k).softmax(dim=-1)


def _weights_one_by_one(q: Query, key: Candidates, x_k: State) -> State:
    rows = []
    for asking, keys, state in zip(q, key, x_k, strict=True):
        each = asking.expand(len(keys), -1)
        grown = torch.stack([torch.exp(each[j] @ keys[j] + state[j]) for j in range(len(keys))])
        rows.append(grown / grown.sum())
    return torch.stack(rows)


def _weights_shrunk(q: Query, key: Candidates, x_k: State) -> State:
    return ((q * key).sum(dim=-1) / q.shape[-1] ** 0.5 + x_k).softmax(dim=-1)


def _weights_blind(q: Query, key: Candidates, x_k: State) -> State:
    return (q * key).sum(dim=-1).softmax(dim=-1)


def _weights_multiplied(q: Query, key: Candidates, x_k: State) -> State:
    return ((q * key).sum(dim=-1) * x_k).softmax(dim=-1)


def _weights_added_late(q: Query, key: Candidates, x_k: State) -> State:
    return (q * key).sum(dim=-1).softmax(dim=-1) + x_k


def _weights_of_the_first_query(q: Query, key: Candidates, x_k: State) -> State:
    return _weights(q[:, :1], key, x_k)


def _weights_over_the_batch(q: Query, key: Candidates, x_k: State) -> State:
    return ((q * key).sum(dim=-1) + x_k).softmax(dim=0)


def _weights_crossed(q: Query, key: Candidates, x_k: State) -> State:
    return ((q @ key.transpose(1, 2)).squeeze(1) + x_k).softmax(dim=-1)


def _weights_without_softmax(q: Query, key: Candidates, x_k: State) -> State:
    return (q * key).sum(dim=-1) + x_k


_SMALL_KEY = torch.tensor([[[1.5, 0.0], [0.5, 1.0], [1.5, 1.0]]])
_SMALL = (torch.tensor([[[2.5, 1.0]]]), _SMALL_KEY, torch.tensor([[0.3, 1.5, -0.6]]))
"""The three candidates of the notebook: numbers that can be read in a message, so this case comes first."""

_draw = torch.Generator().manual_seed(6)
_QUERY, _KEY, _STATE = (torch.randn(2, *size, generator=_draw) for size in ((3, 4), (3, 4), (3,)))

WEIGHTS = Exercise(
    name="candidate_weights",
    reference=_weights,
    second=_weights_one_by_one,
    mistakes=(
        Mistake(_weights_shrunk, "This network does not divide by sqrt(D)."),
        Mistake(_weights_blind, "x_k is missing in yours: the network would not see what it has to clean."),
        Mistake(_weights_multiplied, "x_k is added to the products, not multiplied with them."),
        Mistake(_weights_added_late, "x_k is added before the softmax; afterwards the weights would not sum to 1."),
        Mistake(
            _weights_of_the_first_query,
            "With Q = N each candidate has a query of its own; yours asks all of them with the first.",
        ),
        Mistake(_weights_over_the_batch, "The softmax runs over the candidates of one query: the last axis."),
        Mistake(
            _weights_crossed,
            "A matrix product asks every candidate with every query; with Q = N each has its own: (q * key), summed.",
        ),
        Mistake(_weights_without_softmax, "These are logits; the softmax over the candidates is missing."),
    ),
    cases=(_SMALL, (_QUERY[:, :1], _KEY, _STATE), (_QUERY, _KEY, _STATE)),
)

# --- the estimate ----------------------------------------------------------------------------------------------------


def _estimate(w: State, value: Candidates, candidates: Candidates, output: Layer, decoder: Layer) -> State:
    attended = output((w[..., None] * value).sum(dim=1, keepdim=True))  # [B, 1, D]
    context = attended.expand_as(candidates)
    return decoder(torch.cat([context, candidates], dim=-1)).squeeze(-1) + w


def _estimate_one_by_one(w: State, value: Candidates, candidates: Candidates, output: Layer, decoder: Layer) -> State:
    attended = output(torch.einsum("bn,bnd->bd", w, value))
    columns = [
        decoder(torch.cat([attended, candidates[:, j]], dim=-1))[:, 0] + w[:, j] for j in range(candidates.shape[1])
    ]
    return torch.stack(columns, dim=1)


def _estimate_without_w(w: State, value: Candidates, candidates: Candidates, output: Layer, decoder: Layer) -> State:
    return _estimate(w, value, candidates, output, decoder) - w


def _estimate_of_candidates(
    w: State, value: Candidates, candidates: Candidates, output: Layer, decoder: Layer
) -> State:
    return _estimate(w, candidates, candidates, output, decoder)


def _estimate_without_output(
    w: State, value: Candidates, candidates: Candidates, output: Layer, decoder: Layer
) -> State:
    return _estimate(w, value, candidates, nn.Identity(), decoder)


def _estimate_turned_round(w: State, value: Candidates, candidates: Candidates, output: Layer, decoder: Layer) -> State:
    def swapped(joined: Tensor) -> Tensor:
        return decoder(joined.roll(joined.shape[-1] // 2, dims=-1))

    return _estimate(w, value, candidates, output, swapped)


def _estimate_of_the_mean(w: State, value: Candidates, candidates: Candidates, output: Layer, decoder: Layer) -> State:
    return _estimate(w / w.shape[1], value, candidates, output, decoder) + w - w / w.shape[1]


def _estimate_of_each_alone(
    w: State, value: Candidates, candidates: Candidates, output: Layer, decoder: Layer
) -> State:
    return decoder(torch.cat([output(w[..., None] * value), candidates], dim=-1)).squeeze(-1) + w


def _estimate_not_squeezed(
    w: State, value: Candidates, candidates: Candidates, output: Layer, decoder: Layer
) -> Float[Tensor, "N N N"] | Float[Tensor, "1 N N"]:
    return (_estimate_without_w(w, value, candidates, output, decoder))[..., None] + w


def _estimate_joined_below(w: State, value: Candidates, candidates: Candidates, output: Layer, decoder: Layer) -> State:
    context = output((w[..., None] * value).sum(dim=1, keepdim=True)).expand_as(candidates)
    return decoder(torch.cat([context, candidates], dim=1)).squeeze(-1) + w


def _estimate_not_copied(w: State, value: Candidates, candidates: Candidates, output: Layer, decoder: Layer) -> State:
    return decoder(torch.cat([output((w[..., None] * value).sum(dim=1)), candidates], dim=-1)).squeeze(-1) + w


def _estimate_beside_values(
    w: State, value: Candidates, candidates: Candidates, output: Layer, decoder: Layer
) -> State:
    return _estimate(w, value, value, output, decoder)


_VALUE, _CANDIDATES = (torch.randn(2, 2, 2, generator=_draw) for _ in range(2))
_W = torch.tensor([[0.7, 0.3], [0.1, 0.9]])
_OUTPUT = nn.Linear(2, 2)
_DECODER = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
for _weight in (*_OUTPUT.parameters(), *_DECODER.parameters()):
    _weight.requires_grad_(False)
    _weight.copy_(torch.randn(_weight.shape, generator=_draw))
for _name, _layer in (("output", _OUTPUT), ("decoder", _DECODER)):
    _layer.__dict__["__name__"] = _name  # what messages call it

ESTIMATE = Exercise(
    name="estimate",
    reference=_estimate,
    second=_estimate_one_by_one,
    mistakes=(
        Mistake(_estimate_without_w, "The last step is missing: each candidate's own weight w is added."),
        Mistake(_estimate_of_candidates, "w weighs the values; yours weighs the candidates themselves."),
        Mistake(_estimate_without_output, "The weighted sum goes through the layer `output` before it is joined."),
        Mistake(_estimate_turned_round, "The order is [o ; candidate]; yours puts the candidate first."),
        Mistake(_estimate_of_the_mean, "Add the weighted values up; they need no division, since w sums to 1."),
        Mistake(_estimate_of_each_alone, "o is one vector for all candidates: the sum over j is missing in yours."),
        Mistake(
            _estimate_not_squeezed,
            "The decoder gives [B, N, 1]; without .squeeze(-1), adding w [B, N] makes a cube of it.",
        ),
        Mistake(_estimate_joined_below, "Join along the last axis, dim=-1: the numbers of o beside a candidate's."),
        Mistake(_estimate_not_copied, "o is [B, D]; each candidate needs a copy: o[:, None].expand_as(candidates)."),
        Mistake(_estimate_beside_values, "The second half of what is joined is the candidate, not its value."),
    ),
    cases=(
        (torch.tensor([[0.75, 0.25]]), torch.eye(2)[None], torch.tensor([[[1.0, 1.0], [0.0, 2.0]]]), _OUTPUT, _DECODER),
        (_W, _VALUE, _CANDIDATES, _OUTPUT, _DECODER),
        (_W[1:], _VALUE[:1], _CANDIDATES[1:], _OUTPUT, _DECODER),
    ),
)
