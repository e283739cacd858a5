"""torchvision becomes importable beside a CPU torch, and a whole torchvision is left alone."""

import subprocess
import sys

# Each test needs a Python in which torchvision was never imported.


def output_of(code: str) -> str:
    """Run code in a fresh interpreter and return what it printed last."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_open_clip_imports_after_the_remedy():
    code = "import diffret_core.torchvision_operators, torchvision, open_clip; print(torchvision.ops.nms.__name__)"
    assert output_of(code) == "nms"


def test_remedy_is_harmless_when_repeated():
    code = "from diffret_core.torchvision_operators import import_torchvision as again; print(again(), again())"
    assert output_of(code) == "False False"


def test_remedy_declares_nothing_when_operators_exist():
    # What the compiled part of a whole torchvision does at import, with a schema that can be told from ours.
    code = """
import torch
for name in ("nms", "qnms"):
    torch.library.define(f"torchvision::{name}", "(Tensor boxes) -> Tensor")
import diffret_core.torchvision_operators, torchvision
print(torch.ops.torchvision.nms.default._schema.arguments[0].name)
"""
    assert output_of(code) == "boxes"


def test_remedy_passes_on_other_failures_of_torchvision(tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("raise RuntimeError('built for another torch')")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
try:
    import diffret_core.torchvision_operators
except RuntimeError as error:
    print(error)
"""
    assert output_of(code) == "built for another torch"


def test_remedy_declares_operators_when_the_compiled_part_cannot_load(tmp_path):
    # A stand-in for the registry's wheel: it describes an operator that nothing has declared.
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "import torch\nfor name in ('nms', 'qnms'):\n"
        "    torch.library.register_fake('torchvision::' + name)(lambda dets, scores, iou_threshold: dets)"
    )
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import diffret_core.torchvision_operators
import torch, torchvision
print(sorted(str(torch.ops.torchvision.nms.default._schema).split("(")[0:1]), torchvision.__file__ is not None)
"""
    assert output_of(code) == "['torchvision::nms'] True"
