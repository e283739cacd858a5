"""The towers against open_clip's own encoding, the temporal transformer against a slow one, tokens, and refusals."""

import math
import os
import socket
import threading
from types import SimpleNamespace

import open_clip
import pytest
import torch
from tiny_models import SMALL, WIDE, architecture, ragged_mask, random_tokens
from torch.nn import functional

from diffret_core.config import CLIP_MEAN, CLIP_STD
from diffret_core.encoders import (
    TemporalTransformer,
    build_clip,
    clip_architecture,
    encode_frames,
    encode_words,
    initialise_from_clip,
    load_pretrained_clip,
    tokenize,
    weights,
)

END = 49407


def random_clip(base):
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return build_clip(base).eval().requires_grad_(False)


@pytest.fixture(scope="module", params=["SMALL", "WIDE", "WIDE with GELU"])
def clip(request):
    base = {"SMALL": SMALL, "WIDE": WIDE, "WIDE with GELU": architecture(WIDE, quick_gelu=False)}[request.param]
    return random_clip(base)


@pytest.fixture(scope="module")
def wide():
    return random_clip(WIDE)


def tokens_of(clip, lengths, num_words, seed=0):
    return random_tokens(lengths, num_words, vocab_size=clip.vocab_size, seed=seed)


def test_wide_towers_have_several_heads(wide):
    assert wide.transformer.resblocks[0].attn.num_heads == 2
    assert wide.visual.transformer.resblocks[0].attn.num_heads == 3


def test_sentence_matches_open_clip(clip):
    ids, mask = tokens_of(clip, [clip.context_length, 3, 7], clip.context_length)
    _, sentence = encode_words(clip, ids, mask)
    torch.testing.assert_close(sentence, clip.encode_text(ids), rtol=0, atol=1e-5)


def test_words_match_open_clip_token_by_token(clip):
    ids, mask = tokens_of(clip, [clip.context_length, 3, 7], clip.context_length)
    words, _ = encode_words(clip, ids, mask)
    last_block = clip.forward_intermediates(text=ids, intermediates_only=True)["text_intermediates"][-1]
    expected = clip.ln_final(last_block) @ clip.text_projection
    torch.testing.assert_close(words[mask], expected[mask], rtol=0, atol=1e-5)
    assert not torch.allclose(words[~mask], expected[~mask], atol=1e-3)  # open_clip lets padding read padding


def test_text_features_do_not_depend_on_the_amount_of_padding(clip):
    ids, mask = tokens_of(clip, [5, 3], 12)
    words, sentence = encode_words(clip, ids, mask)
    shorter_words, shorter_sentence = encode_words(clip, ids[:, :5], mask[:, :5])
    torch.testing.assert_close(shorter_sentence, sentence, rtol=0, atol=1e-5)
    torch.testing.assert_close(shorter_words[mask[:, :5]], words[mask], rtol=0, atol=1e-5)


def test_padded_words_read_real_words_only_in_reference_mode(clip):
    ids, mask = tokens_of(clip, [3], 6)
    changed = ids.clone()
    changed[0, 4] = 9
    words, _ = encode_words(clip, ids, mask, mode="reference")
    changed_words, _ = encode_words(clip, changed, mask, mode="reference")
    torch.testing.assert_close(changed_words[0, 5], words[0, 5], rtol=0, atol=1e-6)
    assert not torch.allclose(changed_words[0, 4], words[0, 4], atol=1e-3)


def test_padded_words_are_read_in_reference_mode_only(clip, monkeypatch):
    lengths = []
    run = clip.transformer.forward
    monkeypatch.setattr(clip.transformer, "forward", lambda x, **given: lengths.append(x.shape[1]) or run(x, **given))
    ids, mask = tokens_of(clip, [5, 3], 12)
    words, sentence = encode_words(clip, ids, mask)
    all_words, all_sentence = encode_words(clip, ids, mask, mode="reference")
    assert lengths == [5, 12]
    torch.testing.assert_close(words[mask], all_words[mask], rtol=0, atol=1e-5)
    torch.testing.assert_close(sentence, all_sentence, rtol=0, atol=1e-5)
    assert words.shape == all_words.shape and not words[~mask].any() and bool(all_words[~mask].all(dim=1).any())


