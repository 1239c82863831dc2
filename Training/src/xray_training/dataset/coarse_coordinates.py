"""Scene coordinates at the coarser pixels of a network's output, from the depths that a data set has at the pixels of its X-rays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray, invert_pose

from .layout import DEPTH_STEP_MM

# Depths of neighbouring pixels that differ by more are of different parts of a bone: there is nothing between them.
GAP_MM = 5.0


def coarse_coordinates(depth: npt.NDArray[np.uint16], camera: Camera, ras_to_camera: FloatArray, factor: int) -> npt.NDArray[np.float32]:
    """Scene coordinates at the centres of pixels that are so many times larger, as `Projector.scene_coordinates` would give them.

    Where the factor is even, such a centre is the corner between four pixels: its ray meets bone if at least two of theirs do, and its
    depth is the mean of theirs, of the inverse as that is what is linear over the image of a plane. Where bone lies behind bone, and the
    four tell of both, it is one of the four, not a point in the empty space between. The point lies on the centre's own ray.

    Args:
        depth: (..., rows, columns) as stored; 0 off bone.
        camera: of these pixels.
        ras_to_camera: 4x4 pose.
        factor: a divisor of rows and columns.

    Returns:
        float32 (..., 3, rows / factor, columns / factor), RAS mm, NaN off bone; of the camera `camera.resized` gives.
    """
    rows, columns = depth.shape[-2] // factor, depth.shape[-1] // factor
    coarse, to_ras = camera.resized((rows, columns)), invert_pose(ras_to_camera)
    row, column = np.indices((rows, columns))
    in_camera = np.moveaxis(coarse.back_project(np.stack([column, row], axis=-1), 1.0), -1, 0)
    in_camera = coarse_depths(depth, factor)[..., None, :, :] * in_camera
    points = np.einsum("ij,...jrc->...irc", to_ras[:3, :3], in_camera) + to_ras[:3, 3, None, None]
    return points.astype(np.float32)


def coarse_depths(depth: npt.NDArray[np.uint16], factor: int) -> FloatArray:
    """Depths (..., rows / factor, columns / factor) in mm at the centres of coarse pixels, NaN off bone."""
    nearest = ((factor - 1) // 2, factor // 2)  # the same pixel twice where the factor is odd
    four = np.stack([depth[..., row::factor, column::factor] for row in nearest for column in nearest]) * DEPTH_STEP_MM
    hits = np.count_nonzero(four, axis=0)
    four = np.sort(np.where(four > 0, four, np.inf), axis=0)  # those on bone come first
    middle = np.take_along_axis(four, np.maximum(hits - 1, 0)[None] // 2, axis=0)[0]
    farthest = np.take_along_axis(four, np.maximum(hits - 1, 0)[None], axis=0)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = hits / (1 / four).sum(axis=0)  # an infinite depth adds nothing
        result: FloatArray = np.where(hits < 2, np.nan, np.where(farthest - four[0] > GAP_MM, middle, mean))
    return result
