"""A user's own videos: index a folder once, keep the index up to date, and search it by sentences.

An index is a folder: `index.json` says what it is of, `files.jsonl` lists the files, and safetensors files hold the
features of their segments. Nothing in it is a pickle.
"""

from diffret_core.index.build import IndexReport, Progress, Refusal, build_index
from diffret_core.index.description import Description, read_description
from diffret_core.index.models import Model, ModelName, load_model, model_name
from diffret_core.index.opened import IndexedVideo, OpenIndex, model_of, open_index
from diffret_core.index.searching import BestSegments, IndexResult, IndexSearch, best_of_videos, search_index
from diffret_core.index.showing import shown_path, shown_seconds

__all__ = [
    "BestSegments",
    "Description",
    "IndexReport",
    "IndexResult",
    "IndexSearch",
    "IndexedVideo",
    "Model",
    "ModelName",
    "OpenIndex",
    "Progress",
    "Refusal",
    "best_of_videos",
    "build_index",
    "load_model",
    "model_name",
    "model_of",
    "open_index",
    "read_description",
    "search_index",
    "shown_path",
    "shown_seconds",
]
