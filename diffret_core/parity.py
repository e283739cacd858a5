"""Parity with the released model: recompute every number it left behind, and say how far apart they are.

Source of the procedure: SPEC section 12.
"""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from diffret_core import encoders, losses
from diffret_core.candidates import top_candidates
from diffret_core.checkpoints import load_released_checkpoint
from diffret_core.config import Direction, ScheduleKind
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.ranking import combined_scores
from diffret_core.retriever import Retriever
from diffret_core.schedule import Denoise, add_noise, noise_schedule
from diffret_core.tensor_files import read_json

TOLERANCE = 1e-5
GIVEN = ("t", "loss_epsilon", "t2v_noise", "v2t_noise")  # inputs that the folder keeps among its outputs
_DIRECTIONS: dict[str, Direction] = {"t2v": "text_to_video", "v2t": "video_to_text"}


class Comparison(NamedTuple):
    """One output beside its reference.

    Attributes:
        name: The output.
        largest_error: Largest absolute difference; infinite if the shapes differ or a number is not finite.
        tolerance: Largest difference allowed: 1e-5 times max(1, largest absolute reference), 0 for integers.
    """

    name: str
    largest_error: float
    tolerance: float

    @property
    def within(self) -> bool:
        """Whether the output is reproduced."""
        return self.largest_error <= self.tolerance


@torch.inference_mode()
def compare_with_released(folder: Path | str) -> list[Comparison]:
    """Recompute every output of a parity folder from its checkpoint and inputs.

    Args:
        folder: Holds config.json, inputs.safetensors, outputs.safetensors and checkpoint.bin.

    Returns:
        One comparison per output that is computed, in the order of their names.

    Raises:
        FileNotFoundError: If one of the four files is missing.
        ValueError: If one is damaged or incomplete, or an output has a name that nothing here computes.
    """
    folder = Path(folder)
    config = read_json(folder / "config.json")
    if not isinstance(config, dict):
        raise ValueError(f"{folder / 'config.json'}: holds {type(config).__name__}, expected names and values")
    inputs, outputs = _read(folder / "inputs.safetensors"), _read(folder / "outputs.safetensors")
    try:
        model = load_released_checkpoint(
            folder / "checkpoint.bin", num_noise_levels=config["diffusion_steps"], schedule=config["schedule"]
        )
        replay = Replay(model, inputs, {name: outputs[name] for name in GIVEN}, num_candidates=config["candidates"])
        computed = sorted(set(outputs) - set(GIVEN))
        return [_compare(name, replay.compute(name), outputs[name]) for name in computed]
    except KeyError as error:
        raise ValueError(f"{folder}: not a complete parity folder; {error} is missing") from None
    except (TypeError, IndexError, RuntimeError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{folder}: its configuration, inputs and weights do not fit together ({first_line})"
        ) from None


