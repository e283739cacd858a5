"""Both stages on tiny problems: the loop, exact resume, what each stage may change, and that losses fall."""

import math

import pytest
import torch
from tiny_models import random_features, random_tokens, tiny_retriever
from torch import nn

from diffret_core.config import ContrastiveConfig, GenerationConfig
from diffret_core.tensor_files import read_tensors, write_tensors
from diffret_core.training.contrastive import TrainingPairs, contrastive_trainer, zero_unseen_words
from diffret_core.training.generation import generation_trainer
from diffret_core.training.trainer import ParameterGroup, Trainer, learning_rate_fraction

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


def pairs_of(num_videos=6, captions_each=1, seed=0):
    """Videos of one brightness per place in the list; captions name the place."""
    draw = torch.Generator().manual_seed(seed)
    num_texts = num_videos * captions_each
    images = torch.randint(0, 255, (num_videos, 3, 3, 16, 16), generator=draw, dtype=torch.uint8)
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
    from diffret_core.training.contrastive import _pairs_of_step

    for epoch in range(3):
        seen = torch.cat([_pairs_of_step(3 * epoch + batch, 12, 4, 0) for batch in range(3)])
        assert sorted(seen.tolist()) == list(range(12))
    assert not _pairs_of_step(0, 12, 4, 0).equal(_pairs_of_step(3, 12, 4, 0))
    assert len(set(torch.cat([_pairs_of_step(batch, 14, 4, 0) for batch in range(3)]).tolist())) == 12


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


def second_stage(model, num_steps=4, *, seed=0, num_texts=8, video_of_text=None, wording=None, **changes):
    texts, videos = random_features(num_texts, 6)
    return generation_trainer(
        model,
        texts,
        videos,
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


def watched_items(model, monkeypatch, **changes):
    """Queries and items of every batch, by direction."""
    seen = {"text_to_video": [], "video_to_text": []}
    bind = model.bind_denoiser

    def watching(direction, texts, videos, queries, items):
        seen[direction].append((queries, items))
        return bind(direction, texts, videos, queries, items)

    monkeypatch.setattr(model, "bind_denoiser", watching)
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
    forward = model.text_query_denoiser.forward

    def watching(x_k, k, query, candidates):
        levels.extend(k.tolist())
        return forward(x_k, k, query, candidates)

    monkeypatch.setattr(model.text_query_denoiser, "forward", watching)
    list(second_stage(model, 10).steps())
    assert set(levels) == {1, 2, 3, 4, 5, 6}
