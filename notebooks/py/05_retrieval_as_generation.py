# %% [markdown]
# # 05 · Why generate?
#
# **Goal.** You see what a softmax over candidates cannot say, what a joint distribution could, and what DiffusionRet
# makes of that idea. Then you build the first half of diffusion: the way from an answer to pure noise.
#
# | | |
# |---|---|
# | you need | PyTorch tensors; what a similarity matrix and a softmax are (notebooks 03 and 04) |
# | time | 40 minutes with the exercises; Run All takes well under a minute |
# | hardware | any computer; no GPU, no network |
# | in the paper | its motive, and the forward process of stage 2, *generation* |
#
# Just opened? Choose **Run → Run All Cells** first. Letters such as N, K and $x_0$ are in the [table of
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

from diffret_core.course import check, predict, quiz, setup, show

samples = setup.open_samples()
model, config = samples.model, samples.model.config

# %% [markdown]
# ## A softmax always has an answer
#
# A retriever as we have it gives each video a similarity. A softmax over the best candidates turns these into
# $p(candidates \mid query)$: how probable it is of each to be the one that is meant. Here are three candidates of two
# queries. The second query fits nothing: all its similarities are 0.7 lower.

# %%
fits = torch.tensor([0.9, 0.8, 0.5])
fits_nothing = fits - 0.7
for row in (fits, fits_nothing):
    p = torch.softmax(10 * row, dim=0)  # 10 in place of the model's logit_scale (notebook 04)
    print("similarity", row.numpy().round(2), "  softmax", p.numpy().round(2), f"  sum {p.sum():.0f}")

# %% [markdown]
# The same numbers. A constant c that is added to all scores of a row is a factor above and below the line:
#
# $$
# \frac{e^{s_j + c}}{\sum_i e^{s_i + c}} = \frac{e^c \, e^{s_j}}{e^c \sum_i e^{s_i}} = \frac{e^{s_j}}{\sum_i e^{s_i}}
# $$
#
# So the softmax keeps *which candidate rather than which other*, and drops *how well any of them fits*.
#
# ## On real queries
#
# We need queries that match nothing. There is a clean way to make them: take a test sentence and **remove its own video
# from the gallery**. The sentences of the sample collection are each true of one test video only, so then no video
# is right.

# %%
captions = [caption for caption, _ in samples.collection.pairs("test")]
our = 644
asked = torch.arange(our % 5, len(captions), 5)  # every fifth sentence, ours among them
our_row = our // 5
with torch.no_grad():
    scale = float(model.logit_scale)
    texts = model.encode_texts([captions[text] for text in asked.tolist()])
    similarity = model.similarity(texts, samples.videos)  # [200, V]
own_removed = similarity.clone()
own_removed[torch.arange(len(asked)), asked] = -torch.inf  # sentence i belongs to video i
print("similarity", tuple(similarity.shape), f"  softmax over the 12 best of {scale:.1f} * similarity")
assert asked[our_row] == our
print(f"our query: “{captions[our]}”")

