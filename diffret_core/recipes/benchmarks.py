"""The recipes of the five benchmarks: the paper's settings where they are known; SPEC sections 6, 9 and 11.

They start from CLIP as OpenAI trained it. `clip` chooses among "ViT-B-32-quickgelu", which the published figures are
of, "ViT-B-16-quickgelu" and "ViT-L-14-quickgelu"; `pretrained` is an open_clip tag, or a weight file where there is
no network.

Settings that the paper leaves open, or that do not carry over from its half-precision weights, are our choice and not
tuned on the real data: `clip_learning_rate` above all, which others who train in single precision set to 1e-6 to 1e-5.

Hardware is what `diffret train --recipe NAME --dry-run` counts for ViT-B/32; none of it was run on such a machine.
"""

from diffret_core.config import ContrastiveConfig, GenerationConfig, ModelConfig, Recipe
from diffret_core.datasets import Counts, SplitCounts
from diffret_core.encoders import clip_architecture

NUM_EPOCHS = 5
BATCH_SIZE = 128
CLIP = "ViT-B-32-quickgelu"
# videos and captions of train, validation and test, after the videos to validate with are held out of train where the
# benchmark names none; the readers have the same numbers beside the files
PUBLISHED = {
    "msrvtt": Counts(SplitCounts(8_503, 170_060), SplitCounts(497, 9_940), SplitCounts(1_000, 1_000)),
    "lsmdc": Counts(SplitCounts(101_079, 101_079), SplitCounts(7_408, 7_408), SplitCounts(1_000, 1_000)),
    "msvd": Counts(SplitCounts(1_200, 48_774), SplitCounts(100, 4_290), SplitCounts(670, 27_763)),
    "activitynet": Counts(SplitCounts(9_509, 9_509), SplitCounts(500, 500), SplitCounts(4_917, 4_917)),
    "didemo": Counts(SplitCounts(8_392, 8_392), SplitCounts(1_065, 1_065), SplitCounts(1_004, 1_004)),
}
# frames whose intermediate values take about 7 GB in half precision
_FRAMES_AT_ONCE = {"ViT-B-32-quickgelu": 384, "ViT-B-16-quickgelu": 96, "ViT-L-14-quickgelu": 24}


def msrvtt(*, clip: str = CLIP, pretrained: str = "openai", seed: int = 0) -> Recipe:
    """Train on MSR-VTT's 9,000 videos, one caption at a time, for the test of 1,000 pairs ("1k-A").

    Command: diffret train --recipe msrvtt --data ANNOTATIONS --videos VIDEOS; --protocol 7k or full for other splits.
    Hardware: a GPU with 24 GB: stage 2 holds 16; with ViT-L/14 one with 32. Several by torchrun, but each holds all
    features. Disk: 23 GB, most of it decoded frames.
    Published, text-to-video R@1: 49.0; another implementation of the authors' code: 47.3.
    """
    return _benchmark("msrvtt", 32, 12, clip=clip, pretrained=pretrained, seed=seed)


def lsmdc(*, clip: str = CLIP, pretrained: str = "openai", seed: int = 0) -> Recipe:
    """Train on LSMDC's 101,079 film clips with one sentence each.

    Command: diffret train --recipe lsmdc --data ANNOTATIONS --videos VIDEOS
    Hardware: a GPU with 40 GB: stage 2 holds 33, of which the similarity of all clips and sentences takes 20; with
    ViT-L/14 one with 48. Disk: 204 GB, most of it decoded frames.
    Published, text-to-video R@1: 24.4.
    """
    return _benchmark("lsmdc", 32, 12, clip=clip, pretrained=pretrained, seed=seed)


def msvd(*, clip: str = CLIP, pretrained: str = "openai", seed: int = 0) -> Recipe:
    """Train on MSVD's 1,200 videos with about 40 captions each; each test video has several too.

    Command: diffret train --recipe msvd --data ANNOTATIONS --videos VIDEOS
    Hardware: a GPU with 24 GB. Disk: 9 GB.
    Published, text-to-video R@1: 46.6.
    """
    return _benchmark("msvd", 32, 12, clip=clip, pretrained=pretrained, seed=seed)


def activitynet(*, clip: str = CLIP, pretrained: str = "openai", seed: int = 0) -> Recipe:
    """Train on ActivityNet Captions: a video's sentences as one paragraph, 64 words and 64 frames.

    Command: diffret train --recipe activitynet --data ANNOTATIONS --videos VIDEOS
    Hardware: a GPU with 24 GB; with ViT-L/14 one with 32. Disk: 104 GB, most of it decoded frames.
    Published, text-to-video R@1: 45.8.
    """
    return _benchmark("activitynet", 64, 64, clip=clip, pretrained=pretrained, seed=seed)


def didemo(*, clip: str = CLIP, pretrained: str = "openai", seed: int = 0) -> Recipe:
    """Train on DiDeMo: a video's descriptions as one paragraph, 64 words and 64 frames.

    Command: diffret train --recipe didemo --data ANNOTATIONS --videos VIDEOS
    Hardware: a GPU with 24 GB; with ViT-L/14 one with 32. Disk: 99 GB, most of it decoded frames.
    Published, text-to-video R@1: 46.7.
    """
    return _benchmark("didemo", 64, 64, clip=clip, pretrained=pretrained, seed=seed)


def _benchmark(name: str, max_words: int, max_frames: int, *, clip: str, pretrained: str, seed: int) -> Recipe:
    num_steps = NUM_EPOCHS * (PUBLISHED[name].train.num_captions // BATCH_SIZE)
    return Recipe(
        name=name,
        collection=name,
        model=ModelConfig(clip=clip_architecture(clip), max_words=max_words, max_frames=max_frames),
        contrastive=ContrastiveConfig(
            num_steps=num_steps,
            batch_size=BATCH_SIZE,
            clip_learning_rate=1e-6,
            encode_at_once=max(1, _FRAMES_AT_ONCE.get(clip, 24) // max_frames),
            compute_precision="bfloat16",
            frames_on_disk=True,
            num_looks=NUM_EPOCHS,
        ),
        generation=GenerationConfig(
            num_steps=num_steps, batch_size=BATCH_SIZE, mining_precision="float16", num_looks=NUM_EPOCHS
        ),
        seed=seed,
        clip_name=clip,
        pretrained=pretrained,
    )
