# %% [markdown]
# # 04 · How are the encoders trained?
#
# **Goal.** You build the contrastive loss by hand, train a small pair of encoders with it from random weights while
# you watch, and then read the log of the weights that come with the course.
#
# | | |
# |---|---|
# | you need | PyTorch: tensors, autograd, an optimiser; notebooks 02 and 03 help |
# | time | 35 minutes with the exercises; Run All takes one to two minutes, most of it the training |
# | hardware | any computer; no GPU, no network |
# | in the paper | stage 1, *discrimination*: the feature extractor that everything later builds on |
#
# Just opened? Choose **Run → Run All Cells** first. Letters such as B and D are in the [table of
# symbols](glossary.md).

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

import math

import torch
from IPython.display import HTML
from torch.nn import functional

from diffret_core.course import check, predict, quiz, setup, show

samples = setup.open_samples()
collection, model = samples.collection, samples.model

# %% [markdown]
# ## What is there to learn from?
#
# Nobody can say which numbers a video *should* become. All we have are pairs: this text belongs to this video. So we
# play a game. Take B pairs, mix them, and ask for every text: **which of these B videos is yours?** And for every
# video: which of these B texts?
#
# The network that plays well has put what belongs together close, and the rest apart. No other label is needed.

# %%
predict.number(
    "There are B = 64 pairs, and a model finds all texts and videos equally similar. "
    "What is minus the natural logarithm of the probability that it gives to the right answer?",
    truth=round(functional.cross_entropy(torch.zeros(64, 64), torch.arange(64)).item(), 2),
    low=0,
    high=8,
    step=0.05,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# Each of the 64 gets the probability 1/64, and -ln(1/64) = ln 64 = 4.16. This is what knowing nothing costs.
#
# </details>
#
# ## Three pairs, by hand
#
# The model has compared 3 texts (rows) with 3 videos (columns). Text 1 belongs to video 1, and so on: **what belongs
# together stands on the diagonal.** The second text is in trouble: it finds video 1 more similar than its own.
#
# A row is a question, its softmax an answer, and the price is −ln of the probability on the diagonal. Differences of
# 0.1 hardly move a softmax, so all similarities are multiplied first, here by 10.

# %%
S = torch.tensor([[0.5, 0.3, 0.1], [0.4, 0.2, 0.1], [0.0, 0.1, 0.6]])  # [B texts, B videos]
logit_scale = 10.0

of_texts = torch.softmax(logit_scale * S, dim=1)  # texts ask: each row sums to 1
of_videos = torch.softmax(logit_scale * S, dim=0)  # videos ask: each column sums to 1
print("text 1 gives the three videos", of_texts[0].numpy().round(3))
print("text 1 pays -ln of its own:  ", f"{-of_texts[0, 0].log():.2f}")
print("all texts pay ", (-of_texts.diagonal().log()).numpy().round(2))
print("all videos pay", (-of_videos.diagonal().log()).numpy().round(2))

# %% [markdown]
# Text 2 pays most. Video 2 pays as well, for another reason: text 1 likes it more than its own text does.
#
# ## The loss
#
# $$ L_{texts} = -\frac{1}{B} \sum_i \ln \frac{\exp(S_{ii} / \tau)}{\sum_j \exp(S_{ij} / \tau)} $$
#
# $$ L_{videos} = -\frac{1}{B} \sum_i \ln \frac{\exp(S_{ii} / \tau)}{\sum_j \exp(S_{ji} / \tau)} $$
#
# $$ L = \frac{1}{2} (L_{texts} + L_{videos}) $$
#
# The factor $1/\tau$ is called [`logit_scale`](glossary.md); τ is the *temperature*. This is the loss of CLIP
# (Radford et al. 2021), and that of DiffusionRet's stage 1. A larger batch asks a harder question: more wrong
# candidates, some of them alike by chance.
#
# ### Exercise 1: the symmetric loss
#
# *easy · 5 minutes*
#
# `similarity` is `[B, B]`, `logit_scale` a number. Return the loss, one number. For the three pairs above it must be
# 0.68: the mean of what texts and what videos pay. Until you answer, the notebook uses our answer.


# %% tags=["exercise", "nbval-check-output"]
def symmetric_loss(similarity, logit_scale):
    return ...  # your code


symmetric_loss = check.answer("symmetric_loss", symmetric_loss)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# The cell above has both softmaxes. What is left: the logarithm, the mean of each diagonal, and the mean of the two.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `torch.log_softmax(logits, dim=1).diagonal().mean()` is minus the texts' half. `functional.cross_entropy(logits,
# target)` does the same with `target = torch.arange(B)`; for the videos, give it `logits.T`.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def symmetric_loss(similarity, logit_scale):
#     logits = logit_scale * similarity
#     texts_pay = -torch.log_softmax(logits, dim=1).diagonal().mean()
#     videos_pay = -torch.log_softmax(logits, dim=0).diagonal().mean()
#     return (texts_pay + videos_pay) / 2
# ```
#
# </details>
#
# In the package it is [`contrastive_loss`](../diffret_core/losses.py). Ours must give the same, for small batches and
# large ones.

# %% tags=["nbval-check-output"]
from diffret_core.losses import contrastive_loss

draw = torch.Generator().manual_seed(0)
for size in (3, 64, 128):
    similarity = torch.rand(size, size, generator=draw)
    for scale in (1.0, 14.3, 100.0):
        in_package = contrastive_loss(similarity, torch.tensor(scale))
        assert torch.allclose(symmetric_loss(similarity, scale), in_package)
equal = contrastive_loss(torch.zeros(64, 64), torch.tensor(10.0))
assert abs(equal - math.log(64)) < 1e-5
print("the same in 9 cases; and 64 equal candidates cost ln 64")

# %% [markdown]
# ## What does it push?
#
# Training follows the gradient. How does the loss change when one similarity grows a little? Autograd tells.

# %%
moved = S.clone().requires_grad_()
symmetric_loss(moved, logit_scale).backward()
print(moved.grad.numpy().round(2))

# %% [markdown]
# Minus on the diagonal: the loss falls when these similarities grow, so they are pulled up. Plus elsewhere: pushed
# down. The largest plus is at text 2 with video 1, the mistake that we saw; the next at text 1 with video 2, which is
# video 2's mistake. **Where both sides are already right there is hardly any push**: the last number on the diagonal.
#
# ### Exercise 2: the push
#
# *medium · 8 minutes*
#
# Write this gradient as a formula, without autograd. One direction, one query, logits z, right answer i: it pays −ln
# softmax(z)ᵢ = −zᵢ + ln Σⱼ exp zⱼ. Its derivative by zⱼ has two parts: −1 where j = i, and exp zⱼ / Σ exp z, which is
# the probability of j. In words: *probability minus right answer*.


# %% tags=["exercise", "nbval-check-output"]
def push(similarity, logit_scale):
    return ...  # your code: [B, B]


push = check.answer("push", push)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# The right answer of every row is the identity matrix, `torch.eye(B)`. So is that of every column.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Add both directions. Then mind three factors: the mean over B pairs, the half, and `logit_scale` from the chain
# rule.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def push(similarity, logit_scale):
#     logits, right = logit_scale * similarity, torch.eye(len(similarity))
#     texts_ask = logits.softmax(dim=1) - right
#     videos_ask = logits.softmax(dim=0) - right
#     return logit_scale / (2 * len(similarity)) * (texts_ask + videos_ask)
# ```
#
# </details>

# %%
assert torch.allclose(push(S, logit_scale), moved.grad, atol=1e-6)
print("as autograd has it; the sum of all pushes is", round(abs(push(S, logit_scale).sum().item()), 4))

# %% [markdown]
# The sum is 0: what is pulled up in one place is pushed down in others. The loss only knows *more similar than*,
# never *similar*.
#
# ## The temperature
#
# Now real similarities: a test sentence and six videos, among them its own, compared by the model of the course. Move
# the slider.

# %%
from diffret_core.course.temperature_figure import shares_of_push, temperature_figure

pairs = collection.pairs("test")
captions = [caption for caption, _ in pairs]
with torch.no_grad():
    texts = model.encode_texts(captions)
    test_S = model.similarity(texts, samples.videos)  # [1000 texts, 1000 videos]
ahead = test_S.diagonal() - test_S.masked_fill(torch.eye(1000).bool(), -1).amax(dim=1)
asked = int((ahead - 0.02).abs().argmin())  # a sentence whose own video is just ahead of all others
others = [video for video in test_S[asked].argsort(descending=True).tolist() if video != asked]
row = test_S[asked, [asked, *(others[place] for place in (0, 4, 19, 49, 199))]]
names = ["own", "1st", "5th", "20th", "50th", "200th"]
scales = (1, 2, 5, 10, 14.3, 20, 30, 50, 75, 100)
show.figure(
    temperature_figure(row, 0, scales, names),
    f"“{captions[asked]}”. Green: its own video. Orange: the most similar of all others. "
    "Then the 5th most similar, the 20th and so on.",
)

# %% [markdown]
# **What to see.** Of these five wrong ones every one gets its share of the push at 1; at 100 nearly all of it falls
# on the nearest. The scale decides *whom the loss listens to*. Among all 999 wrong videos:

# %%
in_order = [asked, *others]
for scale in (1, 5, 20, 40, 100):
    share = shares_of_push(test_S[asked, in_order], 0, scale)
    loss = contrastive_loss(test_S[:64, :64], torch.tensor(float(scale)))
    print(
        f"logit_scale {scale:3}: the nearest gets {share[1]:5.1%} of the push, the five nearest "
        f"{share[1:6].sum():4.0%}; loss of 64 pairs {loss:.2f}"
    )
print(f"the model of the course ended its training at {model.logit_scale:.1f}")

# %% [markdown]
# Which scale is right? Too small a one and too large a one both cost more. Nobody needs to know the best: it is
# **learned** with the weights. To stay positive it is the exponential of a free number, which starts at ln(1/0.07), a
# scale of 14.3. It is cut off at 100; CLIP's authors found training unstable without that. In the package:
# [`Retriever.logit_scale`](../diffret_core/retriever.py).
#
# ## Duplicates
#
# Most data sets have several captions per video: 20 in MSR-VTT, 5 in our samples. What if a batch draws two of one
# video? Suppose a *perfect* model: similarity 1 for all that is true, 0 for the rest. Pairs 1 and 2 are the same
# video.

# %%
perfect = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
predict.number(
    "What loss does the perfect model get for these 3 pairs, at logit_scale 100?",
    truth=round(symmetric_loss(perfect, 100.0).item(), 2),
    low=0,
    high=2,
    step=0.02,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# Pairs 1 and 2 share the probability: one half each, which costs ln 2 = 0.69. Pair 3 pays 0. The mean of the three is
# 0.46.
#
# </details>
#
# And where does it push?

# %%
print(push(perfect, 100.0).numpy().round(1) + 0.0)

# %% [markdown]
# The perfect model is not left in peace: text 1 is pushed away from video 2, **which it describes**. The released
# code does just that. Our default leaves such entries out of the sum below the fraction, in both directions. For that
# we must know which they are.
#
# ### Exercise 3: which entries are not negatives
#
# *easy · 5 minutes*
#
# `videos` and `captions` are lists with the B pairs of a batch. Return a `[B, B]` boolean tensor: True where text i
# and video j belong together **though they are not the same pair**, because the videos are the same, or the captions
# are.


# %% tags=["exercise", "nbval-check-output"]
def no_negative(videos, captions):
    return ...  # your code


no_negative = check.answer("no_negative", no_negative)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# Compare each with each: a list of lists, `[[videos[i] == videos[j] for j in places] for i in places]`, makes a
# matrix.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Join both reasons with `or`. On the diagonal stands the right answer itself: it must stay in, so it is False.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def no_negative(videos, captions):
#     places = range(len(videos))
#     same = [[videos[i] == videos[j] or captions[i] == captions[j] for j in places] for i in places]
#     return torch.tensor(same).fill_diagonal_(False)
# ```
#
# </details>

# %% tags=["nbval-check-output"]
from diffret_core.encoders import tokenize
from diffret_core.training.pairs import belong_together, pairs_of_step

train_pairs = collection.pairs("train")
own = torch.eye(64, dtype=torch.bool)
for start in range(0, 640, 64):
    some_captions, some_videos = map(list, zip(*train_pairs[start : start + 64], strict=True))
    numbers = torch.tensor([some_videos.index(video) for video in some_videos])
    in_package = belong_together(tokenize(some_captions, 32)[0], numbers) & ~own
    assert torch.equal(no_negative(some_videos, some_captions), in_package)
print("10 batches: as in the package")
together = no_negative(["v1", "v1", "v2"], ["a", "b", "c"])
masked = contrastive_loss(perfect, torch.tensor(100.0), same_video=together)
assert masked < 1e-5
print("the perfect model now pays nothing")

# %% [markdown]
# How often does it happen? Count a few hundred random batches.

# %%
video_number = {video: number for number, video in enumerate(collection.video_ids("train"))}
video_of_text = torch.tensor([video_number[video] for _, video in train_pairs])
for size in (16, 64, 128, 256):
    batches = [pairs_of_step(step, len(video_of_text), size, seed=0) for step in range(300)]
    hit = sum(len(video_of_text[batch].unique()) < size for batch in batches)
    print(f"batches of {size:3} with a video twice: {hit / 300:4.0%}")
small = [video_of_text[pairs_of_step(step, 4000, 64, seed=0)] for step in range(300)]
hit = sum(len(videos.unique()) < 64 for videos in small)
print(f"batches of  64 from 800 videos, as in the training below: {hit / 300:4.0%}")

# %% [markdown]
# Few pairs are hit, but most large batches; in a small collection most batches are. And one kind of duplicate no mask
# can see: a caption that happens to be true of another video too. Nobody has marked those.
#
# ## A training, live
#
# Now for real. The training videos are not in git, but they are drawings, so we draw some moments of them. We **train
# on training videos and judge on validation videos**, which the network never learns from.

# %% tags=["nbval-check-output"]
from diffret_core.course import stills
from diffret_core.course.thumbnails import frame_uri

trained_on = stills.draw_stills("train", 800, num_stills=4, side=32)
print("training  ", tuple(trained_on.shape), " [videos, moments, colours, height, width]")

# %%
held = stills.draw_stills("validation", 200, num_stills=2, side=32)
# the first caption of each video is kept: reversed, it is written last
held_captions = dict(reversed([(video, caption) for caption, video in collection.pairs("validation")]))
held_captions = [held_captions[video] for video in collection.video_ids("validation")[:200]]
train_captions = [caption for caption, video in train_pairs if video_number[video] < 800]
print("validation", tuple(held.shape))
print("captions  ", len(train_captions), "and", len(held_captions))
HTML(stills.stills_html(trained_on[:4], [train_captions[5 * video] for video in range(4)]))

# %% [markdown]
# 32 × 32 pixels, and the network will look at **one moment at a time**. So it may learn colours, shapes and places,
# but hardly motion. That is the price of a minute.
#
# The network is a CLIP like the one of notebook 02, made small. You need not know its settings: a small ResNet for
# pictures, a text transformer of two layers, vectors of 64 numbers.

# %%
from diffret_core import encoders
from diffret_core.frames import normalise_frames

architecture = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16},  # a small ResNet
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
}
torch.manual_seed(0)
clip = encoders.build_clip(architecture)
start = {name: value.clone() for name, value in clip.state_dict().items()}  # the cells below begin here
half = (0.5, 0.5, 0.5)
train_images = normalise_frames(trained_on.flatten(0, 1), half, half).unflatten(0, trained_on.shape[:2])
held_images = normalise_frames(held.flatten(0, 1), half, half).unflatten(0, held.shape[:2])
train_words, held_words = tokenize(train_captions, 32), tokenize(held_captions, 32)
of_pictures = sum(weights.numel() for weights in clip.visual.parameters())
of_texts = sum(weights.numel() for weights in clip.parameters()) - of_pictures
print(f"{of_pictures:,} weights for pictures, {of_texts:,} for texts (most of them the token table), all random")

