"""Weighted token interaction: how alike a sentence and a video are, word by frame; SPEC section 5."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from diffret_core.config import Mode

TEXTS_AT_ONCE, VIDEOS_AT_ONCE = 32, 128
"""Compared at a time: their word-by-frame cosines (3 MB at 16 words and 12 frames) stay in the processor's cache."""


class TokenBlock(NamedTuple):
    """Some texts or videos as the comparison needs them.

    Attributes:
        features: Features of their tokens, scaled to size 1, padding made harmless to a maximum.
        weight: How much each token counts; padding counts nothing.
    """

    features: Float[Tensor, "B L D"]
    weight: Float[Tensor, "B L"]


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
        *,
        dtype: torch.dtype | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Float[Tensor, "T V"]:
        """Compare all texts with all videos, block by block: the word-by-frame cosines of all are never held.

        Above its inputs and S it takes one copy of the frames, and what a block needs.

        Args:
            words: Token features, not normalised.
            word_mask: True for real tokens, at least one per text.
            frames: Frame features, not normalised.
            frame_mask: True for real frames, at least one per video.
            dtype: Of S, which is computed as precisely as the features are; theirs if None.
            progress: Called with the number of texts done and of all texts.

        Returns:
            S, each entry within -1..1.

        Raises:
            ValueError: If there is no text or no video, or one of them has nothing real in it.
        """
        if not len(words) or not len(frames):
            raise ValueError(f"there are {len(words)} texts and {len(frames)} videos; give at least one of each")
        refuse_empty_rows(word_mask)
        videos = list(self.prepare_videos(frames, frame_mask))
        similarity = frames.new_empty(len(words), len(frames), dtype=dtype)
        num_done = 0
        for texts in self.prepare_texts(words, word_mask):
            rows = compare_blocks(texts, videos)
            similarity[num_done : num_done + len(rows)] = rows
            num_done += len(rows)
            if progress is not None:
                progress(num_done, len(words))
        return similarity

    def prepare_texts(self, words: Float[Tensor, "T W D"], word_mask: Bool[Tensor, "T W"]) -> Iterator[TokenBlock]:
        """Make texts ready for `compare_blocks`, a block at a time.

        Raises:
            ValueError: If a text has nothing real in it.
        """
        refuse_empty_rows(word_mask)
        # columns that are padding everywhere change nothing in the default mode, and cost time
        column = (word_mask.any(dim=0) | (self.mode == "reference")).nonzero().squeeze(1)
        for features, mask in zip(words.split(TEXTS_AT_ONCE), word_mask.split(TEXTS_AT_ONCE), strict=True):
            yield self._block(self.word_score, features[:, column], mask[:, column])

    def prepare_videos(self, frames: Float[Tensor, "V F D"], frame_mask: Bool[Tensor, "V F"]) -> Iterator[TokenBlock]:
        """Make videos ready for `compare_blocks`, a block at a time.

        Raises:
            ValueError: If a video has nothing real in it.
        """
        refuse_empty_rows(frame_mask)
        for features, mask in zip(frames.split(VIDEOS_AT_ONCE), frame_mask.split(VIDEOS_AT_ONCE), strict=True):
            yield self._block(self.frame_score, features, mask)

    def _block(self, score: nn.Module, features: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]) -> TokenBlock:
        weight = masked_softmax(score(features).squeeze(-1), mask)
        return TokenBlock(self._fill_padding(functional.normalize(features, dim=-1), mask), weight)

    def _fill_padding(self, features: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        """Make padding harmless to a maximum: a repeated real feature changes none, a zero has cosine 0."""
        if self.mode == "reference":
            return features * mask[..., None]
        first_real = mask.int().argmax(dim=1)
        repeated = features[torch.arange(len(features), device=features.device), first_real][:, None]
        return torch.where(mask[..., None], features, repeated)


def compare_blocks(texts: TokenBlock, videos: Sequence[TokenBlock]) -> Float[Tensor, "T V"]:
    """Compare a block of texts with all blocks of videos: their rows of S."""
    return torch.cat([_compare(texts, block) for block in videos], dim=1)


def _compare(texts: TokenBlock, videos: TokenBlock) -> Float[Tensor, "T V"]:
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
    refuse_empty_rows(mask)
    return torch.softmax(score.masked_fill(~mask, -torch.inf), dim=-1)


def refuse_empty_rows(mask: Bool[Tensor, "B L"]) -> None:
    """Refuse texts without words and videos without frames.

    Raises:
        ValueError: If a row of the mask is True nowhere.
    """
    if not bool(mask.any(dim=-1).all()):
        row = int((~mask.any(dim=-1)).nonzero()[0])
        raise ValueError(f"row {row} has nothing real in it; leave out empty texts and videos without frames")
