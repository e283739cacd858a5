"""Plans: what is counted is what runs take, whether tensors are fake or real; and what a run is refused for."""

from dataclasses import replace

import pytest
import torch
from benchmark_layouts import make_layout
from tiny_collection import tiny_recipe
from tiny_models import random_features, tiny_retriever

from diffret_core.config import GenerationConfig
from diffret_core.datasets import Counts, SplitCounts, counts_of, read_collection
from diffret_core.plans import made_up_sample, make_plan, sample_of, seconds, timed
from diffret_core.plans.inputs import repeated
from diffret_core.plans.live import LiveTensors
from diffret_core.plans.memory import sizes_of
from diffret_core.plans.seconds import random_model, shallow
from diffret_core.plans.steps import _count, count_encoder_step, count_step, encoder_trainer
from diffret_core.recipes import recipe, rehearsal
from diffret_core.training.generation import generation_trainer
from diffret_core.training.run import train

CPU = torch.device("cpu")
COUNTS = Counts(SplitCounts(8, 16), SplitCounts(4, 8), SplitCounts(4, 4))
CLIP = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": 1, "width": 192, "head_width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}


def small_recipe(**contrastive):
    """A rehearsal, in pieces, in low precision, with frames on disk; of few layers whose activations count."""
    chosen = rehearsal(recipe("msrvtt"))
    return replace(
        chosen,
        model=replace(chosen.model, clip=CLIP, max_frames=4, max_words=16, num_temporal_layers=1),
        contrastive=replace(chosen.contrastive, **contrastive),
    )


SMALL = small_recipe()


# tensors that live


def test_bytes_are_those_of_tensors_that_live_at_once():
    before = torch.ones(100)
    with LiveTensors() as live:
        a = torch.ones(1000)
        assert (live.num_bytes, live.peak_bytes) == (4000, 4000)
        b = (a[:10] + 1).view(2, 5)  # a view takes nothing, a sum 40 bytes
        a.add_(1)
        before.mul_(2)
        assert live.num_bytes == 4040
        del a
        c = torch.ones(500)
        assert (live.num_bytes, live.peak_bytes) == (2040, 4040)
    del b, c
    assert live.num_bytes == 0


def test_operations_are_those_of_products_and_their_gradients():
    weight = torch.randn(30, 20, requires_grad=True)
    with LiveTensors() as live:
        (torch.ones(10, 30) @ weight).sum().backward()
    assert live.operations == 2 * (2 * 10 * 30 * 20)  # the product, and the gradient of the weight
    assert live.num_bytes == weight.grad.numel() * 4


@pytest.mark.parametrize(("at_once", "precision"), [(None, "float32"), (3, "bfloat16")])
def test_fake_tensors_take_what_real_ones_take(at_once, precision):
    stage = replace(SMALL.contrastive, encode_at_once=at_once, compute_precision=precision, frame_share=0.5)
    counted = _count(SMALL.model, stage, 6, CPU)
    pairs = repeated(made_up_sample(SMALL.model), 6, SMALL.model.max_frames)
    real = count_step(encoder_trainer(random_model(SMALL.model, CPU), pairs, stage))
    assert counted.operations == real.operations > 10**8
    assert counted.peak_bytes == pytest.approx(real.peak_bytes, rel=0.01)


@pytest.mark.parametrize("phase", tiny_recipe().pretraining, ids=["single frames", "several frames"])
def test_fake_tensors_take_what_real_ones_take_before_stage_1(phase):
    config = tiny_recipe().model
    counted = count_encoder_step(config, phase, CPU)
    pairs = repeated(made_up_sample(config), phase.batch_size, config.max_frames)
    real = count_step(encoder_trainer(random_model(config, CPU), pairs, phase))
    assert counted.operations == real.operations > 10**6
    assert counted.peak_bytes == pytest.approx(real.peak_bytes, rel=0.01)


@pytest.mark.parametrize(("batch_size", "at_once"), [(12, 4), (4, 1)])
def test_step_in_pieces_is_counted_from_one_piece(batch_size, at_once):
    chosen = small_recipe(encode_at_once=at_once, batch_size=batch_size)
    counted = count_encoder_step(chosen.model, chosen.contrastive, CPU)
    whole = _count(chosen.model, chosen.contrastive, batch_size, CPU)
    assert counted.peak_bytes == pytest.approx(whole.peak_bytes, rel=0.05)
    assert counted.operations == pytest.approx(whole.operations, rel=0.01)


def test_memory_of_pieces_grows_with_the_batch_by_its_pictures_and_the_gradients_of_its_features():
    chosen = small_recipe(encode_at_once=12)
    sizes = (24, 32)
    peaks = [
        count_encoder_step(chosen.model, replace(chosen.contrastive, batch_size=size), CPU).peak_bytes for size in sizes
    ]
    pictures, features = 4 * 3 * 64 * 64, 4 * 64 * (16 + 1 + 4)  # bytes of a pair: F 3 H H; W words, a sentence, F
    assert peaks[1] - peaks[0] == 8 * (pictures + features)


