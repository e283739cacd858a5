"""Our checkpoints, and released ones: whole round trips, other sizes, and every kind of damage."""

import json
import os
import pickle
from dataclasses import replace

import pytest
import torch
from tiny_models import SMALL, WIDE, architecture, random_tokens, released_state_dict, tiny_retriever

from diffret_core.checkpoints import (
    load_checkpoint,
    load_released_as,
    load_released_checkpoint,
    save_checkpoint,
    video_encoder_fingerprint,
)
from diffret_core.config import DIRECTIONS, ModelConfig, ScoringConfig
from diffret_core.released import infer_architecture, read_released, translate_names

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
OTHER_SIZES = {"num_temporal_layers": 4, "num_frame_positions": 20, "max_words": 20, "max_frames": 6}


def outputs(model):
    """Everything a model computes, on 3 texts and 2 videos."""
    vocab_size = model.config.clip["text_cfg"]["vocab_size"]
    ids, word_mask = random_tokens([8, 3, 5], 8, vocab_size=vocab_size)
    size = model.config.image_size
    images = torch.randn(2, 6, 3, size, size, generator=torch.Generator().manual_seed(0))
    frame_mask = torch.tensor([[True] * 6, [True, True, False, False, False, False]])
    with torch.no_grad():
        texts = model.encode_tokens(ids, word_mask)
        videos = model.encode_videos(images * frame_mask[..., None, None, None], frame_mask)
        similarity = model.similarity(texts, videos)
        samples = [
            model.generate(direction, texts, videos, similarity, queries=torch.arange(num_queries)).sample
            for direction, num_queries in zip(DIRECTIONS, (3, 2), strict=True)
        ]
    return [texts.words, texts.sentence, videos.frames, similarity, *samples, model.logit_scale]


def one_line(caught):
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.fixture(scope="module")
def model():
    scoring = ScoringConfig(num_candidates=2, alpha=0.3, temperature=5.0, num_steps=3)
    return tiny_retriever(max_frames=6, scoring=scoring, image_mean=(0.5, 0.4, 0.3))


@pytest.fixture
def folder(model, tmp_path):
    save_checkpoint(tmp_path / "model", model, about={"recipe": "tiny"})
    return tmp_path / "model"


def test_checkpoint_gives_the_same_model_back(model, folder):
    loaded = load_checkpoint(folder)
    assert loaded.config == model.config and not loaded.training
    assert all(ours.equal(theirs) for ours, theirs in zip(outputs(loaded), outputs(model), strict=True))
    assert {name: value.tolist() for name, value in loaded.state_dict().items() if value.ndim < 2} == {
        name: value.tolist() for name, value in model.state_dict().items() if value.ndim < 2
    }


