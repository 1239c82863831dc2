"""A data set written by the layout alone, of line integrals and scene coordinates as the ray caster gives them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.patient import surface_points
from DRRSimulatorLib.projector import Projector
from xray_training.dataset import layout

CAMERA = Camera.centred(1020.0, 297 / 64, (64, 64))
POSES = 5


def write_small_dataset(folder: Path, ct: CTVolume, bones: BoneLabels) -> FloatArray:
    """Write a data set of one patient, "phantom"; gives the scene coordinates (views, bones, 2, 3, rows, columns), RAS mm."""
    points = surface_points(bones)
    views = [CArmView(primary_deg=10.0 * view, offset_mm=(5.0 * view, 0.0)) for view in range(POSES)]
    poses = np.stack([view.ras_to_camera(points.mean(axis=0)) for view in views])
    values = {name: np.zeros(POSES) for name in layout.VIEW_VALUES}
    values |= {"split": np.array([0, 0, 1, 2, 0]), "stratum": np.array([0, 1, 2, 3, 5]), "kilovolts": np.full(POSES, 90)}
    values["photons"] = np.full(POSES, 1e5)
    layout.create_root(folder)
    group = layout.create_patient(folder / layout.ARRAYS / "phantom", ct, bones, points, CAMERA, poses, values, {"source": "made up"})
    projector = Projector.from_ct(ct, bones)
    integrals = projector.line_integrals(CAMERA, poses).numpy()
    coordinates = projector.scene_coordinates(CAMERA, poses).numpy().reshape(POSES, len(bones.names), 2, 3, *CAMERA.image_size)
    group["image"][...] = np.rint(np.exp(-integrals.sum(axis=1)) * layout.GREY_VALUES_PER_UNIT).astype(np.uint16)
    depths = np.empty((POSES, len(bones.names), 2, *CAMERA.image_size))
    for view, bone, surface in np.ndindex(depths.shape[:3]):
        depths[view, bone, surface] = depth_of(coordinates[view, bone, surface], poses[view])
    group["depth"][...] = np.rint(np.nan_to_num(depths) / layout.DEPTH_STEP_MM).astype(np.uint16)
    group["mask"][...] = np.isfinite(depths[:, :, 0])
    return coordinates


def depth_of(points: FloatArray, pose: FloatArray) -> FloatArray:
    """Depth (rows, columns) of points (3, rows, columns), mm."""
    flat = transform_points(pose, points.reshape(3, -1).T)
    return flat[:, 2].reshape(points.shape[1:])
