"""Where the detector is exposed: the collimator's opening, and the fall-off of brightness from the middle of the image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .camera import Camera, FloatArray, FloatImage
from .errors import InputError


@dataclass(frozen=True)
class Collimation:
    """The opening of a collimator, as it is projected onto the detector.

    Attributes:
        shape: "round" (an ellipse, where width and height differ) or "rectangular".
        width_mm: of the opening, before it is turned.
        height_mm: of the opening, before it is turned.
        centre_mm: (x, y) of its middle from the middle of the image.
        rotation_deg: clockwise in the image.
        penumbra_mm: distance over which the edge rises from 16 to 84 percent, because the focal spot is no point.
        leakage: share of the open field that gets behind the collimator. Blades of 2 mm of lead let 0.0004 of a beam of 90 kV through and
            0.0006 of one of 120 kV (attenuation coefficients of xraylib); scatter from the patient comes on top.

    Raises:
        InputError: if a value is outside its range.
    """

    shape: Literal["round", "rectangular"]
    width_mm: float
    height_mm: float
    centre_mm: tuple[float, float] = (0.0, 0.0)
    rotation_deg: float = 0.0
    penumbra_mm: float = 2.0
    leakage: float = 0.001

    def __post_init__(self) -> None:
        if self.shape not in ("round", "rectangular"):
            raise InputError(f'A collimator\'s opening is "round" or "rectangular", not "{self.shape}".')
        if not all(math.isfinite(length) and length > 0 for length in (self.width_mm, self.height_mm, self.penumbra_mm)):
            raise InputError(
                f"The size and the penumbra of a collimator's opening must be positive millimetres, but this was given: {self}."
            )
        if not all(map(math.isfinite, (*self.centre_mm, self.rotation_deg))):
            raise InputError(f"The place of a collimator's opening must be finite, but this was given: {self}.")
        if not 0 <= self.leakage < 1:
            raise InputError(f"The leakage behind a collimator must be at least 0 and below 1, but is {self.leakage:g}.")

    @classmethod
    def inside(cls, shape: Literal["round", "rectangular"], camera: Camera, share: float = 0.9) -> Collimation:
        """An opening in the middle of an image: a circle on its shorter side, or a rectangle, each a share of its size."""
        width, height = _size_mm(camera)
        if shape == "round":
            width = height = min(width, height)
        return cls(shape, share * width, share * height)


def exposure(collimation: Collimation, camera: Camera) -> FloatImage:
    """Share of the open field that reaches each pixel, float32 (rows, columns).

    The edge is an integrated Gaussian. The four edges of a rectangle shade independently of each other, as its blades do.
    """
    from scipy.special import ndtr

    x, y = _positions_mm(camera)
    x, y = x - collimation.centre_mm[0], y - collimation.centre_mm[1]
    cosine, sine = math.cos(math.radians(collimation.rotation_deg)), math.sin(math.radians(collimation.rotation_deg))
    along, across = x * cosine + y * sine, y * cosine - x * sine
    half_width, half_height, sigma = collimation.width_mm / 2, collimation.height_mm / 2, collimation.penumbra_mm / 2
    if collimation.shape == "round":
        # The distance to the edge: exact for a circle, and to first order for an ellipse.
        level = np.hypot(along / half_width, across / half_height)
        steepness = np.hypot(along / half_width**2, across / half_height**2) / np.maximum(level, 1e-9)
        opened = ndtr((1 - level) / np.maximum(steepness, 1e-9) / sigma)
    else:
        opened = ndtr((half_width - np.abs(along)) / sigma) * ndtr((half_height - np.abs(across)) / sigma)
    return np.asarray(collimation.leakage + (1 - collimation.leakage) * opened, dtype=np.float32)


def vignetting(camera: Camera, loss: float) -> FloatImage:
    """Relative brightness (rows, columns), 1 in the middle of the image and 1 - loss at half its shorter side.

    It falls as 1 / (1 + (r / R)^2): cos^2 of an angle whose tangent is proportional to the distance, as the cos^n laws of lenses and of
    inclined rays do. Image intensifiers lose up to some tens of percent; a flat panel's gain correction leaves nothing of it.

    Args:
        camera: of the image.
        loss: 0 to less than 1.
    """
    x, y = _positions_mm(camera)
    edge = min(_size_mm(camera)) / 2
    return np.asarray(1 / (1 + loss / (1 - loss) * (x**2 + y**2) / edge**2), dtype=np.float32)


def _size_mm(camera: Camera) -> tuple[float, float]:
    (rows, columns), (spacing_x, spacing_y) = camera.image_size, camera.pixel_spacing
    return columns * spacing_x, rows * spacing_y


def _positions_mm(camera: Camera) -> tuple[FloatArray, FloatArray]:
    """x (1, columns) and y (rows, 1) of the pixels from the middle of the image."""
    (rows, columns), (spacing_x, spacing_y) = camera.image_size, camera.pixel_spacing
    x = (np.arange(columns, dtype=np.float64) - (columns - 1) / 2) * spacing_x
    y = (np.arange(rows, dtype=np.float64) - (rows - 1) / 2) * spacing_y
    return x[None], y[:, None]
