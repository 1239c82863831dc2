"""Fixtures shared by the tests of registration: a small patient and a registration of two X-rays of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, move_pose, transform_points
from panel_user import PanelUser
from pelvis_case import PelvisCase
from registration_scene import SharedPatient
from small_patient import CENTRE_RAS, SmallPatient
from XRayRegistrationLib.model import ModelDescription
from XRayRegistrationLib.pose import Correspondences, solve_pose
from XRayRegistrationLib.refine import Refinement
from XRayRegistrationLib.register import Registration


@pytest.fixture(scope="session")
def patient() -> SmallPatient:
    return SmallPatient.make()


@pytest.fixture(scope="session")
def description(patient: SmallPatient) -> ModelDescription:
    x, y, z = CENTRE_RAS.tolist()
    camera = Camera.centred(1000.0, 4.0, (64, 64))
    return ModelDescription(patient.ct.fingerprint, dict(patient.bones.names), (x, y, z), 60.0, camera, (8, 16, 32))


@pytest.fixture(scope="session")
def true_ras_to_rig() -> FloatArray:
    """Pose of the patient in the rig of `registration`, which is not the first camera's frame."""
    return np.asarray(CArmView(20, 10, 5, (8, -12), 700).ras_to_camera(CENTRE_RAS))


@pytest.fixture(scope="session")
def registration(patient: SmallPatient, true_ras_to_rig: FloatArray) -> Registration:
    """Two X-rays of different cameras registered from exact correspondences and one outlier in ten; refined by 0.3 degrees and 1 mm."""
    rng = np.random.default_rng(0)
    first = Camera(1000.0, (1.6, 1.5), (150, 160), (85.0, 70.0))
    second = Camera(1100.0, (0.8, 0.8), (320, 300), (140.0, 165.0))
    pivot = transform_points(true_ras_to_rig, CENTRE_RAS[None])[0]
    rig_to_camera = [
        move_pose(np.eye(4), pivot, (0.0, 0.2, 0.0, 5.0, -5.0, 20.0)),
        move_pose(np.eye(4), pivot, (0.1, -0.9, 0.1, 0.0, 0.0, 40.0)),
    ]
    views, correspondences = [], []
    for camera, to_camera in zip((first, second), rig_to_camera, strict=True):
        pose = to_camera @ true_ras_to_rig
        views.append(patient.view(pose, camera, to_camera))
        coarse = camera.resized((40, 40))
        hits = patient.projector.scene_coordinates(coarse, pose[None]).numpy()[0].astype(np.float64)
        row, column = np.nonzero(np.isfinite(hits[0]))
        points = hits[:, row, column].T.reshape(-1, 3)
        wrong = rng.random(len(points)) < 0.1
        points[wrong] += rng.normal(0, 60, (wrong.sum(), 3))
        pixels = np.repeat(np.stack([column, row], axis=1).astype(np.float64), 2, axis=0)
        correspondences.append(Correspondences(pixels, points, rng.uniform(0.5, 3, len(points)), coarse, to_camera))
    estimate = solve_pose(correspondences)
    refined = move_pose(estimate.ras_to_rig, pivot, (0.005, 0.0, 0.0, 1.0, 0.0, 0.0))
    refinement = Refinement(refined, estimate.ras_to_rig, 0.8, 0.9, 0.1, 0.1)
    seconds = {"pose": 0.1, "refine": 0.2}
    return Registration(refined, tuple(views), estimate.ras_to_rig, "model", tuple(correspondences), estimate, refinement, seconds)


@pytest.fixture(scope="session")
def pelvis() -> PelvisCase:
    pytest.importorskip("torch")
    return PelvisCase.make()


@pytest.fixture
def logic(scene: Any, pelvis: PelvisCase) -> Any:
    """The logic of XRayRegistration in an empty scene; the sample CT and the default model are ready already."""
    from XRayRegistrationSlicer.logic import XRayRegistrationLogic

    logic = XRayRegistrationLogic()
    logic._patients = SharedPatient(pelvis.patient)
    logic._models.load = lambda path, device: pelvis.model
    return logic


@pytest.fixture(scope="session")
def dicom_inputs(tmp_path_factory: pytest.TempPathFactory, pelvis: PelvisCase) -> Path:
    """A folder with the sample CT and X-rays in DICOM; see `dicom_scene.write_inputs`."""
    from dicom_scene import write_inputs

    return write_inputs(tmp_path_factory.mktemp("dicom"), pelvis)


@pytest.fixture
def database(dicom_inputs: Path, slicer_app: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Slicer's DICOM database, a stand-in for it, with all of them."""
    import slicer
    from dicom_scene import Database

    database = Database(sorted(dicom_inputs.rglob("*.dcm")))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    return database


@pytest.fixture
def user(load_module: Any, pelvis: PelvisCase) -> PanelUser:
    """A user with the panel of XRayRegistration open and an empty scene."""
    return PanelUser(load_module("XRayRegistration"), pelvis)
