"""Where the slices of a CT's DICOM files lie, to tell whether a CT in the scene lies there still.

In 3D Slicer a CT may be cropped, resampled, or moved by a transform that was hardened, and still name the files that it was loaded from.
Cropped or resampled it lies in the patient space of its files; moved, it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from DRRSimulatorLib.camera import FloatArray, transform_points

from .dicom_header import numbers, of_frame

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # its own inverse
SAME_AXES = 0.01  # difference of unit vectors
SAME_PLACE_MM = 0.1  # positions of slices are often rounded to this


def corners(header: Dataset) -> FloatArray | None:
    """Centres (4, 3) of the pixels in the corners of a slice, LPS mm: the first, then along columns first; None where it lies nowhere."""
    position, spacing = numbers(header, "ImagePositionPatient"), numbers(header, "PixelSpacing")
    axes = numbers(header, "ImageOrientationPatient")
    if (len(position), len(spacing), len(axes)) != (3, 2, 6):
        return None
    last_column, last_row = spacing[1] * (int(header.Columns) - 1), spacing[0] * (int(header.Rows) - 1)
    along = np.reshape(axes, (2, 3))
    steps = np.array([*product((0.0, last_row), (0.0, last_column))])[:, ::-1]
    return np.array(position) + steps @ along


def is_moved(shape: tuple[int, ...], ijk_to_ras: FloatArray, headers: Sequence[Dataset]) -> bool:
    """Whether a CT is not, whole, in part or resampled along the same axes, where its files have it.

    One with as many voxels as the files must lie exactly there, any other one within them to a voxel.

    Args:
        shape: of its voxels [k, j, i].
        ijk_to_ras: 4x4 from voxel (i, j, k, 1) to RAS, mm.
        headers: of its files, classic or enhanced.
    """
    frames = [of_frame(header, number) for header in headers for number in range(int(header.get("NumberOfFrames") or 1))]
    places = [place for frame in frames if (place := corners(frame)) is not None]
    if not places or len(places) < len(frames):
        return True
    first, beside, below, _ = places[0]
    axes = np.stack([beside - first, below - first, np.cross(beside - first, below - first)])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    own_axes = RAS_TO_LPS[:3, :3] @ ijk_to_ras[:3, :3]
    spacing = np.linalg.norm(own_axes, axis=0)
    turned = np.abs(axes @ own_axes / spacing)
    if (np.minimum(turned, 1 - turned) > SAME_AXES).any():
        return True
    whole = np.prod(shape) == len(frames) * int(frames[0].Rows) * int(frames[0].Columns)
    last_voxel = np.array(shape[::-1]) - 1.0
    own = transform_points(RAS_TO_LPS @ ijk_to_ras, np.array([*product(*((0.0, last) for last in last_voxel))])) @ axes.T
    of_files = np.concatenate(places) @ axes.T
    beyond = np.stack([of_files.min(axis=0) - own.min(axis=0), own.max(axis=0) - of_files.max(axis=0)])
    return bool((np.abs(beyond) > SAME_PLACE_MM).any() if whole else (beyond > spacing.max()).any())
