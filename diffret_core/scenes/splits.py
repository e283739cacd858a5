"""Which scenes make up the sample collection: its splits, their sizes and the numbers of their videos."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from diffret_core.randomness import numpy_generator
from diffret_core.scenes.claims import Claim, full_claim, is_true
from diffret_core.scenes.sampling import sample_scene, sample_twin
from diffret_core.scenes.scene import Scene

COLLECTION_SEED = 2023
FIRST_VIDEO_OF_STAGE_2 = 4000
"""Stage 2 draws its negatives from the most similar videos: of those, what a caption says must not be true."""


@dataclass(frozen=True)
class Split:
    """One split of the collection.

    Attributes:
        name: As typed in commands.
        label: Value of "split" in MSRVTT_data.json, in MSR-VTT's own words.
        first_number: N of the first file videoN.mp4. Files 8000 to 9999 are in git; all others are rendered on demand.
        num_videos: How many videos.
        distinct_from: From which of its videos on no scene fits another's full description, and every caption is true
            of its own video only, of all videos from there on.
        style: One of `vocabulary.STYLES`.
        with_unseen_pairs: Whether every scene has an object of `vocabulary.UNSEEN_PAIRS`; otherwise none has.
        test_list: Its file of test pairs, if it has one.
    """

    name: str
    label: str
    first_number: int
    num_videos: int
    distinct_from: int = 0
    style: str = "plain"
    with_unseen_pairs: bool = False
    test_list: str | None = None

    @property
    def is_shipped(self) -> bool:
        """Whether its videos are in git."""
        return self.test_list is not None

    def video_id(self, index: int) -> str:
        """Name of the video of one scene, without its ending."""
        return f"video{self.first_number + index}"


SPLITS: dict[str, Split] = {
    split.name: split
    for split in (
        Split("test", "test", 9000, 1000, test_list="MSRVTT_JSFUSION_test.csv"),
        Split("shifted", "test", 8000, 300, style="shifted", test_list="MSRVTT_shifted_test.csv"),
        Split(
            "unseen_pairs",
            "test",
            8300,
            300,
            with_unseen_pairs=True,
            test_list="MSRVTT_unseen_pairs_test.csv",
        ),
        Split("validation", "validate", 10000, 1000),
        Split("train", "train", 0, 8000, distinct_from=FIRST_VIDEO_OF_STAGE_2),
    )
}
"""In the order in which captions are written: none may occur in a split above."""

TWIN_SHARE = 0.5
"""Of the scenes that can have a twin and are followed by another one, how many are followed by it."""


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

    Every second scene may be the twin of the one before it; see `sampling.sample_twin`.

    Args:
        split: One of `SPLITS`, or one like it.

    Returns:
        Its scenes in the order of their videos; the same at every call.
    """
    scenes: list[Scene] = []
    index = SceneIndex()
    for number in range(split.num_videos):
        scene = _twin_of_last(split, scenes)
        if scene is None or index.has_alike(scene):
            scene = _new_scene(split, number, index)
        scenes.append(scene)
        if number >= split.distinct_from:
            index.add(scene)
    return scenes


def _twin_of_last(split: Split, scenes: Sequence[Scene]) -> Scene | None:
    number = len(scenes)
    wants_twin = numpy_generator(COLLECTION_SEED, f"twins of {split.name}", number).random() < TWIN_SHARE
    if number % 2 == 0 or not wants_twin:
        return None
    twin = sample_twin(scenes[-1], COLLECTION_SEED, split.name, number)
    return None if twin is None or is_true(full_claim(scenes[-1]), twin) else twin


def _new_scene(split: Split, number: int, index: SceneIndex) -> Scene:
    attempt = 0
    while True:
        scene = sample_scene(
            COLLECTION_SEED, split.name, number, attempt=attempt, with_unseen_pair=split.with_unseen_pairs
        )
        if not index.has_alike(scene):
            return replace(scene, style=split.style)
        attempt += 1
