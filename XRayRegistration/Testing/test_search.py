"""The coarse search: without a model it finds the pose of a patient in an X-ray, wherever in the image the bone lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, ViewRange, move_pose, transform_points
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Cancelled
from small_patient import CENTRE_RAS, SmallPatient
from XRayRegistrationLib.metrics import pose_error
from XRayRegistrationLib.refine import Refiner
from XRayRegistrationLib.register import register
from XRayRegistrationLib.search import search_range, starting_poses
from XRayRegistrationLib.view import View

CAMERA = Camera(1000.0, (1.6, 1.5), (190, 210), (101.0, 92.5))
SMALL_RANGE = ViewRange(primary_deg=20, secondary_deg=10, roll_deg=10, source_to_bone_mm=(600.0, 800.0))
CARM = CArmView(17, -8, 6, (30, -25), 690)


@pytest.fixture(scope="module")
def refiner(patient: SmallPatient) -> Refiner:
    return Refiner(patient.projector, CENTRE_RAS, patient.ct)


@pytest.fixture(scope="module")
def true() -> FloatArray:
    return np.asarray(CARM.ras_to_camera(CENTRE_RAS))


@pytest.fixture(scope="module")
def view(patient: SmallPatient, true: FloatArray) -> View:
    return patient.view(true, CAMERA, np.eye(4))


def mtre(found: FloatArray, true: FloatArray, patient: SmallPatient) -> float:
    points = patient.surfaces["bone"].points
    return pose_error(found, true, CAMERA, points, points.mean(axis=0)).mtre_mm


def test_a_search_finds_the_pose_and_says_where_it_started(patient: SmallPatient, refiner: Refiner, view: View, true: FloatArray) -> None:
    registration = register([view], patient.ct, search_range([view]), refiner)
    assert mtre(registration.ras_to_rig, true, patient) < 1
    assert registration.origin == "search" and registration.estimate is None and not registration.correspondences
    assert registration.refinement is not None and registration.refinement.similarity > 0.95
    assert set(registration.seconds) == {"search", "refine"}


def test_the_same_search_finds_the_same_poses(refiner: Refiner, view: View) -> None:
    first, second = (starting_poses([view], refiner, SMALL_RANGE) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_candidates_are_distinct_poses_near_the_range(patient: SmallPatient, refiner: Refiner, view: View) -> None:
    poses = starting_poses([view], refiner, SMALL_RANGE)
    assert 1 < len(poses) <= 20
    assert min(mtre(a, b, patient) for number, a in enumerate(poses) for b in poses[:number]) > 5
    for pose in poses:
        column, row = CAMERA.project(transform_points(pose, CENTRE_RAS[None]))[0]
        assert -1 < column < CAMERA.image_size[1] and -1 < row < CAMERA.image_size[0]


def test_a_bone_that_the_field_cuts_is_found_within_the_field(
    patient: SmallPatient, refiner: Refiner, view: View, true: FloatArray
) -> None:
    """The rest of the image is noise, as text and shutters are."""
    field = np.zeros(CAMERA.image_size, dtype=bool)
    field[20:140, 60:190] = True
    noise = np.random.default_rng(0).uniform(0, 1000, CAMERA.image_size).astype(np.float32)
    xray = replace(view.xray, pixels=np.where(field, view.xray.pixels, noise), field=field)
    registration = register([View(xray, CAMERA)], patient.ct, SMALL_RANGE, refiner)
    assert mtre(registration.ras_to_rig, true, patient) < 2


def test_two_views_are_searched_in_the_frame_of_their_rig(patient: SmallPatient, refiner: Refiner, true: FloatArray) -> None:
    """The second has the larger field; the rig is neither camera's frame."""
    pivot = transform_points(true, CENTRE_RAS[None])[0]
    second = move_pose(np.eye(4), pivot, (0.0, -0.9, 0.0, 4.0, 6.0, -10.0))
    to_rig = move_pose(np.eye(4), pivot, (0.1, 0.3, -0.2, 20.0, 10.0, 5.0))
    small = Camera.centred(1000.0, 1.0, (200, 200))
    views = [patient.view(second @ true, small, second @ to_rig), patient.view(true, CAMERA, to_rig)]
    registration = register(views, patient.ct, SMALL_RANGE, refiner)
    assert mtre(registration.ras_to_camera(1), true, patient) < 0.5
    assert mtre(registration.ras_to_camera(0), second @ true, patient) < 0.5


def test_progress_only_rises_and_a_report_can_stop_the_search(patient: SmallPatient, refiner: Refiner, view: View) -> None:
    reports: list[tuple[float, str]] = []

    def report(fraction: float, text: str) -> None:
        reports.append((fraction, text))
        if text == "Refining the pose":
            raise Cancelled

    with pytest.raises(Cancelled):
        register([view], patient.ct, SMALL_RANGE, refiner, report=report)
    fractions, texts = zip(*reports, strict=True)
    assert list(fractions) == sorted(fractions) and fractions[0] == 0 and fractions[-1] <= 1
    assert list(dict.fromkeys(texts)) == ["Searching for the pose", "Comparing starting poses", "Refining the pose"]


def test_a_given_pose_is_refined_without_a_model(patient: SmallPatient, refiner: Refiner, view: View, true: FloatArray) -> None:
    start = move_pose(true, transform_points(true, CENTRE_RAS[None])[0], (0.03, -0.04, 0.03, 3.0, -3.0, 15.0))
    registration = register([view], patient.ct, start, refiner)
    assert mtre(registration.ras_to_rig, true, patient) < 1
    assert registration.origin == "given" and registration.estimate is None
    np.testing.assert_array_equal(registration.start, start)


@pytest.mark.parametrize("start", [SMALL_RANGE, np.eye(4)], ids=["search", "pose"])
def test_a_start_without_a_model_needs_a_refiner(patient: SmallPatient, view: View, start: ViewRange | FloatArray) -> None:
    with pytest.raises(InputError, match="refinement alone"):
        register([view], patient.ct, start)