def test_words_read_no_later_word(clip):
    ids, mask = tokens_of(clip, [6], 6)
    changed = ids.clone()
    changed[0, 3] = (ids[0, 3] + 1) % 200 + 1
    words, _ = encode_words(clip, ids, mask)
    changed_words, _ = encode_words(clip, changed, mask)
    torch.testing.assert_close(changed_words[0, :3], words[0, :3], rtol=0, atol=1e-6)
    assert not torch.allclose(changed_words[0, 4], words[0, 4], atol=1e-3)


def test_texts_do_not_depend_on_one_another(wide):
    ids, mask = tokens_of(wide, [8, 3, 5], 8)
    words, _ = encode_words(wide, ids, mask)
    torch.testing.assert_close(encode_words(wide, ids[1:2], mask[1:2])[0], words[1:2], rtol=0, atol=1e-5)


def test_texts_beyond_the_context_are_refused(wide):
    ids, mask = tokens_of(wide, [21], 21)
    with pytest.raises(ValueError, match="21 tokens.*at most 20"):
        encode_words(wide, ids, mask)


def frames_of(clip, num_videos=3, num_frames=4, seed=0):
    size = clip.visual.image_size[0]
    images = torch.randn(num_videos, num_frames, 3, size, size, generator=torch.Generator().manual_seed(seed))
    mask = ragged_mask(num_videos, num_frames)
    images[~mask] = 0
    return images, mask


@pytest.mark.parametrize("mode", ["default", "reference"])
def test_frame_features_match_open_clip(clip, mode):
    images, mask = frames_of(clip)
    features = encode_frames(clip, images, mask, mode=mode)
    expected = torch.stack([clip.encode_image(video) for video in images])
    torch.testing.assert_close(features[mask], expected[mask], rtol=0, atol=1e-5)


def test_padded_frames_are_encoded_only_in_reference_mode(wide):
    images, mask = frames_of(wide)
    assert int((~mask).sum()) > 0
    assert bool((encode_frames(wide, images, mask)[~mask] == 0).all())
    reference = encode_frames(wide, images, mask, mode="reference")[~mask]
    torch.testing.assert_close(reference, wide.encode_image(images[~mask]), rtol=0, atol=1e-5)
    assert float(reference.abs().min(dim=1).values.max()) > 0


def test_padded_frames_are_never_looked_at(wide):
    images, mask = frames_of(wide)
    images[~mask] = float("nan")
    assert bool(encode_frames(wide, images, mask).isfinite().all())


def test_frame_features_let_gradients_through(wide):
    images, mask = frames_of(wide)
    images.requires_grad_()
    encode_frames(wide, images, mask).sum().backward()
    assert bool((images.grad[~mask] == 0).all()) and float(images.grad[mask].abs().sum()) > 0


def test_sampled_frames_of_a_video_without_frames_are_refused_by_name(wide):
    images, _ = frames_of(wide, num_videos=1)
    nothing = torch.zeros(1, 4, dtype=torch.bool)
    temporal = TemporalTransformer(128, 1, 6)
    with pytest.raises(ValueError, match="video 0 has no real frame"):
        temporal(encode_frames(wide, images, nothing), nothing)


def temporal_transformer(dim, num_layers=2, num_positions=6):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        temporal = TemporalTransformer(dim, num_layers, num_positions).eval().requires_grad_(False)
        for name, value in temporal.named_parameters():
            if name.endswith("bias") or "ln_" in name:
                value.add_(0.3 * torch.randn(value.shape))
    return temporal


