"""Which files an index is made of, and the list that it keeps of them."""

import json
import os

import pytest

from diffret_core.index.catalogue import CATALOGUE, Entry, add_entries, read_catalogue, write_catalogue
from diffret_core.index.description import Description, claim_index, read_description
from diffret_core.index.models import ModelName
from diffret_core.index.showing import shown_path, shown_seconds
from diffret_core.index.walk import find_videos, is_below

ODD = [
    "<img src=x onerror=alert(1)>.mp4",
    "two\nlines.mp4",
    "\x1b[31mred.mp4",
    "naïve 视频.mp4",
    os.fsdecode(b"\xff\xfe.mp4"),
]


def make_files(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * len(name))


def paths_of(walk):
    return [file.path for file in walk.files]


def test_walk_finds_videos_of_all_kinds_in_all_folders_sorted(tmp_path):
    make_files(
        tmp_path, "b.MP4", "a/x.mov", "a/deep/er/y.Mkv", "c.avi", "d.webm", "e.GIF", "f.txt", "mp4", "g.mp4.part"
    )
    walk = find_videos(tmp_path, skip=tmp_path / "index")
    assert paths_of(walk) == ["a/deep/er/y.Mkv", "a/x.mov", "b.MP4", "c.avi", "d.webm", "e.GIF"]
    first = walk.files[0]
    status = (tmp_path / first.path).stat()
    assert (first.num_bytes, first.mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert walk.unlisted == {}


def test_walk_passes_over_what_is_hidden_and_the_index(tmp_path):
    make_files(tmp_path, "a.mp4", ".hidden/b.mp4", "._a.mp4", "index/c.mp4")
    assert paths_of(find_videos(tmp_path, skip=tmp_path / "index")) == ["a.mp4"]


def test_walk_survives_links_in_circles_and_to_nothing(tmp_path):
    make_files(tmp_path, "videos/a/b.mp4", "elsewhere/c.mp4")
    root = tmp_path / "videos"
    (root / "a" / "up").symlink_to(root)
    (root / "itself").symlink_to(root / "itself")
    (root / "other").symlink_to(tmp_path / "elsewhere")
    (root / "gone.mp4").symlink_to(tmp_path / "nothing")
    assert paths_of(find_videos(root, skip=tmp_path / "index")) == ["a/b.mp4", "gone.mp4", "other/c.mp4"]


def test_walk_names_a_folder_that_cannot_be_looked_into(tmp_path, monkeypatch):
    make_files(tmp_path, "a.mp4", "closed/b.mp4")
    scandir = os.scandir

    def refusing(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)  # root may look into every folder
    walk = find_videos(tmp_path, skip=tmp_path / "index")
    assert paths_of(walk) == ["a.mp4"] and walk.unlisted == {"closed": "Permission denied"}
    assert is_below("closed/b.mp4", walk.unlisted) and not is_below("closed.mp4", walk.unlisted)


def test_walk_refuses_a_folder_that_is_not_there_or_a_file(tmp_path):
    make_files(tmp_path, "a.mp4")
    with pytest.raises(FileNotFoundError, match="is its disk there"):
        find_videos(tmp_path / "none", skip=tmp_path / "index")
    with pytest.raises(NotADirectoryError, match="cannot be looked into"):
        find_videos(tmp_path / "a.mp4", skip=tmp_path / "index")


def test_names_of_any_bytes_survive_walk_and_catalogue(tmp_path):
    (tmp_path / "videos").mkdir()
    make_files(tmp_path / "videos", *ODD)
    found = find_videos(tmp_path / "videos", skip=tmp_path / "index").files
    assert {file.path for file in found} == set(ODD)
    entries = {file.path: Entry(*file, "d", 1.5, (0.0, 0.75)) for file in found}
    write_catalogue(tmp_path, entries)
    assert read_catalogue(tmp_path) == entries
    assert all((tmp_path / "videos" / path).exists() for path in read_catalogue(tmp_path))


def test_last_line_of_a_path_counts_and_half_a_line_does_not(tmp_path):
    first, second = Entry("a.mp4", 1, 2, "d"), Entry("b.mp4", 3, 4, None, refused="why")
    add_entries(tmp_path, [first, second])
    add_entries(tmp_path, [first._replace(num_bytes=9)])
    whole = (tmp_path / CATALOGUE).read_bytes()
    assert read_catalogue(tmp_path) == {"a.mp4": first._replace(num_bytes=9), "b.mp4": second}
    line = json.dumps(first._replace(num_bytes=77)._asdict()).encode()
    for cut in (1, len(line) // 2, len(line) - 1):
        (tmp_path / CATALOGUE).write_bytes(whole + line[:cut])
        assert read_catalogue(tmp_path)["a.mp4"].num_bytes == 9


@pytest.mark.parametrize(
    "line",
    ["[]", "{}", "null", '{"path": "a", "starts": 3}', '{"path": 3, "num_bytes": 1, "mtime_ns": 1, "starts": []}'],
)
def test_line_that_is_no_entry_is_passed_over(tmp_path, line):
    (tmp_path / CATALOGUE).write_text(line + "\n", encoding="utf-8")
    assert read_catalogue(tmp_path) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"num_bytes": "x"},
        {"mtime_ns": None},
        {"digest": 3},
        {"duration_seconds": "x"},
        {"duration_seconds": float("nan")},
        {"starts": [float("inf")]},
        {"refused": 3},
        {"missing": "no"},
    ],
)
def test_entry_whose_fields_are_of_another_kind_is_passed_over(tmp_path, change):
    whole, damaged = Entry("a.mp4", 1, 2, "d", 1.5, (0.0, 0.75)), Entry("b.mp4", 1, 2, "e", 1.5, (0.0,))
    lines = [json.dumps(whole._asdict()), json.dumps({**damaged._asdict(), **change})]
    (tmp_path / CATALOGUE).write_text("\n".join(lines), encoding="ascii")
    assert read_catalogue(tmp_path) == {"a.mp4": whole}


