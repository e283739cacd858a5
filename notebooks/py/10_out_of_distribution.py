# %% [markdown]
# # 10 · What happens off the map?
#
# **Goal.** The paper reports good results on out-domain data. You test on our samples: does generating help where data
# are unlike those of training, and more than elsewhere? Then you build a detector of queries that match nothing, and
# measure what it misses.
#
# | | |
# |---|---|
# | you need | ranks, intervals, leaks (notebook 03), softmax against joint (05), draws and samples (08) |
# | time | 60 minutes with the exercises; Run All takes about a minute |
# | hardware | any computer; no GPU, no network |
# | in the paper | its second motive, out-of-distribution data; detection is this project's own addition |
#
# Just opened? Choose **Run → Run All Cells** first. Letters such as N and $x_0$ are in the [table of
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

from diffret_core.config import DIRECTIONS
from diffret_core.course import check, evidence, predict, progress, quiz, setup, show

samples = setup.open_samples()
model, videos, scoring = samples.model, samples.videos, samples.model.config.scoring
scale = float(model.logit_scale.detach())
captions = [caption for caption, _ in samples.collection.pairs("test")]

# %% [markdown]
# ## Two ways to leave the map
#
# A model has a map: what it was trained on. One can leave it in two ways.
#
# 1. **Transfer.** The query *has* an answer, but everything looks unlike training. Is it still found?
# 2. **Detection.** The query has *no* answer. Does the model notice?
#
# First transfer. The sample collection has two test lists for it, of 300 pairs each. Here are three videos of each,
# below three of the usual kind.

# %%
from html import escape

from IPython.display import HTML

from diffret_core.course.cells import rows_of_cells
from diffret_core.course.thumbnails import thumbnail_html
from diffret_core.datasets import read_collection
from diffret_core.locations import sample_folder

files = {"shifted style": "MSRVTT_shifted_test.csv", "unseen pairs": "MSRVTT_unseen_pairs_test.csv"}
lists = {name: read_collection("msrvtt", sample_folder(), test_list=file) for name, file in files.items()}


def cards(collection, pairs):
    """A cell for each pair: the video above its caption."""
    pictures = [thumbnail_html(collection.video_path(video), title=text) for text, video in pairs]
    return [f"{one}<br>{escape(text)}" for one, (text, _) in zip(pictures, pairs, strict=True)]


shown = {"usual": samples.collection, **lists}
rows = [[f"<b>{name}</b>", *cards(one, one.pairs("test")[:6:2])] for name, one in shown.items()]
HTML(rows_of_cells(rows, style="padding:4px; font-size:12px", cell_width=140))

# %% [markdown]
# - **Shifted style**: the same kind of scenes and sentences, but drawn otherwise (textures, outlines, other colours,
#   patterned backgrounds).
# - **Unseen pairs**: drawn as usual, but with a pair of shape and colour that no training video shows together. Each
#   shape and each colour alone is well known.
#
# Both lists have to be looked at: decoded and encoded. That takes seconds the first time; then the features are kept.

# %%
from diffret_core.galleries import encode_captions, encode_video_files, feature_folder
from diffret_core.scenes.vocabulary import UNSEEN_PAIRS


def encoded(collection):
    text = encode_captions(model, [caption for caption, _ in collection.pairs("test")])
    paths = [collection.video_path(video) for video in collection.video_ids("test")]
    counting = progress.counting("looking at the videos, once")
    folder = feature_folder(collection, "test")
    return text, encode_video_files(model, paths, cache_folder=folder, progress=counting)


galleries = {"shifted style": [encoded(lists["shifted style"])]}

# %%
galleries["unseen pairs"] = [encoded(lists["unseen pairs"])]
texts = encode_captions(model, captions)
unseen = [f"{colour} {shape}" for shape, colour in sorted(UNSEEN_PAIRS)]
print("never together in training:", ", ".join(unseen))
for name, ((text, video),) in galleries.items():
    print(f"{name:14} texts {tuple(text.sentence.shape)}  videos {tuple(video.frames.shape)}")

# %% [markdown]
# To compare fairly, the *usual* test needs galleries of the same size (notebook 03: a number needs its gallery). So we
# cut three galleries of 300 out of it, and ask each with its own 300 sentences.
#
# Each list is then ranked three ways, in both directions: by similarity, by the generator, and by both added
# (*combined*).

# %%
from diffret_core.evaluation import direction_ranks
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.scores import METHODS, score_all


def ranks_in(text, video):
    scores, own = score_all(model, text, video), torch.arange(len(text.words))
    ways = [(direction, method) for direction in DIRECTIONS for method in METHODS]
    return {way: direction_ranks(scores, *way, own, scoring) for way in ways}


parts = [slice(first, first + 300) for first in (0, 300, 600)]
text_parts = [TextFeatures(*(one[part] for one in texts)) for part in parts]
usual = list(zip(text_parts, (VideoFeatures(*(one[part] for one in videos)) for part in parts), strict=True))
ranks = {}
for name, some in {"usual": usual, **galleries}.items():
    found = [ranks_in(*gallery) for gallery in some]
    ranks[name] = {way: torch.cat([one[way] for one in found]) for way in found[0]}
print(f"R@1 in percent{'':19} {'similarity':>10} {'generator':>10} {'combined':>10}")
for name, own in ranks.items():
    for direction in DIRECTIONS:
        recalls = [100 * float((own[direction, method] == 1).float().mean()) for method in METHODS]
        print(f"{name:14} {direction:18}", *(f"{recall:10.1f}" for recall in recalls))