# %% [markdown]
# A batch is 64 captions, each with one random moment of its video. Their vectors are scaled to length 1, so that a
# product is a cosine: the matrix S. Then comes the loss that you wrote, with your mask.


# %%
from diffret_core.randomness import generator
from diffret_core.training.pairs import trim

BATCH = 64


def encode(word_ids, word_mask, images):
    sentence = encoders.encode_words(clip, *trim(word_ids, word_mask))[1]  # [B, 64]
    picture = clip.encode_image(images)  # [B, 64]
    return functional.normalize(sentence, dim=-1), functional.normalize(picture, dim=-1)


def loss_of(chosen, draw):
    moment = torch.randint(4, (len(chosen),), generator=draw)
    videos = video_of_text[chosen]
    sentence, picture = encode(*(part[chosen] for part in train_words), train_images[videos, moment])
    together = no_negative(videos.tolist(), [train_captions[text] for text in chosen.tolist()])
    scale = clip.logit_scale.exp().clamp(max=100)
    return contrastive_loss(sentence @ picture.T, scale, same_video=together)


def loss_of_step(step):
    chosen = pairs_of_step(step, len(train_captions), BATCH, seed=0)
    return loss_of(chosen, generator(0, "moments", step))


# %% [markdown]
# To judge, all 200 validation captions are compared with all 200 videos. A video is the mean of its two moments.


