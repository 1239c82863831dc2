"""The stored pixel values of one frame of a DICOM file, in any transfer syntax that a decoder at hand knows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.dicom_file import decoding_plugin
from DRRSimulatorLib.errors import InputError

from .dicom_header import a_copy

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MOST_PIXELS = 2**26  # of a frame; the largest X-ray detectors have a third of it, and a header may claim anything
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_DESCRIBING_PIXELS = (
    *("SOPClassUID", "SOPInstanceUID", "SamplesPerPixel", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"),
)

Pixels = npt.NDArray[Any]


def stored_frame(dataset: Dataset, frame: int) -> Pixels:
    """Stored values [row, column, sample] of a frame, counted from 0; colours, those of a palette too, as red, green and blue.

    Compressed files are decoded by pydicom with its plug-ins, and by SimpleITK where it has none for them, as inside 3D Slicer.

    Raises:
        InputError: if the header claims more pixels than any detector has.
        Exception: of many types, if the pixels cannot be decoded.
    """
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if rows * columns > MOST_PIXELS:
        raise InputError(f"The header claims {rows} rows of {columns} pixels, more than any X-ray detector has; export the file again.")
    pixels = _by_pydicom(_with_all_bits(dataset), frame) if _pydicom_decodes(dataset) else _by_simpleitk(dataset, frame)
    pixels = _without_unused_bits(pixels.reshape(rows, columns, -1), dataset)
    return _of_palette(pixels[..., 0], dataset) if dataset.PhotometricInterpretation == "PALETTE COLOR" else pixels


def value_range(dataset: Dataset) -> tuple[int, int]:
    """The least and the greatest value that the stored bits can hold."""
    bits = int(dataset.BitsStored)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dataset.PixelRepresentation == 1 else (0, 2**bits - 1)


def _pydicom_decodes(dataset: Dataset) -> bool:
    """Whether pydicom has a plug-in for the file's transfer syntax, or needs none."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return True
    if syntax == _JPEG_EXTENDED and dataset.BitsStored > 8:
        return False  # its plug-ins refuse what they might decode wrongly
    try:
        return decoding_plugin(syntax) is not None
    except ImportError:  # pydicom 2, as Slicer 5.10 bundles it
        from pydicom import config

        return any(handler.is_available() and handler.supports_transfer_syntax(syntax) for handler in config.pixel_data_handlers)


def _by_pydicom(dataset: Dataset, frame: int) -> Pixels:
    try:
        from pydicom.pixels.utils import pixel_array
    except ImportError:  # pydicom 2 decodes all frames
        frames = int(dataset.get("NumberOfFrames") or 1)
        return dataset.pixel_array.reshape(frames, int(dataset.Rows), int(dataset.Columns), -1)[frame]
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return pixel_array(dataset, index=frame)
    return pixel_array(dataset, index=frame, decoding_plugin=decoding_plugin(syntax) or "")


def _by_simpleitk(dataset: Dataset, frame: int) -> Pixels:
    """Decoded by GDCM, from a copy with nothing but the pixels: no patient's name on the disk, no transform that GDCM would apply."""
    import SimpleITK as sitk

    header = a_copy(dataset, _DESCRIBING_PIXELS)
    header.PhotometricInterpretation = "MONOCHROME2" if dataset.SamplesPerPixel == 1 else dataset.PhotometricInterpretation
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pixels.dcm"
        header.is_little_endian, header.is_implicit_VR = True, False  # compressed files are explicit and little-endian; pydicom 2 asks
        header.save_as(path, write_like_original=False)
        decoded = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
    return decoded.reshape(-1, int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel))[frame]


def _with_all_bits(dataset: Dataset) -> Dataset:
    """The header with all allocated bits in use, so that pydicom 3 clears none, as it would above the stored ones."""
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return dataset
    header = a_copy(dataset)
    header.BitsStored, header.HighBit = header.BitsAllocated, header.BitsAllocated - 1
    return header


def _without_unused_bits(pixels: Pixels, dataset: Dataset) -> Pixels:
    """Values of the stored bits alone; older files keep overlays in the bits above them, or the values at the top of their words."""
    stored, allocated = int(dataset.BitsStored), int(dataset.BitsAllocated)
    above = allocated - 1 - int(dataset.get("HighBit", stored - 1))
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated or not 0 <= above <= allocated - stored:
        return pixels
    left: Pixels = np.left_shift(pixels, above)
    return np.right_shift(left, allocated - stored)


def _of_palette(indices: Pixels, dataset: Dataset) -> Pixels:
    try:
        from pydicom.pixels.processing import apply_color_lut
    except ImportError:  # pydicom 2
        from pydicom.pixel_data_handlers import apply_color_lut  # type: ignore[no-redef]
    return np.asarray(apply_color_lut(indices, dataset))[..., :3]