# %% [markdown]
# Read down a column: how much does the model lose off the map? Read across a row: does the generator help there? The
# second is a question of small differences, so it needs intervals.
#
# ## Part one: does it help off the map?
#
# The same queries, two ways of ranking: a paired bootstrap (notebook 03). And a rule, made *before* looking: the
# generator *helps* if the whole interval is above 0, *hurts* if all of it is below; else it is *not decided*.

# %%
from diffret_core.course.gains_figure import Gain, gains_figure
from diffret_core.metrics import paired_bootstrap_interval
from diffret_core.studies.effects import Effect, gain

gains = {}
for name, own in ranks.items():
    for direction in DIRECTIONS:
        both, alone = own[direction, "combined"], own[direction, "similarity"]
        points = 100 * float((both == 1).float().mean() - (alone == 1).float().mean())
        interval = paired_bootstrap_interval(both, alone, np.random.default_rng(0))
        gains[f"{name}, {direction.replace('_', '-')}"] = Effect(points, *interval, {})
for name, one in gains.items():
    print(f"{name:28} {one!s:22} the generator: {one.verdict}")
drawn = {name: Gain(one.points, one.low, one.high) for name, one in gains.items()}
show.figure(
    gains_figure("Combined minus similarity (samples, one model)", drawn, across="points of R@1, 95 % interval"),
    "Dots: gain of the combined score over the similarity alone, in points of R@1. Lines: 95 % interval, queries "
    "drawn in pairs. Left of the dashed line the generator does harm. Usual: 900 queries; the others: 300.",
)

# %% [markdown]
# **What to see.** Which lines touch the dashed one? Of those nothing is decided. And mind: we looked six times. If the
# generator did nothing anywhere, each verdict would still be wrong with 5 %. At least one of six would be with 26 % if
# they were independent ($1 - 0.95^6$), and with 30 % at most in any case.
#
# ## Part two: does it help *more* than on the map?
#
# "Clear here, not decided there" is no answer: the difference of both gains needs an interval of its own. The lists
# have different queries, so each is resampled by itself. A pair counts with both its directions, since these agree on
# what is hard.


# %%
def gained(own):
    """Of each pair: combined minus similarity, in points, mean of both directions."""
    first = {way: (found == 1).float() for way, found in own.items()}
    each = [first[direction, "combined"] - first[direction, "similarity"] for direction in DIRECTIONS]
    return 100 * torch.stack(each).mean(dim=0).numpy()


rng, more = np.random.default_rng(0), {}
of_pairs = {name: gained(own) for name, own in ranks.items()}
resampled = {name: rng.choice(one, size=(5000, len(one))).mean(axis=1) for name, one in of_pairs.items()}
for name in lists:
    low, high = np.percentile(resampled[name] - resampled["usual"], [2.5, 97.5])
    points = float(of_pairs[name].mean() - of_pairs["usual"].mean())
    more[name] = Effect(points, float(low), float(high), {})
words = {"helps": "larger there", "hurts": "smaller there", "not decided": "not decided"}
for name, one in more.items():
    print(f"gain on {name} minus gain on the usual test: {one}: {words[one.verdict]}")

# %% [markdown]
# That is one trained model: a lead, no verdict. The study `training` of this project trains several seeds of stage 2.
# The next cell reads its table where it comes with the samples, by the functions of notebook 09, and asks both
# questions over the seeds. (There the usual gallery has 1,000 videos, the others 300.)
#
# **Another benchmark** is the strongest test: train on one, measure on another. The cell does so where data and a
# model are named (`DIFFRET_MODEL` trained on one, `DIFFRET_RECIPE` and the files of the other), and prints similarity,
# generator and combined with intervals.

# %%
from diffret_core.course.real_run import run_if_possible
from diffret_core.studies.transfer import gain_beyond

tables = evidence.shipped_studies(sample_folder())
trained = tables.get("training")
in_table = {"usual": "test", "shifted style": "shifted", "unseen pairs": "unseen_pairs"}

for name, own in in_table.items():
    for direction in DIRECTIONS:
        found = gain(trained, "baseline", direction, name=own) if trained else None
        print(f"{name:13} {direction:14} combined minus similarity: {evidence.told(found)}")
studied = {name: gain_beyond(trained, in_table[name]) if trained else None for name in lists}
for name, found in studied.items():
    print(f"gain on {name} minus gain on the usual test: {evidence.told(found)}")
run_if_possible("evaluate")

# %% [markdown]
# ## Nothing matches
#
# Now the second way. Notebook 05 left a question open: a softmax over candidates cannot say *none of these*. Can
# something else? We need a **score**: one number per query, *higher means more likely off the map*. The simplest takes
# the best similarity and turns its sign.
#
# How good is a score? Take every pair of an unmatched and a matched query. A point if the *unmatched* one scores
# higher, half a point if they are equal. The share of points is the **AUROC**: 1 is perfect, 0.5 is a coin. It needs
# no threshold. Four queries, of which two have an answer:

# %%
from diffret_core import detection

our = 644
odd = ("a dog runs along the beach", "a huge white ring sings")
four = {captions[our]: True, captions[4]: True, **dict.fromkeys(odd, False)}
with torch.no_grad():
    of_four = model.similarity(model.encode_texts(list(four)), videos)  # [4, V]
