"""Scenes, captions and their truth, pictures, and video files."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from diffret_core.randomness import numpy_generator
from diffret_core.scenes import encode
from diffret_core.scenes.captions import PATTERNS, draw_caption
from diffret_core.scenes.claims import ActorClaim, Claim, full_claim, is_true
from diffret_core.scenes.drawing import draw_frames, frames_sha256
from diffret_core.scenes.sampling import KIND_SHARES, sample_scene
from diffret_core.scenes.scene import Actor, Scene, distance_along, trajectory
from diffret_core.scenes.splits import SceneIndex
from diffret_core.scenes.vocabulary import BACKGROUNDS, COLOURS, RELATIONS, SHAPES
from diffret_core.scenes.wording import VERBS

STILL = Actor("circle", "red", "large", ("still",), (0.5, 0.5), 0.4, clockwise=True)
SCENES = [sample_scene(7, "trial", index) for index in range(400)]
SIZE_WORDS = {"small": {"small", "little", "tiny"}, "large": {"large", "big", "huge"}}


def alone(actor, kind="motion", num_frames=24):
    return Scene(kind, "grey", (0.5, 0.2), (actor,), num_frames)


def moved(*motions):
    return trajectory(replace(STILL, motions=motions), 25)


# scenes


def test_scene_belongs_to_seed_split_index_and_attempt():
    scene = sample_scene(1, "train", 5)
    assert scene == sample_scene(1, "train", 5)
    others = [sample_scene(2, "train", 5), sample_scene(1, "test", 5), sample_scene(1, "train", 6)]
    assert scene not in [*others, sample_scene(1, "train", 5, attempt=1)]


def test_scenes_have_the_stated_mix():
    share = {kind: count / len(SCENES) for kind, count in Counter(scene.kind for scene in SCENES).items()}
    assert share == pytest.approx(KIND_SHARES, abs=0.06)
    assert {len(scene.actors) for scene in SCENES if scene.kind in ("motion", "order")} == {1}
    assert {len(scene.actors) for scene in SCENES if scene.kind in ("relation", "pair", "turns")} == {2}
    assert {actor.shape for scene in SCENES for actor in scene.actors} == set(SHAPES)
    assert {actor.colour for scene in SCENES for actor in scene.actors} == set(COLOURS)
    assert {scene.background for scene in SCENES} == set(BACKGROUNDS)
    assert all(2.0 <= scene.seconds <= 3.0 for scene in SCENES)


def test_objects_stay_inside_and_apart():
    for scene in SCENES:
        paths = [trajectory(actor, scene.num_frames) for actor in scene.actors]
        for path in paths:
            assert (path[:, :2] - path[:, 3:] > 0).all() and (path[:, :2] + path[:, 3:] < 1).all()
        if len(paths) == 2:
            apart = np.linalg.norm(paths[0][:, :2] - paths[1][:, :2], axis=1)
            assert (apart > paths[0][:, 3] + paths[1][:, 3]).all()


def test_relation_of_a_scene_holds_throughout():
    scenes = [scene for scene in SCENES if scene.relation]
    assert {scene.relation for scene in scenes} == set(RELATIONS)
    for scene in scenes:
        assert distance_along(*scene.actors, scene.relation, scene.num_frames).min() > 0.25


@pytest.mark.parametrize(
    ("motion", "shift"), [("left", (-0.4, 0)), ("right", (0.4, 0)), ("up", (0, -0.4)), ("down", (0, 0.4))]
)
def test_travel_ends_its_reach_away(motion, shift):
    path = moved(motion)
    assert path[-1, :2] - path[0, :2] == pytest.approx(shift)
    assert (np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1) > 0.005).all()  # in motion at every frame
    assert np.ptp(path[:, 2:], axis=0) == pytest.approx([0, 0])


def test_motions_on_the_spot_do_what_they_say():
    assert np.ptp(moved("still"), axis=0) == pytest.approx([0, 0, 0, 0])
    bounce, loop, spin = moved("bounce"), moved("loop"), moved("spin")
    assert bounce[:, 1].max() == pytest.approx(0.5) and bounce[:, 1].min() < 0.32 and np.ptp(bounce[:, 0]) == 0
    assert loop[-1, :2] == pytest.approx(loop[0, :2]) and (np.ptp(loop[:, :2], axis=0) > 0.25).all()
    assert np.diff(spin[:, 2]).min() > 0 and np.ptp(spin[:, [0, 1, 3]], axis=0) == pytest.approx([0, 0, 0])
    assert moved("grow")[:, 3] == pytest.approx(moved("shrink")[::-1, 3])
    assert moved("grow")[-1, 3] / moved("grow")[0, 3] > 2


def test_two_motions_follow_each_other_without_a_jump():
    path = moved("left", "up")
    assert path[12, :2] == pytest.approx([0.1, 0.5])
    assert path[-1, :2] == pytest.approx([0.1, 0.1])
    assert np.abs(np.diff(moved("grow", "shrink")[:, 3])).max() < 0.04


# what is true of a scene

PAIR = Scene(
    "turns",
    "beige",
    (0.5, 0.2),
    (
        Actor("star", "red", "small", ("left", "still"), (0.8, 0.2), 0.4, clockwise=True),
        Actor("ring", "blue", "medium", ("still", "grow"), (0.5, 0.8), 0.4, clockwise=True),
    ),
    30,
)
STAR, RING = ActorClaim("star", "red"), ActorClaim("ring", "blue")


@pytest.mark.parametrize(
    ("claim", "truth"),
    [
        (Claim((STAR,)), True),
        (Claim((RING, STAR)), True),
        (Claim((ActorClaim("star", "blue"),)), False),
        (Claim((ActorClaim("ring", "red"), ActorClaim("star", "blue"))), False),
        (Claim((STAR, STAR)), False),
        (Claim((STAR,), background="beige"), True),
        (Claim((STAR,), background="grey"), False),
        (Claim((replace(STAR, size="small"),)), True),
        (Claim((replace(STAR, size="large"),)), False),
        (Claim((replace(STAR, motions=("left",)),)), True),
        (Claim((replace(STAR, motions=("right",)),)), False),
        (Claim((replace(STAR, motions=("still",)),)), False),
        (Claim((replace(STAR, motions=("left", "still")), replace(RING, motions=("still", "grow")))), True),
        (Claim((replace(STAR, motions=("still", "left")), replace(RING, motions=("grow", "still")))), False),
        (Claim((replace(STAR, motions=("left",)), replace(RING, motions=("grow",)))), True),
        (Claim((replace(STAR, motions=("left",)), replace(RING, motions=("grow",))), at_once=True), False),
        (Claim((replace(STAR, motions=("grow",)), replace(RING, motions=("left",)))), False),
        (Claim((STAR, RING), relation="above"), True),
        (Claim((RING, STAR), relation="below"), True),
        (Claim((RING, STAR), relation="above"), False),
        (Claim((STAR, RING), relation="left of"), False),
    ],
)
def test_claim_is_true_of_what_is_shown_only(claim, truth):
    assert is_true(claim, PAIR) is truth


def test_no_size_is_true_of_what_changes_its_size():
    grower = replace(STILL, motions=("grow",))
    assert is_true(Claim((ActorClaim(size="large"),)), alone(STILL))
    assert not is_true(Claim((ActorClaim(size="large"),)), alone(grower))


def test_full_claim_is_true_of_its_own_scene():
    assert all(is_true(full_claim(scene), scene) for scene in SCENES)


def test_index_finds_the_scenes_that_make_a_claim_true():
    index = SceneIndex()
    for scene in SCENES:
        index.add(scene)
    claims = [
        full_claim(SCENES[0]),
        Claim((ActorClaim(colour="red"),)),
        Claim((ActorClaim("moon", motions=("left",)),)),
    ]
    for claim in [*claims, Claim((ActorClaim(size="large"),), "grey"), Claim((ActorClaim("ring"), ActorClaim("star")))]:
        assert index.fitting(claim) == [scene for scene in SCENES if is_true(claim, scene)] != []
    assert index.has_alike(replace(SCENES[0], num_frames=24))
    assert not index.has_alike(PAIR)


# captions


def captions_of(scene, num=8):
    rng = numpy_generator(3, "trial captions", SCENES.index(scene))
    return [draw_caption(scene, rng, complete=number == 0) for number in range(num)]


def test_there_are_at_least_forty_patterns():
    assert len({pattern for patterns in PATTERNS.values() for pattern in patterns}) >= 40


def test_every_caption_is_true_of_its_scene():
    assert all(is_true(caption.claim, scene) for scene in SCENES for caption in captions_of(scene))


def test_caption_says_what_its_claim_says_and_no_more():
    for scene in SCENES:
        for text, claim in captions_of(scene, 4):
            foreground = text.replace(f"{claim.background} background", "")
            assert (claim.background is not None) is ("background" in text) is (foreground != text)
            words = Counter(foreground.replace(",", "").split())
            said = [value for actor in claim.actors for value in (actor.shape, actor.colour)]
            for word in ({*SHAPES} - {"circle"}) | {*COLOURS}:  # "moves in a circle" is a motion
                assert words[word] == said.count(word), text
            for size, names in SIZE_WORDS.items():
                assert sum(words[name] for name in names) == [actor.size for actor in claim.actors].count(size)


def test_order_in_a_caption_is_the_order_in_the_scene():
    turned_round = 0
    for scene in (scene for scene in SCENES if scene.kind == "order"):
        for text, _ in captions_of(scene):
            places = [
                max(text.find(form) for forms in VERBS[motion] for form in forms) for motion in scene.actors[0].motions
            ]
            assert min(places) >= 0
            backwards = " after it " in text
            turned_round += backwards
            assert (places[0] > places[1]) is backwards, text
    assert turned_round > 0


def test_complete_caption_leaves_nothing_unsaid():
    for scene in SCENES[:100]:
        assert captions_of(scene)[0].claim == full_claim(scene)


def test_caption_uses_the_right_article():
    texts = [caption.text for scene in SCENES for caption in captions_of(scene)]
    assert any(" an orange" in f" {text}" for text in texts)
    assert not any(f" a {vowel}" in f" {text}" for text in texts for vowel in "aeiou")


# pictures


def test_frames_are_the_same_at_every_drawing():
    frames = draw_frames(PAIR)
    assert frames.shape == (30, 128, 128, 3) and frames.dtype == np.uint8
    assert frames_sha256(frames) == frames_sha256(draw_frames(PAIR)) != frames_sha256(frames[:, ::-1].copy())


@pytest.mark.parametrize("colour", COLOURS)
def test_object_has_its_colour_at_its_centre(colour):
    frame = draw_frames(alone(replace(STILL, colour=colour)))[0].astype(int)
    assert frame[62:67, 62:67].mean(axis=(0, 1)) == pytest.approx(COLOURS[colour], abs=8)


def painted(frame):
    """Pixels that are clearly red, the colour of `STILL`."""
    return (frame[..., 0].astype(int) - frame[..., 1] > 90).nonzero()


def test_object_is_painted_where_it_is():
    mover = replace(STILL, motions=("left", "down"), start=(0.75, 0.25), size="small")
    frames, path = draw_frames(alone(mover)), trajectory(mover, 24)
    for frame, place in zip(frames, path, strict=True):
        y, x = painted(frame)
        assert [x.mean() + 0.5, y.mean() + 0.5] == pytest.approx(128 * place[:2], abs=0.7)


def test_sizes_are_clearly_different():
    areas = [len(painted(draw_frames(alone(replace(STILL, size=size)))[0])[0]) for size in ("small", "medium", "large")]
    assert areas[1] > 1.8 * areas[0] and areas[2] > 1.8 * areas[1]


def test_shapes_are_clearly_different():
    masks = []
    for shape in SHAPES:
        mask = np.zeros((128, 128), dtype=bool)
        mask[painted(draw_frames(alone(replace(STILL, shape=shape)))[0])] = True
        masks.append(mask)
    for index, mask in enumerate(masks):
        for other in masks[:index]:
            assert (mask & other).sum() / (mask | other).sum() < 0.85


# files


def test_video_file_holds_the_frames(tmp_path):
    import decord

    frames = draw_frames(PAIR)
    encode.write_video(tmp_path / "video1.mp4", frames)
    video = decord.VideoReader(str(tmp_path / "video1.mp4"))
    assert video.get_avg_fps() == 12
    decoded = video.get_batch(range(len(video))).asnumpy()
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).mean() < 3
    assert (tmp_path / "video1.mp4").stat().st_size < 14_000


def test_video_file_is_reproducible(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        encode.write_video(tmp_path / name, draw_frames(PAIR))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_interrupted_encoding_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    def stop(path, frames):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    (tmp_path / "video1.mp4").write_bytes(b"old")
    monkeypatch.setattr(encode, "_encode", stop)
    with pytest.raises(KeyboardInterrupt):
        encode.write_video(tmp_path / "video1.mp4", draw_frames(PAIR))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_missing_encoder_is_answered_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"pip install .*samples"):
        encode.write_video(tmp_path / "video1.mp4", draw_frames(PAIR))


def test_scenes_are_imported_without_the_encoder():
    code = "import sys, diffret_core.scenes.collection; print('av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
