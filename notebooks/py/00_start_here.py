# %% [markdown]
# # 00 · What does it do?
#
# **Goal.** You describe a short video in a sentence; a model finds it among 1,000, and you watch its ranking come
# out of pure noise.
#
# | | |
# |---|---|
# | you need | Python; nothing about retrieval or diffusion |
# | time | 10 minutes to read and play; Run All takes well under a minute |
# | hardware | any computer; no GPU, no network |
# | in the paper | all of it, seen from the outside: [DiffusionRet](https://arxiv.org/abs/2303.09867), ICCV 2023 |
#
# Just opened? Choose **Run → Run All Cells** first: then every figure answers to your hand. (JupyterLab goes to
# the end of the page; scroll back up.)

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

from diffret_core.course import predict, quiz, setup, show
from diffret_core.galleries import encode_captions
from diffret_core.search import search

samples = setup.open_samples()

# %% [markdown]
# ## Ask for a video
#
# Nobody has tagged these videos. The model looks at their pixels, reads your words, and gives every video a score.

# %%
found = search(samples.model, samples.videos, samples.video_ids, "a green star grows")
show.ranking(samples, found)

# %% [markdown]
# Under each video stands a caption that a person might have written for it. **The model never saw these captions**: it
# ranks by what it sees. The last of its three scores, *combined*, orders the row.

# %% tags=["nbval-check-output"]
for one in found.results[:3]:
    print(f"{one.rank}. {one.video}: {samples.captions[one.video]}")

# %% [markdown]
# ## Two opinions, one ranking
#
# Two scores made that ranking; *combined* is made of both:
#
# | score | who gives it | how |
# |---|---|---|
# | **similarity** | two encoders | turns words and frames into vectors and compares them; each video on its own |
# | **generated** | a diffusion model | looks at the 32 most similar videos *together* and gives each a probability |
# | **combined** | both | similarity + α · generated; α was chosen on other videos |
#
# The next sentence was written for one video of the collection, so we know which one is meant. In another video the two
# things have exchanged their colours: whoever only counts the words cannot tell them apart.

# %%
caption, meant = samples.collection.pairs("test")[453]
found = search(samples.model, samples.videos, samples.video_ids, caption)
show.three_rankings(samples, found, meant=meant)

# %% [markdown]
# The star marks the video that is meant. Here the generator puts right what similarity got wrong, and that is why the
# sentence was chosen. How often is similarity right by itself?

# %%
texts = encode_captions(samples.model, [caption for caption, _ in samples.collection.pairs("test")])
with torch.no_grad():
    similarity = samples.model.similarity(texts, samples.videos)  # a row for each sentence, a column for each video
is_right = similarity.argmax(dim=1) == torch.arange(1000)  # sentence 0 was written for video 0, and so on
predict.number(
    "For how many of the 1,000 test sentences does similarity alone put the video that is meant first?",
    truth=int(is_right.sum()),
    low=0,
    high=1000,
)

# %% [markdown]
# And with the generator? Over these sentences it is right in 80.7 % by itself, both together in 81.2 %. That is 1.1
# points more than similarity, with a 95 % interval of -0.5 to 2.8 (notebook 03 says what such an interval is). Where a
# video looks for its sentence, the gain is 2.1 (0.3 to 4.0). Generators trained from two other seeds gain 1.7 to 2.3:
# little, but it comes back. Notebook 09 will measure it with care.
#
# One rule to remember. To look at many videos together, many times over, is slow, so the generator only sees the 32
# candidates that similarity proposes. **A video that similarity leaves out, it can never
# bring back.**

# %% [markdown]
# ## From noise to an answer
#
# How does one *generate* a ranking? Give each candidate a random number. Ask a network which answer might be hidden
# behind these numbers, move a small step towards its guess, and ask again. After 50 steps the randomness is gone.
#
# Move the slider below the figure from left to right, or press play.

# %%
show.denoising(samples, found)

# %% [markdown]
# **What to see.** On the left the bars mean nothing, and yet the network's first guess, the diamonds, still leans on
# them: the highest of both is the same candidate. Step by step that one loses its lead (the dotted line below); at the
# very end the bars settle on the diamonds, and the noise is gone.