# %%
galleries = {"with its own video": similarity, "own video removed": own_removed}
best = {name: values.topk(12).values for name, values in galleries.items()}  # [200, 12] each
probability = {name: torch.softmax(scale * values, dim=1) for name, values in best.items()}  # [200, 12]
sure = {name: 100 * float((p[:, 0] > 0.5).float().mean()) for name, p in probability.items()}
predict.number(
    "For each of 200 sentences its own video has been removed. In how many percent of them does one of the "
    "12 best that remain still get more than half of the probability?",
    truth=round(sure["own video removed"]),
    low=0,
    high=100,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# Some wrong video is usually a little closer than the other wrong ones, and the softmax sees only that lead. It has no
# place for *none of these*.
#
# </details>

# %%
print("                     sums       highest above one half   median highest   median best similarity")
for name, p in probability.items():
    low, high = p.sum(dim=1).aminmax()
    print(f"{name:19}  {low:.0f} to {high:.0f}{sure[name]:17.0f} %{p[:, 0].median():21.2f}", end="")
    print(f"{best[name][:, 0].median():21.2f}")

with_own, without = galleries
print("\nA sentence with its video, another without. How often is the number higher for the first? Blind: 50 %")
for name, values in {"best similarity": best, "highest probability": probability}.items():
    higher = values[with_own][:, None, 0] > values[without][None, :, 0]  # [200, 200]
    print(f"{name:19}  {100 * float(higher.float().mean()):.0f} % of {higher.numel():,} pairs")

# %% [markdown]
# (Sample collection, 200 queries, one model.) All sums are 1 in both rows. A softmax is not *wholly* blind: without the
# right video its row is often flatter. Only what sinks for all candidates together is lost. The pairs say how much that
# is: where the similarity has the higher percentage, **it knows something that its softmax drops**.
#
# Now four single queries. The last two ask for what no video of the collection shows.

# %%
from diffret_core.course.softmax_figure import Question, softmax_figure

odd = ["a huge white ring sings", "a dog runs along the beach"]
with torch.no_grad():
    rows = [
        *(one[our_row] for one in (similarity, own_removed)),
        *model.similarity(model.encode_texts(odd), samples.videos),
    ]
asked_as = ["our query", "our query, our video removed", *(f"“{text}”" for text in odd)]
questions = {}
for name, row in zip(asked_as, rows, strict=True):
    found = row.topk(12)
    own = found.indices.tolist().index(our) if name == asked_as[0] and our in found.indices else None
    questions[name] = Question(found.values, [captions[video] for video in found.indices.tolist()], own)
show.figure(
    softmax_figure(questions, scale, title="Four queries, their 12 best candidates (sample collection)"),
    "Left, the similarities of the 12 best candidates; right, the softmax of logit_scale times these. "
    "Green with a star: the video that is meant, where it is in the gallery.",
)

# %% [markdown]
# **What to see.** Move the slider. Could you tell from a right panel alone whether a query has an answer? From a left
# one? Four queries are examples and no evidence: the pairs above are counted.
#
# ## What a joint would say
#
# A hundred searches in a gallery of three videos. Each row is a query, each column the video that was chosen:
#
# | | video with a star | with a ring | with a cross | all |
# |---|---|---|---|---|
# | "star" | 48 | 6 | 6 | 60 |
# | "ring" | 3 | 30 | 6 | 39 |
# | "dog" | 0 | 1 | 0 | 1 |
#
# The **joint** $p(candidates, query)$ is this table divided by 100: all nine numbers sum to 1. A row sums to
# $p(query)$: how usual the query is. Dividing a row by that sum gives the **conditional**:
#
# $$
# p(candidates, query) = p(query) \; p(candidates \mid query)
# $$
#
# For "ring": joint 0.03, 0.30, 0.06; $p(query)$ = 0.39; conditional 0.08, 0.77, 0.15.
#
# ### Exercise 1: three tables
#
# *easy · 5 minutes*
#
# `counts` is `[Q, N]`, a row per query. Return the joint `[Q, N]`, p(query) `[Q]` and the conditional `[Q, N]`, in this
# order. Replace the three dots; until you do, the notebook uses our answer.


# %% tags=["exercise", "nbval-check-output"]
def query_tables(counts):
    return ...  # your code: joint, of_query, conditional


query_tables = check.answer("query_tables", query_tables)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `counts.sum()` are all searches. Divided by it, the table sums to 1.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `joint.sum(dim=1)` adds along each row, `[Q]`. To divide rows by it, it needs the shape `[Q, 1]`: `[:, None]`.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def query_tables(counts):
#     joint = counts / counts.sum()
#     of_query = joint.sum(dim=1)
#     return joint, of_query, joint / of_query[:, None]
# ```
#
# </details>

# %%
counts = torch.tensor([[48.0, 6.0, 6.0], [3.0, 30.0, 6.0], [0.0, 1.0, 0.0]])
joint, of_query, conditional = (torch.as_tensor(table) for table in query_tables(counts))
for row, name in enumerate(("star", "ring", "dog ")):
    print(f"{name}  joint", joint[row].numpy().round(2), f"  p(query) {of_query[row]:.2f}", end="")
    print("   conditional", conditional[row].numpy().round(2))
assert torch.allclose(joint, of_query[:, None] * conditional)
assert torch.allclose(joint.sum(), torch.tensor(1.0))

# %% [markdown]
# Look at "dog". Its conditional is the *surest of all rows*, from a single accident. The joint says 0.01: **hardly
# anyone asks so, trust this little.** That is what a joint could add. (Rare is not wrong: a rare query may well have an
# answer.)
#
# The price: with three queries a joint is a table. With all sentences that can be written, someone has to model
# $p(query)$.
#
# ## What DiffusionRet really does
#
# 1. Similarity proposes the N best candidates.
# 2. The answer is a vector of N numbers, $x_0$: 1 at the right candidate, 0 elsewhere.
# 3. In training, noise is added to it. A network gets the noisy vector, how noisy it is, **the query and the
#    candidates**, and estimates $x_0$.
# 4. In use, it starts from pure noise and estimates again and again, until a vector is *generated*.
#
# The paper calls this modelling the joint. Said plainly: the network is *given* the query, and nowhere does a
# number $p(query)$ come out. Whether what it generates looks different for an odd query has to be **measured**: that is
# for notebook 10. These are the inputs of the network:

# %% tags=["nbval-check-output"]
import inspect

from diffret_core.denoiser import Denoiser

print([name for name in inspect.signature(Denoiser.forward).parameters if name != "self"])

# %% [markdown]
# Also, no training example has an odd query: the right candidate is always among the N, so $x_0$ always has its 1. In
# the package this is [`training_candidates`](../diffret_core/candidates.py). We do the same for our query.
#
# ## The answer as a distribution
#
# Our video (green), and the 11 other videos of the sample collection that are most similar to the sentence:

# %%
from html import escape

from diffret_core.course.style import COMBINED
from diffret_core.course.thumbnails import still, thumbnail_html

num_candidates = 12
others = own_removed[our_row].topk(num_candidates - 1).indices
candidates = [our, *others.tolist()]  # the right one at index 0
paths = [samples.video_path(samples.video_ids[video]) for video in candidates]
names = [captions[video] for video in candidates]
x_0 = torch.zeros(num_candidates)  # [N]
x_0[0] = 1
style = "display:inline-block; width:132px; margin:0 10px 10px 0; vertical-align:top; font-size:12px"
cards = []
for path, name, value in zip(paths, names, x_0.tolist(), strict=True):
    card = f"{thumbnail_html(path, title=name)}<div><b>{value:.0f}</b> {escape(name)}</div>"
    line = f"border-top:4px solid {COMBINED if value else 'transparent'}"
    cards.append(f'<div style="{style}; {line}">{card}</div>')
HTML("".join(cards))

# %% tags=["nbval-check-output"]
from diffret_core.candidates import training_candidates
from diffret_core.randomness import generator

own = torch.nn.functional.one_hot(torch.tensor([our]), len(captions)).bool()
in_package = training_candidates(
    similarity[our_row][None],
    torch.tensor([our]),
    own,
    num_candidates=num_candidates,
    negative_pool=num_candidates - 1,
    generator=generator(0, "candidates"),
)
assert in_package[0, 0] == our
assert set(in_package[0].tolist()) == set(candidates)
print("x_0", x_0.int().tolist(), "  sum", int(x_0.sum()), "  the candidates that training would take")

# %% [markdown]
# $x_0$ *is* a distribution: nothing negative, sum 1. It says “certainly this one”. That the right one stands first
# gives nothing away: the network treats all places alike (notebook 06 shows it).
#
# ## Noise, step by step
#
# Now destroy it. Three candidates, five levels. At each level the vector shrinks a little, and a little Gaussian noise
# $\epsilon$ comes in. A number $\beta_k$ says how much:
#
# $$
# x_k = \sqrt{1 - \beta_k} \; x_{k-1} + \sqrt{\beta_k} \; \epsilon_k
# $$

# %%
beta = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5], dtype=torch.float64)  # levels 1 to 5
draw = torch.Generator().manual_seed(4)
small_x_0 = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)  # [N]
step_noise = torch.randn(5, 3, generator=draw, dtype=torch.float64)  # [K, N]
states = [small_x_0]
for k in range(1, 6):
    states.append((1 - beta[k - 1]).sqrt() * states[-1] + beta[k - 1].sqrt() * step_noise[k - 1])