def test_checkpoint_in_half_precision_is_close_smaller_and_loaded_in_float32(model, tmp_path):
    save_checkpoint(tmp_path / "half", model, dtype=torch.float16)
    save_checkpoint(tmp_path / "full", model)
    loaded = load_checkpoint(tmp_path / "half")
    assert all(value.dtype == torch.float32 for value in loaded.state_dict().values())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=1e-3, atol=1e-6)
    sizes = [(tmp_path / name / WEIGHTS).stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.55 * sizes[1]


def test_checkpoint_leaves_out_rows_of_zeros_and_brings_them_back(tmp_path):
    model = tiny_retriever()
    save_checkpoint(tmp_path / "whole", model)
    with torch.no_grad():
        model.clip.token_embedding.weight[10:] = 0
        model.clip.token_embedding.weight[200] = 0.5
    save_checkpoint(tmp_path / "sparse", model)
    assert load_checkpoint(tmp_path / "sparse").clip.token_embedding.weight.equal(model.clip.token_embedding.weight)
    saved = [(tmp_path / name / WEIGHTS).stat().st_size for name in ("whole", "sparse")]
    assert saved[0] - saved[1] > 280 * 64 * 4


def test_checkpoint_says_what_it_is_in_json(folder):
    description = json.loads((folder / CONFIG).read_text())
    assert description["about"] == {"recipe": "tiny"}
    assert description["model"]["scoring"]["alpha"] == 0.3


def test_checkpoint_holds_nothing_to_unpickle(folder):
    assert sorted(os.listdir(folder)) == [CONFIG, WEIGHTS]
    for name in (CONFIG, WEIGHTS):
        with pytest.raises(pickle.UnpicklingError):
            pickle.loads((folder / name).read_bytes())  # noqa: S301 (it must fail)


def test_checkpoint_replaces_an_older_one(folder, model):
    newer = tiny_retriever(seed=5, max_frames=6)
    save_checkpoint(folder, newer)
    assert load_checkpoint(folder).clip.text_projection.equal(newer.clip.text_projection)
    assert not newer.clip.text_projection.equal(model.clip.text_projection)


@pytest.mark.parametrize("missing", [CONFIG, WEIGHTS])
def test_half_a_checkpoint_is_refused(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(FileNotFoundError, match=missing) as caught:
        load_checkpoint(folder)
    one_line(caught)


def test_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint here"):
        load_checkpoint(tmp_path / "nowhere")


@pytest.mark.parametrize("place", [0.0, 0.01, 0.5, 0.999])
def test_checkpoint_with_a_changed_byte_is_refused(folder, place):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[int(place * len(content))] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(ValueError, match=WEIGHTS) as caught:
        load_checkpoint(folder)
    one_line(caught)


@pytest.mark.parametrize("length", [0, 100, -1])
def test_checkpoint_cut_short_is_refused(folder, length):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:length])
    with pytest.raises(ValueError, match=WEIGHTS):
        load_checkpoint(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"about": {}}', '{"model": {}}', '{"model": 3}'])
def test_damaged_configuration_is_refused(folder, text):
    (folder / CONFIG).write_text(text)
    with pytest.raises(ValueError) as caught:
        load_checkpoint(folder)
    one_line(caught)


@pytest.mark.parametrize(
    "other",
    [
        {"clip": architecture(SMALL, text_cfg={"layers": 2})},
        {"clip": architecture(SMALL, text_cfg={"vocab_size": 200})},
        {"clip": architecture(SMALL, vision_cfg={"patch_size": 4})},
        {"num_temporal_layers": 2},
        {"num_frame_positions": 9},
        {"clip": WIDE},
    ],
)
def test_weights_of_another_architecture_are_refused(folder, tmp_path, other):
    save_checkpoint(tmp_path / "other", tiny_retriever(**{"max_frames": 6, **other}))
    (folder / CONFIG).write_bytes((tmp_path / "other" / CONFIG).read_bytes())
    with pytest.raises(ValueError, match="weights of another model.*git checkout -- data_samples/model") as caught:
        load_checkpoint(folder)
    one_line(caught)


def test_weights_for_a_larger_vocabulary_are_refused(folder, tmp_path):
    larger = tiny_retriever(architecture(SMALL, text_cfg={"vocab_size": 400}), max_frames=6)
    save_checkpoint(tmp_path / "larger", larger)
    (folder / CONFIG).write_bytes((tmp_path / "larger" / CONFIG).read_bytes())
    with pytest.raises(ValueError, match="weights of another model"):
        load_checkpoint(folder)


def test_features_file_in_the_place_of_weights_is_refused(folder):
    from diffret_core.tensor_files import write_tensors

    write_tensors(folder / WEIGHTS, {"frames": torch.zeros(2, 3)}, metadata={})
    with pytest.raises(ValueError, match="not one of our checkpoints"):
        load_checkpoint(folder)


