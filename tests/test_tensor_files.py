"""Tensors and JSON on disk: whole or not at all, and damage is noticed. (Tests may run as root: folders are made
unwritable by standing in the way of them.)"""

import contextlib
import os
import resource

import pytest
import torch

import diffret_core.tensor_files
from diffret_core.tensor_files import read_json, read_tensors, write_json, write_tensors

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "mask": torch.tensor([True, False])}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "some.safetensors"
    write_tensors(path, TENSORS, metadata={"note": "as it was"})
    return path


@contextlib.contextmanager
def full_disk():
    """No file may grow beyond 1000 bytes. (Not a fixture: pytest's own output may go to a file.)"""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(2, 3),
        torch.randn(2, 3).T,
        torch.ones(1, 2).expand(3, 2),
        torch.tensor(2.5),
        torch.zeros(0, 4),
        torch.randn(3).half(),
        torch.randn(3).bfloat16(),
        torch.randn(3).double(),
        torch.arange(3),
        torch.tensor([True, False]),
        torch.tensor([float("nan"), float("inf")]),
        torch.randn(2, requires_grad=True),
    ],
)
def test_tensors_come_back_as_they_were(tmp_path, tensor):
    write_tensors(tmp_path / "x", {"x": tensor}, metadata={"of": "Łódź"})
    tensors, metadata = read_tensors(tmp_path / "x")
    torch.testing.assert_close(tensors["x"], tensor.detach(), rtol=0, atol=0, equal_nan=True)
    assert tensors["x"].dtype == tensor.dtype
    assert metadata == {"of": "Łódź"}


def test_tensors_may_be_parts_of_one(tmp_path):
    whole = torch.arange(4.0)
    write_tensors(tmp_path / "x", {"a": whole[:2], "b": whole[2:]}, metadata={})
    assert read_tensors(tmp_path / "x")[0]["b"].tolist() == [2, 3]


def test_folder_is_made(tmp_path):
    write_tensors(tmp_path / "new" / "deep" / "x", TENSORS, metadata={})
    write_json(tmp_path / "other" / "x.json", [1])
    assert read_json(tmp_path / "other" / "x.json") == [1]
    assert read_tensors(tmp_path / "new" / "deep" / "x")[0]["a"].equal(TENSORS["a"])


def test_every_changed_byte_is_noticed(written):
    whole = written.read_bytes()
    for place in range(len(whole)):
        for change in (1, 0x20, 0x80):
            written.write_bytes(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
            with pytest.raises(ValueError, match="some.safetensors"):
                read_tensors(written)
                pytest.fail(f"byte {place} of {len(whole)} ({whole[place : place + 1]!r}) was changed unnoticed")


def test_every_cut_is_noticed(written):
    whole = written.read_bytes()
    for length in range(len(whole)):
        written.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="some.safetensors"):
            read_tensors(written)


def test_bytes_added_at_the_end_are_noticed(written):
    written.write_bytes(written.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="some.safetensors"):
        read_tensors(written)


def test_file_of_another_program_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file(TENSORS, tmp_path / "x")
    with pytest.raises(ValueError, match="not a file of this project"):
        read_tensors(tmp_path / "x")


@pytest.mark.parametrize("read", [read_tensors, read_json])
def test_missing_file_is_named(tmp_path, read):
    with pytest.raises(FileNotFoundError, match="nowhere: there is no such file"):
        read(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        read(tmp_path)  # a folder


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1}}', b"\xff\xfe", b'{"a": tru'])
def test_damaged_json_is_refused(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.json: not valid JSON") as caught:
        read_json(tmp_path / "x.json")
    assert "\n" not in str(caught.value)


def test_json_comes_back_as_it_was(tmp_path):
    value = {"a": [1, 2.5, None, True], "b": "Łódź 🎈"}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert "Łódź 🎈" in (tmp_path / "x.json").read_text(encoding="utf-8")


def write_either(path, value):
    if path.suffix == ".json":
        write_json(path, value)
    else:
        write_tensors(path, {"x": torch.full((1000,), float(value))}, metadata={})


@pytest.mark.parametrize("name", ["x.json", "x.safetensors"])
def test_folder_that_cannot_be_written_is_answered_with_one_line(tmp_path, name):
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(PermissionError, match="cannot be written.*choose another folder") as caught:
            write_either(folder / name, 1)
        assert "\n" not in str(caught.value) and name in str(caught.value)


@pytest.mark.parametrize("name", ["x.json", "x.safetensors"])
def test_folder_in_the_place_of_the_file_is_an_error_of_the_system(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(OSError):
        write_either(tmp_path / name, 1)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["x.json", "x.safetensors"])
def test_interrupted_writing_leaves_the_old_file_and_nothing_else(tmp_path, name, monkeypatch):
    write_either(tmp_path / name, 1)
    before = (tmp_path / name).read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(diffret_core.tensor_files.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_either(tmp_path / name, 2)
    assert (tmp_path / name).read_bytes() == before
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["x.json", "x.safetensors"])
def test_full_disk_is_an_error_of_the_system_and_leaves_nothing(tmp_path, name):
    with pytest.raises(OSError), full_disk():
        write_either(tmp_path / name, "1" * 5000 if name.endswith("json") else 1)
    assert os.listdir(tmp_path) == []


def test_file_can_be_read_by_others(written):
    assert written.stat().st_mode & 0o777 == 0o644


def test_file_whose_header_is_another_programs_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "x.safetensors", metadata={"diffret": "[1]"})
    with pytest.raises(ValueError, match="not a file of this project"):
        read_tensors(tmp_path / "x.safetensors")
