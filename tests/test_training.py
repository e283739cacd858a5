"""Both stages on tiny problems: the loop, exact resume, what each stage may change, and that losses fall."""

import math

import pytest
import torch
from tiny_models import architecture, random_features, random_tokens, tiny_retriever
from torch import nn

from diffret_core.candidates import training_candidates
from diffret_core.config import ContrastiveConfig, GenerationConfig
from diffret_core.denoiser import pool_frames
from diffret_core.losses import contrastive_loss, generation_loss
from diffret_core.tensor_files import read_tensors, write_tensors
from diffret_core.training import generation
from diffret_core.training.contrastive import (
    _views_of_step,
    contrastive_trainer,
    sentence_similarity,
    zero_unseen_words,
)
from diffret_core.training.generation import generation_trainer, mining_similarity, start_from_stage1
from diffret_core.training.pairs import TrainingPairs, pairs_of_step
from diffret_core.training.trainer import ParameterGroup, Trainer, learning_rate_fraction
from diffret_core.training.views import shifted

STAGE_1 = {"batch_size": 4, "clip_learning_rate": 1e-3, "new_learning_rate": 1e-3}
STAGE_2 = {"batch_size": 8, "num_candidates": 3, "negative_pool": 4, "learning_rate": 1e-3}


# the loop


def line_trainer(num_steps=10, *, start=3.0, loss_of=None, weight_decay=0.0, max_gradient_norm=1e9, rate=0.1):
    weight = nn.Parameter(torch.full((2, 2), start))
    loss = loss_of or (lambda value, step: (value - step % 3).square().sum())
    group = ParameterGroup({"weight": weight}, rate, weight_decay)
    options = {"num_steps": num_steps, "warmup_fraction": 0.2, "max_gradient_norm": max_gradient_norm}
    return Trainer([group], lambda step: loss(weight, step), **options), weight


def test_trainer_matches_plain_adamw():
    trainer, weight = line_trainer(weight_decay=0.2, max_gradient_norm=0.5)
    plain = nn.Parameter(torch.full((2, 2), 3.0))
    optimizer = torch.optim.AdamW([plain], lr=0.1, weight_decay=0.2)
    for step, done in enumerate(trainer.steps()):
        optimizer.param_groups[0]["lr"] = 0.1 * learning_rate_fraction(step, 10, 0.2)
        optimizer.zero_grad()
        loss = (plain - step % 3).square().sum()
        loss.backward()
        nn.utils.clip_grad_norm_([plain], 0.5)
        optimizer.step()
        assert done.step == step + 1 and done.loss == pytest.approx(float(loss.detach()))
        torch.testing.assert_close(weight.detach(), plain.detach())
    assert trainer.num_done == 10 and list(trainer.steps()) == []


def test_weight_decay_acts_on_matrices_only():
    matrix, vector = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    group = ParameterGroup({"matrix": matrix, "vector": vector}, 0.1, 0.5)
    trainer = Trainer(
        [group], lambda _: 0 * (matrix.sum() + vector.sum()), num_steps=1, warmup_fraction=0.0, max_gradient_norm=1.0
    )
    list(trainer.steps())
    assert float(matrix.detach()[0, 0]) == pytest.approx(0.95) and vector.tolist() == [1, 1]


