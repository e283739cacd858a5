"""Other views of training videos: frames drawn fairly, videos moved as told, and the same view whenever it is asked."""

from pathlib import Path

import torch
from pytest import mark

from diffret_core.config import GenerationConfig
from diffret_core.randomness import generator
from diffret_core.training.views import draw_frames, draw_shifts, shifted, view_for_stage2

# 200 videos of 1 to 8 real frames, which stand anywhere
MANY_FRAMES = torch.rand(200, 8, generator=torch.Generator().manual_seed(0)).argsort(dim=1) < (
    1 + torch.arange(200)[:, None] % 8
)


def images(num_videos=6, num_frames=3, side=7):
    draw = torch.Generator().manual_seed(1)
    return torch.randint(256, (num_videos, num_frames, 3, side, side), generator=draw, dtype=torch.uint8)


@mark.parametrize("num_frames", [1, 4])
def test_real_frames_of_each_video_are_drawn_and_each_equally_often(num_frames):
    drawn = torch.stack([draw_frames(MANY_FRAMES, num_frames, generator(0, "a", i)) for i in range(400)])
    assert not bool((drawn & ~MANY_FRAMES).any())
    num_real = MANY_FRAMES.sum(dim=1, keepdim=True)
    assert bool((drawn.sum(dim=2) == num_real.squeeze(1).clamp(max=num_frames)).all())
    expected = MANY_FRAMES * (num_frames / num_real).clamp(max=1)
    torch.testing.assert_close(drawn.float().mean(dim=0), expected, rtol=0, atol=0.15)


def test_each_video_can_have_a_number_of_its_own():
    num_kept = (MANY_FRAMES.sum(dim=1, keepdim=True) + 1) // 2
    assert draw_frames(MANY_FRAMES, num_kept, generator(0, "a")).sum(dim=1, keepdim=True).equal(num_kept)


def shifted_by_loop(images, shift):
    side = images.shape[-1]
    moved = torch.empty_like(images)
    for video, (down, right) in enumerate(shift.tolist()):
        for row in range(side):
            for column in range(side):
                source = min(max(row - down, 0), side - 1), min(max(column - right, 0), side - 1)
                moved[video, :, :, row, column] = images[video, :, :, source[0], source[1]]
    return moved


def test_shift_moves_each_video_by_its_own_pixels_and_repeats_the_edge():
    still = images()
    shift = torch.tensor([[0, 0], [2, 0], [0, -3], [-1, 4], [6, 6], [-9, 9]])
    moved = shifted(still, shift)
    assert moved.dtype == torch.uint8
    assert moved.equal(shifted_by_loop(still, shift))
    assert moved[0].equal(still[0])
    assert moved[1, :, :, 2:].equal(still[1, :, :, :-2])  # two pixels down
    assert moved[2, :, :, :, :4].equal(still[2, :, :, :, 3:])  # three to the left
    assert bool((moved[1, :, :, :3] == still[1, :, :, :1]).all())
    assert shifted(still, torch.zeros(6, 2, dtype=torch.long)).equal(still)


@mark.parametrize("most", [0, 1, 4])
def test_shifts_are_every_number_of_pixels_up_to_the_most(most):
    shift = draw_shifts(300, most, generator(0, "a"))
    for direction in shift.T:
        assert set(direction.tolist()) == set(range(-most, most + 1))


def config(**changes):
    return GenerationConfig(**{"num_steps": 1, "num_views": 4, "max_shift": 2, "frame_share": 0.5, **changes})


def changed(number, name, *, seed=0, num_frames=12, **changes):
    view = view_for_stage2(config(**changes), number, seed=seed)
    return view.change(Path(f"videos/{name}.mp4"), images(1, num_frames)[0])


def test_first_view_is_the_video_as_it_is():
    assert view_for_stage2(config(), 0, seed=0) is None


def test_view_of_a_file_is_the_same_whenever_it_is_asked_for_and_no_other_is():
    once, again = changed(1, "a"), changed(1, "a")
    assert all(ours.equal(theirs) for ours, theirs in zip(once, again, strict=True))
    for other in (changed(2, "a"), changed(1, "b"), changed(1, "a", seed=1)):
        assert not other[0].equal(once[0])
    names = {view_for_stage2(config(**one), number, seed=seed).name for one, number, seed in (
        ({}, 1, 0), ({}, 2, 0), ({}, 1, 1), ({"max_shift": 1}, 1, 0), ({"frame_share": 0.6}, 1, 0)
    )}  # fmt: skip
    assert len(names) == 5  # so that no features are taken for those of another view


def test_views_keep_their_share_of_frames_and_are_moved_up_to_the_most():
    still, found, moves = images(1, 12)[0], set(), set()
    for name in range(150):
        moved, kept = changed(1, name)
        found.add(int(kept.sum()))
        moves |= {
            (down, right)
            for down in range(-3, 4)
            for right in range(-3, 4)
            if moved.equal(shifted_by_loop(still[None], torch.tensor([[down, right]]))[0])
        }
    assert found == set(range(6, 13))
    assert moves == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


@mark.parametrize("num_frames", [1, 2, 3])
def test_view_of_a_short_video_keeps_a_frame(num_frames):
    for name in range(20):
        assert 1 <= int(changed(1, name, num_frames=num_frames, frame_share=0.01)[1].sum()) <= num_frames


def test_view_that_changes_nothing_is_the_video():
    moved, kept = changed(1, "a", max_shift=0, frame_share=1.0)
    assert moved.equal(images(1, 12)[0]) and bool(kept.all())