class Replay:
    """Everything the released model computed, computed by ours."""

    def __init__(
        self, model: Retriever, inputs: dict[str, Tensor], given: dict[str, Tensor], *, num_candidates: int
    ) -> None:
        """Take the model, the folder's inputs, and the noise and levels among its outputs."""
        self.model, self.inputs, self.given = model, inputs, given
        self.num_candidates = num_candidates
        self.k = given["t"] + 1  # the folder counts noise levels from 0

    @cached_property
    def texts(self) -> TextFeatures:
        """Text features."""
        return self.model.encode_tokens(self.inputs["word_ids"], self.inputs["word_mask"].bool())

    @cached_property
    def clip_frame_features(self) -> Float[Tensor, "V F D"]:
        """Frame features before the temporal transformer."""
        frame_mask = self.inputs["frame_mask"].bool()
        return encoders.encode_frames(self.model.clip, self.inputs["video"], frame_mask, mode="reference")

    @cached_property
    def videos(self) -> VideoFeatures:
        """Video features."""
        frame_mask = self.inputs["frame_mask"].bool()
        return VideoFeatures(self.model.temporal(self.clip_frame_features, frame_mask), frame_mask)

    @cached_property
    def similarity(self) -> Float[Tensor, "T V"]:
        """S, text rows."""
        return self.model.similarity(self.texts, self.videos)

    def compute(self, name: str) -> Tensor:
        """Compute one output by its name.

        Raises:
            ValueError: If nothing here computes an output of that name.
        """
        of_pair = {
            "word_features": lambda: self.texts.words,
            "sentence_feature": lambda: self.texts.sentence,
            "clip_frame_features": lambda: self.clip_frame_features,
            "frame_features": lambda: self.videos.frames,
            "similarity": lambda: self.similarity,
            "contrastive_loss": lambda: losses.contrastive_loss(self.similarity, self.model.logit_scale),
            "x_t": self._noised,
        }
        of_direction = {
            "candidates": self._candidates,
            "denoised": self._denoised,
            "generation_loss": self._generation_loss,
            "trajectory": self._trajectory,
            "sample": lambda side: self._trajectory(side)[-1],
            "scores": self._scores,
        }
        side, _, what = name.partition("_")
        if name in of_pair:
            return of_pair[name]()
        if side in _DIRECTIONS and what in of_direction:
            return of_direction[what](side)
        if name.startswith("alpha_bar_"):
            return _alpha_bar(name)
        raise ValueError(f"output {name!r} is not one that DiffusionRet computes; is this a newer parity folder?")

    def _rows(self, side: str) -> Float[Tensor, "Q V"]:
        return self.similarity if side == "t2v" else self.similarity.T

    def _candidates(self, side: str) -> Int[Tensor, "Q N"]:
        return top_candidates(self._rows(side), self.num_candidates)

    def _denoiser(self, side: str) -> Denoise:
        items = self._candidates(side)
        return self.model.bind_denoiser(_DIRECTIONS[side], self.texts, self.videos, torch.arange(len(items)), items)

    def _noised(self) -> Float[Tensor, "B N"]:
        x_0 = torch.zeros_like(self.given["loss_epsilon"])
        x_0[:, 0] = 1
        return add_noise(x_0, self.k, self.given["loss_epsilon"], self.model.alpha_bar)

    def _denoised(self, side: str) -> Float[Tensor, "B N"]:
        return self._denoiser(side)(self.given[f"{side}_noise"], self.k)

    def _generation_loss(self, side: str) -> Float[Tensor, ""]:
        return losses.generation_loss(
            self._denoiser(side), self.k, self.given["loss_epsilon"], self.model.alpha_bar, loss_scale=100.0
        )

    def _trajectory(self, side: str) -> Float[Tensor, "K B N"]:
        steps = self.model.denoising_steps(self._denoiser(side), self.given[f"{side}_noise"])
        return torch.stack([step.x_k for step in steps])

    def _scores(self, side: str) -> Float[Tensor, "Q V"]:
        return combined_scores(self._rows(side), self._candidates(side), self._trajectory(side)[-1])


def _alpha_bar(name: str) -> Tensor:
    kind, _, num_noise_levels = name.removeprefix("alpha_bar_").rpartition("_")
    if not num_noise_levels.isdigit():
        raise ValueError(f"output {name!r} names no noise schedule; expected alpha_bar_<schedule>_<levels>")
    return noise_schedule(int(num_noise_levels), cast(ScheduleKind, kind))[1:]


def _compare(name: str, computed: Tensor, reference: Tensor) -> Comparison:
    if computed.shape != reference.shape or not (computed.isfinite().all() and reference.isfinite().all()):
        return Comparison(name, torch.inf, TOLERANCE)
    scale = max(1.0, float(reference.abs().max()))
    tolerance = TOLERANCE * scale if reference.is_floating_point() else 0.0
    return Comparison(name, float((computed.double() - reference.double()).abs().max()), tolerance)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; a parity folder has it")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged or not a safetensors file ({error}); fetch it again") from None
