"""Choice of the device to compute on."""

from __future__ import annotations

import os

from DRRSimulatorLib.errors import InputError


def choose_device(name: str) -> str:
    """The torch device of a name; "auto" takes CUDA where it works, else the CPU.

    Raises:
        InputError: if CUDA is asked for and not there, or the name is unknown.
    """
    if name == "auto":
        return "cuda" if _cuda_works() else "cpu"
    if name.startswith("cuda") and not _cuda_works():
        raise InputError("No CUDA GPU can be used here; choose --device cpu, or install a CUDA build of PyTorch and the GPU's driver.")
    if name != "cpu" and not name.startswith("cuda"):
        raise InputError(f"The device {name!r} is unknown; choose cpu, cuda or auto.")
    return name


def _cuda_works() -> bool:
    """Whether a calculation succeeds: a GPU that is full, broken or too old for PyTorch's build is there, but of no use."""
    import torch

    if not (torch.backends.cuda.is_built() and torch.cuda.is_available()):
        return False
    own = int(os.environ.get("LOCAL_RANK", "0"))  # of several processes that torchrun starts, each has its own GPU
    try:
        return torch.ones(1, device=torch.device("cuda", own)).sum().item() == 1
    except RuntimeError:
        return False
