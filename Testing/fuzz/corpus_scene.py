"""What a saved scene holds of a registration, as files: the attributes of its nodes, and a matrix as MRML writes it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import FloatArray, invert_pose, move_pose, transform_points
from DRRSimulatorLib.patient import Patient, surface_points
from XRayRegistrationLib.model import ModelDescription
from XRayRegistrationLib.pose import Correspondences, PoseEstimate
from XRayRegistrationLib.refine import Refinement
from XRayRegistrationLib.register import Registration
from XRayRegistrationLib.result_files import result_numbers
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay

from .corpus_images import CAMERA, POSE, picture, small_ct

NUMBERS, CAMERA_FILE, GEOMETRY, MATRIX = "numbers.json", "camera.json", "geometry.json", "matrix.txt"


@cache
def patient() -> Patient:
    """The small CT with a bone; no ray is cast through it."""
    ct = small_ct()
    bones = BoneLabels((ct.hu > 300).astype(np.uint8), ct.ijk_to_ras, {1: "femur"})
    nothing: Any = None
    return Patient(ct, bones, nothing, surface_points(bones).mean(axis=0))


@cache
def registrations() -> dict[str, Registration]:
    """One of a lone X-ray without model and refinement, and one of two X-rays with both."""
    beside = move_pose(np.eye(4), transform_points(POSE, patient().centre_ras[None])[0], (0.0, 0.6, 0.0, 4.0, -6.0, 15.0))
    first, second = (View(XRay.from_pixels(picture(), "intensity"), CAMERA, to_camera) for to_camera in (np.eye(4), beside))
    points = patient().surfaces["femur"].points[:40].astype(np.float64)
    correspondences = tuple(
        Correspondences(
            view.camera.project(transform_points(view.rig_to_camera @ POSE, points)), points, np.ones(40), view.camera, view.rig_to_camera
        )
        for view in (first, second)
    )
    estimate = PoseEstimate(POSE, [np.ones(40, dtype=bool)] * 2, 0.5, np.eye(6) * 1e-4)
    refinement = Refinement(POSE, POSE, 0.8, 0.9, 0.1, 0.1)
    return {
        "one": Registration(POSE, (first,), POSE, "search", seconds={"search": 2.5}),
        "two": Registration(POSE, (first, second), POSE, "model", correspondences, estimate, refinement, {"pose": 0.5, "refine": 1.5}),
    }


def numbers_of(registration: Registration) -> dict[str, Any]:
    """Its numbers as the panel stores them, without what is of the machine and the moment."""
    description = ModelDescription("ab" * 32, {1: "femur"}, (1.0, 2.0, 3.0), 60.0, CAMERA, (2, 3, 2), 4)
    numbers = result_numbers(registration, names_of(registration), description if registration.estimate else None, patient().surfaces)
    moment = {"versions": {"python": "3.11"}, "date_utc": "2026-01-01T12:00:00"}
    return numbers | moment | {"bone_centre_ras": patient().centre_ras.round(6).tolist(), "force_cpu": True}


def names_of(registration: Registration) -> list[str]:
    """Of its X-rays."""
    return ["AP", "lateral"][: len(registration.views)]


def matrices_of(registration: Registration) -> list[FloatArray]:
    """4x4 of the transform of each camera, from the camera to RAS."""
    return [invert_pose(registration.ras_to_camera(number)) for number in range(len(registration.views))]


def write_scenes(folder: Path) -> None:
    """The numbers of a result; and camera, matrix and geometry of its last X-ray."""
    for name, registration in registrations().items():
        (folder / name).mkdir()
        view = registration.views[-1]
        geometry = {"camera": view.camera.to_dict(), "rig_to_camera": view.rig_to_camera.tolist()}
        for file, values in ((NUMBERS, numbers_of(registration)), (CAMERA_FILE, view.camera.to_dict()), (GEOMETRY, geometry)):
            (folder / name / file).write_text(json.dumps(values))
        matrix = matrices_of(registration)[-1]
        (folder / name / MATRIX).write_text(" ".join(repr(float(value)) for value in matrix.ravel()))