def test_learning_rate_rises_straight_then_falls_as_a_cosine():
    rates = [learning_rate_fraction(step, 100, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11) and rates[9] == pytest.approx(10 / 11) and rates[10] == 1
    assert rates[55] == pytest.approx(0.5) and 0 < rates[99] < 0.001
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert learning_rate_fraction(0, 10, 0.0) == 1
    assert rates[10 + 30] == pytest.approx((1 + math.cos(math.pi / 3)) / 2)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_trainer_stops_before_a_loss_that_is_no_number_harms_the_weights(bad):
    trainer, weight = line_trainer(loss_of=lambda value, step: value.sum() * (bad if step == 3 else 1.0))
    steps = trainer.steps()
    for _ in range(3):
        next(steps)
    before = weight.detach().clone()
    with pytest.raises(ValueError, match=f"the loss became {bad} in step 4; lower the learning rate"):
        next(steps)
    assert weight.detach().equal(before) and trainer.num_done == 3


def test_trainer_stops_before_a_gradient_that_is_no_number_harms_the_weights():
    # sqrt has loss 0 and slope infinity at 0
    trainer, weight = line_trainer(start=0.0, loss_of=lambda value, step: value.sqrt().sum())
    with pytest.raises(ValueError):
        list(trainer.steps())
    assert bool(weight.detach().isfinite().all())


def test_state_is_where_it_was_taken_whatever_happens_later():
    trainer, weight = line_trainer()
    steps = trainer.steps()
    next(steps)
    state, before = trainer.state(), weight.detach().clone()
    next(steps)
    trainer.restore(state)
    assert trainer.num_done == 1 and weight.detach().equal(before)
    list(trainer.steps())
    trainer.restore(state)
    assert trainer.num_done == 1 and weight.detach().equal(before)


def test_state_of_another_model_is_refused_and_changes_nothing():
    trainer, weight = line_trainer()
    other = {"weight.other": torch.zeros(2, 2), "num_done": torch.tensor(3)}
    for state in (other, {**trainer.state(), "weight.weight": torch.zeros(3, 3)}, {}):
        with pytest.raises(ValueError, match="does not fit"):
            trainer.restore(state)
    assert weight.tolist() == [[3, 3], [3, 3]] and trainer.num_done == 0


@pytest.mark.parametrize("missing", ["num_done", "optimizer.0.exp_avg"])
def test_incomplete_state_is_refused(missing):
    trainer, _ = line_trainer()
    next(trainer.steps())
    with pytest.raises(ValueError):
        line_trainer()[0].restore({name: value for name, value in trainer.state().items() if name != missing})


# stage 1


def pairs_of(num_videos=6, captions_each=1, seed=0, side=16):
    """Videos of one brightness per place in the list; captions name the place."""
    draw = torch.Generator().manual_seed(seed)
    num_texts = num_videos * captions_each
    images = torch.randint(0, 255, (num_videos, 3, 3, side, side), generator=draw, dtype=torch.uint8)
    frame_mask = torch.arange(3)[None] < 1 + torch.arange(num_videos)[:, None] % 3
    ids, word_mask = random_tokens([4 + i % 3 for i in range(num_texts)], 8, seed=seed)
    return TrainingPairs(images, frame_mask, ids, word_mask, torch.arange(num_texts) % num_videos)


def normalise(images):
    return images.float() / 127.5 - 1


def first_stage(model, num_steps=4, *, pairs=None, seed=0, **changes):
    config = ContrastiveConfig(num_steps=num_steps, **{**STAGE_1, **changes})
    return contrastive_trainer(model, pairs or pairs_of(), config, normalise, seed=seed)


def snapshot(model):
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def changed_names(before, model):
    return {name for name, value in model.named_parameters() if not value.detach().equal(before[name])}


def test_first_stage_changes_everything_but_the_denoisers():
    model = tiny_retriever()
    before = snapshot(model)
    list(first_stage(model, 1).steps())
    assert not any("denoiser" in name for name in changed_names(before, model))
    # a bias that shifts every logit of a softmax alike has no slope
    same = {"interaction.word_score.2.bias", "interaction.frame_score.2.bias"}
    assert {name for name in before if "denoiser" not in name} - same <= changed_names(before, model) | same
    assert "clip.logit_scale" in changed_names(before, model)


def test_first_stage_has_a_learning_rate_for_clip_and_one_for_new_layers():
    model = tiny_retriever()
    before = snapshot(model)
    list(first_stage(model, 1, clip_learning_rate=1e-12, new_learning_rate=1e-2, weight_decay=0.0).steps())
    moved = {name: float((value.detach() - before[name]).abs().max()) for name, value in model.named_parameters()}
    assert max(distance for name, distance in moved.items() if name.startswith("clip.")) < 1e-8
    assert moved["temporal.positions"] > 1e-3 and moved["interaction.word_score.0.weight"] > 1e-3


def test_first_stage_learns_a_tiny_problem():
    losses = [step.loss for step in first_stage(tiny_retriever(), 40, batch_size=6).steps()]
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])


