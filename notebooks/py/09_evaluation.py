# %% [markdown]
# # 09 · Does it help?
#
# **Goal.** You fuse similarity and generator into one score, and choose its weight without looking at the test. Then
# you ask what the gain is worth: over the same queries, over seeds, against the same network without noise, against
# fixes that cost nothing, one setting at a time. At the end stands a verdict, and it is computed.
#
# | | |
# |---|---|
# | you need | ranks and intervals (notebook 03), both stages (04, 07), what a draw is (08) |
# | time | 60 minutes with the exercises; Run All takes about a minute |
# | hardware | any computer; no GPU, no network |
# | in the paper | its first claim, and its ablations; a control without noise we found nowhere |
#
# Just opened? Choose **Run → Run All Cells** first. Letters such as N, V and K are in the [table of
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
from collections import Counter

import numpy as np
import torch

from diffret_core import metrics
from diffret_core.course import check, evidence, predict, progress, quiz, setup, show
from diffret_core.randomness import numpy_generator

torch.set_num_threads(1)  # the tensors of this notebook are small: a second thread would mostly wait
samples = setup.open_samples()
model, videos = samples.model, samples.videos

# %% [markdown]
# ## Four rivals
#
# The paper says: generating a ranking improves it. To believe that, rule out four cheaper explanations.
#
# | perhaps it is only ... | ruled out by |
# |---|---|
# | chance | intervals over the same queries, several seeds |
# | looking at the test | choosing weight and temperature on validation, with equal trials for all |
# | one more trained network | the same network **without noise** |
# | what nobody tried | more data for the similarity; fixes that need no training |
#
# Everything here is measured on our **sample collection, which is no benchmark**. A verdict about it is no verdict
# about MSR-VTT.
#
# ## Fusing by hand
#
# Four videos. The similarity proposes three candidates, the generator has sampled a state for each. Softmax turns that
# into probabilities p, sharper at a higher temperature. Then
#
# $$ \mathrm{combined} = \mathrm{similarity} + \alpha \, \mathrm{softmax}(\mathrm{temperature} \cdot \mathrm{sample}) $$

# %% tags=["nbval-check-output"]
similarity = torch.tensor([0.62, 0.60, 0.20, 0.41])
candidates = torch.tensor([0, 1, 3])  # columns of the best three
sample = torch.tensor([0.1, 0.9, 0.0])  # the generator prefers the second
for temperature in (1, 5, 20):
    p = torch.softmax(temperature * sample, dim=0)
    for alpha in (0.01, 0.1):
        combined = similarity.clone()
        combined[candidates] += alpha * p
        print(f"temperature {temperature:2}  p {p.numpy().round(2)!s:17} alpha {alpha:4}", end="  ")
        print(f"combined {combined.numpy().round(3)}  first: video {int(combined.argmax())}")

# %% [markdown]
# **What to see.** Video 1 wins where alpha *and* temperature are large enough to close a gap of 0.02. Video 2 is no
# candidate: it keeps its similarity.
#
# ### Exercise 1: one score of two
#
# *easy · 4 minutes*
#
# `similarity` is `[V]`, `candidates` and `sample` are `[N]`. Return the combined scores, `[V]`. Replace the three dots;
# until you do, the notebook uses our answer.


# %% tags=["exercise", "nbval-check-output"]
def fused_scores(similarity, candidates, sample, alpha, temperature):
    return ...  # your code


fused_scores = check.answer("fused_scores", fused_scores)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# The cell above does it for three candidates. `clone()` first: what you are given must stay as it is.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `fused[candidates] += ...` adds at these columns and nowhere else.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def fused_scores(similarity, candidates, sample, alpha, temperature):
#     fused = similarity.clone()
#     fused[candidates] += alpha * torch.softmax(temperature * sample, dim=0)
#     return fused
# ```
#
# </details>

# %% [markdown]
# Now all test queries at once: 1,000 sentences ask for videos, 1,000 videos for sentences. This is the shipped model,
# live. Your function, on our query (pair 644), against the package:

# %%
from diffret_core.ranking import combined_scores
from diffret_core.scores import METHODS, score_all

captions = [caption for caption, _ in samples.collection.pairs("test")]
own = torch.arange(len(captions))  # sentence i describes video i
with torch.no_grad():
    texts = model.encode_texts(captions)
test = score_all(model, texts, videos, progress=progress.counting("generating for the test queries"))
chosen = model.config.scoring
weights = {"alpha": chosen.alpha, "temperature": chosen.temperature}

