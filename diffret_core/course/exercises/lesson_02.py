"""Notebook 02, encoders: pictures cut into patches, who may listen to whom, the sentence's vector, frames in order."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from diffret_core.course.exercise import Exercise, Mistake

Image = Float[Tensor, "C H W"]
Patches = Float[Tensor, "P n"]
Mask = Bool[Tensor, " W"]
Allowed = Bool[Tensor, "W W"]
Words = Float[Tensor, "T W D"]
Ids = Int[Tensor, "T W"]
Frames = Float[Tensor, "V F D"]
Positions = Float[Tensor, "L D"]
Mix = Callable[[Tensor], Tensor]

# --- patches ---------------------------------------------------------------------------------------------------------


def _cut(image: Image, size: int) -> Patches:
    channels, height, width = image.shape
    squares = image.reshape(channels, height // size, size, width // size, size)
    return squares.permute(1, 3, 0, 2, 4).reshape(-1, channels * size * size)


def _cut_by_unfolding(image: Image, size: int) -> Patches:
    return functional.unfold(image[None], kernel_size=size, stride=size)[0].T


def _cut_by_reshaping(image: Image, size: int) -> Patches:
    return image.reshape(-1, len(image) * size * size)


def _cut_in_columns(image: Image, size: int) -> Patches:
    return _cut(image.transpose(1, 2), size)


def _cut_down_then_right(image: Image, size: int) -> Patches:
    channels, height, width = image.shape
    squares = image.reshape(channels, height // size, size, width // size, size)
    return squares.permute(3, 1, 0, 2, 4).reshape(-1, channels * size * size)


def _cut_colours_last(image: Image, size: int) -> Patches:
    channels, height, width = image.shape
    squares = image.reshape(channels, height // size, size, width // size, size)
    return squares.permute(1, 3, 2, 4, 0).reshape(-1, channels * size * size)


def _cut_as_a_column_each(image: Image, size: int) -> Patches:
    return _cut(image, size).T


CUT = Exercise(
    name="cut_patches",
    reference=_cut,
    second=_cut_by_unfolding,
    mistakes=(
        Mistake(_cut_by_reshaping, "One reshape cuts strips out of single rows; a patch needs pixels of several rows."),
        Mistake(_cut_in_columns, "Height and width are exchanged: the pixels of a patch come row by row, too."),
        Mistake(_cut_down_then_right, "The patches come column by column; they are numbered like words on a page."),
        Mistake(_cut_colours_last, "Inside a patch all of one colour comes first, then the next; colour is not last."),
        Mistake(_cut_as_a_column_each, "Turn it round: one row for each patch, one column for each number in it."),
    ),
    cases=(
        (torch.arange(16.0).reshape(1, 4, 4), 2),
        (torch.arange(48.0).reshape(3, 4, 4), 2),
        (torch.arange(36.0).reshape(2, 3, 6), 3),
    ),
)

# --- who may listen to whom ------------------------------------------------------------------------------------------


def _may(word_mask: Mask) -> Allowed:
    num_words = len(word_mask)
    return torch.ones(num_words, num_words, dtype=torch.bool).tril() & word_mask


def _may_in_loops(word_mask: Mask) -> list[list[bool]]:
    places = range(len(word_mask))
    return [[heard <= listener and bool(word_mask[heard]) for heard in places] for listener in places]


def _may_hear_padding(word_mask: Mask) -> Allowed:
    return _may(torch.ones_like(word_mask))


def _may_hear_the_future(word_mask: Mask) -> Allowed:
    return word_mask.expand(len(word_mask), -1)


def _may_hear_only_the_future(word_mask: Mask) -> Allowed:
    return torch.ones(len(word_mask), len(word_mask), dtype=torch.bool).triu() & word_mask


def _may_not_hear_itself(word_mask: Mask) -> Allowed:
    return _may(word_mask).tril(-1)


def _may_listen_if_real(word_mask: Mask) -> Allowed:
    return _may(torch.ones_like(word_mask)) & word_mask[:, None]


MAY = Exercise(
    name="may_attend",
    reference=_may,
    second=_may_in_loops,
    mistakes=(
        Mistake(_may_hear_padding, "Padding is listened to: a column where word_mask is False must be all False."),
        Mistake(_may_hear_the_future, "Later words are heard as well: entry [i, j] may only be True if j <= i."),
        Mistake(_may_hear_only_the_future, "Turned round: word i listens to the words up to i, not to those after it."),
        Mistake(_may_not_hear_itself, "A word may listen to itself: the diagonal belongs to it, or row 0 is empty."),
        Mistake(_may_listen_if_real, "Mask only who is heard: a padded token listens too, or its row becomes NaN."),
    ),
    cases=(
        (torch.tensor([True, True, True, False, False]),),
        (torch.tensor([True, True, True]),),
        (torch.tensor([True, True, False]),),
    ),
)

# --- the sentence ----------------------------------------------------------------------------------------------------


def _sentence(words: Words, word_ids: Ids) -> Float[Tensor, "T D"]:
    return words[torch.arange(len(words)), word_ids.argmax(dim=1)]


def _sentence_in_a_loop(words: Words, word_ids: Ids) -> Float[Tensor, "T D"]:
    return torch.stack([own[ids.tolist().index(max(ids))] for own, ids in zip(words, word_ids, strict=True)])


def _sentence_at_the_end_of_the_row(words: Words, word_ids: Ids) -> Float[Tensor, "T D"]:
    return words[:, -1]


def _sentence_as_a_mean(words: Words, word_ids: Ids) -> Float[Tensor, "T D"]:
    return words.mean(dim=1)


def _sentence_as_a_maximum(words: Words, word_ids: Ids) -> Float[Tensor, "T D"]:
    return words.max(dim=1).values


def _sentence_at_the_start(words: Words, word_ids: Ids) -> Float[Tensor, "T D"]:
    return words[:, 0]


def _sentence_of_every_text(words: Words, word_ids: Ids) -> Float[Tensor, "T T D"]:
    return words[:, word_ids.argmax(dim=1)]


def _sentence_before_the_end(words: Words, word_ids: Ids) -> Float[Tensor, "T D"]:
    return words[torch.arange(len(words)), word_ids.argmax(dim=1) - 1]


_WORDS = torch.arange(72.0).mul(1.7).sin().round(decimals=1).reshape(3, 6, 4)  # no place has the largest of all
_IDS = torch.tensor([[49406, 320, 3057, 49407, 0, 0], [49406, 7, 8, 9, 10, 49407], [49406, 5, 49407, 0, 0, 0]])

SENTENCE = Exercise(
    name="sentence_feature",
    reference=_sentence,
    second=_sentence_in_a_loop,
    mistakes=(
        Mistake(
            _sentence_at_the_end_of_the_row, "The last place of a row is padding for most texts; find the end token."
        ),
        Mistake(
            _sentence_as_a_mean, "A mean mixes padding in; the one token that has heard all words is the end token."
        ),
        Mistake(_sentence_as_a_maximum, "A maximum mixes all tokens, padding too; take one token, the end token."),
        Mistake(_sentence_at_the_start, "The start token comes first and so has heard nothing: it is the same in all."),
        Mistake(_sentence_of_every_text, "Each text was read at every text's end; pair row i with its own place only."),
        Mistake(_sentence_before_the_end, "One too early: that is the last word, and the end token comes after it."),
    ),
    cases=((_WORDS, _IDS), (_WORDS[:1, :, :2], _IDS[:1])),
)

# --- frames in order -------------------------------------------------------------------------------------------------


def _add_time(frames: Frames, positions: Positions, transformer: Mix) -> Frames:
    return frames + transformer(frames + positions[: frames.shape[1]])


def _add_time_step_by_step(frames: Frames, positions: Positions, transformer: Mix) -> Frames:
    placed = torch.stack([frames[:, place] + positions[place] for place in range(frames.shape[1])], dim=1)
    heard = transformer(placed)
    return heard.add(frames)


def _add_time_alone(frames: Frames, positions: Positions, transformer: Mix) -> Frames:
    return transformer(frames + positions[: frames.shape[1]])


def _add_time_twice(frames: Frames, positions: Positions, transformer: Mix) -> Frames:
    placed = frames + positions[: frames.shape[1]]
    return placed + transformer(placed)


def _add_no_time(frames: Frames, positions: Positions, transformer: Mix) -> Frames:
    return frames + transformer(frames)


def _add_time_afterwards(frames: Frames, positions: Positions, transformer: Mix) -> Frames:
    return frames + transformer(frames) + positions[: frames.shape[1]]


def _add_the_last_times(frames: Frames, positions: Positions, transformer: Mix) -> Frames:
    return frames + transformer(frames + positions[-frames.shape[1] :])


def _add_all_times(frames: Frames, positions: Positions, transformer: Mix) -> Frames:
    return frames + transformer(frames + positions)  # stops: the sizes do not fit


def _transformer(x: Tensor) -> Tensor:
    """Stands for a transformer: what it gives depends on all frames, their order and their size."""
    return 0.5 * x.cumsum(dim=1).square()


_POSITIONS = torch.arange(1.0, 11.0).reshape(5, 2)

TIME = Exercise(
    name="add_time",
    reference=_add_time,
    second=_add_time_step_by_step,
    mistakes=(
        Mistake(_add_time_alone, "The frame itself is lost: g is f plus what the transformer says, not instead of f."),
        Mistake(_add_time_twice, "Add f without its position: g = f + ..., the position only goes into the brackets."),
        Mistake(_add_no_time, "The positions are missing: without them no frame knows whether it came first or last."),
        Mistake(_add_time_afterwards, "Positions go in before the transformer, so that it can compare them."),
        Mistake(_add_the_last_times, "Frame 0 gets the first position; yours are cut from the end of the table."),
        Mistake(_add_all_times, "There are more positions than frames: take the first F of them, with a slice."),
    ),
    cases=(
        (torch.arange(12.0).reshape(2, 3, 2) / 10, _POSITIONS, _transformer),
        (torch.ones(1, 2, 2), _POSITIONS, _transformer),
    ),
)

EXERCISES = (CUT, MAY, SENTENCE, TIME)