def slow_block(block, x, num_real):
    """One pre-norm block on one video [F, D]: attention head by head over real frames, then QuickGELU layers."""
    num_slots, dim = x.shape
    weights = {name: value.double() for name, value in block.state_dict().items()}

    def norm(value, name):
        return functional.layer_norm(value, (dim,), weights[f"{name}.weight"], weights[f"{name}.bias"], eps=1e-12)

    projected = norm(x, "ln_1") @ weights["attn.in_proj_weight"].T + weights["attn.in_proj_bias"]
    query, key, value = projected.split(dim, dim=1)
    attended = torch.zeros_like(x)
    for head in range(dim // 64):
        columns = slice(64 * head, 64 * head + 64)
        for slot in range(num_slots):
            logit = torch.stack([query[slot, columns] @ key[f, columns] / math.sqrt(64) for f in range(num_real)])
            weight = (logit - logit.max()).exp() / (logit - logit.max()).exp().sum()
            attended[slot, columns] = sum(weight[f] * value[f, columns] for f in range(num_real))
    x = x + attended @ weights["attn.out_proj.weight"].T + weights["attn.out_proj.bias"]
    hidden = norm(x, "ln_2") @ weights["mlp.c_fc.weight"].T + weights["mlp.c_fc.bias"]
    hidden = hidden / (1 + torch.exp(-1.702 * hidden))
    return x + hidden @ weights["mlp.c_proj.weight"].T + weights["mlp.c_proj.bias"]


@pytest.mark.parametrize("size", [1.0, 1e-5])  # the small one tells epsilon 1e-12 from 1e-5
def test_temporal_transformer_matches_a_slow_one(size):
    temporal = temporal_transformer(128)
    if size < 1:
        temporal.positions.mul_(size)
    frames = size * torch.randn(2, 5, 128, generator=torch.Generator().manual_seed(6))
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    computed = temporal(frames, mask)
    for video, num_real in enumerate((5, 2)):
        x = frames[video].double() + temporal.positions[:5].double()
        for block in temporal.transformer.resblocks:
            x = slow_block(block, x, num_real)
        torch.testing.assert_close(computed[video].double(), frames[video].double() + x, rtol=0, atol=2e-5)


def test_temporal_transformer_does_not_read_padding():
    temporal = temporal_transformer(64)
    frames, mask = torch.randn(2, 5, 64), torch.tensor([[True] * 3 + [False] * 2] * 2)
    changed = torch.where(mask[..., None], frames, 30.0)
    expected = temporal(frames, mask)[mask]
    torch.testing.assert_close(temporal(changed, mask)[mask], expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(temporal(frames[:, :3], mask[:, :3])[mask[:, :3]], expected, rtol=0, atol=1e-5)


def test_temporal_transformer_reads_the_order_of_frames():
    temporal, mask = temporal_transformer(64), torch.ones(1, 4, dtype=torch.bool)
    temporal.positions.mul_(100)
    frames, order = torch.randn(1, 4, 64), torch.tensor([3, 1, 0, 2])
    assert not torch.allclose(temporal(frames[:, order], mask), temporal(frames, mask)[:, order], atol=1e-2)


def test_temporal_transformer_gives_padded_slots_finite_outputs():
    mask = torch.tensor([[True, False, False]])
    assert bool(temporal_transformer(64)(torch.randn(1, 3, 64), mask).isfinite().all())


def test_temporal_transformer_refuses_a_video_without_frames():
    mask = torch.tensor([[True, True], [False, False]])
    with pytest.raises(ValueError, match="video 1 has no real frame"):
        temporal_transformer(64)(torch.zeros(2, 2, 64), mask)


def test_temporal_transformer_refuses_more_frames_than_positions():
    with pytest.raises(ValueError, match="7 frames; this model has 6 positions"):
        temporal_transformer(64)(torch.zeros(1, 7, 64), torch.ones(1, 7, dtype=torch.bool))


@pytest.mark.parametrize("dim", [32, 129])
def test_temporal_transformer_refuses_a_size_that_heads_do_not_divide(dim):
    with pytest.raises(ValueError, match=f"dim is {dim}"):
        TemporalTransformer(dim, 1, 4)


def test_temporal_transformer_starts_as_the_text_transformer(wide):
    temporal = temporal_transformer(128, num_layers=4, num_positions=12)
    initialise_from_clip(temporal, wide)
    assert temporal.positions.equal(wide.positional_embedding[:12])
    for block, text_block in zip(temporal.transformer.resblocks, wide.transformer.resblocks, strict=False):
        for name, value in text_block.state_dict().items():
            assert block.state_dict()[name].equal(value)
            assert block.state_dict()[name].data_ptr() != value.data_ptr()  # a copy: CLIP is trained on its own


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [((64, 1, 4), "128 wide and features have size 64"), ((128, 6, 4), "5 blocks"), ((128, 2, 21), "20 positions")],
)
def test_temporal_transformer_that_clip_does_not_fit_is_refused(wide, sizes, complaint):
    with pytest.raises(ValueError, match=complaint):
        initialise_from_clip(TemporalTransformer(*sizes), wide)


def test_tokens_are_those_of_open_clip():
    texts = ["a red circle moves left", "Two   DOGS\n play!", "naïve café"]
    ids, mask = tokenize(texts, 20)
    assert ids.equal(open_clip.SimpleTokenizer()(texts, context_length=20))
    assert mask.sum(dim=1).tolist() == [int((row != 0).sum()) for row in ids]


def test_tokens_of_a_short_text_by_hand():
    ids, mask = tokenize(["a cat"], 6)
    assert ids.tolist() == [[49406, 320, 2368, END, 0, 0]]
    assert mask.tolist() == [[True, True, True, True, False, False]]


@pytest.mark.parametrize("max_words", [3, 8, 77])
def test_end_token_is_kept_when_the_text_is_longer(max_words):
    ids, mask = tokenize(["word " * 200], max_words)
    assert ids.shape == (1, max_words)
    assert int(ids[0, -1]) == END and bool(mask.all())


@pytest.mark.parametrize(
    "text", ["a" * 1_000_000, "cat " * 250_000, "🎈" * 250_000, "!?" * 500_000, "中" * 300_000, "&amp;" * 200_000]
)
def test_huge_text_is_cut_like_its_beginning(text):
    ids, mask = tokenize([text], 32)
    assert ids.equal(open_clip.SimpleTokenizer()([text[:20_000]], context_length=32))
    assert int(ids[0, -1]) == END and bool(mask.all())


def test_words_after_a_million_spaces_are_read():
    assert tokenize([" " * 1_000_000 + "cat"], 8)[0].equal(tokenize(["cat"], 8)[0])


@pytest.mark.parametrize("text", ["🎈🐱", "👩‍👩‍👧", "Łódź", "\ud83d broken pair", "\u202ereversed", "a\x00b"])
def test_unusual_characters_give_tokens(text):
    ids, mask = tokenize([text], 32)
    assert int(mask.sum()) > 2 and int(ids.max()) == END


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\x00", "&nbsp;"])
def test_text_without_a_word_is_refused_with_its_place(text):
    with pytest.raises(ValueError, match="text 1 is empty.*at least one word"):
        tokenize(["a cat", text], 8)


PLAIN = ["ViT-B-32", "ViT-B-32-quickgelu", "ViT-B-16", "ViT-L-14-336-quickgelu", "RN50"]


@pytest.mark.parametrize("name", PLAIN)
def test_plain_models_are_accepted(name):
    found = clip_architecture(name)
    assert found["embed_dim"] in (512, 768, 1024)
    assert bool(found.get("quick_gelu", False)) == name.endswith("quickgelu")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("coca_ViT-B-32", "caption decoder"),
        ("xlm-roberta-base-ViT-B-32", "Hugging Face"),
        ("ViT-B-16-SigLIP", "tokens are not CLIP's"),
        ("EVA02-B-16", "not part of a plain CLIP"),
    ],
)
def test_models_without_a_plain_text_tower_are_refused_with_the_reason(name, reason):
    with pytest.raises(ValueError, match=f"{name} cannot be used: .*{reason}") as caught:
        clip_architecture(name)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=reason):
        load_pretrained_clip(name, "openai")