S, (items, samples_of) = test["text_to_video"]
mine = fused_scores(S[644], items[644], samples_of[644], **weights)
package = combined_scores(S[[644]], items[[644]], samples_of[[644]], **weights)[0]
assert torch.allclose(mine, package, atol=1e-6)
print("similarity", tuple(S.shape), "  candidates", tuple(items.shape), "  sample", tuple(samples_of.shape))
print(f"our query: the same to 6 decimals, with alpha {chosen.alpha:g} and temperature {chosen.temperature:g}")

# %% [markdown]
# ## Chosen where?
#
# Who chose these two numbers? 54 pairs were tried on **validation**: 1,000 other videos, with features in this copy.
# *Every* arm of every study below gets the same 54 trials, also the one without noise. Here are all trials, on both
# lists.

# %%
from diffret_core.evaluation import ALPHAS, TEMPERATURES, direction_ranks
from diffret_core.galleries import feature_folder, kept_gallery
from diffret_core.training.run_data import like_the_test

path = feature_folder(samples.collection, "validation").with_suffix(".safetensors")
held_out = kept_gallery(path, model, like_the_test(samples.collection), "validation")
counting = progress.counting("generating for the validation queries")
validation = score_all(model, held_out.texts, held_out.videos, progress=counting)
print("validation", tuple(validation["text_to_video"].similarity.shape))


# %%
def first_at(scores, alpha, temperature):  # is the target first? [2Q]: texts ask, then videos ask
    found = []
    for rows, (items, sample) in scores.values():
        fused = rows.gather(1, items) + alpha * torch.softmax(temperature * sample, dim=1)  # [Q, N]
        is_own = items == torch.arange(len(items))[:, None]
        target = fused.masked_fill(~is_own, -torch.inf).amax(dim=1, keepdim=True)
        found.append((fused >= target).sum(dim=1) == 1)  # a tie counts against the target
    return torch.cat(found)


trials = [(alpha, temperature) for alpha in ALPHAS for temperature in TEMPERATURES]
hits = {
    name: torch.stack([first_at(scores, *trial) for trial in trials])  # [54, 2Q]
    for name, scores in (("validation", validation), ("test", test))
}
by_package = [direction_ranks(test, one, "combined", own, chosen) == 1 for one in test]
assert torch.equal(torch.cat(by_package), first_at(test, **weights))
for name, one in hits.items():
    print(f"{name:10} {tuple(one.shape)} {one.dtype}")
print("only candidates can come first, so N scores are enough; the same as the package")

# %%
from diffret_core.course.curves_figure import Curve, curves_figure
from diffret_core.course.style import COMBINED, INK, SIMILARITY

recall = {name: 100 * one.double().mean(dim=1) for name, one in hits.items()}
alone = {}
for name, scores in (("validation", validation), ("test", test)):
    both_ways = torch.cat([metrics.target_ranks(one.similarity, own) for one in scores.values()])
    alone[name] = metrics.retrieval_metrics(both_ways)["R@1"]
at = [trials.index((alpha, chosen.temperature)) for alpha in ALPHAS]
lines = {
    "test": Curve((recall["test"][at] - alone["test"]).tolist(), COMBINED),
    "validation": Curve((recall["validation"][at] - alone["validation"]).tolist(), INK, "dash"),
    "similarity": Curve([0.0] * len(at), SIMILARITY, "dot"),
}
title = f"Gain by weight, temperature {chosen.temperature:g}, both directions together"
drawn = curves_figure(ALPHAS, lines, title=title, across="alpha", up="points of R@1 over the similarity")
show.figure(drawn, "Sample collection, not a benchmark. Dashed: validation, which chooses. Solid: test, which judges.")

# %% [markdown]
# **What to see.** Do both lines rise and fall alike? Then the best weight on one is good on the other. Where they do
# not, the best weight on test is partly luck.
#
# ### Exercise 2: the honest number, and the other one
#
# *medium · 6 minutes*
#
# `validation` is `[A, Q]`, `test` is `[A, R]`: a row per trial, True where the target is first. Return two numbers:
# R@1 on test, in percent, of the trial that is best on validation; and by how many points the best trial **on test**
# looks better than that.


# %% tags=["exercise", "nbval-check-output"]
def honest_choice(validation, test):
    return ...  # your code: honest, optimism


honest_choice = check.answer("honest_choice", honest_choice)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `validation.double().mean(dim=1).argmax()` is the number of the honest trial.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Compute R@1 of all trials on test once; read the honest one from it, then its maximum minus that.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def honest_choice(validation, test):
#     recall = 100 * test.double().mean(dim=1)
#     honest = recall[validation.double().mean(dim=1).argmax()].item()
#     return honest, recall.max().item() - honest
# ```
#
# </details>

