"""Error measures against hand-made transforms, OpenCV and their own invariances; statistics with failures."""

from __future__ import annotations

import getpass
import json
import platform
from dataclasses import astuple
from datetime import date

import cv2
import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, ViewRange, invert_pose
from DRRSimulatorLib.errors import InputError
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from XRayRegistrationLib.metrics import PoseError, environment, pose_error, summarise

CAMERA = Camera(1000.0, (0.4, 0.5), (500, 600), (310.0, 240.0))
SURFACE = np.random.default_rng(0).normal(size=(200, 3)) * (40, 30, 60) + (20, -150, 900)
CENTROID = SURFACE.mean(axis=0)

seeds = st.integers(0, 2**32 - 1)


def reference_pose(seed: int = 0) -> np.ndarray:
    return ViewRange().sample(np.random.default_rng(seed)).ras_to_camera(CENTROID)


def moved(pose: np.ndarray, rotation_vector_deg=(0, 0, 0), translation=(0, 0, 0)) -> np.ndarray:
    """The pose after a motion in the camera's frame that turns the bone about its centroid."""
    rotation = Rotation.from_rotvec(rotation_vector_deg, degrees=True).as_matrix()
    middle = pose[:3, :3] @ CENTROID + pose[:3, 3]
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = rotation, middle - rotation @ middle + translation
    return motion @ pose


def random_motion(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = Rotation.random(rng=rng).as_matrix(), rng.uniform(-300, 300, 3)
    return motion


@given(seeds)
def test_equal_poses_have_no_error(seed):
    pose = reference_pose(seed)
    assert astuple(pose_error(pose, pose, CAMERA, SURFACE, CENTROID)) == pytest.approx((0,) * 7, abs=1e-5)


@given(seeds, st.floats(0.001, 179))
def test_rotation_about_the_centroid_is_no_translation(seed, angle):
    axis = np.random.default_rng(seed).normal(size=3)
    estimated = moved(reference_pose(seed), axis / np.linalg.norm(axis) * angle)
    error = pose_error(estimated, reference_pose(seed), CAMERA, SURFACE, CENTROID)
    assert error.rotation_deg == pytest.approx(angle, abs=1e-5)
    assert error.translation_mm == pytest.approx(0, abs=1e-8)


@given(seeds, *[st.floats(-50, 50)] * 3)
def test_translation_is_split_into_in_plane_and_depth(seed, x, y, z):
    error = pose_error(moved(reference_pose(seed), translation=(x, y, z)), reference_pose(seed), CAMERA, SURFACE, CENTROID)
    assert error.in_plane_mm == pytest.approx(np.hypot(x, y), abs=1e-8)
    assert error.depth_mm == pytest.approx(abs(z), abs=1e-8)
    assert error.translation_mm == pytest.approx(np.sqrt(x * x + y * y + z * z), abs=1e-8)
    assert error.mtre_mm == pytest.approx(error.translation_mm, abs=1e-8)
    assert error.rotation_deg == pytest.approx(0, abs=1e-5)


@given(seeds, seeds)
def test_errors_do_not_depend_on_the_choice_of_the_world(seed, world_seed):
    estimated, reference = moved(reference_pose(seed), (2, -1, 3), (3, 4, 20)), reference_pose(seed)
    world = random_motion(world_seed)
    surface, centroid = SURFACE @ world[:3, :3].T + world[:3, 3], world[:3, :3] @ CENTROID + world[:3, 3]
    in_other_world = pose_error(estimated @ invert_pose(world), reference @ invert_pose(world), CAMERA, surface, centroid)
    expected = pose_error(estimated, reference, CAMERA, SURFACE, CENTROID)
    assert astuple(in_other_world) == pytest.approx(astuple(expected), rel=1e-6)


@given(seeds, seeds)
def test_distances_are_the_same_with_both_poses_exchanged(first, second):
    forward = pose_error(reference_pose(first), reference_pose(second), CAMERA, SURFACE, CENTROID)
    backward = pose_error(reference_pose(second), reference_pose(first), CAMERA, SURFACE, CENTROID)
    names = ("rotation_deg", "translation_mm", "mtre_mm", "projection_mm")
    assert [getattr(forward, name) for name in names] == pytest.approx([getattr(backward, name) for name in names], abs=1e-5)


@given(seeds)
def test_projection_distance_agrees_with_opencv(seed):
    reference = reference_pose(seed)
    estimated = moved(reference, (1, 2, -3), (5, -2, 30))

    def on_detector(pose):
        rotation_vector = cv2.Rodrigues(pose[:3, :3])[0]
        return cv2.projectPoints(SURFACE, rotation_vector, pose[:3, 3], CAMERA.matrix, None)[0][:, 0] * (0.4, 0.5)

    expected = np.linalg.norm(on_detector(estimated) - on_detector(reference), axis=1).mean()
    assert pose_error(estimated, reference, CAMERA, SURFACE, CENTROID).projection_mm == pytest.approx(expected, rel=1e-6)


def test_a_point_shifted_in_plane_is_magnified_on_the_detector_but_not_in_reprojection():
    reference = np.eye(4)
    estimated = np.eye(4)
    estimated[0, 3] = 1.0
    point = np.array([[0.0, 0.0, 500.0]])
    error = pose_error(estimated, reference, CAMERA, point, point[0])
    assert error.projection_mm == pytest.approx(1000 / 500)
    # The foot of the perpendicular from the true point on the ray through (1, 0, 500).
    assert error.reprojection_mm == pytest.approx(500 * np.sin(np.arctan2(1, 500)))


def test_a_shift_along_its_own_ray_is_seen_in_mtre_only():
    point = np.array([[30.0, -20.0, 700.0]])
    estimated = np.eye(4)
    estimated[:3, 3] = point[0] * 0.1
    error = pose_error(estimated, np.eye(4), CAMERA, point, point[0])
    assert error.mtre_mm == pytest.approx(np.linalg.norm(point) * 0.1)
    assert (error.projection_mm, error.reprojection_mm) == pytest.approx((0, 0), abs=1e-6)


def test_a_pose_with_the_bone_behind_the_source_has_no_finite_projection_error():
    reference = reference_pose()
    error = pose_error(moved(reference, translation=(0, 0, -5000)), reference, CAMERA, SURFACE, CENTROID)
    assert error.projection_mm == error.reprojection_mm == np.inf
    assert error.mtre_mm == pytest.approx(5000)


def errors_with_mtre(*values: float | None) -> list[PoseError | None]:
    return [None if value is None else PoseError(value / 2, value, value, value, value, value, value) for value in values]


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=40))
def test_statistics_without_failures_are_numpys(values):
    summary = summarise(errors_with_mtre(*values), values)
    for name in ("mtre_mm", "seconds_per_image"):
        assert summary[name] == pytest.approx(
            {
                "mean": np.mean(values),
                "std": np.std(values),
                "median": np.median(values),
                "p90": np.percentile(values, 90),
                "p95": np.percentile(values, 95),
            }
        )
    assert summary["rotation_deg"]["median"] == pytest.approx(np.median(values) / 2)