@pytest.mark.parametrize("path", ["/etc/passwd", "../a.mp4", "b/../../a.mp4"])
def test_entry_that_leads_out_of_the_folder_is_passed_over(tmp_path, path):
    add_entries(tmp_path, [Entry(path, 1, 2, "d", 1.0, (0.0,)), Entry("a..b.mp4", 1, 2)])
    assert list(read_catalogue(tmp_path)) == ["a..b.mp4"]


def test_index_says_what_it_is_of(tmp_path):
    of = Description(tmp_path / os.fsdecode(b"\xff") / "videos", ModelName("clip", "ViT-B-32", "laion"), "key", (4, 64))
    claim_index(tmp_path, of)
    assert read_description(tmp_path) == of
    claim_index(tmp_path, of)
    moved = of._replace(model=ModelName("checkpoint", "/elsewhere"))
    claim_index(tmp_path, moved)
    assert read_description(tmp_path) == moved


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "other"}, "was made with ViT with weights laion, which is not"),
        ({"root": "/elsewhere"}, "is an index of /videos, not of /elsewhere"),
    ],
)
def test_index_of_something_else_is_refused(tmp_path, changes, message):
    of = Description(tmp_path, ModelName("clip", "ViT", "laion"), "key", (4, 64))._replace(
        root=type(tmp_path)("/videos")
    )
    claim_index(tmp_path, of)
    changes = {name: type(getattr(of, name))(value) for name, value in changes.items()}
    with pytest.raises(ValueError, match=message):
        claim_index(tmp_path, of._replace(**changes))
    assert read_description(tmp_path) == of


@pytest.mark.parametrize("content", ["{}", "[]", '{"format": 1}', '{"format": 1, "row_shape": 3}', "nothing"])
def test_damaged_description_is_refused(tmp_path, content):
    (tmp_path / "index.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"index\.json"):
        read_description(tmp_path)


def test_folder_of_other_files_does_not_become_an_index(tmp_path):
    make_files(tmp_path, "letter.txt")
    with pytest.raises(ValueError, match="holds other files"):
        claim_index(tmp_path, Description(tmp_path, ModelName("shipped"), "key", (4, 64)))
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("path", ODD)
def test_shown_path_can_be_printed_on_one_line(path):
    shown = shown_path(path)
    assert shown.isprintable() and shown.encode("utf-8")
    assert "naïve 视频" in shown or shown.isascii()


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.9, "0:59"), (247, "4:07"), (3723.5, "1:02:03")])
def test_shown_seconds_are_as_in_a_player(seconds, shown):
    assert shown_seconds(seconds) == shown
