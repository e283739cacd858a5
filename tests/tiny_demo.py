"""Samples for the tests of the demo: four real videos with two captions each, and a small random model."""

from tiny_collection import make_collection
from tiny_models import SMALL, architecture, tiny_retriever

from diffret_core.config import ScoringConfig
from diffret_core.course.setup import Samples
from diffret_core.datasets import read_collection
from diffret_core.galleries import encode_video_files

HOSTILE = '<img src=x onerror="alert(1)">'


def make_samples(folder) -> Samples:
    """Open them as `setup.open_samples` would."""
    model = tiny_retriever(
        architecture(SMALL, text_cfg={"vocab_size": 49408}),
        max_words=16,
        num_noise_levels=20,
        scoring=ScoringConfig(num_candidates=3, alpha=0.5, temperature=4.0),
    )
    collection = read_collection("msrvtt", make_collection(folder / "collection"))
    video_ids = list(collection.video_ids("test"))
    captions = {video: caption for caption, video in reversed(collection.pairs("test"))}
    paths = [collection.video_path(video) for video in video_ids]
    videos = encode_video_files(model, paths, cache_folder=folder / "features")
    return Samples(model, collection, video_ids, videos, captions)