# %%
from diffret_core.metrics import bootstrap_interval, retrieval_metrics, target_ranks
from diffret_core.randomness import numpy_generator


@torch.no_grad()
def judge(words, images):
    clip.eval()  # batch normalisation as averaged in training: no video depends on the others
    sentence, picture = encode(*words, images.flatten(0, 1))
    clip.train()
    video = functional.normalize(picture.unflatten(0, images.shape[:2]).mean(dim=1), dim=-1)
    return sentence @ video.T


def first_places(S):
    ranks = target_ranks(S, torch.arange(len(S)))
    return retrieval_metrics(ranks)["R@1"], bootstrap_interval(ranks, numpy_generator(0, "bootstrap"))


at_first, _ = first_places(judge(held_words, held_images))
print(f"R@1 with random weights: {at_first:.1f} %; by chance it would be {100 / len(held):.1f} %")

# %% [markdown]
# One step by hand: compute the loss, follow its gradient back to all weights, move them a little.

# %%
_ = clip.load_state_dict(start)
by_hand = torch.optim.SGD(clip.parameters(), lr=0.03)
by_hand.zero_grad()
loss_before = loss_of_step(0)
loss_before.backward()
torch.nn.utils.clip_grad_norm_(clip.parameters(), 1.0)  # a long gradient is cut to length 1
by_hand.step()
print(f"the same batch: {loss_before.item():.2f} before the step, {loss_of_step(0).item():.2f} after it")

