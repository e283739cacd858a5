"""Weighted token interaction: how alike a sentence and a video are, word by frame; SPEC section 5."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from diffret_core.config import Mode

TEXTS_AT_ONCE, VIDEOS_AT_ONCE = 32, 128
"""Compared at a time: their word-by-frame cosines (3 MB at 16 words and 12 frames) stay in the processor's cache."""


class _Side(NamedTuple):
    """Texts or videos as the comparison needs them: unit features, padding made harmless, and how much each counts."""

    features: Float[Tensor, "B L D"]
    weight: Float[Tensor, "B L"]

    def blocks(self, size: int) -> list["_Side"]:
        return [_Side(*parts) for parts in zip(self.features.split(size), self.weight.split(size), strict=True)]


class TokenInteraction(nn.Module):
    """Similarity of every text with every video from their word and frame features.

        similarity = 1/2 [sum over t of w_t max over v of c[t, v] + sum over v of w_v max over t of c[t, v]]

    with c the cosine of word and frame, w_t a softmax over the text's real words, w_v over the video's real frames.
    Source: SPEC section 5.
    """

    def __init__(self, dim: int, *, mode: Mode = "default") -> None:
        """Make the two weight networks for features of size `dim`.

        In "reference" mode a masked pair's cosine is 0 and can win a maximum; by default it cannot.
        """
        super().__init__()
        self.mode = mode
        self.word_score = nn.Sequential(nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, 1))
        self.frame_score = nn.Sequential(nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, 1))

    def forward(
        self,
        words: Float[Tensor, "T W D"],
        word_mask: Bool[Tensor, "T W"],
        frames: Float[Tensor, "V F D"],
        frame_mask: Bool[Tensor, "V F"],
    ) -> Float[Tensor, "T V"]:
        """Compare all texts with all videos, block by block: the word-by-frame cosines of all are never held.

        Args:
            words: Token features, not normalised.
            word_mask: True for real tokens, at least one per text.
            frames: Frame features, not normalised.
            frame_mask: True for real frames, at least one per video.

        Returns:
            S, each entry within -1..1.

        Raises:
            ValueError: If there is no text or no video, or one of them has nothing real in it.
        """
        if not len(words) or not len(frames):
            raise ValueError(f"there are {len(words)} texts and {len(frames)} videos; give at least one of each")
        if self.mode == "default":  # columns that are padding everywhere change nothing here, and cost time
            words, word_mask = words[:, word_mask.any(dim=0)], word_mask[:, word_mask.any(dim=0)]
        word_weight = masked_softmax(self.word_score(words).squeeze(-1), word_mask)
        frame_weight = masked_softmax(self.frame_score(frames).squeeze(-1), frame_mask)
        words, frames = functional.normalize(words, dim=-1), functional.normalize(frames, dim=-1)
        texts = _Side(self._fill_padding(words, word_mask), word_weight)
        videos = _Side(self._fill_padding(frames, frame_mask), frame_weight)
        video_blocks = videos.blocks(VIDEOS_AT_ONCE)
        rows = [
            torch.cat([_compare(text_block, video_block) for video_block in video_blocks], dim=1)
            for text_block in texts.blocks(TEXTS_AT_ONCE)
        ]
        return torch.cat(rows)

    def _fill_padding(self, features: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        """Make padding harmless to a maximum: a repeated real feature changes none, a zero has cosine 0."""
        if self.mode == "reference":
            return features * mask[..., None]
        first_real = mask.int().argmax(dim=1)
        repeated = features[torch.arange(len(features), device=features.device), first_real][:, None]
        return torch.where(mask[..., None], features, repeated)


def _compare(texts: _Side, videos: _Side) -> Float[Tensor, "T V"]:
    (num_texts, num_words, dim), (num_videos, num_frames, _) = texts.features.shape, videos.features.shape
    cosine = texts.features.reshape(-1, dim) @ videos.features.reshape(-1, dim).T
    cosine = cosine.view(num_texts, num_words, num_videos, num_frames)
    of_words = (cosine.amax(dim=3) * texts.weight[:, :, None]).sum(dim=1)
    of_frames = (cosine.amax(dim=1) * videos.weight[None]).sum(dim=2)
    return (of_words + of_frames) / 2


def masked_softmax(score: Float[Tensor, "B L"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B L"]:
    """Softmax over the real entries of each row; the others get 0.

    Raises:
        ValueError: If a row has no real entry.
    """
    if not bool(mask.any(dim=-1).all()):
        row = int((~mask.any(dim=-1)).nonzero()[0])
        raise ValueError(f"row {row} has nothing real in it; leave out empty texts and videos without frames")
    return torch.softmax(score.masked_fill(~mask, -torch.inf), dim=-1)
