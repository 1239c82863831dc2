"""Evaluation suites: the same name always means the same X-rays, and their poses are the true ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from DRRSimulatorLib.camera import CArmView, transform_points
from xray_training.suites import DEMO, PELVIS_200, Case, Patient, SimulatedSuite


def assert_same(one: Case, other: Case) -> None:
    assert one.number == other.number
    np.testing.assert_array_equal(one.ras_to_camera, other.ras_to_camera)
    np.testing.assert_array_equal(one.view.xray.pixels, other.view.xray.pixels)


def test_a_suite_gives_the_same_x_rays_every_time_whatever_the_limit(small_suite: SimulatedSuite, patient: Patient) -> None:
    everything = list(small_suite.cases(patient))
    assert [case.number for case in everything] == [1, 2, 3, 4]
    for first, again in zip(everything, small_suite.cases(patient, limit=2), strict=False):
        assert_same(first, again)
    assert len(list(small_suite.cases(patient, limit=2))) == 2
    assert_same(small_suite.case(4, patient), everything[3])


def test_another_number_name_or_seed_gives_another_x_ray(small_suite: SimulatedSuite, patient: Patient) -> None:
    suites = [(small_suite, 1), (small_suite, 2), (replace(small_suite, name="other"), 1), (replace(small_suite, random_seed=1), 1)]
    assert len({suite.case(number, patient).ras_to_camera.tobytes() for suite, number in suites}) == 4


def test_views_stay_in_the_range_with_the_bone_in_view(small_suite: SimulatedSuite, patient: Patient) -> None:
    limits = small_suite.view_range
    for case in small_suite.cases(patient):
        view = CArmView.from_pose(case.ras_to_camera, patient.centroid)
        assert abs(view.primary_deg) <= limits.primary_deg and abs(view.secondary_deg) <= limits.secondary_deg
        assert abs(view.roll_deg) <= limits.roll_deg and max(map(abs, view.offset_mm)) <= limits.in_plane_mm
        assert limits.source_to_bone_mm[0] <= view.source_to_point_mm <= limits.source_to_bone_mm[1]
        on_detector = case.view.camera.contains(case.view.camera.project(transform_points(case.ras_to_camera, patient.surface_points)))
        assert on_detector.mean() >= 0.1


def test_the_x_ray_is_dark_where_the_true_pose_projects_bone(small_suite: SimulatedSuite, patient: Patient) -> None:
    for case in small_suite.cases(patient):
        pixels, camera = case.view.xray.pixels, case.view.camera
        points = camera.project(transform_points(case.ras_to_camera, patient.surface_points))
        column, row = np.rint(points[camera.contains(points)]).astype(int).T
        assert case.view.xray.polarity == "intensity"
        assert np.median(pixels[row, column]) < 0.5 * np.median(pixels)


@pytest.mark.parametrize(("suite", "name", "count"), [(PELVIS_200, "pelvis-200", 200), (DEMO, "demo", 20)])
def test_the_suites_of_the_sample_pelvis_show_it_on_the_detector_of_a_mobile_c_arm(suite: SimulatedSuite, name: str, count: int) -> None:
    assert suite.name == name and suite.count == count and suite.ct_file.is_file()
    assert suite.camera.image_size == (512, 512)
    assert suite.camera.pixel_spacing[0] * 512 == pytest.approx(297, abs=0.1)
    assert suite.camera.source_to_detector_distance == 1020
