"""SPEC section 8 written as slowly as it reads: one candidate, one frame, one noise level at a time, in float64."""

import math

import torch


def slow_noise_level_code(network, k):
    dim = network.key.weight.shape[1]
    code = torch.zeros(dim, dtype=torch.float64)
    for pair in range(dim // 2):
        angle = (k - 1) / 10000 ** (2 * pair / dim)
        code[2 * pair], code[2 * pair + 1] = math.sin(angle), math.cos(angle)
    first, _, second = network.noise_level_code.layers
    hidden = first.weight.double() @ code + first.bias.double()
    hidden = hidden / (1 + torch.exp(-hidden))
    return second.weight.double() @ hidden + second.bias.double()


def slow_pool(sentence, frames, frame_mask, *, mode):
    slots = [f for f in range(len(frames)) if mode == "reference" or frame_mask[f]]
    scores = {f: float(sentence.double() @ frames[f].double()) for f in slots}
    total = sum(math.exp(score - max(scores.values())) for score in scores.values())
    pooled = torch.zeros(frames.shape[1], dtype=torch.float64)
    for f in slots:
        if frame_mask[f]:
            pooled += math.exp(scores[f] - max(scores.values())) / total * frames[f].double()
    return pooled


def slow_estimate(network, x_k, k, query_of_candidate, candidates):
    """One row: x_k [N], k an int, a query per candidate (all the same for a text query), the candidates."""
    with torch.no_grad():
        code = slow_noise_level_code(network, k)
        key, value, output = (layer.weight.double() for layer in (network.key, network.value, network.output))
        logits = []
        for j, candidate in enumerate(candidates):
            q = network.query.weight.double() @ (query_of_candidate[j].double() + code)
            logits.append(float(q @ (key @ (candidate.double() + code))) + float(x_k[j]))
        weights = [math.exp(logit - max(logits)) for logit in logits]
        weights = [weight / sum(weights) for weight in weights]
        values = [value @ (c.double() + code) for c in candidates]
        attended = sum(weight * v for weight, v in zip(weights, values, strict=True))
        o = output @ attended + network.output.bias.double()
        first, _, second = network.decoder
        estimate = []
        for weight, candidate in zip(weights, candidates, strict=True):
            hidden = first.weight.double() @ torch.cat([o, candidate.double()]) + first.bias.double()
            estimate.append(float(second.weight.double()[0] @ hidden.clamp(min=0) + second.bias.double()[0]) + weight)
    return torch.tensor(estimate, dtype=torch.float64)
