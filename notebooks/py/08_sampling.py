# %% [markdown]
# # 08 · How is a ranking generated, and fast?
#
# **Goal.** You walk from noise to an answer by hand, watch it as a film, and measure how many steps and draws it
# takes. Then you derive, line by line, a sampler that gives the very same answer with far fewer operations, and race
# it against the plain one.
#
# | | |
# |---|---|
# | you need | the noised state $x_k$ (notebook 05), the denoiser (06), softmax, matrix products |
# | time | 45 minutes with the exercises; Run All takes well under a minute |
# | hardware | any computer; no GPU, no network |
# | in the paper | its sampler, DDIM; the fast sampler of the second half is this project's own |
#
# Just opened? Choose **Run → Run All Cells** first. Letters such as $x_k$, N and K are in the [table of
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

import copy
import math
from dataclasses import replace

import torch

from diffret_core.course import check, predict, quiz, setup, show

torch.set_num_threads(1)  # the tensors of this notebook are small: a second thread would mostly wait
samples = setup.open_samples()
model, videos = samples.model, samples.videos

# %% [markdown]
# ## A network that guesses, and a walk
#
# Notebook 07 trained a network that reads a noised distribution $x_k$ and guesses the clean one. Its guess is called
# $\hat x_0$. How does a *ranking* come out of that?
#
# Start with pure noise at level K. Ask the network. Go **one level** down towards its guess, and keep the rest of the
# noise. Ask again. At level 0 no noise is left: there is the answer.
#
# ## Three candidates, five levels
#
# The smallest example has N = 3 candidates and K = 5 levels. `alpha_bar[k]` is the share of signal at level k
# (notebook 05). Our toy network likes the first candidate; the state shifts its softmax, as in the real one.

# %% tags=["nbval-check-output"]
from diffret_core.schedule import noise_schedule

alpha_bar = noise_schedule(5)  # K + 1 = 6 numbers


def toy(x_k, k):
    return 1.3 * torch.softmax(torch.tensor([2.0, 1.0, 0.0]) + x_k, dim=0)


x_5 = torch.tensor([-0.6, 1.1, 0.3])  # the noise; here written by hand
print("alpha_bar", tuple(alpha_bar.shape), alpha_bar.numpy().round(3))
print("x_5      ", tuple(x_5.shape), x_5.numpy())
print("guess    ", tuple(toy(x_5, 5).shape), toy(x_5, 5).numpy().round(3))

# %% [markdown]
# Now one step, from level 5 to level 4. It has three lines:
#
# $$ \hat x_0 = \mathrm{clamp}(\mathrm{network}(x_k, k), -1, 1) $$
#
# $$ \hat\epsilon = \frac{x_k - \sqrt{\bar\alpha_k} \, \hat x_0}{\sqrt{1 - \bar\alpha_k}} $$
#
# $$ x_{k-1} = \sqrt{\bar\alpha_{k-1}} \, \hat x_0 + \sqrt{1 - \bar\alpha_{k-1}} \, \hat\epsilon $$
#
# The second line asks: *if this guess is right, which noise was mixed in?* The third mixes both again, with the
# weights of the next level: a little more signal, a little less noise.

# %% tags=["nbval-check-output"]
kept, kept_next = float(alpha_bar[5]), float(alpha_bar[4])
x_0_hat = toy(x_5, 5).clamp(-1, 1)
epsilon_hat = (x_5 - kept**0.5 * x_0_hat) / (1 - kept) ** 0.5
x_4 = kept_next**0.5 * x_0_hat + (1 - kept_next) ** 0.5 * epsilon_hat
print(f"weights at level 5: signal {kept**0.5:.3f}, noise {(1 - kept) ** 0.5:.3f}")
print(f"weights at level 4: signal {kept_next**0.5:.3f}, noise {(1 - kept_next) ** 0.5:.3f}")
print("x_0_hat    ", x_0_hat.numpy().round(3))
print("epsilon_hat", epsilon_hat.numpy().round(3), "  at level 5 nearly all of x_5 is noise")
print("x_4        ", x_4.numpy().round(3))

# %% [markdown]
# ### Exercise 1: one step of DDIM
#
# *easy · 5 minutes*
#
# `estimate` is what the network says, not yet clamped. `kept` is $\bar\alpha_k$, `kept_next` is $\bar\alpha$ of the
# next level. Return the next state. Replace the three dots; until you do, the notebook uses our answer.


# %% tags=["exercise", "nbval-check-output"]
def ddim_step(x_k, estimate, kept, kept_next):
    return ...  # your code


ddim_step = check.answer("ddim_step", ddim_step)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# The cell above has all three lines, for k = 5. Clamp first: both other lines use the clamped estimate.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `kept**0.5` and `(1 - kept)**0.5` take the state apart; `kept_next**0.5` and `(1 - kept_next)**0.5` put it together.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def ddim_step(x_k, estimate, kept, kept_next):
#     x_0_hat = estimate.clamp(-1, 1)
#     epsilon_hat = (x_k - kept**0.5 * x_0_hat) / (1 - kept) ** 0.5
#     return kept_next**0.5 * x_0_hat + (1 - kept_next) ** 0.5 * epsilon_hat
# ```
#
# </details>
#
# All five steps. Each row says the state, then what the network makes of it.

