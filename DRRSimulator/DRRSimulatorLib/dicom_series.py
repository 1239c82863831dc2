"""A CT series in a folder of DICOM slices."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from .camera import FloatArray
from .errors import InputError
from .volume_file import last_line

FEWEST_SLICES = 5

# Share of the slice spacing by which a slice may stand off its place in the regular stack: positions are often rounded to 0.1 mm.
_POSITION_TOLERANCE = 0.1

_GEOMETRY = ["Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"]
_SERIES = ["Modality", "ImageType", "SeriesInstanceUID", "SeriesDescription", "SamplesPerPixel"]
_VALUES = ["PixelPaddingValue", "RescaleSlope", "RescaleIntercept"]


@dataclass(frozen=True, eq=False)
class _Slice:
    file: Path
    series_uid: str
    description: str
    size: tuple[int, int]  # rows, columns
    spacing: FloatArray  # (2,) mm between columns, between rows: along i, along j
    axes: FloatArray  # (3, 2) LPS directions of i and j
    position: FloatArray  # (3,) LPS mm of the first pixel's centre
    padding_hu: float | None  # value of pixels that were never measured
    rescale_slope: float


def read_series(folder: Path, series_uid: str | None, air_hu: float) -> sitk.Image:
    """The CT series of a folder and its subfolders, float32 HU, in LPS as SimpleITK has it.

    Localizers, images that are not CT, and series with fewer than 5 slice positions (bolus tracking, scouts) are passed over.
    The slice axis points from the first slice to the last; for a tilted gantry it is not at right angles to the slices.
    Pixels of the series' padding value become ``air_hu``.

    Raises:
        InputError: if there is no such series, there are several and ``series_uid`` names none of them, a file is damaged, or the
            slices are not a regular stack (missing, repeated, unevenly spaced or differently oriented slices).
    """
    slices, normal = _in_order(_choose(_find_series(folder), folder, series_uid))
    _check_regular(slices, normal)
    hu = np.empty((len(slices), *slices[0].size), dtype=np.float32)
    for pixels, item in zip(hu, slices, strict=True):
        pixels[:] = _read_pixels(item, air_hu)
    image = sitk.GetImageFromArray(hu)
    across = (slices[-1].position - slices[0].position) / (len(slices) - 1)
    spacing = np.array([*slices[0].spacing, np.linalg.norm(across)])
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(slices[0].position.tolist())
    image.SetDirection(np.column_stack([slices[0].axes, across / spacing[2]]).ravel().tolist())
    return image


def series_files(folder: Path, series_uid: str | None) -> list[Path]:
    """The files that `read_series` reads, in the order of its slices; it says what is raised."""
    return [item.file for item in _in_order(_choose(_find_series(folder), folder, series_uid))[0]]


def _in_order(slices: list[_Slice]) -> tuple[list[_Slice], FloatArray]:
    """Slices by their place along the normal of the first one, and this normal (3,), LPS."""
    normal = np.asarray(np.cross(slices[0].axes[:, 0], slices[0].axes[:, 1]), dtype=np.float64)
    return sorted(slices, key=lambda item: float(normal @ item.position)), normal


def _find_series(folder: Path) -> dict[str, list[_Slice]]:
    """CT slices by SeriesInstanceUID, of series with enough different positions to be a volume."""
    series = defaultdict(list)
    for file in sorted(folder.rglob("*")):
        item = _read_slice(file) if file.is_file() else None
        if item is not None:
            series[item.series_uid].append(item)
    return {
        uid: slices for uid, slices in series.items() if len({tuple(item.position.round(2).tolist()) for item in slices}) >= FEWEST_SLICES
    }


def _read_slice(file: Path) -> _Slice | None:
    """The slice of a file; None if it is not DICOM or not a slice of a CT volume."""
    import pydicom

    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_SERIES + _GEOMETRY + _VALUES)
        if header.get("Modality") != "CT" or header.get("SamplesPerPixel", 1) != 1 or "LOCALIZER" in (header.get("ImageType") or ()):
            return None
        if not all(header.get(name) for name in _GEOMETRY):
            return None
        slope, intercept = float(header.get("RescaleSlope") or 1), float(header.get("RescaleIntercept") or 0)
        padding = header.get("PixelPaddingValue")
        item = _Slice(
            file,
            str(header.SeriesInstanceUID),
            str(header.get("SeriesDescription") or ""),
            (int(header.Rows), int(header.Columns)),
            np.array(header.PixelSpacing, dtype=np.float64)[::-1],
            np.array(header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3).T,
            np.array(header.ImagePositionPatient, dtype=np.float64).reshape(3),
            None if padding is None else int(padding) * slope + intercept,
            abs(slope),
        )
        numbers = [*item.spacing, *item.axes.ravel(), *item.position]
        orthonormal = np.allclose(item.axes.T @ item.axes, np.eye(2), atol=0.01)
        if len(item.spacing) != 2 or min(item.spacing) <= 0 or not np.isfinite(numbers).all() or not orthonormal:
            raise ValueError("its pixel spacing, orientation or position makes no sense")
        return item
    except pydicom.errors.InvalidDicomError:
        return None
    except Exception as error:  # damaged files make pydicom raise nearly anything
        raise InputError(f"The DICOM file {file} is damaged ({error}); replace it or take it out of the folder.") from error


def _read_pixels(item: _Slice, air_hu: float) -> npt.NDArray[np.float32]:
    """HU [row, column]; GDCM applies the rescale slope and intercept and knows the compressed transfer syntaxes."""
    try:
        pixels: npt.NDArray[np.float32] = sitk.GetArrayFromImage(sitk.ReadImage(str(item.file), sitk.sitkFloat32, "GDCMImageIO"))
        pixels = pixels.reshape(item.size)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"The pixels of the DICOM file {item.file} cannot be read ({last_line(error)}); replace it.") from error
    if item.padding_hu is not None:
        pixels[np.abs(pixels - item.padding_hu) < item.rescale_slope / 2] = air_hu
    return pixels


def _choose(series: dict[str, list[_Slice]], folder: Path, series_uid: str | None) -> list[_Slice]:
    if not series:
        raise InputError(
            f"The folder {folder} holds no CT series of at least {FEWEST_SLICES} DICOM slices "
            "(files of many frames are not read; convert them to NRRD or NIfTI first)."
        )
    if series_uid is None and len(series) == 1:
        series_uid = next(iter(series))
    if series_uid not in series:
        found = "; ".join(f"{uid} '{slices[0].description}' ({len(slices)} slices)" for uid, slices in series.items())
        unknown = f", but not {series_uid}" if series_uid is not None else ""
        raise InputError(f"The folder {folder} holds {len(series)} CT series{unknown}; choose one with its series UID: {found}.")
    return series[series_uid]


def _check_regular(slices: list[_Slice], normal: FloatArray) -> None:
    """Slices in the order of the normal must be alike and stand at even steps; the message names the first that does not."""
    first = slices[0]
    for item in slices:
        same_grid = item.size == first.size and np.allclose(item.spacing, first.spacing, rtol=1e-3)
        if not same_grid or not np.allclose(item.axes, first.axes, atol=1e-3):
            raise InputError(f"The slices {first.file} and {item.file} differ in size, pixel spacing or orientation; separate them.")
    positions = np.array([item.position for item in slices])
    regular = np.linspace(positions[0], positions[-1], len(slices))
    steps = np.diff(positions @ normal)
    usual = float(np.median(steps))
    if np.abs(positions - regular).max() <= _POSITION_TOLERANCE * usual:
        return
    smallest, largest = int(steps.argmin()), int(steps.argmax())
    if steps[smallest] < _POSITION_TOLERANCE * usual or usual <= 0:
        raise InputError(
            f"The slices {slices[smallest].file} and {slices[smallest + 1].file} lie at the same position; remove one of them."
        )
    if steps[largest] > 1.5 * usual:
        raise InputError(
            f"Slices are missing between {slices[largest].file} and {slices[largest + 1].file}: they lie {steps[largest]:.2f} mm apart, "
            f"the others {usual:.2f} mm; add the missing files."
        )
    raise InputError(
        f"The slices in {first.file.parent} are unevenly placed (steps from {steps[smallest]:.2f} to {steps[largest]:.2f} mm); "
        "give a series with even steps."
    )
