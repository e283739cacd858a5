"""Features and candidates that cannot be right are refused before any work."""

from jaxtyping import Int
from torch import Tensor

from diffret_core.features import TextFeatures, VideoFeatures


def check_texts(texts: TextFeatures, dim: int) -> None:
    """Refuse features of texts that no model with features of size `dim` could have given.

    Raises:
        ValueError: If there is no text, a size does not match, a feature is not finite, or a text has no word.
    """
    _check_features("texts", texts.words, texts.word_mask, dim)
    every_sentence = texts.word_mask.new_ones(len(texts.word_mask), 1)
    _check_features("sentences", texts.sentence[:, None], every_sentence, dim)


def check_videos(videos: VideoFeatures, dim: int) -> None:
    """Refuse features of videos that no model with features of size `dim` could have given.

    Raises:
        ValueError: If there is no video, a size does not match, a feature is not finite, or a video has no frame.
    """
    _check_features("videos", videos.frames, videos.frame_mask, dim)


def _check_features(what: str, features: Tensor, mask: Tensor, dim: int) -> None:
    if not len(features):
        raise ValueError(f"there are no {what}; give at least one")
    if features.shape[-1] != dim:
        raise ValueError(f"{what} have features of size {features.shape[-1]}; this model's have {dim}")
    if features.shape[:-1] != mask.shape:
        raise ValueError(f"{what} are {tuple(features.shape[:-1])} features with a mask of {tuple(mask.shape)}")
    faulty = ~features.sum(dim=-1).isfinite().all(dim=-1)  # a sum, because a mask of all entries would be large
    if bool(faulty.any()):
        raise ValueError(
            f"{what}: number {int(faulty.int().argmax())} has a feature that is not finite; encode it again"
        )
    empty = ~mask.any(dim=-1)
    if bool(empty.any()):
        raise ValueError(f"{what}: number {int(empty.int().argmax())} has nothing real in it; leave it out")


def check_items(items: Int[Tensor, "Q N"], num_queries: int, num_items: int) -> None:
    """Refuse candidates that are not there.

    Raises:
        ValueError: If there is not a row of candidates for each query, or a candidate does not exist.
    """
    if len(items) != num_queries or not items.shape[1]:
        raise ValueError(f"candidates are {tuple(items.shape)}; give each of the {num_queries} queries a row of them")
    if int(items.min()) < 0 or int(items.max()) >= num_items:
        raise ValueError(
            f"candidates range over {int(items.min())}..{int(items.max())}; there are only 0 to {num_items - 1}"
        )
