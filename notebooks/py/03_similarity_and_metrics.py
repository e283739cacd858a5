# %% [markdown]
# # 03 · How are two sequences compared, and a ranking judged?
#
# **Goal.** You turn lists of word and frame features into one number per pair, by a mean and by *token interaction*.
# Then you judge the ranking: R@K, ranks, ties, an interval, and a number that looks better than it is.
#
# | | |
# |---|---|
# | you need | PyTorch tensors; what a word feature and a frame feature are (notebook 02) |
# | time | 60 minutes with the exercises; Run All takes well under a minute |
# | hardware | any computer; no GPU, no network |
# | in the paper | its similarity, which proposes the candidates, and the columns of all its tables |
#
# Just opened? Choose **Run → Run All Cells** first. Letters such as T, V, W and F are in the [table of
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

import numpy as np
import torch
from torch.nn.functional import normalize

from diffret_core.course import check, predict, quiz, setup, show

samples = setup.open_samples()
model, videos = samples.model, samples.videos

# %% [markdown]
# ## Two lists of vectors
#
# A text is up to W word features, a video up to F frame features. To rank videos for a text, each pair needs **one
# number**. Here are all 1,000 test sentences and their 1,000 videos.

# %% tags=["nbval-check-output"]
captions = [caption for caption, _ in samples.collection.pairs("test")]
with torch.no_grad():
    texts = model.encode_texts(captions)
print("words     ", tuple(texts.words.shape), "  [T, W, D]")
print("sentence  ", tuple(texts.sentence.shape), "     [T, D]")
print("frames    ", tuple(videos.frames.shape), "  [V, F, D]")
print("real words in text 0:", int(texts.word_mask[0].sum()))
print("real frames in video 0:", int(videos.frame_mask[0].sum()))

# %% [markdown]
# ## The simplest answer: a mean
#
# Average the frames of a video, and compare that mean with the text by the **cosine**: 1 if both point the same way,
# 0 if they have nothing in common.
#
# $$
# \cos(a, b) = \frac{\langle a, b \rangle}{\Vert a \Vert \, \Vert b \Vert}
# $$
#
# The smallest example has D = 2. The first direction means *red*, the second *star*.

# %% tags=["nbval-check-output"]
asked = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # two words: red, star
video_a = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # something red, then a star
video_b = torch.tensor([[0.5, 0.5], [0.5, 0.5]])  # two frames, a little of both in each


def cosine_of_means(text, video):
    return float(normalize(text.mean(dim=0), dim=0) @ normalize(video.mean(dim=0), dim=0))


print(f"A {cosine_of_means(asked, video_a):.2f}   B {cosine_of_means(asked, video_b):.2f}")

# %% [markdown]
# Two very different videos, one score. **A mean forgets which frame said what.**
#
# Still, a mean is quick: one vector per video, and all pairs are one matrix product. It must only leave padding out.
#
# ### Exercise 1: a mean without padding
#
# *easy · 4 minutes*
#
# `features` is `[B, L, D]`, `mask` is `[B, L]`, True where something is real. Return the mean of the real ones of each
# row, a tensor `[B, D]`. Replace the three dots; until you do, the notebook uses our answer.


# %% tags=["exercise", "nbval-check-output"]
def mean_pool(features, mask):
    return ...  # your code


mean_pool = check.answer("mean_pool", mean_pool)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `mask[..., None]` has shape `[B, L, 1]`. Multiplied with the features, it makes padding zero.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# A mean is a sum divided by a count. The count of a row is the number of True in its mask, not L.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def mean_pool(features, mask):
#     real = mask[..., None].float()
#     return (features * real).sum(dim=1) / real.sum(dim=1)
# ```
#
# </details>

# %% [markdown]
# For the text one usually takes the `sentence` feature, read off at the end token. It has already gathered what the
# words say. The first similarity matrix of this notebook has a row per text and a column per video:

# %% tags=["nbval-check-output"]
video_means = mean_pool(videos.frames, videos.frame_mask)
by_mean = normalize(texts.sentence, dim=-1) @ normalize(video_means, dim=-1).T
print("video_means", tuple(video_means.shape), "  by_mean", tuple(by_mean.shape), "  [T, V]")