score = -of_four.amax(dim=1)
assert torch.equal(score, detection.low_maximum(of_four))
for (text, has_answer), best, value in zip(four.items(), of_four.amax(dim=1), score, strict=True):
    kind = "matched  " if has_answer else "unmatched"
    print(f"best similarity {best:.3f}  score {value:.3f}  {kind} {text}")
points = []
for unmatched in score[2:].tolist():
    for matched in score[:2].tolist():
        points.append(1.0 if unmatched > matched else 0.5 if unmatched == matched else 0.0)
        print(f"unmatched {unmatched:.3f} against matched {matched:.3f}: {points[-1]:g}")
assert sum(points) / len(points) == detection.auroc(score[:2], score[2:])
area = sum(points) / len(points)
print(f"AUROC {sum(points):g} / {len(points)} = {area:g}, as in diffret_core.detection")

# %% [markdown]
# ### Exercise 1: count the pairs
#
# *medium · 6 minutes*
#
# `matched` is `[M]`, `unmatched` is `[U]`, both scores. Return the AUROC. Replace the three dots; until you do, the
# notebook uses our answer.


# %% tags=["exercise", "nbval-check-output"]
def count_pairs(matched, unmatched):
    return ...  # your code


count_pairs = check.answer("count_pairs", count_pairs)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `unmatched[:, None] > matched` is `[U, M]`: all pairs at once.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# True counts 1 and False 0 once you call `.float()`. Add half of the equal ones, then take the mean.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def count_pairs(matched, unmatched):
#     higher = (unmatched[:, None] > matched).float()
#     equal = (unmatched[:, None] == matched).float()
#     return (higher + equal / 2).mean()
# ```
#
# </details>
#
# ## Five kinds of nothing
#
# A sentence can match nothing in many ways, so the kinds are kept apart: a mean over them would depend on how many of
# each we wrote. Each is made from the 1,000 test captions or by us.

# %%
from diffret_core.scenes.unmatched import annotated_videos
from diffret_core.studies.kinds import unmatched_kinds

scenes = annotated_videos(samples.video_ids)  # what every test video shows: we drew them, so we know
made = unmatched_kinds(samples.video_ids, captions, measured=True)
kinds = {kind: one.texts for kind, one in made.items()}
for kind, sentences in kinds.items():
    print(f"{kind} ({len(sentences):,})")
    for text in sentences[: 2 * 7 : 7]:
        print(f"    {text}")

# %% [markdown]
# Of *other languages* it is the language that matches nothing: some of those sentences are true of a video. Whether
# shuffled words "match" is a matter of taste; we count them as unmatched.
#
# ## A near miss, and its proof
#
# A **near miss** is a test caption with one attribute changed, so that no video of the gallery matches. No guess is
# needed: every scene is known as data, and a *truth function* says whether a sentence is true of it.

# %%
from diffret_core.scenes.claims import is_true
from diffret_core.scenes.unmatched import near_misses

changed = {one.video_id: one for one in near_misses(scenes)}
miss = changed[samples.video_ids[our]]
for said in (scenes[our].captions[0], miss.caption):
    num_true = sum(is_true(said.claim, one.scene) for one in scenes)
    print(f"true of {num_true} of {len(scenes):,} videos: {said.text}")
print(f"changed: {miss.attribute}\n")
with torch.no_grad():
    of_miss = model.similarity(model.encode_texts([miss.caption.text]), videos)[0]
best = [samples.video_ids[video] for video in of_miss.topk(4).indices.tolist()]
print(f"asked: “{miss.caption.text}”")
print(f"its best similarity is {of_miss.max():.3f}, that of our query {-score[0]:.3f}; its best videos:")
own = cards(samples.collection, [(samples.captions[video], video) for video in best])
HTML(rows_of_cells([own], style="padding:4px; font-size:12px", cell_width=140))

# %% [markdown]
# Each stands above its own caption. **Why near misses are hard:** some video shows nearly all that
# is asked, and a maximum asks only for the nearest.
#
# ## Words that training never saw
#
# Some kinds use words that are in no training caption. This model was trained from scratch, and the token rows that
# training never touched are stored as **zeros** ([decisions](../docs/decisions.md), *Files*). For it such a word is a
# blank with a position. (A CLIP trained on the web has a row for nearly everything.)

# %%
from diffret_core.course.known_words import unknown_pieces, unknown_share

for text in (captions[our], kinds["never seen"][our], kinds["everyday"][0]):
    print(f"“{text}”  never learned: {unknown_pieces(model, text) or 'none'}")
print("\nword pieces never learned, mean share")
blank = {"matched": unknown_share(model, captions)}
blank |= {kind: unknown_share(model, sentences) for kind, sentences in kinds.items()}
for kind, share in blank.items():
    print(f"{kind:16} {100 * float(share.mean()):3.0f} %")

# %% [markdown]
# ## A threshold
#
# A search must decide. The usual rule: choose a threshold that lets 95 % of the *matched* queries pass. Then ask how
# many *unmatched* ones pass too: the **false-positive rate at 95 % recall**.
#
# ### Exercise 2: the lowest threshold that lets enough pass
#
# *medium · 7 minutes*
#
# `matched` is `[M]`. Return the smallest of these scores at which at least the share `recall` of them lies at or
# below it.


# %% tags=["exercise", "nbval-check-output"]
def lowest_threshold(matched, recall):
    return ...  # your code