print("level 0         ", small_x_0.numpy(), "  sum 1.00")
for k in range(1, 6):
    keep, add = float((1 - beta[k - 1]).sqrt()), float(beta[k - 1].sqrt())
    print(
        f"level {k}:  {keep:.2f} *",
        states[k - 1].numpy().round(2),
        f"+ {add:.2f} *",
        step_noise[k - 1].numpy().round(2),
    )
    print("         =      ", states[k].numpy().round(2), f"  sum {states[k].sum():.2f}")

# %% [markdown]
# From level 1 on, there are negative numbers and the sum is anything. $x_k$ **is no distribution any more**, it is a
# vector of real numbers.
#
# Why square roots? A random number times $a$ has $a^2$ times the variance, and variances of independent numbers add up:
# $(1-\beta) \cdot 1 + \beta \cdot 1 = 1$. So the noise grows towards variance 1 and never beyond, while $x_0$ fades.
#
# ## All steps in one jump
#
# Put step 1 into step 2:
#
# $$
# x_2 = \sqrt{(1-\beta_1)(1-\beta_2)} \, x_0 + \sqrt{(1-\beta_2) \beta_1} \, \epsilon_1 + \sqrt{\beta_2} \, \epsilon_2
# $$
#
# The factors of $x_0$ multiply. The two noises together are again *one* Gaussian, and its variance is
# $(1-\beta_2)\beta_1 + \beta_2 = 1 - (1-\beta_1)(1-\beta_2)$. So, with $\bar\alpha_k$ for the product of all
# $1-\beta$ up to level k:
#
# $$
# x_k = \sqrt{\bar\alpha_k} \; x_0 + \sqrt{1 - \bar\alpha_k} \; \epsilon
# $$

