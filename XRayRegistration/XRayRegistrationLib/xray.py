"""X-ray images: reading them from files, and the one normalisation that the network and the refinement see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from DRRSimulatorLib.camera import Camera, FloatArray
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.luminance import luminance
from DRRSimulatorLib.volume_file import VOLUME_READERS, read_image_file

from .dicom_xray import is_dicom, read_dicom
from .exposed_field import Polarity, exposed_field, guess_polarity
from .orientation import AS_SEEN, Orientation

_READERS = {
    ".png": "PNGImageIO",
    ".tif": "TIFFImageIO",
    ".tiff": "TIFFImageIO",
    ".jpg": "JPEGImageIO",
    ".jpeg": "JPEGImageIO",
    ".bmp": "BMPImageIO",
    **VOLUME_READERS,
}
_SMALLEST_SIDE = 32
CLIPPED_MARGIN = 0.001  # of the range of values, for the traces of lossy compression
CLIPPED_SHARE = 0.002  # of the field
LEAST_SHOWN = 0.05  # of the field; an image of hardly more than two values shows all it has


@dataclass(frozen=True)
class XRay:
    """One X-ray image.

    Attributes:
        pixels: float32 [row, column], row 0 at the top; values as stored, or for DICOM as `dicom_intensity.with_meaning` says.
        field: bool [row, column], the exposed part of the detector.
        polarity: "intensity" (bone dark, as the detector measures) or "attenuation" (-log, bone bright).
        camera: geometry of the image, where the file tells it.
        known_geometry: what the file tells of an incomplete geometry, as sentences.
        questions: what is doubtful in the file, as sentences.
        positioner_angles: primary (LAO +, RAO -) and secondary angle (CRAN +, CAUD -) of the C-arm, degrees, where the file tells them.

    Raises:
        InputError: if the pixels are not a finite image of at least 32 x 32 with something in it, or the rest does not fit them.
    """

    pixels: npt.NDArray[np.float32]
    field: npt.NDArray[np.bool_]
    polarity: Polarity
    camera: Camera | None = None
    known_geometry: str = ""
    questions: tuple[str, ...] = ()
    positioner_angles: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        _check_pixels(self.pixels)
        if self.field.shape != self.pixels.shape or not self.field.any():
            raise InputError("The mask of the exposed field must have the X-ray's size and some pixel set.")
        if self.polarity not in ("intensity", "attenuation"):
            raise InputError(f'The polarity of an X-ray is "intensity" or "attenuation", not {self.polarity!r}.')
        if self.camera is not None and self.camera.image_size != self.pixels.shape:
            raise InputError(
                f"The camera is for {self.camera.image_size} pixels, but the X-ray has {self.pixels.shape}; use the camera of this image."
            )

    @property
    def image_size(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.pixels.shape
        return rows, columns

    @cached_property
    def unclipped(self) -> npt.NDArray[np.bool_]:
        """bool [row, column]: the part of the field that is neither black nor white.

        Detectors and windows cut off what is brighter or darker, and shutters are black; if more than a few pixels have the lowest or
        the highest value, they tell nothing but that.
        """
        inside = self.pixels[self.field]
        lowest, highest = float(inside.min()), float(inside.max())
        margin = CLIPPED_MARGIN * (highest - lowest)
        shown = self.field.copy()
        for clipped in (self.pixels <= lowest + margin, self.pixels >= highest - margin):
            if np.count_nonzero(clipped & self.field) > CLIPPED_SHARE * len(inside):
                shown &= ~clipped
        return shown if np.count_nonzero(shown) >= LEAST_SHOWN * len(inside) else self.field

    @cached_property
    def scale(self) -> tuple[float, float, float]:
        """r, low and high of `normalised`; r is 1 for attenuation.

        Raises:
            InputError: if an intensity image is not positive where it is brightest.
        """
        inside, reference = self.pixels[self.field], 1.0
        if self.polarity == "intensity":
            reference = float(np.percentile(inside.astype(np.float64), 98))
            if reference <= 0:
                raise InputError("An X-ray of intensities needs positive pixels; add an offset to it, or read it as attenuation.")
        low, high = np.percentile(_attenuation(inside, self.polarity, reference), (2, 98)).tolist()
        return reference, low, max(high, low + 1e-6)

    @classmethod
    def from_pixels(cls, pixels: npt.ArrayLike, polarity: Polarity | None = None, camera: Camera | None = None) -> XRay:
        """X-ray of an image [row, column]; the field is found in it, and the polarity guessed where it is not given.

        Raises:
            InputError: as the class does.
        """
        with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite and is refused
            image = np.asarray(pixels).astype(np.float32)
        _check_pixels(image)
        polarity = polarity or guess_polarity(image)
        return cls(image, exposed_field(image, polarity), polarity, camera)


def read_xray(path: Path | str, polarity: Polarity | None = None, frame: int | None = None, orientation: Orientation = AS_SEEN) -> XRay:
    """Read an X-ray from PNG, TIFF, JPEG, NRRD, MetaImage, NIfTI or DICOM.

    Args:
        path: the file. Colours are turned into luminance.
        polarity: overrules what the file says; without either it is guessed from the image.
        frame: which image of a DICOM file with several, from 0; None = the first, with a remark among the X-ray's questions.
        orientation: how the image is stored; it is undone. What the file itself says of it only becomes a question.

    Raises:
        InputError: if the file is missing, cannot be decoded, is not one two-dimensional image, or is no usable X-ray (see `XRay`).
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"The X-ray file {path} does not exist; give the path of one image file.")
    if not is_dicom(path):
        if frame:
            raise InputError(f"Frames are chosen in DICOM files only, but {path} is none; leave the frame at 0.")
        return XRay.from_pixels(orientation.as_seen(luminance(_read_image(path))), polarity)
    dicom = read_dicom(path, frame)
    camera = orientation.as_seen_camera(dicom.camera) if dicom.camera else None
    xray = XRay.from_pixels(orientation.as_seen(luminance(dicom.pixels)), polarity or dicom.polarity, camera)
    about_orientation = (dicom.orientation_question,) if dicom.orientation_question and orientation == AS_SEEN else ()
    return replace(
        xray,
        known_geometry=dicom.known_geometry,
        questions=dicom.questions + about_orientation,
        positioner_angles=dicom.positioner_angles,
    )


