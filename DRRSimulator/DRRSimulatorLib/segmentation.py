"""Bone in a CT, found by its density and by what it encloses: no model, no training, any voxel size.

Lengths are millimetres and ``spacing`` is per array axis [k, j, i], so the same anatomy gives the same result on coarse and fine
grids. Known limits: of vessels filled with contrast agent only the large ones are told from bone (`contrast`); metal and its streaks
are kept where they touch it; marrow behind a cortex too thin for the voxels (a porous sacrum) stays open.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from .coarse_grid import Mask, Spacing, ball, coarse_spacing, every, on_fine_grid, steps_of
from .contrast import contrast_agent

# Trabecular bone of the lumbar spine has 100 to 200 HU in adults (Pickhardt et al., Ann Intern Med 2013;158:588-595); muscle, organs
# and blood without contrast agent stay under 80 HU. A bone also has some cortex, which reaches 250 HU even in 3 mm voxels.
_TRABECULAR_HU = 120.0
_CORTICAL_HU = 250.0
_ABOVE_CONTRAST = 1.2  # times as dense as blood full of contrast agent is cortex
_METAL_HU = 1500.0  # higher values are cut, or smoothing would widen metal
_BODY_HU = -300.0  # between lung and fat

_NOISE_MM = 0.7  # standard deviation of the smoothing: a voxel of a fine CT; coarse voxels are averages already
_SMALLEST_BONE_MM3 = 500.0  # kidney stones and calcified plaques are smaller, carpal bones are larger
_CORTEX_GAP_MM = 3.0  # gaps in a cortex up to twice as wide are bridged while marrow is sought
_TRABECULAR_GAP_MM2 = 100.0  # holes up to this size are gaps between trabeculae; the spinal canal's section is larger
_TABLE_MM = 3.0  # half the thickness of what is no body: shells of tables, covers, cables
_SMALLEST_BODY_PART = 0.01  # of the largest: a hand beside the trunk


def bone_mask(hu: npt.NDArray[np.float32], spacing: Spacing) -> Mask:
    """Bone with its marrow, and metal attached to it, in a CT.

    Hysteresis threshold within the body, then holes of the cortex are filled; the CT table, small calcifications and, with a warning,
    the heart, vessels and organs full of contrast agent are left out.

    Args:
        hu: Hounsfield units, [k, j, i].
        spacing: mm along k, j, i.

    Returns:
        Mask [k, j, i], empty where there is no bone.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(np.clip(hu, None, _METAL_HU), [_NOISE_MM / s for s in spacing])
    dense = (smooth > _TRABECULAR_HU) & _body(smooth, spacing)
    cortical_hu, contrast = _CORTICAL_HU, contrast_agent(smooth, dense, spacing)
    if contrast is not None:
        cortical_hu = max(cortical_hu, _ABOVE_CONTRAST * contrast.hu)
        dense &= ~contrast.mask
        volume_ml = float(np.prod(spacing)) * np.count_nonzero(contrast.mask) / 1000
        warnings.warn(
            f"The CT holds contrast agent of up to {contrast.hu:.0f} HU, as dense as bone: {volume_ml:.0f} ml of vessels and organs were "
            "left out of the bone, but small ones may be in it; check it, or give a label map of the bones.",
            stacklevel=3,
        )
    regions, count = ndimage.label(dense)
    is_bone = np.bincount(regions.ravel()) * np.prod(spacing) >= _SMALLEST_BONE_MM3
    has_cortex = np.zeros(count + 1, dtype=bool)
    has_cortex[regions[smooth > cortical_hu]] = True
    is_bone &= has_cortex
    is_bone[0] = False
    bone: Mask = is_bone[regions]
    if bone.any():
        box = bounding_box(bone, [int(_CORTEX_GAP_MM / s) + 1 for s in spacing])
        bone[box] = _with_marrow(bone[box], spacing)
    return bone


