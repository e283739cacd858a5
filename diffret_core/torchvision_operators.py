"""Make torchvision importable beside a CPU build of torch. Import this module before open_clip.

The registry's torchvision wheel for Linux has a compiled part that needs CUDA libraries. Beside a CPU torch that part
cannot load, and torchvision then stops at import with `operator torchvision::nms does not exist`, because it describes
two operators that only the compiled part declares. Nothing in this project calls them (they filter overlapping boxes of
object detectors), so it is enough to declare them. Where the compiled part loads, nothing is declared.
"""

import sys

import torch

SCHEMAS = {
    "torchvision::nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "torchvision::qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def import_torchvision() -> bool:
    """Import torchvision, declaring its two box operators first if its compiled part cannot be loaded.

    Returns:
        True if they had to be declared, False if torchvision is whole or was imported before.

    Raises:
        ModuleNotFoundError: If torchvision is not installed.
        RuntimeError: If torchvision fails at import for another reason.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    else:
        return False
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]  # the half that was imported would not be run again
    for name, schema in SCHEMAS.items():
        torch.library.define(name, schema)
    import torchvision  # noqa: F401

    return True


import_torchvision()