# %% [markdown]
# ## Token interaction: let every word look for its frame
#
# Keep all vectors. Compare every word with every frame. Then each word takes its **best frame**, and each frame its
# **best word**. In the small example:

# %% tags=["nbval-check-output"]
for name, video in (("A", video_a), ("B", video_b)):
    cosine = normalize(asked, dim=-1) @ normalize(video, dim=-1).T  # [W, F]
    of_words, of_frames = cosine.amax(dim=1), cosine.amax(dim=0)
    print(name, "cosines", [[round(one, 2) for one in row] for row in cosine.tolist()])
    print("  best frame of each word", of_words.numpy().round(2))
    print("  best word of each frame", of_frames.numpy().round(2))

# %% [markdown]
# In video A every word finds a frame that says exactly that: 1. In video B nothing fits better than 0.71. The two are
# told apart.
#
# Not all words matter alike: *a* says little. So each word gets a weight $w_t$, each frame a weight $w_v$. Both sum
# to 1, and two small networks learn them:
#
# $$
# s = \frac{1}{2} \left[ \sum_t w_t \max_v c_{tv} + \sum_v w_v \max_t c_{tv} \right]
# $$
#
# Here t runs over the words, v over the frames, and $c_{tv}$ is their cosine.
#
# ### Exercise 2: one pair
#
# *medium · 6 minutes*
#
# `cosine` is `[W, F]`, a row per word. Write the equation: one number for the pair.


# %% tags=["exercise", "nbval-check-output"]
def pair_similarity(cosine, word_weight, frame_weight):
    return ...  # your code


