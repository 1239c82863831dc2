"""Simulated X-rays kept in a folder, so that several models meet the same images without making them again.

An image is a 16-bit PNG; a JSON file of the same name says what it is of. As it holds camera and true pose the way
`DRRSimulatorLib.camera.save_view` writes them, both together are input for xray-register.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from DRRSimulatorLib.files import atomic_path
from DRRSimulatorLib.image_file import write_image

Pixels = npt.NDArray[np.uint16]


def cached_image(folder: Path, name: str, record: dict[str, Any], make: Callable[[], Pixels]) -> Pixels:
    """The image of a name from a folder; made and put there if it is missing, damaged or of another record.

    Args:
        folder: made where it is missing.
        name: of the files, without suffix.
        record: all that the image depends on; values for JSON.
        make: makes the image [row, column].
    """
    folder.mkdir(parents=True, exist_ok=True)
    image_file, record_file = folder / f"{name}.png", folder / f"{name}.json"
    text = json.dumps(record, indent=1, allow_nan=False)
    if record_file.is_file() and record_file.read_bytes() == text.encode():
        pixels = _read(image_file)
        if pixels is not None:
            return pixels
    pixels = make()
    record_file.unlink(missing_ok=True)  # an image that replaces another must not stand beside the other's record
    write_image(image_file, sitk.GetImageFromArray(pixels), compressed=False)
    with atomic_path(record_file) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
    return pixels


def _read(file: Path) -> Pixels | None:
    """The pixels of a file; None if it is missing or no such image."""
    try:
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
    except RuntimeError:
        return None
    return pixels if pixels.ndim == 2 and pixels.dtype == np.uint16 else None
