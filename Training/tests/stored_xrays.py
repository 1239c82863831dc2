"""Data sets of real X-ray images for the tests of what reads them, written by the layout and the ray caster alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, CArmView, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.exposed_field import Collimation
from DRRSimulatorLib.patient import surface_points
from DRRSimulatorLib.physics import Acquisition, simulate_xray
from DRRSimulatorLib.projector import Projector
from xray_training.dataset import layout

COLLIMATED = 1  # the number of the view with a round collimator


def write_patient(folder: Path, name: str, ct: CTVolume, bones: BoneLabels, camera: Camera, views: list[CArmView]) -> None:
    """Add a patient to a data set, whose root is made where it is missing; of five views in turn the last are for validation and test."""
    if not (folder / layout.ARRAYS).exists():
        layout.create_root(folder)
    points = surface_points(bones)
    poses = np.stack([view.ras_to_camera(points.mean(axis=0)) for view in views])
    numbers = np.arange(len(views))
    values = {key: np.zeros(len(views)) for key in layout.VIEW_VALUES} | {
        "split": np.maximum(numbers % 5 - 2, 0),
        "stratum": numbers % len(layout.STRATA),
        "primary_deg": np.array([view.primary_deg for view in views]),
        "secondary_deg": np.array([view.secondary_deg for view in views]),
        "kilovolts": np.full(len(views), 90),
        "photons": np.full(len(views), 1e5),
        "collimation": np.where(numbers == COLLIMATED, layout.OPENINGS.index("round"), 0),
        "bone_on_detector": np.ones(len(views)),
    }
    about = {"source": "made up", "licence": "none needed"}
    group = layout.create_patient(folder / layout.ARRAYS / name, ct, bones, points, camera, poses, values, about)
    projector = Projector.from_ct(ct, bones)
    coordinates = projector.scene_coordinates(camera, poses).numpy().reshape(len(views), -1, 2, 3, *camera.image_size)
    for number, pose in enumerate(poses):
        taken = Acquisition(collimation=Collimation.inside("round", camera)) if number == COLLIMATED else Acquisition()
        integrals = projector.line_integrals(camera, pose[None]).numpy()[0]
        intensity = simulate_xray(integrals, camera, np.random.default_rng(number), taken)
        depth = transform_points(pose, np.moveaxis(coordinates[number], 2, -1).reshape(-1, 3))[:, 2]
        depth = np.nan_to_num(depth.reshape(-1, 2, *camera.image_size))
        group["image"][number] = np.rint(np.clip(intensity, 0, 1.3) * layout.GREY_VALUES_PER_UNIT).astype(np.uint16)
        group["depth"][number] = np.rint(depth / layout.DEPTH_STEP_MM).astype(np.uint16)
        group["mask"][number] = depth[:, 0] > 0
