"""Notebook 01, videos and captions: which frames are looked at, which tokens are kept, which pairs are learned from."""

import math

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.frames import sample_frame_indices

START, END = 49406, 49407
Tokens = tuple[Int[Tensor, " W"], Bool[Tensor, " W"]]
Sentences = list[dict[str, str]]
Rate = float | int
Pairs = list[tuple[str, str]]

# --- every so many frames --------------------------------------------------------------------------------------------


def _regular(num_frames: int, video_rate: Rate, frames_per_second: Rate) -> list[int]:
    step = max(1, round(video_rate / frames_per_second))
    return list(range(0, num_frames, step))


def _regular_in_the_core(num_frames: int, video_rate: Rate, frames_per_second: Rate) -> np.ndarray:
    frames = sample_frame_indices(num_frames, video_rate, max_frames=num_frames, frames_per_second=frames_per_second)
    return np.asarray(frames, dtype=np.int64)


def _regular_truncated(num_frames: int, video_rate: Rate, frames_per_second: Rate) -> list[int]:
    return list(range(0, num_frames, max(1, int(video_rate / frames_per_second))))


def _regular_by_the_clock(num_frames: int, video_rate: Rate, frames_per_second: Rate) -> list[int]:
    seconds = np.arange(0, num_frames / video_rate, 1 / frames_per_second)
    return [int(second * video_rate) for second in seconds]


def _regular_rounded_one_by_one(num_frames: int, video_rate: Rate, frames_per_second: Rate) -> list[int]:
    return [round(place) for place in np.arange(0, num_frames, video_rate / frames_per_second)]


def _regular_rounded_up(num_frames: int, video_rate: Rate, frames_per_second: Rate) -> list[int]:
    return list(range(0, num_frames, math.ceil(video_rate / frames_per_second)))


def _regular_in_seconds(num_frames: int, video_rate: Rate, frames_per_second: Rate) -> list[int]:
    return list(range(0, num_frames, max(1, round(frames_per_second))))


def _regular_without_the_first(num_frames: int, video_rate: Rate, frames_per_second: Rate) -> list[int]:
    step = max(1, round(video_rate / frames_per_second))
    return list(range(step, num_frames, step))


REGULAR = Exercise(
    name="regular_frames",
    reference=_regular,
    second=_regular_in_the_core,
    mistakes=(
        Mistake(_regular_truncated, "Round the step instead of cutting it off: 29.97 frames a second is a step of 30."),
        Mistake(_regular_by_the_clock, "The step is a whole number of frames, not a time: count frames, not seconds."),
        Mistake(_regular_rounded_one_by_one, "Round the step once; rounding each place makes the steps differ."),
        Mistake(_regular_rounded_up, "Round the step to the nearest whole number, not always upwards."),
        Mistake(_regular_in_seconds, "Your step is frames_per_second itself; divide the rate of the file by it."),
        Mistake(_regular_without_the_first, "The first frame, number 0, is always looked at."),
    ),
    cases=((30, 12.0, 4), (100, 29.97, 1), (9, 2.4, 1), (5, 3.0, 12), (1, 25.0, 1)),
)

# --- at most so many -------------------------------------------------------------------------------------------------


def _spread(frames: list[int], max_frames: int) -> list[int]:
    if len(frames) <= max_frames:
        return frames
    return [frames[int(place)] for place in np.linspace(0, len(frames) - 1, max_frames)]


def _spread_by_hand(frames: list[int], max_frames: int) -> list[int]:
    if len(frames) <= max_frames:
        return frames
    if max_frames == 1:
        return frames[:1]
    return [frames[math.floor(i * (len(frames) - 1) / (max_frames - 1))] for i in range(max_frames)]


def _spread_from_the_start(frames: list[int], max_frames: int) -> list[int]:
    return frames[:max_frames]


def _spread_rounded(frames: list[int], max_frames: int) -> list[int]:
    if len(frames) <= max_frames:
        return frames
    return [frames[round(place)] for place in np.linspace(0, len(frames) - 1, max_frames)]


