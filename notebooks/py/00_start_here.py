# %% [markdown]
# # 00 · What does it do?
#
# **Goal.** You describe a short video in a sentence; a model finds it among 300, and you watch its ranking come out
# of pure noise.
#
# | | |
# |---|---|
# | you need | Python; nothing about retrieval or diffusion |
# | time | 10 minutes to read and play; Run All takes well under a minute |
# | hardware | any computer; no GPU, no network |
# | in the paper | all of it, seen from the outside: [DiffusionRet](https://arxiv.org/abs/2303.09867), ICCV 2023 |
#
# Just opened? Choose **Run → Run All Cells** first: then every figure answers to your hand.

# %%
import sys
from pathlib import Path

# `make lab` has installed the package. Elsewhere, as on Colab, it is found in the clone around or below this folder.
places = [Path.cwd(), *Path.cwd().parents, *Path.cwd().glob("*/")]
sys.path += [str(place) for place in places if (place / "diffret_core").is_dir()][:1]
try:
    from diffret_core.course import environment
except ModuleNotFoundError:
    advice = "start with `make lab`, or on Colab `!git clone` the project first, then run this cell again"
    raise ModuleNotFoundError(f"the package diffret_core is not here: {advice}") from None
environment.check()

from diffret_core.course import setup, show
from diffret_core.search import search

samples = setup.open_samples()

# %% [markdown]
# ## Ask for a video
#
# Nobody has tagged these videos. The model looks at their pixels, reads your words, and gives every video a score.

# %%
found = search(samples.model, samples.videos, samples.video_ids, "a red circle goes left")
show.ranking(samples, found)

# %% [markdown]
# Under each video stands a caption that a person might have written for it. **The model never saw these captions**:
# it ranks by what it sees.
#
# And it gives three scores. The last one, *combined*, orders the row. Where do they come from?

# %% [markdown]
# ## Two opinions, one ranking
#
# | score | who gives it | how |
# |---|---|---|
# | **similarity** | two encoders | turns words and frames into vectors and compares them; each video on its own |
# | **generated** | a diffusion model | looks at the 32 most similar videos *together*, gives each a probability |
# | **combined** | both | similarity + α · generated; α was chosen on other videos |
#
# The next sentence was written for one video of the collection, so we know what was meant.

# %%
caption, meant = samples.collection.pairs("test")[9]
found = search(samples.model, samples.videos, samples.video_ids, caption)
show.three_rankings(samples, found, meant=meant)

# %% [markdown]
# The star marks the video that was meant. The rows differ: the two opinions are not the same opinion. Which one is
# right more often is a question for all 300 sentences, not for one: notebook 09 counts.
#
# One rule to remember: the generator only sees the 32 candidates. **A video that similarity leaves out, it can never
# bring back.**

# %% [markdown]
# ## From noise to an answer
#
# How does one *generate* a ranking? Give each candidate a random number. Ask a network what the true answer behind
# these numbers might be, move a small step towards its guess, and ask again. After 50 steps the randomness is gone.
#
# Move the slider from left to right, or press play.

# %%
show.denoising(samples, found)

# %% [markdown]
# **What to see.** At the left end the bars mean nothing. The diamonds, the network's guess, are there from the start,
# and they change as it looks again. In the last few steps the bars settle on them: the noise is gone, the answer is
# left.

# %% [markdown]
# ## Does the answer depend on the noise?
#
# The walk begins with random numbers; another seed gives others. If the ranking is worth anything, it should come out
# alike.

# %%
for seed in range(5):
    again = search(samples.model, samples.videos, samples.video_ids, caption, seed=seed)
    noise, answer = again.states[0], again.states[-1]
    print(
        f"seed {seed}: highest in the noise: candidate {noise.argmax() + 1:2}, in the answer: {answer.argmax() + 1:2}"
    )

# %% [markdown]
# The left column is chance. The right column is what the model thinks.

# %% [markdown]
# ## Now you
#
# Type a sentence and press Enter. Shapes: circle, square, triangle, star, heart, diamond, cross, ring, moon. Colours:
# red, orange, yellow, green, blue, purple, pink, black, white. They move, spin, bounce, grow, shrink, circle or rest,
# on a background of one colour.

# %%
examples = [
    "a yellow star gets bigger",
    "a purple circle slides to the left",
    "a black cross on a light green background",
    "a dog runs along the beach",
]
show.search_box(samples, examples)

# %% [markdown]
# ## What this small model sees, and what it misses
#
# It is tiny, and it has seen nothing but a few thousand drawn scenes like these.

# %%
for text in ("a red circle moves left", "a red circle moves right", "a dog runs along the beach"):
    best = search(samples.model, samples.videos, samples.video_ids, text).results[0]
    print(f"{text:28} similarity {best.similarity:.2f}   {samples.captions[best.video]}")

# %% [markdown]
# - It is good at **colours**, weaker at shapes, and unsure about **motion**, which it must piece together from a few
#   small frames.
# - It **cannot say no**. A dog on a beach gets a ranking too. Its scores are lower; how to use that is the subject of
#   notebook 10.
# - All numbers here come from the sample collection, not from a benchmark. With CLIP ViT-B/32 instead of these
#   weights, the same code is the paper's model (notebook 12).

# %% [markdown]
# ## The course
#
# | | question | |
# |---|---|---|
# | **00 start here** | What does it do? | **you are here** |
# | 01 videos and captions | What goes in? | to come |
# | 02 encoders | How do pixels and words become vectors? | to come |
# | 03 similarity and metrics | How are two sequences compared, and a ranking judged? | to come |
# | 04 contrastive training | How are the encoders trained? | to come |
# | 05 retrieval as generation | Why generate? | to come |
# | 06 denoiser | What network undoes the noise? | to come |
# | 07 generation training | How does it learn? | to come |
# | 08 sampling | How is a ranking generated, and fast? | to come |
# | 09 evaluation | Does it help? | to come |
# | 10 out of distribution | What happens off the map? | to come |
# | 11 interactive demo | Play | to come |
# | 12 full training and benchmarks | How do I get the paper's numbers? | to come |

# %% [markdown]
# ## What you can now say
#
# - Text-video retrieval ranks videos for a sentence by comparing vectors.
# - DiffusionRet adds a second score: it *generates* a distribution over the best candidates, from noise, step by step.
# - It re-ranks what similarity proposes; it cannot find what similarity lost.
#
# **Next.** Until notebook 01 is there: open a terminal (File → New → Terminal) and type `diffret search "a green
# heart spins"`, or read the code from the top: `diffret_core/search.py` is one page.