# %%
honest, optimism = honest_choice(hits["validation"], hits["test"])
best = (recall["validation"] == recall["validation"].max()).nonzero()[:, 0]
print(f"best on validation, of 54: alpha and temperature {', '.join(str(trials[trial]) for trial in best)}")
print(f"R@1 on test {honest:.2f} with the first of these; the best of 54 on test looks {optimism:+.2f} better")
print(f"the package breaks a tie by the mean rank: {(chosen.alpha, chosen.temperature)}")
rng, on_same, on_other = numpy_generator(0, "halves"), [], []
pairs = len(captions)
for _ in range(200):  # again and again: choose on one half of the test pairs, judge on either half
    order = torch.as_tensor(rng.permutation(pairs))
    one, other = (torch.cat([half, half + pairs]) for half in order.chunk(2))
    best = hits["test"][:, one].double().mean(dim=1).argmax()
    on_same.append(100 * float(hits["test"][best, one].double().mean()))
    on_other.append(100 * float(hits["test"][best, other].double().mean()))
print(f"200 random halves: judged where chosen {np.mean(on_same):.2f}, elsewhere {np.mean(on_other):.2f}")
print(f"optimism of choosing on the test, 54 looks, 500 pairs: {np.mean(on_same) - np.mean(on_other):+.2f} points")

# %% [markdown]
# These were 54 looks at rankings that are nearly alike, judged on half of the test; on all of it chance, and with it
# the optimism, is smaller. Still, compare it with the gains below: had only the new method been tuned, and on the
# test, it would start with such a lead. (How it grows with the looks is in [notebook
# 03](03_similarity_and_metrics.ipynb).)
#
# ## The gain, query by query

# %%
ranks = {(one, method): direction_ranks(test, one, method, own, chosen) for one in test for method in METHODS}


def interval_of(ranks):
    return metrics.bootstrap_interval(ranks, numpy_generator(0, "bootstrap"))


WAY = {"text_to_video": "text-to-video ", "video_to_text": "video-to-text "}
print("sample collection, shipped model; R@1 with its 95 % interval, and the gain over the similarity")
for (direction, method), of_queries in ranks.items():
    measured, (low, high) = metrics.retrieval_metrics(of_queries), interval_of(of_queries)
    print(f"{WAY[direction]} {method:11} {measured['R@1']:5.1f} ({low:.1f} to {high:.1f})", end="   ")
    before = ranks[direction, "similarity"]
    gain = measured["R@1"] - metrics.retrieval_metrics(before)["R@1"]
    ends = metrics.paired_bootstrap_interval(of_queries, before, numpy_generator(0, "paired bootstrap"))
    print("" if method == "similarity" else f"{gain:+.1f} ({ends[0]:+.1f} to {ends[1]:+.1f})")

# %% [markdown]
# Do not compare the intervals of the second column. Both methods answered the *same* queries, and mostly alike; what is
# hard for both cancels in the difference (more in [notebook 12](12_full_training_and_benchmarks.ipynb)). Only the last
# column decides.
#
# With several **seeds** there are several trained networks, and each answers all queries. A query is then drawn with
# the answers of all seeds.
#
# ### Exercise 3: a paired interval over seeds
#
# *medium · 8 minutes*
#
# `hits_a` and `hits_b` are `[S, Q]`: a row per seed, True where the target is first. `drawn` is `[R, Q]`: in each row
# the numbers of the queries that one resample holds. Return both ends of the middle 95 % of R@1 of a minus R@1 of b
# (mean over the seeds, in points), over the R resamples.


# %% tags=["exercise", "nbval-check-output"]
def paired_interval(hits_a, hits_b, drawn):
    return ...  # your code: low, high


paired_interval = check.answer("paired_interval", paired_interval)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# First one number per query: `100 * (hits_a.double().mean(dim=0) - hits_b.double().mean(dim=0))`, `[Q]`.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Indexed with `drawn` it becomes `[R, Q]`; its mean along each row is a resample. `np.percentile(..., [2.5, 97.5])`.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def paired_interval(hits_a, hits_b, drawn):
#     difference = 100 * (hits_a.double().mean(dim=0) - hits_b.double().mean(dim=0))
#     low, high = np.percentile(difference[drawn].mean(dim=1).numpy(), [2.5, 97.5])
#     return float(low), float(high)
# ```
#
# </details>