# %% [markdown]
# ## Does the answer depend on the noise?
#
# The walk begins with random numbers, and another seed gives others. If the ranking is worth anything, it should come
# out alike.

# %%
for seed in range(5):
    again = search(samples.model, samples.videos, samples.video_ids, caption, seed=seed)
    first = [int(values.argmax()) + 1 for values in (again.states[0], again.estimates[0], again.states[-1])]
    print("seed {}: highest in noise {:2}, first guess {:2}, answer {:2}".format(seed, *first))

# %% [markdown]
# The numbers name candidates, as in the figure. The first column is chance, the last is what the model thinks.

# %% [markdown]
# ## Now you
#
# Type a sentence and press Enter. Shapes: circle, square, triangle, star, heart, diamond, cross, ring, moon. Colours:
# red, orange, yellow, green, blue, purple, pink, black, white. They move, spin, bounce, grow, shrink, circle or rest,
# alone or in twos, on a background of one colour.

# %%
examples = ["a pink cross left of a white square", "a white star and a pink cross", "a dog runs along the beach"]
show.search_box(samples, examples)

# %% [markdown]
# ## What this small model sees, and what it misses
#
# It is tiny, and it has seen nothing but a few thousand drawn scenes like these.

# %%
for text in ("a yellow cross becomes larger", "a yellow cross becomes smaller", "a dog runs along the beach"):
    best = search(samples.model, samples.videos, samples.video_ids, text).results[0]
    print(f"{text}\n    similarity {best.similarity:.2f}: {samples.captions[best.video]}")

# %% [markdown]
# - It is good at **colours** and **shapes** (the first video shows those asked for in 99 and 98 % of the test
#   sentences), weaker at **motion** (88 %), which it must piece together from a few small frames.
# - It is weak at **who is what**. Where another video has the same words, bound or ordered otherwise, it is right in
#   61 %; choosing one of the two blindly would give at most 50.
# - It **cannot say no**. A dog on a beach gets a ranking too, with lower scores; notebook 10 makes use of that.
# - All this is about the sample collection and says nothing of a benchmark. With CLIP ViT-B/32 in place of these
#   weights, the same code is the model of the paper (notebook 12).

# %% [markdown]
# ## The course
#
# | | question | |
# |---|---|---|
# | **00 start here** | What does it do? | **you are here** |
# | [01 videos and captions](01_videos_and_captions.ipynb) | What goes in? | ready |
# | [02 encoders](02_encoders.ipynb) | How do pixels and words become vectors? | ready |
# | [03 similarity and metrics](03_similarity_and_metrics.ipynb) | How to compare, and to judge a ranking? | ready |
# | [04 contrastive training](04_contrastive_training.ipynb) | How are the encoders trained? | ready |
# | [05 retrieval as generation](05_retrieval_as_generation.ipynb) | Why generate? | ready |
# | [06 denoiser](06_denoiser.ipynb) | What network undoes the noise? | ready |
# | [07 generation training](07_generation_training.ipynb) | How does it learn? | ready |
# | [08 sampling](08_sampling.ipynb) | How is a ranking generated, and fast? | ready |
# | [09 evaluation](09_evaluation.ipynb) | Does it help? | ready |
# | [10 out of distribution](10_out_of_distribution.ipynb) | What happens off the map? | ready |
# | [11 interactive demo](11_interactive_demo.ipynb) | Play, and search your own videos | ready |
# | [12 full training and benchmarks](12_full_training_and_benchmarks.ipynb) | How to get the paper's numbers? | ready |

# %% [markdown]
# ## What you can now say
#
# - Text-video retrieval ranks videos for a sentence by comparing vectors.
# - DiffusionRet adds a second score: it *generates* a distribution over the best candidates, from noise, step by step.
# - It re-ranks what similarity proposes; it cannot find what similarity lost.

# %% [markdown]
# ## Quiz

# %%
quiz.show("00")

# %% [markdown]
# **Next.** [01 · What goes in?](01_videos_and_captions.ipynb) takes a video and a sentence apart. The code that
# ranked the videos here is one page: [search.py](../diffret_core/search.py). In a terminal (File → New → Terminal) it
# is `.venv/bin/diffret search "a green heart spins"`. Every symbol is in the [table of symbols](glossary.md).
