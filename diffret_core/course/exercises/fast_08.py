"""Notebook 08, the exact fast sampler: what is computed once before the softmax and behind it, and the step."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.denoiser import Denoiser

Query = Float[Tensor, " D"]
Candidates = Float[Tensor, "N D"]
Codes = Float[Tensor, "K D"]
Logits = Float[Tensor, "K N"]
Contexts = tuple[Float[Tensor, "N D2"], Float[Tensor, "K D2"]]

# --- before the softmax ----------------------------------------------------------------------------------------------


def _logits(network: Denoiser, query: Query, candidates: Candidates, codes: Codes) -> Logits:
    matched = (query + codes) @ network.query.weight.T @ network.key.weight  # [K, D]
    return matched @ candidates.T


def _logits_in_two_parts(network: Denoiser, query: Query, candidates: Candidates, codes: Codes) -> Logits:
    keys = network.key(candidates)  # [N, D]
    of_query = keys @ network.query(query)  # [N]
    of_levels = torch.stack([keys @ network.query(code) for code in codes])
    return of_query + of_levels


def _logits_with_all_terms(network: Denoiser, query: Query, candidates: Candidates, codes: Codes) -> Logits:
    return torch.stack([network.key(candidates + code) @ network.query(query + code) for code in codes])


def _logits_of_query(network: Denoiser, query: Query, candidates: Candidates, codes: Codes) -> Logits:
    return (network.key(candidates) @ network.query(query)).expand(len(codes), -1)


def _logits_of_levels(network: Denoiser, query: Query, candidates: Candidates, codes: Codes) -> Logits:
    return network.query(codes) @ network.key(candidates).T


def _logits_exchanged(network: Denoiser, query: Query, candidates: Candidates, codes: Codes) -> Logits:
    return network.key(query + codes) @ network.query(candidates).T


def _logits_not_transposed(network: Denoiser, query: Query, candidates: Candidates, codes: Codes) -> Logits:
    return (query + codes) @ network.query.weight @ network.key.weight.T @ candidates.T


def _logits_divided(network: Denoiser, query: Query, candidates: Candidates, codes: Codes) -> Logits:
    return _logits(network, query, candidates, codes) / len(query) ** 0.5


def _network(dim: int, seed: int) -> Denoiser:
    """A small network with weights of its own, which needs no gradient."""
    draw, network = torch.Generator().manual_seed(seed), Denoiser(dim).requires_grad_(requires_grad=False)
    for weights in network.parameters():
        weights.copy_(torch.randn(weights.shape, generator=draw) / 2)
    return network


def _features(*sizes: int, seed: int) -> Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))


_SMALL, _OTHER = _network(4, 0), _network(2, 1)
_CANDIDATES, _CODES = _features(3, 4, seed=2), _features(2, 4, seed=3)
_OTHER_CANDIDATES, _OTHER_CODES = _features(2, 2, seed=4), _features(3, 2, seed=5)

LOGITS = Exercise(
    name="logits_once",
    reference=_logits,
    second=_logits_in_two_parts,
    mistakes=(
        Mistake(
            _logits_with_all_terms,
            "These are the whole logits. A softmax over j gives the same, but the terms without z_j are still in them.",
        ),
        Mistake(_logits_of_query, "This is A alone. The level asks as well: add B[k, j], the part of c_k with z_j."),
        Mistake(_logits_of_levels, "This is B alone. Add A[j], the part of the query with z_j, to every row."),
        Mistake(
            _logits_exchanged, "Query and candidates have changed places: Wq multiplies u and c_k, Wk multiplies z_j."
        ),
        Mistake(
            _logits_not_transposed, "A layer computes W u, which for rows is `u @ W.T`; your transposes are reversed."
        ),
        Mistake(_logits_divided, "This network has no 1/sqrt(D): take the products as they are."),
    ),
    cases=(
        (_SMALL, _features(4, seed=6), _CANDIDATES, _CODES),
        (_OTHER, _features(2, seed=7), _OTHER_CANDIDATES, _OTHER_CODES),
    ),
)

# --- behind the softmax ----------------------------------------------------------------------------------------------


def _first_layer(network: Denoiser) -> tuple[Tensor, Tensor, Tensor]:
    """Give W1a, W1b and b_1 of the decoder."""
    weight, bias, *_ = network.decoder.parameters()
    from_context, from_candidate = weight.chunk(2, dim=1)
    return from_context, from_candidate, bias


def _contexts(network: Denoiser, candidates: Candidates, codes: Codes) -> Contexts:
    from_context, _, bias = _first_layer(network)
    product = from_context @ network.output.weight @ network.value.weight
    return candidates @ product.T, codes @ product.T + from_context @ network.output.bias + bias


def _contexts_layer_by_layer(network: Denoiser, candidates: Candidates, codes: Codes) -> Contexts:
    from_context, _, bias = _first_layer(network)
    of_candidates = network.value(candidates) @ network.output.weight.T @ from_context.T
    return of_candidates, network.output(network.value(codes)) @ from_context.T + bias


def _contexts_without_output_bias(network: Denoiser, candidates: Candidates, codes: Codes) -> Contexts:
    G, g = _contexts(network, candidates, codes)
    return G, g - _first_layer(network)[0] @ network.output.bias


def _contexts_without_first_bias(network: Denoiser, candidates: Candidates, codes: Codes) -> Contexts:
    G, g = _contexts(network, candidates, codes)
    return G, g - _first_layer(network)[2]


def _contexts_of_the_other_half(network: Denoiser, candidates: Candidates, codes: Codes) -> Contexts:
    _, from_candidate, bias = _first_layer(network)
    product = from_candidate @ network.output.weight @ network.value.weight
    return candidates @ product.T, codes @ product.T + from_candidate @ network.output.bias + bias


def _contexts_without_output(network: Denoiser, candidates: Candidates, codes: Codes) -> Contexts:
    from_context, _, bias = _first_layer(network)
    product = from_context @ network.value.weight
    return candidates @ product.T, codes @ product.T + from_context @ network.output.bias + bias


def _contexts_with_bias_in_both(network: Denoiser, candidates: Candidates, codes: Codes) -> Contexts:
    G, g = _contexts(network, candidates, codes)
    return G + _first_layer(network)[0] @ network.output.bias, g


CONTEXT = Exercise(
    name="context_once",
    reference=_contexts,
    second=_contexts_layer_by_layer,
    mistakes=(
        Mistake(
            _contexts_without_output_bias, "b_o is missing: Wo has a bias, and W1a multiplies it; it belongs to g."
        ),
        Mistake(_contexts_without_first_bias, "b_1, the bias of the MLP's first layer, is missing; it belongs to g."),
        Mistake(_contexts_of_the_other_half, "The MLP reads [o ; z_j]: W1a is the first D columns, you took the last."),
        Mistake(_contexts_without_output, "Wo is missing: o is Wo times the weighted sum of values."),
        Mistake(_contexts_with_bias_in_both, "b_o is in both G and g; it would count twice. Leave it to g."),
    ),
    cases=((_SMALL, _CANDIDATES, _CODES), (_OTHER, _OTHER_CANDIDATES, _OTHER_CODES)),
)

# --- the step --------------------------------------------------------------------------------------------------------

Row = Float[Tensor, " N"]
Table = Float[Tensor, "N D2"]
Last = Callable[[Tensor], Tensor]


def _fast(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    w = torch.softmax(logits + x_k, dim=0)
    hidden = torch.relu(H_g + w @ G)  # [N, 2D]
    return last(hidden).squeeze(-1) + w


def _fast_in_loops(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    raised = (logits + x_k).exp()
    w = raised / raised.sum()
    context = sum(weight * one for weight, one in zip(w, G, strict=True))
    return torch.stack([last((own + context).clamp(min=0))[0] + weight for own, weight in zip(H_g, w, strict=True)])


def _fast_without_weight(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    return _fast(x_k, logits, G, H_g, last) - torch.softmax(logits + x_k, dim=0)


def _fast_without_state(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    return _fast(torch.zeros_like(x_k), logits, G, H_g, last)


def _fast_without_sum(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    w = torch.softmax(logits + x_k, dim=0)
    return last(torch.relu(H_g + w[:, None] * G)).squeeze(-1) + w


def _fast_with_plain_mean(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    return last(torch.relu(H_g + G.mean(dim=0))).squeeze(-1) + torch.softmax(logits + x_k, dim=0)


def _fast_without_relu(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    w = torch.softmax(logits + x_k, dim=0)
    return last(H_g + w @ G).squeeze(-1) + w


def _fast_with_early_relu(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    w = torch.softmax(logits + x_k, dim=0)
    return last(torch.relu(H_g) + torch.relu(w @ G)).squeeze(-1) + w


STEP = Exercise(
    name="fast_step",
    reference=_fast,
    second=_fast_in_loops,
    mistakes=(
        Mistake(_fast_without_weight, "The last term is missing: w_j is added to what the MLP gives."),
        Mistake(_fast_without_state, "x_k has no effect in yours: it is added to the logits, before the softmax."),
        Mistake(
            _fast_without_sum, "All candidates share one context, the sum of w_i G_i over i; yours keeps w_j G_j apart."
        ),
        Mistake(_fast_with_plain_mean, "Your context is a plain mean of G; each row counts with its weight w_i."),
        Mistake(_fast_without_relu, "The ReLU between the two layers is missing."),
        Mistake(_fast_with_early_relu, "Add first, then apply the ReLU: relu(a + b) is not relu(a) + relu(b)."),
    ),
    cases=(
        (
            _features(3, seed=8),
            _features(3, seed=9),
            _features(3, 8, seed=10),
            _features(3, 8, seed=11),
            _SMALL.decoder[2],
        ),
        (
            _features(2, seed=12),
            _features(2, seed=13),
            _features(2, 4, seed=14),
            _features(2, 4, seed=15),
            _OTHER.decoder[2],
        ),
    ),
)
