"""Slices of a CT in DICOM files: one a file, or as the frames of an enhanced multi-frame CT (PS3.3 A.38)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from .camera import FloatArray
from .dicom_file import decoding_plugin, read_dicom_file, refuse_false_lengths
from .errors import InputError
from .volume_file import last_line

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_LARGEST_SLICE = 2**24  # pixels: 4096 x 4096

# What tells volumes at the same place apart, in the order in which it is tried. PS3.3 C.7.6.16.2.2, C.7.6.16.2.7, C.7.6.16.2.17.
TEMPORAL_POSITION, CARDIAC_PHASE, RESPIRATORY_PHASE = "temporal position", "cardiac phase", "respiratory phase"
DIVIDING = {
    TEMPORAL_POSITION: "TemporalPositionIdentifier",
    CARDIAC_PHASE: "NominalPercentageOfCardiacPhase",
    RESPIRATORY_PHASE: "NominalPercentageOfRespiratoryPhase",
    "trigger time": "TriggerTime",
    "acquisition": "AcquisitionNumber",
    "kernel": "ConvolutionKernel",
    "image type": "ImageType",
    "acquisition time": "AcquisitionTime",
}

_GEOMETRY = ["PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"]
_SIZE = ["Rows", "Columns", "SamplesPerPixel", "NumberOfFrames"]
_SERIES = ["Modality", "ImageType", "SeriesInstanceUID", "SOPInstanceUID", "SeriesDescription"]
_VALUES = ["PixelPaddingValue", "RescaleSlope", "RescaleIntercept", "BitsAllocated", "BitsStored"]
_FRAMES = ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"]


@dataclass(frozen=True, eq=False)
class CTSlice:
    """A slice as its header tells it.

    Attributes:
        file: where it is stored.
        frame: its number in an enhanced multi-frame file, from 0; None in a file of one slice.
        series_uid: SeriesInstanceUID.
        instance_uid: SOPInstanceUID; two files that have the same are copies.
        description: of the series.
        size: rows, columns.
        spacing: (2,) mm between columns, between rows: along i, along j.
        axes: (3, 2) LPS directions of i and j.
        position: (3,) LPS mm of the first pixel's centre.
        padding_hu: value of pixels that were never measured.
        rescale: slope and intercept.
        unused_bits: of a stored pixel, above those that hold its value.
        dividing: values, by the names in `DIVIDING`, of those that the header tells.
    """

    file: Path
    frame: int | None
    series_uid: str
    instance_uid: str
    description: str
    size: tuple[int, int]
    spacing: FloatArray
    axes: FloatArray
    position: FloatArray
    padding_hu: float | None
    rescale: tuple[float, float]
    unused_bits: int
    dividing: dict[str, str] = field(default_factory=dict)


def slices_of(file: Path) -> list[CTSlice]:
    """The slices in a file; none if it is not DICOM or holds none of a CT volume (localizers, colour images).

    Raises:
        InputError: if the file is damaged, or its slices are too large to be a CT's.
    """
    import pydicom

    try:
        tags = _SERIES + _SIZE + _GEOMETRY + _VALUES + _FRAMES + list(DIVIDING.values())
        header = read_dicom_file(file, stop_before_pixels=True, specific_tags=tags)
        if header.get("Modality") != "CT" or header.get("SamplesPerPixel", 1) != 1 or not header.get("Rows") or not header.get("Columns"):
            return []
        if header.get("PerFrameFunctionalGroupsSequence"):
            return list(_frames(file, header))
        if "LOCALIZER" in (header.get("ImageType") or ()) or not all(header.get(name) for name in _GEOMETRY):
            return []
        return [_slice(file, None, header, header, header, _text(header, DIVIDING))]
    except pydicom.errors.InvalidDicomError:
        return []
    except InputError:
        raise
    except Exception as error:  # damaged files make pydicom raise nearly anything
        raise InputError(f"The DICOM file {file} is damaged ({error}); replace it or take it out of the folder.") from error


def hounsfield(slices: Sequence[CTSlice], air_hu: float) -> Iterator[npt.NDArray[np.float32]]:
    """HU [row, column] of slices, one after the other; pixels of the padding value become ``air_hu``.

    Raises:
        InputError: if pixels are missing or cannot be decoded.
    """
    for file, of_file in groupby(slices, key=lambda item: item.file):
        items = list(of_file)
        refuse_false_lengths(file)
        try:
            pixels_of = _multi_frame(file, items) if items[0].frame is not None else map(_single, items)
            for item, pixels in zip(items, pixels_of, strict=True):
                if item.padding_hu is not None:
                    pixels[np.abs(pixels - item.padding_hu) < abs(item.rescale[0]) / 2] = air_hu
                yield pixels.reshape(item.size)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # pydicom, its decoders and SimpleITK raise errors of many types on broken files
            reason = last_line(error) if str(error).strip() else type(error).__name__
            raise InputError(f"The pixels of the DICOM file {file} cannot be read ({reason}); replace it.") from error


def _frames(file: Path, header: Dataset) -> Iterator[CTSlice]:
    """The slices of an enhanced multi-frame CT: what its frames do not say, their shared functional groups say."""
    from pydicom.dataset import Dataset

    frames = header.PerFrameFunctionalGroupsSequence
    shared = (header.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    if len(frames) != int(header.get("NumberOfFrames") or 1):
        raise ValueError(f"it describes {len(frames)} frames of {header.get('NumberOfFrames')}")
    for number, frame in enumerate(frames):

        def group(name: str, frame: Dataset = frame) -> Dataset:
            return (frame.get(name) or shared.get(name) or [Dataset()])[0]

        geometry = Dataset()
        for name in ("PixelMeasuresSequence", "PlaneOrientationSequence", "PlanePositionSequence"):
            geometry.update(group(name))
        if "LOCALIZER" in (group("CTImageFrameTypeSequence").get("FrameType") or ()) or not all(geometry.get(name) for name in _GEOMETRY):
            continue
        values = group("PixelValueTransformationSequence")
        dividing = {
            **_text(group("CTImageFrameTypeSequence"), {"image type": "FrameType"}),
            **_text(group("CTReconstructionSequence"), {"kernel": "ConvolutionKernel"}),
            **_text(group("FrameContentSequence"), {TEMPORAL_POSITION: "TemporalPositionIndex", "acquisition": "FrameAcquisitionNumber"}),
            **_text(group("CardiacSynchronizationSequence"), {CARDIAC_PHASE: DIVIDING[CARDIAC_PHASE]}),
            **_text(group("RespiratorySynchronizationSequence"), {RESPIRATORY_PHASE: DIVIDING[RESPIRATORY_PHASE]}),
        }
        yield _slice(file, number, header, geometry, values if "RescaleSlope" in values else header, dividing)


def _slice(file: Path, frame: int | None, header: Dataset, geometry: Dataset, values: Dataset, dividing: dict[str, str]) -> CTSlice:
    slope, intercept = float(values.get("RescaleSlope") or 1), float(values.get("RescaleIntercept") or 0)
    padding = header.get("PixelPaddingValue")
    item = CTSlice(
        file,
        frame,
        str(header.SeriesInstanceUID),
        str(header.get("SOPInstanceUID") or ""),
        str(header.get("SeriesDescription") or ""),
        (int(header.Rows), int(header.Columns)),
        np.array(geometry.PixelSpacing, dtype=np.float64)[::-1],
        np.array(geometry.ImageOrientationPatient, dtype=np.float64).reshape(2, 3).T,
        np.array(geometry.ImagePositionPatient, dtype=np.float64).reshape(3),
        None if padding is None else int(padding) * slope + intercept,
        (slope, intercept),
        max(0, int(header.get("BitsAllocated") or 16) - int(header.get("BitsStored") or 16)),
        dividing,
    )
    numbers = [*item.spacing, *item.axes.ravel(), *item.position, *item.rescale]
    orthonormal = np.allclose(item.axes.T @ item.axes, np.eye(2), atol=0.01)
    if len(item.spacing) != 2 or min(item.spacing) <= 0 or not np.isfinite(numbers).all() or not orthonormal:
        raise ValueError("its pixel spacing, orientation or position makes no sense")
    if item.size[0] * item.size[1] > _LARGEST_SLICE:
        size = f"{item.size[0]}x{item.size[1]}"
        raise InputError(f"The slices of {file} have {size} pixels, more than a CT's 4096x4096; resample them first.")
    return item


def _text(source: Dataset, names: dict[str, str]) -> dict[str, str]:
    """Values that there are, as text."""
    return {name: str(source.get(keyword)) for name, keyword in names.items() if source.get(keyword) not in (None, "")}


def _single(item: CTSlice) -> npt.NDArray[np.float32]:
    """GDCM applies the rescale slope and intercept and knows the compressed transfer syntaxes."""
    pixels: npt.NDArray[np.float32] = sitk.GetArrayFromImage(sitk.ReadImage(str(item.file), sitk.sitkFloat32, "GDCMImageIO"))
    return pixels.reshape(item.size)


def _multi_frame(file: Path, items: Sequence[CTSlice]) -> Iterator[npt.NDArray[np.float32]]:
    """Frames decoded one by one; each has a rescale slope and intercept of its own, which GDCM does not know."""
    from pydicom.pixels.utils import iter_pixels

    syntax = read_dicom_file(file, stop_before_pixels=True, specific_tags=[]).file_meta.TransferSyntaxUID
    plugin = (decoding_plugin(syntax) or "") if syntax.is_encapsulated else ""
    stored = iter_pixels(file, indices=[item.frame for item in items if item.frame is not None], raw=True, decoding_plugin=plugin)
    for item, pixels in zip(items, stored, strict=True):
        # What lies in the unused bits is not the pixel's; shifting there and back also extends the sign.
        values = (pixels << item.unused_bits) >> item.unused_bits
        yield (values * item.rescale[0] + item.rescale[1]).astype(np.float32)
