"""Notebook 08, the exact fast sampler: what is computed once, before the softmax and behind it."""

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


def _logits_with_level_on_keys(network: Denoiser, query: Query, candidates: Candidates, codes: Codes) -> Logits:
    return torch.stack([network.key(candidates + code) @ network.query(query) for code in codes])


def _logits_through_softmax(network: Denoiser, query: Query, candidates: Candidates, codes: Codes) -> Logits:
    return _logits(network, query, candidates, codes).softmax(dim=1)


def _logits_with_one_layer(network: Denoiser, query: Query, candidates: Candidates, codes: Codes) -> Logits:
    return network.query(query + codes) @ network.query(candidates).T


def _network(dim: int, seed: int) -> Denoiser:
    """A small network with weights of its own, which needs no gradient."""
    draw, network = torch.Generator().manual_seed(seed), Denoiser(dim).requires_grad_(requires_grad=False)
    for weights in network.parameters():
        weights.copy_(torch.randn(weights.shape, generator=draw) / 2)
    return network


def features(*sizes: int, seed: int) -> Tensor:
    """Made-up features, the same for the same seed."""
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))


SMALL, OTHER = _network(4, 0), _network(2, 1)
"""Two networks for all exercises here: with D = 4 and D = 2."""
_CANDIDATES, _CODES = features(3, 4, seed=2), features(2, 4, seed=3)
_OTHER_CANDIDATES, _OTHER_CODES = features(2, 2, seed=4), features(3, 2, seed=5)

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
        Mistake(
            _logits_with_level_on_keys,
            "Your c_k stands beside z_j; the only term with it that counts, B, has c_k in the place of the query.",
        ),
        Mistake(_logits_through_softmax, "Return the logits; the softmax comes later, when x_k has been added."),
        Mistake(_logits_with_one_layer, "The candidates go through `network.key`; yours use `network.query` for both."),
        Mistake(_logits_divided, "This network has no 1/sqrt(D): take the products as they are."),
    ),
    cases=(
        (SMALL, features(4, seed=6), _CANDIDATES, _CODES),
        (OTHER, features(2, seed=7), _OTHER_CANDIDATES, _OTHER_CODES),
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


def _contexts_with_first_bias_in_both(network: Denoiser, candidates: Candidates, codes: Codes) -> Contexts:
    G, g = _contexts(network, candidates, codes)
    return G + _first_layer(network)[2], g


def _contexts_with_both_biases_in_both(network: Denoiser, candidates: Candidates, codes: Codes) -> Contexts:
    G, g = _contexts_with_first_bias_in_both(network, candidates, codes)
    return G + _first_layer(network)[0] @ network.output.bias, g


def _contexts_without_biases(network: Denoiser, candidates: Candidates, codes: Codes) -> Contexts:
    G, g = _contexts_without_first_bias(network, candidates, codes)
    return G, g - _first_layer(network)[0] @ network.output.bias


def _contexts_without_value(network: Denoiser, candidates: Candidates, codes: Codes) -> Contexts:
    from_context, _, bias = _first_layer(network)
    product = from_context @ network.output.weight
    return candidates @ product.T, codes @ product.T + from_context @ network.output.bias + bias


def _contexts_in_wrong_order(network: Denoiser, candidates: Candidates, codes: Codes) -> Contexts:
    from_context, _, bias = _first_layer(network)
    product = from_context @ network.value.weight @ network.output.weight
    return candidates @ product.T, codes @ product.T + from_context @ network.output.bias + bias


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
        Mistake(_contexts_with_first_bias_in_both, "b_1 is in both G and g; it would count twice. Leave it to g."),
        Mistake(_contexts_with_both_biases_in_both, "Both biases are in G and in g; they would count twice."),
        Mistake(_contexts_without_biases, "Both biases are missing: b_o, which W1a multiplies, and b_1 belong to g."),
        Mistake(_contexts_without_value, "Wv is missing: what is summed is values, Wv times candidate and code."),
        Mistake(_contexts_in_wrong_order, "Wv comes first, then Wo, then W1a; so the product is W1a Wo Wv."),
    ),
    cases=((SMALL, _CANDIDATES, _CODES), (OTHER, _OTHER_CANDIDATES, _OTHER_CODES)),
)
