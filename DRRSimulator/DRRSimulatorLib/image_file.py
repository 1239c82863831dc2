"""Writing images and volumes, with their place in the patient where the format can hold it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from .camera import FloatArray
from .errors import InputError
from .files import atomic_path
from .volume_file import decimal_points, last_line, place_in_ras
from .volume_header import check_nifti


def write_picture(path: Path, pixels: npt.NDArray[np.uint16], pixel_spacing: tuple[float, float]) -> None:
    """Write grey values [row, column] as a 16-bit TIFF or PNG file, by the name's ending.

    Args:
        pixel_spacing: mm, (along a row: x, along a column: y); both formats store it as the resolution.
    """
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing(pixel_spacing)
    write_image(path, image)


def write_slice(path: Path, pixels: npt.NDArray[Any], ijk_to_ras: FloatArray) -> None:
    """Write an image as a volume of one slice in the patient's space: NRRD or MetaImage, by the name's ending.

    Args:
        pixels: [row, column], or [row, column, component] for several values per pixel.
        ijk_to_ras: 4x4 from (column, row, slice) to RAS mm with orthogonal axes, as `Camera.detector_to_ras` gives it.
    """
    image = sitk.GetImageFromArray(pixels[None], isVector=pixels.ndim == 3)
    place_in_ras(image, ijk_to_ras)
    write_image(path, image)


def write_image(path: Path, image: sitk.Image, compressed: bool = True, level: int = -1) -> None:
    """Write an image or a volume, atomically, in the format of the name's ending.

    Args:
        path: file to write.
        image: what to write.
        compressed: where the format can be.
        level: of the compression, 1 (fast) to 9; -1 for the format's own choice.

    Raises:
        OSError: if it cannot be written.
    """
    with atomic_path(path) as temporary:
        try:
            with decimal_points():
                sitk.WriteImage(image, str(temporary), useCompression=compressed, compressionLevel=level)
            if temporary.stat().st_size == 0:
                raise RuntimeError("nothing was written")
            if path.name.lower().endswith((".nii", ".nii.gz")):
                check_nifti(temporary)  # on a full disk ITK writes what there is room for, without a word
        except (RuntimeError, InputError) as error:
            reason = last_line(error) if isinstance(error, RuntimeError) else "it was not written whole"
            raise OSError(f"{path} cannot be written ({reason}); is the disk full?") from error
