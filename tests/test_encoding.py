"""Encoding a batch in pieces: the loss and gradients of the whole, with the memory of a piece."""

import pytest
import torch
from first_stage_step import take_step
from test_training import RESNET, first_stage, pairs_of, snapshot
from tiny_models import tiny_retriever

from diffret_core.config import ContrastiveConfig
from diffret_core.training.encoding import encode_in_pieces


def config_with(**changes):
    return ContrastiveConfig(num_steps=1, clip_learning_rate=1e-3, **changes)


@pytest.mark.parametrize("at_once", [1, 3, 8, 9])
def test_step_in_pieces_is_the_step_of_the_whole_batch(at_once):
    loss, moments = take_step("stage 1")
    loss_in_pieces, moments_in_pieces = take_step(f"stage 1, at once {at_once}")
    assert loss_in_pieces == pytest.approx(loss, rel=1e-6)
    assert set(moments_in_pieces) == set(moments) and len(moments) > 20
    for name, moment in moments.items():
        torch.testing.assert_close(
            moments_in_pieces[name], moment, rtol=1e-5, atol=1e-6, msg=name
        )  # of a tenth of the gradient


def test_gradients_of_pieces_added_up_would_be_those_of_another_loss():
    """Why the memory cannot be saved by plain accumulation: with fewer negatives the loss is smaller."""
    pairs = pairs_of()
    whole = next(first_stage(tiny_retriever(), 1, pairs=pairs, batch_size=6).steps()).loss
    parts = [
        next(first_stage(tiny_retriever(), 1, pairs=pairs, batch_size=3, seed=seed).steps()).loss for seed in (0, 1)
    ]
    assert max(parts) < 0.8 * whole


def bytes_kept_for_the_gradient(at_once):
    """What autograd keeps between an encoding and its gradient, weights and inputs included."""
    weight = torch.randn(16, 16, requires_grad=True)
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    def encode(rows):
        for _ in range(20):
            rows = torch.tanh(rows @ weight)
        return (rows,)

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        encoded = encode_in_pieces(encode, torch.randn(64, 16), config=config_with(encode_at_once=at_once))
    return sum(kept.values()), encoded


def test_pieces_keep_no_more_than_inputs_and_weights():
    whole, _ = bytes_kept_for_the_gradient(None)
    pieces, _ = bytes_kept_for_the_gradient(8)
    assert whole > 64 * 16 * 4 * 20 and pieces <= 64 * 16 * 4 + 16 * 16 * 4


def test_low_precision_is_inside_the_encoder_only():
    seen = []

    def encode(rows):
        product = rows @ rows.T
        seen.append(product.dtype)
        return product, rows > 0

    product, mask = encode_in_pieces(encode, torch.randn(3, 3), config=config_with(compute_precision="bfloat16"))
    assert seen == [torch.bfloat16] and (product.dtype, mask.dtype) == (torch.float32, torch.bool)
    encode_in_pieces(encode, torch.randn(3, 3), config=config_with())
    assert seen[1:] == [torch.float32]


@pytest.mark.parametrize("at_once", [None, 2])
def test_first_stage_learns_in_low_precision_and_keeps_its_weights_in_single(at_once):
    model = tiny_retriever()
    settings = {"compute_precision": "bfloat16", "encode_at_once": at_once, "batch_size": 6}
    losses = [step.loss for step in first_stage(model, 40, **settings).steps()]
    assert sum(losses[-5:]) < 0.4 * sum(losses[:5])
    assert {value.dtype for value in model.parameters()} == {torch.float32}


def test_batch_normalisation_is_not_encoded_in_pieces():
    with pytest.raises(ValueError, match="batch normalisation would see a part of the batch at a time"):
        first_stage(tiny_retriever(RESNET), pairs=pairs_of(side=32), encode_at_once=2)


# averages of the weights


def test_first_stage_leaves_an_average_of_its_weights():
    model, plain, decay = tiny_retriever(), tiny_retriever(), 0.7
    averages = snapshot(plain)
    for _ in first_stage(plain, 5).steps():
        averages = {name: decay * averages[name] + (1 - decay) * value for name, value in snapshot(plain).items()}
    trainer = first_stage(model, 5, average_decay=decay)
    list(trainer.steps())
    last = snapshot(model)
    trainer.finish()
    for name, value in snapshot(model).items():
        torch.testing.assert_close(last[name], plain.state_dict()[name])
        torch.testing.assert_close(value, averages[name])


def test_averages_resume_exactly():
    whole = first_stage(tiny_retriever(), 4, average_decay=0.5)
    list(whole.steps())
    interrupted = first_stage(tiny_retriever(), 4, average_decay=0.5)
    next(interrupted.steps())
    resumed = first_stage(tiny_retriever(), 4, average_decay=0.5)
    resumed.restore(interrupted.state())
    list(resumed.steps())
    assert {name for name, value in resumed.state().items() if not value.equal(whole.state()[name])} == set()
    assert sum(name.startswith("average.") for name in whole.state()) > 20


def test_run_without_averages_does_not_go_on_from_one_with_them():
    kept = first_stage(tiny_retriever(), average_decay=0.5).state()
    with pytest.raises(ValueError, match="does not fit"):
        first_stage(tiny_retriever()).restore(kept)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"encode_at_once": 0}, "encode_at_once is 0"),
        ({"average_decay": 1.5}, "average_decay is 1.5"),
    ],
)
def test_settings_that_cannot_work_are_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        config_with(**change)
