"""Weights that open_clip downloads: whether they are here, how large they are, and what they expect."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import open_clip
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

from diffret_core.config import CLIP_MEAN, CLIP_STD

HUB = constants.ENDPOINT
ANSWER_SECONDS = 3.0  # a hub that has not said by then how large a file is counts as out of reach
_FILES = (HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME)  # open_clip takes the first that there is
Colours = tuple[float, float, float]


class Download(NamedTuple):
    """A file that is to be fetched.

    Attributes:
        url: Where it is.
        num_bytes: How large it is, as its host says.
    """

    url: str
    num_bytes: int


def image_colours(name: str, pretrained: str) -> tuple[Colours, Colours]:
    """Look up the mean and standard deviation of the colours that a model was trained with: CLIP's for a file.

    Raises:
        ValueError: If it was trained on pictures that were not cropped as CLIP's are.
    """
    found = open_clip.get_pretrained_cfg(name, pretrained) or {}
    if (resizing := found.get("resize_mode", "shortest")) != "shortest":
        raise ValueError(
            f"{name}: the weights {pretrained!r} were trained on pictures resized by {resizing!r}, not cropped as "
            "CLIP's are; choose other weights"
        )
    return tuple(found.get("mean") or CLIP_MEAN), tuple(found.get("std") or CLIP_STD)


def are_kept(name: str, tag: str) -> bool:
    """Find out whether the weights of a tag have been downloaded already."""
    repository = _repository(name, tag)
    return any(isinstance(try_to_load_from_cache(repository, file), str) for file in _FILES)


def ask_for_download(name: str, tag: str) -> Download | None:
    """Ask the hub how large the weights of a tag are, for at most `ANSWER_SECONDS`.

    Returns:
        The file, or None if there was no answer.
    """
    answers: list[Download] = []
    # A thread, because neither looking up a name nor trying address after address heeds a time limit.
    asking = threading.Thread(target=lambda: answers.extend(_asked(_repository(name, tag))), daemon=True)
    asking.start()
    asking.join(ANSWER_SECONDS)
    return answers[0] if answers else None


@contextmanager
def from_kept_files_only() -> Iterator[None]:
    """Let the hub's client use what is on disk without asking the hub whether it has changed."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _asked(repository: str) -> Iterator[Download]:
    for url in (hf_hub_url(repository, file) for file in _FILES):
        try:
            found = get_hf_file_metadata(url, timeout=ANSWER_SECONDS)
        except Exception:  # noqa: S112 (no network, no such file: whatever the client's libraries raise for it)
            continue
        if found.size is not None:
            yield Download(url, found.size)
            return


def _repository(name: str, tag: str) -> str:
    return (open_clip.get_pretrained_cfg(name, tag) or {}).get("hf_hub", "").rstrip("/")