# %%
small_kept = torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - beta, dim=0)])  # [K + 1]
for k in range(6):
    product = " * ".join(f"{1 - float(one):.1f}" for one in beta[:k]) or "nothing yet"
    print(f"alpha_bar[{k}] = {small_kept[k]:.3f}   {product}")

# %% [markdown]
# ### Exercise 2: the jump
#
# *easy · 5 minutes*
#
# `x_0` and `epsilon` are `[B, N]`. `k` is `[B]`, whole numbers: **each row has a level of its own**. `alpha_bar` is
# `[K + 1]`. Return $x_k$, `[B, N]`.


# %% tags=["exercise", "nbval-check-output"]
def noise_to_level(x_0, k, epsilon, alpha_bar):
    return ...  # your code


noise_to_level = check.answer("noise_to_level", noise_to_level)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `alpha_bar[k]` picks one number per row, `[B]`. One factor for all candidates of a row needs the shape `[B, 1]`.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `kept = alpha_bar[k][:, None]`. The signal takes `kept.sqrt()`, the noise `(1 - kept).sqrt()`.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def noise_to_level(x_0, k, epsilon, alpha_bar):
#     kept = alpha_bar[k][:, None]
#     return kept.sqrt() * x_0 + (1 - kept).sqrt() * epsilon
# ```
#
# </details>

# %% [markdown]
# ## Is the jump the same as the steps?
#
# **In distribution.** 100,000 walks step by step, 100,000 jumps with other noise. Mean and variance of the right
# candidate must agree, up to what chance allows.

# %%
num_draws = 100_000
draw = generator(0, "walks")
walked = torch.zeros(num_draws, 3, dtype=torch.float64)
walked[:, 1] = 1
start = walked.clone()
print("level   mean: steps   jump     formula   variance: steps   jump     formula")
for k in range(1, 6):
    fresh, other = torch.randn(2, num_draws, 3, generator=draw, dtype=torch.float64)
    walked = (1 - beta[k - 1]).sqrt() * walked + beta[k - 1].sqrt() * fresh
    jumped = noise_to_level(start, torch.full((num_draws,), k), other, small_kept)
    mean, variance = float(small_kept[k]) ** 0.5, 1 - float(small_kept[k])
    for x in (walked, jumped):
        assert abs(x[:, 1].mean() - mean) < 4 * math.sqrt(variance / num_draws)
        assert abs(x[:, 1].var() - variance) < 4 * variance * math.sqrt(2 / num_draws)
    print(f"{k:5}   {walked[:, 1].mean():11.3f}{jumped[:, 1].mean():9.3f}{mean:10.3f}", end="")
    print(f"{walked[:, 1].var():18.3f}{jumped[:, 1].var():9.3f}{variance:10.3f}")

# %% [markdown]
# **Exactly.** For one given walk there is one $\epsilon$ with which the jump lands where the steps led.
#
# ### Exercise 3: many noises are one
#
# *hard · 8 minutes*
#
# `beta` is `[k]`, `epsilon` is `[k, N]`: the noise of each step, in order. Return the single $\epsilon$, `[N]`, with
# which the jump to level k gives the same $x_k$, whatever $x_0$ was.


# %% tags=["exercise", "nbval-check-output"]
def one_noise(beta, epsilon):
    return ...  # your code


one_noise = check.answer("one_noise", one_noise)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# “Whatever $x_0$ was”: so take $x_0 = 0$. Walk all steps from there. What arrives is noise only.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# In the jump, the noise part is $\sqrt{1 - \bar\alpha_k} \, \epsilon$. Divide what has arrived by that root;
# `(1 - beta).prod()` is $\bar\alpha_k$.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def one_noise(beta, epsilon):
#     noise = torch.zeros_like(epsilon[0])
#     for share, fresh in zip(beta, epsilon):
#         noise = (1 - share).sqrt() * noise + share.sqrt() * fresh
#     return noise / (1 - (1 - beta).prod()).sqrt()
# ```
#
# </details>

