"""How much room there is: memory and disk, and the refusal of a run that needs more."""

import os
import shutil
from pathlib import Path

import torch


def free_memory(device: torch.device) -> int | None:
    """Give the bytes that a program can still have on a device; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # no Linux: all there is, in use or not
        names = getattr(os, "sysconf_names", {})
        pages = "SC_PHYS_PAGES" in names and os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return pages or None


def free_disk(folder: Path) -> int:
    """Give the bytes that are free where a folder is or will be."""
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    return shutil.disk_usage(there).free
