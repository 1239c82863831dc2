"""Writing simulated images, with their place in the patient where the format can hold it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from .camera import FloatArray
from .files import atomic_path
from .volume_file import place_in_ras


def write_picture(path: Path, pixels: npt.NDArray[np.uint16], pixel_spacing: tuple[float, float]) -> None:
    """Write grey values [row, column] as a 16-bit TIFF or PNG file, by the name's ending.

    Args:
        pixel_spacing: mm, (along a row: x, along a column: y); both formats store it as the resolution.
    """
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing(pixel_spacing)
    _write(path, image)


def write_slice(path: Path, pixels: npt.NDArray[Any], ijk_to_ras: FloatArray) -> None:
    """Write an image as a volume of one slice in the patient's space: NRRD or MetaImage, by the name's ending.

    Args:
        pixels: [row, column], or [row, column, component] for several values per pixel.
        ijk_to_ras: 4x4 from (column, row, slice) to RAS mm with orthogonal axes, as `Camera.detector_to_ras` gives it.
    """
    image = sitk.GetImageFromArray(pixels[None], isVector=pixels.ndim == 3)
    place_in_ras(image, ijk_to_ras)
    _write(path, image)


def _write(path: Path, image: sitk.Image) -> None:
    with atomic_path(path) as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=True)