# %% tags=["nbval-check-output"]
from diffret_core.schedule import add_noise

for k in range(1, 6):
    combined = one_noise(beta[:k], step_noise[:k])
    arguments = (small_x_0[None], torch.tensor([k]), torch.as_tensor(combined)[None], small_kept)
    for jump in (noise_to_level, add_noise):
        assert torch.allclose(jump(*arguments)[0].double(), states[k], rtol=0, atol=1e-6)
print("levels 1 to 5: step by step = your jump = add_noise of diffret_core, to 6 decimals")

# %% [markdown]
# This is why training is cheap: level k is reached in one line, without the k - 1 levels before it.
#
# ## A schedule: how fast?
#
# The list of all $\beta_k$ is the **noise schedule**. The package has two. The *linear* one takes K equally spaced
# values, rescaled from the original thousand levels:
#
# $$
# \beta_1 = 10^{-4} \cdot \frac{1000}{K} \quad to \quad \beta_K = 0.02 \cdot \frac{1000}{K} = \frac{20}{K}
# $$
#
# The *cosine* one draws the curve of $\bar\alpha$ first, and then asks which $\beta$ follow it. With $u = k / K$:
#
# $$
# f(u) = \cos^2 \left( \frac{u + 0.008}{1.008} \cdot \frac{\pi}{2} \right)
# $$
#
# A step keeps the share $f(k/K) / f((k-1)/K)$ of what came to it. The rest is $\beta_k$, at most 0.999.
#
# ### Exercise 4: the betas of the cosine schedule
#
# *medium · 6 minutes*
#
# Return $\beta_1$ to $\beta_K$, `[K]`. For K = 5 they are 0.101, 0.280, 0.474, 0.724 and 0.999.


# %% tags=["exercise", "nbval-check-output"]
def cosine_betas(num_noise_levels):
    return ...  # your code


cosine_betas = check.answer("cosine_betas", cosine_betas)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# The curve has K + 1 points: `torch.arange(num_noise_levels + 1, dtype=torch.float64) / num_noise_levels` are their u.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `curve[1:] / curve[:-1]` are the K ratios of neighbours. `.clamp(max=0.999)` cuts off.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def cosine_betas(num_noise_levels):
#     u = torch.arange(num_noise_levels + 1, dtype=torch.float64) / num_noise_levels
#     curve = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
#     return (1 - curve[1:] / curve[:-1]).clamp(max=0.999)
# ```
#
# </details>

# %% tags=["nbval-check-output"]
from diffret_core.schedule import noise_schedule


def linear_betas(num_noise_levels):
    first, last = 1e-4 * 1000 / num_noise_levels, 20 / num_noise_levels
    return torch.linspace(first, last, num_noise_levels, dtype=torch.float64)


for K in (20, 50, 1000):
    for kind, betas in (("cosine", cosine_betas(K)), ("linear", linear_betas(K))):
        by_hand = torch.cumprod(1 - torch.as_tensor(betas, dtype=torch.float64), dim=0)
        assert torch.allclose(by_hand, noise_schedule(K, kind)[1:], rtol=0, atol=1e-6)
print("cosine and linear, K = 20, 50, 1000: alpha_bar as in diffret_core, to 6 decimals")

# %% [markdown]
# How few levels will do? The linear schedule ends with $\beta_K = 20/K$. Below K = 20 that is more than 1, and
# $\sqrt{1 - \beta}$ is the root of a negative number: NaN, without a word. So the package refuses:

# %% tags=["nbval-check-output"]
last = linear_betas(10)[-1]
print(f"K = 10: the last beta is {last:.0f}, sqrt(1 - beta) is {(1 - last).sqrt():.0f}")
try:
    noise_schedule(10, "linear")
except ValueError as error:
    print("ValueError:", error)

# %% [markdown]
# ## Signal and noise
#
# At the right candidate, $x_k$ holds $\sqrt{\bar\alpha_k}$ of signal, and noise of the size $\sqrt{1-\bar\alpha_k}$.
# The ratio of their squares is the **signal-to-noise ratio**:
#
# $$
# SNR_k = \frac{\bar\alpha_k}{1 - \bar\alpha_k}
# $$
#
# Our model has K = 50 levels by default. With an SNR below 0.01 a level is nearly pure noise.

# %%
K = config.num_noise_levels
schedules = {kind: noise_schedule(K, kind) for kind in ("cosine", "linear")}  # alpha_bar, [K + 1] each
snr = {kind: kept / (1 - kept) for kind, kept in schedules.items()}
predict.number(
    f"At how many of the levels 1 to {K} does the linear schedule have an SNR below 0.01?",
    truth=int((snr["linear"] < 0.01).sum()),
    low=0,
    high=K,
)

