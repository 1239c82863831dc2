"""Refinement: it finds the pose again from nearby and from farther away, whatever hides parts of the X-ray, and never makes it worse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, move_pose, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.projector import Projector
from small_patient import CENTRE_RAS, SmallPatient
from XRayRegistrationLib.body_end import beyond_ct
from XRayRegistrationLib.metrics import pose_error
from XRayRegistrationLib.refine import Refiner
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay

SQUARE = Camera.centred(1000.0, 1.2, (200, 200))


@pytest.fixture(scope="module")
def refiner(patient: SmallPatient) -> Refiner:
    return Refiner(patient.projector, CENTRE_RAS, patient.ct)


def mtre(found: FloatArray, true: FloatArray, patient: SmallPatient) -> float:
    points = patient.surfaces["bone"].points
    return pose_error(found, true, SQUARE, points, points.mean(axis=0)).mtre_mm


def moved(pose: FloatArray, motion: tuple[float, ...]) -> FloatArray:
    """A pose after a rotation vector (rad) about the bone's middle and a translation (mm)."""
    return move_pose(pose, transform_points(pose, CENTRE_RAS[None])[0], motion)


@pytest.mark.parametrize("inverted", [False, True], ids=["bone dark", "bone bright"])
def test_refinement_finds_the_pose_again_from_nearby(patient: SmallPatient, refiner: Refiner, inverted: bool) -> None:
    true = np.asarray(CArmView(-15, 12, 4, (6, 9), 690).ras_to_camera(CENTRE_RAS))
    view = patient.view(true, SQUARE, np.eye(4))
    if inverted:
        # Another gain and offset than the DRR has.
        view = View(XRay(40 + 300 * view.image, view.xray.field, "attenuation"), SQUARE)
    start = move_pose(true, transform_points(true, CENTRE_RAS[None])[0], (0.03, -0.04, 0.03, 3.0, -3.0, 15.0))
    result = refiner.refine([view], start)
    assert mtre(start, true, patient) > 10
    assert mtre(result.ras_to_rig, true, patient) < 1.0
    assert result.similarity > result.similarity_before


def test_refinement_over_two_views_fixes_the_depth(patient: SmallPatient, refiner: Refiner) -> None:
    true = np.asarray(CArmView(0, 0, 0, (0, 0), 700).ras_to_camera(CENTRE_RAS))
    side = move_pose(np.eye(4), np.array([0.0, 0.0, 700.0]), (0.0, np.pi / 2, 0.0, 0.0, 0.0, 0.0))
    views = [patient.view(rig @ true, SQUARE, rig) for rig in (np.eye(4), side)]
    start = move_pose(true, transform_points(true, CENTRE_RAS[None])[0], (0.02, 0.02, -0.02, 2.0, -2.0, 8.0))
    assert mtre(refiner.refine(views, start).ras_to_rig, true, patient) < 0.3


def test_refinement_never_lowers_its_own_measure(patient: SmallPatient, refiner: Refiner) -> None:
    noise = np.random.default_rng(1).normal(0, 1, (200, 200)).astype(np.float32)
    view = View(XRay(noise, np.ones((200, 200), bool), "attenuation"), SQUARE)
    start = np.asarray(CArmView(0, 0, 0, (0, 0), 700).ras_to_camera(CENTRE_RAS))
    result = refiner.refine([view], start)
    assert result.similarity >= result.similarity_before


@pytest.mark.parametrize("depth", [-40.0, 40.0])
def test_a_start_that_is_8_degrees_and_40_mm_away_leads_to_the_pose(patient: SmallPatient, refiner: Refiner, depth: float) -> None:
    true = np.asarray(CArmView(-15, 12, 4, (6, 9), 690).ras_to_camera(CENTRE_RAS))
    start = moved(true, (0.08, -0.1, 0.06, 5.0, -5.0, depth))
    assert mtre(refiner.refine([patient.view(true, SQUARE, np.eye(4))], start).ras_to_rig, true, patient) < 1


def test_the_best_of_several_starts_is_refined(patient: SmallPatient, refiner: Refiner) -> None:
    true = np.asarray(CArmView(-15, 12, 4, (6, 9), 690).ras_to_camera(CENTRE_RAS))
    starts = [
        moved(true, motion) for motion in ((0.0, 1.0, 0.0, 0.0, 0.0, 0.0), (0.05, 0.0, 0.0, 3.0, 0.0, 20.0), (0.0, 0.0, 3.0, 9.0, 9.0, 9.0))
    ]
    result = refiner.refine_best([patient.view(true, SQUARE, np.eye(4))], starts)
    assert mtre(result.ras_to_rig, true, patient) < 1