# %%
drawn = torch.as_tensor(numpy_generator(0, "resamples").integers(0, pairs, size=(2000, pairs)))
for direction in test:
    after, before = (ranks[direction, method][None] for method in ("combined", "similarity"))  # [1, Q]: one seed
    low, high = paired_interval(after == 1, before == 1, drawn)
    generator = numpy_generator(0, "paired bootstrap")
    package = metrics.paired_bootstrap_interval_over_seeds(after, before, generator)
    assert max(abs(low - package[0]), abs(high - package[1])) < 0.5  # other draws
    each = [interval_of(one[0]) for one in (after, before)]
    unpaired = math.hypot(*((one[1] - one[0]) / 2 for one in each))
    print(f"{WAY[direction]} yours {low:+.1f} to {high:+.1f}, package {package[0]:+.1f} to {package[1]:+.1f}")
    print(f"{'':14} half as wide as {unpaired:.1f} points if of two separate tests; paired {(high - low) / 2:.1f}")

# %% [markdown]
# ## One model is not a method
#
# Another seed is another network, and another gain. So there are **studies**: declared grids of trainings, cell by
# cell, all from one stage 1 but for the study `first_stage`; `diffret study training` computes the largest, ten minutes
# a cell on a free core. This notebook reads the tables that are in this copy and says what is missing.

# %%
from diffret_core.config import DIRECTIONS
from diffret_core.locations import sample_folder

tables = evidence.shipped_studies(sample_folder())
print(*evidence.finished_lines(tables, ("training", "sampling", "scoring", "first_stage")), sep="\n")

# %% [markdown]
# The baseline arm is the recipe of the shipped model. Its gain over the similarity: mean over the seeds, interval over
# queries, then each seed for itself. An interval over queries does **not** know how far seeds lie apart; look at both.

# %%
print("combined and generator minus similarity, baseline of the study, test (sample collection)")
for direction in DIRECTIONS:
    for method in ("combined", "generator"):
        pair = ("baseline", method), ("baseline", "similarity")
        told = evidence.told(evidence.compared(tables, "training", *pair, direction))
        print(f"{WAY[direction]} {method:10} {told}")

# %% [markdown]
# ## The ceiling
#
# The generator puts N candidates in order. A video that the similarity did not propose can never come first. So recall
# at N of the similarity is the most that any re-ranker can reach. Test is live; the other lists, 300 pairs each, come
# with the study.

# %%
from diffret_core.course.ceiling_figure import ceiling_figure, reach

lists = {f"test, {one.replace('_', ' ')}": ranks[one, "similarity"] for one in DIRECTIONS}
if "training" in tables:
    for (_, _, name, direction, method), of_queries in tables["training"].ranks.items():
        if method == "similarity" and name != "test":  # all arms have the same
            lists[f"{name.replace('_', ' ')}, {direction.replace('_', ' ')}"] = of_queries
N = model.config.scoring.num_candidates
show.figure(
    ceiling_figure(lists, sorted({1, 2, 3, 5, 8, 16, 32, 64, 128, N}), used=N),
    "Sample collection, not a benchmark. Percent of the queries: those where the similarity is right already, those "
    "whose video is among the first N, and those where no re-ranker of N candidates can help.",
)
for name, of_queries in lists.items():
    found = reach(of_queries, N)
    print(f"{name:30} at most {found.among:.1f} points to gain, {found.beyond:.1f} % out of reach")

# %% [markdown]
# **What to see.** The slider stands at the N that is used; move it to 1 and up again. How soon does the grey shrink?
# Where it stays large, more training of the re-ranker is wasted: the *similarity* has to improve. More candidates also
# mean more rivals, so a larger N need not help; the forest plot below has arms for that.
#
# ## Is it the noise?
#
# Stage 2 adds a trained network, other training videos, hard negatives, *and* diffusion. Any of these may be what
# helps. The control experiment changes one thing: **the same network, candidates, negatives, loss and steps, trained
# and used without noise**. It sees x = 0 and answers in one pass. We found no public code with this arm. (The recipe
# was found with noise on; nobody has looked for a better one without. If this arm loses narrowly, keep that in mind.)

# %%
both = {
    (one, method): evidence.compared(tables, "training", ("baseline", method), ("without_noise", method), one)
    for one in DIRECTIONS
    for method in ("combined", "generator")
}
difference = both["text_to_video", "combined"]
if difference is None:
    print("not computed yet: `diffret study training --arms baseline,without_noise`")