def test_checkpoint_that_cannot_be_written_is_answered_with_one_line(model, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(PermissionError, match="choose another folder") as caught:
            save_checkpoint(folder, model)
        one_line(caught)


def test_fingerprint_is_that_of_the_video_encoder(model, folder):
    expected = video_encoder_fingerprint(model)
    loaded = load_checkpoint(folder)
    assert video_encoder_fingerprint(loaded) == expected
    with torch.no_grad():
        loaded.text_query_denoiser.key.weight.add_(1)
        loaded.clip.text_projection.add_(1)
        assert video_encoder_fingerprint(loaded) == expected  # no feature of a video depends on those
        loaded.temporal.positions[0, 0] += 1e-3
    assert video_encoder_fingerprint(loaded) != expected
    expected = video_encoder_fingerprint(tiny_retriever(max_frames=6))
    for change in ({"mode": "reference"}, {"normalise_frames": True}):
        assert video_encoder_fingerprint(tiny_retriever(max_frames=6, **change)) != expected


@pytest.fixture
def with_averages():
    """A model whose image tower keeps running averages, which have been running."""
    resnet = architecture(SMALL, vision_cfg={"image_size": 32, "layers": [1, 1, 1, 1], "width": 8})
    model = tiny_retriever(resnet, max_frames=6).train()
    with torch.no_grad():
        for _ in range(3):
            model.clip.visual(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)))
        for name, value in model.named_buffers():
            if name.endswith("num_batches_tracked"):
                value.fill_(2049)  # half precision would make it 2048
    return model.eval()


def test_checkpoint_brings_running_averages_and_their_counts_back(with_averages, tmp_path):
    save_checkpoint(tmp_path / "full", with_averages)
    save_checkpoint(tmp_path / "half", with_averages, dtype=torch.float16)
    full, half = load_checkpoint(tmp_path / "full"), load_checkpoint(tmp_path / "half")
    assert all(ours.equal(theirs) for ours, theirs in zip(outputs(full), outputs(with_averages), strict=True))
    for loaded in (full, half):
        counts = [value for name, value in loaded.named_buffers() if name.endswith("num_batches_tracked")]
        assert counts and all(value.dtype == torch.int64 and int(value) == 2049 for value in counts)
    torch.testing.assert_close(
        half.clip.visual.bn1.running_mean, with_averages.clip.visual.bn1.running_mean, rtol=1e-3, atol=1e-6
    )


def test_fingerprint_depends_on_running_averages(with_averages):
    before = video_encoder_fingerprint(with_averages)
    with_averages.clip.visual.bn1.running_mean[0] += 1e-3
    assert video_encoder_fingerprint(with_averages) != before


# released checkpoints


@pytest.fixture(scope="module")
def wide():
    return tiny_retriever(WIDE, mode="reference", num_noise_levels=10, **OTHER_SIZES)


@pytest.fixture
def released(wide):
    return released_state_dict(wide)


def load_saved(state, tmp_path, **options):
    torch.save(state, tmp_path / "pytorch_model.bin.4")
    return load_released_checkpoint(tmp_path / "pytorch_model.bin.4", num_noise_levels=10, **options)


def same_outputs(loaded, model):
    limits = {"max_words": model.config.max_words, "max_frames": model.config.max_frames}
    loaded.config = replace(loaded.config, scoring=model.config.scoring, **limits)
    return all(ours.equal(theirs) for ours, theirs in zip(outputs(loaded), outputs(model), strict=True))


def test_released_checkpoint_of_other_sizes_gives_identical_outputs(wide, released, tmp_path):
    loaded = load_saved(released, tmp_path)
    assert loaded.config.mode == "reference" and not loaded.training
    assert loaded.config.num_temporal_layers == 4
    assert same_outputs(loaded, wide)


def test_released_architecture_is_inferred_from_the_tensors(released, tmp_path):
    torch.save(released, tmp_path / "x.bin")
    found = infer_architecture(read_released(tmp_path / "x.bin"))
    assert found == {"clip": WIDE, "num_temporal_layers": 4, "num_frame_positions": 20}
    assert set(translate_names({"diffusion_model_v.q_proj.weight": torch.zeros(1)})) == {
        "video_query_denoiser.query.weight"
    }


