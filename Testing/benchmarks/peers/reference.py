"""Line integrals in double precision, which the images of all projectors are compared with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

FloatArray = npt.NDArray[np.float64]

RAYS_AT_ONCE = 200  # bounds the memory


def line_integrals(
    volume: npt.NDArray[np.floating], ijk_to_ras: FloatArray, source_ras: FloatArray, directions_ras: FloatArray
) -> FloatArray:
    """Exact integrals of the trilinearly interpolated volume along rays, with zeros around it.

    Between two planes of voxel centres the interpolated field is a cubic polynomial along a ray, and the Gauss-Legendre rule with two
    points integrates cubic polynomials exactly.

    Args:
        volume: values [k, j, i].
        ijk_to_ras: 4x4 from voxel (i, j, k, 1) to RAS mm.
        source_ras: (3,) where the rays start, RAS mm.
        directions_ras: (N, 3) of any length.

    Returns:
        float64 (N,): the volume's unit times mm.
    """
    ras_to_ijk = np.linalg.inv(ijk_to_ras)
    source = ras_to_ijk[:3, :3] @ source_ras + ras_to_ijk[:3, 3]
    directions = directions_ras / np.linalg.norm(directions_ras, axis=1, keepdims=True) @ ras_to_ijk[:3, :3].T
    parts = [directions[first : first + RAYS_AT_ONCE] for first in range(0, len(directions), RAYS_AT_ONCE)]
    return np.concatenate([_integrals(volume, source, part) for part in parts])


def _integrals(volume: npt.NDArray[np.floating], source: FloatArray, directions: FloatArray) -> FloatArray:
    """The same in voxel indices (i, j, k); directions (N, 3) are those of one millimetre."""
    crossings, first, last = [], np.zeros((len(directions), 1)), np.full((len(directions), 1), np.inf)
    for axis, size in enumerate(volume.shape[::-1]):
        planes = np.arange(-1.0, size + 1)  # the field fades to zero within a voxel outside the outermost centres
        along = directions[:, axis, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            distances = (planes - source[axis]) / along
        # A ray along the planes is between the first and the last, or misses the volume.
        parallel = np.where(-1 < source[axis] < size, [[-np.inf, np.inf]], [[np.inf, -np.inf]])
        ends = np.where(along == 0, parallel, np.sort(distances[:, [0, -1]], axis=1))
        first, last = np.maximum(first, ends[:, :1]), np.minimum(last, ends[:, 1:])
        crossings.append(np.where(along == 0, 0, distances))
    last = np.maximum(first, last)
    first, last = np.where(np.isfinite(first), first, 0), np.where(np.isfinite(first), last, 0)
    edges = np.sort(np.clip(np.concatenate([first, *crossings, last], axis=1), first, last), axis=1)
    middles, halves = (edges[:, 1:] + edges[:, :-1]) / 2, np.diff(edges, axis=1) / 2
    total = np.zeros(len(directions))
    for point in (-1, 1) / np.sqrt(3):
        at = source + (middles + point * halves)[..., None] * directions[:, None]
        total += (_interpolated(volume, at) * halves).sum(axis=1)
    return total


def _interpolated(volume: npt.NDArray[np.floating], ijk: FloatArray) -> FloatArray:
    """Trilinear interpolation at (..., 3), zero beyond one voxel outside."""
    kji = np.moveaxis(ijk[..., ::-1], -1, 0)
    return ndimage.map_coordinates(volume, kji, output=np.float64, order=1, mode="grid-constant", cval=0.0)