def _spread_without_the_end(frames: list[int], max_frames: int) -> list[int]:
    if len(frames) <= max_frames:
        return frames
    return [frames[i * len(frames) // max_frames] for i in range(max_frames)]


def _spread_with_copies(frames: list[int], max_frames: int) -> list[int]:
    return [frames[int(place)] for place in np.linspace(0, len(frames) - 1, max_frames)]


def _spread_between_first_and_last(frames: list[int], max_frames: int) -> list[int]:
    if len(frames) <= max_frames:
        return frames
    return [int(frame) for frame in np.linspace(frames[0], frames[-1], max_frames)]


def _spread_places(frames: list[int], max_frames: int) -> list[int]:
    if len(frames) <= max_frames:
        return frames
    return [int(place) for place in np.linspace(0, len(frames) - 1, max_frames)]


def _spread_in_slices(frames: list[int], max_frames: int) -> list[int]:
    return frames[:: max(1, len(frames) // max_frames)][:max_frames]


SPREAD = Exercise(
    name="spread_out",
    reference=_spread,
    second=_spread_by_hand,
    mistakes=(
        Mistake(_spread_from_the_start, "These are the first frames; the end of the video would never be seen."),
        Mistake(_spread_rounded, "Cut the places off to whole numbers instead of rounding them."),
        Mistake(_spread_without_the_end, "The last frame is missing: the places run from 0 to n - 1, both included."),
        Mistake(_spread_between_first_and_last, "Spread the places in the list; yours are frames never proposed."),
        Mistake(_spread_places, "These are places in the list; return the frames that stand there."),
        Mistake(_spread_in_slices, "A whole step, cut off at max_frames, misses the end of the video."),
        Mistake(_spread_with_copies, "A video with few frames keeps them as they are; yours repeats some."),
    ),
    cases=(([0, 3, 6, 9, 12, 15], 4), ([0, 5, 10], 8), (list(range(0, 18, 2)), 4), ([0, 30, 60], 1)),
)

# --- tokens of one length --------------------------------------------------------------------------------------------


def _pad(pieces: list[int], max_words: int) -> Tokens:
    ids = [START, *pieces[: max_words - 2], END]
    mask = torch.arange(max_words) < len(ids)
    return torch.tensor(ids + [0] * (max_words - len(ids))), mask


def _pad_in_place(pieces: list[int], max_words: int) -> Tokens:
    kept = pieces[: max_words - 2]
    ids, mask = torch.zeros(max_words, dtype=torch.long), torch.zeros(max_words, dtype=torch.bool)
    ids[0], ids[1 : len(kept) + 1], ids[len(kept) + 1] = START, torch.tensor(kept, dtype=torch.long), END
    mask[: len(kept) + 2] = True
    return ids, mask


def _pad_without_the_end(pieces: list[int], max_words: int) -> Tokens:
    ids = [START, *pieces, END][:max_words]
    return torch.tensor(ids + [0] * (max_words - len(ids))), torch.arange(max_words) < len(ids)


def _pad_and_look_for_zeros(pieces: list[int], max_words: int) -> Tokens:
    ids, _ = _pad(pieces, max_words)
    return ids, ids != 0


def _pad_and_mask_the_end(pieces: list[int], max_words: int) -> Tokens:
    ids, mask = _pad(pieces, max_words)
    return ids, mask & (ids != END)


def _pad_with_the_mask_turned_round(pieces: list[int], max_words: int) -> Tokens:
    ids, mask = _pad(pieces, max_words)
    return ids, ~mask


PAD = Exercise(
    name="pad_tokens",
    reference=_pad,
    second=_pad_in_place,
    mistakes=(
        Mistake(_pad_without_the_end, "A long text loses its end token; cut the pieces first and then add the end."),
        Mistake(
            _pad_and_look_for_zeros, "A 0 is not always padding: it is also the id of a word piece. Count instead."
        ),
        Mistake(
            _pad_and_mask_the_end, "The end token is real: its place is True, since the sentence is read off there."
        ),
        Mistake(_pad_with_the_mask_turned_round, "The mask is turned round: True means real, False means padding."),
    ),
    cases=(([320, 7117, 5353], 8), ([11, 12, 13, 14, 15, 16, 17], 6), ([1929, 0, 539], 9)),
)

# --- what is learned from --------------------------------------------------------------------------------------------


def _pairs(sentences: Sentences, listed: list[str]) -> Pairs:
    return [(one["caption"], one["video_id"]) for one in sentences if one["video_id"] in listed]


def _pairs_in_a_loop(sentences: Sentences, listed: list[str]) -> Pairs:
    wanted, pairs = set(listed), []
    for one in sentences:
        if one["video_id"] in wanted:
            pairs.append((one["caption"], one["video_id"]))
    return pairs


def _pairs_of_all(sentences: Sentences, listed: list[str]) -> Pairs:
    return [(one["caption"], one["video_id"]) for one in sentences]


def _pairs_one_each(sentences: Sentences, listed: list[str]) -> Pairs:
    first = {one["video_id"]: one["caption"] for one in reversed(sentences)}
    return [(first[video], video) for video in listed]


def _pairs_by_video(sentences: Sentences, listed: list[str]) -> Pairs:
    return [(one["caption"], video) for video in listed for one in sentences if one["video_id"] == video]


def _pairs_turned_round(sentences: Sentences, listed: list[str]) -> Pairs:
    return [(video, caption) for caption, video in _pairs(sentences, listed)]


_SENTENCES = [
    {"video_id": "video1", "caption": "a star spins"},
    {"video_id": "video7", "caption": "a red ring rests"},
    {"video_id": "video1", "caption": "a star turns around"},
    {"video_id": "video3", "caption": "a moon grows"},
    {"video_id": "video13", "caption": "a cross rests"},
    {"video_id": "video1", "caption": "a star spins"},
]

PAIRS = Exercise(
    name="training_pairs",
    reference=_pairs,
    second=_pairs_in_a_loop,
    mistakes=(
        Mistake(_pairs_of_all, "Videos outside the list came along; with them a test video could be learned by heart."),
        Mistake(_pairs_one_each, "Every caption of a listed video is a pair of its own, not only the first one."),
        Mistake(_pairs_by_video, "Keep the order of the file: go through the sentences, not through the list."),
        Mistake(_pairs_turned_round, "A pair is (caption, video): the text comes first."),
    ),
    cases=((_SENTENCES, ["video3", "video1"]), (_SENTENCES[:2], ["video7"])),
)

EXERCISES = (REGULAR, SPREAD, PAD, PAIRS)
