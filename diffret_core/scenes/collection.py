"""The sample collection on disk: which videos are to be rendered, and making the part that is in git."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from diffret_core.scenes.annotations import annotate, annotation_files
from diffret_core.scenes.manifest import is_intact, read_manifest, update_manifest
from diffret_core.scenes.production import Rendered, Rendering, render_all
from diffret_core.scenes.splits import SPLITS, Split, split_scenes


def missing_videos(folder: Path, split: Split) -> list[Rendering]:
    """List the videos of a split that are not there, or not as MANIFEST.json says.

    Args:
        folder: The collection.
        split: One of `SPLITS`.

    Returns:
        What `render_videos` is to make; empty if the split is complete.

    Raises:
        FileNotFoundError: If the folder is not a collection.
    """
    files = read_manifest(folder)
    names = [f"videos/{split.video_id(index)}.mp4" for index in range(split.num_videos)]
    absent = {
        name
        for name in names
        if not (is_intact(folder / name, files[name]) if name in files else _has_content(folder / name))
    }
    if not absent:
        return []
    return [
        Rendering(folder / name, scene)
        for name, scene in zip(names, split_scenes(split), strict=True)
        if name in absent
    ]


def render_videos(folder: Path, renderings: Sequence[Rendering], *, num_workers: int) -> Iterator[Rendered]:
    """Render videos of a collection and compare the frames with MANIFEST.json, where it knows them.

    Args:
        folder: The collection; its folder "videos" is made if missing.
        renderings: From `missing_videos`.
        num_workers: Processes.

    Yields:
        Every finished video.

    Raises:
        ValueError: If a scene was drawn otherwise than for the release.
    """
    files = read_manifest(folder)
    (folder / "videos").mkdir(exist_ok=True)
    for rendered in render_all(renderings, num_workers=num_workers):
        expected = files.get(f"videos/{rendered.path.name}", {}).get("frames_sha256", rendered.frames_sha256)
        if expected != rendered.frames_sha256:
            raise ValueError(
                f"{rendered.path}: its frames are not those in MANIFEST.json, so this Pillow or NumPy draws otherwise; "
                f"run `git checkout -- {rendered.path}`"
            )
        yield rendered


def release_renderings(folder: Path) -> list[Rendering]:
    """List all videos that are in git, with their scenes."""
    return [
        Rendering(folder / "videos" / f"{split.video_id(index)}.mp4", scene)
        for split in SPLITS.values()
        if split.is_shipped
        for index, scene in enumerate(split_scenes(split))
    ]


def write_release(folder: Path, rendered: Iterable[Rendered]) -> None:
    """Write captions, lists and MANIFEST.json of the part of the collection that is in git.

    Args:
        folder: The collection.
        rendered: Its test videos, freshly rendered.
    """
    videos = {f"videos/{video.path.name}": {"frames_sha256": video.frames_sha256} for video in rendered}
    files = annotation_files(annotate(SPLITS.values()))
    for name, data in files.items():
        (folder / name).write_bytes(data)
    update_manifest(folder, {**{name: {} for name in files}, **videos})


def _has_content(path: Path) -> bool:
    """Whether a video that no manifest describes is there; an empty file is what a full disk leaves."""
    return path.is_file() and path.stat().st_size > 0