else:
    mean = {
        arm: tables["training"].mean("R@1", arm=arm, list="test", direction="text_to_video", method="combined")
        for arm in ("baseline", "without_noise")
    }
    predict.number(
        f"With noise, the combined score puts {mean['baseline']:.1f} % of the videos first (text to video). "
        "And the same network without noise?",
        truth=round(mean["without_noise"], 1),
        low=max(0, math.floor(mean["baseline"]) - 15),
        high=min(100, math.ceil(mean["baseline"]) + 15),
        step=0.1,
    )

# %%
from diffret_core.course.gains_figure import Gain, gains_figure

gains = {}
for direction in DIRECTIONS:
    for name, mine, other in (
        ("with noise − similarity", ("baseline", "combined"), ("baseline", "similarity")),
        ("without − similarity", ("without_noise", "combined"), ("without_noise", "similarity")),
        ("with − without", ("baseline", "combined"), ("without_noise", "combined")),
    ):
        found = evidence.compared(tables, "training", mine, other, direction)
        print(f"{WAY[direction]} {name:24} {evidence.told(found)}")
        if found is not None:
            gains[f"{direction.replace('_', ' ')}: {name}"] = Gain(*found[:3])
if gains:
    title = "With and without noise, combined scores, test"
    caption = "Sample collection, not a benchmark. Dots: points of R@1, mean over the seeds that are finished. Lines: "
    caption += "95 % intervals over queries, paired. The third row of each direction is the question."
    show.figure(gains_figure(title, gains, across="points"), caption)

# %% [markdown]
# **What to see.** Read the *third* row of each direction, with − without. The first may be clear of 0 and the second
# not, and still nothing is shown about noise: *clear against unclear is not a clear difference*. Only the interval of
# the difference answers. If it holds 0, then one may say "a trained re-ranker" where the paper says "diffusion", until
# more queries or seeds decide.
#
# The generator alone, which ranks by its own sample:

# %%
for (direction, method), found in both.items():
    print(f"{WAY[direction]} {method:10} with minus without noise: {evidence.told(found)}")

# %% [markdown]
# ## One thing at a time
#
# Every other choice of the recipe, too, has arms: each differs from the baseline in **one** setting. The slider changes
# what is compared and on which list: *against the baseline* asks whether that setting matters, *against the similarity*
# whether the arm is worth having at all.

# %%
from diffret_core.course.forest_figure import forest_figure

rows = evidence.forest_rows(tables)
effects = {words: [evidence.effects_of(tables, row, view) for row in rows] for words, view in evidence.VIEWS.items()}
show.figure(
    forest_figure(rows, effects),
    "Sample collection, not a benchmark. Discs: text to video, diamonds: video to text; mean over the seeds "
    "that are finished. Lines: 95 % interval over queries, paired. Thin strokes: single seeds. Right of 0 is "
    "better. Grey words: not computed yet. The shifted and unseen lists have 300 pairs: longer lines.",
)

# %% [markdown]
# The rows *start* are a variant of this project's, not the paper's: a walk that starts from what the similarity says,
# noised to level 1, 5, 10 or 25, instead of from noise at level 50, and takes as many steps fewer. The network is the
# baseline's, not trained again.
#
# **What to see.** First where the lines *end*: an effect beyond the ends is unlikely, so a short line around 0 says
# that the setting hardly matters, a long one says little. Then whether discs and diamonds agree. Then strokes: where
# seeds lie further apart than the line is long, the line, which knows queries only, says too little.
#
# Many rows are compared. If nothing mattered at all, one interval in twenty would still lie off 0, and not one by one:
# all arms share one baseline, and if that is unlucky, all look better. So count:

# %%
for words in list(evidence.VIEWS)[:2]:
    known = [
        (row, direction, one)
        for row, both_ways in zip(rows, effects[words], strict=True)
        for direction, one in both_ways.items()
        if one.low < one.high  # the baseline against itself has no interval
    ]
    clear = [each for each in known if each[2].verdict != "not decided"]
    print(f"{words}: {len(clear)} of {len(known)} intervals lie off 0; by chance alone about {0.05 * len(known):.0f}")
    clear.sort(key=lambda each: -max(each[2].low, -each[2].high))  # the furthest off first
    for row, direction, one in clear[:10]:
        print(f"   {row.study:9}{row.arm.name:16} {WAY[direction]} {evidence.told(one)}")
    if len(clear) > 10:
        print(f"   and {len(clear) - 10} more")

