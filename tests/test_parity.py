"""`diffret parity`'s comparison on a folder that our own model wrote: sizes unlike the golden ones, then corrupted."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import WIDE, random_tokens, released_state_dict, tiny_retriever

from diffret_core.losses import contrastive_loss, generation_loss
from diffret_core.parity import GIVEN, compare_with_released
from diffret_core.ranking import combined_scores
from diffret_core.sampler import ddim_steps
from diffret_core.schedule import add_noise, noise_schedule

NUM_PAIRS, NUM_CANDIDATES, NUM_LEVELS, NUM_FRAMES = 3, 2, 20, 6
DIRECTION_OF = {"t2v": "text_to_video", "v2t": "video_to_text"}


def random_inputs():
    draw = torch.Generator().manual_seed(1)
    ids, word_mask = random_tokens([9, 3, 6], 9, vocab_size=310)
    frame_mask = torch.arange(NUM_FRAMES)[None] < torch.tensor([[6], [1], [4]])
    video = torch.randn(NUM_PAIRS, NUM_FRAMES, 3, 24, 24, generator=draw) * frame_mask[..., None, None, None]
    return {"word_ids": ids, "word_mask": word_mask.long(), "video": video, "frame_mask": frame_mask.long()}


def random_given():
    draw = torch.Generator().manual_seed(2)
    given = {name: torch.randn(NUM_PAIRS, NUM_CANDIDATES, generator=draw) for name in GIVEN if name != "t"}
    return {**given, "t": torch.tensor([0, 7, 19])}


def outputs_of_direction(model, side, texts, videos, similarity, given):
    rows = similarity if side == "t2v" else similarity.T
    items = rows.topk(NUM_CANDIDATES).indices
    denoise = model.bind_denoiser(DIRECTION_OF[side], texts, videos, torch.arange(NUM_PAIRS), items)
    alpha_bar, k = noise_schedule(NUM_LEVELS, "linear"), given["t"] + 1
    steps = ddim_steps(denoise, given[f"{side}_noise"], list(range(NUM_LEVELS, -1, -1)), alpha_bar)
    states = torch.stack([step.x_k for step in steps])
    return {
        f"{side}_candidates": items,
        f"{side}_denoised": denoise(given[f"{side}_noise"], k),
        f"{side}_generation_loss": generation_loss(denoise, k, given["loss_epsilon"], alpha_bar),
        f"{side}_trajectory": states,
        f"{side}_sample": states[-1].clone(),
        f"{side}_scores": combined_scores(rows, items, states[-1]),
    }


@torch.no_grad()
def write_folder(folder):
    model = tiny_retriever(
        WIDE, mode="reference", num_noise_levels=NUM_LEVELS, schedule="linear", max_frames=6, num_temporal_layers=4
    )
    for network in (model.text_query_denoiser, model.video_query_denoiser):
        network.query.weight.mul_(0.1)  # soft attention: hard attention would turn rounding into differences
    inputs, given = random_inputs(), random_given()
    frame_mask = inputs["frame_mask"].bool()
    texts = model.encode_tokens(inputs["word_ids"], inputs["word_mask"].bool())
    videos = model.encode_videos(inputs["video"], frame_mask)
    similarity = model.similarity(texts, videos)
    x_0 = torch.zeros(NUM_PAIRS, NUM_CANDIDATES)
    x_0[:, 0] = 1
    outputs = {
        **given,
        "word_features": texts.words,
        "sentence_feature": texts.sentence,
        "clip_frame_features": torch.stack([model.clip.encode_image(video) for video in inputs["video"]]),
        "frame_features": videos.frames,
        "similarity": similarity,
        "contrastive_loss": contrastive_loss(similarity, model.logit_scale),
        "x_t": add_noise(x_0, given["t"] + 1, given["loss_epsilon"], noise_schedule(NUM_LEVELS, "linear")),
        "alpha_bar_cosine_30": noise_schedule(30)[1:].clone(),
        "alpha_bar_linear_20": noise_schedule(20, "linear")[1:].clone(),
        **outputs_of_direction(model, "t2v", texts, videos, similarity, given),
        **outputs_of_direction(model, "v2t", texts, videos, similarity, given),
    }
    folder.mkdir()
    torch.save(released_state_dict(model), folder / "checkpoint.bin")
    save_file(inputs, folder / "inputs.safetensors")
    save_file({name: value.contiguous() for name, value in outputs.items()}, folder / "outputs.safetensors")
    config = {"diffusion_steps": NUM_LEVELS, "schedule": "linear", "candidates": NUM_CANDIDATES}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity") / "whole"
    write_folder(folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    """A copy to spoil; unspoiled files are links."""
    for path in whole.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def rewrite(path, content):
    path.unlink()
    path.write_bytes(content) if isinstance(content, bytes) else save_file(content, path)


def failing(folder):
    return {one.name for one in compare_with_released(folder) if not one.within}


def test_every_output_of_other_sizes_is_reproduced(whole):
    comparisons = compare_with_released(whole)
    names = [one.name for one in comparisons]
    assert names == sorted(set(load_file(whole / "outputs.safetensors")) - set(GIVEN)) and len(names) == 21
    assert failing(whole) == set()


def test_tolerance_follows_the_size_of_the_reference(whole):
    reference = load_file(whole / "outputs.safetensors")
    for one in compare_with_released(whole):
        largest = float(reference[one.name].abs().max())
        is_integer = not reference[one.name].is_floating_point()
        assert one.tolerance == (0 if is_integer else pytest.approx(1e-5 * max(1.0, largest)))


def spoil(values, name, change):
    spoiled = values[name].clone()
    flat = spoiled.reshape(-1)
    flat[len(flat) // 2] = change(flat[len(flat) // 2])
    return {**values, name: spoiled}


def test_one_wrong_number_in_any_output_is_found(folder, whole):
    outputs = load_file(whole / "outputs.safetensors")
    spoiled = outputs
    for name in set(outputs) - set(GIVEN):
        tolerance = 1e-5 * max(1.0, float(outputs[name].abs().max()))
        step = max(1e-3, 3 * tolerance) if outputs[name].is_floating_point() else 1
        spoiled = spoil(spoiled, name, lambda value, step=step: value + step)
    rewrite(folder / "outputs.safetensors", spoiled)
    assert failing(folder) == set(outputs) - set(GIVEN)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e30])
def test_output_that_is_not_finite_is_found(folder, whole, value):
    outputs = load_file(whole / "outputs.safetensors")
    for name in ("similarity", "contrastive_loss", "alpha_bar_cosine_30"):
        outputs = spoil(outputs, name, lambda _: value)
    rewrite(folder / "outputs.safetensors", outputs)
    assert failing(folder) == {"similarity", "contrastive_loss", "alpha_bar_cosine_30"}


@pytest.mark.parametrize("change", [lambda x: x[:-1], lambda x: x[None], lambda x: x[:0]])
def test_output_of_another_shape_is_found(folder, whole, change):
    outputs = load_file(whole / "outputs.safetensors")
    rewrite(folder / "outputs.safetensors", {**outputs, "similarity": change(outputs["similarity"]).contiguous()})
    assert failing(folder) == {"similarity"}


def test_wrong_weight_is_found(folder, whole):
    state = torch.load(whole / "checkpoint.bin", weights_only=True)
    (folder / "checkpoint.bin").unlink()
    torch.save(
        {**state, "diffusion_model_v.v_proj.weight": state["diffusion_model.v_proj.weight"]}, folder / "checkpoint.bin"
    )
    expected = {f"v2t_{what}" for what in ("denoised", "trajectory", "sample", "scores")}
    assert failing(folder) - {"v2t_generation_loss"} == expected  # that loss is nearly 0 either way


@pytest.mark.parametrize("name", ["config.json", "inputs.safetensors", "outputs.safetensors", "checkpoint.bin"])
def test_folder_without_a_file_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        compare_with_released(folder)


@pytest.mark.parametrize("name", ["config.json", "inputs.safetensors", "outputs.safetensors", "checkpoint.bin"])
def test_folder_with_a_damaged_file_is_refused(folder, whole, name):
    rewrite(folder / name, (whole / name).read_bytes()[:-20])
    with pytest.raises(ValueError, match=name) as caught:
        compare_with_released(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "missing"),
    [("inputs", "video"), ("inputs", "word_mask"), ("outputs", "t"), ("outputs", "v2t_noise")],
)
def test_folder_without_a_needed_tensor_is_refused(folder, whole, file, missing):
    path = folder / f"{file}.safetensors"
    tensors = {name: value for name, value in load_file(path).items() if name != missing}
    rewrite(path, tensors)
    with pytest.raises(ValueError, match=f"not a complete parity folder; '{missing}' is missing"):
        compare_with_released(folder)


@pytest.mark.parametrize("config", ["{}", "[]", "3", '{"diffusion_steps": 20, "schedule": "linear"}'])
def test_folder_with_another_configuration_is_refused(folder, config):
    rewrite(folder / "config.json", config.encode())
    with pytest.raises(ValueError) as caught:
        compare_with_released(folder)
    assert "KeyError" not in str(caught.value)


@pytest.mark.parametrize("name", ["colour", "t2v_colour", "alpha_bar_cosine_x", "v2t"])
def test_output_that_nothing_computes_is_refused(folder, whole, name):
    outputs = load_file(whole / "outputs.safetensors")
    rewrite(folder / "outputs.safetensors", {**outputs, name: torch.zeros(2)})
    with pytest.raises(ValueError, match=f"output '{name}'"):
        compare_with_released(folder)


@pytest.mark.parametrize("change", [{"diffusion_steps": "x"}, {"candidates": None}, {"candidates": 100}])
def test_folder_whose_parts_do_not_fit_together_is_refused_in_one_line(folder, change):
    import json

    config = {**json.loads((folder / "config.json").read_text()), **change}
    rewrite(folder / "config.json", json.dumps(config).encode())
    with pytest.raises(ValueError) as caught:
        compare_with_released(folder)
    assert "\n" not in str(caught.value)
