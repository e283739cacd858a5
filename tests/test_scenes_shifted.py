"""The style "shifted": another look of which the same words are true."""

from dataclasses import replace

import numpy as np
import pytest

from diffret_core.scenes.drawing import draw_frames
from diffret_core.scenes.drawing_shifted import SHIFTED_BACKGROUNDS, SHIFTED_COLOURS
from diffret_core.scenes.encode import write_video
from diffret_core.scenes.sampling import sample_scene
from diffret_core.scenes.scene import Actor, Scene, trajectory
from diffret_core.scenes.vocabulary import BACKGROUNDS, COLOURS, HIDDEN, RADII, SHAPES

STILL = Actor("circle", "red", "large", ("still",), (0.5, 0.5), 0.4, clockwise=True)
SCENES = [replace(sample_scene(7, "trial", index), style="shifted") for index in range(10)]
ALLOWED = [
    (colour, background) for colour in COLOURS for background in BACKGROUNDS if (colour, background) not in HIDDEN
]
Y, X = np.mgrid[0:128, 0:128] + 0.5
FROM_CENTRE = np.hypot(X - 64, Y - 64)  # pixels


def alone(actor, background="grey", num_frames=2):
    return Scene("motion", background, (0.5, 0.2), (actor,), num_frames, style="shifted")


def covered(scene):
    """Pixels of every frame in which not the bare paper is seen, `[F, 128, 128]`."""
    return (draw_frames(scene) != draw_frames(replace(scene, actors=()))).any(axis=-1)


def lab(colour):
    """CIE L*a*b* of sRGB values 0..255, in which a distance of about 2 can just be seen; white is D65."""
    rgb = np.asarray(colour, dtype=float) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / (0.9505, 1.0, 1.089)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(colour, other):
    return np.linalg.norm(lab(colour) - lab(other))


def test_difference_of_colours_is_the_one_of_the_standard():
    assert difference((0, 0, 0), (255, 255, 255)) == pytest.approx(100, abs=0.1)
    assert lab((10, 10, 10))[0] == pytest.approx(903.3 * 10 / 255 / 12.92, abs=0.01)  # dark colours: linear
    assert lab((255, 0, 0)) == pytest.approx([53.2, 80.1, 67.2], abs=0.2)  # as listed for sRGB's red


# the look


def test_scene_is_drawn_the_same_every_time():
    first = [draw_frames(scene) for scene in SCENES[:3]]
    for scene, frames in reversed(list(zip(SCENES[:3], first, strict=True))):
        np.random.seed(len(frames))  # numbers drawn from anything global would change
        assert frames.shape == (scene.num_frames, 128, 128, 3) and frames.dtype == np.uint8
        assert (draw_frames(scene) == frames).all()


def test_style_changes_the_look_everywhere():
    for scene in SCENES:
        shifted, plain = draw_frames(scene), draw_frames(replace(scene, style="plain"))
        assert shifted.shape == plain.shape
        assert (np.abs(shifted.astype(int) - plain).max(axis=-1) >= 4).mean() > 0.9
        assert np.abs(shifted.astype(int) - plain).mean() > 8


def test_objects_differ_in_texture():
    fills = set()
    for column in range(-6, 7):
        frame = draw_frames(alone(replace(STILL, start=(0.5 + column / 128, 0.5))))[0]
        fills.add(frame[54:74, 54 + column : 74 + column].tobytes())
    assert len(fills) > 6


def test_papers_differ_in_pattern():
    papers = {draw_frames(replace(alone(STILL), actors=(), glow=(0.3, step / 20)))[0].tobytes() for step in range(20)}
    assert len(papers) == 4


@pytest.mark.parametrize("colour", COLOURS)
def test_fill_has_a_texture(colour):
    fill = draw_frames(alone(replace(STILL, colour=colour)))[0][FROM_CENTRE < 18]
    assert len(np.unique(fill, axis=0)) > 1 and fill.mean(axis=-1).std() > 4


# the same words


@pytest.mark.parametrize("colour", COLOURS)
def test_fill_has_about_the_colour_of_the_palette(colour):
    fill = draw_frames(alone(replace(STILL, colour=colour)))[0][FROM_CENTRE < 18].mean(axis=0)
    assert fill == pytest.approx(SHIFTED_COLOURS[colour], abs=36)
    assert difference(fill, SHIFTED_COLOURS[colour]) < 12


def nearest_name(colour, palette):
    return min(palette, key=lambda name: difference(colour, palette[name]))