def bounding_box(mask: Mask, margin: list[int]) -> tuple[slice, ...]:
    """Slices that cut out a mask that is not empty, widened by a margin of voxels per axis as far as the array reaches."""
    box = []
    for axis, (size, extra) in enumerate(zip(mask.shape, margin, strict=True)):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        inside = np.flatnonzero(mask.any(axis=others))
        box.append(slice(max(0, int(inside[0]) - extra), min(size, int(inside[-1]) + 1 + extra)))
    return tuple(box)


def _body(hu: npt.NDArray[np.float32], spacing: Spacing) -> Mask:
    """The patient without table, cushions and cables; lungs and bowel are filled. Found on a grid of about 2 mm, for speed."""
    from scipy import ndimage

    steps, coarse_mm = steps_of(spacing), coarse_spacing(spacing)
    coarse = every(hu, steps) > _BODY_HU
    table = ball(_TABLE_MM, coarse_mm)
    # An opening; the body goes on beyond the CT's edge, so that nothing is eroded from there.
    parts, _ = ndimage.label(ndimage.binary_dilation(ndimage.binary_erosion(coarse, table, border_value=1), table))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    body = (sizes > _SMALLEST_BODY_PART * sizes.max())[parts]
    for axis in range(3):
        body |= _slice_holes(body, axis, coarse_mm) > 0
    return on_fine_grid(body, steps, hu.shape)


def _with_marrow(bone: Mask, spacing: Spacing) -> Mask:
    """Bone and what it encloses, where the cortex has gaps as well; joints and the spinal canal stay open.

    A plain closing would weld joints. So gaps are closed only to see what is enclosed then, and of what the closing added itself
    only the part beside this marrow is kept.
    """
    from scipy import ndimage

    gap = ball(_CORTEX_GAP_MM, spacing)
    bone = bone | _enclosed(bone, spacing, _TRABECULAR_GAP_MM2)
    closed = ndimage.binary_erosion(ndimage.binary_dilation(bone, gap), gap, border_value=1)
    marrow = _enclosed(closed, spacing)
    bone |= marrow | (closed & ndimage.binary_dilation(marrow, gap))
    return bone | _enclosed(bone, spacing, _TRABECULAR_GAP_MM2)


def _enclosed(bone: Mask, spacing: Spacing, small_mm2: float = 0.0) -> Mask:
    """Voxels that bone surrounds in the slices of two directions, or of one direction in a small hole.

    One direction alone would fill the spinal canal, which is a ring in axial slices only. Bones that the CT's edge cuts are
    capped there, or the marrow of a shaft would count as open.
    """
    from scipy import ndimage

    capped = np.pad(bone, 1, mode="edge")
    for axis in range(3):
        faces = np.moveaxis(capped, axis, 0)
        for end in (0, -1):
            faces[end] = ndimage.binary_fill_holes(faces[end])
    votes = np.zeros(capped.shape, dtype=np.uint8)
    for axis in range(3):
        votes += _slice_holes(capped, axis, spacing, small_mm2)
    return votes[1:-1, 1:-1, 1:-1] >= 2


def _slice_holes(mask: Mask, axis: int, spacing: Spacing, small_mm2: float = 0.0) -> npt.NDArray[np.uint8]:
    """Holes of a mask in each slice across an axis: 0 = none, 1 = a hole, 2 = a small one."""
    from scipy import ndimage

    within_slice = ndimage.generate_binary_structure(3, 1)
    np.moveaxis(within_slice, axis, 0)[[0, 2]] = False
    regions, count = ndimage.label(~mask, within_slice)
    is_hole = np.ones(count + 1, dtype=bool)
    is_hole[0] = False
    for other in {0, 1, 2} - {axis}:
        for end in (0, -1):
            is_hole[np.take(regions, end, axis=other)] = False
    areas = np.bincount(regions.ravel(), minlength=count + 1) * np.prod(spacing) / spacing[axis]
    values = is_hole.astype(np.uint8) + (is_hole & (areas <= small_mm2))
    return values[regions]
