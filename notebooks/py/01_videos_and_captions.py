# %% [markdown]
# # 01 · What goes in?
#
# **Goal.** By hand, you turn a video file and a sentence into the numbers that the model reads. Then you check that
# the package `diffret_core` does the same.
#
# | | |
# |---|---|
# | you need | PyTorch tensors; nothing about retrieval or diffusion |
# | time | 25 minutes with the exercises; Run All takes well under a minute |
# | hardware | any computer; no GPU, no network |
# | in the paper | the settings of its experiments: 12 frames and 32 tokens for short videos |
#
# Just opened? Choose **Run → Run All Cells** first. Letters such as F and W are in the [table of symbols](glossary.md).

# %%
import sys
from pathlib import Path

# `make lab` has installed the package. Elsewhere, as on Colab, it is found in the clone around or below this folder.
places = [Path.cwd(), *Path.cwd().parents, *Path.cwd().glob("*/")]
sys.path[:0] = [str(place) for place in places if (place / "diffret_core").is_dir()][:1]
try:
    from diffret_core.course import environment
except ModuleNotFoundError:
    advice = "start with `make lab`, or on Colab `!git clone` the project first, then run this cell again"
    raise ModuleNotFoundError(f"the package diffret_core is not here: {advice}") from None
environment.check()

import json
import math
import re

import numpy as np
import torch

from diffret_core.course import check, predict, quiz, setup, show

samples = setup.open_samples()
collection, config = samples.collection, samples.model.config

# %% [markdown]
# ## Pairs
#
# Retrieval is to find the video that a sentence describes. Its data are pairs: a sentence, called caption, and its
# video.

# %% tags=["nbval-check-output"]
pairs = collection.pairs("test")
print(len(pairs), "pairs")
for caption, video in pairs[4:8]:
    print(f"{video}: {caption}")

# %% [markdown]
# The task: given the sentence, rank all 1,000 videos so that its own comes first. Here are three of them, frame by
# frame.

# %%
show.strips(samples, ["video9004", "video9644", "video9645"])

# %% [markdown]
# **What to see.** Look at the last two. Their sentences have the same words, and their frames show the same two
# crosses. Only the *order* differs. Whatever we feed to the model must keep it.
#
# ## A video is many numbers
#
# The library `decord` decodes a file into pictures: one array per frame, with height, width and three colours.

# %% tags=["nbval-check-output"]
import decord

path = samples.video_path("video9644")
reader = decord.VideoReader(str(path))
pixels = np.stack([reader[i].asnumpy() for i in range(len(reader))])
print("frames a second ", reader.get_avg_fps())
print("shape           ", pixels.shape, pixels.dtype)
print("numbers         ", f"{pixels.size:,} in {len(reader) / reader.get_avg_fps():.2f} s")
print("bytes in file   ", f"{path.stat().st_size:,}")

# %% [markdown]
# That is 1.7 million numbers, a byte each, for less than three seconds. The file is 200 times smaller, since
# neighbouring frames are nearly the same. For the same reason the model may skip most of them.
#
# The question is: which ones does it look at?
#
# ## Predict
#
# The paper looks at **one frame a second, and at no more than F = 12** frames of a video.

# %%
from diffret_core.frames import sample_frame_indices