# %% [markdown]
# <details>
# <summary>Why so many?</summary>
#
# The $\beta$ of the linear schedule are large long before the end, and what each step keeps is multiplied. After two
# thirds of the levels hardly anything is left. The cosine schedule was made to avoid that.
#
# </details>

# %%
edges = torch.tensor([0.01, 0.1, 10, 100], dtype=torch.float64)
head = f"levels 1 to {K} by SNR: "
print(f"{head} below 0.01   to 0.1   to 10   to 100   above   alpha_bar at level K")
for kind, ratio in snr.items():
    below, faint, alike, strong, above = torch.bucketize(ratio[1:], edges).bincount(minlength=5).tolist()
    row = f"{below:11}{faint:9}{alike:8}{strong:9}{above:8}{schedules[kind][-1]:23.7f}"
    print(f"{kind:{len(head)}}{row}")

# %%
from diffret_core.course.levels_figure import COSINE, LINEAR, LevelCurve, Panel, levels_figure

levels = list(range(K, 0, -1))  # noise first


def both(heights, *, at):
    cosine, linear = ([float(heights[kind][k]) for k in levels] for kind in schedules)
    upper, lower = LevelCurve(cosine, *COSINE, at[0], above=True), LevelCurve(linear, *LINEAR, at[1])
    return {"cosine": upper, "linear": lower}


