"""A CT of smooth random structures on an oblique grid: what finite differences and samples can be compared on."""

from __future__ import annotations

import numpy as np
from DRRSimulatorLib.ct import CTVolume
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

SIZE_MM = (70.0, 84.0, 77.0)  # along k, j, i
DETAIL_MM = 6.0  # standard deviation of the smoothing


def smooth_ct(spacing: float) -> CTVolume:
    """Structures of -900 to 1500 HU that fade to air at the border; voxels of the spacing in plane, mm, and twice that across."""
    voxel = np.array([2 * spacing, spacing, spacing])
    rng = np.random.default_rng(3)
    noise = gaussian_filter(rng.normal(size=np.ceil(SIZE_MM / voxel).astype(int)), DETAIL_MM / voxel, mode="constant")
    edge = [np.clip(6 * np.sin(np.pi * (np.arange(n) + 0.5) / n) - 1.5, 0, 1) for n in noise.shape]
    window = gaussian_filter(edge[0][:, None, None] * edge[1][:, None] * edge[2], DETAIL_MM / voxel)
    hu = -1000 + window * (1100 + 700 * noise / noise.std())
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (8, -5, 12), degrees=True).as_matrix() @ np.diag(voxel[::-1])
    matrix[:3, 3] = (-40, 25, 300)
    return CTVolume(np.maximum(hu, -1000).astype(np.float32), matrix)
