"""What takes too long for `make test`: run it by its name, `.venv/bin/python -m pytest tests/slow/killed_often.py`."""

import random

import pytest
from test_killed_run import assert_killed_run_ends_alike


@pytest.mark.parametrize("seed", [0, 1])
def test_run_killed_twenty_times_ends_with_the_weights_of_an_undisturbed_one(tmp_path, seed):
    assert_killed_run_ends_alike(tmp_path, random.Random(seed), num_steps=60, num_kills=20)
