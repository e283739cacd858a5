"""Which weights of a stage are left: those that did best on validation; the test is not asked."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from diffret_core.config import DIRECTIONS
from diffret_core.evaluation import choose_scoring, direction_ranks
from diffret_core.features import VideoFeatures
from diffret_core.galleries import Gallery, encode_captions
from diffret_core.metrics import best_in_group, retrieval_metrics, target_ranks
from diffret_core.processes import first_does
from diffret_core.retriever import Retriever
from diffret_core.scores import score_all
from diffret_core.tensor_files import read_tensors, write_tensors
from diffret_core.training.pairs import Normalise
from diffret_core.training.trainer import Trainer, as_finished

VIDEOS_AT_ONCE = 16


@dataclass
class Selection:
    """Looks at a stage now and then, and keeps its best weights in a file: they outlast an interruption.

    Attributes:
        kept_in: The file.
        num_looks: How often the stage is looked at, at even distances, the last time at its end.
        judge: Says how good the model is as it stands; more is better.
    """

    kept_in: Path
    num_looks: int
    judge: Callable[[], float]

    def is_due(self, trainer: Trainer) -> bool:
        """Whether it is time to look."""
        every = math.ceil(trainer.num_steps / self.num_looks)
        return trainer.num_done % every == 0 or trainer.num_done == trainer.num_steps

    def look(self, trainer: Trainer, log: Callable[[float], None]) -> None:
        """Judge the weights as the stage would leave them now, and keep them if none before were better.

        Of several processes all judge and the first one keeps. After an interruption the same look may come twice: it
        finds the same, and changes nothing.

        Args:
            trainer: The stage.
            log: Told the judgement.
        """

        def keep_if_best() -> None:
            log(score)
            if not self.kept_in.exists() or score > float(read_tensors(self.kept_in)[1]["score"]):
                write_tensors(self.kept_in, dict(weights), metadata={"score": repr(score)})

        with as_finished(trainer) as weights:
            score = self.judge()
            first_does(keep_if_best)

    @torch.no_grad()
    def leave_best(self, trainer: Trainer) -> None:
        """Put the best weights into the model, at the end of the stage."""
        for name, value in read_tensors(self.kept_in)[0].items():
            trainer.weights[name].copy_(value)


def combined_recall(model: Retriever, gallery: Gallery) -> float:
    """Give R@1 of the combined score, averaged over both directions, with the weight and temperature that suit it best.

    Args:
        model: The model, as it is being trained.
        gallery: The validation split.
    """
    scores = score_all(model, gallery.texts, gallery.videos)
    scoring = choose_scoring(scores, gallery.video_of_text, model.config.scoring)
    ranks = [direction_ranks(scores, one, "combined", gallery.video_of_text, scoring) for one in DIRECTIONS]
    return _recall_at_1(ranks)


@dataclass(frozen=True)
class ValidationPairs:
    """Captions and decoded videos to validate stage 1 with.

    Attributes:
        captions: T captions.
        video_of_text: Which video each describes.
        images: Frames as bytes.
        frame_mask: True for real frames.
    """

    captions: Sequence[str]
    video_of_text: Int[Tensor, " T"]
    images: UInt8[Tensor, "V F 3 H H"]
    frame_mask: Bool[Tensor, "V F"]


@torch.no_grad()
def similarity_recall(model: Retriever, pairs: ValidationPairs, normalise: Normalise) -> float:
    """Give R@1 of the similarity alone, averaged over both directions.

    Args:
        model: The model, as it is being trained; afterwards it is as before.
        pairs: What to validate with.
        normalise: Turns bytes into what the image encoder reads.
    """
    was_training = model.training
    model.eval()
    frames = []
    for images, mask in zip(pairs.images.split(VIDEOS_AT_ONCE), pairs.frame_mask.split(VIDEOS_AT_ONCE), strict=True):
        real = normalise(images) * mask[..., None, None, None]  # padding: 0 after normalising
        frames.append(model.encode_videos(real.to(model.device), mask.to(model.device)).frames)
    videos = VideoFeatures(torch.cat(frames), pairs.frame_mask.to(model.device))
    similarity = model.similarity(encode_captions(model, pairs.captions), videos)
    model.train(was_training)
    video_of_text = pairs.video_of_text.to(model.device)
    of_texts = target_ranks(similarity, video_of_text)
    of_videos = target_ranks(
        best_in_group(similarity, video_of_text), torch.arange(len(videos.frames), device=model.device)
    )
    return _recall_at_1([of_texts, of_videos])


def _recall_at_1(ranks: Sequence[Tensor]) -> float:
    return sum(retrieval_metrics(of_queries)["R@1"] for of_queries in ranks) / len(ranks)