# %% tags=["nbval-check-output"]
x_k = x_5
for k in range(5, 0, -1):
    guess = toy(x_k, k)
    print(f"k = {k}   state {x_k.numpy().round(2) + 0.0!s:22} guess {guess.numpy().round(2)}")
    x_k = ddim_step(x_k, guess, float(alpha_bar[k]), float(alpha_bar[k - 1]))
print(f"k = 0   state {x_k.numpy().round(2)}")
assert torch.allclose(x_k, guess.clamp(-1, 1))
print("the last state is the clamped last guess itself")

# %% [markdown]
# The noise preferred candidate 2, and so does the first guess. From level 4 on candidate 1, the network's own
# favourite, gains in every row. Why is the last state the last guess? At level 0 the weights are 1 and 0:
# $\bar\alpha_0 = 1$. **The answer of a walk is a guess of the network**, made from the least noise.
#
# ## The clamp can make ties
#
# Nothing keeps a network's guess below 1, but a distribution has nothing above. So the guess is cut off. (It has
# nothing below 0 either. The released sampler cuts at -1 all the same, and so do we.) Then two candidates can end
# *exactly* equal:

# %% tags=["nbval-check-output"]
guess = torch.tensor([1.08, 0.40, 1.31])
answer = ddim_step(torch.tensor([0.9, 0.5, 1.1]), guess, float(alpha_bar[1]), float(alpha_bar[0]))
print("guess ", guess.numpy().round(2))
print("answer", answer.numpy().round(2), "  1 and 3 tie exactly:", bool(answer[0] == answer[2]))

# %% [markdown]
# Notebook 03 counted an equal score against the target. This is one place where such scores come from. Whether our
# network does it, we count below.
#
# ## DDIM in ten lines
#
# Your step and a loop over the levels: that is the whole sampler. DDIM (Song et al. 2021) may also skip levels, so
# `levels` is any falling list, from K to 0.


# %%
def ddim(denoise, x_k, levels, alpha_bar):
    for k, k_next in zip(levels, levels[1:], strict=False):
        estimate = denoise(x_k, torch.full((len(x_k),), k))  # [B, N]
        x_k = ddim_step(x_k, estimate, float(alpha_bar[k]), float(alpha_bar[k_next]))
    return x_k


# %% [markdown]
# Now the real network, and **our query**: test pair 644. First the similarity proposes its candidates.

# %%
from diffret_core.candidates import top_candidates

t = 644
captions = [caption for caption, _ in samples.collection.pairs("test")]
num_candidates, K = model.config.scoring.num_candidates, model.config.num_noise_levels
with torch.no_grad():
    texts = model.encode_texts(captions)
    similarity = model.similarity(texts, videos)  # [T, V]
items = top_candidates(similarity, num_candidates)  # [T, N]
print("our query:", captions[t])
print("similarity", tuple(similarity.shape), "  items", tuple(items.shape))
place = (items[t] == t).nonzero().flatten().tolist()
print("our video is candidate", place[0] + 1 if place else "none", "of", num_candidates)

# %% tags=["nbval-check-output"]
from diffret_core.retriever import draw_query_noise
from diffret_core.sampler import ddim_steps, noise_levels

our = torch.tensor([t])
noise = draw_query_noise("text_to_video", our, num_candidates, seed=0)  # [1, N]
levels = noise_levels(K)  # K, K-1, ..., 0
with torch.no_grad():
    denoise = model.bind_denoiser("text_to_video", texts, videos, our, items[our])
    mine = ddim(denoise, noise, levels, model.alpha_bar)
    *_, last = ddim_steps(denoise, noise, levels, model.alpha_bar)
assert torch.allclose(mine, last.x_k, atol=1e-6)
print("noise", tuple(noise.shape), "  levels", len(levels), "  answer", tuple(mine.shape))
print("ten lines, and the same as diffret_core.sampler.ddim_steps")

# %% [markdown]
# ## The film
#
# One walk has one noise. Does another noise end elsewhere? We walk **four times at once**: the same query four times
# in a batch, a different noise in each row.

# %%
from diffret_core.course.film_figure import Film, film_figure
from diffret_core.course.thumbnails import still

four = torch.cat([draw_query_noise("text_to_video", our, num_candidates, seed=0, draw=draw) for draw in range(4)])
queries = our.repeat(4)
with torch.no_grad():
    denoise = model.bind_denoiser("text_to_video", texts, videos, queries, items[queries])
    steps = list(model.denoising_steps(denoise, four))
answers = steps[-1].x_k  # [4, N]
states = torch.stack([four, *(step.x_k for step in steps)])
estimates = torch.stack([*(step.x_0_hat for step in steps), answers])
film = Film([K, *(step.k for step in steps)], states, estimates)
print("states", tuple(states.shape), "  [levels, draws, candidates]")

