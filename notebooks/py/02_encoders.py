# %% [markdown]
# # 02 · How do pixels and words become vectors?
#
# **Goal.** You follow a picture and a sentence through the two towers of CLIP until each is a row of numbers, rebuild
# the steps by hand, and find out what those numbers know, and what they do not.
#
# | | |
# |---|---|
# | you need | notebook 01; what a convolution and an attention layer are |
# | time | 40 minutes with the exercises; Run All takes about half a minute |
# | hardware | any computer; no GPU, no network |
# | in the paper | the feature extractors: CLIP's text and image encoders, and the temporal transformer on top |
#
# Just opened? Choose **Run → Run All Cells** first. Letters such as F and D are in the [table of symbols](glossary.md).

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

import re

import numpy as np
import torch
from torch.nn.functional import normalize

from diffret_core.course import check, predict, quiz, setup, show
from diffret_core.randomness import numpy_generator

torch.set_grad_enabled(False)  # nothing is trained here
samples = setup.open_samples()
model, config, collection = samples.model, samples.model.config, samples.collection

# %% [markdown]
# ## One space for both
#
# Pixels and words cannot be compared. Vectors of the same length can: by the angle between them. So one network, a
# **tower**, turns pictures into vectors with D entries; another does so with words. Training (notebook 04) pulls a
# caption and its video together.

# %% tags=["nbval-check-output"]
texts = model.encode_texts([samples.captions[video] for video in samples.video_ids[:3]])
print("words    ", tuple(texts.words.shape), "  [T, W, D]  a vector per token")
print("sentence ", tuple(texts.sentence.shape), "     [T, D]     a vector per text")
print("frames   ", tuple(samples.videos.frames[:3].shape), "  [V, F, D]  a vector per frame")

# %% [markdown]
# D is the last number in each bracket; in the paper it is 512. How does a picture become D numbers?
#
# ## A picture is a text of patches
#
# The paper's image tower, ViT-B/32, reads a picture as one reads a page. It cuts the picture into square **patches**,
# and makes each a token. The smallest example: 4 x 4 pixels, patches of 2 x 2.

# %% tags=["nbval-check-output"]
picture = torch.arange(16).reshape(4, 4)
print(picture)
print("first patch, as a row: ", picture[:2, :2].flatten().tolist())
print("second patch, as a row:", picture[:2, 2:].flatten().tolist())

# %% [markdown]
# ### Exercise 1: cut a picture into patches
#
# *medium · 7 minutes*
#
# `image` has the shape `[colours, height, width]`. Return `[patches, colours * size * size]`: patches numbered like
# words on a page; in a row first all pixels of the first colour, then of the next. Replace the three dots; until you
# do, the notebook uses our answer.


# %% tags=["exercise", "nbval-check-output"]
def cut_patches(image, size):
    return ...  # your code


cut_patches = check.answer("cut_patches", cut_patches)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# Two loops are fine: over the rows of patches, then over the columns. A patch is
# `image[:, top : top + size, left : left + size]`; `.flatten()` makes it a row, `torch.stack` joins the rows.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Without loops: `reshape` to `[colours, rows, size, columns, size]`, then `permute` so that rows and columns come
# first, then `reshape` again.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def cut_patches(image, size):
#     colours, height, width = image.shape
#     squares = image.reshape(colours, height // size, size, width // size, size)
#     return squares.permute(1, 3, 0, 2, 4).reshape(-1, colours * size * size)
# ```
#
# </details>

# %% [markdown]
# ## A convolution is a matrix product
#
# Each patch is multiplied by one matrix $E$, and becomes a token: $x_p = E\,\mathrm{patch}_p$. Code usually writes it
# as a convolution whose step is as long as its kernel. It is the same.

# %% tags=["nbval-check-output"]
from diffret_core.encoders import build_clip, clip_architecture