log_snr = {kind: ratio.log10() for kind, ratio in snr.items()}
kept_panel = Panel("signal kept, ᾱ", "noise level k", levels, both(schedules, at=(K // 2, 2 * K // 3)))
log_curves = both(log_snr, at=(K // 3, K // 2))
snr_panel = Panel("log10 of the SNR", "noise level k", levels, log_curves, dotted=-2)
show.figure(
    levels_figure([kept_panel, snr_panel]),
    "Both schedules from noise (left) to data (right). Left, how much of the signal is kept. Right, the "
    "signal-to-noise ratio as a power of ten; dotted, an SNR of 0.01. Pure arithmetic: no model, no video.",
)

# %% [markdown]
# **What to see.** Left: for about a third of its levels the linear curve lies on the floor; right, there it is below
# the dotted line. Through the middle the cosine curve is the flatter one: it spends more levels where signal and noise
# are of like size (in the table: SNR from 0.1 to 10).
#
# ## Watch our answer drown
#
# Now the 12 candidates of our query. One $\epsilon$ is drawn and mixed in more or less, so that the bars move smoothly.
# (Real steps draw new noise each time; at any *single* level both look alike, as you have proved.)

# %%
from diffret_core.course.noising_figure import noising_figure

epsilon = torch.randn(num_candidates, generator=generator(1, "noise over candidates"))
drawn = noising_figure(
    x_0,
    epsilon,
    schedules,
    pictures=[still(path, side=36) for path in paths],
    captions=names,
    title="Our query: 12 candidates of the sample collection, one draw of noise",
)
show.figure(
    drawn,
    "Above, the state of each candidate by both schedules, and how it is mixed. Below, how much of the "
    f"signal is kept. The slider runs from noise (level {K}) to data (level 0).",
)

# %% [markdown]
# **What to see.** On the left nothing points at our video. Move to the right: at which level does the triangle jump to
# the green bar for good, in the cosine panel, and in the linear one? Note both levels: soon they can be computed.
#
# ## When can the answer be read off?
#
# That was one draw. Now many: how often is the right candidate the highest of N?


# %%
def share_highest(num_candidates, kept, num_draws=20_000):
    """Share of draws in which the largest entry of x_k is the right candidate, in percent."""
    draw = generator(0, "share highest", num_candidates)
    right = torch.zeros(num_draws, num_candidates)
    right[:, 0] = 1
    x_k = kept**0.5 * right + (1 - kept) ** 0.5 * torch.randn(right.shape, generator=draw)
    return 100 * float((x_k.argmax(dim=1) == 0).float().mean())


some_levels = [round(K * part / 5) for part in range(5, -1, -1)]
shares = [round(share_highest(12, float(schedules["cosine"][k])), 1) for k in some_levels]
predict.curve(
    "12 candidates, cosine schedule. At these levels, from noise to data: in how many percent of the draws "
    "is the right candidate the highest?",
    some_levels,
    shares,
    low=0,
    high=100,
)

# %% [markdown]
# <details>
# <summary>Why?</summary>
#
# At level K it is luck: 1 in 12, or 8 %. The right candidate then has to beat the highest of 11 noises, which lies near
# 1.6 times the noise's size. Once the signal is well above that, it nearly always wins.
#
# </details>
#
# Is there a shortcut? Write $\epsilon[j]$ for the noise of candidate j; the right one is at index 0. It wins if
# $\sqrt{\bar\alpha} + \sqrt{1-\bar\alpha} \, \epsilon[0]$ is above $\sqrt{1-\bar\alpha} \, \epsilon[j]$ for all others.
# Divide by the noise's factor:
#
# $$
# \sqrt{SNR} > \max_j \epsilon[j] - \epsilon[0]
# $$
#
# **The schedule is gone, only the SNR counts.** And the right side can be drawn once, for all levels.

# %%
gap = {}
for N in (3, 12, 32, 128):
    noise = torch.randn(20_000, N, generator=generator(0, "share highest", N))
    gap[N] = noise[:, 1:].amax(dim=1) - noise[:, 0]


def share_by_snr(N, ratio):
    return 100 * float((gap[N] < ratio**0.5).float().mean())


for k in some_levels[:-1]:
    direct = share_highest(12, float(schedules["cosine"][k]))
    assert abs(share_by_snr(12, float(snr["cosine"][k])) - direct) < 0.05
lead = float(epsilon[1:].max() - epsilon[0])  # of the best wrong one, in the draw under the slider
print(f"in the draw above the right one leads once the SNR is above {lead:.2f} squared = {lead**2:.2f}:")
for kind, ratio in snr.items():
    k = max(level for level in range(K + 1) if ratio[level] ** 0.5 > lead)
    share = share_by_snr(12, float(ratio[k]))
    print(f"  {kind}: at level {k} and below (SNR {ratio[k]:.2f}; there it leads in {share:.0f} % of all draws)")

# %%
from diffret_core.course.style import INK

by_level = {kind: [share_by_snr(12, float(one)) for one in ratio] for kind, ratio in snr.items()}
powers = [power / 10 for power in range(-20, 16)]
looks = {3: ("dot", 18), 12: ("solid", 24), 32: ("dash", 22), 128: ("dashdot", 27)}
by_snr = {
    f"{N}": LevelCurve([share_by_snr(N, 10**power) for power in powers], INK, dash, at, above=N < 128)
    for N, (dash, at) in looks.items()
}
curves = both(by_level, at=(K // 2, 3 * K // 4))
left = Panel("N = 12: right one highest, in %", "noise level k", levels, curves, 100 / 12)
right = Panel("the same by SNR, for N = 3, 12, 32, 128", "log10 of the SNR", powers, by_snr)
show.figure(
    levels_figure([left, right]),
    "In how many percent of 20,000 draws the right candidate is the highest of N. Dotted line on the left: "
    "chance, 1 in 12. Pure arithmetic: no model and no video is involved.",
)

# %% [markdown]
# **What to see.** Left: the schedules differ by where they place the same rise. Right: for each N it is one curve,
# whatever the schedule; more candidates need more signal.
#
# Two things follow. At low levels $x_k$ shows the answer to anybody: a network need only copy it. At level K it shows
# next to nothing: **whatever the network says there comes from the query and the candidates**. Notebook 07 measures
# the loss level by level.
#
# ## Undoing the noise
#
# If you knew $\epsilon$, you could go back exactly: solve the jump for $x_0$.
#
# ### Exercise 5: back to the answer
#
# *easy · 3 minutes*
#
# `x_k` and `epsilon` are `[N]`, `kept` is $\bar\alpha_k$, a plain number: its root is `kept ** 0.5`. Return $x_0$.


# %% tags=["exercise", "nbval-check-output"]
def recover_x_0(x_k, epsilon, kept):
    return ...  # your code


recover_x_0 = check.answer("recover_x_0", recover_x_0)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# Subtract the noise with its factor, `(1 - kept) ** 0.5`.
#
# </details>
# <details>
# <summary>Hint 2</summary>
#
# What is left is `kept ** 0.5` times $x_0$.
#
# </details>
# <details>
# <summary>Solution</summary>
#
# ```python
# def recover_x_0(x_k, epsilon, kept):
#     return (x_k - (1 - kept) ** 0.5 * epsilon) / kept ** 0.5
# ```
#
# </details>

# %%
x_0_double, epsilon_double = x_0.double(), epsilon.double()
print("level   largest error of x_0 if ε is known   if every ε is off by 0.01")
for k in (1, K // 2, K - 1, K):
    kept = float(schedules["cosine"][k])
    x_k = add_noise(x_0_double[None], torch.tensor([k]), epsilon_double[None], schedules["cosine"])[0]
    exact = (torch.as_tensor(recover_x_0(x_k, epsilon_double, kept)) - x_0_double).abs().max()
    off = (torch.as_tensor(recover_x_0(x_k, epsilon_double + 0.01, kept)) - x_0_double).abs().max()
    assert exact < 1e-9
    print(f"{k:5}{exact:28.4f}{off:33.4f}")

# %% [markdown]
# The closer to pure noise, the more a small error in $\epsilon$ is blown up: it is divided by $\sqrt{\bar\alpha_k}$.
# Nobody knows $\epsilon$. DiffusionRet's network does not guess it either: it estimates $x_0$ **directly**, from $x_k$,
# query and candidates. From that estimate the same equation gives an $\hat\epsilon$, and notebook 08 walks with it.
#
# ## What here is a probability?
#
# We let the trained model generate for our query, in one walk from noise, and look at the numbers on the way.

# %%
from diffret_core.ranking import generated_probability
from diffret_core.search import search

found = search(model, samples.videos, samples.video_ids, captions[our])
print("states", tuple(found.states.shape), "  [levels, N]")
walk = {f"x_{k}": found.states[found.levels.index(k)] for k in (K, K // 2)}
walk["sample"] = found.states[-1]
temperature = config.scoring.temperature
walk["read"] = generated_probability(found.states[-1:], temperature=temperature)[0]
for name, x in walk.items():
    print(f"{name:8}sum {x.sum():6.2f}   lowest {x.min():5.2f}   highest {x.max():5.2f}", end="")
    print(f"   negative: {int((x < 0).sum())} of {len(x)}")
print(f"“sample” is what was generated; “read” is softmax({temperature:g} * sample)")

# %% [markdown]
# | what | a distribution? |
# |---|---|
# | softmax over similarities | yes in form |
# | $x_0$ in training | yes: 1 at the right candidate, 0 elsewhere |
# | $x_k$ at levels above 0 | no: real numbers, some negative, any sum |
# | the estimate $\hat x_0$ | no: real numbers, in sampling clamped to [-1, 1] |
# | the generated sample | no: within [-1, 1], any sum |
# | softmax(temperature · sample) | yes in form, and so it is called the generated *probability* |
# | similarity + `alpha` · that | no: a score; the final ranking goes by it |
#
# “In form”: it sums to 1 because a softmax does, **also for an odd query**. Nobody has checked here that a candidate
# with 0.3 is right in 3 of 10 cases. A reader of that softmax alone stands where this notebook began.

# %%
for text in odd:
    sample = search(model, samples.videos, samples.video_ids, text).states[-1:]
    p = generated_probability(sample, temperature=temperature)[0]
    print(f"“{text}”: sum {p.sum():.2f}, highest {p.max():.2f}   (our query {walk['read'].max():.2f})")

# %% [markdown]
# Two sentences prove nothing, in either direction. Notebook 10 is to ask many, and to compare with the similarity.
#
# ## What you can now say
#
# - A softmax over candidates sums to 1 for any query. A constant added to all scores changes nothing.
# - A joint's row sums are $p(query)$; the conditional has divided them away.
# - DiffusionRet calls its aim the joint. What it trains is a network that, given query and candidates, cleans a
#   vector of N numbers.
# - Noise comes in steps, and all steps are one jump: $\sqrt{\bar\alpha_k} \, x_0 + \sqrt{1-\bar\alpha_k} \, \epsilon$.
# - The signal-to-noise ratio decides what can still be read off; a schedule decides at which levels it is reached.
# - Between $x_0$ and the final softmax nothing is a probability.
#
# **So, why generate?** Not because a $p(query)$ comes out. Because it may rank better, and that is measured: adding the
# generated score to the similarity brings 1.1 points of R@1 from text to video (95 % interval -0.5 to 2.8), and 2.1
# (0.3 to 4.0) from video to text, on the sample collection's test ([results](../docs/results.md)). Whether that needs
# diffusion is a question for notebook 09.

# %% [markdown]
# ## Quiz

# %%
quiz.show("05")

# %% [markdown]
# **Next.** Notebook 06 builds the network that undoes the noise: what it looks at, and how candidates compete in it.
#
# The code behind this notebook: [schedules and the jump](../diffret_core/schedule.py), [candidates for
# training](../diffret_core/candidates.py), [how a sample is read](../diffret_core/ranking.py).
