"""The file of the real wrist's reference poses: where its bones are in the calibration's world, and how exactly that is known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from DRRSimulatorLib.camera import FloatArray, is_rigid
from DRRSimulatorLib.errors import InputError


@dataclass(frozen=True, eq=False)
class ReferencePose:
    """Where a bone is at a moment.

    Attributes:
        bone: name of its volume.
        frame: of the radiographs.
        bone_to_world: 4x4, mm.
        sigma: standard deviations of rotation (degrees) and shift (mm) by axis, values for JSON.
    """

    bone: str
    frame: str
    bone_to_world: FloatArray
    sigma: dict[str, Any]


@dataclass(frozen=True, eq=False)
class ReferencePoses:
    """What the file holds.

    Attributes:
        path: of the file.
        voxel_mm: (3,) size of a bone's voxels along column, row and slice.
        poses: of all bones and moments.
    """

    path: Path
    voxel_mm: FloatArray
    poses: tuple[ReferencePose, ...]

    def of(self, bone: str, frame: str) -> ReferencePose:
        """The pose of a bone at a moment.

        Raises:
            InputError: if there is not exactly one.
        """
        found = [pose for pose in self.poses if (pose.bone, pose.frame) == (bone, frame)]
        if len(found) != 1:
            raise InputError(f"{self.path} should hold one pose of {bone} in frame {frame}, but it holds {len(found)}.")
        return found[0]


def read_reference_poses(path: Path) -> ReferencePoses:
    """Read the file `reference_poses.json`.

    Raises:
        InputError: if it is missing or damaged, a voxel's size is not positive or a pose not rigid.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        voxel_mm = np.array(values["voxel_mm"], dtype=np.float64)
        if voxel_mm.shape != (3,) or not np.all((voxel_mm > 1e-3) & (voxel_mm < 1e3)):
            raise ValueError(f"voxel_mm is {values['voxel_mm']}")
        return ReferencePoses(path, voxel_mm, tuple(map(_pose, values["poses"])))
    except (OSError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f"The reference poses {path} cannot be read: {type(error).__name__}: {error}.") from error


def _pose(values: dict[str, Any]) -> ReferencePose:
    pose = ReferencePose(
        str(values["bone"]), str(values["frame"]), np.array(values["bone_to_world"], dtype=np.float64), dict(values["sigma"])
    )
    if not is_rigid(pose.bone_to_world):
        raise ValueError(f"the pose of {pose.bone} in frame {pose.frame} is no rigid 4x4 transform")
    json.dumps(pose.sigma, allow_nan=False)
    return pose
