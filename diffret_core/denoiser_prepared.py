"""The denoising network with everything that does not change from step to step computed once; SPEC section 13.

Nothing but x_k and c_k changes while a sample is drawn, and both enter linearly before the softmax and before the ReLU.
With M = Wq^T Wk, and W1a and W1b the halves of the decoder's first matrix that read the context and the candidate:

    logit_k[j]   = <q, key_j>, without the terms that are the same for all j: a softmax does not see them
    context_j    = W1a Wo Wv candidate_j
    own_j        = W1b candidate_j
    level_k      = W1a (Wo Wv c_k + b_o) + b_1
    w            = softmax over j of (logit_k[j] + x_k[j])
    x_0_hat[j]   = <w_2, relu(own_j + sum over i of w_i context_i + level_k)> + b_2 + w_j

The first four depend on the features alone. The plain network in `denoiser` is the definition; a test holds both equal.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.denoiser import Denoiser

WALKING_AT_ONCE = 8  # queries: 32 candidates at D = 512 take 256 kB each, so what a step reads stays in the cache


class Conditioned(NamedTuple):
    """What a network needs of some queries and their candidates, for all K noise levels.

    Attributes:
        logits: logit_k[j]; row k-1 is level k.
        context: context_j.
        own: own_j.
    """

    logits: Float[Tensor, "K B N"]
    context: Float[Tensor, "B N D2"]
    own: Float[Tensor, "B N D2"]

    def of_queries(self, rows: Int[Tensor, " R"]) -> "Conditioned":
        """Take some of the queries."""
        return Conditioned(self.logits[:, rows], self.context[rows], self.own[rows])


class PreparedDenoiser:
    """A denoiser whose products of weights are formed, ready for the features of any query and candidate.

    Attributes:
        match: M; <query, M candidate> is their part of the logit.
        own: W1b^T: candidate @ own is own_j.
        context: (W1a Wo Wv)^T: candidate @ context is context_j.
        level_candidate: candidate @ level_candidate is <c_k, M candidate> for every level.
        level_query: query @ level_query is <query, M c_k> for every level.
        level: level_k; row k-1 is level k.
        output: w_2.
        output_bias: b_2.
    """

    @torch.no_grad()
    def __init__(self, network: Denoiser, num_noise_levels: int) -> None:
        """Form the products in double precision, and round them once to the precision of the weights.

        Args:
            network: The network; later changes of its weights are not seen.
            num_noise_levels: K.
        """
        weight = network.query.weight
        code = _double(network.noise_level_code(torch.arange(1, num_noise_levels + 1, device=weight.device)))  # [K, D]
        match = _double(weight).T @ _double(network.key.weight)
        first, first_bias, last, last_bias = map(_double, network.decoder.parameters())
        from_context, from_candidate = first.chunk(2, dim=1)
        context = (from_context @ _double(network.output.weight) @ _double(network.value.weight)).T
        level = code @ context + _double(network.output.bias) @ from_context.T + first_bias
        self.match, self.own, self.context, self.level_candidate, self.level_query, self.level, self.output = (
            product.contiguous().to(device=weight.device, dtype=weight.dtype)
            for product in (
                match,
                from_candidate.T,
                context,
                match.T @ code.T,
                match @ code.T,
                level,
                last[0],
            )
        )
        self.output_bias = float(last_bias)

    def condition(self, query: Float[Tensor, "B Q D"], candidates: Float[Tensor, "B N D"]) -> Conditioned:
        """Compute once what queries and candidates contribute to every step.

        Args:
            query: Q = 1 for a query shared by all candidates, Q = N for one query per candidate.
            candidates: Candidate features.

        Raises:
            ValueError: If Q is neither 1 nor N.
        """
        num_candidates = candidates.shape[1]
        if query.shape[1] not in (1, num_candidates):
            raise ValueError(f"query has {query.shape[1]} vectors a row; expected 1 or {num_candidates}")
        logits = ((query @ self.match) * candidates).sum(dim=-1, keepdim=True) + candidates @ self.level_candidate
        if query.shape[1] > 1:  # with one query for all, this part is the same for all candidates
            logits = logits + query @ self.level_query
        return Conditioned(logits.movedim(2, 0).contiguous(), candidates @ self.context, candidates @ self.own)

    def estimate(self, given: Conditioned, x_k: Float[Tensor, "B N"], k: Int[Tensor, " B"]) -> Float[Tensor, "B N"]:
        """Estimate the clean distribution: what the plain network gives for the same features.

        Args:
            given: From `condition`.
            x_k: Noised distribution over the candidates.
            k: Noise level of each row, 1 to K.

        Returns:
            x_0_hat, unclamped.
        """
        row = torch.arange(len(x_k), device=x_k.device)
        weight = torch.softmax(given.logits[k - 1, row] + x_k, dim=-1)
        context = weight[:, None] @ given.context + self.level[k - 1][:, None]  # [B, 1, 2D]
        return torch.relu(given.own + context) @ self.output + self.output_bias + weight

    def walk(
        self, given: Conditioned, noise: Float[Tensor, "B N"], levels: Sequence[int], alpha_bar: Float[Tensor, " K1"]
    ) -> Float[Tensor, "B N"]:
        """Denoise along deterministic DDIM: the last state of `sampler.ddim_steps`, without making a tensor a step.

        Args:
            given: From `condition`.
            noise: State at levels[0].
            levels: Decreasing noise levels, the last one 0.
            alpha_bar: Signal kept at each level.

        Returns:
            The sample, within -1..1.
        """
        steps = step_weights(levels, alpha_bar).tolist()
        blocks = torch.arange(len(noise), device=noise.device).split(WALKING_AT_ONCE)
        return torch.cat([self._walk(given.of_queries(block), noise[block], steps) for block in blocks])

    def _walk(self, given: Conditioned, noise: Float[Tensor, "B N"], steps: list[list[float]]) -> Float[Tensor, "B N"]:
        """Walk with a few queries.

        Two identities save passes over the largest array: relu(a + b) = max(a, -b) + b, and a step of DDIM is a
        weighted sum of state and estimate.
        """
        x_k, weight, estimate = noise.clone(), torch.empty_like(noise), torch.empty_like(noise)
        hidden, flat = torch.empty_like(given.own), (-1, given.own.shape[-1])
        context = hidden.new_empty(len(noise), 1, hidden.shape[-1])
        offset, bias = noise.new_empty(len(noise)), noise.new_full((len(noise),), self.output_bias)
        for k, of_state, of_estimate in steps:
            level = int(k) - 1
            torch.softmax(torch.add(given.logits[level], x_k, out=weight), dim=-1, out=weight)
            torch.baddbmm(self.level[level], weight[:, None], given.context, beta=-1, alpha=-1, out=context)
            torch.maximum(given.own, context, out=hidden)
            torch.addmv(weight.view(-1), hidden.view(flat), self.output, out=estimate.view(-1))
            torch.addmv(bias, context.view(flat), self.output, alpha=-1, out=offset)
            estimate.add_(offset[:, None]).clamp_(-1, 1)
            x_k.mul_(of_state).add_(estimate, alpha=of_estimate)
        return x_k


def step_weights(levels: Sequence[int], alpha_bar: Float[Tensor, " K1"]) -> Float[Tensor, "S 3"]:
    """Write each step of deterministic DDIM as a weighted sum: x_next = of_state x_k + of_estimate x_0_hat.

    Args:
        levels: Decreasing noise levels.
        alpha_bar: Signal kept at each level.

    Returns:
        A row (k, of_state, of_estimate) per step, in double precision.
    """
    kept = alpha_bar.cpu().double()[list(levels)]
    of_state = ((1 - kept[1:]) / (1 - kept[:-1])).sqrt()
    return torch.stack([torch.tensor(levels[:-1]).double(), of_state, kept[1:].sqrt() - of_state * kept[:-1].sqrt()], 1)


def _double(value: Tensor) -> Tensor:
    """Bring weights to double precision, on the CPU: some devices have none, others multiply matrices with less."""
    return value.detach().cpu().double()


def chosen_products(
    left: Float[Tensor, "B D"], right: Float[Tensor, "R D"], rows: Int[Tensor, "B N F"]
) -> Float[Tensor, "B N F"]:
    """Multiply each row of `left` by some rows of `right`, without copying those together first.

    Args:
        left: One vector per query.
        right: All vectors to choose from.
        rows: Which of them each query is multiplied by.
    """
    num_rows, num_chosen = len(rows), rows[:1].numel()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        chosen = torch.sparse_csr_tensor(
            torch.arange(num_rows + 1, device=rows.device) * num_chosen,
            rows.flatten(),
            right.new_zeros(rows.numel()),
            (num_rows, len(right)),
            check_invariants=False,  # the rows of a query may stand in any order
        )
        return torch.sparse.sampled_addmm(chosen, left, right.T, beta=0.0).values().view_as(rows)
