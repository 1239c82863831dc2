"""Attenuation of a CT as the ray caster reads it: summed over slabs of slices along a main axis, two materials in one 32-bit word.

A ray needs one sample a slab, so that slabs of n slices divide its samples and its memory by n. Along the ray nothing is lost by
that; beside it, the slices of a slab are sampled up to (n - 1) / 2 times the ray's slope (voxels a slice) away from where it passes
them. So slabs are thick for rays along the main axis and thinner for oblique ones, and never thicker than 3 mm: the voxels of coarse
CTs hold more detail each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .blocks import occupied_blocks

THICKNESSES = (1, 2, 4)  # slices
LARGEST_THICKNESS_MM = 3.0
LARGEST_SHIFT = 0.6  # voxels sideways between the middle of a slab and its outermost slices
# A ray moves up to one voxel sideways a slice, so two a slab where slabs of two slices serve the most oblique rays, and no more where
# thicker ones serve less oblique rays: over half a block that is 7 voxels, and one more for the interpolation.
BLOCK_MARGIN = 8
LARGEST_WORD = 2**16 - 1


def steepest_slope(thickness: int) -> float:
    """Slope, in voxels sideways a slice, up to which slabs of a thickness serve."""
    return np.inf if thickness == 1 else LARGEST_SHIFT / ((thickness - 1) / 2)


def thicknesses_for(slice_mm: float) -> tuple[int, int]:
    """Slices in the slabs for the most oblique rays, and in those for rays along the main axis, by the distance of slices."""
    allowed = [n for n in THICKNESSES if n == 1 or n * slice_mm <= LARGEST_THICKNESS_MM]
    return max(n for n in allowed if steepest_slope(n) >= 1), max(allowed)


def main_axis_order(main: int) -> tuple[int, int, int]:
    """Axes (0 = i, 1 = j, 2 = k) of slabs along a main axis, from slowest to fastest in memory.

    The fastest is one in the axial plane, as image rows of a C-arm mostly run along it.
    """
    return ((0, 2, 1), (1, 2, 0), (2, 1, 0))[main]


class PackedAttenuation:
    """Attenuation of soft tissue and bone in 16 bits each, from which slabs are made when views first need them."""

    def __init__(self, soft: npt.NDArray[np.float32], bone: npt.NDArray[np.float32]) -> None:
        """Pack linear attenuations, 1/mm, [k, j, i]."""
        self.units = tuple(max(float(material.max(initial=0)), 1e-9) / LARGEST_WORD for material in (soft, bone))
        self._words = np.empty((*soft.shape, 2), dtype=np.uint16)
        for channel, (material, unit) in enumerate(zip((soft, bone), self.units, strict=True)):
            # Slice by slice: a whole copy in 32 bits would double the memory.
            for k, section in enumerate(material):
                self._words[k, ..., channel] = np.rint(section / np.float32(unit))

    def slabs(self, main: int, thickness: int) -> SlabVolume:
        """Slabs along an axis (0 = i, 1 = j, 2 = k)."""
        words = self._words.transpose(*(2 - axis for axis in main_axis_order(main)), 3)
        slices, rows, columns = words.shape[:3]
        count = -(-slices // thickness)
        values = np.zeros((count, rows + 2, columns + 2, 2), dtype=np.uint16)
        padded = np.zeros((count * thickness, columns, 2), dtype=np.uint16)
        for w in range(rows):  # a section at a time stays in the cache, whatever axis is contiguous in memory
            padded[:slices] = words[:, w]
            sums = padded.reshape(count, thickness, columns, 2).sum(axis=1, dtype=np.uint32)
            values[:, w + 1, 1:-1] = (sums + thickness // 2) // thickness
        packed = values.view(np.uint32)[..., 0]
        soft_unit, bone_unit = (unit * thickness for unit in self.units)
        return SlabVolume(packed, occupied_blocks(packed > 0, (0, BLOCK_MARGIN, BLOCK_MARGIN)), thickness, soft_unit, bone_unit)


@dataclass(frozen=True, eq=False)
class SlabVolume:
    """Slabs along one axis; `integral_kernels.Slabs` says what each part is.

    Attributes:
        values: uint32 [slab, w, u].
        occupied: uint8 [block, block, block].
        thickness: slices in a slab.
        soft_unit: 1/mm.
        bone_unit: 1/mm.
    """

    values: npt.NDArray[np.uint32]
    occupied: npt.NDArray[np.uint8]
    thickness: int
    soft_unit: float
    bone_unit: float

    def on(self, device: str) -> Any:
        """The `integral_kernels.Slabs` of a Warp device."""
        import warp as wp

        from .integral_kernels import Slabs

        slabs = Slabs()
        slabs.values = wp.array(self.values.ravel(), dtype=wp.uint32, device=device, copy=False)
        slabs.occupied = wp.array(self.occupied.ravel(), dtype=wp.uint8, device=device, copy=False)
        slabs.size = wp.vec3i(*self.values.shape)
        slabs.thickness = self.thickness
        slabs.soft_unit, slabs.bone_unit = self.soft_unit, self.bone_unit
        return slabs