# %% [markdown]
# It began above ln 64 = 4.16: random weights are not undecided, they are wrong with confidence.
#
# `Trainer` in the package repeats this with AdamW, a learning rate that rises and falls, and a limit on the gradient:
# [trainer.py](../diffret_core/training/trainer.py). It is the one that trained the weights of the course. **Run the
# next cell and watch** ten validation pairs: texts are rows, videos columns. (About a minute on two cores; a slow
# machine may need several.)

# %%
from diffret_core.course import sharpening
from diffret_core.scenes.vocabulary import COLOURS
from diffret_core.scenes.word_counts import distractor_pairs
from diffret_core.training.trainer import ParameterGroup, Trainer

couples = distractor_pairs(held_captions)  # captions with the very same words
then_couples = [both for both in couples if " then " in held_captions[both[0]] + held_captions[both[1]]]
alone = set(range(200)) - {video for both in couples for video in both}
short = [video for video in sorted(alone) if len(held_captions[video]) <= 42][:8]
first_colour = {video: next(word for word in held_captions[video].split() if word in COLOURS) for video in short}
shown = [*sorted(short, key=first_colour.get), *then_couples[0]]
for text in shown:
    print(held_captions[text])


# %% tags=["long"]
def look(step, loss):
    S = judge(held_words, held_images)
    return sharpening.Snapshot(step, loss, first_places(S)[0], S[shown][:, shown])


