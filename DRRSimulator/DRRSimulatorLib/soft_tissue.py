"""Soft tissue round bones that were cut out of their CT, as the volumes for tracking wrists are: made up, with the shape of a limb."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .camera import Camera, FloatArray, FloatImage
from .ct import SOFT_TISSUE_ATTENUATION_PER_MM
from .errors import InputError

_BONE = 0.02  # line integral from which a ray has met bone: half a millimetre of cortical bone
_STRETCH_MM = 2.0  # along the limb, for which the bones' outermost points are found
_SKIN_SMOOTHNESS_MM = 15.0  # standard deviation
_UNEVENNESS_MM = 40.0  # distance over which the thickness varies


@dataclass(frozen=True)
class SoftTissue:
    """A limb round the bones; lengths across the beam are measured on the detector.

    Attributes:
        thickness_mm: in the middle of the limb, along the beam.
        margin_mm: from the outermost bone to the skin.
        unevenness: standard deviation of the thickness, as a share of it.

    Raises:
        InputError: if a number is outside its range.
    """

    thickness_mm: float = 50.0
    margin_mm: float = 15.0
    unevenness: float = 0.15

    def __post_init__(self) -> None:
        if not all(math.isfinite(length) and length > 0 for length in (self.thickness_mm, self.margin_mm)):
            raise InputError(f"The thickness and the margin of soft tissue must be positive millimetres, but this was given: {self}.")
        if not 0 <= self.unevenness <= 0.5:
            raise InputError(f"The unevenness of soft tissue must lie between 0 and 0.5, but is {self.unevenness:g}.")


def soft_tissue_integral(bone_integral: FloatImage, camera: Camera, soft_tissue: SoftTissue, rng: np.random.Generator) -> FloatImage:
    """Line integral of a limb with an elliptic section round the bones of an image; it goes on beyond their ends to the image's edge.

    Args:
        bone_integral: line integral of bone (rows, columns).
        camera: of the image; distances need its pixel spacing.
        soft_tissue: how much.
        rng: source of the unevenness.

    Returns:
        float32 (rows, columns), dimensionless; 0 everywhere where there is no bone.
    """
    bone = bone_integral > _BONE
    if bone.sum() < 2:
        return np.zeros_like(bone_integral)
    along, across = _limb_coordinates(bone, camera)
    left, right = _skin(along, along[bone], across[bone], soft_tissue.margin_mm)
    from_axis = (2 * across - left - right) / (right - left)  # -1 and 1 on the skin
    section = np.sqrt(np.maximum(1 - from_axis**2, 0))
    uneven = 1 + soft_tissue.unevenness * _smooth_noise(camera, rng)
    return np.maximum(SOFT_TISSUE_ATTENUATION_PER_MM * soft_tissue.thickness_mm * section * uneven, 0).astype(np.float32)


def _limb_coordinates(bone: npt.NDArray[np.bool_], camera: Camera) -> tuple[FloatArray, FloatArray]:
    """mm of all pixels (rows, columns) along the bones' longest axis in the image, and across it."""
    rows, columns = np.indices(bone.shape)
    places = np.stack([columns * camera.pixel_spacing[0], rows * camera.pixel_spacing[1]], axis=-1)
    axes = np.linalg.eigh(np.cov(places[bone].T))[1]  # the longest comes last
    return places @ axes[:, 1], places @ axes[:, 0]


def _skin(along: FloatArray, bone_along: FloatArray, bone_across: FloatArray, margin_mm: float) -> tuple[FloatArray, FloatArray]:
    """Where the skin is, across the limb, on the left and on the right of all places along it."""
    from scipy import ndimage

    stretch = ((bone_along - bone_along.min()) / _STRETCH_MM).astype(np.intp)
    reach = round(_SKIN_SMOOTHNESS_MM / _STRETCH_MM)
    place = bone_along.min() + (np.arange(-4 * reach, stretch.max() + 1 + 4 * reach) + 0.5) * _STRETCH_MM

    def outline(side: FloatArray) -> FloatArray:
        """Smooth upper limit of values, one for each stretch; beyond the bones it goes on as it mostly is."""
        known = np.flatnonzero(np.isfinite(side))
        whole = ndimage.maximum_filter1d(np.interp(np.arange(len(side)), known, side[known]), 2 * reach + 1)
        smooth = ndimage.gaussian_filter1d(np.pad(whole, 4 * reach, constant_values=np.median(whole)), reach, mode="nearest")
        return np.interp(along, place, smooth) + margin_mm

    outermost = np.full((2, stretch.max() + 1), -np.inf)
    np.maximum.at(outermost[0], stretch, -bone_across)
    np.maximum.at(outermost[1], stretch, bone_across)
    return -outline(outermost[0]), outline(outermost[1])


def _smooth_noise(camera: Camera, rng: np.random.Generator) -> FloatArray:
    """Noise (rows, columns) of mean about 0 and standard deviation about 1: a cubic spline through coarse random values."""
    from scipy.interpolate import CubicSpline

    steps = [_UNEVENNESS_MM / spacing for spacing in camera.pixel_spacing[::-1]]  # in pixels
    counts = [math.ceil(size / step) + 2 for size, step in zip(camera.image_size, steps, strict=True)]
    noise: FloatArray = rng.standard_normal(counts)
    for axis, (count, size, step) in enumerate(zip(counts, camera.image_size, steps, strict=True)):
        noise = CubicSpline(np.arange(count), noise, axis=axis)(np.arange(size) / step)
    return noise