# whole runs against their plan


def peaks_of_run(chosen, collection, output):
    """The most bytes of tensors in each stage, from the end of what is before it."""
    live, peaks, stage = LiveTensors(), {}, "before"

    def listen(what, *_):
        nonlocal stage
        peaks[stage] = max(peaks.get(stage, 0), live.peak_bytes)  # what a stage leaves on disk at its end is its own
        stage = what
        live.forget_peak()

    with live:
        train(chosen, collection, output, listen=listen)
    return peaks


@pytest.mark.parametrize("kind", ["tiny", "in pieces"])
def test_memory_of_a_run_is_that_of_its_plan(tmp_path, kind):
    chosen = {
        "tiny": tiny_recipe(),
        "in pieces": small_recipe(batch_size=16, encode_at_once=4),
    }[kind]
    sizes = {"train": 16, "validation": 4, "test": 4}
    folder = make_layout("msrvtt", tmp_path / "data", sizes=sizes)
    collection = read_collection("msrvtt", folder, hold_out_validation=True)
    plan = make_plan(chosen, counts_of(collection), CPU)
    found = peaks_of_run(chosen, collection, tmp_path / "run")
    planned = {stage.name: stage.memory.device_bytes for stage in plan.stages}
    reading, _ = plan.validation.moments  # stage 2 ends with that; torch does not see what comes from a file
    seen = sum(reading.device.values()) + sum(reading.host.values()) - reading.host["weights as read"]
    planned["stage 2"] = max(planned["stage 2"], seen)
    assert planned == {name: pytest.approx(found[name], rel=0.25) for name in planned}


def test_comparison_of_all_is_counted():
    """Where it is large beside all else: what stage 2 prepares, without a run."""
    texts, videos = random_features(1500, 700)
    model = tiny_retriever().eval().requires_grad_(False)
    config = GenerationConfig(num_steps=1, batch_size=8, num_candidates=4, negative_pool=6)
    chosen = tiny_recipe(model=replace(model.config, max_words=texts.words.shape[1]), generation=config)
    video_of_text = torch.arange(1500) % 700
    with LiveTensors() as live:
        trainer = generation_trainer(model, texts, [videos], video_of_text, config, wording=video_of_text, seed=0)
    counts = Counts(SplitCounts(700, 1500), *COUNTS[1:])
    plan = make_plan(replace(chosen, model=replace(chosen.model, max_frames=videos.frames.shape[1])), counts, CPU)
    apart = {"weights", "features of videos", "features of captions"}  # there before
    apart |= {"gradients", "state of the optimiser", "activations"}  # not there yet
    comparing, step = (
        sum(size for name, size in moment.device.items() if name not in apart)
        for moment in plan.stages[-1].memory.moments[1:]
    )
    assert step == pytest.approx(live.num_bytes, rel=0.1)
    assert max(comparing, step) == pytest.approx(live.peak_bytes, rel=0.1)
    assert trainer.num_done == 0


# what a plan says


def test_numbers_are_those_that_each_stage_reads():
    tiny = recipe("tiny")
    counts = Counts(SplitCounts(8000, 40_000), SplitCounts(1000, 5000), SplitCounts(1000, 1000))
    sizes = sizes_of(tiny, counts)
    assert (sizes.first_stage_videos, sizes.first_stage_captions) == (4000, 20_000)
    assert (sizes.second_stage_videos, sizes.second_stage_captions) == (4000, 20_000)
    assert (sizes.validation_videos, sizes.validation_captions) == (1000, 1000)  # the test is on pairs
    assert sizes_of(tiny, counts._replace(test=SplitCounts(100, 400))).validation_captions == 5000
    with pytest.raises(ValueError, match="recipe tiny needs more than 4000 to train"):
        sizes_of(tiny, counts._replace(train=SplitCounts(4000, 20_000)))


def test_memory_and_disk_follow_the_settings():
    def plan(**contrastive):
        return make_plan(small_recipe(**contrastive), COUNTS, CPU, count_steps=False)

    (first, _), (first_averaged, _) = plan().stages, plan(average_decay=0.9).stages
    kept, kept_averaged = (one.memory.moments[0].device for one in (first, first_averaged))
    assert kept_averaged["average of the weights"] == kept["gradients"] == kept["state of the optimiser"] // 2
    assert plan().disk["decoded frames"] == (8 + 4) * 4 * (3 * 64 * 64 + 1)  # and those to validate with
    in_memory = plan(frames_on_disk=False)
    assert in_memory.disk["decoded frames"] == 0
    assert in_memory.stages[0].memory.moments[0].host["frames of all videos"] == (8 + 4) * 4 * (3 * 64 * 64 + 1)
    only_second = make_plan(SMALL, COUNTS, CPU, first_stage=False, count_steps=False)
    assert [stage.name for stage in only_second.stages] == ["stage 2"]
    assert only_second.disk["decoded frames"] == 0


