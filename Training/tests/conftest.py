"""A CT small enough to train on within a test: three ellipsoids of bone in one of soft tissue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.ct import CTVolume
from xray_training.suites import Patient, SimulatedSuite
from XRayRegistrationLib.model import Model, ModelDescription, build_network

SPACING_MM = 5.0
SIZE = 40  # voxels along each axis


def ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> npt.NDArray[np.bool_]:
    """Mask [k, j, i]; centre and radii (x, y, z) in RAS mm."""
    axis = (np.arange(SIZE) - (SIZE - 1) / 2) * SPACING_MM
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    inside: npt.NDArray[np.bool_] = sum(((a - c) / r) ** 2 for a, c, r in zip((x, y, z), centre, radii, strict=True)) < 1
    return inside


@pytest.fixture(scope="session")
def phantom_bones() -> BoneLabels:
    ellipsoids = [((-35, 10, 0), (25, 20, 60)), ((40, -20, 30), (30, 25, 20)), ((30, 20, -45), (20, 35, 20))]
    labels = np.any([ellipsoid(centre, radii) for centre, radii in ellipsoids], axis=0)
    return BoneLabels(labels.astype(np.uint8), ijk_to_ras(), {1: "bone"})


@pytest.fixture(scope="session")
def two_bones(phantom_bones: BoneLabels) -> BoneLabels:
    """The phantom's bones, of which those on the patient's right are another."""
    labels = phantom_bones.labels.copy()
    labels[..., labels.shape[2] // 2 :] *= 3
    return BoneLabels(labels, phantom_bones.ijk_to_ras, {1: "left", 3: "right"})


@pytest.fixture(scope="session")
def phantom_ct(phantom_bones: BoneLabels) -> CTVolume:
    body = ellipsoid((0, 0, 0), (90, 60, 95))
    hu = np.where(phantom_bones.labels > 0, 800.0, np.where(body, 40.0, -1000.0))
    return CTVolume(hu.astype(np.float32), ijk_to_ras())


@pytest.fixture(scope="session")
def phantom_file(phantom_ct: CTVolume, tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = sitk.GetImageFromArray(phantom_ct.hu)
    image.SetSpacing([SPACING_MM] * 3)
    image.SetOrigin((-phantom_ct.ijk_to_ras[:3, 3] * (1, 1, -1)).tolist())  # LPS
    image.SetDirection(np.diag([-1.0, -1.0, 1.0]).ravel().tolist())
    path = tmp_path_factory.mktemp("phantom") / "phantom.nii.gz"
    sitk.WriteImage(image, path)
    return path


def ijk_to_ras() -> npt.NDArray[np.float64]:
    matrix = np.diag([SPACING_MM] * 3 + [1.0])
    matrix[:3, 3] = -(SIZE - 1) / 2 * SPACING_MM
    return matrix


@pytest.fixture(scope="session")
def small_suite(phantom_file: Path) -> SimulatedSuite:
    return SimulatedSuite("small", 4, ct_file=phantom_file, camera=Camera.centred(1020.0, 297 / 128, (128, 128)))


@pytest.fixture(scope="session")
def patient(small_suite: SimulatedSuite) -> Patient:
    return small_suite.patient()


@pytest.fixture(scope="session")
def untrained_model(patient: Patient, small_suite: SimulatedSuite) -> Model:
    """A tiny network that knows nothing of the phantom."""
    description = ModelDescription(
        ct_fingerprint=patient.ct.fingerprint,
        labels={1: "bone"},
        centre_ras=(0.0, 0.0, 0.0),
        scale_mm=60.0,
        camera=small_suite.camera,
        channels=(4, 8),
    )
    return Model(build_network(description).eval(), description)