@pytest.mark.parametrize(
    ("name", "shifted", "plain"),
    [(name, SHIFTED_COLOURS, COLOURS) for name in COLOURS]
    + [(name, SHIFTED_BACKGROUNDS, BACKGROUNDS) for name in BACKGROUNDS],
)
def test_palette_is_another_but_closest_to_its_own_names(name, shifted, plain):
    assert difference(shifted[name], plain[name]) > (2 if name in ("black", "white") else 5)
    assert nearest_name(shifted[name], plain) == name
    assert list(shifted) == list(plain)


@pytest.mark.parametrize("colour", COLOURS)
def test_drawn_colour_is_closest_to_its_own_name(colour):
    frame = draw_frames(alone(replace(STILL, colour=colour)))[0]
    assert nearest_name(frame[FROM_CENTRE < 18].mean(axis=0), COLOURS) == colour


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_drawn_background_is_closest_to_its_own_name(background):
    for glow in ((0.3, step / 20) for step in range(8)):
        paper = draw_frames(Scene("motion", background, glow, (), 2, style="shifted"))[0].mean(axis=(0, 1))
        assert nearest_name(paper, BACKGROUNDS) == background


@pytest.mark.parametrize(("colour", "background"), ALLOWED)
def test_object_and_its_outline_stand_out_from_the_background(colour, background):
    frame = draw_frames(alone(replace(STILL, colour=colour), background))[0]
    edge = 0.95 * RADII["large"] * 128
    beyond = FROM_CENTRE - edge
    fill, paper = frame[beyond < -5].mean(axis=0), frame[beyond > 5].mean(axis=0)
    outline = frame[np.abs(beyond - 0.85) < 0.5].mean(axis=0)
    assert difference(fill, paper) > 28
    if (colour, background) != ("white", "dark blue"):  # light ink on a dark background
        assert difference(outline, fill) > 40


def test_every_shape_is_drawn_and_clearly_different():
    masks = [covered(alone(replace(STILL, shape=shape)))[0] for shape in SHAPES]
    for index, mask in enumerate(masks):
        assert mask.sum() > 600
        for other in masks[:index]:
            assert (mask & other).sum() / (mask | other).sum() < 0.85


def test_paper_is_seen_through_a_ring_and_beside_a_moon():
    ring, moon = (covered(alone(replace(STILL, shape=shape)))[0] for shape in ("ring", "moon"))
    assert not ring[FROM_CENTRE < 10].any() and ring[64, 64 + 20]
    assert not moon[64 - 6, 64 + 14] and moon[64 + 6, 64 - 18]


def test_sizes_are_clearly_different():
    small, medium, large = (covered(alone(replace(STILL, size=size)))[0].sum() for size in RADII)
    assert medium > 1.8 * small and large > 1.8 * medium


# motion


def test_object_is_where_it_should_be():
    mover = replace(STILL, motions=("left", "down"), start=(0.75, 0.25), size="small")
    masks, path = covered(alone(mover, num_frames=24)), trajectory(mover, 24)
    for mask, place in zip(masks, path, strict=True):
        assert [X[mask].mean(), Y[mask].mean()] == pytest.approx(128 * place[:2], abs=0.9)


def test_frames_of_a_still_scene_are_identical():
    frames = draw_frames(alone(STILL, num_frames=24))
    assert (frames == frames[0]).all()


@pytest.mark.parametrize("column", range(6))
def test_texture_travels_with_the_object(column):
    reach = 48 / 128  # whole pixels
    mover = replace(STILL, motions=("left",), start=(0.75 + column / 128, 0.5), reach=reach, size="medium")
    frames = draw_frames(alone(mover, num_frames=24))
    before, after = frames[0, 56:72, 88 + column : 104 + column], frames[-1, 56:72, 40 + column : 56 + column]
    assert before.mean(axis=-1).std() > 4
    assert (before == after).all()


def test_texture_turns_with_the_object():
    frames = draw_frames(alone(replace(STILL, shape="square", motions=("spin",)), num_frames=24))
    inside = frames[:, FROM_CENTRE < 12].astype(int)
    assert (np.abs(np.diff(inside, axis=0)).max(axis=(1, 2)) > 4).all()


def test_paper_stands_still():
    mover = replace(STILL, motions=("left",), start=(0.75, 0.7), size="small")
    frames = draw_frames(alone(mover, num_frames=24))
    assert (frames[:, :64] == frames[0, :64]).all() and len(np.unique(frames[0, :64].reshape(-1, 3), axis=0)) > 1


# files


def test_video_files_are_small(tmp_path):
    for number, scene in enumerate(SCENES):
        write_video(tmp_path / f"video{number}.mp4", draw_frames(scene))
    assert np.mean([path.stat().st_size for path in tmp_path.iterdir()]) < 16_000
