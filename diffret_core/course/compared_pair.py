"""A sentence and a video compared word by frame, with all that a figure of it needs."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from diffret_core.course.setup import Samples
from diffret_core.course.strips import read_for_eyes
from diffret_core.course.thumbnails import frame_uri
from diffret_core.features import TextFeatures
from diffret_core.similarity import masked_softmax

PICTURE_SIDE = 40


class ComparedPair(NamedTuple):
    """Words and frames of one pair, only real ones.

    Attributes:
        name: What it is called on the slider.
        caption: The sentence.
        words: Its tokens, as they are written beside their rows.
        pictures: Its frames as data URIs.
        cosine: Cosine of every word with every frame.
        word_weight: How much each word counts.
        frame_weight: How much each frame counts.
        similarity: What it all comes to.
    """

    name: str
    caption: str
    words: Sequence[str]
    pictures: Sequence[str]
    cosine: Float[Tensor, "W F"]
    word_weight: Float[Tensor, " W"]
    frame_weight: Float[Tensor, " F"]
    similarity: float


@torch.no_grad()
def compare_pair(
    samples: Samples, texts: TextFeatures, text: int, video: int, *, name: str, words: Sequence[str]
) -> ComparedPair:
    """Compare one text with one video of the samples.

    Args:
        samples: Gives the model, the videos and their captions.
        texts: Features of texts.
        text: Which of them asks.
        video: Which video is looked at.
        name: What the pair is called.
        words: Names of the text's real tokens.

    Raises:
        ValueError: If there are not as many names as real tokens.
    """
    word_mask, frame_mask = texts.word_mask[text], samples.videos.frame_mask[video]
    if len(words) != int(word_mask.sum()):
        raise ValueError(f"{len(words)} names for {int(word_mask.sum())} tokens of text {text}; name start and end too")
    own_words, own_frames = texts.words[text][word_mask], samples.videos.frames[video][frame_mask]
    cosine = functional.normalize(own_words, dim=-1) @ functional.normalize(own_frames, dim=-1).T
    interaction = samples.model.interaction
    word_weight, frame_weight = (
        masked_softmax(score(own).squeeze(-1)[None], torch.ones(1, len(own), dtype=torch.bool, device=own.device))[0]
        for score, own in ((interaction.word_score, own_words), (interaction.frame_score, own_frames))
    )
    one_text = TextFeatures(*(part[text : text + 1] for part in texts))
    one_video = type(samples.videos)(*(part[video : video + 1] for part in samples.videos))
    return ComparedPair(
        name=name,
        caption=samples.collection.pairs("test")[text].text,
        words=words,
        pictures=_pictures(samples, samples.video_ids[video]),
        cosine=cosine.cpu(),
        word_weight=word_weight.cpu(),
        frame_weight=frame_weight.cpu(),
        similarity=float(samples.model.similarity(one_text, one_video)),
    )


def _pictures(samples: Samples, video_id: str) -> list[str]:
    """The frames that the model looks at, as small pictures."""
    read = read_for_eyes(samples.video_path(video_id), samples.model.config, image_size=PICTURE_SIDE)
    return [frame_uri(frame, quality=60) for frame in read.frames]
