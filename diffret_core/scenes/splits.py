"""Which scenes make up the sample collection: its splits, their sizes and the numbers of their videos."""

from collections import defaultdict
from dataclasses import dataclass

from diffret_core.scenes.claims import Claim, full_claim, is_true
from diffret_core.scenes.sampling import sample_scene
from diffret_core.scenes.scene import Scene

COLLECTION_SEED = 2023


@dataclass(frozen=True)
class Split:
    """One split of the collection.

    Attributes:
        name: As typed in commands.
        label: Value of "split" in MSRVTT_data.json, in MSR-VTT's own words.
        first_number: N of the first file videoN.mp4. Files 8000 to 9999 are in git; all others are rendered on demand.
        num_videos: How many videos.
        distinct: Whether no scene may fit another's full description, and every caption fits only its own video.
    """

    name: str
    label: str
    first_number: int
    num_videos: int
    distinct: bool

    def video_id(self, index: int) -> str:
        """Name of the video of one scene, without its ending."""
        return f"video{self.first_number + index}"


SPLITS: dict[str, Split] = {
    "test": Split("test", "test", 9000, 300, distinct=True),
    "validation": Split("validation", "validate", 10000, 300, distinct=True),
    "train": Split("train", "train", 0, 4000, distinct=False),
}
"""In the order in which captions are written: none may occur in a split above."""


class SceneIndex:
    """Scenes filed by the shapes and colours in them, so that a claim is tried on the few it can be true of."""

    def __init__(self) -> None:
        self._by_look: defaultdict[tuple[str | None, str | None], list[Scene]] = defaultdict(list)

    def add(self, scene: Scene) -> None:
        """File a scene under every way to name one of its objects."""
        looks = {(shape, colour) for a in scene.actors for shape in (a.shape, None) for colour in (a.colour, None)}
        for look in looks:
            self._by_look[look].append(scene)

    def fitting(self, claim: Claim) -> list[Scene]:
        """Find the scenes that make a claim true, in the order in which they were added."""
        first = claim.actors[0]
        return [scene for scene in self._by_look[first.shape, first.colour] if is_true(claim, scene)]

    def has_alike(self, scene: Scene) -> bool:
        """Whether the most that can be said of this scene is true of one filed here, or the other way round."""
        similar = [other for actor in scene.actors for other in self._by_look[actor.shape, actor.colour]]
        return bool(self.fitting(full_claim(scene))) or any(is_true(full_claim(other), scene) for other in similar)


def split_scenes(split: Split) -> list[Scene]:
    """Draw the scenes of a split.

    Args:
        split: One of `SPLITS`, or one like it.

    Returns:
        Its scenes in the order of their videos; the same at every call.
    """
    scenes: list[Scene] = []
    index = SceneIndex()
    for number in range(split.num_videos):
        attempt = 0
        scene = sample_scene(COLLECTION_SEED, split.name, number)
        while split.distinct and index.has_alike(scene):
            attempt += 1
            scene = sample_scene(COLLECTION_SEED, split.name, number, attempt=attempt)
        scenes.append(scene)
        index.add(scene)
    return scenes