shown = [samples.video_ids[item] for item in items[t].tolist()]
drawn = film_figure(
    film,
    pictures=[still(samples.video_path(video), side=36) for video in shown],
    names=[samples.captions[video] for video in shown],
    meant=place[0] if place else None,
)
show.figure(
    drawn,
    f"Sample collection. “{captions[t]}”. {num_candidates} candidates, the most similar on the left, each "
    "row another noise. Every level is stretched from its lowest candidate to its highest; the lines at the "
    "bottom are not. 1st, 2nd, 3rd: the order of the mean at the end.",
)

# %% [markdown]
# **What to see.** Press play, or move the slider. At the start the bars of the rows are noise. Now look at the
# diamonds, guesses made from that noise: how early do they agree? The bars give up their noise late, and settle on the
# diamonds. At the bottom, lines of one colour come from far apart; watch where they end.
#
# In numbers: how alike are two draws, on average over all pairs of draws? (Correlation: 1 is the same, 0 is nothing
# in common; between draws of noise it is near 0, not exactly.)

# %%
pairs_of_draws = torch.triu(torch.ones(4, 4), diagonal=1).bool()
print("level   states alike   guesses alike   first candidate in the guess of each draw")
for index in range(0, K + 1, K // 5):
    alike = [torch.corrcoef(part[index])[pairs_of_draws].mean() for part in (states, estimates)]
    first = (estimates[index].argmax(dim=1) + 1).tolist()
    print(f"{film.levels[index]:5} {alike[0]:14.2f} {alike[1]:15.2f}   {first}")

# %% [markdown]
# Look at the first row of the table: the guesses are already alike where the states are nothing but noise. Query and
# candidates decide most of a guess; the noise decides which of the close ones comes first. (Try another query: change
# `t` above, and run the cells down to here again.)
#
# One query proves little. From here on we ask **many**.
#
# ## How many steps?
#
# 400 test queries in both directions, walks of 1, 2, 5, ... steps over evenly spread levels, two draws each. For so
# many calls we borrow the fast sampler that you build further down.

# %%
from diffret_core.course import walks

queries = torch.arange(600, 1000)  # our query among them
directions = ("text_to_video", "video_to_text")
asked = {
    direction: walks.ask(model, direction, texts, videos, similarity=similarity, queries=queries)
    for direction in directions
}
num_steps = [number for number in (1, 2, 5, 10, 25) if number < K] + [K]
walked = {
    (one, number, draw): walks.walk(asked[one], walks.noise_of(asked[one], draw), num_steps=number)
    for one in directions
    for number in num_steps
    for draw in (0, 1)
}
ranks = {key: walks.ranks_of(asked[key[0]], sample) for key, sample in walked.items()}
calls = sum(number * len(sample) for (_, number, _), sample in walked.items())
print(len(walked), "sets of walks, each", tuple(walked["text_to_video", K, 0].shape), end="; ")
print(f"{calls:,} calls of the network")


# %%
def recall(ranks):
    return 100 * float((ranks == 1).float().mean())


all_steps, one_step = (recall(ranks["text_to_video", number, 0]["generator"]) for number in (K, 1))
predict.number(
    f"Walks of {K} steps put the right video first for {all_steps:.1f} % of the 400 texts (generator alone). "
    "What percentage do walks of a single step find, straight from noise to answer?",
    truth=round(one_step, 1),
    low=0,
    high=100,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# A single step asks the network once, at level K, where the state is nothing but noise. Training has drawn that level
# as often as any other, so the network was trained to answer *from the query and the candidates alone*. What
# the noise spoils, a walk may repair: it asks again with less of it.
#
# </details>

# %%
from diffret_core.metrics import paired_bootstrap_interval
from diffret_core.randomness import numpy_generator


def against(one, other):
    low, high = paired_bootstrap_interval(one, other, numpy_generator(0, "paired bootstrap"))
    verdict = "not told apart" if low <= 0 <= high else "different"
    return f"{recall(one) - recall(other):+5.1f} ({low:+.1f} to {high:+.1f}) {verdict}"


print(f"Sample collection. R@1 in percent; then minus that of {K} steps with its paired 95 % interval")
for one in directions:
    for method in ("generator", "combined"):
        print(f"\n{one.replace('_', '-')}, {method}")
        for number in num_steps:
            mine, full = (ranks[one, count, 0][method] for count in (number, K))
            compared = "" if number == K else against(mine, full)
            print(f"{number:5} step{'s' if number > 1 else ' '} {recall(mine):6.1f}   ", compared)

# %%
from diffret_core.course.curves_figure import Curve, curves_figure
from diffret_core.course.style import COMBINED, GENERATED, SIMILARITY
from diffret_core.metrics import target_ranks

found = {
    method: [recall(ranks["text_to_video", number, 0][method]) for number in num_steps]
    for method in ("generator", "combined")
}
alone = recall(target_ranks(asked["text_to_video"].rows, queries))
drawn = curves_figure(
    num_steps,
    {
        "generator": Curve(found["generator"], GENERATED),
        "combined": Curve(found["combined"], COMBINED, "dash"),
        "similarity": Curve([alone] * len(num_steps), SIMILARITY, "dot"),
    },
    title="Text-to-video, 400 queries of the sample collection",
    across="steps (logarithmic)",
    up="R@1 in percent",
)
show.figure(
    drawn,
    "R@1 over the number of steps, of one draw; intervals are in the table. Dotted: the similarity, "
    "which takes no steps. The vertical axis does not begin at 0.",
)

# %% [markdown]
# **What to see.** Where does the generator's curve become flat? The table says where differences end that 400 queries
# can show. (Of twenty intervals at 95 % about one misses the truth by chance: do not build on a single verdict.) The
# combined curve is flatter: the similarity, which takes no steps, has its share in it. We look at test queries and
# choose nothing; whoever wants to *choose* a number of steps does it on validation.
#
# ## Does the answer depend on the noise?
#
# R@1 is not all. Two draws of one query may put different candidates first.

# %%
changes = {
    one: [walks.share_of_changes(walked[one, number, 0], walked[one, number, 1]) for number in num_steps]
    for one in directions
}
few = num_steps[-3]
predict.number(
    f"Two draws of {K} steps put different videos first for {changes['text_to_video'][-1]:.1f} % of the 400 texts. "
    f"For what percentage do two draws of {few} steps?",
    truth=round(changes["text_to_video"][-3], 1),
    low=0,
    high=50,
    step=0.5,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# The answer is the last guess. Steps are spread evenly, so a walk of 10 steps makes it at level K / 10, and one of K
# steps at level 1, from less noise.
#
# </details>

# %%
drawn = curves_figure(
    num_steps,
    {
        "text-to-video": Curve(changes["text_to_video"], GENERATED),
        "video-to-text": Curve(changes["video_to_text"], GENERATED, "dash"),
    },
    title="Another noise, another first candidate (sample collection)",
    across="steps (logarithmic)",
    up="percent of queries",
)
show.figure(drawn, "Share of 400 queries whose first candidate differs between two draws, over the steps.")

# %% [markdown]
# **What to see.** These curves still fall where those of R@1 are flat. More steps can make the answer *steadier* where
# they have not been shown to make it *better*: a change among wrong candidates, or one to the right for one to the
# wrong, leaves R@1 as it is.
#
# And the ties that the clamp can make? Here is the count.

# %%
for one in directions:
    sample = walked[one, K, 0]
    tied = (sample == sample.amax(dim=1, keepdim=True)).sum(dim=1) > 1
    print(
        f"{one.replace('_', '-')}: of {sample.numel():,} values {int((sample == 1).sum())} are exactly 1 and "
        f"{int((sample == -1).sum())} exactly -1 (largest {sample.max():.2f}, smallest {sample.min():.2f}); "
        f"ties for the first place: {int(tied.sum())}"
    )

# %% [markdown]
# The recipe of this model holds the guesses' offset (notebook 07). An earlier model of this project, trained without,
# had a third of its values at exactly 1, and its generator found 12.7 % where the similarity found 40.3 %
# ([decisions](../docs/decisions.md), section Training).
#
# ## Several draws, averaged
#
# Noise that differs from draw to draw cancels in a mean. We take 8 draws of each text. First, R@1 of the mean of 1, 2,
# 4 and 8 of them. Then the means of two *groups* without a common draw, like two people with different seeds.

# %%
from diffret_core.randomness import generator

t2v = asked["text_to_video"]


def walk_again(draw=0, number=K):
    return walks.walk(t2v, walks.noise_of(t2v, draw), num_steps=number)  # [Q, N]


draws = torch.stack([walk_again(draw) for draw in range(8)])  # [8, Q, N]
of_mean = {number: walks.ranks_of(t2v, draws[:number].mean(dim=0)) for number in (1, 2, 4, 8)}
print("draws   generator                                        combined   (and minus one draw)")
for number, of in of_mean.items():
    line = [f"{recall(of[method]):.1f}" for method in ("generator", "combined")]
    more = [against(of[method], of_mean[1][method]) if number > 1 else "" for method in of]
    print(f"{number:5}   {line[0]:5} {more[0]:42} {line[1]:5} {more[1]}")
print("\ndraws in each group   queries with another first candidate, mean of 20 splits (least to most)")
for number in (1, 2, 4):
    shares = []
    for split in range(20):
        order = torch.randperm(8, generator=generator(0, "groups of draws", split))
        one, other = (draws[some].mean(dim=0) for some in (order[:number], order[4 : 4 + number]))
        shares.append(walks.share_of_changes(one, other))
    print(f"{number:19}   {sum(shares) / 20:.1f} % ({min(shares):.1f} to {max(shares):.1f})")

# %% [markdown]
# Read it plainly. Where the verdict is *not told apart*, averaging has not been shown to find more. The second table
# says whether the answer hangs less on a seed. The course's own scores are means of `model.config.scoring.num_draws`
# draws; on all 1,000 test pairs the shipped model gains 1.1 and 2.1 points over the similarity with 4 draws, and 1.1
# and 2.0 with one ([results](../docs/results.md)).
#
# ## What does the walk buy?
#
# A mean of 8 draws of **one** step costs as many network passes as **one** draw of 8 steps. And the harshest rival
# costs a single pass: one step from **no noise at all**, $x_K = 0$; that one we ask in both directions.
#
# Two asides in the last rows. Song et al. also allow fresh noise in every step, $\eta$ between 0 (DDIM, as in the paper
# of this course) and 1 (as in older samplers). And a variant of this project's: a walk that does not start in noise
# at level K, but at level 1, from **what the similarity says**, a softmax over the candidates, slightly noised.

# %%
single = torch.stack([walk_again(draw, 1) for draw in range(8)])
nearer = copy.copy(model)  # with the same weights
nearer.config = replace(model.config, scoring=replace(model.config.scoring, start_level=1))
started = t2v._replace(model=nearer)
ways = {
    f"1 draw, {K} steps": walk_again(),
    "1 draw, 8 steps": walk_again(number=8),
    "8 draws, 1 step": single.mean(dim=0),
    "1 draw, 1 step": single[0],
    "no noise, 1 step": walks.walk(t2v, torch.zeros_like(single[0]), num_steps=1),
    f"eta 1, {K} steps": walks.walk(t2v, walks.noise_of(t2v), eta=1.0),
    "similarity, 1 step": walks.walk(started, walks.noise_of(started)),
}
of_way = {name: walks.ranks_of(t2v, sample)["generator"] for name, sample in ways.items()}
whole = of_way.pop(f"1 draw, {K} steps")
print(f"generator alone, text-to-video; R@1, then minus that of 1 draw, {K} steps: {recall(whole):.1f}")
for name, mine in of_way.items():
    print(f"{name:18} {recall(mine):5.1f}   ", against(mine, whole))
print(f"\nno noise, 1 step; R@1, then minus that of 1 draw, {K} steps:")
for one in directions:
    silent = walks.ranks_of(asked[one], walks.walk(asked[one], torch.zeros_like(single[0]), num_steps=1))
    for method in ("generator", "combined"):
        compared = against(silent[method], ranks[one, K, 0][method])
        print(f"{one.replace('_', '-')}, {method:9} {recall(silent[method]):5.1f}   ", compared)

# %% [markdown]
# If one step from the similarity is *not told apart* from the whole walk, or better, then the walk mostly undoes noise
# that nobody needed: notebook 09 measures it with three trained seeds, on all pairs and in both directions.
#
# The rows without noise raise an honest question. Does the *network* re-rank, and does the walk mainly remove noise
# that we have put in ourselves? *Not told apart* would not prove it: look how far each interval reaches. No source that
# we know separates the two. Notebook 09 asks it properly, with a re-ranker of equal size that never saw noise.
#
# ## The exact fast sampler
#
# The released code runs the whole network K times for every query. But look at what changes from step to step:
#
# | | changes with the step? |
# |---|---|
# | query $u$, candidates $z_j$ | no: D numbers each |
# | code $c_k$ of the level | yes, but it is the same K codes for every query |
# | state $x_k$ | yes: **N numbers** |
#
# Only N numbers are new. Both $x_k$ and $c_k$ enter *linearly*, before the softmax and before the ReLU. So nearly all
# products can be formed once. This is **this project's own contribution: exact algebra, no approximation**.

# %%
D, N = 512, 32  # of the paper's models


def plain_operations(D, N):
    keys_and_values, decoder = 2 * N * D**2, 4 * N * D**2  # the decoder's first layer is 2D x 2D
    query_output_and_code = 4 * D**2  # one each for query and output, two for the level
    return 2 * (keys_and_values + decoder + query_output_and_code)  # multiplication and addition


def fast_operations(D, N):
    return (2 + 1 + 1 + 2) * N * 2 * D  # weighted sum, sum with own part, ReLU, last layer


def preparation(D, N, K):  # once per query: N x D by D x 2D, twice, and the logits of all levels
    return 2 * (4 * N * D**2 + D**2 + N * D + K * N * D)


predict.number(
    f"D = {D}, N = {N}. After the algebra, how many times fewer operations does one step need?",
    truth=round(plain_operations(D, N) / fast_operations(D, N)),
    low=0,
    high=1000,
    step=10,
)

# %% tags=["nbval-check-output"]
for D, N in ((512, 32), (128, 32)):
    plain, fast = plain_operations(D, N), fast_operations(D, N)
    print(f"D {D}, N {N}: plain {plain / 1e6:5.1f} million, fast {fast / 1e6:.2f} million", end="")
    print(f", {plain / fast:.0f} times fewer; ", end="")
    whole = preparation(D, N, K=50) + 50 * fast
    print(f"50 steps with their preparation: {50 * plain / whole:.0f} times fewer")

# %% [markdown]
# The plain step multiplies N vectors by D × D matrices. The fast one only adds N vectors. But what it adds must be
# prepared, once per query, and that counts too: at D = 512 it is 65 times fewer for a whole walk of 50 steps.
#
# Let us get there in three moves, with the real network and our query. Double precision, so that *equal* means equal.
# First the network by hand, for one query at one level, as in notebook 06: that is what we must reproduce.

# %%
from diffret_core.denoiser import pool_frames
from diffret_core.retriever import scale_for_denoiser

network = copy.deepcopy(model.text_query_denoiser).double().requires_grad_(False)
with torch.no_grad():
    u = scale_for_denoiser(model.config, texts.sentence[t]).double()  # [D]
    frames = scale_for_denoiser(model.config, videos.frames[items[t]]).double()  # [N, F, D]
    z = pool_frames(u, frames, videos.frame_mask[items[t]], mode=model.config.mode)  # [N, D]
    codes = network.noise_level_code(torch.arange(1, K + 1))  # [K, D], row k-1 is level k
print("u", tuple(u.shape), " z", tuple(z.shape), " codes", tuple(codes.shape))

level, x_k = K // 2, noise[0].double()
c = codes[level - 1]
q, keys, values = network.query(u + c), network.key(z + c), network.value(z + c)
w = torch.softmax(keys @ q + x_k, dim=0)  # [N]
o = network.output(w @ values)  # [D]
read = torch.cat([o.expand(len(z), -1), z], dim=1)  # [N, 2D]
by_hand = network.decoder(read).squeeze(-1) + w
plain = network(x_k[None], torch.tensor([level]), u[None, None], z[None])[0]
assert torch.allclose(by_hand, plain, atol=1e-12)
print("w", tuple(w.shape), " o", tuple(o.shape), " read", tuple(read.shape), " guess", tuple(by_hand.shape))

# %% [markdown]
# ### (a) Before the softmax
#
# Multiply out the logit of candidate j, query times key, with $M = W_q^T W_k$:
#
# $$ \langle W_q (u + c_k), W_k (z_j + c_k) \rangle = u^T M z_j + c_k^T M z_j + u^T M c_k + c_k^T M c_k $$
#
# The last two have no j: the same number for all candidates. **A softmax does not see a number that is added to all.**
# See it:

# %% tags=["nbval-check-output"]
logits = torch.tensor([0.2, 1.0, -0.5])
print(torch.softmax(logits, dim=0).numpy().round(4))
print(torch.softmax(logits + 7, dim=0).numpy().round(4))

# %% [markdown]
# Two terms are left, and neither has the state in it:
#
# $$ A_j = \langle W_k^T W_q u, z_j \rangle \qquad B_{kj} = \langle W_k^T W_q c_k, z_j \rangle $$
#
# ### Exercise 2: all logits at once
#
# *medium · 8 minutes*
#
# Return $A_j + B_{kj}$ for all levels, `[K, N]`, and no other terms. `query` is `[D]`, `candidates` `[N, D]`, `codes`
# `[K, D]`. The layers are `network.query` and `network.key`, without bias; their matrices are `.weight`.


# %% tags=["exercise", "nbval-check-output"]
def logits_once(network, query, candidates, codes):
    return ...  # your code


logits_once = check.answer("logits_once", logits_once)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# A and B differ only in what asks: $u$ or $c_k$. So `query + codes`, `[K, D]`, asks for both at once.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# A layer computes `x @ weight.T`. The product of what `network.query` gives with what `network.key` gives for the bare
# candidates is all you need.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def logits_once(network, query, candidates, codes):
#     return network.query(query + codes) @ network.key(candidates).T
# ```
#
# </details>


# %%
def order_of(difference):  # the power of ten at or below the largest difference
    largest = float(difference.abs().max())
    return "0" if largest == 0 else f"1e{math.floor(math.log10(largest))}"


logits = logits_once(network, u, z, codes)  # [K, N]
whole = keys @ q
apart = whole - logits[level - 1]  # [N]
print("logits", tuple(logits.shape))
print("whole logits minus ours:", order_of(apart), end=", ")
print("the same number for all j up to", order_of(apart - apart[0]))
w_fast = torch.softmax(logits[level - 1] + x_k, dim=0)
print("the weights w differ by", order_of(w_fast - w))
assert torch.allclose(w_fast, w, atol=1e-12)

# %% [markdown]
# The logits differ, all by one number; the softmax does not see it. K levels cost one product, before the walk begins.
#
# ### (b) Behind the softmax
#
# The decoder's first layer reads $[o; z_j]$. Its matrix has a half for each: $W_{1a}$ (the first D columns) and
# $W_{1b}$. What does the half for $o$ see?
#
# $$ W_{1a} o = W_{1a} \left( W_o \sum_j w_j W_v (z_j + c_k) + b_o \right) $$
#
# **The weights sum to 1**, so $c_k$ comes out of the sum whole:
#
# $$ W_{1a} o + b_1 = \sum_j w_j \, G_j + g_k $$
#
# $$ G_j = W_{1a} W_o W_v z_j \qquad g_k = W_{1a} (W_o W_v c_k + b_o) + b_1 $$
#
# ### Exercise 3: the contexts
#
# *medium · 8 minutes*
#
# Return `G`, `[N, 2D]`, and `g`, `[K, 2D]`. You need `network.value.weight`, `network.output.weight` and `.bias`, and
# `network.decoder[0].weight` (`[2D, 2D]`) and `.bias`.


# %% tags=["exercise", "nbval-check-output"]
def context_once(network, candidates, codes):
    return ...  # your code: G, g


context_once = check.answer("context_once", context_once)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `W1a = network.decoder[0].weight[:, :D]` with `D = candidates.shape[1]`. The product `P = W1a @ Wo @ Wv` is
# `[2D, D]`, and serves both G and g.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `G = candidates @ P.T`. For g, start with `codes @ P.T`; then add `W1a @ network.output.bias` and the first layer's
# own bias, which are the same for all levels.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def context_once(network, candidates, codes):
#     W1a = network.decoder[0].weight[:, : candidates.shape[1]]
#     P = W1a @ network.output.weight @ network.value.weight
#     constant = W1a @ network.output.bias + network.decoder[0].bias
#     return candidates @ P.T, codes @ P.T + constant
# ```
#
# </details>

# %%
G, g = context_once(network, z, codes)
W1a, W1b = network.decoder[0].weight.chunk(2, dim=1)
slow = W1a @ o + network.decoder[0].bias
print("G", tuple(G.shape), "  g", tuple(g.shape))
print("sum of the weights:", f"{w.sum():.12f}")
print("W1a o + b_1 differs by", order_of(w @ G + g[level - 1] - slow))
product = 2 * 4 * 512**3 / plain_operations(512, 32)
print(f"W1a Wo Wv, the product alone, at D = 512: as many operations as {product:.0f} plain steps")
assert torch.allclose(w @ G + g[level - 1], slow, atol=1e-10)

# %% [markdown]
# ### (c) The step
#
# The other half reads $z_j$, which never changes: $H_j = W_{1b} z_j$, computed once. With the last layer's $W_2$ (one
# row) and $b_2$ all is there:
#
# $$ \hat x_0[j] = W_2 \, \mathrm{relu}\left( H_j + g_k + \sum_i w_i \, G_i \right) + b_2 + w_j $$
#
# ### Exercise 4: one fast step
#
# *medium · 7 minutes*
#
# `x_k` and `logits` (of this level) are `[N]`; `G` and `H_g` are `[N, 2D]`, where row j of `H_g` is $H_j + g_k$. `last`
# is the last layer: `last(hidden)` turns `[N, 2D]` into `[N, 1]`, bias included. Return the guess, `[N]`.


# %% tags=["exercise", "nbval-check-output"]
def fast_step(x_k, logits, G, H_g, last):
    return ...  # your code


fast_step = check.answer("fast_step", fast_step)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `w = torch.softmax(logits + x_k, dim=0)`. The sum over i is the same vector for all candidates: `w @ G`, `[2D]`.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Add it to `H_g`, apply `torch.relu`, then `last(...)` and `.squeeze(-1)`. Do not forget the `w` at the end.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def fast_step(x_k, logits, G, H_g, last):
#     w = torch.softmax(logits + x_k, dim=0)
#     hidden = torch.relu(H_g + w @ G)
#     return last(hidden).squeeze(-1) + w
# ```
#
# </details>

# %%
H, last_layer = z @ W1b.T, network.decoder[2]
fast = fast_step(x_k, logits[level - 1], G, H + g[level - 1], last_layer)
print("one guess differs by", order_of(fast - plain))
assert torch.allclose(fast, plain, atol=1e-10)

# %% [markdown]
# ## The whole walk, held against two others
#
# Your parts, joined; the plain network, K times; and the package's
# [`PreparedDenoiser`](../diffret_core/denoiser_prepared.py), which is written for batches.


# %%
from diffret_core.denoiser_prepared import PreparedDenoiser


def my_walk(network, query, candidates, codes, x_k):
    logits = logits_once(network, query, candidates, codes)
    G, g = context_once(network, candidates, codes)
    H = candidates @ network.decoder[0].weight[:, candidates.shape[1] :].T
    for k in range(len(codes), 0, -1):
        guess = fast_step(x_k, logits[k - 1], G, H + g[k - 1], network.decoder[2])
        x_k = ddim_step(x_k, guess, float(model.alpha_bar[k]), float(model.alpha_bar[k - 1]))
    return x_k


start = noise.double()  # [1, N]
mine = my_walk(network, u, z, codes, start[0])
steps = ddim_steps(lambda x, k: network(x, k, u[None, None], z[None]), start, levels, model.alpha_bar)
*_, plain = steps
prepared = PreparedDenoiser(network, K)
package = prepared.walk(prepared.condition(u[None, None], z[None]), start, levels, model.alpha_bar)
print("yours and the plain network  ", order_of(mine - plain.x_k[0]))
print("the package and the plain one", order_of(package - plain.x_k))
assert torch.allclose(mine, plain.x_k[0], atol=1e-10)
assert torch.allclose(package, plain.x_k, atol=1e-10)

# %% [markdown]
# After all K steps only the rounding of double precision is left. In single precision it is more (the race below
# prints how much); a test holds it below 1e-5.
#
# ## The other direction: one term stays
#
# A *video* query is pooled anew by each candidate text, so there are N queries: write $u_j$ for the video as text j
# sees it, and $z_j$ for the text. Now $u_j^T M c_k$ **has** a j, and does not cancel. It must be kept.

# %% tags=["nbval-check-output"]
draw, empty, highest = torch.Generator().manual_seed(0), torch.zeros(1, 3).double(), torch.tensor([K])
some = torch.randn(1, 3, len(u), generator=draw).double()  # 3 candidates, made up
for name, num_queries in (("text query ", 1), ("video query", 3)):
    asking = torch.randn(1, num_queries, len(u), generator=draw).double()
    extra = (asking @ prepared.level_query)[0]  # u_j M c_k
    guess = prepared.estimate(prepared.condition(asking, some), empty, highest)
    assert torch.allclose(guess, network(empty, highest, asking, some), atol=1e-10)
    print(name, " queries:", num_queries, "  u M c:", tuple(extra.shape), end=" ")
    print("differs between candidates:", bool(extra.amax(dim=0).gt(extra.amin(dim=0)).all()))
print("both guesses are as the plain network has them")

# %% [markdown]
# ## The race
#
# Fewer operations are not yet less time. Each way walks for 4 queries, on one thread, in turn, best of three. *Yours*
# is written for one query, so it runs against the plain network query by query; the package takes all 4 at once, as
# the plain network may too. *Compiled* is the package's walk as one loop, turned into machine code where numba is
# installed: what tensor operations write to memory at every step and read again, it keeps in the processor. Weights
# and features are random; the package's products of weights are formed outside the clock, once per model.

# %%
from diffret_core.bench.clock import time_alternately
from diffret_core.denoiser import Denoiser
from diffret_core.denoiser_compiled import sample


@torch.no_grad()
def race(D, num_queries=4, N=32):
    def plain(u, z, start):
        return list(ddim_steps(lambda x, k: network(x, k, u, z), start, levels, model.alpha_bar))[-1].x_k

    draw, network = torch.Generator().manual_seed(0), Denoiser(D)
    u, z, start = (torch.randn(num_queries, *size, generator=draw) for size in ((1, D), (N, D), (N,)))
    codes = network.noise_level_code(torch.arange(1, K + 1))
    prepared = PreparedDenoiser(network, K)  # products of weights: formed once per model, not per query
    each = list(zip(u.split(1), z.split(1), start.split(1), strict=True))
    ways = {
        "plain, one by one": lambda: torch.cat([plain(*one) for one in each]),
        "yours, one by one": lambda: torch.stack([my_walk(network, u[0, 0], z[0], codes, x[0]) for u, z, x in each]),
        "plain, 4 at once": lambda: plain(u, z, start),
        "package, 4 at once": lambda: prepared.walk(prepared.condition(u, z), start, levels, model.alpha_bar),
        "compiled, 4 at once": lambda: sample(prepared, prepared.condition(u, z), start, levels, model.alpha_bar),
    }
    (alone, yours, together, *package), timed = ways, time_alternately(ways, repeats=3, device=u.device)
    for slow, fast in ((alone, yours), *((together, way) for way in package)):
        times = f"{timed[slow].seconds / timed[fast].seconds:5.1f} times as fast as {slow}"
        print(f"D {D:3}  {fast:19} {times}; they differ by", order_of(timed[fast].result - timed[slow].result))


race(model.config.dim)
race(512)

# %% [markdown]
# Measured here and now; another machine has other ratios. Why not 523 times? Preparation is in the race: by operations
# alone it is 65. *Yours*, if written like our solution, also forms $W_{1a} W_o W_v$ anew for every query, as much work
# as ten plain steps. What else takes time: reading G and H from memory, K times, and calling functions at all.
#
# The benchmark of this project (1,000 queries in each direction, 50 levels, 32 candidates, D = 512; two CPU cores,
# made-up features, all preparation counted, plain ways timed on 128 queries and scaled) has **39.7 times** against the
# plain network with features gathered once, and **69.9 times** against the released order of work, which gathers and
# pools again at every level (21.6 and 38.0 without the compiled walk): `diffret bench sampler`,
# [results](../docs/results.md).
#
# ## What you can now say
#
# - A step of DDIM takes the state apart into guess and noise, and mixes them anew with a little less noise.
# - The answer is the network's last guess, cut off at -1 and 1; so exact ties can occur.
# - Draws that start apart can end alike; how many steps and draws that takes is measured, with paired intervals.
# - Whether the walk is better than one pass of the same network without noise is an open question, asked next.
# - What does not change from step to step is computed once: terms without j cancel in the softmax, and weights that sum
#   to 1 let constants out. The result is equal, not approximate.
#
# ## Quiz

# %%
quiz.show("08")

# %% [markdown]
# **Next.** We can generate rankings, and fast. Does that *help*? [Notebook 09](09_evaluation.ipynb) asks: both
# scores fused, both directions with intervals and several seeds, one setting changed at a time, and the same network
# without noise.
#
# The code behind this notebook: [the sampler](../diffret_core/sampler.py), [the prepared
# denoiser](../diffret_core/denoiser_prepared.py), [whole collections](../diffret_core/prepared.py), [plain
# generation](../diffret_core/retriever.py), [the scores](../diffret_core/ranking.py).