_ = clip.load_state_dict(start)  # back to the beginning
weights = ParameterGroup(dict(clip.named_parameters()), learning_rate=1e-3, weight_decay=0.05)
trainer = Trainer([weights], loss_of_step, num_steps=320, warmup_fraction=0.1, max_gradient_norm=1.0)
losses, snapshots, update = [], [look(0, loss_before.item())], sharpening.watch()
for done in trainer.steps():
    losses.append(done.loss)
    if done.step % 10 == 0:
        snapshots.append(look(done.step, sum(losses[-10:]) / 10))
        update(snapshots[-1])

# %% [markdown]
# ## What happened?
#
# Before you look: how many of the 200 validation captions put their own video first, as the training went on?

# %%
places = (0, 40, 80, 160, 240, 320)
recall_at = {snapshot.step: snapshot.recall for snapshot in snapshots}
predict.curve(
    "R@1 in percent on validation, after 0 to 320 steps",
    places,
    [round(recall_at[step], 1) for step in places],
    low=0,
    high=100,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# It starts near chance, 1 in 200. Colours come first and help much; then every point costs more steps, and the
# learning rate falls to 0 at the end.
#
# </details>

# %%
show.figure(
    sharpening.sharpening_figure(
        snapshots,
        [held_captions[text] for text in shown],
        [frame_uri(held[video, 0], lossless=True) for video in shown],
    ),
    "Darker is more similar; 0 and below is white. Right: the mean loss of the last ten batches, "
    "and R@1 among all 200 validation videos.",
)

# %% [markdown]
# **What to see.** Pull the slider to the left, to random weights, and go on from there. At first a text finds all
# videos alike. Then blocks separate, by colour; later single cells stand out, most of them on the diagonal. The last
# two texts have the same words. Do their four cells ever differ much?
#
# <details>
# <summary>Do they?</summary>
#
# Hardly. Both videos show the same things at the same places, only at other times. A single moment does not tell.
#
# </details>

# %%
final_S = judge(held_words, held_images)
recall, (low, high) = first_places(final_S)
print(f"R@1 among 200 videos: {recall:.1f} % (95 % interval {low:.1f} to {high:.1f}; chance 0.5)")
print(f"logit_scale, learned as well: from {start['logit_scale'].exp():.1f} to {clip.logit_scale.exp():.1f}")
first, second = torch.tensor(couples + [(b, a) for a, b in couples]).T  # caption, video of its double
is_first = final_S[first, first] > final_S[first, second]
place = 2 - is_first.long()  # 1: its own video is before the other one
low, high = bootstrap_interval(place, numpy_generator(0, "bootstrap"))
print(
    f"{len(place)} captions with a double, one of the same words: own video before the double's in "
    f"{100 * is_first.float().mean():.0f} %\n(interval {low:.0f} to {high:.0f}; a coin 50)"
)

# %% [markdown]
# From random weights to this, in a minute, with pairs as the only teacher. But doubles are told apart little better
# than by a coin, if at all. Some differ in order (*goes left, then …*), which no single moment shows. Others differ
# in what belongs to what (*a pink star, a red triangle*): that can be seen, but colours and shapes alone win most
# comparisons, and the network has not learned more.
#
# ## Batches that are hard
#
# Most random negatives are easy by now: a red star against a blue ring. What still teaches are captions that are
# *alike*. Those can be looked for: near to a caption are those whose sentence vectors have a large cosine with its
# own.
#
# ### Exercise 4: the nearest captions of other videos
#
# *medium · 6 minutes*
#
# `sentences` is `[T, D]`, not normalised; `video_of_text` is `[T]`. For each caption, return the numbers of the
# `num_alike` captions **of other videos** with the largest cosine, nearest first.


# %% tags=["exercise", "nbval-check-output"]
def nearest_of_others(sentences, video_of_text, num_alike):
    return ...  # your code: [T, num_alike]


nearest_of_others = check.answer("nearest_of_others", nearest_of_others)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# Scale each sentence to length 1 (`torch.nn.functional.normalize`); then `unit @ unit.T` holds all cosines.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `video_of_text[:, None] == video_of_text` is True for captions of one video, the caption itself among them. Fill
# these places with minus infinity, then `.topk(num_alike, dim=1).indices`.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def nearest_of_others(sentences, video_of_text, num_alike):
#     unit = torch.nn.functional.normalize(sentences, dim=-1)
#     own = video_of_text[:, None] == video_of_text
#     return (unit @ unit.T).masked_fill(own, -torch.inf).topk(num_alike, dim=1).indices
# ```
#
# </details>

# %%
from diffret_core.training.alike import alike_captions, grouped_pairs_of_step
from diffret_core.training.pairs import TrainingPairs

some = 1000
words = [part[:some] for part in train_words]
few = TrainingPairs(trained_on, torch.ones(800, 4).bool(), *words, video_of_text[:some])
with torch.no_grad():
    sentences = model.encode_tokens(few.word_ids, few.word_mask).sentence
mine, in_package = nearest_of_others(sentences, few.video_of_text, 8), alike_captions(model, few, 8)
unit = functional.normalize(sentences, dim=-1)
cosines = [(unit[:, None] * unit[chosen]).sum(dim=-1) for chosen in (torch.as_tensor(mine), in_package)]
assert torch.allclose(*cosines, atol=1e-5)  # compared by cosine: equal ones may come in any order
print("1,000 captions: as near as those that the package finds\n")

with torch.no_grad():
    own_sentences = encoders.encode_words(clip, *train_words)[1]
alike = torch.as_tensor(nearest_of_others(own_sentences, video_of_text[: len(train_captions)], 32))
for text in (0, 10):
    print(f"{train_captions[text]}   (nearest to our network:)")
    for near in alike[text, :3].tolist():
        print(f"    {train_captions[near]}")

# %% [markdown]
# These are confusable indeed. Now batches in groups of eight: a caption and seven drawn from its 32 nearest. The
# network is the same, nothing is trained; only the company differs.


# %%
@torch.no_grad()
def mean_loss(choose):
    return sum(loss_of(choose(step), generator(1, "moments", step)).item() for step in range(10)) / 10


at_random = mean_loss(lambda step: pairs_of_step(step, len(alike), BATCH, seed=1))
in_groups = mean_loss(lambda step: grouped_pairs_of_step(step, alike, BATCH, 8, seed=1))
print(f"mean loss of batches at random {at_random:.2f}, in groups that are alike {in_groups:.2f}")

# %% [markdown]
# The same network pays more in hard company. Part of that it cannot save: motion and order are not in one moment. So
# the recipe of the course ends its pre-training with such batches, **with four frames of a video**. There R@1 on
# validation rose from 75.0 to 79.9 (sample collection, [one trial](../docs/results.md)). Whether they help *your*
# data, a validation split must say.
#
# ## The weights of the course
#
# They were trained with this same loss, for longer, on 4,000 training videos instead of 800 (the other 4,000 are kept
# for stage 2). Networks and batches are larger: 64 pixels, vectors of 128 numbers. And S changes from stage to stage:
#
# | | S of a text and a video |
# |---|---|
# | you, just now; pre-training 1 | cosine of sentence and **one** frame |
# | pre-training 2 and 3 | cosine of sentence and **mean** of frames, after the temporal transformer |
# | stage 1 | as in the paper: **token interaction** of words and frames (notebook 03); and the sentence's cosine |
#
# The paper needs no pre-training: it starts from CLIP, which has seen hundreds of millions of pairs.

# %%
from diffret_core.course.training_log import LossCurve, contrastive_curves, losses_figure
from diffret_core.locations import sample_checkpoint

curves = contrastive_curves(sample_checkpoint())
points = range(9, len(losses), 10)
own_loss = [sum(losses[point - 9 : point + 1]) / 10 / math.log(BATCH) for point in points]
yours = LossCurve("yours, just now", [BATCH * (point + 1) for point in points], own_loss)
show.figure(
    losses_figure(curves, yours),
    "Contrastive losses on training batches; 1 (dotted) is what equal similarities cost, ln B. "
    "The scale below is logarithmic. Stages differ in S and batches: compare heights within one, but where it is said.",
)
in_all = sum(curve.num_pairs[-1] for curve in curves)
print(f"pairs seen: you {yours.num_pairs[-1]:,}, the weights of the course {in_all:,}")

# %% [markdown]
# **What to see.** Random weights cost *more* than equal similarities: being wrong with confidence is worse than not
# knowing. Compare yours with pre-training 1, which does the same: per pair yours falls sooner. It takes a step every
# 64 pairs and not every 256, its learning rate has risen after 2,000 pairs and not 20,000, and it has fewer videos to
# learn. Pre-training 3 begins far above the end of 2: its batches come in groups that are alike.
#
# In the paper's recipe the loss meets a pretrained CLIP: batches of 128, 5 epochs, AdamW with weight decay 0.2, a
# warm-up over a tenth of the steps, gradients cut at norm 1. New layers learn at 1e-4, CLIP's own weights at a far
# smaller rate, so that what they know is not washed away. In the package:
# [contrastive.py](../diffret_core/training/contrastive.py).
#
# ## Held against each other
#
# The first 200 test pairs, for both. Your network meets the test split **only here**: no choice in its training was
# made by it. (Under *The temperature* we looked at test similarities of the finished model to show something, not to
# choose.)

# %%
from diffret_core.metrics import paired_bootstrap_interval

test_stills = stills.draw_stills("test", 200, num_stills=2, side=32)
test_images = normalise_frames(test_stills.flatten(0, 1), half, half).unflatten(0, test_stills.shape[:2])
target = torch.arange(200)
my_ranks = target_ranks(judge(tokenize(captions[:200], 32), test_images), target)
their_ranks = target_ranks(test_S[:200, :200], target)
for name, ranks in (("yours, single moments", my_ranks), ("the course's, all frames", their_ranks)):
    low, high = bootstrap_interval(ranks, numpy_generator(0, "bootstrap"))
    recall = retrieval_metrics(ranks)["R@1"]
    print(f"{name:25} R@1 {recall:.1f} % (95 % interval {low:.1f} to {high:.1f})")
low, high = paired_bootstrap_interval(their_ranks, my_ranks, numpy_generator(0, "paired bootstrap"))
print(f"difference, query by query: {low:.1f} to {high:.1f} points (95 % interval; sample collection)")

# %% [markdown]
# ## The discriminative baseline
#
# These are the numbers of stage 1 alone, for all 1,000 test videos of the **sample collection**. Everything that the
# generator does in notebooks 05 to 09 must be measured against them.

# %%
target = torch.arange(1000)
for direction, rows in (("text to video", test_S), ("video to text", test_S.T)):
    ranks = target_ranks(rows, target)
    found = retrieval_metrics(ranks)
    low, high = bootstrap_interval(ranks, numpy_generator(0, "bootstrap"))
    print(
        f"{direction}: R@1 {found['R@1']:.1f} ({low:.1f} to {high:.1f})  R@5 {found['R@5']:.1f}  "
        f"R@10 {found['R@10']:.1f}  median {found['median_rank']:g}  mean {found['mean_rank']:.2f}"
    )
    among = 100 * (ranks <= 32).float().mean()
    print(f"               {among:.1f} % of the targets are among the best 32")

# %% [markdown]
# The last number is a **ceiling**. Stage 2 re-ranks the best 32 and cannot bring back what is not among them. Here
# that limits little or nothing; with a harder collection it does.
#
# For scale, on **MSR-VTT** (a benchmark, 1,000 test pairs, CLIP ViT-B/32, text to video; published figures that this
# project has not reproduced): CLIP as released, not trained on MSR-VTT, has R@1 31.1; stage 1 alone 46.6 in another
# group's paper; DiffusionRet 49.0. An independent run of the released code got 46.8 after stage 1 and 47.3 after
# stage 2. Most of the gain over CLIP comes before any generator.
#
# ## What you can now say
#
# - The contrastive loss asks every text for its video and every video for its text, among the B of a batch.
# - Its gradient is probability minus right answer: mistakes are pushed, what is right is left alone.
# - `logit_scale` decides how much the push falls on the hardest negatives; it is learned.
# - Duplicates turn truth into a negative; a mask mends those that are known.
# - Encoders learn only what is visible in the input and needed to tell the batch apart.
#
# ## Quiz

# %%
quiz.show("04")

# %% [markdown]
# **Next.** Similarity gives every candidate a score of its own. [Notebook 05](05_retrieval_as_generation.ipynb) asks
# why one would *generate* a distribution over the candidates instead. The code of this notebook:
# [losses.py](../diffret_core/losses.py), [contrastive.py](../diffret_core/training/contrastive.py),
# [pretraining.py](../diffret_core/training/pretraining.py), [alike.py](../diffret_core/training/alike.py).
