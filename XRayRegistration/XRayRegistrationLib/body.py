"""What DRRs are made of: the whole patient as one rigid body, or every bone as a body of its own; and where the bodies are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from DRRSimulatorLib.bone import BoneLabels, occupancy
from DRRSimulatorLib.camera import Camera, FloatArray, move_pose, transform_points
from DRRSimulatorLib.ct import CTVolume, hu_to_attenuation
from DRRSimulatorLib.projector import Projector

from .distance import at_distance

SOFT_TISSUE_HU = 40.0
POSE_PARAMETERS = 6  # of each body's motion: a rotation vector (rad) about its middle, and a translation (mm)


@dataclass(frozen=True, eq=False)
class Body:
    """A part of the patient that moves as a whole.

    Attributes:
        projector: of what it consists of.
        centre_ras: point (3,), RAS mm, that it turns about: the middle of its bone.
    """

    projector: Projector
    centre_ras: FloatArray


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the bodies are, and how far the detectors.

    Attributes:
        poses: 4x4 ras_to_rig of each body, (bodies, 4, 4).
        sdd_factor: true source-to-detector distances over those that the cameras tell.
    """

    poses: FloatArray
    sdd_factor: float = 1.0

    def moved(self, bodies: Sequence[Body], motion: FloatArray) -> Placement:
        """The placement after a motion: six numbers for each body in the rig's frame; and the logarithm of a factor of the distances."""
        of_bodies = motion[: POSE_PARAMETERS * len(bodies)].reshape(-1, POSE_PARAMETERS)
        poses = [
            move_pose(pose, transform_points(pose, body.centre_ras[None])[0], own)
            for pose, body, own in zip(self.poses, bodies, of_bodies, strict=True)
        ]
        further = motion[of_bodies.size :]
        return Placement(np.stack(poses), self.sdd_factor * float(np.exp(further.sum())))

    def camera(self, camera: Camera) -> Camera:
        """A camera at the distance that is true."""
        return at_distance(camera, self.sdd_factor)


class CastsRays(Protocol):
    """What pictures are made with: a `Projector`, or `PosedBodies`."""

    def line_integrals(self, camera: Camera, ras_to_camera: FloatArray) -> Any:
        """As `Projector.line_integrals`."""

    def scene_coordinates(self, camera: Camera, ras_to_camera: FloatArray) -> Any:
        """As `Projector.scene_coordinates`."""


class PosedBodies:
    """Casts rays through bodies that have moved, each by itself, as a `Projector` does through a CT."""

    def __init__(self, bodies: Sequence[Body], motions: FloatArray) -> None:
        """Take bodies and how each has moved: (bodies, 4, 4) from the CT's RAS to RAS."""
        self._bodies = list(zip(bodies, motions, strict=True))

    def line_integrals(self, camera: Camera, ras_to_camera: FloatArray) -> Any:
        """As `Projector.line_integrals`."""
        import warp as wp

        parts = [body.projector.line_integrals(camera, ras_to_camera @ motion).numpy() for body, motion in self._bodies]
        return wp.array(np.sum(parts, axis=0), dtype=wp.float32, device="cpu")

    def scene_coordinates(self, camera: Camera, ras_to_camera: FloatArray) -> Any:
        """As `Projector.scene_coordinates`, for the labels of all bodies, in the RAS of the CT, where nothing has moved."""
        import warp as wp

        parts = [body.projector.scene_coordinates(camera, ras_to_camera @ motion).numpy() for body, motion in self._bodies]
        return wp.array(np.concatenate(parts, axis=1), dtype=wp.float32, device="cpu")


def body_of_each_bone(ct: CTVolume, bones: BoneLabels, device: str = "cpu") -> list[Body]:
    """The bodies of a CT's bones, in the order of their labels; at one common pose they make up the whole CT.

    A bone consists of what it attenuates more than soft tissue, so that it leaves no hole where it moves away, and nothing counts twice
    where it moves to. Everything else moves with the first bone.
    """
    attenuation, soft_tissue = hu_to_attenuation(ct.hu), hu_to_attenuation(np.array([SOFT_TISSUE_HU], dtype=np.float32))
    fields = {label: occupancy(bones, label) for label in bones.names}
    more = {label: np.maximum(attenuation - soft_tissue, 0) * np.clip(field, 0, 1) for label, field in fields.items()}
    rest = np.maximum(attenuation - np.sum(list(more.values()), axis=0), 0)
    bodies = []
    for number, (label, field) in enumerate(fields.items()):
        soft = rest if number == 0 else np.zeros_like(rest)
        k, j, i = (float(np.mean(index)) for index in np.nonzero(bones.labels == label))
        centre = transform_points(ct.ijk_to_ras, np.array([[i, j, k]]))[0]
        bodies.append(Body(Projector(soft, more[label], [field], ct.ijk_to_ras, device), centre))
    return bodies