# %% [markdown]
# ## What needs no training at all
#
# Some items are **hubs**: near to many queries, and so often wrongly first. *QB-norm* asks a bank of training queries,
# and where a search finds first what comes first for some of these, it scores the items anew, against the bank. (Its β
# is the published 20; nothing was chosen for it here.) *Dual softmax* looks at all the other **test** queries, which
# nobody has who searches: it compares with no other row. Live, with the shipped model:

# %%
from diffret_core.evaluation import Normalisation, ranks_of_rows
from diffret_core.normalisation import BETA, query_bank
from diffret_core.querybanks import bank_captions, bank_videos

asking_texts = bank_captions(model, samples.collection, num_queries=5000, without=())
asking_videos = bank_videos(model, samples.collection, without=())  # those with features in this copy
print("bank of captions", tuple(asking_texts.sentence.shape), "  of videos", tuple(asking_videos.frames.shape))

# %%
comparing = progress.counting("asking with the bank")
with torch.no_grad():
    asked = model.similarity(asking_texts, videos, progress=comparing)
bank_of_texts = query_bank(asked)
first = asked.argmax(dim=1).bincount(minlength=len(own))  # for how many captions of the bank each video comes first
print("log-sum", tuple(bank_of_texts.log_sum.shape), f"  first for some caption: {int(bank_of_texts.is_hub.sum())}")
print(f"a video comes first for {first.double().mean():.0f} captions of the bank on average, at most for {first.max()}")

# %%
with torch.no_grad():
    bank_of_videos = query_bank(model.similarity(texts, asking_videos).T)
banks = {"text_to_video": {"similarity": bank_of_texts}, "video_to_text": {"similarity": bank_of_videos}}
print("sample collection; R@1 minus that of the similarity, with its paired 95 % interval")
for direction in DIRECTIONS:
    found = ranks_of_rows(test, direction, own, chosen, normalisation=Normalisation(BETA, banks))
    for method in [name for name in found if name not in ("similarity", "generator")]:
        of_queries = found[method]
        gain = metrics.retrieval_metrics(of_queries)["R@1"] - metrics.retrieval_metrics(found["similarity"])["R@1"]
        draw = numpy_generator(0, "paired bootstrap")
        low, high = metrics.paired_bootstrap_interval(of_queries, found["similarity"], draw)
        mark = "  (uses the other test queries)" if "dual" in method else ""
        print(f"{WAY[direction]} {method:26} {gain:+.1f} ({low:+.1f} to {high:+.1f}){mark}")

# %% [markdown]
# And the study `scoring`, which asks the study's own baselines, with banks of 5,000 for both directions:

# %%
questions = {
    "QB-norm − similarity": ("similarity + QB-norm", "similarity"),
    "combined − QB-norm": ("combined", "similarity + QB-norm"),
    "both − combined": ("combined + QB-norm", "combined"),
    "dual softmax − similarity": ("similarity + dual softmax", "similarity"),
    "dual softmax, combined − alone": ("combined + dual softmax", "similarity + dual softmax"),
}
for direction in DIRECTIONS:
    for name, (mine, other) in questions.items():
        found = evidence.compared(tables, "scoring", ("baseline", mine), ("baseline", other), direction)
        print(f"{WAY[direction]} {name:31} {evidence.told(found)}")

# %% [markdown]
# ## Or more data for the similarity?
#
# Stage 2 costs training videos and steps. What if stage 1 had had them? The study `first_stage` trains it on all 8,000
# videos, from scratch with each seed, with 500 more steps in place of stage 2.

# %%
first_stages = tables["first_stage"].rows if "first_stage" in tables else []
tested_alone = [row for row in first_stages if (row["list"], row["method"]) == ("test", "similarity")]
for arm, said in {"baseline": "half of the videos", "all_videos": "all videos"}.items():
    for direction in DIRECTIONS:
        own = [row for row in tested_alone if (row["arm"], row["direction"]) == (arm, direction)]
        by_seed = ", ".join(f"{row['seed']}: {row['R@1']:.1f}" for row in own)
        print(f"{said:18} {WAY[direction]} similarity by seed  {by_seed}")
alone, ours = ("all_videos", "similarity"), ("baseline", "combined")
compared = {"its gain, by data alone": (alone, ("baseline", "similarity")), "combined − that similarity": (ours, alone)}
compared["the generator's gain"] = (ours, ("baseline", "similarity"))
for name in ("test", "shifted", "unseen_pairs"):
    for question, (mine, other) in compared.items():
        for direction in DIRECTIONS:
            found = evidence.compared(tables, "first_stage", mine, other, direction, name=name)
            print(f"{name:12} {WAY[direction]} {question:27} {evidence.told(found)}")