def test_first_stage_resumes_exactly(tmp_path):
    whole = tiny_retriever()
    expected = [step.loss for step in first_stage(whole, 6).steps()]
    interrupted = first_stage(tiny_retriever(), 6)
    steps = interrupted.steps()
    losses = [next(steps).loss for _ in range(3)]
    write_tensors(tmp_path / "state", interrupted.state(), metadata={})
    resumed_model = tiny_retriever(seed=9)
    resumed_model.load_state_dict(
        {**resumed_model.state_dict(), **{n: v for n, v in whole.state_dict().items() if "denoiser" in n}}
    )
    resumed = first_stage(resumed_model, 6)
    resumed.restore(read_tensors(tmp_path / "state")[0])
    assert resumed.num_done == 3
    assert losses + [step.loss for step in resumed.steps()] == expected
    assert changed_names(snapshot(whole), resumed_model) == set()


def test_first_stage_depends_on_its_seed_alone():
    def losses(seed):
        torch.randn(seed + 1)
        return [step.loss for step in first_stage(tiny_retriever(), 3, seed=seed).steps()]

    assert losses(0) == losses(0) != losses(1)


def test_first_stage_sees_every_pair_once_an_epoch():
    for epoch in range(3):
        seen = torch.cat([pairs_of_step(3 * epoch + batch, 12, 4, 0) for batch in range(3)])
        assert sorted(seen.tolist()) == list(range(12))
    assert not pairs_of_step(0, 12, 4, 0).equal(pairs_of_step(3, 12, 4, 0))
    assert len(set(torch.cat([pairs_of_step(batch, 14, 4, 0) for batch in range(3)]).tolist())) == 12


def first_loss(pairs, mode="default"):
    return next(first_stage(tiny_retriever(mode=mode), 1, pairs=pairs).steps()).loss


def test_first_stage_does_not_count_captions_of_one_video_as_negatives():
    pairs = pairs_of(num_videos=4)
    one_video = pairs._replace(video_of_text=torch.zeros(4, dtype=torch.long))
    assert first_loss(one_video) == pytest.approx(0, abs=1e-6)  # nothing else to tell it from
    assert first_loss(pairs) > 0.1


def test_first_stage_does_not_count_equal_captions_of_two_videos_as_negatives():
    pairs = pairs_of(num_videos=4)
    alike = pairs._replace(word_ids=pairs.word_ids[:1].expand(4, -1), word_mask=pairs.word_mask[:1].expand(4, -1))
    assert first_loss(alike) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("mode", ["default", "reference"])
def test_first_stage_never_sees_what_stands_in_padding(mode):
    pairs = pairs_of()
    images = pairs.images.clone()
    images[~pairs.frame_mask] = 200
    assert first_loss(pairs._replace(images=images), mode) == pytest.approx(first_loss(pairs, mode), abs=1e-6)


def test_padded_frames_are_zeros_after_normalising():
    model, seen = tiny_retriever(mode="reference"), []
    model.clip.visual.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    pairs = pairs_of()
    next(first_stage(model, 1, pairs=pairs, batch_size=6).steps())
    num_padded = int((~pairs.frame_mask).sum())
    assert int((seen[0].flatten(1) == 0).all(dim=1).sum()) == num_padded > 0


# stage 1: the second loss and the views of a step


@pytest.mark.parametrize("mode", ["default", "reference"])
def test_sentence_similarity_is_the_cosine_of_a_sentence_and_what_it_pools(mode):
    texts, videos = random_features(5, 4)
    texts = texts._replace(sentence=texts.sentence / 4)  # so that no single slot takes all the attention
    expected = torch.empty(5, 4)
    for t in range(5):
        for v in range(4):
            sentence = texts.sentence[t]
            pooled = pool_frames(sentence, videos.frames[v], videos.frame_mask[v], mode=mode)
            expected[t, v] = sentence @ pooled / sentence.norm() / pooled.norm()
    torch.testing.assert_close(sentence_similarity(texts, videos, mode=mode), expected)


def loss_of_first_step(model, **changes):
    return next(first_stage(model, 1, **changes).steps()).loss


def losses_of_first_batch(model, pairs, mode):
    """Both contrastive losses of the first batch, encoded as it is."""
    texts = pairs_of_step(0, len(pairs.word_ids), 4, 0)
    videos = pairs.video_of_text[texts]
    frame_mask = pairs.frame_mask[videos]
    images = normalise(pairs.images[videos]) * frame_mask[..., None, None, None]
    with torch.no_grad():
        text_features = model.encode_tokens(pairs.word_ids[texts], pairs.word_mask[texts])
        video_features = model.encode_videos(images, frame_mask)
        plain = contrastive_loss(model.similarity(text_features, video_features), model.logit_scale)
        by_sentence = sentence_similarity(text_features, video_features, mode=mode)
        return float(plain), float(contrastive_loss(by_sentence, model.logit_scale))


