"""What an opened index keeps for the model that asks: whether it is the right one, and its side of the comparison."""

import weakref
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.extraction import extractor_of
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.index.description import Description
from diffret_core.index.models import Model
from diffret_core.similarity import TokenBlock, compare_blocks
from diffret_core.zero_shot import ZeroShot


class IndexGallery:
    """The segments of an index as one model compares them; made ready when that model asks for the first time.

    Later changes of the model's weights are not seen: open the index again after them.
    """

    def __init__(self, description: Description, features: VideoFeatures | None) -> None:
        """Compute nothing yet.

        Args:
            description: What the index is of.
            features: Of all segments, on the CPU, in float32; None for a large index.
        """
        self._description, self._features = description, features
        self._model: Callable[[], Model | None] = lambda: None  # held weakly: an index keeps no model in memory
        self._device: torch.device | None = None
        self._blocks: list[TokenBlock] = []  # what a retriever compares
        self._vectors = torch.empty(0)  # what a plain CLIP model compares, [S, D]

    def accept(self, model: Model) -> None:
        """Make sure, once, that a model is the one that made the index.

        Raises:
            ValueError: If it is another.
        """
        if self._model() is not model:
            refuse_other_model(self._description, model)
            self._model, self._device = weakref.ref(model), None

    @torch.no_grad()
    def similarity(self, model: Model, texts: TextFeatures) -> Float[Tensor, "T S"]:
        """Compare texts with all segments of an index that is not large, on the model's device.

        Raises:
            ValueError: If the model is another than the one that made the index.
        """
        self.accept(model)
        if self._device != model.device:
            self._prepare(model)
        if isinstance(model, ZeroShot):
            return model.text_vectors(texts) @ self._vectors.T
        asking = model.interaction.prepare_texts(texts.words, texts.word_mask)
        return torch.cat([compare_blocks(block, self._blocks) for block in asking])

    def _prepare(self, model: Model) -> None:
        if self._features is None:
            raise ValueError("this index is large: choose segments by its vectors, and compare those")
        videos = VideoFeatures(*(part.to(model.device) for part in self._features))
        if isinstance(model, ZeroShot):
            self._vectors = model.video_vectors(videos)
        else:
            self._blocks = list(model.interaction.prepare_videos(*videos))
        self._device = model.device


def refuse_other_model(description: Description, model: Model, name: object = "this model") -> None:
    """Compare a model's weights, and how it looks at videos, with those that made an index.

    Args:
        description: What the index is of.
        model: The model.
        name: What to call it.

    Raises:
        ValueError: If it is another.
    """
    if extractor_of(model).key != description.key:
        raise ValueError(
            f"{name} is not what the index was made with ({description.model}), or has changed since; name that model "
            "with --model, or index the videos again into another folder"
        )