def test_uncounted_steps_leave_what_is_there_between_them():
    counted, uncounted = (make_plan(SMALL, COUNTS, CPU, count_steps=count).stages for count in (True, False))
    for one, other in zip(counted, uncounted, strict=True):
        assert other.operations == 0 and one.operations > 0
        kept, kept_uncounted = (stage.memory.moments[1].device.get("gradients") for stage in (one, other))
        assert kept == kept_uncounted
        assert other.memory.device_bytes <= one.memory.device_bytes


def test_processes_share_a_batch_or_are_refused():
    tiny = tiny_recipe()
    one, two = (count_encoder_step(tiny.model, tiny.contrastive, CPU, num_processes=number) for number in (1, 2))
    assert two.operations == pytest.approx(one.operations / 2, rel=0.05)
    assert two.trained_bytes == one.trained_bytes
    with pytest.raises(ValueError, match="a batch of 8 cannot be dealt out to 3 processes evenly"):
        make_plan(SMALL, COUNTS, CPU, num_processes=3, count_steps=False)


def test_every_part_of_a_run_is_timed(tmp_path):
    collection = read_collection("msrvtt", make_layout("msrvtt", tmp_path / "data"), hold_out_validation=True)
    sample = sample_of(collection, SMALL.model)
    assert sample.seconds_to_decode > 0 and 0 < sample.real_share < 1  # the sample videos are short
    plan = timed(make_plan(SMALL, COUNTS, CPU), SMALL, sample, CPU)
    assert all(stage.step.seconds > 0 for stage in plan.stages)
    assert len(plan.tasks) == 4 and all(task.seconds > 0 for task in plan.tasks.values())
    steps = sum(stage.num_steps * stage.step.seconds for stage in plan.stages)
    assert plan.seconds == pytest.approx(steps + sum(task.seconds for task in plan.tasks.values()))
    assert plan.seconds_to_decode == pytest.approx((8 + 8 + 4) * sample.seconds_to_decode)


@pytest.mark.parametrize("start_level", [None, 1], ids=["from noise", "from the similarity"])
def test_generation_is_timed_wherever_walks_start(start_level):
    model = replace(SMALL.model, scoring=replace(SMALL.model.scoring, start_level=start_level))
    assert seconds.time_generation(model, device=CPU) > 0


@pytest.mark.parametrize(
    ("seconds_at_most", "room", "overhead", "is_measured"),
    [
        (1e9, 2**40, 9.0, True),  # a whole step
        (72.0, 2**40, 9.0, False),  # two steps of whole videos, and a straight line through them
        (1e-9, 2**40, 0.0, False),  # few frames
        (1e9, 2**20, 0.0, False),  # few layers
    ],
)
def test_time_of_a_step_is_that_of_a_whole_one(monkeypatch, seconds_at_most, room, overhead, is_measured):
    """On a machine that takes a second for 10^9 operations or bytes of weights, and the same for each step."""
    chosen = small_recipe(batch_size=24, encode_at_once=12)
    clip = {**CLIP, "vision_cfg": {**CLIP["vision_cfg"], "layers": 2}}
    chosen = replace(chosen, model=replace(chosen.model, clip=clip))
    whole = count_encoder_step(chosen.model, chosen.contrastive, CPU)
    taken = []

    def take(trainer, device, num_steps):
        counted = count_step(trainer)
        taken.append((counted.operations, len(trainer.parameters)))
        computing, updating = overhead + counted.operations * 1e-9, counted.trained_bytes * 1e-9
        return seconds._Taken(computing, updating, counted.operations, counted.trained_bytes)

    monkeypatch.setattr(seconds, "_take", take)
    monkeypatch.setattr(seconds, "SECONDS_AT_MOST", seconds_at_most)
    sample = made_up_sample(chosen.model)
    found = seconds.time_encoder_step(chosen.model, chosen.contrastive, whole, sample, room, device=CPU)
    expected = overhead + whole.operations * 1e-9 + whole.trained_bytes * 1e-9
    assert found.seconds == pytest.approx(expected, rel=0.05)
    assert found.is_measured == is_measured
    operations, num_parameters = taken[-1]
    assert (operations == pytest.approx(whole.operations, rel=0.05)) == is_measured
    model, pairs = random_model(chosen.model, CPU), repeated(sample, 2, 4)
    all_layers = len(encoder_trainer(model, pairs, chosen.contrastive).parameters)
    assert (num_parameters < all_layers) == (room == 2**20)


def test_shallow_model_has_one_layer_of_each_encoder():
    config = shallow(recipe("msrvtt", clip="ViT-L-14-quickgelu").model)
    assert config.clip["vision_cfg"]["layers"] == config.clip["text_cfg"]["layers"] == 1
    assert config.clip["vision_cfg"]["width"] == 1024
    assert shallow(recipe("tiny").model).clip["vision_cfg"] == recipe("tiny").model.clip["vision_cfg"]  # a ResNet