@pytest.mark.parametrize("mode", ["default", "reference"])
@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_first_stage_adds_the_sentence_loss_by_its_weight(mode, weight):
    plain, by_sentence = losses_of_first_batch(tiny_retriever(mode=mode), pairs_of(), mode)
    found = loss_of_first_step(tiny_retriever(mode=mode), sentence_weight=weight, max_shift=0, frame_share=1.0)
    assert found == pytest.approx(plain + weight * by_sentence, abs=1e-5)
    assert by_sentence > 0.1
    if weight == 0:
        assert found == loss_of_first_step(tiny_retriever(mode=mode))  # so are the settings if none are given


def test_sentence_loss_does_not_count_captions_of_one_video_as_negatives():
    one_video = pairs_of(num_videos=4)._replace(video_of_text=torch.zeros(4, dtype=torch.long))
    assert loss_of_first_step(tiny_retriever(), pairs=one_video, sentence_weight=1.0) == pytest.approx(0, abs=1e-6)


def views(step=0, *, frame_mask=None, seed=0, **changes):
    config = ContrastiveConfig(num_steps=1, **{**STAGE_1, **changes})
    return _views_of_step(step, MANY_FRAMES if frame_mask is None else frame_mask, config, seed)


# 300 videos of 1 to 12 real frames, which stand anywhere
MANY_FRAMES = torch.rand(300, 12, generator=torch.Generator().manual_seed(0)).argsort(dim=1) < (
    1 + torch.arange(300)[:, None] % 12
)


@pytest.mark.parametrize(
    ("share", "kept_of"),
    [
        (0.6, [0, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6, 7, 8]),
        (0.5, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]),
        (0.01, [0] + [1] * 12),
        (1.0, list(range(13))),
    ],
)
def test_step_looks_at_a_share_of_the_real_frames_of_each_video(share, kept_of):
    looked_at, _ = views(frame_share=share)
    assert not bool((looked_at & ~MANY_FRAMES).any())
    num_real = MANY_FRAMES.sum(dim=1)
    assert looked_at.sum(dim=1).equal(torch.tensor(kept_of)[num_real])
    if share == 1:
        assert looked_at.equal(MANY_FRAMES)


def test_step_looks_at_every_frame_equally_often():
    seen = sum(views(step, frame_share=0.5)[0][MANY_FRAMES.all(dim=1)].sum(dim=0) for step in range(40))
    # each of 12 frames of 25 videos in 40 steps: 500 of 1,000 times
    assert bool(((seen - 500).abs() < 80).all())


def test_views_depend_on_the_step_and_the_seed_alone():
    settings = {"frame_share": 0.5, "max_shift": 3}
    first, again = views(4, **settings), views(4, **settings)
    assert all(ours.equal(theirs) for ours, theirs in zip(first, again, strict=True))
    for other in (views(5, **settings), views(4, seed=1, **settings)):
        assert not any(ours.equal(theirs) for ours, theirs in zip(first, other, strict=True))


@pytest.mark.parametrize("most", [0, 1, 4])
def test_step_moves_videos_by_every_number_of_pixels_up_to_the_most(most):
    _, shift = views(max_shift=most)
    assert shift.shape == (300, 2)
    for direction in shift.T:
        assert set(direction.tolist()) == set(range(-most, most + 1))
    if most:
        assert not shift[:, 0].equal(shift[:, 1])


def test_first_stage_encodes_the_views_of_its_step():
    model, seen = tiny_retriever(), []
    encode = model.encode_videos

    def watching(images, frame_mask):
        seen.append((images, frame_mask))
        return encode(images, frame_mask)

    model.encode_videos = watching
    pairs, settings = pairs_of(), {"max_shift": 3, "frame_share": 0.5, "batch_size": 6}
    list(first_stage(model, 2, pairs=pairs, **settings).steps())
    for step, (images, frame_mask) in enumerate(seen):
        videos = pairs.video_of_text[pairs_of_step(step, 6, 6, 0)]
        looked_at, shift = views(step, frame_mask=pairs.frame_mask[videos], **settings)
        assert bool(shift.any()) and frame_mask.equal(looked_at)
        assert images[frame_mask].equal(normalise(shifted(pairs.images[videos], shift))[frame_mask])
        assert bool((images[~frame_mask] == 0).all())