small_vit = {"image_size": 64, "patch_size": 16, "width": 64, "layers": 2}
clip_text = {"context_length": 32, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
torch.manual_seed(0)
architecture = {"embed_dim": 64, "quick_gelu": True, "vision_cfg": small_vit, "text_cfg": clip_text}
vit = build_clip(architecture).visual.eval()

image = torch.randn(3, 64, 64)
matrix = vit.conv1.weight.flatten(1).T  # E, transposed: [numbers in a patch, width]
by_hand = cut_patches(image, 16) @ matrix
as_convolution = vit.conv1(image[None])[0].flatten(1).T
assert torch.allclose(by_hand, as_convolution, atol=1e-5)
print("patches", tuple(cut_patches(image, 16).shape), "-> tokens", tuple(by_hand.shape), " both ways")

# %% [markdown]
# ## From tokens to one vector
#
# Before the patches comes a **class token** without a picture of its own. Positions are added, since a transformer does
# not know what stands where. After the blocks, the class token has listened to every patch: it *is* the picture's
# vector. (These weights are random, so this vector means nothing. The paper's tower has the same parts, but is larger
# and trained.)

# %% tags=["nbval-check-output"]
x = torch.cat([vit.class_embedding[None], by_hand]) + vit.positional_embedding  # [1 + patches, width]
x = vit.transformer(vit.ln_pre(x)[None])  # every token listens to every other
vector = vit.ln_post(x[0, 0]) @ vit.proj  # the class token, at place 0
assert torch.allclose(vector, vit(image[None])[0], atol=1e-5)
print("tokens", tuple(x.shape[1:]), "-> vector", tuple(vector.shape), " as in open_clip")

paper = clip_architecture("ViT-B-32-quickgelu")
tower = paper["vision_cfg"]
side = tower["image_size"] // tower["patch_size"]
print(f"the paper: {side} x {side} patches, {side**2 + 1} tokens, {tower['width']} numbers each,")
print(f"           {tower['layers']} blocks, D = {paper['embed_dim']}")

# %% [markdown]
# ## Our small tower: regions instead of patches
#
# From our few thousand videos a ViT learned colours and sizes, but hardly any shapes ([measured](../docs/results.md)).
# So our CLIP has a small ResNet: convolutions that join neighbouring pixels step by step. Its grid grows coarser, and
# each place holds more numbers. Move the slider through the tower.

# %%
from diffret_core.frames import normalise_frames, read_frames

video = "video9644"
read = read_frames(
    samples.video_path(video),
    max_frames=config.max_frames,
    frames_per_second=config.frames_per_second,
    image_size=config.image_size,
)
images = normalise_frames(read.frames, config.image_mean, config.image_std)  # [F, 3, H, H]
visual = model.clip.visual
x, stages = images[:1], {"the pixels": images[0]}
for name in ("stem", "layer1", "layer2", "layer3", "layer4"):
    x = getattr(visual, name)(x)
    stages[name] = x[0]

show.grid(read.frames[0], stages)

# %% [markdown]
# **What to see.** At first whole objects stand out, by colour alone; their edges, of mixed colours, are palest. From
# the stem on, a place knows its neighbourhood: parts of one object differ. At the end a handful of regions is left,
# each with hundreds of numbers: *where* has been traded for *what*.
#
# ## Pooling: a vector that asks
#
# Last, the regions become one vector. Each first gets the vector of its place, as in the ViT. Their mean asks a
# question; every region answers with a key (how well does it fit?) and a value (what is there?). With $d$ numbers in a
# question:
#
# $$
# w_r = \mathrm{softmax}_r\left(\frac{\langle \mathrm{question}, \mathrm{key}_r\rangle}{\sqrt{d}}\right)
# $$
#
# $$
# \mathrm{vector} = \mathrm{project}\left(\sum_r w_r\,\mathrm{value}_r\right)
# $$
#
# Several questions are asked at once (*heads*), each with its own part of the numbers; the answers are put in a row.

# %%
pool = visual.attnpool
regions = stages["layer4"].flatten(1).T  # [regions, numbers]
x = torch.cat([regions.mean(dim=0, keepdim=True), regions]) + pool.positional_embedding
heads = (len(x), pool.num_heads, -1)
question, keys, values = (layer(x).view(heads) for layer in (pool.q_proj, pool.k_proj, pool.v_proj))
logits = torch.einsum("hd,rhd->hr", question[0], keys) / question.shape[-1] ** 0.5
weight = torch.softmax(logits, dim=1)  # [heads, 1 + regions]
vector = pool.c_proj(torch.einsum("hr,rhd->hd", weight, values).flatten())
print("regions", tuple(regions.shape), "-> vector", tuple(vector.shape), f" with {pool.num_heads} heads")
print("weight of the mean and of each region:", [round(w, 2) for w in weight.mean(dim=0).tolist()])

# %% [markdown]
# The mean itself is among those heard: the first weight. The package does all this for all frames of many videos, and
# never looks at padding: [towers.py](../diffret_core/encoders/towers.py).

# %%
from diffret_core.encoders import encode_frames

one_video = torch.ones(1, len(images), dtype=torch.bool)  # frame_mask: nothing is padded
frames = encode_frames(model.clip, images[None], one_video)[0]  # f: [F, D]
assert torch.allclose(frames[0], vector, atol=1e-4)
print("frames", tuple(frames.shape), " [F, D]; frame 0 is the vector built by hand")

# %% [markdown]
# ## The text tower
#
# A text comes as tokens already (notebook 01). Each gets its row of a table, plus the vector of its place. Then blocks
# of attention mix them, with one rule: **nobody hears what comes later**. It is called causal.

# %%
scores = torch.zeros(3, 3)  # three tokens, each finds all equally interesting
allowed = torch.ones(3, 3, dtype=torch.bool).tril()
print(torch.softmax(scores.masked_fill(~allowed, -torch.inf), dim=1).round(decimals=2))

# %% [markdown]
# Row i: how much token i listens to each token. The first hears only itself; the last hears all.
#
# $$
# \mathrm{allowed}[i, j] = (j \leq i)\ \mathrm{and\ token}\ j\ \mathrm{is\ real}
# $$
#
# ### Exercise 2: who may listen to whom?
#
# *medium · 5 minutes*
#
# `word_mask` `[W]` is True where a token is real. Return `allowed` `[W, W]`: row i, column j is True where token i may
# listen to token j. A padded token may listen: its row is never used.


# %% tags=["exercise", "nbval-check-output"]
def may_attend(word_mask):
    return ...  # your code


may_attend = check.answer("may_attend", may_attend)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `torch.ones(W, W, dtype=torch.bool).tril()` is the causal part.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `&` joins two masks. A mask `[W]` beside a matrix `[W, W]` counts for the columns, and columns are those who are
# heard.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def may_attend(word_mask):
#     num_words = len(word_mask)
#     return torch.ones(num_words, num_words, dtype=torch.bool).tril() & word_mask
# ```
#
# </details>

# %% [markdown]
# ## The tower by hand
#
# Table, positions, blocks, a last normalisation, a projection to D numbers: that is CLIP's text encoder.

# %%
from diffret_core.encoders import encode_words, tokenize

clip = model.clip
word_ids, word_mask = tokenize(["a red circle moves left", "a red circle moves right"], max_words=12)
allowed = torch.stack([torch.as_tensor(may_attend(mask)) for mask in word_mask])  # [T, W, W]
blocked = torch.zeros(allowed.shape).masked_fill(~allowed, -torch.inf)
num_heads = config.clip["text_cfg"]["heads"]

x = clip.token_embedding(word_ids) + clip.positional_embedding[:12]  # [T, W, width]
x = clip.transformer(x, attn_mask=blocked.repeat_interleave(num_heads, dim=0))
words = clip.ln_final(x) @ clip.text_projection  # [T, W, D]
words_in_package, sentence_in_package = encode_words(clip, word_ids, word_mask)
assert torch.allclose(words[word_mask], words_in_package[word_mask], atol=1e-5)
assert not words_in_package[~word_mask].any()
print("words", tuple(words.shape), " as in the package, which makes those of padding 0")

# %% [markdown]
# ## Predict
#
# These two sentences differ in their last word only. Here each word is one token, so both have 7: start, five words,
# end.

# %%
moved = (words[0] - words[1]).norm(dim=1) > 1e-4
num_changed = int(moved[word_mask[0]].sum())
predict.number(
    "Of the 7 token vectors, how many differ between the two sentences?",
    truth=num_changed,
    low=0,
    high=7,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# Two: the last word, and the end token after it. All others came too early to hear the difference.
#
# </details>
#
# The end token is the only one that hears the whole sentence. So its vector *is* the **sentence feature**. Its number,
# 49407, is the largest of all tokens: that is how CLIP finds it.
#
# ### Exercise 3: the sentence
#
# *easy · 4 minutes*
#
# From `words` `[T, W, D]` and `word_ids` `[T, W]`, return the vector of each text's end token, `[T, D]`.


# %% tags=["exercise", "nbval-check-output"]
def sentence_feature(words, word_ids):
    return ...  # your code


sentence_feature = check.answer("sentence_feature", sentence_feature)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `word_ids.argmax(dim=1)` is the place of the end token in each row.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `words[rows, places]` with two lists of the same length takes one vector per pair. `torch.arange(len(words))` is the
# list of rows.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def sentence_feature(words, word_ids):
#     return words[torch.arange(len(words)), word_ids.argmax(dim=1)]
# ```
#
# </details>

# %% [markdown]
# ## The captions nearest to a frame
#
# Now both sides are vectors, and a picture can look for words. The **cosine** is 1 where two vectors point the same
# way, 0 where they have nothing in common, and -1 where they point opposite ways:
#
# $$
# \cos(a, b) = \frac{\langle a, b \rangle}{|a|\,|b|}
# $$
#
# Move the slider through the frames of the video.

# %%
from diffret_core.galleries import encode_captions
from diffret_core.scenes.vocabulary import BACKGROUNDS, COLOURS, SHAPES

captions = [samples.captions[video_id] for video_id in samples.video_ids]
all_texts = encode_captions(model, captions)
assert torch.equal(sentence_feature(words_in_package, word_ids), sentence_in_package)
cosine = normalize(frames, dim=1) @ normalize(all_texts.sentence, dim=1).T  # [F, T]
own = samples.video_ids.index(video)
nearest = [captions[i] for i in cosine.topk(6).indices.flatten().tolist()]
print("cosine", tuple(cosine.shape), f" [F, T], from {cosine.min():.2f} to {cosine.max():.2f}")
for kind, known in (("colours", COLOURS), ("shapes", SHAPES)):
    named = [word for caption in nearest for word in caption.split() if word in known]
    right = [word in captions[own].split() for word in named]
    # by chance: of all words of this kind, the share that the video's own caption names
    chance = sum(word in captions[own].split() for word in known) / len(known)
    print(f"{kind} in the 6 nearest: {np.mean(right):.0%} right, by chance {chance:.0%}")
show.nearest(read, captions, cosine, own=own)

# %% [markdown]
# **What to see.** The nearest captions speak of the frame's colours, and often of its shapes. Look for two near the
# top: the video's own, and its twin, the same words in the other order. Does the same one lead in every frame? A single
# picture may know *what* happens here, but not *when*.
#
# ## A bag of frames
#
# "First left, then right" and "first right, then left" can show the same pictures. Each vector above knows its own
# picture and nothing else. So what changes when a video is played backwards?

# %%
from diffret_core.features import TextFeatures, VideoFeatures

own_text = model.encode_texts([captions[own]])
forwards = float(model.similarity(own_text, VideoFeatures(frames[None], one_video)))
backwards = float(model.similarity(own_text, VideoFeatures(frames.flip(0)[None], one_video)))
print(f"similarity, frame by frame: forwards {forwards:.4f}, backwards {backwards:.4f}")
assert abs(forwards - backwards) < 1e-5

# %% [markdown]
# Nothing changes: sums and maxima over frames do not ask for their order (the formula comes in notebook 03). **Where
# two videos show the very same pictures in another order, a bag of frames cannot tell them apart**, however good the
# tower is. (Often the pictures differ a little, and give it away: see below.)
#
# ## The temporal transformer
#
# So the frames are told their place, with vectors $P_0, P_1, \dots$, and may listen to one another:
#
# $$
# g = f + \mathrm{Transformer}(f + P_{0..F-1})
# $$
#
# The frame itself stays, $f + \dots$: what the transformer has to learn is only what time adds. There is no causal rule
# here; an early frame may hear a late one.
#
# ### Exercise 4: frames that know their neighbours
#
# *medium · 4 minutes*
#
# `frames` `[V, F, D]`, `positions` `[L, D]` with L at least F, and a function `transformer`. Return g.


# %% tags=["exercise", "nbval-check-output"]
def add_time(frames, positions, transformer):
    return ...  # your code


add_time = check.answer("add_time", add_time)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# There may be more positions than frames: take the first `frames.shape[1]` of them.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `frames` appears twice in the formula: inside the brackets with its position, and outside without.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def add_time(frames, positions, transformer):
#     return frames + transformer(frames + positions[: frames.shape[1]])
# ```
#
# </details>

# %%
from diffret_core.features import normalise_entries

temporal = model.temporal
# our small model scales all frames to one length first, the paper's takes them as they are
scaled = normalise_entries(frames[None]) if config.normalise_frames else frames[None]
by_hand = add_time(scaled, temporal.positions, temporal.transformer)
in_package = model.encode_videos(images[None], one_video).frames
assert torch.allclose(by_hand, in_package, atol=1e-4)
print("f", tuple(frames[None].shape), "-> g", tuple(by_hand.shape), " as in the package")


def change_backwards(positions):
    """By what share of its length each frame's vector changes when the video is played backwards."""
    played = add_time(scaled, positions, temporal.transformer)[0]
    turned = add_time(scaled.flip(1), positions, temporal.transformer)[0].flip(0)
    return (played - turned).norm(dim=1) / played.norm(dim=1)


nowhere = torch.zeros_like(temporal.positions)
predict.number(
    f"Played backwards, without positions: how many of the {len(frames)} frames keep their vector?",
    truth=int((change_backwards(nowhere) < 1e-3).sum()),
    low=0,
    high=len(frames),
)

# %%
for name, positions in (("without positions", nowhere), ("with positions   ", temporal.positions)):
    share = change_backwards(positions).mean()
    print(f"{name}: playing backwards changes a vector by {share:.1%} of its length, on average")

# %% [markdown]
# It is the positions that count. Without them, frames that change places only exchange their vectors; with them, the
# vectors themselves change.
#
# ## It starts as a reader of texts
#
# Training four new blocks from nothing takes many videos. But CLIP has blocks that are used to reading things in a row:
# those of its **text** tower. The temporal transformer starts as a copy of the first of them, with their positions.
# (In our small model the copied positions are also scaled to the length of the frames.)
#
# Both are trained on from there. How far apart are the shipped ones? A cosine of 1 would be an unchanged copy, 0
# unrelated weights. Both have moved, so it measures their distance, not one's journey.

# %%
from diffret_core.encoders import TemporalTransformer, initialise_from_clip

fresh = TemporalTransformer(config.dim, config.num_temporal_layers, config.num_frame_positions)
initialise_from_clip(fresh, clip)
pairs = zip(fresh.transformer.resblocks, clip.transformer.resblocks, strict=False)
same = [all(map(torch.equal, a.state_dict().values(), b.state_dict().values())) for a, b in pairs]
print("blocks equal to the text tower's:", same)
starts = clip.positional_embedding[: len(fresh.positions)]
print("positions equal:", torch.equal(fresh.positions, starts))


def weights_of(block):
    return torch.cat([value.flatten() for value in block.state_dict().values() if value.ndim == 2])


blocks = zip(temporal.transformer.resblocks, clip.transformer.resblocks, strict=False)
for number, (of_time, of_text) in enumerate(blocks):
    alike = torch.cosine_similarity(weights_of(of_time), weights_of(of_text), dim=0)
    print(f"shipped block {number}, for time and for text: cosine of the weights {alike:.2f}")

# %% [markdown]
# ## First ... then ...
#
# Does it work? The samples hold couples of test videos with the same words, where **only the order differs**. The
# program that drew the samples knows which.

# %%
from diffret_core.scenes.splits import SPLITS, split_scenes

scenes = split_scenes(SPLITS["test"])  # what each video shows, as data
couples = [(i - 1, i) for i, scene in enumerate(scenes) if scene.exchanged in ("motions", "turns")]
print(len(couples), "couples, for example:")
for place in couples[0]:
    print(f"  {samples.video_ids[place]}: {captions[place]}")

# %% [markdown]
# Now three kinds of features: each frame alone; with the temporal transformer; and, as a check, with the frames
# **shuffled** before it. Then it has all its weights, and no order to read. (They are shuffled once; another shuffle
# gives a somewhat different share.)

# %%
from diffret_core.galleries import read_videos


def encode_alone(places):
    """f of these videos, [V, F, D], and which of the frames are real."""
    paths = [samples.video_path(samples.video_ids[place]) for place in places]
    pixels, mask = read_videos(paths, config)
    inputs = normalise_frames(pixels.flatten(0, 1), config.image_mean, config.image_std)
    alone = encode_frames(clip, inputs.view(pixels.shape), mask)
    return (normalise_entries(alone) if config.normalise_frames else alone), mask


def reorder(videos, mask, order):
    """Put the real frames of every video into another order; `order` is given their number."""
    videos = videos.clone()
    for own_frames, real in zip(videos, mask, strict=True):
        own_frames[real] = own_frames[real][order(int(real.sum()))]
    return videos


def in_three_ways(alone, mask):
    rng = numpy_generator(0, "shuffled frames")
    return {
        "each frame alone": alone,
        "temporal transformer, frames shuffled": temporal(reorder(alone, mask, rng.permutation), mask),
        "temporal transformer": temporal(alone, mask),
    }


# %% [markdown]
# For a couple, sentences a, b and videos A, B, there are two ways to match. With S for the similarity, it is **told
# apart** if the right way has the higher sum:
#
# $$
# S_{aA} + S_{bB} > S_{aB} + S_{bA}
# $$
#
# A coin would be right half of the time.

# %%
shown = [place for couple in couples for place in couple]
alone, mask = encode_alone(shown)
couple_texts = encode_captions(model, [captions[place] for place in shown])


def couple_margins(frames_of_couples):
    s = model.similarity(couple_texts, VideoFeatures(frames_of_couples, mask))  # [T, V]
    a, b = torch.arange(0, len(shown), 2), torch.arange(1, len(shown), 2)
    return s, s[a, a] + s[b, b] - s[a, b] - s[b, a]


found = {name: couple_margins(one) for name, one in in_three_ways(alone, mask).items()}
margin = {name: margins for name, (_, margins) in found.items()}
others = torch.stack([margin["each frame alone"], margin["temporal transformer, frames shuffled"]])
told_apart = margin["temporal transformer"] > 0
only_right, only_wrong = (others <= 0).all(dim=0) & told_apart, (others > 0).all(dim=0) & ~told_apart
print(f"{int(only_right.sum())} couples where only the temporal transformer is right,")
print(f"{int(only_wrong.sum())} where only it is wrong. One of the first kind:")
best = int(margin["temporal transformer"].masked_fill(~only_right, -torch.inf).argmax())
for name, (s, _) in found.items():
    (aa, ab), (ba, bb) = s[2 * best : 2 * best + 2, 2 * best : 2 * best + 2].tolist()
    sums = f"right {aa:.3f} + {bb:.3f}, crossed {ab:.3f} + {ba:.3f}"
    print(f"{name:38} {sums}: margin {margin[name][best]:+.3f}")
show.strips(samples, [samples.video_ids[place] for place in couples[best]])

# %% [markdown]
# This couple was **chosen**: of those where only the temporal transformer is right, it has the largest margin. It shows
# what is possible, not what is usual. So take all couples. A coin would tell half of them apart; and the model?

# %%
from diffret_core.course.shares_figure import share_right

right = {name: one > 0 for name, one in margin.items()}
told = {name: share_right(one) for name, one in right.items()}
predict.number(
    f"What share of the {len(couples)} couples does the temporal transformer tell apart, in percent?",
    truth=round(told["temporal transformer"].percent),
    low=0,
    high=100,
)

# %%
from diffret_core.metrics import paired_bootstrap_interval

show.shares(f"First or then? Couples told apart, of {len(couples)}", told)

# as ranks: 1 if told apart, 2 if not; a bootstrap of R@1 is then one of shares
ranks = [2 - right[name].long() for name in ("temporal transformer", "each frame alone")]
low, high = paired_bootstrap_interval(*ranks, generator=numpy_generator(0, "gain"))
gain = told["temporal transformer"].percent - told["each frame alone"].percent
print(f"gained by the temporal transformer: {gain:+.0f} points, 95 % interval {low:+.0f} to {high:+.0f}")
print("a clear gain" if low > 0 else "not clear: the interval holds 0")
print()

motions = [{motion for actor in scenes[j].actors for motion in actor.motions} for _, j in couples]
resizes = torch.tensor([bool({"grow", "shrink"} & one) for one in motions])
for name, one in right.items():
    with_it, without = share_right(one[resizes]), share_right(one[~resizes])
    print(f"{name:38} where something grows or shrinks {with_it}, elsewhere {without}")

# %% [markdown]
# The lines are 95 % intervals (see notebook 03). Why can single frames be above 50? A motion leaves a trace: what first
# grows and then slides, slides *large*; the other way round it slides small. Those frames differ. Elsewhere there is
# next to no trace: does the interval hold 50?
#
# The next test leaves no trace at all: **the very same frames, played backwards**. Backwards, *grows* is *shrinks*, and
# *left* is *right*. So it asks for any sense of time, not only for first and then. Does a sentence prefer its own
# video?

# %%
ways = {"forwards": alone, "backwards": reorder(alone, mask, lambda n: np.arange(n)[::-1].copy())}
for name, how in (("each frame alone", lambda f, _: f), ("temporal transformer", temporal)):
    score = {
        way: model.similarity(couple_texts, VideoFeatures(how(videos, mask), mask)).diagonal()
        for way, videos in ways.items()
    }
    apart = score["forwards"] - score["backwards"]
    ties = float(100 * (apart.abs() <= 1e-5).float().mean())
    print(f"{name:20}  forwards wins in {share_right(apart > 1e-5)}; equal in {ties:.0f} %")

# %% [markdown]
# Alone, frames never see a difference. With the temporal transformer they do; how often they draw the right conclusion
# from it is the share above. Not always: this model is small, and has seen a few thousand videos.
#
# ## What it sees, and what it misses
#
# A simple probe. Change **one word** of a caption, so that it becomes false. Does the video still prefer the true one?


# %%
def around(words):
    """Each word becomes the one four places on."""
    words = list(words)
    return dict(zip(words, words[4:] + words[:4], strict=True))


def exchange(pairs):
    """Each word becomes its opposite."""
    pairs = [pair.split("/") for pair in pairs.split(", ")]
    return dict(pairs) | {b: a for a, b in pairs}


probes = {
    "colour": (around(COLOURS), "(?! background)"),
    "shape": (around(SHAPES), ""),
    "background": (around(BACKGROUNDS), "(?= background)"),
    "size": (exchange("large/small, big/little, huge/tiny"), ""),
    "grows or shrinks": (
        exchange("grows/shrinks, growing/shrinking, bigger/smaller, larger/smaller"),
        "",
    ),
    "direction": (exchange("left/right, upwards/downwards, up/down"), "(?! of| and)"),
    "left of / above": (exchange("left of/right of, above/below, over/under"), ""),
    "before or after": (exchange("before/after"), ""),
}


# %%
def change(caption, words, followed):
    """Change the first word that can be changed; None if there is none."""
    pattern = rf"(?<!up and )\b({'|'.join(words)})\b{followed}"
    changed = re.sub(pattern, lambda found: words[found[1]], caption, count=1)
    changed = re.sub(r"\ban?(?= [aeiou])", "an", changed)
    changed = re.sub(r"\ban?(?= [^aeiou])", "a", changed)
    return changed if changed != caption else None


def prefers_truth(places, false, videos):
    """Whether each video is more similar to its own caption than to the false one."""
    true, false = TextFeatures(*(part[places] for part in all_texts)), encode_captions(model, false)
    wins = []
    for rows in torch.arange(len(places)).split(32):  # a few at a time: only the diagonal counts
        some = VideoFeatures(*(part[rows] for part in videos))
        pair = [TextFeatures(*(part[rows] for part in texts)) for texts in (true, false)]
        own, other = (model.similarity(texts, some).diagonal() for texts in pair)
        wins.append(own > other)
    return torch.cat(wins)


# %%
seen = {}
for name, probe in probes.items():
    changed = {i: new for i, one in enumerate(captions) if (new := change(one, *probe)) is not None}
    places = list(changed)[:300]  # enough for an interval of a few points
    videos = VideoFeatures(*(part[places] for part in samples.videos))
    seen[name] = share_right(prefers_truth(places, [changed[i] for i in places], videos))
    print(f"{name:17} {len(places):3} captions, for example: {min(changed.values(), key=len)}")

# %% [markdown]
# Some false captions are odd ("shrinks and then becomes smaller"), but one word in each is wrong. For which kind of
# word does the model notice? Guess before you look.

# %%
order = sorted(seen, key=lambda name: seen[name].percent, reverse=True)
asked = {"colour", "size", "direction", "left of / above"}
predict.ranking(
    "For which kind of word is a false one noticed most often? Put the four in order, best first.",
    [name for name in order if name in asked],
)

# %%
show.shares("One word is changed: is the true caption preferred?", {name: seen[name] for name in order})

# %% [markdown]
# **What to see.** What a frame shows by itself is known best; what compares places or times, *left of*, *before*, is
# hardest. Where an interval holds 50, we could not show that the model knows this at all. It can use order and still
# not know the words *before* and *after*: here one such word is changed, in the couples the whole sentence is turned
# round.
#
# One row needs a second look. A growing shape and a shrinking one go through the same sizes, so a bag of frames cannot
# tell. Is that so? Take videos in which one shape does nothing but grow or shrink:

# %%
probe = probes["grows or shrinks"]
changed = {i: change(captions[i], *probe) for i, scene in enumerate(scenes) if scene.kind == "motion"}
changed = {i: new for i, new in changed.items() if new is not None}
growing, real = encode_alone(list(changed))
for name, frames_of_growing in in_three_ways(growing, real).items():
    videos = VideoFeatures(frames_of_growing, real)
    notices = prefers_truth(list(changed), list(changed.values()), videos)
    print(f"{name:38} {share_right(notices)} of {len(changed)}")

# %% [markdown]
# Compare the three rows: what the last has above the others, it owes to the order of frames, and to nothing else.
# (Where none of n fails, the bootstrap knows no doubt. As a rule of thumb, up to 3 in n may still go wrong.)
#
# ## What you can now say
#
# - An image tower turns a grid of patches or regions into one vector; a text tower turns tokens into one vector each,
#   and the end token's stands for the sentence.
# - Frames encoded one by one are a bag: sums and maxima cannot see the order of the *same* frames.
# - The temporal transformer adds places in time, $g = f + \dots$, and starts as a copy of CLIP's text blocks.
# - What a model "sees" can be measured: change one word, and count.
#
# ## Quiz

# %%
quiz.show("02")

# %% [markdown]
# **Next.** A video now is F vectors and a sentence W of them. [Notebook
# 03](03_similarity_and_metrics.ipynb) compares two such rows, and judges a ranking.
#
# The code behind this notebook: [both towers](../diffret_core/encoders/towers.py),
# [the temporal transformer](../diffret_core/encoders/temporal.py), [CLIP models](../diffret_core/encoders/clip.py),
# [features of files](../diffret_core/galleries.py).