def test_released_checkpoint_may_be_older_half_precision_and_hold_clips_three_numbers(wide, released, tmp_path):
    halves = {name: value.half() for name, value in released.items()}
    halves |= {f"clip.{name}": torch.tensor(7) for name in ("input_resolution", "context_length", "vocab_size")}
    torch.save(halves, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    loaded = load_released_checkpoint(tmp_path / "old.bin")
    assert all(value.dtype == torch.float32 for value in loaded.state_dict().values())
    torch.testing.assert_close(loaded.temporal.positions, wide.temporal.positions, rtol=1e-3, atol=1e-6)
    assert (loaded.config.num_noise_levels, loaded.config.schedule) == (50, "cosine")


def test_released_checkpoint_takes_levels_and_schedule_from_the_caller(released, tmp_path):
    torch.save(released, tmp_path / "x.bin")
    loaded = load_released_checkpoint(tmp_path / "x.bin", num_noise_levels=30, schedule="linear")
    assert len(loaded.alpha_bar) == 31 and loaded.config.schedule == "linear"
    with pytest.raises(ValueError, match="at least 20"):
        load_released_checkpoint(tmp_path / "x.bin", num_noise_levels=10, schedule="linear")


def as_recipe_says(released, tmp_path, mode="reference", **changes):
    torch.save(released, tmp_path / "x.bin")
    sizes = {"max_words": 9, "max_frames": 5, "num_temporal_layers": 4, "num_frame_positions": 60}
    config = ModelConfig(**{"clip": WIDE, **sizes, "num_noise_levels": 10, **changes})
    return load_released_as(tmp_path / "x.bin", config, mode=mode)


def test_released_checkpoint_takes_from_a_recipe_what_no_tensor_tells(wide, released, tmp_path):
    scoring = ScoringConfig(num_candidates=7)
    loaded = as_recipe_says(released, tmp_path, scoring=scoring, schedule="linear", num_noise_levels=30)
    config = loaded.config
    assert (config.max_words, config.max_frames, config.num_noise_levels, config.schedule) == (9, 5, 30, "linear")
    assert (config.scoring, config.mode, config.num_frame_positions) == (scoring, "reference", 20)
    assert not loaded.training
    assert same_outputs(as_recipe_says(released, tmp_path), wide)
    assert as_recipe_says(released, tmp_path, mode="default").config.mode == "default"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip": architecture(WIDE, embed_dim=512)}, r"its clip\.embed_dim is 128, the recipe's is 512"),
        (
            {"clip": architecture(WIDE, vision_cfg={"patch_size": 12})},
            r"its clip\.vision_cfg\.patch_size is 8,",
        ),
        ({"clip": architecture(WIDE, text_cfg={"layers": 12})}, r"its clip\.text_cfg\.layers is 5, the recipe's is 12"),
        ({"num_temporal_layers": 3}, "its num_temporal_layers is 4, the recipe's is 3"),
        ({"max_frames": 64, "num_frame_positions": 77}, "it has 20 frame positions, the recipe takes 64 frames"),
    ],
)
def test_released_checkpoint_of_another_recipe_is_refused(released, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        as_recipe_says(released, tmp_path, **changes)
    assert str(caught.value).startswith(str(tmp_path / "x.bin")) and "--clip" in str(caught.value)


def refused(state, tmp_path):
    with pytest.raises(ValueError) as caught:
        load_saved(state, tmp_path)
    one_line(caught)


@pytest.mark.parametrize(
    "missing",
    [
        "clip.visual.conv1.weight",
        "clip.visual.positional_embedding",
        "clip.positional_embedding",
        "clip.text_projection",
        "clip.logit_scale",
        "clip.token_embedding.weight",
        "frame_position_embeddings.weight",
        "text_weight_fc.2.bias",
        "diffusion_model.q_proj.weight",
        "diffusion_model_v.decoder.0.weight",
        "transformerClip.resblocks.3.mlp.c_fc.weight",
        "clip.transformer.resblocks.",
        "transformerClip.resblocks.",
        "diffusion_model_v.",
    ],
)
def test_released_checkpoint_without_a_tensor_is_refused(released, tmp_path, missing):
    refused({name: value for name, value in released.items() if not name.startswith(missing)}, tmp_path)


@pytest.mark.parametrize(
    "extra", ["optimizer.step", "clip.colour", "diffusion_model.colour.weight", "transformerClip.resblocks.9.ln_1.bias"]
)
def test_released_checkpoint_with_another_tensor_is_refused(released, tmp_path, extra):
    refused({**released, extra: torch.zeros(3)}, tmp_path)


SHAPES = [(), (0,), (7,), (3, 5), (1, 2, 3, 4), (0, 0)]


@pytest.mark.parametrize(
    "name",
    [
        "clip.visual.conv1.weight",
        "clip.visual.positional_embedding",
        "clip.positional_embedding",
        "clip.text_projection",
        "clip.token_embedding.weight",
        "frame_position_embeddings.weight",
        "text_weight_fc.0.weight",
        "diffusion_model_v.proj.bias",
    ],
)
def test_released_checkpoint_with_a_tensor_of_another_shape_is_refused(released, tmp_path, name):
    for shape in SHAPES:
        refused({**released, name: torch.zeros(shape)}, tmp_path)


def test_released_checkpoint_of_a_width_that_heads_do_not_divide_is_refused(tmp_path):
    narrow = architecture(SMALL, text_cfg={"width": 32})
    refused(released_state_dict(tiny_retriever(narrow)), tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        3,
        [torch.zeros(2)],
        {},
        {"a": 1},
        {1: torch.zeros(2)},
        {None: torch.zeros(2)},
        torch.zeros(2),
        {"state_dict": {"a": torch.zeros(2)}},
        {"weights": torch.zeros(2)},
    ],
)
def test_file_that_holds_no_released_state_dict_is_refused(content, tmp_path):
    refused(content, tmp_path)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello world\n",
        b"\x85\xf3",
        b"X\x05\x00\x00\x00\xe2\xa1",
        b"j\x87j@",
        b"<html></html>",
        b"PK\x03\x04garbage",
    ],
)
def test_file_of_anything_else_is_refused(raw, tmp_path):
    (tmp_path / "x.bin").write_bytes(raw)
    with pytest.raises(ValueError, match="x.bin") as caught:
        load_released_checkpoint(tmp_path / "x.bin")
    one_line(caught)