def test_first_stage_with_all_options_resumes_exactly():
    settings = {"sentence_weight": 0.5, "max_shift": 2, "frame_share": 0.6}
    whole = [step.loss for step in first_stage(tiny_retriever(), 3, **settings).steps()]
    interrupted = first_stage(tiny_retriever(), 3, **settings)
    next(interrupted.steps())
    resumed = first_stage(tiny_retriever(), 3, **settings)
    resumed.restore(interrupted.state())
    assert [step.loss for step in resumed.steps()] == whole[1:]


# stage 1: an image tower with batch normalisation, whose running averages are no parameters

RESNET = architecture(vision_cfg={"image_size": 32, "layers": [1, 1, 1, 1], "width": 8})


def averages(model):
    return {name: value.clone() for name, value in model.named_buffers() if "running" in name or "num_batches" in name}


def test_first_stage_resumes_running_averages_exactly():
    settings = {"pairs": pairs_of(side=32), "num_steps": 3}
    whole = tiny_retriever(RESNET).train()
    list(first_stage(whole, **settings).steps())
    interrupted = first_stage(tiny_retriever(RESNET).train(), **settings)
    next(interrupted.steps())
    state = interrupted.state()
    list(interrupted.steps())  # what happens later does not change what was taken
    resumed_model = tiny_retriever(RESNET, seed=9).train()
    resumed = first_stage(resumed_model, **settings)
    resumed.restore(state)
    list(resumed.steps())
    expected, start = averages(whole), averages(tiny_retriever(RESNET))
    for name, value in averages(resumed_model).items():
        assert value.equal(expected[name]) and not value.equal(start[name]), name
    assert len(expected) > 10


def test_state_without_its_running_averages_is_refused_and_changes_nothing():
    trainer = first_stage(tiny_retriever(RESNET).train(), pairs=pairs_of(side=32))
    kept = {name: value for name, value in trainer.state().items() if not name.endswith("running_var")}
    model = tiny_retriever(RESNET, seed=9).train()
    before = snapshot(model)
    with pytest.raises(ValueError, match="does not fit"):
        first_stage(model, pairs=pairs_of(side=32)).restore(kept)
    assert changed_names(before, model) == set()


def test_padding_does_not_move_running_averages():
    pairs, found = pairs_of(side=32), []
    longer = pairs._replace(
        images=torch.cat([pairs.images, torch.zeros_like(pairs.images[:, :1])], dim=1),
        frame_mask=torch.cat([pairs.frame_mask, torch.zeros_like(pairs.frame_mask[:, :1])], dim=1),
    )
    for one in (pairs, longer):
        model = tiny_retriever(RESNET).train()
        list(first_stage(model, 1, pairs=one).steps())
        found.append(averages(model))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value)


def test_first_stage_refuses_fewer_pairs_than_a_batch():
    with pytest.raises(ValueError, match="6 pairs cannot fill a batch of 7"):
        first_stage(tiny_retriever(), batch_size=7)


def test_unseen_words_become_zero_and_seen_ones_stay():
    model = tiny_retriever()
    before = model.clip.token_embedding.weight.detach().clone()
    ids = torch.tensor([[298, 5, 7, 299, 0, 0], [298, 5, 299, 0, 0, 0]])
    assert zero_unseen_words(model, ids) in (4, 5)  # with or without the id that also pads
    after = model.clip.token_embedding.weight.detach()
    seen = [5, 7, 298, 299]
    assert after[seen].equal(before[seen])
    unseen = [row for row in range(1, 300) if row not in seen]
    assert bool((after[unseen] == 0).all())


# stage 2


def test_state_of_a_stage_holds_its_own_weights_only():
    model = tiny_retriever()
    names = {f"weight.{name}" for name, _ in model.named_parameters()}
    of_denoisers = {name for name in names if "denoiser" in name}
    assert set(first_stage(model).state()) == names - of_denoisers | {"num_done"}
    assert set(second_stage(model).state()) == of_denoisers | {"num_done"}