def normalised(xray: XRay) -> npt.NDArray[np.float32]:
    """The image as the network and the refinement see it: attenuation, bone bright, about 0..1 in the field, 0 outside.

    With p the pixels and percentiles over the field's pixels, linearly interpolated:

        intensity:    a = -log(max(p, r / 1000) / r), where r is the 98th percentile of p
        attenuation:  a = p
        low, high  =  the 2nd and 98th percentile of a
        result     =  (a - low) / max(high - low, 1e-6) clipped to [-0.5, 1.5] in the field, 0 outside

    So neither exposure nor scale nor (for attenuation) offset matters. A thousandth of the open beam is about what remains behind
    the densest anatomy; below it is noise, and zero has no logarithm.

    Returns:
        float32 [row, column].

    Raises:
        InputError: if an intensity image is not positive where it is brightest.
    """
    reference, low, high = xray.scale
    scaled = np.clip((_attenuation(xray.pixels, xray.polarity, reference) - low) / (high - low), -0.5, 1.5)
    return np.where(xray.field, scaled, 0).astype(np.float32)


def as_in_xray(image: npt.ArrayLike, xray: XRay) -> npt.NDArray[np.float32]:
    """A normalised image in the pixel values of an X-ray, bone dark or bright as there: the inverse of `normalised`.

    Args:
        image: attenuation of any shape, 0 and 1 where `normalised` puts the 2nd and 98th percentile.
        xray: its polarity, exposure and scale are taken.
    """
    reference, low, high = xray.scale
    attenuation = low + np.asarray(image, dtype=np.float64) * (high - low)
    return (reference * np.exp(-attenuation) if xray.polarity == "intensity" else attenuation).astype(np.float32)


def _attenuation(pixels: npt.NDArray[np.float32], polarity: Polarity, reference: float) -> FloatArray:
    """a of `normalised`."""
    values = pixels.astype(np.float64)
    return -np.log(np.maximum(values, reference / 1000) / reference) if polarity == "intensity" else values


def _check_pixels(pixels: npt.NDArray[np.float32]) -> None:
    if pixels.ndim != 2 or min(pixels.shape) < _SMALLEST_SIDE:
        raise InputError(
            f"An X-ray is one image of at least {_SMALLEST_SIDE} x {_SMALLEST_SIDE} pixels, but this one has the shape {pixels.shape}."
        )
    if not np.isfinite(pixels).all():
        raise InputError("The X-ray holds values that are not finite (NaN or infinite); replace them first.")
    if pixels.min() == pixels.max():
        raise InputError("The X-ray is empty: all its pixels have the same value; choose another file or frame.")


def _read_image(path: Path) -> npt.NDArray[np.generic]:
    """Image [row, column] or [row, column, channel] of a file that is not DICOM."""
    try:
        image = read_image_file(path, _READERS)
    except RuntimeError as error:
        raise InputError(f"The X-ray file {path} cannot be read as an image; convert it to PNG, TIFF, NRRD or DICOM.") from error
    if any(size != 1 for size in image.GetSize()[2:]):
        raise InputError(f"The file {path} holds a volume of {image.GetSize()} voxels, but an X-ray is a single image; save one slice.")
    columns, rows = image.GetSize()[:2]
    pixels = sitk.GetArrayFromImage(image)
    channels = image.GetNumberOfComponentsPerPixel()
    return pixels.reshape((rows, columns, channels) if channels > 1 else (rows, columns))