# %% [markdown]
# **What to see.** Do all the videos make a better similarity, and is it better than a stage 2 behind one that saw
# half? Do both help at the same places: compare test with the shifted drawing style. And does the generator gain behind
# stages 1 that it was not tuned on? Then look at the seeds in brackets: here each of them trains everything from
# scratch, stage 1 included. Where they lie far apart, **the luck of a training may be as large as what is asked**. The
# intervals do not hold it: they draw queries anew, not trainings.
#
# ## Mended and broken
#
# A gain is a difference of two numbers: queries that are **mended** minus queries that are **broken**.

# %%
from diffret_core.course.cases import mended_and_broken, wrong_about

cases = {one: mended_and_broken(ranks[one, "similarity"], ranks[one, "combined"]) for one in DIRECTIONS}
mended, broken = cases["text_to_video"]
predict.number(
    f"The combined score puts {len(mended)} videos first that the similarity had not put first. Of how many other "
    "sentences does it lose the first place?",
    truth=len(broken),
    low=0,
    high=200,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# Where similarity and generator disagree, both are unsure: those are the close calls. If the generator were a coin
# there, as many would break as are mended. A re-ranker is worth what it is better than that coin.
#
# </details>
#
# ### Exercise 4: the sign test
#
# *hard · 8 minutes*
#
# Suppose the generator *is* that coin: each changed query is mended or broken with equal chance. `mended` and `broken`
# are whole numbers. Return the chance of a result at least as uneven as this, whoever wins; at most 1.


# %% tags=["exercise", "nbval-check-output"]
def sign_test(mended, broken):
    return ...  # your code


sign_test = check.answer("sign_test", sign_test)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# Of n = mended + broken coins exactly i show heads in `math.comb(n, i)` of `2**n` cases.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Add up i = 0 to the smaller of both numbers, that one included. Twice that counts both sides; cut it off at 1.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def sign_test(mended, broken):
#     n, fewer = mended + broken, min(mended, broken)
#     return min(1.0, 2 * sum(math.comb(n, i) for i in range(fewer + 1)) / 2**n)
# ```
#
# </details>

# %%
for direction, (right, wrong) in cases.items():
    chance = sign_test(len(right), len(wrong))
    gain = 100 * (len(right) - len(wrong)) / pairs
    print(f"{WAY[direction]} mended {len(right)}, broken {len(wrong)}: {gain:+.1f} points;", end=" ")
    print(f"a coin is as uneven in {100 * chance:.1f} % of all cases")

# %% [markdown]
# Nearly the question of the paired interval, in whole numbers; where few queries change they may disagree, and this one
# is exact. Now look at them: the first two of each kind, by number; mended on the left, broken on the right.

# %%
fused = combined_scores(S, items, samples_of, **weights)
titles = {}
for right, wrong in zip(mended[:2].tolist(), broken[:2].tolist(), strict=False):
    titles |= {right: "mended", wrong: "broken"}
show.cases(samples, titles, S, fused)

# %% [markdown]
# **What to see.** Compare the two videos that change places. Would you have known, from one frame? From all of them?
#
# What was mistaken for what? Scenes are known here, so it can be *proved*: which single thing has to be left out of the
# sentence to make it true of the wrong video?

# %%
from diffret_core.scenes.unmatched import annotated_videos

known = annotated_videos(samples.video_ids)
assert [one.captions[0].text for one in known] == captions
wrong = {
    "before": S.argmax(dim=1),  # the first video by similarity
    "after": fused.argmax(dim=1),  # and by both
}
claims, scenes = [one.captions[0].claim for one in known], [one.scene for one in known]
about = {
    name: [wrong_about(claim, scenes[video]) for claim, video in zip(claims, first.tolist(), strict=True)]
    for name, first in wrong.items()
}
still = ((ranks["text_to_video", "similarity"] > 1) & (ranks["text_to_video", "combined"] > 1)).nonzero()[:, 0]
parts = (("before", mended), ("after", broken), ("after", still))
columns = [Counter(about[name][query] for query in queries.tolist()) for name, queries in parts]
print(f"{'wrong about':16}{'mended':>8}{'broken':>8}{'wrong before and after':>25}")
for name in sorted({*columns[0], *columns[1], *columns[2]}, key=lambda name: -columns[2][name]):
    counts = [column[name] for column in columns]
    print(f"{name:16}{counts[0]:8}{counts[1]:8}{counts[2]:25}")

# %% [markdown]
# And by what the video shows: the gain among the queries of each kind, with its interval.

# %%
KINDS = {
    "motion": "one object, one motion",
    "order": "two motions in order",
    "pair": "two objects at once",
    "turns": "two objects in turn",
    "relation": "where two objects are",
}
by_kind = {}
for kind, words in KINDS.items():
    some = torch.tensor([one.scene.kind == kind for one in known])
    after, before = (ranks["text_to_video", method][some] for method in ("combined", "similarity"))
    points = 100 * float((after == 1).double().mean() - (before == 1).double().mean())
    ends = metrics.paired_bootstrap_interval(after, before, numpy_generator(0, "paired bootstrap"))
    gained = by_kind[f"{words} ({len(after)})"] = Gain(points, *ends)
    print(f"{words:24} similarity R@1 {100 * float((before == 1).double().mean()):5.1f}   gain {gained}")
show.figure(
    gains_figure("Combined minus similarity, text to video, by what is shown", by_kind, across="points"),
    "Sample collection, not a benchmark; shipped model. In brackets: how many queries. With five rows, in about "
    "a quarter of such figures one of them lies off 0 by chance.",
)

# %% [markdown]
# **What to see.** Where is the similarity weakest? There is most to mend. Does the generator gain *there*, or where
# little is left? A re-ranker reads the same frame features as the similarity: what they do not hold it cannot see.
#
# ## The verdict
#
# Seven questions, each answered by one paired interval per direction. *Helps* or *hurts* only where the interval is
# clear of 0; else *not decided*. With fewer than 3 seeds it is a lead, no verdict. These are fourteen intervals: if
# nothing mattered, every second page would show a *helps* or *hurts* (0.95¹⁴ = 0.49), so trust what both directions
# say.

# %%
verdict = {
    "Does the generator help the similarity?": ("training", ("baseline", "combined"), ("baseline", "similarity")),
    "Also with a new stage 1 for each seed?": ("first_stage", ("baseline", "combined"), ("baseline", "similarity")),
    "Does the same network without noise?": (
        "training",
        ("without_noise", "combined"),
        ("without_noise", "similarity"),
    ),
    "Does the noise help?": ("training", ("baseline", "combined"), ("without_noise", "combined")),
    "Does one step from the similarity do better than 50 from noise?": (
        "sampling",
        ("start_1", "combined"),
        ("baseline", "combined"),
    ),
    "Do both stages beat a similarity that had all the videos?": (
        "first_stage",
        ("baseline", "combined"),
        ("all_videos", "similarity"),
    ),
    "Does the generator beat QB-norm?": ("scoring", ("baseline", "combined"), ("baseline", "similarity + QB-norm")),
}
print("SAMPLE COLLECTION, not a benchmark; R@1 on test, mean over seeds")
for question, (study, mine, other) in verdict.items():
    print(question)
    for direction in DIRECTIONS:
        print(f"   {WAY[direction]} {evidence.told(evidence.compared(tables, study, mine, other, direction))}")

# %% [markdown]
# These lines are as good as what they rest on: one collection of drawn scenes, one small model, and but for the study
# `first_stage` one stage 1. What holds on a real benchmark is found out there: `diffret study training --recipe msrvtt
# --data ... --stage1 ...` runs the same arms on it, and writes the same kind of table.

# %% [markdown]
# ## What you can now say
#
# - The combined score adds a weighted probability to the candidates' similarity. Weight and temperature are chosen on
#   validation, with as many trials for every arm; the test is read once.
# - A gain is an interval of differences on the same queries, over several seeds, with the seeds' spread beside it.
# - No re-ranker gets beyond recall at N of what proposes its candidates.
# - Whether *diffusion* helps is answered by the same network without noise, and by nothing else.
# - Many arms, many intervals: some lie off 0 by chance. "Not decided" is a result.

# %% [markdown]
# ## Quiz

# %%
quiz.show("09")

# %% [markdown]
# **Next.** So far every query had its video. What does the model say when *nothing* matches: a colour that no video
# shows, an everyday sentence, another language? [Notebook 10](10_out_of_distribution.ipynb) asks
# that. How the real benchmarks are run is in [notebook 12](12_full_training_and_benchmarks.ipynb).
#
# The code behind this notebook: [both scores](../diffret_core/ranking.py), [choosing and
# judging](../diffret_core/evaluation.py), [intervals](../diffret_core/metrics.py), [what an arm is
# worth](../diffret_core/studies/effects.py), [the studies](../diffret_core/studies/training.py).
