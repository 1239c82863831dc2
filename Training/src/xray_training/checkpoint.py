"""Checkpoints as safetensors: tensors by name, everything else as JSON in the header; never pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from DRRSimulatorLib.errors import InputError
from safetensors import SafetensorError, safe_open
from XRayRegistrationLib.model import save_tensors


def save_checkpoint(path: Path, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
    """Write tensors and JSON-ready values, atomically: a kill leaves the last checkpoint whole."""
    copies = {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    save_tensors(path, copies, {"values": json.dumps(values)})


def load_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what `save_checkpoint` wrote.

    Raises:
        InputError: if the file is not a checkpoint.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  safe_open is not a mapping
            return tensors, json.loads((file.metadata() or {})["values"])
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise InputError(f"The checkpoint {path} cannot be read ({error}); delete it to train from the beginning.") from error
