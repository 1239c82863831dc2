"""Where the CT ends amid the patient: rays that pass there see more in the X-ray than the CT knows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.projector import Projector

TISSUE_HU = -500.0  # between lung and air; what is denser attenuates
CUT_REACH_MM = 200.0  # as far as this beyond the CT the patient is taken to go on
CUT_VOXEL_MM = 4.0
CUT_AREA = 0.5  # of a face's tissue to that of the slice with most
BONE_HU = 300.0
CUT_BONE_AREA = 0.1  # the same of its bone


def beyond_ct(ct: CTVolume, device: str = "cpu") -> Projector:
    """The patient where the CT does not show it: its line integrals are positive for rays that miss a part of the patient in the CT.

    A face cuts the patient if it holds much tissue or some bone for a slice parallel to it; there the tissue is continued straight
    on. Skin that touches a face is left out: hardly anything follows, and all rays along a side would count as cut off.
    """
    step = [max(1, round(CUT_VOXEL_MM / spacing)) for spacing in reversed(ct.spacing)]
    faces = _cut_faces(ct.hu, step)
    reach = [round(CUT_REACH_MM / (n * spacing)) for n, spacing in zip(step, reversed(ct.spacing), strict=True)]
    inside = tuple(slice(n, n + size) for n, size in zip(reach, faces.shape, strict=True))
    continued = np.pad(faces, [(n, n) for n in reach], mode="edge").astype(np.float32)
    continued[inside] = 0
    ijk_to_ras = ct.ijk_to_ras.copy()
    ijk_to_ras[:3, :3] *= step[::-1]
    ijk_to_ras[:3, 3] -= ijk_to_ras[:3, :3] @ reach[::-1]
    return Projector(continued, np.zeros_like(continued), [], ijk_to_ras, device)


def _cut_faces(hu: npt.NDArray[np.float32], step: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Tissue at the faces of a volume that cut the patient, at every step-th voxel along each axis; elsewhere False."""
    coarse = hu[:: step[0], :: step[1], :: step[2]]
    faces = np.zeros(coarse.shape, dtype=np.bool_)
    for axis in range(3):
        within_slice = tuple(slice(None, None, step[other]) for other in range(3) if other != axis)
        slices, marked = np.moveaxis(coarse, axis, 0), np.moveaxis(faces, axis, 0)
        for end in (0, -1):
            face = np.moveaxis(hu, axis, 0)[end][within_slice]
            for level, least in ((TISSUE_HU, CUT_AREA), (BONE_HU, CUT_BONE_AREA)):
                largest = np.count_nonzero(slices > level, axis=(1, 2)).max()
                if np.count_nonzero(face > level) > least * largest:
                    marked[end] = face > TISSUE_HU
    return faces
