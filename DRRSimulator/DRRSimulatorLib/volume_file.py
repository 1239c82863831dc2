"""Volumes in single files (NIfTI, NRRD, MetaImage), and the place of a SimpleITK image in RAS."""

from __future__ import annotations

import locale
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .camera import FloatArray
from .errors import InputError
from .volume_header import LARGEST_PLACE, check_claim, check_nifti, check_voxel_files

VOLUME_READERS = {
    ".nii": "NiftiImageIO",
    ".nii.gz": "NiftiImageIO",
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}

# How far a voxel may lie from where its file puts it, mm: far below a CT's voxel, far above the rounding in headers.
_PLACE_TOLERANCE_MM = 0.1

# Strongest shear that is taken for gantry tilt; scanners tilt by up to 30 degrees.
_LARGEST_SHEAR_DEG = 45.0
_LARGEST_GROWTH = 4  # of the number of voxels by resampling

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@contextmanager
def decimal_points() -> Iterator[None]:
    """Within this block C libraries write and read 1.5 as 1.5, in whichever country: ITK's NRRD files would hold 1,5, and read 1."""
    country = locale.setlocale(locale.LC_NUMERIC)
    if locale.localeconv()["decimal_point"] == ".":
        yield
        return
    locale.setlocale(locale.LC_NUMERIC, "C")
    try:
        yield
    finally:
        locale.setlocale(locale.LC_NUMERIC, country)