seen = sample_frame_indices(num_frames=20 * 25, video_rate=25, max_frames=12)
predict.number(
    "A clip lasts 20 seconds and has 25 frames a second, 500 frames. How many of them does the model see?",
    truth=len(seen),
    low=0,
    high=30,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# One a second proposes 20 frames. That is more than F, so 12 of them are kept, from the first to the last.
#
# </details>

# %% [markdown]
# ## First rule: a regular step
#
# Say a file has $r$ frames a second, and $s$ are wanted. Every so many frames one is proposed; this step is a whole
# number, and never 0:
#
# $$
# \mathrm{step} = \max(1, \mathrm{round}(r / s))
# $$
#
# For our little video, once a second and then twice:

# %% tags=["nbval-check-output"]
num_frames, rate = len(reader), reader.get_avg_fps()
for wanted in (1, 2):
    step = max(1, round(rate / wanted))
    print(f"{wanted} a second: every {step:2}th of {num_frames}:", list(range(0, num_frames, step)))

# %% [markdown]
# ### Exercise 1: a regular step
#
# *easy · 3 minutes*
#
# Write the rule as a function: `video_rate` is $r$, `frames_per_second` is $s$. It returns a list with the numbers of
# the frames; the first is 0. Replace the three dots; until you do, the notebook uses our answer.


# %% tags=["exercise", "nbval-check-output"]
def regular_frames(num_frames, video_rate, frames_per_second):
    return ...  # your code


regular_frames = check.answer("regular_frames", regular_frames)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `range(0, num_frames, step)` counts in steps; `list(...)` writes the numbers down.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `round(29.97)` is 30, `int(29.97)` is 29. And a step of 0 is an error: what if 12 frames a second are wanted of a file
# that has 3?
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def regular_frames(num_frames, video_rate, frames_per_second):
#     step = max(1, round(video_rate / frames_per_second))
#     return list(range(0, num_frames, step))
# ```
#
# </details>

# %% [markdown]
# ## Second rule: at most F, spread evenly
#
# A minute would still give 60 frames. So F places in the list of proposed frames are chosen: spread evenly, both ends
# included, and cut off to whole numbers. Seven proposed frames and F = 4, then six and F = 4:

# %% tags=["nbval-check-output"]
for num_proposed in (7, 6):
    spread = np.linspace(0, num_proposed - 1, 4)
    print(num_proposed, "proposed, 4 kept:", spread.round(2).tolist(), "->", spread.astype(int).tolist())

# %% [markdown]
# Six do not divide evenly: places 1 and 3 are taken, 2 and 4 are not. That is as even as whole numbers can be.
#
# ### Exercise 2: spread them out
#
# *medium · 5 minutes*
#
# `frames` is the list that the first rule gave. Return at most `max_frames` of them. If there are no more than that,
# keep them all. If `max_frames` is 1, keep the first.


# %% tags=["exercise", "nbval-check-output"]
def spread_out(frames, max_frames):
    return ...  # your code


spread_out = check.answer("spread_out", spread_out)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# Two cases. The short one is `if len(frames) <= max_frames: return frames`.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `np.linspace(0, len(frames) - 1, max_frames)` gives the places; `frames[int(place)]` is the frame at a place.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def spread_out(frames, max_frames):
#     if len(frames) <= max_frames:
#         return frames
#     return [frames[int(place)] for place in np.linspace(0, len(frames) - 1, max_frames)]
# ```
#
# </details>

# %% [markdown]
# ## The same in the package
#
# Both rules are one function of `diffret_core`: [sampling.py](../diffret_core/frames/sampling.py). Ours must agree
# with it, for many lengths and rates.

# %% tags=["nbval-check-output"]
rates = [(12, 1), (12, 4), (25, 1), (25, 4), (29.97, 1), (29.97, 4)]
cases = [(n, rate, wanted) for n in range(1, 300, 7) for rate, wanted in rates]
for n, rate, wanted in cases:
    mine = spread_out(list(regular_frames(n, rate, wanted)), 12)
    assert list(mine) == sample_frame_indices(n, rate, max_frames=12, frames_per_second=wanted)
print(f"{len(cases)} files: the same frames in each")

# %% [markdown]
# ## Both rules on a time line
#
# Move the slider: it makes the video longer.

# %%
show.sampling([3, 6, 12, 13, 16, 20, 30, 45, 60, 120, 240], 25)

# %% [markdown]
# **What to see.** Up to 12 seconds every proposed frame is kept. From 13 seconds on, the kept ones move apart. At two
# minutes they are 10.8 seconds apart: what happens in between is never seen. For the long videos of ActivityNet and
# DiDeMo the paper takes F = 64.
#
# ## The frames of our samples
#
# The sample videos last two to three seconds. One frame a second would show hardly any motion, so their model asks for
# more. How many is in its configuration.

# %%
from diffret_core.frames import read_frames

per_second, most, side = config.frames_per_second, config.max_frames, config.image_size
print(f"{per_second:g} frames a second, at most F = {most}, of {side} x {side} pixels")
read = read_frames(path, max_frames=most, frames_per_second=per_second, image_size=side)
print("frames ", tuple(read.frames.shape), read.frames.dtype, "  [F, colours, height, width]")
print("seconds", [round(second, 2) for second in read.seconds])

# %%
show.strip(read.frames, read.seconds, caption=samples.captions["video9644"])

# %% [markdown]
# These pixels are all that the model gets: few and small. Can you still tell what happens first?
#
# ## From pixels to inputs
#
# Bytes from 0 to 255 become numbers around 0: divide by 255, subtract a mean, divide by a standard deviation, for each
# colour. The values are those that the model was trained with. By hand:

# %%
from diffret_core.frames import normalise_frames

mean, std = torch.tensor(config.image_mean), torch.tensor(config.image_std)
by_hand = (read.frames / 255 - mean[:, None, None]) / std[:, None, None]
in_package = normalise_frames(read.frames, config.image_mean, config.image_std)
assert torch.allclose(by_hand, in_package, atol=1e-6)
print("mean", config.image_mean, " standard deviation", config.image_std)
print("bytes from", int(read.frames.min()), "to", int(read.frames.max()))
print(f"inputs from {in_package.min():.2f} to {in_package.max():.2f}")

# %% [markdown]
# ## Videos of one length: padding
#
# A batch is one tensor, so all its videos need F frames. What is missing is filled with zeros, and a **mask** remembers
# which frames are real. Three videos, here at 64 x 64 pixels:

# %%
from diffret_core.frames import pad_frames

video_ids = ["video9644", "video9000", "video9006"]
batch, times = [], []
for video in video_ids:
    file = samples.video_path(video)
    one = read_frames(file, max_frames=12, frames_per_second=per_second, image_size=64)
    times.append(one.seconds)
    batch.append(normalise_frames(one.frames, config.image_mean, config.image_std))
print("frames of each", [len(frames) for frames in batch])

# %% tags=["nbval-check-output"]
padded = torch.zeros(3, 12, *batch[0].shape[1:])
frame_mask = torch.zeros(3, 12, dtype=torch.bool)
for row, frames in enumerate(batch):
    padded[row, : len(frames)] = frames
    frame_mask[row, : len(frames)] = True
print("padded    ", tuple(padded.shape))
print("frame_mask", tuple(frame_mask.shape))
print(frame_mask.int())

# %%
in_package, mask_in_package = pad_frames(batch, 12)
assert torch.equal(padded, in_package)
assert torch.equal(frame_mask, mask_in_package)
print("pad_frames gives the same two tensors")

# %% [markdown]
# What does a padded frame look like? Undo the normalisation and see.

# %%
shortest = int(frame_mask.sum(dim=1).argmin())
pictures = (padded[shortest] * std[:, None, None] + mean[:, None, None]).mul(255).round().byte()
show.strip(pictures, times[shortest], caption=samples.captions[video_ids[shortest]])

# %% [markdown]
# **What to see.** Zero is not black: it is the mean colour. To the network a padded frame is a picture like any
# other, a grey one. Only the mask tells it to look away.
#
# ## A caption becomes tokens
#
# A network reads numbers, so text is cut into **tokens**: pieces from a fixed list, each with a number, its id. The
# list is that of CLIP, the network for images and texts on which the paper builds. Frequent words are one piece, rare
# ones several.
#
# How the cut is made, known as byte-pair encoding: start from letters, and again and again join the neighbours whose
# joining was learned earliest.

# %%
from open_clip import SimpleTokenizer

tokenizer = SimpleTokenizer()
learned = tokenizer.bpe_ranks  # (left, right) -> when their joining was learned; 0 is the first


def word_pieces(word, say=False):
    pieces = [*word[:-1], word[-1] + "</w>"]  # the last letter knows that it ends the word
    while len(pieces) > 1:
        neighbours = list(zip(pieces, pieces[1:], strict=False))
        earliest = min(neighbours, key=lambda pair: learned.get(pair, math.inf))
        if earliest not in learned:
            break
        at = neighbours.index(earliest)
        pieces[at : at + 2] = ["".join(earliest)]
        if say:
            print(f"joining {learned[earliest]:6}: ", " ".join(pieces))
    return pieces


# %% tags=["nbval-check-output"]
print(f"{len(learned):,} joinings were learned, {len(tokenizer.encoder):,} entries in the list")
for word in ("downwards", "rotates"):
    print(word)
    word_pieces(word, say=True)

# %% [markdown]
# A line shows the pieces after a joining, and when that joining was learned; `</w>` marks the end of a word. Of
# *downwards* two pieces are left, which no joining unites.
#
# For a whole caption: lower case, cut into words and marks, cut each into pieces, look up the id of each.

# %% tags=["nbval-check-output"]
number_of = tokenizer.encoder


def caption_pieces(caption):
    words = re.findall(r"[a-z]+|[^a-z\s]+", caption.lower())
    return [piece for word in words for piece in word_pieces(word)]


for caption, _ in pairs:
    assert [number_of[piece] for piece in caption_pieces(caption)] == tokenizer.encode(caption)
print(f"{len(pairs):,} captions: the same numbers as CLIP's own tokenizer")

# %% [markdown]
# ## Texts of one length: W tokens
#
# A text gets a start token in front (49406) and an end token behind (49407), and is filled up with zeros to W tokens.
# If it is too long, pieces are cut, **never the end token**: what stands for the whole sentence is
# read off there.
#
# One trap. Is a 0 always padding?

# %% tags=["nbval-check-output"]
for text in ("stop !", "5!%"):
    print(f"{text!r:9}", tokenizer.encode(text), [tokenizer.decoder[i] for i in tokenizer.encode(text)])

# %% [markdown]
# No: an exclamation mark with another sign right behind it has the id 0 too.
#
# ### Exercise 3: pad a text
#
# *medium · 6 minutes*
#
# `pieces` is a list with the ids of the word pieces. Return two tensors of length `max_words`: the token ids, and the
# mask of type bool, True from the start to the end token.


# %% tags=["exercise", "nbval-check-output"]
def pad_tokens(pieces, max_words):
    return ...  # your code: return ids, mask


pad_tokens = check.answer("pad_tokens", pad_tokens)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# Start and end take two places, so there is room for `max_words - 2` pieces.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# You know how many tokens are real: `torch.arange(max_words) < number_of_real_ones` is the mask. Do not look for zeros.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def pad_tokens(pieces, max_words):
#     ids = [49406, *pieces[: max_words - 2], 49407]
#     mask = torch.arange(max_words) < len(ids)
#     return torch.tensor(ids + [0] * (max_words - len(ids))), mask
# ```
#
# </details>

# %% tags=["nbval-check-output"]
from diffret_core.encoders import tokenize

captions = [caption for caption, _ in pairs]
rows = [pad_tokens(tokenizer.encode(caption), 32) for caption in captions]
word_ids = torch.stack([torch.as_tensor(ids) for ids, _ in rows]).long()
word_mask = torch.stack([torch.as_tensor(mask) for _, mask in rows])
ids_in_package, mask_in_package = tokenize(captions, max_words=32)
assert torch.equal(word_ids, ids_in_package)
assert torch.equal(word_mask, mask_in_package)
print("word_ids ", tuple(word_ids.shape))
print("word_mask", tuple(word_mask.shape))
print("both as in the package")

# %% [markdown]
# Three captions as the model reads them, with W = 12 to fit the page. The last is too long for that.

# %%
shown = ["a star spins", "a diamond drifting downwards", max(captions, key=len)]
show.tokens([caption_pieces(text) for text in shown], *tokenize(shown, max_words=12))

# %% [markdown]
# **What to see.** One word may be two boxes. The shorter the text, the more padding. In the last row all words
# after the tenth piece are lost, but the end token is not.

# %%
every_25th = captions[::25]
show.mask(word_mask[::25], "word_mask of 40 captions, W = 32", every_25th, places="token")

# %% [markdown]
# Over half of the places are padding. Whatever comes later, means, maxima or attention, has to ask the mask first.
#
# ## The files on disk
#
# A benchmark is a public data set on which methods are compared. MSR-VTT, one of the five in the paper, comes as one
# JSON file and two lists. Our samples have the same layout, so one reader serves
# both: [msrvtt.py](../diffret_core/datasets/msrvtt.py).
#
# | file | says |
# |---|---|
# | `MSRVTT_data.json` | every video with its split, every sentence with its video |
# | `MSRVTT_train.9k.csv` (samples: `MSRVTT_train.csv`) | which videos are for training |
# | `MSRVTT_JSFUSION_test.csv` | the 1,000 test pairs, known as split 1k-A |
# | `videos/video123.mp4` | the videos, named by their id |

# %% tags=["nbval-check-output"]
folder = collection.videos_folder.parent
annotation = json.loads((folder / "MSRVTT_data.json").read_text())
print({kind: len(entries) for kind, entries in annotation.items()})
print(annotation["videos"][0])
print(annotation["sentences"][0])
print((folder / "MSRVTT_JSFUSION_test.csv").read_text().splitlines()[:2])

# %% [markdown]
# Of the 10,600 videos, 8,000 are for training, 1,000 for choosing settings, and 1,600 for tests: these 1,000, and 600
# of other kinds for notebook 10.
#
# ### Exercise 4: what is learned from
#
# *easy · 4 minutes*
#
# Return the training pairs as a list of `(caption, video_id)`: **every** sentence of every video in `listed`, in the
# order of `sentences`.


# %% tags=["exercise", "nbval-check-output"]
def training_pairs(sentences, listed):
    return ...  # your code


training_pairs = check.answer("training_pairs", training_pairs)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# A sentence is a dictionary: `one["caption"]`, `one["video_id"]`.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Go through the sentences, not through `listed`: that keeps their order, and keeps all sentences of a video. To look a
# video up in `set(listed)` is quick.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def training_pairs(sentences, listed):
#     wanted = set(listed)
#     return [(one["caption"], one["video_id"]) for one in sentences if one["video_id"] in wanted]
# ```
#
# </details>

# %% tags=["nbval-check-output"]
listed = (folder / "MSRVTT_train.csv").read_text().split()[1:]
few = listed[:500]
mine = training_pairs(annotation["sentences"], few)
assert [tuple(pair) for pair in mine] == list(collection.pairs("train")[: len(mine)])
print(f"{len(few)} videos, {len(mine):,} pairs: as the package reads them")
print(f"in all {len(listed):,} videos, {len(collection.pairs('train')):,} pairs")
print("test videos among them:", len(set(listed) & set(collection.video_ids("test"))))

# %% [markdown]
# The last line matters most. A test video seen in training makes every later number worthless. The reader of the
# package refuses such lists.
#
# ## Your own video
#
# Drag a video into the file browser on the left, write its name between the quotation marks, and run the cell: these
# are the frames that the model would see.

# %%
my_video = ""
show.own_video(my_video, config)

# %% [markdown]
# ## What you can now say
#
# - A video goes in as at most F frames: a regular step first, then spread evenly. Between them the model is blind.
# - A text goes in as W tokens: start, word pieces, end, padding. The end token always stays.
# - Zeros are not nothing. A mask says what is real.
# - A benchmark is a list of pairs, with the test videos kept out of training.
#
# ## Quiz

# %%
quiz.show("01")

# %% [markdown]
# **Next.** Frames and tokens are still numbers without meaning. [Notebook 02](02_encoders.ipynb) turns them into
# vectors that can be compared.
#
# The code behind this notebook: [which frames](../diffret_core/frames/sampling.py),
# [normalising and padding](../diffret_core/frames/preprocessing.py), [tokens](../diffret_core/encoders/clip.py),
# [reading MSR-VTT](../diffret_core/datasets/msrvtt.py).