def test_accepted_models_have_clips_own_text_configuration():
    accepted = []
    for name in open_clip.list_models():
        try:
            accepted.append(clip_architecture(name))
        except ValueError as error:
            assert name in str(error)
    assert len(accepted) > 30
    for found in accepted:
        assert set(found["text_cfg"]) == {"context_length", "vocab_size", "width", "heads", "layers"}
        assert found["text_cfg"]["vocab_size"] == 49408


@pytest.mark.parametrize("name", ["ViT-B-33", "", "vit-b-32 "])
def test_unknown_model_is_refused(name):
    with pytest.raises(ValueError, match="open_clip has no model"):
        clip_architecture(name)


@pytest.mark.parametrize(
    "changes",
    [
        {"text_cfg": {"no_causal_mask": True}},
        {"text_cfg": {"pool_type": "last"}},
        {"text_cfg": {"embed_cls": True}},
        {"text_cfg": {"proj_bias": True}},
        {"text_cfg": {"proj_type": "none"}},
        {"text_cfg": {"hf_model_name": "roberta-base"}},
    ],
)
def test_architecture_that_is_not_plain_is_refused(changes):
    with pytest.raises(ValueError, match="cannot be used"):
        build_clip(architecture(SMALL, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"text_cfg": {"colour": 1}},
        {"vision_cfg": {"colour": 1}},
        {"text_cfg": {"heads": 3}},
        {"vision_cfg": {"patch_size": 0}},
        {"vision_cfg": {"width": 32}},
        {"text_cfg": {"width": -1}},
    ],
)
def test_architecture_that_cannot_be_built_is_refused(changes):
    with pytest.raises(ValueError, match="open_clip cannot build this architecture"):
        build_clip(architecture(SMALL, **changes))