lowest_threshold = check.answer("lowest_threshold", lowest_threshold)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# Sort upwards. If 4 queries must pass, the answer is the 4th of them.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# How many must pass? `recall * len(matched)`, rounded *up*: `np.ceil`. Equal scores are several queries.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def lowest_threshold(matched, recall):
#     needed = int(np.ceil(recall * len(matched)))
#     return matched.sort().values[needed - 1]
# ```
#
# </details>
#
# Now measure: 200 matched sentences, our query among them, and up to 60 of each kind. The full study below has all.

# %%
asked = torch.arange(our % 5, len(captions), 5)  # every fifth caption, ours among them
some = {kind: sentences[:: max(1, len(sentences) // 60)][:60] for kind, sentences in kinds.items()}
with torch.no_grad():
    others = encode_captions(model, [text for sentences in some.values() for text in sentences])
    similarity = model.similarity(texts, videos)  # [T, V], all 1,000 captions
    rows = torch.cat([similarity[asked], model.similarity(others, videos)])  # [Q, V]
numbers = [len(asked), *map(len, some.values())]
matched, *unmatched = detection.low_maximum(rows).split(numbers)
threshold = float(lowest_threshold(matched, 0.95))
kept = 100 * float((matched <= threshold).float().mean())
print(f"threshold {threshold:.3f}; at or below it {kept:.1f} % of {len(matched)} matched")
for kind, values in zip(some, unmatched, strict=True):
    area, passing = float(count_pairs(matched, values)), float((values <= threshold).float().mean())
    assert abs(area - detection.auroc(matched, values)) < 1e-6
    assert abs(passing - detection.false_positive_rate(matched, values)) < 1e-6
    print(f"{kind:16} AUROC {area:.3f}   passing {100 * passing:3.0f} %")

# %% [markdown]
# ## Twelve scores
#
# | from the similarities | high where |
# |---|---|
# | similarity | the best is low |
# | margin | the best is hardly better than the second |
# | energy: $-\tau \log \sum_j e^{s_j / \tau}$ | nothing is similar |
# | softmax | no item stands out |
#
# | from the generator | high where |
# |---|---|
# | probability | the best candidate gets little |
# | entropy | the generated distribution decides nothing |
# | disagreement | draws from other noise contradict each other |
# | reconstruction k | an answer, noised to level k, is not found again |
#
# The second table is what diffusion could know about a query. The entropy of a distribution is
# $H = -\sum_j p_j \log p_j$: 0 if it is sure, $\log N$ if all candidates are alike.
#
# ### Exercise 3: entropy
#
# *easy · 5 minutes*
#
# `probability` is `[Q, N]`, each row sums to 1. Return the entropy of each row, `[Q]`. A probability of 0 adds nothing.


# %% tags=["exercise", "nbval-check-output"]
def entropy_of_rows(probability):
    return ...  # your code


entropy_of_rows = check.answer("entropy_of_rows", entropy_of_rows)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `0 * log(0)` gives NaN in torch. `torch.xlogy(p, p)` is p log p with 0 at 0.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Add along each row, `dim=1`, and turn the sign.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def entropy_of_rows(probability):
#     return -torch.xlogy(probability, probability).sum(dim=1)
# ```
#
# </details>
#
# ## Predict

# %%
from diffret_core.studies.table import read_study

study = read_study(sample_folder() / "studies" / "ood")
of = {"list": "test", "direction": "text_to_video"}
tested = list(dict.fromkeys(row["method"] for row in study.rows))  # all scores
mean_auroc = {score: study.mean("auroc", **of, method=score, kind="mean") for score in tested}
offered = ("similarity", "softmax", "entropy", "reconstruction 25", "disagreement")
predict.ranking(
    "Which score tells unmatched sentences best, by AUROC, mean over the five kinds? Best first.",
    sorted((score for score in offered if score in mean_auroc), key=lambda score: -mean_auroc[score]),
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# Compare with notebook 05. A softmax, and with it everything that is generated over candidates, keeps *which rather
# than which other*. How well any of them fits is in the similarities themselves. And no training example of the
# generator was without an answer.
#
# </details>
#
# ## Look at all of them

# %%
from diffret_core.course.matched_figure import Scored, matched_figure
from diffret_core.off_the_map import generator_scores, similarity_scores
from diffret_core.ranking import generated_probability

asking = TextFeatures(*(torch.cat([one[asked], other]) for one, other in zip(texts, others, strict=True)))
counting = progress.counting("generating, noising, finding again")
of_generator, generated = generator_scores(model, "text_to_video", asking, videos, rows, progress=counting)
probability = generated_probability(generated.sample, temperature=scoring.temperature)
assert torch.allclose(entropy_of_rows(probability).float(), of_generator["entropy"], atol=1e-5)
values = similarity_scores(rows, temperature=1 / scale) | of_generator
print(len(values), "scores of", len(rows), "queries; your entropy is as in the package")

split = {name: one.split(numbers) for name, one in values.items()}
scores = {name: Scored(one[0], dict(zip(some, one[1:], strict=True))) for name, one in split.items()}
show.figure(
    matched_figure(scores, title="Sentences with and without an answer (samples, one model)"),
    "Upwards, green: sentences that have an answer. Downwards, hatched: those of the kind in the menu. Dashed: the "
    "threshold that lets 95 % of the matched pass; whatever lies right of it is flagged. The slider goes through the "
    "scores.",
)

# %% [markdown]
# **What to see.** Choose *everyday* in the menu, then *near misses*: how far do the two halves overlap? Then move the
# slider to the scores of the generator (from *probability* on). Does any part them better than the first?
#
# ## The whole study
#
# These were a few hundred queries and one noise. The study `ood` has all of them, both directions, and three seeds of
# the noise (`diffret study ood`). The next figure is its table. In the print below it, the best of each row is picked
# on test, and so a little too good; the last lines go by what validation chose.

# %%
from diffret_core.course.auroc_figure import auroc_figure
from diffret_core.off_the_map import SIMILARITY_SCORES, WORD_PAIR_SCORES

caption = (
    "Dots: AUROC of matched against unmatched queries, mean of three seeds of the noise. Lines: 95 % interval over "
    "queries. Blue circles: from the similarities; orange diamonds: from the generator; green squares: with the "
    "wording of the sentence, explained below. Dashed: a coin. Sample collection, shipped model."
)
show.figure(auroc_figure(study, "text_to_video", title="Sentences that match nothing"), caption)
print(f"{'kind':16} {'best of similarity':>26} {'best of the generator':>30}   of 100, pass the best")
for kind in [*kinds, "mean"]:
    best = {}
    for side, names in {"similarity": list(values)[:4], "generator": list(values)[4:]}.items():
        found = {one: study.mean("auroc", **of, kind=kind, method=one) for one in names}
        best[side] = max(found.items(), key=lambda item: item[1])
    name = max(best.values(), key=lambda item: item[1])[0]
    passing = 100 * study.mean("fpr95", **of, kind=kind, method=name)
    told = [f"{one} {area:.3f}" for one, area in best.values()]
    print(f"{kind:16} {told[0]:>26} {told[1]:>30}   {passing:5.0f} by {name}")
best_of = [row for row in study.rows if row["list"] == "validation" and row["chosen"]]
chosen = next(row["method"] for row in best_of if row["direction"] == "text_to_video" and row["seed"] == 1)
sources = {"the similarities": SIMILARITY_SCORES, "the wording, see below": WORD_PAIR_SCORES}
source = next((one for one, names in sources.items() if chosen in names), "the generator")
print(f"chosen on validation: {chosen}, which comes from {source}.")
low, high = (study.mean(end, **of, kind="mean", method=chosen) for end in ("auroc_low", "auroc_high"))
print(f"on test, mean over the kinds: AUROC {mean_auroc[chosen]:.3f} ({low:.3f} to {high:.3f}).")

# %% [markdown]
# ## Which score is better?
#
# Two intervals that overlap decide nothing (notebook 09). The study keeps where every query stands by every score. So
# all queries are drawn anew, and both scores measured **on the same draw**. A near miss is drawn with the sentence it
# was made from: what is hard about one is hard about the other.

# %%
from diffret_core.studies.kinds import auroc_difference

rival = max((one for one in values if one not in SIMILARITY_SCORES), key=mean_auroc.get)
plain = max(SIMILARITY_SCORES, key=mean_auroc.get)
print(f"best of the similarities {plain}, best of the generator {rival}, both picked on test")
compared = {name: auroc_difference(study, rival, name, "text_to_video") for name in {plain: 0, chosen: 0}}
for name, difference in compared.items():
    print(f"{rival} minus {name}, mean over the kinds: {difference}")
near = auroc_difference(study, rival, plain, "text_to_video", kind="near misses")
print(f"{rival} minus {plain}, near misses: {near}")

# %% [markdown]
# ## A baseline that looks at no video
#
# Before one admires an AUROC, one asks what a fool would reach. Our fool counts the words of a sentence that the model
# has never learned, and looks at no video at all.
#
# A cleverer fool looks at **word pairs**. Shuffled sentences are made of known words, but their pairs of neighbours are
# odd: few captions say “moves red”. So count the pairs that no training caption has. This score is ours, not the
# paper's.

# %%
from diffret_core.word_pairs import known_pairs, pairs_of, share_unknown

known = known_pairs(caption.text for caption in samples.collection.pairs("train"))
mixed = kinds["shuffled words"][0]
print(f"{sum(map(len, known.values())):,} pairs of {len(known):,} words are known\n{mixed}")
by_hand = [second not in known.get(first, ()) for first, second in pairs_of(mixed)]  # "" is a start or an end
print(f"{sum(by_hand)} of {len(by_hand)} pairs are not")
assert share_unknown(mixed, known) == sum(by_hand) / len(by_hand)
odd_ones = sum(share_unknown(text, known) > 0 for text in kinds["near misses"])
print(f"near misses with any unknown pair: {odd_ones} of {len(kinds['near misses']):,}")
print(f"{'AUROC':16} {'unknown words':>13} {'similarity':>10} {'word pairs':>11} {'similarity + word pairs':>24}")
for kind in [*kinds, "mean"]:
    areas = [study.mean("auroc", **of, kind=kind, method=one) for one in ("similarity", *WORD_PAIR_SCORES)]
    fool = f"{detection.auroc(blank['matched'], blank[kind]):.3f}" if kind in blank else ""
    print(f"{kind:16} {fool:>13} {areas[0]:10.3f} {areas[1]:11.3f} {areas[2]:24.3f}")

# %% [markdown]
# Where unknown words win, no network is needed: a list of known words does it. Where they have 0.5, only known words
# were used, and what is wrong is how they go together. **Those kinds are the real test.** (A CLIP trained on the web
# knows nearly all words, so that this fool would fail there.)
#
# A score that reads only wording can know nothing of a near miss, nearly all of whose pairs are known: there the sum
# has little but the similarity. And it works so well elsewhere because **our captions follow a grammar that we
# wrote**. Free captions have new pairs in nearly every sentence; on a benchmark this fool would cry wolf.
#
# ## Videos that match no caption
#
# The other way round: videos ask among the 1,000 captions. Some are of the shifted style and described by none of them
# (proved again); for others their own caption has been taken out.

# %%
title = "Videos that no caption describes"
show.figure(auroc_figure(study, "video_to_text", title=title), caption)

# %% [markdown]
# ## Is it enough for somebody who searches?
#
# A flag is useful if it is usually right. That depends on how many searches are near misses, which nobody knows. So
# try several.

# %%
passing = study.mean("fpr95", **of, kind="near misses", method=chosen)
print(f"{chosen}: of 100 matched sentences 5 are flagged, of 100 near misses {100 * (1 - passing):.0f}")
for share in (0.05, 0.2, 0.5):
    right, wrong = share * (1 - passing), (1 - share) * 0.05
    of_flags, of_others = 100 * right / (right + wrong), 100 * share * passing / (1 - right - wrong)
    print(f"if {100 * share:2.0f} of 100 searches are near misses: {of_flags:3.0f} % of the flags ", end="")
    print(f"are right, {of_others:3.0f} % of the unflagged match nothing")

# %% [markdown]
# So a flag and its absence say different things. *Not flagged* never means *there is an answer*. That is why `diffret
# search` only says “nothing strange about the text”.
#
# ## A leak: a threshold judged where it was chosen
#
# A threshold that lets 95 % pass lets 95 % pass *of the queries it was chosen on*. Of others?
#
# ### Exercise 4: what it keeps elsewhere
#
# *medium · 5 minutes*
#
# Choose the threshold with `detection.threshold_at_recall(chosen_on, recall=recall)`. Return the percentage of
# `judged_on` that passes. All are scores of matched queries.


# %% tags=["exercise", "nbval-check-output"]
def honest_recall(chosen_on, judged_on, recall):
    return ...  # your code


honest_recall = check.answer("honest_recall", honest_recall)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# What lies *at or below* the threshold passes.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# The mean of True and False is a share; percent is 100 times that. `judged_on` plays no part in choosing.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def honest_recall(chosen_on, judged_on, recall):
#     from diffret_core import detection
#
#     threshold = detection.threshold_at_recall(chosen_on, recall=recall)
#     return 100 * (judged_on <= threshold).float().mean()
# ```
#
# </details>

# %%
every = detection.low_maximum(similarity)  # [1,000], all matched
rng, kept = np.random.default_rng(0), {}
for number in (10, 20, 50, 100, 200, 500):
    tries = []
    for _ in range(200):
        mixed = every[torch.as_tensor(rng.permutation(len(every)))]
        tries.append(float(honest_recall(mixed[:number], mixed[number:], 0.95)))
    kept[number] = np.mean(tries)
    low, high = np.percentile(tries, [2.5, 97.5])
    print(f"chosen on {number:3}: keeps {kept[number]:.1f} % of others (mostly {low:.1f} to {high:.1f})")
assert kept[20] < 94, "20 queries must promise more than they keep"
assert abs(kept[500] - 95) < 1, "500 queries must nearly keep their promise"

# %% [markdown]
# Choosing the *score* on test would be the same leak. The study chooses score and threshold on validation, from other
# sentences. **But test was read twice** ([decisions](../docs/decisions.md), *word pairs*): the two scores with word
# pairs were thought of after the first table, test included, had been read. They have nothing to tune and were tried
# on validation, and then test was read again. So their numbers may be a little too good, and nobody can say by how
# much. The cell prints the best of the first reading beside the winner, and what the threshold keeps on test.

# %%
from diffret_core.indicator import read_indicator
from diffret_core.locations import sample_checkpoint

first_reading = [row for row in study.rows if row["list"] == "validation" and row["kind"] == "mean"]
first_reading = [row for row in first_reading if row["direction"] == "text_to_video" and row["seed"] == 1]
first_reading = [row for row in first_reading if row["method"] not in WORD_PAIR_SCORES]
unread = max(first_reading, key=lambda row: row["auroc"])["method"]
print(f"first reading, without word pairs: {unread} is best on validation, test {mean_auroc[unread]:.3f}")
print(f"now: {chosen} is best on validation, test {mean_auroc[chosen]:.3f}")
indicator = read_indicator(sample_checkpoint())
if indicator is None:
    print("this model has no indicator; `diffret study ood --shipped --ship` makes one")
elif indicator.score in ("similarity", "similarity + word pairs"):
    wording = torch.tensor([share_unknown(text, indicator.known) for text in captions])
    chosen_score = every + wording * (indicator.score != "similarity")
    passing = 100 * float((chosen_score <= indicator.threshold).float().mean())
    print(f"{indicator.score}, threshold {indicator.threshold:.3f}, chosen on validation: ", end="")
    print(f"promised {100 * indicator.recall:.0f} %, keeps {passing:.1f} % of the 1,000 test sentences")
else:
    print(f"chosen: {indicator.score}, threshold {indicator.threshold:.3f}")

# %% [markdown]
# ## To answer or not: risk and coverage
#
# A score can also decide *which* queries are answered at all, the surest first. **Coverage** is how many are; **risk**
# is how many of those answers are wrong. An unmatched query is always answered wrongly.

# %%
from diffret_core import confidence
from diffret_core.course.risk_figure import Look, risk_figure
from diffret_core.course.style import GENERATED, QUIET, SIMILARITY
from diffret_core.ranking import combined_scores

first = combined_scores(rows, *generated, alpha=scoring.alpha, temperature=scoring.temperature).argmax(dim=1)
wrong = torch.ones(len(rows), dtype=torch.bool)
wrong[: len(asked)] = first[: len(asked)] != asked
mixes = {"with an answer": numbers[0], "and near misses": sum(numbers[:2]), "and all kinds": len(rows)}
looks = {"softmax": Look(SIMILARITY, "dash"), "similarity": Look(SIMILARITY, "solid")}
looks |= {"entropy": Look(GENERATED, "solid"), "random order": Look(QUIET, "dot")}
ordered = values | {"random order": torch.zeros(len(rows))}
risks = {
    mix: {name: confidence.risk_coverage(ordered[name][:end], wrong[:end]) for name in looks}
    for mix, end in mixes.items()
}
show.figure(
    risk_figure(risks, looks, title="How often the first video is wrong (combined score)"),
    "Across: how many queries are answered, surest first. Up: how many of these answers are wrong. A lower curve is a "
    "better score; the grey one answers in no particular order.",
)
for mix, own in risks.items():
    areas = sorted((float(risk.mean()), name) for name, risk in own.items())
    print(f"{mix:15} mean risk, lowest first:", ", ".join(f"{name} {area:.3f}" for area, name in areas))

# %%
from diffret_core.scores import generate
from diffret_core.studies.kinds import risk_difference

everyone = generate(model, "text_to_video", texts, videos, similarity, queries=torch.arange(len(captions)))
first = combined_scores(similarity, *everyone, alpha=scoring.alpha, temperature=scoring.temperature).argmax(dim=1)
sure = similarity_scores(similarity, temperature=1 / scale)
sure["entropy"] = entropy_of_rows(generated_probability(everyone.sample, temperature=scoring.temperature))
is_wrong, trusted = first != torch.arange(len(first)), {}
for name in ("softmax", "similarity"):
    trusted[name] = risk_difference(sure["entropy"], sure[name], is_wrong, np.random.default_rng(0))
    print(f"all {len(first):,} sentences with an answer, mean risk, entropy minus {name}: {trusted[name]}")

# %% [markdown]
# **What to see.** *With an answer* asks another question than detection: which of the answers are right? Compare the
# order of the scores in these lines with their order by AUROC. If it differs, then **what tells right from wrong
# answers is not what tells answerable from unanswerable queries**, and a score that is poor at one may be good at the
# other.
#
# The figure asks every fifth sentence, and its curves may lie further apart than the scores do. The last two lines ask
# all of them, with an interval. Below 0, entropy gives the better order.
#
# ## Can a claimed probability be believed?
#
# Softmax and generator both claim a probability for their first answer. Of all answers with a claim near 70 %, about
# 70 % should be right. But what is claimed depends on **one factor** before each softmax; larger is sharper. For the
# similarities it is the trained `logit_scale`. For the generator it is `temperature`, chosen for the best R@1 of the
# combined score. Neither was made for this. So both are fitted: the factor with the least error on *validation*, from
# the same 25 trials, is then judged on test.

# %%
from diffret_core.galleries import kept_gallery

one_each = samples.collection.with_one_caption("validation")
gallery = kept_gallery(sample_folder() / "features" / "validation.safetensors", model, one_each, "validation")
with torch.no_grad():
    held = model.similarity(gallery.texts, gallery.videos)
everybody = torch.arange(len(held))
found = generate(model, "text_to_video", gallery.texts, gallery.videos, held, queries=everybody)
generated_of, similarity_of = {"validation": found}, {"validation": held, "test": similarity}
usual_factor = {"softmax": scale, "generator": scoring.temperature}


def claims_of(name, part, factor):  # what is claimed of each first answer, and whether it is right
    if name == "softmax":
        top = torch.softmax(factor * similarity_of[part], dim=1).max(dim=1)
        first = top.indices
    else:
        candidates, sample = generated_of[part]
        top = generated_probability(sample, temperature=factor).max(dim=1)
        first = candidates.gather(1, top.indices[:, None])[:, 0]
    return top.values.clamp(0, 1), first == torch.arange(len(first))


def error_at(name, part, factor):  # how far claims and right answers lie apart, in points
    return 100 * confidence.calibration_error(confidence.calibration(*claims_of(name, part, factor)))


print(f"{len(held):,} sentences of validation, one for each video: similarity and generated sample")

# %%
generated_of["test"] = everyone
trials = [round(2 ** ((place - 12) / 6), 3) for place in range(25)]  # times the usual factor, 1/4 to 4
errors = {
    name: {part: [error_at(name, part, one * usual) for one in trials] for part in ("validation", "test")}
    for name, usual in usual_factor.items()
}
fitted = {name: trials[int(np.argmin(of["validation"]))] for name, of in errors.items()}
for name, factor in fitted.items():
    usual_error, fitted_error = (errors[name]["test"][trials.index(one)] for one in (1.0, factor))
    print(f"{name:9} off by {usual_error:.1f} points on test as it is; ", end="")
    print(f"{fitted_error:.1f} at {factor:g} times its factor, fitted on validation")

# %%
from diffret_core.course.calibration_figure import calibration_figure
from diffret_core.course.curves_figure import Curve, curves_figure

colours = {"softmax": SIMILARITY, "generator": GENERATED}
claimed = {name: claims_of(name, "test", fitted[name] * usual_factor[name]) for name in colours}
show.figure(
    calibration_figure(
        {name: confidence.calibration(*own) for name, own in claimed.items()},
        colours,
        title="Claimed and kept, both factors fitted on validation (samples)",
    ),
    "A dot for each tenth of the scale, as large as the number of its answers (1,000 test sentences). On the dashed "
    "line claims are kept; above it the model is too modest. Off by: mean distance from it, over answers.",
)
dashes = {"softmax": "dash", "generator": "solid"}
curves = {name: Curve(errors[name]["test"][::3], colours[name], dash) for name, dash in dashes.items()}
show.figure(
    curves_figure(
        trials[::3],
        curves,
        title="How far claims are off, by factor (test)",
        across="factor, times the usual one; larger is sharper",
        up="off by, in points",
    ),
    "Across: the factor as a multiple of the one in use, from a quarter to four times. Up: how far claims and "
    "right answers lie apart on test.",
)
off = 100 * float(probability[len(asked) :].amax(dim=1).mean())
print(f"for sentences that match nothing the generator, as it is, still claims {off:.0f} % on average")

# %% [markdown]
# **What to see.** Compare the two errors as they are, then fitted: how much of the difference was only the factor? The
# last line is the catch: calibration is measured on queries that *have* an answer. Off the map every claim is
# wrong, however well calibrated.
#
# ## Now you: where does your sentence land?
#
# Type anything. The box says what `diffret search` would say, which words the model has never learned, and where your
# sentence lands among those above.

# %%
from diffret_core.course.landing_box import landing_box
from diffret_core.off_the_map import word_pair_scores

examples = [captions[our], miss.caption.text, "a brown star grows", "a dog runs along the beach"]
by_search = "similarity" if indicator is None else indicator.score
if by_search not in scores:  # a score with word pairs, of the same queries
    sentences = [captions[query] for query in asked] + [text for own in some.values() for text in own]
    first, *rest = word_pair_scores(sentences, indicator.known, rows)[by_search].split(numbers)
    scores[by_search] = Scored(first, dict(zip(some, rest, strict=True)))
three = {name: scores[name] for name in (by_search, "softmax", "entropy")}
landing_box(samples, three, indicator, examples)

# %% [markdown]
# Try a near miss of your own: a sentence that is nearly right. And one in your language.
#
# ## The verdict
#
# Written by the numbers above, on this collection. Transfer goes by the seeds of the study where its table is there,
# else by this one model. (With one seed, either is a lead.)

# %%
ways = {"texts ask": "text_to_video", "videos ask": "video_to_text"}
for name, own in in_table.items():
    for said, direction in ways.items():
        found = gain(trained, "baseline", direction, name=own) if trained else None
        here = gains[f"{name}, {direction.replace('_', '-')}"]
        print(f"- {name}, {said}: {evidence.told(found) if found else f'{here} {here.verdict}, this model only'}")
for name, found in studied.items():
    here = f"{more[name]} {more[name].verdict}, this model only"
    print(f"- more than on the map, {name}? {evidence.told(found) if found else here}")
areas = {kind: study.mean("auroc", **of, kind=kind, method=chosen) for kind in kinds}
good = [kind for kind, area in areas.items() if area >= 0.95]
poor = [kind for kind in areas if kind not in good]
for name, difference in compared.items():
    print(f"- detection: the generator's best score, {rival}, minus {name}: {difference}.")
print(f"- chosen on validation: {chosen}, mean over the kinds {mean_auroc[chosen]:.3f}.")
print(f"- test was read twice; the first reading, without word pairs, had {unread}, {mean_auroc[unread]:.3f}.")
print(f"- among near misses alone: {chosen} {areas['near misses']:.3f}.")
for name, difference in trusted.items():
    print(f"- which answers to trust, mean risk, entropy minus {name}: {difference}.")
print(f"- told apart well, AUROC at least 0.95: {', '.join(good) or 'none'}.")
print(f"- not told apart well: {', '.join(poor) or 'none'}.")

# %% [markdown]
# ## What you can now say
#
# - Whether something helps off the map, and whether it helps *more* there, are two questions with an interval each.
# - A detector is one score per query. AUROC counts pairs; a threshold lets 95 % of the matched pass; what else passes
#   is its false-positive rate.
# - Kinds of unmatched queries are kept apart, and compared with fools who look at no video.
# - Near misses are hard since the nearest video is near. A search that is not flagged may still match nothing.
# - A score, a threshold, a temperature: what was chosen on some queries is judged on others.
# - A calibrated claim speaks about queries that have an answer, and about no others.
#
# ## Quiz

# %%
quiz.show("10")

# %% [markdown]
# **Next.** [Notebook 11](11_interactive_demo.ipynb) puts everything under your hands: sentences, noise levels,
# candidates, two runs side by side, and your own folder of videos. How to get numbers on real benchmarks: [notebook
# 12](12_full_training_and_benchmarks.ipynb).
#
# The code behind this notebook: [the scores and how they are judged](../diffret_core/detection.py), [what the model
# says about a query](../diffret_core/off_the_map.py), [queries that match
# nothing](../diffret_core/scenes/unmatched.py), [the study](../diffret_core/studies/detection.py).