def second_stage(model, num_steps=4, *, seed=0, num_texts=8, views=None, video_of_text=None, wording=None, **changes):
    texts, videos = random_features(num_texts, 6)
    return generation_trainer(
        model,
        texts,
        [videos] if views is None else views,
        torch.arange(num_texts) % 6 if video_of_text is None else video_of_text,
        GenerationConfig(num_steps=num_steps, **{**STAGE_2, **changes}),
        wording=torch.arange(num_texts) if wording is None else wording,
        seed=seed,
    )


def test_second_stage_changes_both_denoisers_and_nothing_else():
    model = tiny_retriever()
    before = snapshot(model)
    list(second_stage(model, 1).steps())
    # the same shift of every estimate changes no softmax
    same = {f"{side}_query_denoiser.decoder.2.bias" for side in ("text", "video")}
    assert changed_names(before, model) | same == {name for name in before if "denoiser" in name}
    assert all(value.grad is None for name, value in model.named_parameters() if "denoiser" not in name)


def test_second_stage_learns_a_tiny_problem():
    model = tiny_retriever()
    losses = [step.loss for step in second_stage(model, 60, learning_rate=3e-3, loss_scale=20.0).steps()]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_second_stage_resumes_exactly(tmp_path):
    whole = tiny_retriever()
    expected = [step.loss for step in second_stage(whole, 6).steps()]
    interrupted = second_stage(tiny_retriever(), 6)
    steps = interrupted.steps()
    losses = [next(steps).loss for _ in range(2)]
    write_tensors(tmp_path / "state", interrupted.state(), metadata={})
    resumed_model = tiny_retriever()
    resumed = second_stage(resumed_model, 6)
    resumed.restore(read_tensors(tmp_path / "state")[0])
    assert losses + [step.loss for step in resumed.steps()] == expected
    assert changed_names(snapshot(whole), resumed_model) == set()


def test_second_stage_depends_on_its_seed_alone():
    def losses(seed):
        torch.randn(seed + 1)
        return [step.loss for step in second_stage(tiny_retriever(), 3, seed=seed).steps()]

    assert losses(0) == losses(0) != losses(1)


def test_views_that_are_all_alike_change_nothing():
    videos = random_features(8, 6)[1]
    alone, thrice = (
        [step.loss for step in second_stage(tiny_retriever(), 3, views=[videos] * count).steps()] for count in (1, 3)
    )
    assert thrice == pytest.approx(alone, abs=1e-5)