def test_weights_of_the_other_activation_are_refused_with_the_right_name():
    with pytest.raises(ValueError, match="'openai' were trained with the other activation; use ViT-B-32-quickgelu"):
        load_pretrained_clip("ViT-B-32", "openai")


@pytest.fixture
def nothing_kept(monkeypatch, tmp_path):
    """As where nothing was downloaded before; whoever tries to download fails the test."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(open_clip, "create_model", lambda *_, **__: pytest.fail("tried to download"))


WEIGHTS = [("ViT-B-32-quickgelu", "openai"), ("ViT-B-32", "laion2b_s34b_b79k")]


@pytest.mark.parametrize(("name", "tag"), WEIGHTS)
def test_weights_that_cannot_be_fetched_are_one_clear_line(nothing_kept, monkeypatch, name, tag):
    def unreachable(*_, **__):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    with pytest.raises(ValueError, match=f"{name}: weights '{tag}' could not be loaded .* gave no answer") as caught:
        load_pretrained_clip(name, tag)
    assert "\n" not in str(caught.value) and "huggingface.co" in str(caught.value)
    assert "give a weight file of this model" in str(caught.value)


def test_models_that_see_other_pictures_are_refused():
    assert weights.image_colours("ViT-B-32-quickgelu", "openai") == (CLIP_MEAN, CLIP_STD)
    assert weights.image_colours("ViT-B-32-quickgelu", "/a/file.pt") == (CLIP_MEAN, CLIP_STD)
    with pytest.raises(ValueError, match="resized by 'squash', not cropped"):
        weights.image_colours("ViT-H-14-quickgelu", "dfn5b")


def test_network_that_never_answers_is_given_up(nothing_kept, monkeypatch):
    """Where packets are dropped, looking up a name alone can take many seconds, and heeds no time limit."""
    asked, never = threading.Event(), threading.Event()

    def silent(*_, **__):
        asked.set()
        never.wait(30)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    monkeypatch.setattr(weights, "ANSWER_SECONDS", 0.2)
    with pytest.raises(ValueError, match="gave no answer within 0.2 s"):
        load_pretrained_clip("ViT-B-32-quickgelu", "openai")
    assert asked.is_set()
    never.set()


@pytest.mark.parametrize(("name", "tag"), WEIGHTS)
def test_size_of_weights_is_said_before_they_are_downloaded(nothing_kept, monkeypatch, name, tag):
    said = []

    def download(*_, **__):
        assert len(said) == 1
        raise RuntimeError("the network went away")

    monkeypatch.setattr(open_clip, "create_model", download)
    monkeypatch.setattr(weights, "get_hf_file_metadata", lambda url, **_: SimpleNamespace(size=605_143_284))
    with pytest.raises(ValueError, match="the network went away"):
        load_pretrained_clip(name, tag, announce=said.append)
    start = f"downloading the weights '{tag}' of {name} once: 605 MB from https://huggingface.co/"
    assert said[0].startswith(start) and said[0].endswith("/open_clip_model.safetensors")


def test_weights_that_are_kept_are_used_without_asking_the_network(nothing_kept, monkeypatch, tmp_path):
    from huggingface_hub import constants

    snapshot = tmp_path / "models--timm--vit_base_patch32_clip_224.openai" / "snapshots" / "a1"
    snapshot.mkdir(parents=True)
    (snapshot / "open_clip_model.safetensors").touch()
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("a1")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))
    made = random_clip(SMALL)

    def create(*_, **__):
        assert constants.HF_HUB_OFFLINE  # the hub's client would ask whether the file has changed
        return made

    monkeypatch.setattr(open_clip, "create_model", create)
    assert load_pretrained_clip("ViT-B-32-quickgelu", "openai", announce=pytest.fail) is made
    assert not constants.HF_HUB_OFFLINE


@pytest.fixture(scope="module")
def registered_small():
    """SMALL as a model that open_clip knows by name, without weight tags."""
    import json
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "diffret-test-small.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(SMALL, file)
        open_clip.add_model_config(path)
    return "diffret-test-small"


def test_weights_from_a_file_are_loaded_in_float32(registered_small, tmp_path):
    saved = random_clip(SMALL)
    torch.save(saved.state_dict(), tmp_path / "small.pt")
    loaded = load_pretrained_clip(registered_small, str(tmp_path / "small.pt"))
    for name, value in saved.state_dict().items():
        assert loaded.state_dict()[name].equal(value) and value.dtype == torch.float32


def test_weight_file_of_another_model_is_refused(registered_small, tmp_path):
    torch.save(random_clip(WIDE).state_dict(), tmp_path / "wide.pt")
    with pytest.raises(ValueError, match="could not be loaded") as caught:
        load_pretrained_clip(registered_small, str(tmp_path / "wide.pt"))
    assert "\n" not in str(caught.value)


def test_missing_weight_file_or_tag_is_refused(registered_small):
    for pretrained in ("no-such-tag", "/nowhere/weights.pt"):
        with pytest.raises(ValueError, match=f"weights '{pretrained}' could not be loaded"):
            load_pretrained_clip(registered_small, pretrained)


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_weight_file_with_code_in_it_is_refused_and_not_run(registered_small, tmp_path):
    torch.save({"positional_embedding": Trap(str(tmp_path / "ran"))}, tmp_path / "trap.pt")
    with pytest.raises(ValueError, match="could not be loaded"):
        load_pretrained_clip(registered_small, str(tmp_path / "trap.pt"))
    assert not (tmp_path / "ran").exists()
