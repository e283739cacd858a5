"""What a collection must look like before it is searched or measured: `refuse_faults`."""

from pytest import fixture, mark, raises

from diffret_core.scenes.manifest import refuse_faults, update_manifest
from diffret_core.scenes.splits import SPLITS

LIST, VIDEO = "MSRVTT_JSFUSION_test.csv", f"videos/{SPLITS['test'].video_id(3)}.mp4"
SHIFTED_VIDEO = f"videos/{SPLITS['shifted'].video_id(0)}.mp4"
NAMES = (LIST, VIDEO, SHIFTED_VIDEO, "model/weights.safetensors", "features/test/kept.safetensors")


@fixture
def folder(tmp_path):
    """A collection whose files are as its manifest says."""
    for number, name in enumerate(NAMES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes([number]) * 50)
    update_manifest(tmp_path, {name: {} for name in NAMES})
    return tmp_path


def alter(path):
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def refusal_of(folder):
    with raises(ValueError) as caught:
        refuse_faults(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_collection_as_its_manifest_says_passes(folder):
    refuse_faults(folder)


def test_collection_without_manifest_passes_whatever_it_holds(folder):
    alter(folder / LIST)
    (folder / "MANIFEST.json").unlink()
    refuse_faults(folder)


@mark.parametrize(
    ("name", "mend"),
    [
        (LIST, "run `git checkout -- {}`"),
        (VIDEO, "run `git checkout -- {}` or `diffret samples render --split test --folder "),
        (SHIFTED_VIDEO, "run `git checkout -- {}` or `diffret samples render --split shifted --folder "),
    ],
)
@mark.parametrize(
    ("harm", "what"), [(alter, "its bytes are not those in MANIFEST.json"), (lambda path: path.unlink(), "missing")]
)
def test_faulty_file_is_named_with_the_command_that_mends_it(folder, name, mend, harm, what):
    harm(folder / name)
    refusal = refusal_of(folder)
    assert refusal.startswith(f"{folder / name}: {what}; ")
    assert mend.format(folder / name) in refusal
    assert "more" not in refusal


def test_first_of_several_faulty_files_is_named_and_the_others_are_counted(folder):
    for name in (VIDEO, LIST, SHIFTED_VIDEO):
        alter(folder / name)
    refusal = refusal_of(folder)
    assert refusal.startswith(f"{folder / LIST}: ")
    assert refusal.endswith("; 2 more: `diffret samples check` lists them")


@mark.parametrize("name", [name for name in NAMES if name.startswith(("model/", "features/"))])
def test_weights_and_features_are_left_to_those_who_read_them(folder, name):
    alter(folder / name)
    refuse_faults(folder)
    (folder / name).unlink()
    refuse_faults(folder)


def test_files_that_are_not_in_the_manifest_pass(folder):
    (folder / "videos" / "video1.mp4").write_bytes(b"a training video, rendered on demand")
    refuse_faults(folder)


def test_damaged_manifest_is_refused(folder):
    (folder / "MANIFEST.json").write_text("{")
    assert "MANIFEST.json" in refusal_of(folder)