def read_volume_file(path: Path) -> sitk.Image:
    """A three-dimensional image with one value per voxel, as the file has it.

    Args:
        path: a file that ends in .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd.

    Raises:
        InputError: if the file is missing, of another kind or damaged, has several values per voxel or not three dimensions,
            claims more voxels than it holds or than `LARGEST_VOXEL_BYTES`, takes them from outside its folder, or is a NIfTI file whose
            two transforms (qform, sform) disagree.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    if _kind(path, VOLUME_READERS) is None:
        raise InputError(f"{path} is not one of {', '.join(VOLUME_READERS)}; for DICOM give the folder that holds the slices.")
    try:
        image = read_image_file(path, VOLUME_READERS)
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read ({last_line(error)}); give a whole NIfTI, NRRD or MHA file.") from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        values = image.GetNumberOfComponentsPerPixel()
        raise InputError(f"{path} has {values} values per voxel (colour or vectors); give a grey-value volume.")
    if image.GetDimension() != 3:
        raise InputError(f"{path} has {image.GetDimension()} dimensions {image.GetSize()}; give a volume of three.")
    _refuse_ambiguous_nifti(path, image)
    return image


@decimal_points()
def read_image_file(path: Path, readers: Mapping[str, str]) -> sitk.Image:
    """An image of any dimension by the reader for its name; what its header claims is checked before memory is taken for it.

    Args:
        path: an existing file.
        readers: names of SimpleITK's readers by the ends of files' names; none of its dozens of others is tried.

    Raises:
        InputError: if the header claims more than the file can hold or than `LARGEST_VOXEL_BYTES`, or voxels in another folder.
        RuntimeError: if the file is damaged, or of a kind without a reader.
    """
    kind = _kind(path, readers)
    if kind is None:
        raise RuntimeError(f"{path.suffix or 'a name without an ending'} is not one of {', '.join(readers)}")
    is_nifti, is_nrrd, is_volume = kind in (".nii", ".nii.gz"), kind in (".nrrd", ".nhdr"), kind in VOLUME_READERS
    if is_nifti:
        check_nifti(path)
    elif is_volume:
        check_voxel_files(path, is_nrrd)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(readers[kind])
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except UnicodeDecodeError as error:  # within ITK's message
        raise RuntimeError("its header is damaged") from error
    # Written so that NaN fails as well.
    if not all(abs(number) <= LARGEST_PLACE for number in (*reader.GetSpacing(), *reader.GetOrigin(), *reader.GetDirection())):
        raise InputError(f"{path} places its image beyond any room (spacing {reader.GetSpacing()}); its header is damaged, save it again.")
    if not is_nifti:
        component_bytes = sitk.Image([1, 1, 1], reader.GetPixelID()).GetSizeOfPixelComponent()
        check_claim(path, is_nrrd, math.prod(reader.GetSize()) * reader.GetNumberOfComponents() * component_bytes, is_volume)
    return reader.Execute()


def _kind(path: Path, readers: Mapping[str, str]) -> str | None:
    return next((suffix for suffix in readers if path.name.lower().endswith(suffix)), None)


def ijk_to_ras(image: sitk.Image) -> FloatArray:
    """4x4 from voxel (i, j, k, 1) to RAS mm, its axes exactly orthogonal."""
    matrix = np.eye(4)  # to LPS
    matrix[:3, :3] = _orthonormal(_direction(image)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return _LPS_TO_RAS @ matrix


def place_in_ras(image: sitk.Image, ijk_to_ras: FloatArray) -> None:
    """Give an image the place of a 4x4 from voxel (i, j, k, 1) to RAS mm with orthogonal axes; `ijk_to_ras` reads it back."""
    matrix = _LPS_TO_RAS @ ijk_to_ras  # its own inverse
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetOrigin(matrix[:3, 3].tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())


def on_orthogonal_grid(image: sitk.Image, outside: float) -> sitk.Image:
    """The image itself where its axes are at right angles, else (gantry tilt) resampled linearly onto such a grid, with a warning.

    The new grid keeps the slice planes and covers the whole image; ``outside`` fills what the image does not cover.

    Raises:
        InputError: if they are far from right angles.
    """
    direction, size, spacing = _direction(image), np.array(image.GetSize()), np.array(image.GetSpacing())
    orthonormal = _orthonormal(direction)
    if np.abs((direction - orthonormal) * spacing * (size - 1)).max() <= _PLACE_TOLERANCE_MM:
        return image
    steps = orthonormal.T @ (direction * spacing)  # of the old axes along the new ones, mm
    new_spacing = np.diag(steps)
    corners = np.array(list(product((0, 1), repeat=3))) * (size - 1) @ steps.T / new_spacing
    first, last = np.floor(corners.min(axis=0) + 1e-6), np.ceil(corners.max(axis=0) - 1e-6)
    shear = np.degrees(np.arccos(np.clip(direction[:, 2] @ orthonormal[:, 2], -1, 1)))
    if not (shear <= _LARGEST_SHEAR_DEG and np.prod(last - first + 1) <= _LARGEST_GROWTH * np.prod(size)):  # NaN is neither
        raise InputError(f"The CT's slices are sheared by {shear:.0f} degrees, more than any gantry tilts; its geometry is damaged.")
    warnings.warn(
        f"The CT's slices are sheared by {shear:.1f} degrees (gantry tilt); it was resampled to a rectangular grid.", stacklevel=3
    )
    return sitk.Resample(
        image,
        [int(n) for n in last - first + 1],
        sitk.Transform(),
        sitk.sitkLinear,
        (np.array(image.GetOrigin()) + orthonormal @ (first * new_spacing)).tolist(),
        new_spacing.tolist(),
        orthonormal.ravel().tolist(),
        outside,
    )


def last_line(error: Exception) -> str:
    """The reason in an ITK message, which comes after lines about source files and after the address of an ITK object."""
    reason = str(error).strip().splitlines()[-1].removeprefix("ITK ERROR:")
    return re.sub(r"^\s*\w+\(0x[0-9a-f]+\):", "", reason).strip(" .")


def _direction(image: sitk.Image) -> FloatArray:
    return np.reshape(image.GetDirection(), (3, 3))


def _orthonormal(direction: FloatArray) -> FloatArray:
    """Gram-Schmidt: keeps the first axis, the plane of the first two and the side of each, so also left-handed axes."""
    orthonormal, triangular = np.linalg.qr(direction)
    return orthonormal * np.sign(np.diag(triangular))


def _refuse_ambiguous_nifti(path: Path, image: sitk.Image) -> None:
    """ITK silently takes the qform where the sform is sheared or moved; then nobody can tell where the patient is."""
    if not image.HasMetaDataKey("sform_code") or int(image.GetMetaData("sform_code")) == 0:
        return
    sform = np.array([[float(v) for v in image.GetMetaData(f"srow_{axis}").split()] for axis in "xyz"])
    corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in image.GetSize()))])
    if np.abs(corners @ (sform - ijk_to_ras(image)[:3]).T).max() > _PLACE_TOLERANCE_MM:
        raise InputError(f"{path} places its voxels in two ways (qform and sform differ, or are sheared); save it with one transform.")