@pytest.mark.parametrize("is_zip", [True, False])
def test_released_checkpoint_cut_short_or_changed_is_refused(tmp_path, is_zip):
    torch.save({"a": torch.ones(50), "b": torch.ones(3)}, tmp_path / "x.bin", _use_new_zipfile_serialization=is_zip)
    whole = (tmp_path / "x.bin").read_bytes()
    damaged = [whole[: len(whole) * i // 40] for i in range(40)]
    damaged += [whole[:i] + bytes([whole[i] ^ 0xC1]) + whole[i + 1 :] for i in range(0, len(whole), len(whole) // 60)]
    for content in damaged:
        (tmp_path / "x.bin").write_bytes(content)
        with pytest.raises(ValueError) as caught:
            load_released_checkpoint(tmp_path / "x.bin")
        one_line(caught)


def test_released_checkpoint_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        load_released_checkpoint(tmp_path / "nowhere.bin")
    with pytest.raises(FileNotFoundError):
        load_released_checkpoint(tmp_path)


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("is_plain_pickle", [True, False])
def test_released_checkpoint_with_code_in_it_is_refused_and_not_run(released, tmp_path, is_plain_pickle):
    content = {**released, "trap": Trap(str(tmp_path / "ran"))}
    if is_plain_pickle:
        (tmp_path / "x.bin").write_bytes(pickle.dumps(content["trap"]))
    else:
        torch.save(content, tmp_path / "x.bin")
    with pytest.raises(ValueError, match="x.bin") as caught:
        load_released_checkpoint(tmp_path / "x.bin")
    one_line(caught)
    assert not (tmp_path / "ran").exists()