def test_second_stage_sees_each_video_in_each_view_and_chooses_candidates_by_the_first(monkeypatch):
    videos, other = (random_features(8, 6, seed=seed)[1] for seed in (0, 1))
    alone, seen = (watched_items(tiny_retriever(), monkeypatch, views=views) for views in ([videos], [videos, other]))
    for direction, position in (("text_to_video", 1), ("video_to_text", 0)):
        rows = seen[direction][position]
        assert (rows % 6).equal(alone[direction][position])  # the same videos, whatever the view
        steps = rows.view(8, -1)
        assert any(len((step // 6).unique()) == 2 for step in steps)  # a step has not the same view of all videos,
        for step in steps:
            assert len(step.unique()) == len((step % 6).unique())  # but only one of each
        assert seen[direction][1 - position].equal(alone[direction][1 - position])


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_second_stage_draws_negatives_from_the_similarity_of_the_chosen_captions(monkeypatch, precision):
    seen = []

    def watched(similarity, positive, same, **settings):
        seen.append(similarity)
        return training_candidates(similarity, positive, same, **settings)

    monkeypatch.setattr(generation, "training_candidates", watched)
    model = tiny_retriever()
    texts, videos = random_features(6, 6)  # a caption for each video: all are chosen, in their order
    list(second_stage(model, 1, num_texts=6, batch_size=5, mining_precision=precision).steps())
    whole = model.similarity(texts, videos).detach().to(getattr(torch, precision))
    for rows, all_rows in zip(seen, (whole, whole.T), strict=True):
        assert rows.dtype == whole.dtype and rows.shape == (5, 6)
        assert all(any(row.equal(one) for one in all_rows) for row in rows)


def features_of_size(text_size, video_size):
    """Features whose every sentence and every frame has the same norm; D = 64."""
    texts, videos = random_features(6, 6)
    sentence, frames = (torch.nn.functional.normalize(one, dim=-1) for one in (texts.sentence, videos.frames))
    return texts._replace(sentence=text_size * sentence), videos._replace(frames=video_size * frames)


@pytest.mark.parametrize("is_normalised", [False, True])
@pytest.mark.parametrize("sizes", [(1.0, 1.0), (8.0, 8.0), (50.0, 0.2)])
def test_attention_starts_as_the_scaled_cosine_whatever_the_size_of_features(sizes, is_normalised):
    model = tiny_retriever(normalise_for_denoiser=is_normalised)
    texts, videos = features_of_size(*sizes)
    start_from_stage1(model, texts, videos)
    read = (8.0, 8.0) if is_normalised else sizes  # what the denoisers get to read
    sentence, frame = features_of_size(*read)[0].sentence[0], features_of_size(*read)[1].frames[0, 0]
    expected = float(model.logit_scale.detach() * (sentence @ frame / sentence.norm() / frame.norm()))
    with torch.no_grad():
        of_text = model.text_query_denoiser.query(sentence) @ model.text_query_denoiser.key(frame)
        of_video = model.video_query_denoiser.query(frame) @ model.video_query_denoiser.key(sentence)
    assert float(of_text) == pytest.approx(expected, rel=1e-4)
    assert float(of_video) == pytest.approx(expected, rel=1e-4)


def test_start_of_stage_2_undoes_the_size_of_candidates_and_changes_denoisers_only():
    found = []
    for text_size, video_size in ((8.0, 8.0), (16.0, 40.0)):
        model = tiny_retriever()
        before = snapshot(model)
        start_from_stage1(model, *features_of_size(text_size, video_size))
        read_features = {f"{part}.weight" for part in ("query", "key", "value", "decoder.0")}
        assert changed_names(before, model) <= {
            f"{side}_query_denoiser.{part}" for side in ("text", "video") for part in read_features
        }
        found.append(model)
    first, second = found
    for side, factor in (("text", 5.0), ("video", 2.0)):  # a text chooses among videos, a video among texts
        one, other = (getattr(model, f"{side}_query_denoiser") for model in (first, second))
        torch.testing.assert_close(factor * other.value.weight, one.value.weight)
        torch.testing.assert_close(other.decoder[0].weight[:, :64], one.decoder[0].weight[:, :64])
        torch.testing.assert_close(factor * other.decoder[0].weight[:, 64:], one.decoder[0].weight[:, 64:])


def test_padded_frames_do_not_count_for_the_size_of_features():
    starts = []
    for padding in (0.0, 1000.0):
        model = tiny_retriever()
        texts, videos = features_of_size(8.0, 8.0)
        start_from_stage1(
            model, texts, videos._replace(frames=videos.frames.where(videos.frame_mask[..., None], padding))
        )
        starts.append(model.text_query_denoiser.key.weight.detach())
    assert starts[0].equal(starts[1])


def watched_items(model, monkeypatch, **changes):
    """Queries and items of every batch, by direction."""
    seen = {"text_to_video": [], "video_to_text": []}
    bind = generation.bind_shared

    def watching(model, direction, texts, videos, *, queries, items):
        seen[direction].append((queries, items))
        return bind(model, direction, texts, videos, queries=queries, items=items)

    monkeypatch.setattr(generation, "bind_shared", watching)
    list(second_stage(model, 8, **changes).steps())
    return {side: [torch.cat(column) for column in zip(*batches, strict=True)] for side, batches in seen.items()}


def test_second_stage_puts_the_match_first_and_no_match_behind(monkeypatch):
    video_of_text = torch.arange(8) % 6
    seen = watched_items(tiny_retriever(), monkeypatch)
    texts, videos = seen["text_to_video"]
    assert videos[:, 0].equal(video_of_text[texts])
    assert not bool((videos[:, 1:] == videos[:, :1]).any())
    assert set(texts.tolist()) == set(range(8))  # every caption asks at some time
    videos, texts = seen["video_to_text"]
    assert video_of_text[texts[:, 0]].equal(videos)
    assert not bool((video_of_text[texts[:, 1:]] == videos[:, None]).any())
    assert set(texts[:, 0].tolist()) == set(range(8))


def test_second_stage_never_takes_equal_captions_as_negatives(monkeypatch):
    wording = torch.tensor([0, 1, 2, 0, 4, 5])  # texts 0 and 3 say the same of videos 0 and 3
    seen = watched_items(tiny_retriever(), monkeypatch, num_texts=6, wording=wording)
    for queries, items in seen.values():
        assert not bool((wording[items[:, 1:]] == wording[queries][:, None]).any())


def test_second_stage_takes_the_hardest_when_the_pool_is_as_small_as_that(monkeypatch):
    model = tiny_retriever()
    seen = watched_items(model, monkeypatch, num_texts=6, negative_pool=2)
    texts, videos = random_features(6, 6)
    with torch.no_grad():
        similarity = model.similarity(texts, videos).fill_diagonal_(-9)
    queries, items = seen["text_to_video"]
    assert items[:, 1:].sort(dim=1).values.equal(similarity[queries].topk(2).indices.sort(dim=1).values)
    queries, items = seen["video_to_text"]
    assert items[:, 1:].sort(dim=1).values.equal(similarity.T[queries].topk(2).indices.sort(dim=1).values)


@pytest.mark.parametrize("video_of_text", [[0, 1, 2, 3, 4, 4, 4, 4], [0, 1, 3, 4, 5, 5, 5, 5]])
def test_second_stage_refuses_a_video_without_captions(video_of_text):
    with pytest.raises(ValueError):
        list(second_stage(tiny_retriever(), 1, video_of_text=torch.tensor(video_of_text)).steps())


def test_second_stage_draws_every_noise_level(monkeypatch):
    model = tiny_retriever()
    levels = []
    code = model.text_query_denoiser.noise_level_code
    forward = code.forward

    def watching(k):
        levels.extend(k.tolist())
        return forward(k)

    monkeypatch.setattr(code, "forward", watching)
    list(second_stage(model, 10).steps())
    assert set(levels) == {1, 2, 3, 4, 5, 6}


# what studies vary


def shown_to_the_network(monkeypatch, model, **changes):
    """States and levels that the loss shows the networks in some steps."""
    shown, bind = [], generation.bind_shared

    def watching(*arguments, **settings):
        denoise = bind(*arguments, **settings)

        def watched(x_k, k):
            shown.append((x_k.detach(), k))
            return denoise(x_k, k)

        return watched

    monkeypatch.setattr(generation, "bind_shared", watching)
    list(second_stage(model, 3, **changes).steps())
    return shown


def test_second_stage_without_noise_shows_zeros_at_level_1(monkeypatch):
    shown = shown_to_the_network(monkeypatch, tiny_retriever(num_noise_levels=1, noise=False))
    assert len(shown) == 6 and all(not bool(x_k.any()) and bool((k == 1).all()) for x_k, k in shown)
    noised = shown_to_the_network(monkeypatch, tiny_retriever(num_noise_levels=1))
    assert all(bool(x_k.all()) for x_k, _ in noised)


def test_second_stage_takes_the_loss_that_is_asked_for(monkeypatch):
    kinds = []

    def watching(*arguments, kind, **settings):
        kinds.append(kind)
        return generation_loss(*arguments, kind=kind, **settings)

    monkeypatch.setattr(generation, "generation_loss", watching)
    losses = {kind: next(second_stage(tiny_retriever(), 1, loss=kind).steps()).loss for kind in ("kl", "mse")}
    assert kinds == ["kl", "kl", "mse", "mse"] and losses["mse"] != losses["kl"]


def test_negatives_of_the_batch_are_what_its_other_queries_look_for(monkeypatch):
    outside = {}
    for negatives in ("batch", "split"):
        seen = watched_items(tiny_retriever(), monkeypatch, negatives=negatives, num_candidates=3, negative_pool=5)
        batches = seen["text_to_video"][1].split(8)  # the positive of each query is its first candidate
        outside[negatives] = sum(int((~torch.isin(batch, batch[:, 0])).sum()) for batch in batches)
    assert outside["batch"] == 0 < outside["split"]


def test_second_stage_takes_a_similarity_that_is_known_already():
    texts, videos = random_features(8, 6)
    model = tiny_retriever()
    known = mining_similarity(model, texts, videos, GenerationConfig(num_steps=3, **STAGE_2))
    expected = [step.loss for step in second_stage(tiny_retriever(), 3).steps()]

    def losses(similarity):
        trainer = generation_trainer(
            tiny_retriever(),
            texts,
            [videos],
            torch.arange(8) % 6,
            GenerationConfig(num_steps=3, **STAGE_2),
            wording=torch.arange(8),
            seed=0,
            similarity=similarity,
        )
        return [step.loss for step in trainer.steps()]

    assert losses(known) == expected != losses(-known)
