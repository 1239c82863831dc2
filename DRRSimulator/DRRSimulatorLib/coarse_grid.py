"""A grid of about 2 mm, on which the body and other large parts of a CT are found quickly; lengths are mm, axes [k, j, i]."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Spacing = tuple[float, float, float]
Steps = tuple[int, int, int]
Value = TypeVar("Value", bound=np.generic)

_COARSE_MM = 2.0


def steps_of(spacing: Spacing) -> Steps:
    """How many voxels of a CT one voxel of the coarse grid takes along each axis."""
    k, j, i = (max(1, round(_COARSE_MM / s)) for s in spacing)
    return k, j, i


def coarse_spacing(spacing: Spacing) -> Spacing:
    """Spacing of the coarse grid."""
    k, j, i = (s * step for s, step in zip(spacing, steps_of(spacing), strict=True))
    return k, j, i


def every(values: npt.NDArray[Value], steps: Steps) -> npt.NDArray[Value]:
    """The first voxel of each coarse voxel, a view."""
    return values[tuple(slice(None, None, step) for step in steps)]


def densest(hu: npt.NDArray[np.float32], steps: Steps) -> npt.NDArray[np.float32]:
    """The highest value in each coarse voxel."""
    for axis, step in enumerate(steps):
        hu = np.maximum.reduceat(hu, np.arange(0, hu.shape[axis], step), axis=axis)
    return hu


def on_fine_grid(values: npt.NDArray[Value], steps: Steps, shape: tuple[int, ...]) -> npt.NDArray[Value]:
    """Values of coarse voxels as those of a CT's voxels."""
    for axis, step in enumerate(steps):
        values = np.repeat(values, step, axis=axis)
    return values[tuple(slice(size) for size in shape)]


def ball(radius: float, spacing: Spacing) -> Mask:
    """The voxels whose centres lie within a radius (mm) of the middle one."""
    k, j, i = (np.arange(-int(radius / s), int(radius / s) + 1) * s for s in spacing)
    return k[:, None, None] ** 2 + j[:, None] ** 2 + i**2 <= radius**2