pair_similarity = check.answer("pair_similarity", pair_similarity)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `cosine.amax(dim=1)` goes along each row: the best frame of every word. `dim=0` goes down the columns. (`amax` gives
# the values alone; `max` gives values and places.)
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Each half is a weighted sum, `(weight * best).sum()`. The result is the mean of the two halves.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def pair_similarity(cosine, word_weight, frame_weight):
#     of_words = (word_weight * cosine.amax(dim=1)).sum()
#     of_frames = (frame_weight * cosine.amax(dim=0)).sum()
#     return (of_words + of_frames) / 2
# ```
#
# </details>

# %% [markdown]
# ## A real pair, word by frame
#
# The weights come from two networks in [similarity.py](../diffret_core/similarity.py), one for words, one for frames.
# They give a number for each token. A softmax over the **real** tokens makes weights of them.


# %%
def weights(network, features, mask):
    with torch.no_grad():
        number = network(features).squeeze(-1)  # [B, L]
    return number.masked_fill(~mask, -torch.inf).softmax(dim=-1)


word_weight = weights(model.interaction.word_score, texts.words, texts.word_mask)  # [T, W]
frame_weight = weights(model.interaction.frame_score, videos.frames, videos.frame_mask)  # [V, F]
unit_words, unit_frames = normalize(texts.words, dim=-1), normalize(videos.frames, dim=-1)

text = video = 644
real_words, real_frames = texts.word_mask[text], videos.frame_mask[video]
cosine = unit_words[text][real_words] @ unit_frames[video][real_frames].T
mine = pair_similarity(cosine, word_weight[text][real_words], frame_weight[video][real_frames])
print("cosine", tuple(cosine.shape), " similarity", f"{float(mine):.4f}")

# %% [markdown]
# Now look at four sentences, each with its own video and with the best of the wrong ones. Move the slider.

# %%
from open_clip import SimpleTokenizer

from diffret_core.course.compared_pair import compare_pair
from diffret_core.course.interaction_figure import interaction_figure

tokenizer = SimpleTokenizer()
with torch.no_grad():
    similarity = model.similarity(texts, videos)  # [T, V], from the package
compared = []
for text in (644, 4, 120, 300):
    pieces = [tokenizer.decoder[piece] for piece in tokenizer.encode(captions[text])]
    pieces = [piece.removesuffix("</w>") if piece.endswith("</w>") else piece + "-" for piece in pieces]
    rival = int(similarity[text].index_fill(0, torch.tensor(text), -1).argmax())
    for video, name in ((text, "its own video"), (rival, "the best wrong video")):
        name = f"sentence {len(compared) // 2 + 1}, {name}"
        compared.append(compare_pair(samples, texts, text, video, name=name, words=["start", *pieces, "end"]))
    print(f"sentence {len(compared) // 2}: own video {compared[-2].similarity:.3f}, ", end="")
    print(f"best wrong one {compared[-1].similarity:.3f} (it shows: {captions[rival]})")
show.figure(
    interaction_figure(compared),
    "Rows are words, columns frames. Blue: alike, orange: opposed; the fullest is the largest cosine of all eight "
    "pictures. A dot marks the best frame of a word, a square the best word of a frame. Bars are weights: of a word "
    "beside its row, of a frame below its column.",
)

# %% [markdown]
# **What to see.** Read the bars first: a dot counts as much as the bar of its row, a square as much as the bar of its
# column. (A word without a bar may still win a square.) Then compare the two places of a sentence on the slider. How
# far does the similarity fall from its own video to the best wrong one? Or does it *rise*? Where it does, the model
# is wrong: what did it miss? Look at the frames.
#
# Where does the weight go, on average?

# %%
end = texts.word_mask.sum(dim=1) - 1
on_end = word_weight[torch.arange(len(end)), end]
heaviest = frame_weight.amax(dim=1)
even = (1 / texts.word_mask.sum(dim=1)).mean(), (1 / videos.frame_mask.sum(dim=1)).mean()
print(f"weight of the end token       {on_end.mean():.2f}   if all words counted alike  {even[0]:.2f}")
print(f"weight of the heaviest frame  {heaviest.mean():.2f}   if all frames counted alike {even[1]:.2f}")

# %% [markdown]
# The end token has read the whole sentence (notebook 02), so weight is well placed there. The closer its share is to
# 1, the more the words' half is one vector that looks for its best frame. Nobody told the model to do so; training
# led there.
#
# ## All pairs, by hand
#
# Now one text against **all** videos at once. Its real words are n rows, so the cosines are `[n, V, F]`. Padded frames
# may not win a maximum: they are set to -∞ before it. That has a trap: -∞ times a weight of 0 is not 0 but NaN. So once
# the maxima are taken, padding is set to 0.


# %% tags=["nbval-check-output"]
def both_halves(text):
    real, padding = texts.word_mask[text], ~videos.frame_mask
    cosine = torch.einsum("nd,vfd->nvf", unit_words[text][real], unit_frames)  # [n, V, F]
    cosine = cosine.masked_fill(padding, -torch.inf)
    of_words = (word_weight[text][real][:, None] * cosine.amax(dim=2)).sum(dim=0)  # [V]
    best_word = cosine.amax(dim=0).masked_fill(padding, 0)  # [V, F]
    return of_words, (frame_weight * best_word).sum(dim=1)


halves = [both_halves(text) for text in range(len(captions))]
of_words, of_frames = (torch.stack(half) for half in zip(*halves, strict=True))
by_interaction = (of_words + of_frames) / 2
assert torch.allclose(by_interaction, similarity, atol=1e-5)
print("the trap:", torch.tensor(-torch.inf) * 0)
print("by_interaction", tuple(by_interaction.shape), "  the same as diffret_core, to 5 decimals")

# %% [markdown]
# One matrix serves both directions. Row t ranks the videos for text t. Column v ranks the texts for video v.
#
# Is the second matrix better than the first? We need a judge.
#
# ## A ranking in one number
#
# Only one thing counts for a query: at which place stands the item that is meant? That place is its **rank**, 1 is
# best. Four texts, four videos, worked by hand. Text i means video i.

# %% tags=["nbval-check-output"]
small = torch.tensor(
    [
        [0.8, 0.1, 0.3, 0.4],
        [0.6, 0.5, 0.7, 0.2],
        [0.1, 0.2, 0.3, 0.3],
        [0.9, 0.4, 0.6, 0.5],
    ]
)
for i, row in enumerate(small.numpy()):
    better, equal = int((row > row[i]).sum()), int((row == row[i]).sum()) - 1  # it is equal to itself
    print(f"text {i}: {row}   own {row[i]:.1f}   better: {better}   equal: {equal}")

# %% [markdown]
# Texts 0, 1 and 3 are clear: ranks 1, 3 and 3. But text 2 has a **tie**: its own video and another have 0.3 both. Is
# its rank 1 or 2?
#
# ## Predict

# %%
from diffret_core.metrics import target_ranks

same_score = torch.zeros(1000, 1000)
ranks = target_ranks(same_score, torch.arange(1000), ties="optimistic")
predict.number(
    "A broken model gives every one of 1,000 videos the score 0. A script takes as rank: 1 + the number of "
    "videos with a higher score. What R@1, in percent, does it report?",
    truth=100 * float((ranks == 1).float().mean()),
    low=0,
    high=100,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# No score is higher than 0, so every rank is 1: full marks for a model that knows nothing.
#
# </details>
#
# In this course **an equal score counts against the target**. Then a model that cannot decide earns nothing. Ties are
# not rare: scores are rounded and cut off, and notebook 08 will show a sampler that makes some exactly equal.
#
# The paper's released code has a third rule: it sorts, and takes *every* place that holds the target's score.

# %% tags=["nbval-check-output"]
own = torch.arange(4)
for rule in ("pessimistic", "optimistic", "released"):
    found = target_ranks(small, own, ties=rule)
    print(f"{rule:12} ranks {found.tolist()}   R@1 {100 * float((found == 1).float().mean()):.0f} %")

# %% [markdown]
# Four queries, but five ranks in the last line. Its R@1 is a share of five. Without ties all three agree.
#
# ### Exercise 3: ranks
#
# *medium · 6 minutes*
#
# `score` is `[Q, V]`, a row per query. `target` says which column each query means; it need not be the diagonal. Return
# a **tensor**, one rank per query, 1 = best. An equal score counts against the target.


# %% tags=["exercise", "nbval-check-output"]
def rank_targets(score, target):
    return ...  # your code


rank_targets = check.answer("rank_targets", rank_targets)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# No sorting is needed. `score[torch.arange(len(score)), target]` are the targets' scores.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Count the scores of the row that are at least as high as the target's. The target itself is one of them, so the best
# count is 1.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def rank_targets(score, target):
#     own = score[torch.arange(len(score)), target][:, None]
#     return (score >= own).sum(dim=1)
# ```
#
# </details>

# %% [markdown]
# ## From ranks to the columns of a table
#
# | name | what it is | better |
# |---|---|---|
# | R@K | percent of the queries with a rank of at most K | higher |
# | median rank | the middle one; of an even number, the mean of the two in the middle | lower |
# | mean rank | their mean; a single query that is far off moves it | lower |
#
# ### Exercise 4: four numbers
#
# *easy · 5 minutes*
#
# Return a tuple of four numbers: R@1 and R@5 in percent, the median rank, the mean rank. `ranks` is a tensor of whole
# numbers.


# %% tags=["exercise", "nbval-check-output"]
def summarise(ranks):
    return ...  # your code


summarise = check.answer("summarise", summarise)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `(ranks <= 5)` is True for every query that counts. The mean of True and False is a share; percent is 100 times that.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `torch.median` takes the lower of two middle values; `np.median` takes their mean. And `mean` wants `ranks.float()`.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def summarise(ranks):
#     first, fifth = (100 * (ranks <= depth).float().mean().item() for depth in (1, 5))
#     return first, fifth, float(np.median(ranks)), ranks.float().mean().item()
# ```
#
# </details>

# %% tags=["nbval-check-output"]
from diffret_core.metrics import retrieval_metrics

ranks = rank_targets(small, torch.arange(4))
assert torch.equal(ranks, target_ranks(small, torch.arange(4)))
package = retrieval_metrics(ranks)
mine = dict(zip(("R@1", "R@5", "median_rank", "mean_rank"), summarise(ranks), strict=True))
assert all(abs(package[name] - value) < 1e-4 for name, value in mine.items())
print("ranks", ranks.tolist(), "", mine, " as in the package")

# %% [markdown]
# ## A mean against token interaction
#
# Now both matrices are judged, in both directions: text-to-video asks with rows, video-to-text with columns.

# %%
target = torch.arange(len(captions))  # text i was written for video i
ranks_of = {}
print(f"{'':38}   R@1   R@5  R@10  median  mean rank")
matrices = {"mean": by_mean, "words' half": of_words, "frames' half": of_frames}
matrices["token interaction"] = by_interaction
for name, score in matrices.items():
    for direction, rows in {"text-to-video": score, "video-to-text": score.T}.items():
        ranks_of[name, direction] = rank_targets(rows, target)
        one = retrieval_metrics(ranks_of[name, direction])
        print(f"{name:20} {direction:16} {one['R@1']:6.1f}{one['R@5']:6.1f}{one['R@10']:6.1f}", end="")
        print(f"{one['median_rank']:8.0f}{one['mean_rank']:11.2f}")

# %%
from diffret_core.course.curves_figure import Curve, curves_figure
from diffret_core.course.style import INK, SIMILARITY

depths = [1, 2, 3, 5, 10, 20, 32, 100]


def recalls(ranks):
    return [100 * float((ranks <= depth).float().mean()) for depth in depths]


lines = {
    "token interaction": Curve(recalls(ranks_of["token interaction", "text-to-video"]), SIMILARITY),
    "mean": Curve(recalls(ranks_of["mean", "text-to-video"]), INK, "dash"),
}
figure = curves_figure(depths, lines, title="Text-to-video, 1,000 samples", across="K", up="R@K in percent")
words = "Solid blue: token interaction. Dashed: mean. A higher curve finds more of the meant videos among the first K."
show.figure(figure, words)

# %% [markdown]
# **What to see.** At K = 1 the curves are furthest from the top, and at K = 32 nearly everything has been found. That
# is where the second half of the course starts: take the best 32, and put *them* in a better order.
#
# In the table, compare the two halves with the whole. A point more or less may be chance, as the next section shows.
#
# Is the mean hardly worse than token interaction? Then mind three things. These are our samples, not a benchmark.
# This small model learned with a mean first and with token interaction last (notebook 04). And these are the frames
# *after* the temporal transformer: each has heard the others, so a mean forgets less than in our red-and-star
# example.
#
# ## How sure is that?
#
# Another 1,000 sentences would give another R@1. We do not have them. The **bootstrap** helps: draw 1,000 queries out
# of ours, *with repetition*, and look at R@1 again. Do so a few thousand times. The middle 95 % of the results is an
# interval.

# %%
rng = np.random.default_rng(0)
hits = (ranks_of["token interaction", "text-to-video"] == 1).numpy()
measured, resampled = {}, {}
for num_queries in (50, 100, 200, 500, 1000):
    drawn = rng.integers(0, num_queries, size=(2000, num_queries))  # 2,000 resamples of the first queries
    resampled[num_queries] = 100 * hits[drawn].mean(axis=1)
    measured[num_queries] = 100 * hits[:num_queries].mean()
print("drawn", drawn.shape, "  the first five:", resampled[1000][:5].round(1))

# %%
from diffret_core.course.resamples_figure import resamples_figure

words = "Grey: R@1 of 2,000 resamples. Blue: the middle 95 % of them. Diamond: R@1 of the queries themselves."
show.figure(resamples_figure(resampled, measured), words)

# %% [markdown]
# **What to see.** Move the slider: with 50 queries the interval is several times as wide as with 1,000. It shrinks
# with the *square root* of the number: four times the queries for half the width. For a share $p$ of $n$ queries
# there is a formula too, $\pm 1.96 \sqrt{p(1-p)/n}$. So there are three ways: our resamples, the package's
# `bootstrap_interval`, and the formula. They should nearly agree:

# %%
from diffret_core.metrics import bootstrap_interval

low, high = np.percentile(resampled[1000], [2.5, 97.5])
package = bootstrap_interval(torch.as_tensor(np.where(hits, 1, 2)), np.random.default_rng(0))
assert max(abs(low - package[0]), abs(high - package[1])) < 0.7  # other draws
share = hits.mean()
formula = 100 * 1.96 * (share * (1 - share) / len(hits)) ** 0.5
print(f"by hand  {low:.1f} to {high:.1f}")
print(f"package  {package[0]:.1f} to {package[1]:.1f}")
print(f"formula  {100 * share - formula:.1f} to {100 * share + formula:.1f}")

# %% [markdown]
# ## Two models, the same queries
#
# Are the mean and token interaction different? Do not compare two intervals. Both answered the *same* queries, so
# resample the **differences**, query by query: what is hard for both cancels.

# %%
from diffret_core.metrics import paired_bootstrap_interval

print("R@1 of token interaction minus R@1 of the mean")
for direction in ("text-to-video", "video-to-text"):
    one, other = ranks_of["token interaction", direction], ranks_of["mean", direction]
    gain = 100 * float((one == 1).float().mean() - (other == 1).float().mean())
    low, high = paired_bootstrap_interval(one, other, np.random.default_rng(0))
    verdict = "0 is inside: no difference shown" if low <= 0 <= high else "0 is outside: a difference"
    print(f"{direction}: {gain:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}. {verdict}")

# %% [markdown]
# An interval with 0 inside does not say that both are equal. It says that 1,000 queries cannot tell them apart. That
# is a result too, and it is reported like any other.
#
# ## A number needs its gallery
#
# R@1 says nothing without the number of videos that were searched.

# %%
sizes = (100, 250, 500, 750, 1000)
shuffled = np.random.default_rng(1).permutation(len(captions))
in_gallery = []
for size in sizes:
    some = torch.as_tensor(shuffled[:size])
    found = rank_targets(by_interaction[some][:, some], torch.arange(size))
    in_gallery.append(round(100 * float((found == 1).float().mean()), 1))
predict.curve(
    "The same model searches 100, 250, 500, 750 and 1,000 videos, each time with the sentences of exactly these. "
    "What is its R@1 in percent?",
    sizes,
    in_gallery,
    low=0,
    high=100,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# Every video that is left out is one rival fewer. So a gallery that has lost its unreadable files flatters, and
# numbers of two galleries of different size cannot be compared. (Fewer queries also make a wider interval, but do not
# move R@1 in one direction.)
#
# </details>
#
# ## A leak: choosing on the test
#
# Now we cheat, as many do without noticing. Training gives many checkpoints. Somebody measures each on the **test**
# queries and reports the best. (The paper's released code does that, with about 100 looks.)
#
# We imitate it with 100 models of which we *know* that none is better. Where the right video leads by far, nearly all
# find it; where it is close, luck decides. For each query the chance is the same for all 100 models.

# %%
own = by_interaction.diagonal()
rival = by_interaction.masked_fill(torch.eye(len(own), dtype=torch.bool), -torch.inf).amax(dim=1)
lead = own - rival  # positive where the right video is first
chance = torch.sigmoid(2 * lead / lead.std())  # [T]
generator = torch.Generator().manual_seed(0)
looks = torch.rand(100, len(chance), generator=generator) < chance  # [100, T]: is the right one first?
recall = 100 * looks.float().mean(dim=1)
best_ranks = torch.where(looks[recall.argmax()], 1, 2)
low, high = bootstrap_interval(best_ranks, np.random.default_rng(0))
print(f"the mean of all 100 models   R@1 {recall.mean():.1f}")
print(f"the best of them             R@1 {recall.max():.1f}, 95 % {low:.1f} to {high:.1f}")

# %% [markdown]
# (Their mean is below our model's R@1: luck turns some near misses into hits, but more near hits into misses.) The
# best of 100 equal models looks better than the rest, and the gain is luck. Its interval may still hold the true
# value, this once. How often does it, in 200 repeats? We take the formula for the interval.

# %%
truth, missed_by_one, missed_by_best = 100 * chance.mean(), [], []
for _ in range(200):
    share = (torch.rand(100, len(chance), generator=generator) < chance).float().mean(dim=1)
    missed = (100 * share - truth).abs() > 196 * (share * (1 - share) / len(chance)).sqrt()
    missed_by_one.append(float(missed[0]))
    missed_by_best.append(float(missed[share.argmax()]))
print(f"a 95 % interval misses the truth, {truth:.1f}, in 5 % of all cases or less. It is missed by that of")
print(f"one model {100 * np.mean(missed_by_one):3.0f} %;  the best of 100 {100 * np.mean(missed_by_best):3.0f} %")

# %% [markdown]
# **An interval does not know how often you looked.**
#
# ### Exercise 5: the test that exposes it
#
# *hard · 8 minutes*
#
# Split the queries. Choose on one part, judge on the other. `hits` is `[M, Q]`, a row per model, a column per query,
# True where the model has the query right. `chosen_on` and `judged_on` are tensors of column numbers: which queries
# belong to each part. Choose the model with the best R@1 on the first part. Return its R@1 on the second part, minus
# the mean of all models there, in percentage points.


# %% tags=["exercise", "nbval-check-output"]
def honest_gain(hits, chosen_on, judged_on):
    return ...  # your code


honest_gain = check.answer("honest_gain", honest_gain)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `hits[:, chosen_on]` are the columns of the first part; `.float().mean(dim=1)` gives a share for each model.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `argmax` on the first part names the model. All that is reported comes from the second part.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def honest_gain(hits, chosen_on, judged_on):
#     best = hits[:, chosen_on].float().mean(dim=1).argmax()
#     recall = 100 * hits[:, judged_on].float().mean(dim=1)
#     return recall[best] - recall.mean()
# ```
#
# </details>

# %% [markdown]
# With this function a leak is easy to show: it gains where it chose, and nowhere else. We try it for 1 look, 2 looks,
# up to 100, each with 200 fresh sets of equal models and random halves of the queries.

# %%
rng, numbers_of_looks = np.random.default_rng(0), [1, 2, 5, 10, 20, 50, 100]
leaky, honest = [], []
for num_looks in numbers_of_looks:
    gains = []
    for _ in range(200):
        models = torch.rand(num_looks, len(chance), generator=generator) < chance
        one, other = torch.as_tensor(rng.permutation(len(chance))).chunk(2)
        gains.append((float(honest_gain(models, one, one)), float(honest_gain(models, one, other))))
    for kind, values in zip((leaky, honest), zip(*gains, strict=True), strict=True):
        kind.append(float(np.mean(values)))
print("looks ", numbers_of_looks)
print("leaky ", [f"{gain:+.2f}" for gain in leaky])
print("honest", [f"{gain:+.2f}" for gain in honest])

# %%
from diffret_core.course.style import PLACES

on_same, on_others = Curve(leaky, PLACES[2].colour, "dash"), Curve(honest, INK)
figure = curves_figure(
    numbers_of_looks,
    {"judged where chosen": on_same, "judged elsewhere": on_others},
    title="The best of equal models",
    across="models that were looked at",
    up="gain in points of R@1",
)
words = "Dashed: the gain on the queries that chose. It grows with the looks. Solid: the same models, on others."
show.figure(figure, words)

# %% tags=["nbval-check-output"]
assert leaky[-1] > 1, "choosing among 100 and judging on the same queries must look like a gain"
assert max(map(abs, honest)) < 0.5, "on queries that did not choose, the gain must be gone"
print("the leak is exposed: the gain is gone on queries that did not choose")

# %% [markdown]
# (Each part has 500 queries, not 1,000, so luck weighs more than in the cell above.)
#
# That is the reason for a **validation** split. The best checkpoint, the number of steps, how scores are mixed: all
# are chosen there. The test split only judges. In this course `choose_scoring` in
# [evaluation.py](../diffret_core/evaluation.py) does it so. This notebook looks at the test split often, and chooses
# nothing for the model.

# %% [markdown]
# ## What you can now say
#
# - A mean makes one vector of a video and forgets which frame said what. Token interaction keeps all, lets words and
#   frames look for their best partners, and weighs them. Whether that is worth points, an interval says.
# - A rank is a count of scores at least as high. A tie counts against the target, or a model that knows nothing wins.
# - R@K, median and mean rank belong to a gallery of a known size, and to an interval.
# - Two models that answered the same queries are compared by paired differences.
# - What was chosen on the test queries cannot be judged on them.

# %% [markdown]
# ## Quiz

# %%
quiz.show("03")

# %% [markdown]
# **Next.** Where do features come from in which a word meets its frame? [Notebook
# 04](04_contrastive_training.ipynb) trains the encoders with nothing but pairs.
#
# The code behind this notebook: [token interaction](../diffret_core/similarity.py), [ranks, metrics and
# intervals](../diffret_core/metrics.py), [both directions at once](../diffret_core/evaluation.py).
