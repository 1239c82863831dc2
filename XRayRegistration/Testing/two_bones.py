"""A limb of two bones of random shape, of which the second has moved by a known motion between the CT and the X-rays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, invert_pose, move_pose, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.projector import Projector
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay

CAMERA = Camera.centred(1000.0, 1.2, (200, 200))
CENTRE = np.array([10.0, -20.0, 5.0])
MIDDLES = {"proximal": (0.0, 0.0, 32.0), "distal": (4.0, 2.0, -32.0)}  # of the bones, from the centre
POSE = np.asarray(CArmView(20, -5, 4, (4, 6), 650).ras_to_camera(CENTRE))


def lumpy(points: FloatArray, seed: int) -> npt.NDArray[np.bool_]:
    """Whether points (..., 3), from a bone's middle, lie in one of five random balls: a shape that no turn brings onto itself."""
    rng = np.random.default_rng(seed)
    inside = np.zeros(points.shape[:-1], dtype=bool)
    for _ in range(5):
        middle, radius = rng.uniform(-1, 1, 3) * (22, 22, 12), rng.uniform(8, 14)
        inside |= np.linalg.norm(points - middle, axis=-1) < radius
    return inside


def two_bones(distal_motion: FloatArray) -> tuple[CTVolume, BoneLabels]:
    """A CT of two bones in soft tissue, the second of them moved by a 4x4 transform in RAS: sampled anew, not resampled."""
    ijk_to_ras = np.diag([2.0, 2.0, 2.0, 1.0])
    ijk_to_ras[:3, 3] = CENTRE - 79.0
    k, j, i = np.indices((80, 80, 80))
    points = transform_points(ijk_to_ras, np.stack([i, j, k], axis=-1).reshape(-1, 3))
    labels = np.zeros(len(points), dtype=np.uint8)
    labels[lumpy(transform_points(invert_pose(distal_motion), points) - CENTRE - MIDDLES["distal"], 3)] = 2
    labels[lumpy(points - CENTRE - MIDDLES["proximal"], 2)] = 1
    in_limb = (np.linalg.norm((points - CENTRE)[:, :2], axis=1) < 60) & (np.abs((points - CENTRE)[:, 2]) < 68)
    hu = np.where(labels > 0, 900, np.where(in_limb, 40, -1000)).astype(np.float32)
    ct = CTVolume(hu.reshape(k.shape), ijk_to_ras)
    return ct, BoneLabels(labels.reshape(k.shape), ijk_to_ras, {1: "proximal", 2: "distal"})


MOTION = move_pose(np.eye(4), CENTRE + MIDDLES["distal"], (0.05, -0.08, 0.06, 3.0, -2.0, 2.0))


def views_of_the_moved_bones() -> list[View]:
    """Two X-rays of a CT in which the second bone has moved."""
    moved = Projector.from_ct(*two_bones(MOTION))
    side = move_pose(np.eye(4), transform_points(POSE, CENTRE[None])[0], (0.0, np.pi / 2, 0.0, 0.0, 0.0, 0.0))
    views = []
    for to_camera in (np.eye(4), side):
        integrals = moved.line_integrals(CAMERA, (to_camera @ POSE)[None]).numpy()[0].sum(axis=0)
        views.append(View(XRay.from_pixels(1000 * np.exp(-integrals), "intensity"), CAMERA, to_camera))
    return views
