"""A plain CLIP model used as it is: not trained on videos, no generator; a video is the mean of its frames."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from diffret_core import encoders
from diffret_core.config import ModelConfig
from diffret_core.features import TextFeatures, VideoFeatures

_MAX_FRAMES = 12  # as for MSR-VTT: a segment of 12 seconds
_MAX_WORDS = 77


class ZeroShot(nn.Module):
    """What a search needs of a model, from CLIP alone (Luo et al. 2021, CLIP4Clip, "mean pooling")."""

    def __init__(self, clip: encoders.CLIP, config: ModelConfig) -> None:
        """Take a plain open_clip model, and how texts and videos are read for it.

        Args:
            clip: As from `encoders.load_pretrained_clip`.
            config: Its fields of frames, words and colours count; there is nothing else in the model.
        """
        super().__init__()
        self.clip, self.config = clip, config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.clip.logit_scale.device

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Tokenize and encode texts, none of them empty."""
        word_ids, word_mask = (one.to(self.device) for one in encoders.tokenize(texts, self.config.max_words))
        words, sentence = encoders.encode_words(self.clip, word_ids, word_mask)
        return TextFeatures(words, sentence, word_mask)

    def encode_videos(self, images: Float[Tensor, "V F 3 H H"], frame_mask: Bool[Tensor, "V F"]) -> VideoFeatures:
        """Encode videos from their normalised frames, each frame for itself."""
        return VideoFeatures(encoders.encode_frames(self.clip, images, frame_mask), frame_mask)

    def similarity(self, texts: TextFeatures, videos: VideoFeatures) -> Float[Tensor, "T V"]:
        """Compare sentences with videos: the cosine of a sentence and the mean of a video's frames of size 1."""
        return self.text_vectors(texts) @ self.video_vectors(videos).T

    def text_vectors(self, texts: TextFeatures) -> Float[Tensor, "T D"]:
        """Give what a text is compared by: its sentence feature, of size 1."""
        return functional.normalize(texts.sentence, dim=-1)

    def video_vectors(self, videos: VideoFeatures) -> Float[Tensor, "V D"]:
        """Give what a video is compared by: the mean of its frames of size 1, of size 1 again."""
        frames = functional.normalize(videos.frames, dim=-1) * videos.frame_mask[..., None]
        return functional.normalize(frames.sum(dim=1), dim=-1)


def load_zero_shot(
    name: str, pretrained: str = "openai", *, device: torch.device | str = "cpu", announce: Callable[[str], None]
) -> ZeroShot:
    """Load a plain open_clip model to search with.

    Args:
        name: open_clip's name of the model, such as "ViT-B-32-quickgelu".
        pretrained: One of its weight tags, or a weight file.
        device: Where to.
        announce: Told in a line before weights are downloaded: how large they are, and from where.

    Raises:
        ValueError: If there is no such model, it is not plain, or its weights cannot be had.
    """
    architecture = encoders.clip_architecture(name)
    mean, std = encoders.image_colours(name, pretrained)
    config = ModelConfig(
        clip=architecture,
        max_words=min(_MAX_WORDS, architecture["text_cfg"].get("context_length", _MAX_WORDS)),
        max_frames=_MAX_FRAMES,
        image_mean=mean,
        image_std=std,
    )
    clip = encoders.load_pretrained_clip(name, pretrained, announce=announce)
    return ZeroShot(clip, config).eval().to(device)
