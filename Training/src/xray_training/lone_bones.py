"""CTs that hold nothing but bones that were cut out of them: where such a bone is cut off, its shaft is made to go on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.ct import AIR_HU, CTVolume

# HU from fat to contrast-filled vessels.
LEAST_SOFT_TISSUE_HU, MOST_SOFT_TISSUE_HU = -200.0, 200.0
SHAFT_MM = 40.0  # as far as this the shafts go on
LEAST_CUT = 0.1  # area of an end that is cut off, to that of the largest slice; where less is left, the bone ends


def holds_lone_bones(ct: CTVolume, bones: BoneLabels) -> bool:
    """Whether a CT holds nothing but bones that were cut out of it: beside them there is less soft tissue than bone."""
    soft_tissue = (ct.hu > LEAST_SOFT_TISSUE_HU) & (ct.hu < MOST_SOFT_TISSUE_HU) & (bones.labels == 0)
    return bool(np.count_nonzero(soft_tissue) < np.count_nonzero(bones.labels))


def with_continued_shafts(ct: CTVolume, bones: BoneLabels) -> tuple[CTVolume, BoneLabels]:
    """A CT of lone bones that go straight on where a face of the volume cuts them off, and its labels, without what was added.

    In an X-ray the shaft does not end there. A network that learned on ends which are not there would look for them.
    """
    hu, labels, ijk_to_ras = ct.hu, bones.labels, ct.ijk_to_ras.copy()
    for axis, spacing in zip((2, 1, 0), ct.spacing, strict=True):
        count = round(SHAFT_MM / spacing)
        before, after = (_continuation(hu, labels, axis, end, count) for end in (0, -1))
        ijk_to_ras[:3, 3] -= ijk_to_ras[:3, 2 - axis] * before.shape[axis]
        padding = [(0, 0)] * 3
        padding[axis] = (before.shape[axis], after.shape[axis])
        hu, labels = np.concatenate([before, hu, after], axis=axis), np.pad(labels, padding)
    return CTVolume(hu, ijk_to_ras), BoneLabels(labels, ijk_to_ras, bones.names)


def _continuation(hu: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8], axis: int, end: int, count: int) -> npt.NDArray[np.float32]:
    """Slices that continue a volume beyond one of its ends along an axis: `count` of the last, or none where no bone is cut off."""
    others = tuple(other for other in range(3) if other != axis)
    areas = np.count_nonzero(labels, axis=others)
    if areas[end] <= LEAST_CUT * areas.max():
        count = 0
    last = np.where(labels.take([end], axis=axis) > 0, hu.take([end], axis=axis), np.float32(AIR_HU))
    return np.repeat(last, count, axis=axis)
