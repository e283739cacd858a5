"""The released model on small random weights, ../shared/golden: every number must be reproduced, no spoiled one."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffret_core.parity import GIVEN, compare_with_released

torch.set_num_threads(1)  # see tests/tiny_models.py


@pytest.fixture(scope="module")
def golden(shared_folder):
    return shared_folder / "golden"


@pytest.fixture(scope="module")
def comparisons(golden):
    return compare_with_released(golden)


def test_every_golden_output_is_reproduced(golden, comparisons):
    assert [one.name for one in comparisons if not one.within] == []
    assert {one.name for one in comparisons} == set(load_file(golden / "outputs.safetensors")) - set(GIVEN)
    assert len(comparisons) == 24


def test_one_value_changed_by_a_thousandth_fails_in_every_golden_output(golden, tmp_path):
    for path in golden.iterdir():
        (tmp_path / path.name).symlink_to(path)
    outputs = load_file(golden / "outputs.safetensors")
    names = {name for name in outputs if outputs[name].is_floating_point()} - set(GIVEN)
    for name in names:
        outputs[name].reshape(-1)[-1] += 1e-3
    (tmp_path / "outputs.safetensors").unlink()
    save_file(outputs, tmp_path / "outputs.safetensors")
    assert {one.name for one in compare_with_released(tmp_path) if not one.within} == names


def test_golden_candidates_must_be_equal(golden, tmp_path):
    for path in golden.iterdir():
        (tmp_path / path.name).symlink_to(path)
    outputs = load_file(golden / "outputs.safetensors")
    for name in ("t2v_candidates", "v2t_candidates"):
        outputs[name][0] = outputs[name][0].flip(0)
    (tmp_path / "outputs.safetensors").unlink()
    save_file(outputs, tmp_path / "outputs.safetensors")
    assert {one.name for one in compare_with_released(tmp_path) if not one.within} == {
        "t2v_candidates",
        "v2t_candidates",
    }