def test_a_summary_has_exactly_the_agreed_entries():
    summary = summarise(errors_with_mtre(1.0), [0.1])
    measures = {
        "rotation_deg", "translation_mm", "in_plane_mm", "depth_mm", "mtre_mm", "projection_mm", "reprojection_mm", "seconds_per_image"
    }  # fmt: skip
    assert set(summary) == {"n", "n_failed", "gross_failure_rate", "success_rate"} | measures
    assert all(set(summary[measure]) == {"mean", "std", "median", "p90", "p95"} for measure in measures)
    assert set(summary["success_rate"]) == {"1 mm", "2 mm", "5 mm", "10 mm", "1 deg"}


def test_failures_are_infinite_in_percentiles_and_counted_in_every_rate():
    summary = summarise(errors_with_mtre(1.0, 2.0, 12.0, None, None), [0.1] * 5)
    assert (summary["n"], summary["n_failed"]) == (5, 2)
    assert summary["mtre_mm"] == pytest.approx({"mean": 5, "std": np.std([1, 2, 12]), "median": 12, "p90": None, "p95": None})
    assert summary["gross_failure_rate"] == pytest.approx(3 / 5)
    assert summary["success_rate"] == pytest.approx({"1 mm": 1 / 5, "2 mm": 2 / 5, "5 mm": 2 / 5, "10 mm": 2 / 5, "1 deg": 2 / 5})


def test_a_percentile_between_a_found_pose_and_a_failure_is_infinite():
    assert summarise(errors_with_mtre(1.0, None), [0.1])["mtre_mm"]["median"] is None


@given(st.lists(st.one_of(st.none(), st.floats(0, 30)), min_size=1, max_size=30))
def test_success_at_ten_millimetres_and_gross_failures_are_everything(values):
    summary = summarise(errors_with_mtre(*values), [1.0])
    assert summary["success_rate"]["10 mm"] + summary["gross_failure_rate"] == pytest.approx(1)


@pytest.mark.parametrize("values", [(None, None), (1.0, float("inf")), (1.0,)])
def test_a_summary_is_strict_json(values):
    json.dumps(summarise(errors_with_mtre(*values), []), allow_nan=False)


def test_nothing_to_summarise_is_refused():
    with pytest.raises(InputError, match="no registrations"):
        summarise([], [])


def test_the_environment_names_versions_but_not_the_computer():
    record = environment(seed=7)
    text = json.dumps(record, allow_nan=False)
    assert set(record) == {"versions", "platform", "cpu", "cores", "seed", "date_utc"}
    assert set(record["versions"]) == {"python", "numpy", "torch", "warp", "monai", "poselib", "project"}
    assert record["versions"]["numpy"] == np.__version__
    assert record["seed"] == 7
    assert date.fromisoformat(record["date_utc"])
    assert f'"{platform.node()}"' not in text
    assert f'"{getpass.getuser()}"' not in text
