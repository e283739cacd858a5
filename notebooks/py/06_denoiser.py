# %% [markdown]
# # 06 · What network undoes the noise?
#
# **Goal.** You build the denoiser from its two attentions, first with three candidates and numbers that fit on a
# napkin, then for our query with the trained weights. Then you measure how much it listens to the noise.
#
# | | |
# |---|---|
# | you need | PyTorch: softmax, `nn.Linear`; noise levels and $x_k$ (notebook 05) |
# | time | 45 minutes with the exercises; Run All takes well under a minute |
# | hardware | any computer; no GPU, no network |
# | in the paper | stage 2, *generation*: text-frame attention, query-candidate attention |
#
# Just opened? Choose **Run → Run All Cells** first. Letters such as $x_k$, N, F and D are in the [table of
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

import torch
from torch.nn.functional import cosine_similarity, one_hot

from diffret_core.candidates import top_candidates
from diffret_core.course import check, predict, quiz, setup, show
from diffret_core.retriever import scale_for_denoiser

samples = setup.open_samples()
model, videos, config = samples.model, samples.videos, samples.model.config
_ = torch.set_grad_enabled(False)  # nothing is trained until the section on order

# %% [markdown]
# ## What goes in, what comes out
#
# The right answer is $x_0$: 1 at the candidate that is meant, 0 elsewhere. Notebook 05 has noised it to $x_k$. The
# network gets four things and returns a guess of $x_0$:
#
# | | shape | what it is |
# |---|---|---|
# | $x_k$ | `[B, N]` | the noised state: a number for each candidate |
# | $k$ | `[B]` | how noisy it is, 1 to K |
# | query | `[B, 1, D]` | who asks |
# | candidates | `[B, N, D]` | among whom |
# | $\hat x_0$ | `[B, N]` | out: its guess, a number for each candidate |
#
# Our query again, with the 32 videos that the similarity proposes. First the network as a closed box: where does our
# video stand in the noised state that goes in, and where in the guess that comes out?

# %%
from diffret_core.schedule import add_noise

captions = [caption for caption, _ in samples.collection.pairs("test")]
texts = model.encode_texts(captions)
similarity = model.similarity(texts, videos)  # [T, V]
sentences = scale_for_denoiser(config, texts.sentence)
frames, frame_mask = scale_for_denoiser(config, videos.frames), videos.frame_mask

ours = 644
items = top_candidates(similarity[[ours]], config.scoring.num_candidates)[0]  # [N]
if ours not in items:  # a weaker model may miss our video: training puts it in, and so do we
    items[-1] = ours
place = items.tolist().index(ours)
print(f"our query: “{captions[ours]}”")
print(f"{len(items)} candidates; our video is number {place + 1} of them; the next best:")
for video in [video for video in items.tolist() if video != ours][:3]:
    print(f"    “{captions[video]}”")