def test_tools_text_and_saturation_hardly_move_the_pose(patient: SmallPatient, refiner: Refiner) -> None:
    """A black rod, letters at the edge, and a detector that saturates beside the patient."""
    true = np.asarray(CArmView(10, -5, 4, (6, 9), 690).ras_to_camera(CENTRE_RAS))
    view = patient.view(true, SQUARE, np.eye(4))
    pixels = np.minimum(view.xray.pixels, 500)
    row, column = np.indices(pixels.shape)
    pixels[np.abs(row - 0.7 * column - 20) < 4] = 5
    pixels[5:20, 150:190:3] = 480
    start = moved(true, (0.03, -0.04, 0.03, 3.0, -3.0, 15.0))
    result = refiner.refine([View(replace(view.xray, pixels=pixels), SQUARE)], start)
    assert mtre(result.ras_to_rig, true, patient) < 2


def cut(ct: CTVolume, first: int) -> CTVolume:
    """A CT without its first slices."""
    ijk_to_ras = ct.ijk_to_ras.copy()
    ijk_to_ras[:3, 3] += first * ijk_to_ras[:3, 2]
    return CTVolume(ct.hu[first:].copy(), ijk_to_ras)


def test_a_ct_that_ends_amid_the_patient_is_registered_by_what_it_shows(patient: SmallPatient) -> None:
    """A quarter of the patient's length is missing in the CT but seen in the X-ray; at the cut the DRR has edges that the X-ray has not."""
    ct = cut(patient.ct, 12)
    bones = BoneLabels(patient.bones.labels[12:], ct.ijk_to_ras, patient.bones.names)
    part = Refiner(Projector.from_ct(ct, bones), CENTRE_RAS, ct)
    true = np.asarray(CArmView(10, -5, 4, (6, 9), 690).ras_to_camera(CENTRE_RAS))
    result = part.refine([patient.view(true, SQUARE, np.eye(4))], moved(true, (0.03, -0.04, 0.03, 3.0, -3.0, 15.0)))
    assert mtre(result.ras_to_rig, true, patient) < 2
    assert result.similarity > 0.9


def test_rays_beyond_the_ct_are_those_that_miss_a_part_of_the_patient(patient: SmallPatient) -> None:
    """The middle of a slice that the CT has lost lies on them, the middle of one that it keeps on none, seen across the slices."""
    ct = cut(patient.ct, 12)
    across = np.asarray(ct.ijk_to_ras[:3, 0] / np.linalg.norm(ct.ijk_to_ras[:3, 0]))
    along = np.asarray(ct.ijk_to_ras[:3, 2] / np.linalg.norm(ct.ijk_to_ras[:3, 2]))
    pose = np.eye(4)
    pose[:3, :3] = np.stack([np.cross(along, across), along, across])
    pose[:3, 3] = (0.0, 0.0, 5000.0) - pose[:3, :3] @ CENTRE_RAS
    camera = Camera.centred(6000.0, 1.2, (200, 200))
    missed = beyond_ct(ct).line_integrals(camera, pose[None]).numpy()[0].sum(axis=0) > 0
    for slice_index, expected in ((2, True), (9, True), (15, False), (30, False)):
        middle = patient.ct.ijk_to_ras @ (19.5, 19.5, slice_index, 1.0)
        column, row = np.rint(camera.project(transform_points(pose, middle[None, :3]))[0]).astype(int)
        assert missed[row, column] == expected
    assert not beyond_ct(patient.ct).line_integrals(camera, pose[None]).numpy().any()  # air is all around the whole patient


@pytest.mark.parametrize("wrong", [0.9, 1.1])
def test_two_views_tell_a_distance_of_the_detector_that_is_wrong_by_a_tenth(patient: SmallPatient, refiner: Refiner, wrong: float) -> None:
    true = np.asarray(CArmView(0, 0, 0, (0, 0), 700).ras_to_camera(CENTRE_RAS))
    side = move_pose(np.eye(4), np.array([0.0, 0.0, 700.0]), (0.0, np.pi / 2, 0.0, 0.0, 0.0, 0.0))
    views = [patient.view(rig @ true, SQUARE, rig).at_distance(wrong) for rig in (np.eye(4), side)]
    start = moved(true, (0.02, 0.02, -0.02, 2.0, -2.0, 8.0))
    result = refiner.refine(views, start, sdd_unknown=True)
    assert wrong * result.sdd_factor == pytest.approx(1.0, abs=0.005)
    assert abs(wrong * result.sdd_factor - 1) < 3 * wrong * result.sdd_deviation
    assert mtre(result.ras_to_rig, true, patient) < 0.5
    known = refiner.refine(views, start)
    assert known.sdd_factor == 1 and known.sdd_deviation == 0
    assert known.similarity < result.similarity
