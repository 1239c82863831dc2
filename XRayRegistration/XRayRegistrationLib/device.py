"""Choice of the device to compute on."""

from __future__ import annotations

from DRRSimulatorLib.errors import InputError


def choose_device(name: str) -> str:
    """The torch device of a name; "auto" takes CUDA where it works, else the CPU.

    Raises:
        InputError: if CUDA is asked for and not there, or the name is unknown.
    """
    import torch

    available = torch.backends.cuda.is_built() and torch.cuda.is_available()
    if name == "auto":
        return "cuda" if available else "cpu"
    if name.startswith("cuda") and not available:
        raise InputError("No CUDA GPU can be used here; choose --device cpu, or install a CUDA build of PyTorch and the GPU's driver.")
    if name != "cpu" and not name.startswith("cuda"):
        raise InputError(f"The device {name!r} is unknown; choose cpu, cuda or auto.")
    return name
