"""Making a patient ready: two balls of bone in water, whose middle and surfaces are known."""

from __future__ import annotations

import numpy as np
import pytest
from DRRSimulatorLib.bone import BoneLabels, segment_bone
from DRRSimulatorLib.camera import Camera, CArmView
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.patient import Patient, prepare_patient
from DRRSimulatorLib.progress import Cancelled
from DRRSimulatorLib.projector import Projector

SPACING_MM, RADIUS_MM = 2.0, 20.0
CENTRES = np.array([[-40.0, 10.0, 5.0], [44.0, -6.0, 5.0]])
CAMERA = Camera.centred(1000.0, 4.0, (48, 64))


@pytest.fixture(scope="module")
def ct() -> CTVolume:
    ijk_to_ras = np.diag([-SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    ijk_to_ras[:3, 3] = 80, -50, -40
    return CTVolume(np.where(balls(ijk_to_ras), 900, 0).astype(np.float32), ijk_to_ras)


@pytest.fixture(scope="module")
def bones(ct: CTVolume) -> BoneLabels:
    return BoneLabels(balls(ct.ijk_to_ras).astype(np.uint8), ct.ijk_to_ras, {1: "left", 2: "right"})


@pytest.fixture(scope="module")
def patient(ct: CTVolume, bones: BoneLabels) -> Patient:
    return prepare_patient(ct, bones)


def balls(ijk_to_ras: np.ndarray) -> np.ndarray:
    """Number of the ball in each voxel [k, j, i], 0 outside."""
    k, j, i = np.indices((40, 50, 80))
    ras = np.stack([i, j, k], axis=-1) @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
    return sum((np.linalg.norm(ras - centre, axis=-1) < RADIUS_MM) * number for number, centre in enumerate(CENTRES, 1))


def test_the_centre_is_the_middle_of_the_bones_surface(patient: Patient) -> None:
    # 4000 random points, whose coordinates spread by at most half the balls' distance and their radius.
    five_standard_errors = 5 * (np.abs(CENTRES[0] - CENTRES[1]) / 2 + RADIUS_MM) / np.sqrt(4000)
    assert (np.abs(patient.centre_ras - CENTRES.mean(axis=0)) < five_standard_errors).all()


def test_each_bone_has_the_surface_of_its_name(patient: Patient) -> None:
    assert list(patient.surfaces) == ["left", "right"]
    for surface, centre in zip(patient.surfaces.values(), CENTRES, strict=True):
        assert np.abs(np.linalg.norm(surface.points - centre, axis=1) - RADIUS_MM).max() < SPACING_MM


def test_rays_are_cast_through_its_ct_and_bones(patient: Patient, ct: CTVolume, bones: BoneLabels) -> None:
    pose = CArmView(20, 10).ras_to_camera(patient.centre_ras)[None]
    expected = Projector.from_ct(ct, bones).line_integrals(CAMERA, pose).numpy()
    assert expected[:, 1].max() > 0.5
    np.testing.assert_array_equal(patient.projector.line_integrals(CAMERA, pose).numpy(), expected)


def test_bone_is_found_in_the_ct_where_none_is_given(ct: CTVolume) -> None:
    patient = prepare_patient(ct)
    assert patient.bones.names == {1: "bone"}
    np.testing.assert_array_equal(patient.bones.labels, segment_bone(ct).labels)


def test_progress_runs_from_nothing_to_all(ct: CTVolume) -> None:
    reports: list[tuple[float, str]] = []
    prepare_patient(ct, report=lambda fraction, text: reports.append((fraction, text)))
    fractions = [fraction for fraction, _ in reports]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert all(text for _, text in reports)


def test_a_report_can_stop_it(ct: CTVolume) -> None:
    def stop(fraction: float, text: str) -> None:
        if fraction > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        prepare_patient(ct, report=stop)
