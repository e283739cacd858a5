"""Scenes, captions and their truth, pictures, and video files."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from caption_reader import read_caption

from diffret_core.randomness import numpy_generator
from diffret_core.scenes import encode
from diffret_core.scenes.captions import draw_caption, exchanged_caption
from diffret_core.scenes.claims import ActorClaim, Claim, full_claim, is_true
from diffret_core.scenes.drawing import draw_frames, frames_sha256
from diffret_core.scenes.exchange import EXCHANGES, exchange
from diffret_core.scenes.sampling import KIND_SHARES, sample_scene, sample_twin
from diffret_core.scenes.scene import Actor, Scene, distance_along, trajectory
from diffret_core.scenes.splits import SceneIndex
from diffret_core.scenes.vocabulary import BACKGROUNDS, COLOURS, HIDDEN, RELATIONS, SHAPES, UNSEEN_PAIRS
from diffret_core.scenes.word_counts import distractor_pairs, word_counts

STILL = Actor("circle", "red", "large", ("still",), (0.5, 0.5), 0.4, clockwise=True)
SCENES = [sample_scene(7, "trial", index) for index in range(400)]
WITH_UNSEEN_PAIR = [sample_scene(7, "trial", index, with_unseen_pair=True) for index in range(12)]
TWINS = [
    (scene, twin)
    for index, scene in enumerate(SCENES + WITH_UNSEEN_PAIR)
    if (twin := sample_twin(scene, 7, "trial", index)) is not None
]
SHOWN = SCENES + WITH_UNSEEN_PAIR + [twin for _, twin in TWINS]


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


def test_scene_has_an_unseen_pair_only_where_asked_for():
    def has_unseen_pair(scene):
        return any((actor.shape, actor.colour) in UNSEEN_PAIRS for actor in scene.actors)

    assert all(map(has_unseen_pair, WITH_UNSEEN_PAIR)) and not any(map(has_unseen_pair, SCENES))
    assert all(has_unseen_pair(scene) == has_unseen_pair(twin) for scene, twin in TWINS)


def test_unseen_pairs_take_every_shape_and_every_colour_once():
    shapes, colours = zip(*UNSEEN_PAIRS, strict=True)
    assert sorted(shapes) == sorted(SHAPES) and sorted(colours) == sorted(COLOURS)


def test_objects_can_be_told_from_the_background_and_from_each_other():
    for scene in SHOWN:
        assert not {(actor.colour, scene.background) for actor in scene.actors} & HIDDEN
        assert len({(actor.shape, actor.colour) for actor in scene.actors}) == len(scene.actors)
        assert not any(actor.shape in ("circle", "ring") and "spin" in actor.motions for actor in scene.actors)


def test_objects_stay_inside_and_apart():
    for scene in SHOWN:
        paths = [trajectory(actor, scene.num_frames) for actor in scene.actors]
        for path in paths:
            assert (path[:, :2] - path[:, 3:] > 0).all() and (path[:, :2] + path[:, 3:] < 1).all()
        if len(paths) == 2:
            apart = np.linalg.norm(paths[0][:, :2] - paths[1][:, :2], axis=1)
            assert (apart > paths[0][:, 3] + paths[1][:, 3]).all()


def test_relation_of_a_scene_holds_throughout():
    scenes = [scene for scene in SHOWN if scene.relation]
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


# exchanges and twins


def exchanged(what, parts=PAIR.actors):
    """Of each object after an exchange: shape, colour, size and motions."""
    return [(part.shape, part.colour, part.size, part.motions) for part in exchange(parts, what)]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("motions", [("star", "red", "small", ("still", "left")), ("ring", "blue", "medium", ("grow", "still"))]),
        ("objects", [("ring", "blue", "medium", ("left", "still")), ("star", "red", "small", ("still", "grow"))]),
        ("colours", [("star", "blue", "small", ("left", "still")), ("ring", "red", "medium", ("still", "grow"))]),
        ("turns", [("ring", "blue", "medium", ("grow", "still")), ("star", "red", "small", ("still", "left"))]),
    ],
)
def test_exchange_by_hand(what, expected):
    assert exchanged(what) == expected
    claims = tuple(ActorClaim(a.shape, a.colour, a.size, a.motions) for a in PAIR.actors)
    assert exchanged(what, claims) == expected


def test_exchanging_twice_gives_back():
    for scene in SCENES:
        for what in EXCHANGES.get(scene.kind, ()):
            for parts in (scene.actors, full_claim(scene).actors, captions_of(scene, 1)[0].words):
                assert exchange(exchange(parts, what), what) == parts


def test_twin_belongs_to_scene_seed_split_and_index():
    scene, twin = TWINS[0]
    drawn = [sample_twin(scene, *place) for place in [(7, "trial", 0), (8, "trial", 0), (7, "test", 0)]]
    assert drawn[0] == sample_twin(scene, 7, "trial", 0) and len({*drawn, sample_twin(scene, 7, "trial", 1)}) == 4


def test_twin_shows_its_scene_with_something_exchanged():
    assert Counter((twin.kind, twin.exchanged) for _, twin in TWINS).keys() == {
        (kind, what) for kind, kinds in EXCHANGES.items() for what in kinds
    }
    for scene, twin in TWINS:
        claim = full_claim(scene)
        assert full_claim(twin) == replace(claim, actors=exchange(claim.actors, twin.exchanged))
        assert (twin.background, twin.relation, twin.num_frames) == (scene.background, scene.relation, scene.num_frames)


def test_no_twin_of_one_motion_nor_of_what_cannot_be_shown():
    assert all(sample_twin(scene, 7, "trial", 0) is None for scene in SCENES if scene.kind == "motion")
    spinner = Actor("star", "red", "small", ("spin",), (0.3, 0.3), 0.4, clockwise=True)
    ring = Actor("ring", "white", "small", ("still",), (0.7, 0.7), 0.4, clockwise=True)
    twins = [
        sample_twin(Scene("pair", "grey", (0.5, 0.2), (spinner, ring), 30), 7, "trial", index) for index in range(20)
    ]
    assert {twin and twin.exchanged for twin in twins} == {None, "colours"}  # a turning ring looks like one at rest


# captions


def captions_of(scene, num=8):
    rng = numpy_generator(3, "trial captions", SHOWN.index(scene))
    return [draw_caption(scene, rng, complete=number == 0) for number in range(num)]


def test_every_caption_is_true_of_its_scene():
    assert all(is_true(caption.claim, scene) for scene in SCENES for caption in captions_of(scene))


STAR_SAID = ActorClaim("star", "red", "small", ("left",))


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("a tiny red star slides to the left", Claim((STAR_SAID,))),
        ("against a pink background, one shape spins around", Claim((ActorClaim(motions=("spin",)),), "pink")),
        (
            "first a red star grows on a grey background, then it spins",
            Claim((replace(STAR, motions=("grow", "spin")),), "grey"),
        ),
        ("a red star spins after it grows", Claim((replace(STAR, motions=("grow", "spin")),))),
        ("a red star grows, after that it spins", Claim((replace(STAR, motions=("grow", "spin")),))),
        ("to the left of a blue ring there is a red star", Claim((STAR, RING), relation="left of")),
        (
            "a red star moves in a circle under a blue ring",
            Claim((replace(STAR, motions=("loop",)), RING), relation="below"),
        ),
        (
            "while a blue ring grows, a tiny red star moves left",
            Claim((STAR_SAID, replace(RING, motions=("grow",))), at_once=True),
        ),
        (
            "a blue ring grows after a red star shrinks",
            Claim((replace(STAR, motions=("shrink", "still")), replace(RING, motions=("still", "grow")))),
        ),
        (
            "a blue ring grows before a red star shrinks",
            Claim((replace(RING, motions=("grow", "still")), replace(STAR, motions=("still", "shrink")))),
        ),
    ],
)
def test_caption_is_read_as_people_read_it(text, claim):
    assert read_caption(text) == claim


@pytest.mark.parametrize("text", ["a red star grows quickly", "a red star and a blue ring grows and spins"])
def test_reader_refuses_what_it_does_not_understand(text):
    with pytest.raises(ValueError, match="says more|does not say"):
        read_caption(text)


def test_caption_says_what_its_claim_says_and_no_more():
    for scene in SHOWN:
        for caption in captions_of(scene, 4):
            assert read_caption(caption.text) == caption.claim, caption.text


def test_exchanged_caption_says_the_same_words_of_the_twin():
    for scene, twin in TWINS:
        for caption in captions_of(scene, 2):
            exchanged = exchanged_caption(caption, twin.exchanged)
            assert is_true(exchanged.claim, twin) and read_caption(exchanged.text) == exchanged.claim
            assert word_counts(exchanged.text) == word_counts(caption.text)
            assert exchanged_caption(exchanged, twin.exchanged) == caption


def test_complete_caption_leaves_nothing_unsaid():
    for scene in SCENES[:100]:
        assert captions_of(scene)[0].claim == full_claim(scene)


def test_caption_uses_the_right_article():
    texts = [caption.text for scene in SCENES for caption in captions_of(scene)]
    assert any(" an orange" in f" {text}" for text in texts)
    assert not any(f" a {vowel}" in f" {text}" for text in texts for vowel in "aeiou")


def test_words_are_counted_without_punctuation_and_an_as_a():
    assert word_counts("two shapes: a star, an orange star") == {"two": 1, "shapes": 1, "a": 2, "star": 2, "orange": 1}


def test_distractors_are_the_captions_with_the_same_words():
    captions = ["a red star", "star, a red", "an orange star", "a red star spins", "an red star", "star orange a"]
    assert distractor_pairs(captions) == [(0, 1), (0, 4), (1, 4), (2, 5)]
    assert distractor_pairs(["a star star", "a a star", "a star"]) == []


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
