"""Notebook 06, the denoiser: pooled frames and the code of a level; its other exercises are in `attention_06.py`."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.course.exercises.attention_06 import ESTIMATE, WEIGHTS

Sentence = Float[Tensor, " D"]
Frames = Float[Tensor, "V F D"]
FrameMask = Bool[Tensor, "V F"]
Pooled = Float[Tensor, "V D"]
Code = Float[Tensor, " D"]

# --- a video as a sentence sees it -----------------------------------------------------------------------------------


def _weighted(weight: Float[Tensor, "V F"], frames: Frames) -> Pooled:
    return (weight[..., None] * frames).sum(dim=1)


def _pool(sentence: Sentence, frames: Frames, frame_mask: FrameMask) -> Pooled:
    score = (frames @ sentence).masked_fill(~frame_mask, -torch.inf)
    return _weighted(score.softmax(dim=1), frames)


def _pool_one_by_one(sentence: Sentence, frames: Frames, frame_mask: FrameMask) -> Pooled:
    pooled = []
    for own, real in zip(frames, frame_mask, strict=True):
        grown = torch.exp(own[real] @ sentence)
        pooled.append((grown / grown.sum()) @ own[real])
    return torch.stack(pooled)


def _pool_without_mask(sentence: Sentence, frames: Frames, frame_mask: FrameMask) -> Pooled:
    return _weighted((frames @ sentence).softmax(dim=1), frames)


def _pool_masked_afterwards(sentence: Sentence, frames: Frames, frame_mask: FrameMask) -> Pooled:
    return _weighted((frames @ sentence).softmax(dim=1) * frame_mask, frames)


def _pool_with_products_of_zero(sentence: Sentence, frames: Frames, frame_mask: FrameMask) -> Pooled:
    return _weighted(((frames @ sentence) * frame_mask).softmax(dim=1), frames)


def _pool_alike(sentence: Sentence, frames: Frames, frame_mask: FrameMask) -> Pooled:
    real = frame_mask.to(frames.dtype)
    return _weighted(real / real.sum(dim=1, keepdim=True), frames)


def _pool_over_videos(sentence: Sentence, frames: Frames, frame_mask: FrameMask) -> Pooled:
    return _weighted((frames @ sentence).masked_fill(~frame_mask, -torch.inf).softmax(dim=0), frames)


def _pool_by_cosine(sentence: Sentence, frames: Frames, frame_mask: FrameMask) -> Pooled:
    cosine = functional.normalize(frames, dim=-1) @ functional.normalize(sentence, dim=-1)
    return _weighted(cosine.masked_fill(~frame_mask, -torch.inf).softmax(dim=1), frames)


def _pool_padding(sentence: Sentence, frames: Frames, frame_mask: FrameMask) -> Pooled:
    return _pool(sentence, frames, ~frame_mask)


def _pool_zeroed_frames(sentence: Sentence, frames: Frames, frame_mask: FrameMask) -> Pooled:
    return _pool_without_mask(sentence, frames * frame_mask[..., None], frame_mask)


def _pool_shrunk(sentence: Sentence, frames: Frames, frame_mask: FrameMask) -> Pooled:
    return _pool(sentence / len(sentence) ** 0.5, frames, frame_mask)


def _pool_by_products(sentence: Sentence, frames: Frames, frame_mask: FrameMask) -> Pooled:
    return _weighted((frames @ sentence) * frame_mask, frames)


_SENTENCE = torch.tensor([2.0, 1.0])
_FRAMES = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.5, 0.7]], [[0.3, 0.4], [0.9, 0.1], [0.2, 1.3]]])
_MASK = torch.tensor([[True, True, False], [True, True, True]])

POOL = Exercise(
    name="pool_video",
    reference=_pool,
    second=_pool_one_by_one,
    mistakes=(
        Mistake(_pool_without_mask, "Padding gets weight in yours: places where the mask is False must not count."),
        Mistake(
            _pool_masked_afterwards,
            "You mask after the softmax, as the released model does: part of the weight is lost. Mask before it.",
        ),
        Mistake(
            _pool_with_products_of_zero,
            "A product of 0 still gets weight, since exp(0) is 1; padding needs minus infinity before the softmax.",
        ),
        Mistake(_pool_alike, "All real frames count alike in yours; the sentence must choose among them."),
        Mistake(_pool_over_videos, "Each video has its own softmax over its frames, dim=1; yours runs over videos."),
        Mistake(_pool_by_cosine, "These are cosines; here the plain products count, without normalising."),
        Mistake(_pool_padding, "The mask is the wrong way round: True is a real frame, so fill where ~frame_mask."),
        Mistake(
            _pool_zeroed_frames,
            "A frame of zeros still gets weight, since exp(0) is 1: mask the products with minus infinity.",
        ),
        Mistake(_pool_shrunk, "The products are not divided by sqrt(D) here."),
        Mistake(_pool_by_products, "Products are no weights yet: the softmax over frames is missing."),
    ),
    cases=((_SENTENCE, _FRAMES, _MASK), (torch.tensor([-1.0, 0.5]), _FRAMES[:, 1:], _MASK[:, :2])),
)

# --- the code of a noise level ---------------------------------------------------------------------------------------


def _angles(position: int, dim: int) -> Float[Tensor, " half"]:
    return position / 10000 ** (torch.arange(0, dim, 2).double() / dim)


def _code(k: int, dim: int) -> Code:
    angle = _angles(k - 1, dim)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten().float()


def _code_one_by_one(k: int, dim: int) -> list[float]:
    def feature(place: int) -> float:
        angle = (k - 1) / 10000 ** (place // 2 * 2 / dim)
        return math.cos(angle) if place % 2 else math.sin(angle)

    return [feature(place) for place in range(dim)]


def _code_from_level(k: int, dim: int) -> Code:
    return _code(k + 1, dim)


def _code_in_halves(k: int, dim: int) -> Code:
    angle = _angles(k - 1, dim)
    return torch.cat([angle.sin(), angle.cos()]).float()


def _code_cosine_first(k: int, dim: int) -> Code:
    angle = _angles(k - 1, dim)
    return torch.stack([angle.cos(), angle.sin()], dim=-1).flatten().float()


def _code_with_an_angle_each(k: int, dim: int) -> Code:
    angle = (k - 1) / 10000 ** (torch.arange(dim).double() / dim)
    return torch.where(torch.arange(dim) % 2 == 0, angle.sin(), angle.cos()).float()


def _code_of_one_speed(k: int, dim: int) -> Code:
    angle = torch.full((dim // 2,), float(k - 1))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten()


def _code_with_half_the_exponent(k: int, dim: int) -> Code:
    angle = (k - 1) / 10000 ** (torch.arange(dim // 2).double() / dim)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten().float()


def _code_multiplied(k: int, dim: int) -> Code:
    angle = (k - 1) * 10000 ** (torch.arange(0, dim, 2) / dim)  # in float32, as in the hint: the angles are large
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten()


CODE = Exercise(
    name="level_code",
    reference=_code,
    second=_code_one_by_one,
    mistakes=(
        Mistake(_code_from_level, "The first level, k = 1, sits at place 0 of the table: use k - 1."),
        Mistake(_code_in_halves, "Sines and cosines take turns: sine, cosine, sine, cosine. Yours come in two halves."),
        Mistake(_code_cosine_first, "Sine stands on the even places (0, 2, ...), cosine on the odd ones."),
        Mistake(_code_with_an_angle_each, "A sine and the cosine after it share one angle; yours all differ."),
        Mistake(_code_of_one_speed, "All pairs turn at one speed in yours; divide by 10000 to the power of 2i / D."),
        Mistake(_code_with_half_the_exponent, "The exponent is 2i / D, with 2i = 0, 2, 4, ...; yours has i / D."),
        Mistake(_code_multiplied, "k - 1 is divided by the power of 10000; yours multiplies."),
    ),
    cases=((1, 4), (3, 6), (50, 8)),
)

EXERCISES = (POOL, CODE, WEIGHTS, ESTIMATE)
