"""Blocks of voxels that hold nothing, which rays pass over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

BLOCK = 8  # voxels along each side; `ray_kernels.BLOCK` is the same


def occupied_blocks(filled: npt.NDArray[np.bool_], margins: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Which blocks of a volume hold something, or have something near them.

    A ray passes a block of slices obliquely. It is looked up by its position in the middle of them, so the voxels beside the block
    that it may touch count as well.

    Args:
        filled: whether a voxel holds something, any three axes.
        margins: voxels beside a block that count, along each axis.

    Returns:
        uint8, 1 or 0 for each block of 8 voxels along every axis.
    """
    occupied = filled
    for axis, margin in enumerate(margins):
        starts = range(0, filled.shape[axis], BLOCK)
        within = [_part(occupied, axis, max(0, start - margin), start + BLOCK + margin).any(axis=axis) for start in starts]
        occupied = np.stack(within, axis=axis)
    return occupied.astype(np.uint8)


def _part(volume: npt.NDArray[np.bool_], axis: int, start: int, stop: int) -> npt.NDArray[np.bool_]:
    return volume[(slice(None),) * axis + (slice(start, stop),)]
