"""Radiation that the patient scatters onto the detector, estimated from the image of the rays that went straight."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .camera import Camera, FloatImage
from .errors import InputError

_LEAST_TRANSMISSION = 1e-6
_PIXELS_PER_SIGMA = 5  # of the narrower Gaussian; scatter is smooth, so it is computed on large pixels


@dataclass(frozen=True)
class Scatter:
    """How much radiation is scattered, and how far it spreads.

    The numbers of `BEHIND_GRID` and `WITHOUT_GRID` are those of a Monte Carlo simulation, Testing/xray_physics/simulate_scatter.py: slabs
    of water whose middle is 700 mm from the source, a detector at 1020 mm, the beam of 90 kV.

    Attributes:
        ratio: scatter of a pencil beam, wherever it lands, to its primary radiation, where that is 1/e of the beam (-log T = 1).
        power: the ratio grows with this power of -log T: single scattering alone would give 1, photons that scatter often more.
        widths_mm: standard deviations of the two Gaussians that it spreads by, on the detector.
        narrow_share: of the scatter that the first Gaussian has.

    Raises:
        InputError: if a number is outside its range.
    """

    ratio: float
    power: float
    widths_mm: tuple[float, float]
    narrow_share: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) and value >= 0 for value in (self.ratio, self.power)):
            raise InputError(f"The ratio and the power of the scatter must be 0 or more, but this was given: {self}.")
        if not all(math.isfinite(width) and width > 0 for width in self.widths_mm):
            raise InputError(f"The widths of the scatter must be positive millimetres, but are {self.widths_mm}.")
        if not 0 <= self.narrow_share <= 1:
            raise InputError(f"The narrow share of the scatter must lie between 0 and 1, but is {self.narrow_share:g}.")


BEHIND_GRID = Scatter(0.06, 1.4, (32.0, 140.0), 0.3)  # a focused anti-scatter grid of ratio 8
WITHOUT_GRID = Scatter(0.3, 1.75, (120.0, 280.0), 0.45)


def scattered(transmission: FloatImage, exposure: FloatImage, camera: Camera, scatter: Scatter) -> FloatImage:
    """Scatter on the detector.

    A ray's scatter grows with the radiation that gets through and with how much matter it meets, as T * (-log T)^n (B. Ohnesorge,
    T. Flohr, K. Klingenbeck-Regn, European Radiology 1999;9:563-569, with n = 1). Nothing comes from beyond the image, because the
    beam is never wider than the detector.

    Args:
        transmission: T, share of each ray that goes straight through (rows, columns).
        exposure: share of the open field that each ray starts with, behind the collimator (rows, columns).
        camera: of the image; the spread needs its pixel spacing.
        scatter: how much and how wide.

    Returns:
        float32 (rows, columns), 1 = the open field's primary radiation.
    """
    from scipy import ndimage

    rows, columns = transmission.shape
    spacings = camera.pixel_spacing[::-1]
    factors = [max(1, int(min(scatter.widths_mm) / (_PIXELS_PER_SIGMA * spacing))) for spacing in spacings]
    attenuation = -np.log(np.clip(transmission, _LEAST_TRANSMISSION, 1))
    source = np.asarray(transmission * attenuation**scatter.power * exposure, dtype=np.float32)
    coarse = _block_means(source, factors[0], factors[1])
    spread = np.zeros_like(coarse)
    for width, share in zip(scatter.widths_mm, (scatter.narrow_share, 1 - scatter.narrow_share), strict=True):
        sigmas = [width / (spacing * factor) for spacing, factor in zip(spacings, factors, strict=True)]
        spread += share * ndimage.gaussian_filter(coarse, sigmas, mode="constant")
    fine = ndimage.zoom(spread, factors, order=1, mode="nearest", grid_mode=True)[:rows, :columns]
    return np.asarray(scatter.ratio * fine, dtype=np.float32)


def _block_means(image: FloatImage, rows: int, columns: int) -> FloatImage:
    """Means over blocks of pixels; blocks that stick out of the image are 0 there."""
    padded = np.pad(image, ((0, -image.shape[0] % rows), (0, -image.shape[1] % columns)))
    return padded.reshape(padded.shape[0] // rows, rows, -1, columns).mean(axis=(1, 3))