x_0 = one_hot(torch.tensor([place]), len(items)).float()  # [1, N]
epsilon = torch.randn(1, len(items), generator=torch.Generator().manual_seed(0))
network = model.bind_denoiser("text_to_video", texts, videos, torch.tensor([ours]), items[None])
for k in (config.num_noise_levels, config.num_noise_levels // 2, 1):
    x_k = add_noise(x_0, torch.tensor([k]), epsilon, model.alpha_bar)
    ranks = [1 + int((x > x[:, [place]]).sum()) for x in (x_k, network(x_k, torch.tensor([k])))]
    print(f"level {k:2}: our video is number {ranks[0]:2} in x_k, number {ranks[1]} in the guess")

# %% [markdown]
# Compare the two places in each line. Where the second number is the smaller, the network has undone some noise. How?
# Now we open the box. (One query, one noise: what is true of many comes at the end.)
#
# (`scale_for_denoiser` gives all features one length, $\sqrt{D}$. Our model was trained from scratch, and its features
# are larger than CLIP's. The paper's denoiser reads them as they are.)
#
# ## First attention: a video as the sentence sees it
#
# A video has F frame vectors; a candidate must be **one**. A mean would forget which frame said what (notebook 03). So
# the sentence looks for the frames that speak of it:
#
# $$ a_f = \mathrm{softmax}_f \, \langle sentence, frame_f \rangle \qquad z = \sum_f a_f \, frame_f $$
#
# Smallest example, D = 2: the first number means *red*, the second *star*. Three frames.

# %% tags=["nbval-check-output"]
sentence = torch.tensor([2.0, 1.0])  # red matters, star a little
video = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # red; a star; a red star
product = video @ sentence  # [F]
weight = product.softmax(dim=0)  # [F]
z = weight @ video  # [D]
print("products", tuple(product.shape), product.tolist())
print("weights ", tuple(weight.shape), [round(one, 2) for one in weight.tolist()])
print("z       ", tuple(z.shape), [round(one, 2) for one in z.tolist()])

other = torch.tensor([0.0, 2.0])  # another sentence: only the star matters
weight = (video @ other).softmax(dim=0)
print("the same video for another sentence:")
print("weights ", tuple(weight.shape), [round(one, 2) for one in weight.tolist()])
print("z       ", tuple(z.shape), [round(one, 2) for one in (weight @ video).tolist()])

# %% [markdown]
# The first sentence looks most at the red star, the second at both stars alike. Other weights, another z. So $z$
# belongs to a *pair*: N candidates must be pooled anew for every query.
#
# ## What padding does without a mask
#
# Say only the first two of these frames are real, and 10 places of padding follow, all zeros. The sentence's product
# with padding is 0. So it should not count?

# %%
padded = torch.zeros(12, 2)
padded[:2] = video[:2]
real = torch.arange(12) < 2
without_mask = (padded @ sentence).softmax(dim=0)
predict.number(
    "The products are 2, 1 and ten times 0. How many percent of the weight falls on padding?",
    truth=round(100 * float(without_mask[~real].sum())),
    low=0,
    high=100,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# A softmax takes exp of each product, and exp(0) = 1. Ten of them are 10, beside exp(2) + exp(1) = 10.1. Zero is a
# score like any other; only minus infinity is none.
#
# </details>
#
# Three ways to treat it. The released model of the paper takes the second: softmax over all places, then times the
# mask, and not divided by what is left.

# %% tags=["nbval-check-output"]
ways = {
    "no mask": without_mask,
    "mask after the softmax": without_mask * real,
    "mask before the softmax": (padded @ sentence).masked_fill(~real, -torch.inf).softmax(dim=0),
}
for name, weight in ways.items():
    pooled = [round(one, 2) for one in (weight @ padded).tolist()]
    print(f"{name:24} weight on real frames {float(weight[real].sum()):.2f}   z {pooled}")

# %% [markdown]
# Here the first two give the same z, since padding is zero: **half as long** as it should be. That the video is short
# has nothing to do with the query, but it shrinks $z$ and with it all that follows. We mask before the softmax.
#
# ### Exercise 1: pool a video with a mask
#
# *medium · 6 minutes*
#
# `sentence` is `[D]`, `frames` is `[V, F, D]`, `frame_mask` is `[V, F]`, True where a frame is real. Return z of every
# video, `[V, D]`. Until you do, the notebook uses our answer.


# %% tags=["exercise", "nbval-check-output"]
def pool_video(sentence, frames, frame_mask):
    return ...  # your code


pool_video = check.answer("pool_video", pool_video)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `frames @ sentence` is `[V, F]`. `masked_fill(~frame_mask, -torch.inf)` sets padding to minus infinity.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Softmax over the frames, `dim=1`. For the weighted sum give the weights a last axis, `weight[..., None]`, multiply
# and sum over `dim=1`.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def pool_video(sentence, frames, frame_mask):
#     product = (frames @ sentence).masked_fill(~frame_mask, -torch.inf)
#     weight = product.softmax(dim=1)
#     return (weight[..., None] * frames).sum(dim=1)
# ```
#
# </details>
#
# In the package it is `pool_frames`. Held against it, for our query and its 32 videos:

# %% tags=["nbval-check-output"]
from diffret_core.denoiser import frame_weights, pool_frames

z = pool_video(sentences[ours], frames[items], frame_mask[items])
assert torch.allclose(z, pool_frames(sentences[ours], frames[items], frame_mask[items]), atol=1e-5)
print("candidates z", tuple(z.shape[:1]) + ("D",), "  the same as diffret_core, to 5 decimals")

# %% [markdown]
# How much weight does the released order lose here? In a real model padded places are not zero: the temporal
# transformer writes something into them too. And large products make a softmax sharp. Over all 1,000 test sentences
# with their own videos:

# %%
product = torch.einsum("vfd,vd->vf", frames, sentences)
weight = frame_weights(product, frame_mask)
kept = frame_weights(product, frame_mask, mode="reference").sum(dim=1)
short = ~frame_mask.all(dim=1)
print(f"products of real frames       standard deviation {product[frame_mask].std():.1f}")
print(f"weight of the heaviest frame  {weight.amax(dim=1).mean():.2f} on average")
lost = 1 - kept[short]
print(f"videos with padding           {len(lost)}; weight that they lose, masked afterwards:")
print(f"    more than 0.01 in {int((lost > 0.01).sum())} of them, {lost.max():.2f} at most")

# %% [markdown]
# So in this model the order hardly ever matters, and where it does, it can cost nearly all the weight: where padding
# happens to fit the sentence better than the frames do. (Sample collection, one model.) To match the released model
# number for number, `mode="reference"` keeps its order.
#
# ## Which frames does a sentence look at?
#
# Four sentences look at our video and at three other candidates of our query: all of our sentence, its first half, its
# second half, and one that speaks of nothing there.

# %%
from diffret_core.course.frame_weights_figure import frame_pictures, frame_weights_figure

halves = ["a yellow cross becomes smaller", "a large orange cross bounces up and down"]
told = [captions[ours], *halves, "a blue moon"]
looking = scale_for_denoiser(config, model.encode_texts(told).sentence)  # [S, D]
seen = [ours, *[video for video in items.tolist() if video != ours][:3]]
product = torch.einsum("sd,vfd->svf", looking, frames[seen])
weight = frame_weights(product, frame_mask[seen].expand(len(told), -1, -1))  # [S, V, F]
names = ["our video", *[f"candidate {items.tolist().index(video) + 1}" for video in seen[1:]]]
show.figure(
    frame_weights_figure(weight, told, frame_pictures(samples, seen), names),
    "Rows are videos, columns their frames from first to last. Below each frame its weight: the darker, the "
    "more; numbers below 0.02 are left out. The slider goes through four sentences. Sample collection.",
)

# %% [markdown]
# **What to see.** Move the slider and follow the first row: the weights move although the frames do not. And each row
# sums to 1, even for the blue moon: a softmax must look somewhere, also where there is nothing to see.
#
# How different is z then? A cosine of 1 would be: not at all.

# %%
pooled = torch.einsum("svf,vfd->svd", weight, frames[seen])  # [S, V, D]
print("z of our video under our sentence, compared with its z under")
for number in (1, 2, 3):
    print(f"    “{told[number]}”: cosine {cosine_similarity(pooled[0, 0], pooled[number, 0], dim=0):.3f}")
print("and with z of other videos under our sentence:")
for row in (1, 2, 3):
    print(f"    {names[row]}: cosine {cosine_similarity(pooled[0, 0], pooled[0, row], dim=0):.3f}")
own = frames[ours][frame_mask[ours]]
between = cosine_similarity(own[:, None], own[None], dim=-1)
print(f"frames of our video, each with each: cosine at least {between.min():.3f}, {between.mean():.3f} on average")

# %% [markdown]
# Compare the two lists: does z depend more on the sentence or on the video? The last line is the reason: a sentence
# chooses among frames that are alike to begin with.
#
# ## The noise level as a vector
#
# At level K the state is pure noise and should be ignored; at level 1 it is nearly the answer. So the network must be
# told $k$. One number would drown beside D features. Instead, D/2 pairs of sine and cosine turn at different speeds,
# like the hands of a clock:
#
# $$ PE[p, 2i] = \sin ( p / 10000^{2i/D} ) \qquad PE[p, 2i+1] = \cos ( p / 10000^{2i/D} ) $$
#
# Level $k$ sits at place $p = k - 1$ of this table.
#
# ### Exercise 2: the code of a level
#
# *medium · 6 minutes*
#
# `k` is a whole number from 1, `dim` is D, even. Return the D numbers of its code.


# %% tags=["exercise", "nbval-check-output"]
def level_code(k, dim):
    return ...  # your code


level_code = check.answer("level_code", level_code)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `torch.arange(0, dim, 2)` holds all 2i. The angles are `(k - 1) / 10000 ** (torch.arange(0, dim, 2) / dim)`.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `torch.stack([sines, cosines], dim=-1)` is `[D/2, 2]`; `.flatten()` makes them take turns.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def level_code(k, dim):
#     angle = (k - 1) / 10000 ** (torch.arange(0, dim, 2) / dim)
#     return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten()
# ```
#
# </details>

# %%
from diffret_core.course.level_code_figure import level_code_figure
from diffret_core.denoiser import sinusoidal_code

K, D = config.num_noise_levels, config.dim
table = torch.stack([torch.as_tensor(level_code(k, D)).float() for k in range(1, K + 1)])  # [K, D]
assert torch.allclose(table, sinusoidal_code(torch.arange(1, K + 1), D), atol=1e-5)
show.figure(
    level_code_figure(table),
    "A column is the code of one level, from noise (left) to data (right). Blue is 1, orange -1. "
    "Sines and cosines take turns, hence the stripes. Upper features turn fast, lower ones hardly move. "
    "A formula: no data in it.",
)

# %% [markdown]
# Two layers on top learn what a level *means* for this network:
#
# $$ c_k = W_2 \, \mathrm{SiLU} ( W_1 \, PE[k-1] + b_1 ) + b_2 $$
#
# By hand, with the trained weights:

# %%
network = model.text_query_denoiser
first, _, second = network.noise_level_code.layers
hidden = table @ first.weight.T + first.bias
c = (hidden * hidden.sigmoid()) @ second.weight.T + second.bias  # SiLU(x) = x sigmoid(x); [K, D]
assert torch.allclose(c, network.noise_level_code(torch.arange(1, K + 1)), atol=1e-5)
print("c_k as in diffret_core, to 5 decimals")
print(f"length of c_k {c.norm(dim=1).mean():.2f}, of our sentence {sentences[ours].norm():.2f}, ", end="")
print(f"of c_K - c_1 {(c[-1] - c[0]).norm():.2f}")

# %% [markdown]
# $c_k$ is added to query and candidates. Compare the lengths: that is how loudly the level speaks in this model.
#
# ## Second attention: the query looks at its candidates
#
# $$ q = W_q (query + c_k) \quad key_j = W_k (cand_j + c_k) \quad value_j = W_v (cand_j + c_k) $$
#
# $$ w = \mathrm{softmax}_j ( \langle q, key_j \rangle + x_k[j] ) $$
#
# A key is what a candidate is found by, a value what it hands over. All known from transformers, but for two things.
# Nothing is divided by $\sqrt{D}$. And **here the noised state comes in**: $x_k[j]$ is added to the logit of candidate
# j, and appears nowhere else.
#
# Three candidates, D = 2, all three matrices the identity.

# %% tags=["nbval-check-output"]
u = torch.tensor([2.0, 1.0])  # the text: red, and a bit of star
candidates = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # 1 red, 2 star, 3 red star
c_small = torch.tensor([0.5, 0.0])  # the code of some level
q, key, value = u + c_small, candidates + c_small, candidates + c_small
content = key @ q  # [N]
print("q      ", tuple(q.shape), q.tolist())
print("key    ", tuple(key.shape), key.tolist())
print("content", tuple(content.shape), content.tolist())

# %%
kinds = ["red", "star", "red star"]
x_small = torch.tensor([0.3, 1.5, -0.6])
order = (content + x_small).argsort(descending=True).tolist()
predict.ranking(
    "Noise comes in: x_k is 0.3 for red, 1.5 for the star, -0.6 for the red star. Who gets most weight?",
    [kinds[j] for j in order],
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# The logits are sums: 3.75 + 0.3, 2.25 + 1.5 and 4.75 - 0.6. A softmax keeps their order. The noise has brought the
# star nearer, but content had put it 2.5 behind the red star, and the two entries of $x_k$ differ by 2.1 only.
#
# </details>
#
# The weights, with this noise and without any:

# %% tags=["nbval-check-output"]
w = (content + x_small).softmax(dim=0)
print("logits          ", [round(one, 2) for one in (content + x_small).tolist()])
print("w with x_k      ", [round(one, 2) for one in w.tolist()])
print("w without x_k   ", [round(one, 2) for one in content.softmax(dim=0).tolist()])

# %%
predict.number(
    "The red star has w = 0.39. Now 5 is added to all three entries of x_k. What is its w?",
    truth=round(float((content + x_small + 5).softmax(dim=0)[2]), 2),
    low=0,
    high=1,
    step=0.01,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# A softmax does not feel what is added to all logits: the factor exp(5) stands above and below the fraction and
# cancels. Of $x_k$ only **differences** between candidates count.
#
# </details>
#
# ### Exercise 3: weights with the additive logit
#
# *medium · 6 minutes*
#
# Now for a batch. `q` is `[B, Q, D]`, `key` is `[B, N, D]`, `x_k` is `[B, N]`. Q is 1 (one query for all candidates)
# or N (one for each). Return w, `[B, N]`.


# %% tags=["exercise", "nbval-check-output"]
def candidate_weights(q, key, x_k):
    return ...  # your code


candidate_weights = check.answer("candidate_weights", candidate_weights)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `q * key` is `[B, N, D]` in both cases: an axis of length 1 is repeated by itself (broadcasting).
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Sum the products over the last axis, add `x_k`, softmax over the last axis.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def candidate_weights(q, key, x_k):
#     content = (q * key).sum(dim=-1)
#     return (content + x_k).softmax(dim=-1)
# ```
#
# </details>
#
# ## From weights to a guess
#
# The weighted values become one vector $o$, *what the query found*. A small network then reads it beside each
# candidate, and the weight itself is added:
#
# $$ o = W_o \sum_j w_j \, value_j + b_o $$
#
# $$ \hat x_0[j] = \mathrm{MLP} ( [o ; cand_j] ) + w_j $$
#
# By hand, with layers that we can read. $W_o$ changes nothing, and $b_o$ takes $c_k$ off again. The MLP has four hidden
# units: $o - cand_j$ and $cand_j - o$, each only where positive. It answers minus half their sum: *the nearer, the
# higher*.

# %% tags=["nbval-check-output"]
from torch import nn

small_output, small_decoder = nn.Linear(2, 2), nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
small_output.weight.copy_(torch.eye(2))
small_output.bias.copy_(-c_small)
first, _, last = small_decoder
first.weight.copy_(torch.tensor([[1, 0, -1, 0], [0, 1, 0, -1], [-1, 0, 1, 0], [0, -1, 0, 1]]))
last.weight.fill_(-0.5)
first.bias.zero_(), last.bias.zero_()

o = small_output(w @ value)  # [D]
joined = torch.cat([o.expand(3, 2), candidates], dim=1)  # [N, 2 D]
read = small_decoder(joined).squeeze(-1)  # [N]
print("o              ", tuple(o.shape), [round(one, 2) for one in o.tolist()])
print("[o ; candidate]", tuple(joined.shape))
print("MLP            ", tuple(read.shape), [round(one, 2) for one in read.tolist()])
print("+ w = x_0_hat  ", tuple(read.shape), [round(one, 2) for one in (read + w).tolist()])

# %% [markdown]
# In $x_k$ the red star stood last. In the guess it stands first: **content has spoken against the noise.** That is all
# that "denoising" means here.
#
# ### Exercise 4: assemble the guess
#
# *medium · 7 minutes*
#
# `w` is `[B, N]`, `value` and `candidates` are `[B, N, D]`. `output` and `decoder` are layers: `[.., D]` to `[.., D]`
# and `[.., 2 D]` to `[.., 1]`. Return x̂_0, `[B, N]`.


# %% tags=["exercise", "nbval-check-output"]
def estimate(w, value, candidates, output, decoder):
    return ...  # your code


estimate = check.answer("estimate", estimate)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `(w[..., None] * value).sum(dim=1)` is `[B, D]`. After `output`, every candidate of a row needs a copy of it:
# `o[:, None].expand_as(candidates)`.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Join with `torch.cat([..., candidates], dim=-1)`, `o` first. The decoder leaves a last axis of length 1:
# `.squeeze(-1)` before you add `w`.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def estimate(w, value, candidates, output, decoder):
#     o = output((w[..., None] * value).sum(dim=1))
#     joined = torch.cat([o[:, None].expand_as(candidates), candidates], dim=-1)
#     return decoder(joined).squeeze(-1) + w
# ```
#
# </details>
#
# ## The whole network, held against the package
#
# Your pieces in three lines. They must agree with [`Denoiser.forward`](../diffret_core/denoiser.py) of the trained
# model, for our query, random $x_k$ and several levels.


# %% tags=["nbval-check-output"]
def denoise(network, x_k, k, query, candidates):
    code = network.noise_level_code(k)[:, None]  # [B, 1, D]
    w = candidate_weights(network.query(query + code), network.key(candidates + code), x_k)
    return estimate(w, network.value(candidates + code), candidates, network.output, network.decoder)


draw = torch.Generator().manual_seed(6)
query, chosen_from = sentences[[ours]][:, None], z[None]  # [1, 1, D], [1, N, D]
for k in (1, 10, 25, 50):
    x_k, level = torch.randn(1, len(items), generator=draw), torch.tensor([k])
    mine = denoise(model.text_query_denoiser, x_k, level, query, chosen_from)
    assert torch.allclose(mine, model.text_query_denoiser(x_k, level, query, chosen_from), atol=1e-5)
print("x_0_hat", tuple(mine.shape), "  the same as diffret_core at levels 1, 10, 25 and 50, to 5 decimals")

# %% [markdown]
# ## One class for both directions
#
# Now a video asks, and texts are the candidates. Each candidate text pools the video's frames in its own way. So the
# **query** differs from candidate to candidate:
#
# | | query | candidates | weights |
# |---|---|---|---|
# | text asks | the sentence, `[B, 1, D]` | N videos, pooled by it, `[B, N, D]` | `text_query_denoiser` |
# | video asks | the video, pooled by N sentences, `[B, N, D]` | N sentences, `[B, N, D]` | `video_query_denoiser` |
#
# The network only multiplies `q * key` and does not care whether Q is 1 or N. One class, trained twice.


# %% tags=["nbval-check-output"]
def gather(direction, asking, items):
    """Query [B, Q, D] and candidates [B, N, D] of some queries [B] with items [B, N] to choose from."""
    if direction == "text_to_video":
        query = sentences[asking][:, None]
        return query, pool_frames(query, frames[items], frame_mask[items])
    chosen_from = sentences[items]
    return pool_frames(chosen_from, frames[asking][:, None], frame_mask[asking][:, None]), chosen_from


for direction, rows in {"text_to_video": similarity, "video_to_text": similarity.T}.items():
    asking = torch.tensor([ours])
    chosen = top_candidates(rows[asking], len(items))  # [1, N]
    query, chosen_from = gather(direction, asking, chosen)
    x_k, level = torch.randn(1, len(items), generator=draw), torch.tensor([25])
    mine = denoise(model.denoiser(direction), x_k, level, query, chosen_from)
    package = model.bind_denoiser(direction, texts, videos, asking, chosen)
    assert torch.allclose(mine, package(x_k, level), atol=1e-5)
    shapes = f"query [1, {query.shape[1]}, D]   candidates [1, {chosen_from.shape[1]}, D]"
    print(f"{direction}:  {shapes}   x_0_hat {list(mine.shape)}   as in diffret_core")

# %%
pooled = query[0]  # our video as each of the 32 sentences sees it, [N, D]
alike = cosine_similarity(pooled[:1], pooled, dim=1)
print(f"our video, pooled by 32 sentences: cosine with the first {alike[1:].min():.3f} to {alike[1:].max():.3f}")
both = [part.value.weight.flatten() for part in (model.text_query_denoiser, model.video_query_denoiser)]
print(f"two networks with weights of their own: cosine of their W_v {cosine_similarity(*both, dim=0):.2f}")

# %% [markdown]
# How large is it? At D = 512, the size of CLIP ViT-B:

# %% tags=["nbval-check-output"]
from diffret_core.denoiser import Denoiser

large = Denoiser(512)
total = sum(weights.numel() for weights in large.parameters())
for name, part in large.named_children():
    print(f"{name:17}{sum(weights.numel() for weights in part.parameters()):>10,}")
print(f"{'together':17}{total:>10,}")

# %% [markdown]
# 2.63 million for each direction. The MLP, `decoder`, is the largest part.
#
# ## The order of the candidates means nothing
#
# Shuffle the candidates, and $x_k$ alike. What comes out must be shuffled alike, and otherwise unchanged. The word is
# **equivariant**.

# %% tags=["nbval-check-output"]
query, chosen_from = sentences[[ours]][:, None], z[None]
x_k, level = torch.randn(1, len(items), generator=draw), torch.tensor([25])
shuffled = torch.randperm(len(items), generator=draw)
before = model.text_query_denoiser(x_k, level, query, chosen_from)
after = model.text_query_denoiser(x_k[:, shuffled], level, query, chosen_from[:, shuffled])
difference = float((before[:, shuffled] - after).abs().max())
assert difference < 1e-5
print("candidates come in the order", shuffled[:5].tolist(), "...")
print("the same numbers, in that order, to 5 decimals")

position = sinusoidal_code(torch.arange(1, len(items) + 1), D)  # planted: a code for each place in the list
before = model.text_query_denoiser(x_k, level, query, chosen_from + position)
after = model.text_query_denoiser(x_k[:, shuffled], level, query, chosen_from[:, shuffled] + position)
assert float((before[:, shuffled] - after).abs().max()) > 1e-3
print("with a planted position code: other numbers")

# %% [markdown]
# A position code is what transformers add so that words have an order. Here it would be a fault: **training puts the
# positive at index 0, always** ([candidates.py](../diffret_core/candidates.py)). Could a network see the index, it
# would learn "answer 0" and nothing else.
#
# Let us commit it. Query and 8 candidates are random vectors, the state is pure noise: there is *nothing to learn*.
# One network is as above, the other gets the candidates with a position code added. The loss is $-\ln$ of the softmax
# at index 0 (notebook 07); knowing nothing costs ln 8 = 2.08 at least.

# %%
from torch.nn.functional import cross_entropy

NUM, DIM = 8, 8
marks = 4 * torch.eye(NUM, DIM)  # a code for each place in the list, as plain as can be


def pure_chance(size):
    """Random queries and candidates, noise alone as the state."""
    parts = [torch.randn(size, *shape, generator=draw) for shape in ((NUM,), (1, DIM), (NUM, DIM))]
    return parts[0], torch.full((size,), K), parts[1], parts[2]


def train_on_index_0(position_code):
    torch.manual_seed(0)
    learner, losses = Denoiser(DIM), []
    optimizer = torch.optim.Adam(learner.parameters(), lr=1e-2)
    with torch.enable_grad():
        for _ in range(100):
            x_k, k, query, chosen_from = pure_chance(64)
            x_0_hat = learner(x_k, k, query, chosen_from + position_code)
            losses.append(cross_entropy(3 * x_0_hat, torch.zeros(64, dtype=torch.long)))  # 3: loss scale
            optimizer.zero_grad(), losses[-1].backward(), optimizer.step()
    return learner, [float(loss) for loss in losses]


learner, plain_losses = train_on_index_0(torch.zeros(NUM, DIM))
cheat, cheat_losses = train_on_index_0(marks)

# %%
from diffret_core.course.curves_figure import Curve, curves_figure
from diffret_core.course.style import COMBINED, GENERATED, INK, SIMILARITY

steps = [1, 2, 5, 10, 20, 50, 100]
curves = {
    "no position code": Curve([plain_losses[step - 1] for step in steps], INK),
    "with position code": Curve([cheat_losses[step - 1] for step in steps], GENERATED, "dash"),
}
title = "The positive is always at index 0, and nothing can be learned"
drawn = curves_figure(steps, curves, title=title, across="training step", up="loss")
words = "Random vectors, not the sample collection. Dashed: candidates carry a code of their place."
show.figure(drawn, words)

x_k, k, query, chosen_from = pure_chance(10_000)
at_random = torch.randint(NUM, (10_000,), generator=draw)  # where the positive stands in use: anywhere
for name, trained, code in (("no position code", learner, 0), ("with position code", cheat, marks)):
    found = trained(x_k, k, query, chosen_from + code).argmax(dim=1)
    scores = [100 * float((found == target).float().mean()) for target in (0, at_random)]
    print(f"{name:19} right with the positive at index 0: {scores[0]:3.0f} %, anywhere: {scores[1]:3.0f} %")
print(f"blind guessing      {100 / NUM:.1f} %")

# %% [markdown]
# **What to see.** With position codes the loss falls as if much were learned. In use, where the positive may stand
# anywhere, it is no better than guessing. The network without them has no way to cheat.
#
# So equivariance is no luxury. It is a property that one line of a test can hold, and one careless line of code can
# break.
#
# ## What the additive logit does, from noise to data
#
# Back to our query and the trained weights. We noise the right answer to levels from K to 1 (one fixed ε; level 0 is
# clean and never goes in) and look inside: what the content says, what $x_k$ adds, where the weight goes. The title
# gives their *spread*, the standard deviation over candidates, and the share of the weight that $x_k$ *moves* from some
# candidates to others.

# %%
from diffret_core.course.additive_logit_figure import additive_logit_figure, moved_weight

levels = [max(1, round(K * part)) for part in (1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.04, 0.02)]
level = torch.tensor(levels)
network = model.text_query_denoiser
code = network.noise_level_code(level)[:, None]  # [L, 1, D]
content = (network.query(sentences[ours] + code) * network.key(z + code)).sum(dim=-1)  # [L, N]
states = add_noise(x_0.expand(len(levels), -1), level, epsilon.expand(len(levels), -1), model.alpha_bar)
show.figure(
    additive_logit_figure(content, states, levels, meant=place),
    "Our query. Top, blue: content logits. Middle, orange: the noised state, on the same scale. Bottom: the "
    "weights of both together; diamonds are the weights without the state. Green, with a star: our "
    "video. Sample collection.",
)

# %% [markdown]
# **What to see.** Move the slider. The state goes from noise on all candidates to a single 1. Does the content change
# with the level, too? Then compare the heights of the two upper panels: who can overrule whom? An entry of 1 makes a
# candidate e = 2.7 times as heavy beside the others, no more.
#
# ## How much does it listen? Measured
#
# One query proves nothing, and weights are not yet the output. So we take the first 200 test queries of each
# direction whose own item is among the candidates. First, per level, the same three numbers as in the title above.


# %%
def ask_200(direction):
    """Network, [query, candidates] and the place of the right one, for 200 queries; and who asks, and whom."""
    rows = similarity if direction == "text_to_video" else similarity.T
    chosen = top_candidates(rows, len(items))
    hit = chosen == torch.arange(len(rows))[:, None]
    asking = hit.any(dim=1).nonzero()[:200, 0]
    at = hit[asking].int().argmax(dim=1)
    return model.denoiser(direction), gather(direction, asking, chosen[asking]), at, (asking, chosen[asking])


def noised(at, k, seed):
    """A 1 at some place of each row, noised to level k: states [B, N] and levels [B]."""
    level = torch.full((len(at),), k)
    epsilon = torch.randn(len(at), len(items), generator=torch.Generator().manual_seed(seed))
    return add_noise(one_hot(at, len(items)).float(), level, epsilon, model.alpha_bar), level


asked = {direction: ask_200(direction) for direction in ("text_to_video", "video_to_text")}
some_levels = [max(1, round(K * part)) for part in (1, 0.8, 0.6, 0.4, 0.2, 0.02)]
for direction, (network, (query, chosen_from), at, _) in asked.items():
    print(f"{direction.replace('_', '-'):14} level  spread of content   of x_k   weight that x_k moves")
    for k in some_levels:
        x_k, level = noised(at, k, seed=0)
        code = network.noise_level_code(level)[:, None]
        content = (network.query(query + code) * network.key(chosen_from + code)).sum(dim=-1)
        spreads = f"{content.std(dim=1).mean():12.2f}{x_k.std(dim=1).mean():14.2f}"
        print(f"{k:20}{spreads}{float(moved_weight(content, x_k).mean()):16.0%}")

# %% [markdown]
# Read down the columns: which one changes with the level?
#
# Now the output. Keep query, candidates and level; draw three fresh $\epsilon$. How much of the variance of $\hat x_0$
# over candidates comes from that? 0 %: the network does not look at the noise. 100 %: it sees nothing else. For
# comparison, the other way round: keep $x_k$ and put other queries in.


# %%
def share_moved(outputs):
    """Share of the variance over candidates that differs between the runs; outputs [R, B, N]."""
    outputs = outputs - outputs.mean(dim=-1, keepdim=True)  # what all candidates share changes no ranking
    return 100 * float(outputs.var(dim=0).mean() / outputs.square().mean())


shares = {}
for direction, (network, own, at, (asking, chosen)) in asked.items():
    by_others = [gather(direction, asking.roll(shift), chosen) for shift in range(3)]
    for k in some_levels:
        states = [noised(at, k, seed) for seed in range(3)]
        by_noise = torch.stack([network(*state, *own) for state in states])
        by_query = torch.stack([network(*states[0], *other) for other in by_others])
        shares[direction, k] = share_moved(by_noise), share_moved(by_query)

# %%
for direction in asked:
    drawn = curves_figure(
        some_levels,
        {
            "another query": Curve([shares[direction, k][1] for k in some_levels], SIMILARITY),
            "another noise": Curve([shares[direction, k][0] for k in some_levels], GENERATED, "dash"),
        },
        title=f"{direction.replace('_', '-')}: what moves the output",
        across="noise level k, from noise to data",
        up="percent of variance",
    )
    drawn.update_xaxes(type="linear", autorange="reversed").update_yaxes(range=[-3, 103])
    show.figure(drawn, "Share of the output's variance that goes with a change. 200 test queries, sample collection.")

for direction in asked:
    noise, query_share = zip(*[shares[direction, k] for k in some_levels], strict=True)
    print(f"{direction.replace('_', '-')}: of the variance another noise moves", end=" ")
    print(f"{min(noise):.1f} to {max(noise):.1f} %, another query", end=" ")
    print(f"{min(query_share):.0f} to {max(query_share):.0f} %")

# %% [markdown]
# Read the lower curve with care: near the data $x_k$ holds little noise, so another noise *can* change little. There
# the question is another one: does the network believe the answer that is written into its input?
#
# ## A false hint
#
# So we lie. The 1 of $x_0$ goes to a **wrong** candidate, drawn at random from the others, then noise is added as
# always.


# %%
def outcomes(direction, k):
    """Percent: right with a true state, right with a false one, follows the false one."""
    network, own, at, _ = asked[direction]
    away = torch.randint(1, len(items), at.shape, generator=torch.Generator().manual_seed(1))
    wrong = (at + away) % len(items)
    found = [network(*noised(hint, k, seed=0), *own).argmax(dim=1) for hint in (at, wrong)]  # the same epsilon
    hits = [found[0] == at, found[1] == at, found[1] == wrong]
    return [100 * float(hit.float().mean()) for hit in hits]


first = {(direction, k): outcomes(direction, k) for direction in asked for k in some_levels}
predict.number(
    f"At level {some_levels[-1]} the state is nearly a clean 1 at a wrong candidate. In how many percent of the text "
    "queries does the network put that candidate first?",
    truth=round(first["text_to_video", some_levels[-1]][2]),
    low=0,
    high=100,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# The state is one logit beside another. A 1 makes a candidate 2.7 times as heavy, no more, and then the MLP reads the
# candidates themselves. Where content logits differ by much more than 1, a hint alone cannot win; where they are
# close, it can.
#
# </details>

# %%
for direction in asked:
    name = direction.replace("_", "-")
    true_state, false_state, followed = zip(*[first[direction, k] for k in some_levels], strict=True)
    drawn = curves_figure(
        some_levels,
        {
            "right, true state": Curve(true_state, COMBINED),
            "right, false state": Curve(false_state, INK, "dash"),
            "follows the false one": Curve(followed, GENERATED, "dot"),
        },
        title=f"{name}: which candidate comes first",
        across="noise level k, from noise to data",
        up="percent of queries",
    )
    drawn.update_xaxes(type="linear", autorange="reversed").update_yaxes(range=[-3, 103])
    show.figure(drawn, "First place of one call of the network. 200 test queries, sample collection.")
    print(f"{name}: level {some_levels[0]}, true {true_state[0]:.0f}, false", end=" ")
    print(f"{false_state[0]:.0f} %;", end=" ")
    print(f"level {some_levels[-1]}, true {true_state[-1]:.0f}, false {false_state[-1]:.0f}, ", end="")
    print(f"follows {followed[-1]:.0f} %")
    network, own, at, _ = asked[direction]
    blind = network(torch.zeros(len(at), len(items)), torch.full((len(at),), K), *own).argmax(dim=1)
    print(f"    with x_k = 0 everywhere: right {100 * float((blind == at).float().mean()):.0f} %")

# %% [markdown]
# **What to see.** Left end: both states are the same noise, so the upper curves meet: this is what query and
# candidates give, disturbed by noise (undisturbed: the line with $x_k$ = 0). Right end: the gap between them is what a
# true state is worth against a false one. Lowest curve: how often a hint decides alone; a network that copied its input
# would end at 100. (Sample collection, one model; with 200 queries a share is known to 7 points either way, at worst.)
#
# The closer the upper curves stay together, the more this network is a *re-ranker* that happens to be told a noised
# state. Whether the walk over many levels then adds anything is a question for measurements: notebooks 08 and 09.
#
# One use of the structure is sure. Between two steps of the walk only $x_k$ and $c_k$ change; all else can be computed
# once ([denoiser_prepared.py](../diffret_core/denoiser_prepared.py)). Notebook 08 takes that up.
#
# ## What you can now say
#
# - Text-frame attention makes one vector of a video *for a sentence*; padding must be masked before its softmax.
# - A noise level is a vector: sines and cosines, then two layers.
# - Query-candidate attention adds $x_k$ to the logits, and nothing else in the network sees it.
# - The output is an MLP of what was found and of each candidate, plus the weight.
# - Order means nothing (equivariance), so index 0 in training gives nothing away.
# - One class serves both directions: Q = 1 for a text, Q = N for a video.
# - How much $x_k$ counts is a measured number, not a line in a formula.
#
# ## Quiz

# %%
quiz.show("06")

# %% [markdown]
# **Next.** Notebook 07 trains this network: which loss, which negatives, and how the loss depends on the level.
#
# The code behind this notebook: [the denoiser](../diffret_core/denoiser.py),
# [candidates](../diffret_core/candidates.py), [both directions bound](../diffret_core/retriever.py).
