"""Which items the generator looks at: the best of the similarity, in use and in training; SPEC sections 9 and 10."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def top_candidates(similarity: Float[Tensor, "Q V"], num_candidates: int) -> Int[Tensor, "Q N"]:
    """Choose each query's most similar items.

    Args:
        similarity: Queries by items: S for text queries, its transpose for video queries.
        num_candidates: N; the whole collection if it holds fewer.

    Returns:
        Item indices, best first; equal scores in the order of the collection.

    Raises:
        ValueError: If N is below 1.
    """
    if num_candidates < 1:
        raise ValueError(f"num_candidates is {num_candidates}; it must be at least 1")
    return similarity.sort(dim=-1, descending=True, stable=True).indices[:, :num_candidates]


def training_candidates(
    similarity: Float[Tensor, "B V"],
    positive: Int[Tensor, " B"],
    same: Bool[Tensor, "B V"],
    *,
    num_candidates: int,
    negative_pool: int,
    generator: torch.Generator,
) -> Int[Tensor, "B N"]:
    """Put the positive at index 0 and hard negatives behind it.

    The negatives are drawn without replacement from the `negative_pool` most similar items that are not a match; a
    pool of N-1 takes the hardest themselves, as the paper does.

    Args:
        similarity: Queries by items.
        positive: The item to be found by each query.
        same: True where query and item belong together, the positive included: such items are never negatives.
        num_candidates: N.
        negative_pool: Size of the pool, at least N-1.
        generator: Draws from the pool, on the CPU.

    Returns:
        Item indices; N is min(N, 1 + the fewest non-matching items of any row).
    """
    num_negatives = min(num_candidates - 1, int((~same).sum(dim=1).min()))
    pool = min(negative_pool, int((~same).sum(dim=1).min()))
    hardest = similarity.masked_fill(same, -torch.inf).topk(pool, dim=-1).indices  # [B, pool]
    order = torch.rand(hardest.shape, generator=generator).to(similarity.device).argsort(dim=-1)[:, :num_negatives]
    return torch.cat([positive[:, None], hardest.gather(1, order)], dim=1)
