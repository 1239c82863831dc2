"""The camera: projection against OpenCV, C-arm angles against the directions a radiographer knows, and views in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import (
    Camera,
    CArmView,
    FloatArray,
    ViewRange,
    invert_pose,
    is_rigid,
    load_view,
    move_pose,
    sample_poses,
    save_view,
    transform_points,
)
from DRRSimulatorLib.errors import InputError
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

RIGHT, ANTERIOR, SUPERIOR = np.eye(3)
LEFT, POSTERIOR, INFERIOR = -np.eye(3)

BONE = np.array([12.0, -35.0, 240.0])
SQUARE = Camera.centred(1000, 0.5, (400, 300))

spacings = st.floats(0.05, 2)
sizes = st.tuples(st.integers(1, 3000), st.integers(1, 3000))
cameras = st.builds(
    Camera,
    st.floats(200, 2000),
    st.tuples(spacings, spacings),
    sizes,
    st.tuples(st.floats(-500, 3000), st.floats(-500, 3000)),
)
image_points = st.tuples(st.floats(-1000, 4000), st.floats(-1000, 4000))
depths = st.floats(1, 3000)
views = st.builds(
    CArmView,
    st.floats(-179, 179),
    st.floats(-85, 85),
    st.floats(-179, 179),
    st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
    st.floats(300, 1500),
)


def axes_in_ras(view: CArmView) -> FloatArray:
    """Rows: directions in the patient of the image's columns, of its rows (downwards), and of the beam."""
    return view.ras_to_camera(BONE)[:3, :3]


@given(cameras, image_points, depths)
def test_back_projection_inverts_projection(camera: Camera, point: tuple[float, float], depth: float) -> None:
    point_camera = camera.back_project(point, depth)
    assert point_camera[2] == depth
    np.testing.assert_allclose(camera.project(point_camera), point, atol=1e-8)


def test_projection_agrees_with_opencv() -> None:
    cv2 = pytest.importorskip("cv2")
    camera = Camera(987.0, (0.31, 0.47), (700, 900), (411.5, 290.25))
    pose = CArmView(33, -14, 7, (12.0, -8.0), 640).ras_to_camera(BONE)
    points = BONE + np.random.default_rng(0).normal(0, 60, (50, 3))
    expected, _ = cv2.projectPoints(points, cv2.Rodrigues(pose[:3, :3])[0], pose[:3, 3], camera.matrix, None)
    np.testing.assert_allclose(camera.project(transform_points(pose, points)), expected[:, 0], atol=1e-8)


def test_points_at_or_behind_the_source_have_no_image() -> None:
    image = SQUARE.project([[0, 0, 500], [0, 0, 0], [1, 2, -500]])
    assert np.isfinite(image[0]).all() and np.isnan(image[1:]).all()
    assert SQUARE.contains(image).tolist() == [True, False, False]


def test_the_detector_reaches_half_a_pixel_beyond_its_outer_pixel_centres() -> None:
    corners = [[-0.5, -0.5], [299.5, 399.5], [-0.51, 0], [299.51, 0], [0, -0.51], [0, 399.51]]
    assert SQUARE.contains(corners).tolist() == [True, True, False, False, False, False]


def test_the_principal_point_of_a_centred_camera_is_where_the_middle_pixels_meet() -> None:
    assert SQUARE.principal_point == (149.5, 199.5)
    corners = SQUARE.back_project([[-0.5, -0.5], [299.5, 399.5]], 1000)
    np.testing.assert_allclose(corners, [[-75, -100, 1000], [75, 100, 1000]])


@given(cameras, sizes, st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_resizing_keeps_the_ray_through_every_place_of_the_detector(
    camera: Camera, size: tuple[int, int], place: tuple[float, float]
) -> None:
    resized = camera.resized(size)
    assert resized.image_size == size

    def ray(c: Camera) -> FloatArray:
        rows, columns = c.image_size
        return c.back_project(np.array(place) * (columns, rows) - 0.5, 1000)  # a share of the area, from its edge

    np.testing.assert_allclose(ray(resized), ray(camera), rtol=1e-9, atol=1e-6)


@given(cameras, st.integers(-50, 2000), st.integers(-50, 2000), sizes, image_points)
def test_cropping_keeps_rays_and_moves_pixels(
    camera: Camera, row: int, column: int, size: tuple[int, int], point: tuple[float, float]
) -> None:
    cropped = camera.cropped(row, column, size)
    assert cropped.image_size == size
    moved = np.subtract(point, (column, row))
    np.testing.assert_allclose(cropped.back_project(moved, 700), camera.back_project(point, 700), atol=1e-7)


@given(cameras)
def test_a_camera_matrix_keeps_all_rays(camera: Camera) -> None:
    again = Camera.from_matrix(3.7 * camera.matrix, camera.image_size)  # K means the same at any scale
    point = camera.back_project((123.0, -45.0), 600)
    np.testing.assert_allclose(again.project(point), (123.0, -45.0), atol=1e-7)


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(4),
        [[0, 0, 1], [0, 1, 1], [0, 0, 1]],
        [[-900, 0, 1], [0, 900, 1], [0, 0, 1]],
        [[900, 30, 1], [0, 900, 1], [0, 0, 1]],
        [[900, 0, 1], [0, 900, 1], [0, 0.1, 1]],
        [[900, 0, 1], [2, 900, 1], [0, 0, 1]],
        [[900, 0, 1], [0, 900, 1], [0, 0, 0]],
        [[900, 0, 1], [0, 900, 1], [0, 0, -1]],
        [[900, 0, np.nan], [0, 900, 1], [0, 0, 1]],
    ],
)
@pytest.mark.filterwarnings("error")
def test_matrices_of_no_supported_camera_are_refused(matrix: Any) -> None:
    with pytest.raises(InputError, match="camera matri"):
        Camera.from_matrix(matrix, (100, 100))


@pytest.mark.parametrize(
    "change",
    [
        {"source_to_detector_distance": 0.0},
        {"source_to_detector_distance": float("nan")},
        {"pixel_spacing": (0.5, -0.5)},
        {"pixel_spacing": (float("inf"), 0.5)},
        {"image_size": (0, 10)},
        {"principal_point": (float("inf"), 0.0)},
    ],
)
def test_impossible_cameras_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Camera.from_dict(SQUARE.to_dict() | change)


@pytest.mark.parametrize(
    ("view", "beam"),
    [
        (CArmView(), ANTERIOR),  # the detector in front, the source under the table
        (CArmView(primary_deg=90), LEFT),  # LAO: the detector goes to the patient's left
        (CArmView(primary_deg=-90), RIGHT),
        (CArmView(secondary_deg=90), SUPERIOR),  # CRAN: the detector goes to the head
        (CArmView(secondary_deg=-90), INFERIOR),
        (CArmView(primary_deg=180), POSTERIOR),
        (CArmView(primary_deg=45), (ANTERIOR + LEFT) / np.sqrt(2)),
        (CArmView(secondary_deg=45), (ANTERIOR + SUPERIOR) / np.sqrt(2)),
        (CArmView(primary_deg=45, secondary_deg=30), np.array([-np.sqrt(3 / 8), np.sqrt(3 / 8), 0.5])),  # both tilts at once
    ],
)
def test_positioner_angles_put_the_detector_where_their_names_say(view: CArmView, beam: FloatArray) -> None:
    np.testing.assert_allclose(axes_in_ras(view)[2], beam, atol=1e-12)


def test_seen_from_the_source_the_head_is_up_and_columns_run_to_the_patients_right() -> None:
    np.testing.assert_allclose(axes_in_ras(CArmView())[:2], [RIGHT, INFERIOR], atol=1e-12)


def test_positive_roll_turns_the_patient_counter_clockwise_in_the_image() -> None:
    pose = CArmView(roll_deg=90).ras_to_camera(BONE)
    head = SQUARE.project(transform_points(pose, [BONE + 10 * SUPERIOR]))[0]
    assert head[0] < SQUARE.principal_point[0] - 10  # up, turned counter-clockwise, is left
    assert head[1] == pytest.approx(SQUARE.principal_point[1])


@given(views)
def test_a_view_sees_its_point_at_its_offset_and_depth(view: CArmView) -> None:
    pose = view.ras_to_camera(BONE)
    assert is_rigid(pose, 1e-9)
    np.testing.assert_allclose(transform_points(pose, [BONE]), [[*view.offset_mm, view.source_to_point_mm]], atol=1e-9)


@pytest.mark.parametrize("view", [{"primary_deg": np.inf}, {"offset_mm": (0.0, np.nan)}, {"source_to_point_mm": -np.inf}])
def test_views_with_numbers_that_are_not_finite_are_refused(view: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="must be finite"):
        CArmView(**view)


@given(views)
def test_a_view_is_found_again_from_its_pose(view: CArmView) -> None:
    again = CArmView.from_pose(view.ras_to_camera(BONE), BONE)
    for name in ("primary_deg", "secondary_deg", "roll_deg", "offset_mm", "source_to_point_mm"):
        np.testing.assert_allclose(getattr(again, name), getattr(view, name), atol=1e-6)


@given(views)
def test_the_inverse_pose_is_the_matrix_inverse(view: CArmView) -> None:
    poses = np.stack([view.ras_to_camera(BONE), np.eye(4)])
    np.testing.assert_allclose(invert_pose(poses), np.linalg.inv(poses), atol=1e-8)


@given(cameras, views, image_points)
def test_pixels_placed_in_the_patient_project_onto_themselves(camera: Camera, view: CArmView, point: tuple[float, float]) -> None:
    pose = view.ras_to_camera(BONE)
    to_ras = camera.detector_to_ras(pose)
    on_detector = transform_points(to_ras, [[*point, 0]])
    seen = transform_points(pose, on_detector)
    assert seen[0, 2] == pytest.approx(camera.source_to_detector_distance)
    np.testing.assert_allclose(camera.project(seen), [point], atol=1e-6)
    towards = transform_points(pose, transform_points(to_ras, [[*point, 1]])) - seen
    np.testing.assert_allclose(towards, [[0, 0, camera.pixel_spacing[1]]], atol=1e-9)


@given(
    views,
    st.tuples(*[st.floats(-300, 300)] * 3),
    st.tuples(*[st.floats(-3, 3)] * 3, *[st.floats(-50, 50)] * 3),
)
def test_moving_a_pose_turns_about_the_pivot_and_then_shifts(view: CArmView, pivot: Any, motion: Any) -> None:
    pose = view.ras_to_camera(BONE)
    moved = move_pose(pose, pivot, motion)
    points = BONE + np.random.default_rng(1).normal(0, 50, (5, 3))
    turned = Rotation.from_rotvec(motion[:3]).apply(transform_points(pose, points) - pivot) + pivot
    np.testing.assert_allclose(transform_points(moved, points), turned + motion[3:], atol=1e-8)
    np.testing.assert_allclose(move_pose(pose, pivot, np.zeros(6)), pose, atol=1e-12)


def test_a_small_motion_moves_points_by_its_cross_product() -> None:
    """The derivative that every pose optimiser relies on: d x = omega x (x - pivot) + t."""
    pose, pivot = CArmView(20, 10, 5).ras_to_camera(BONE), np.array([5.0, -7.0, 650.0])
    points = BONE + np.random.default_rng(2).normal(0, 50, (5, 3))
    start = transform_points(pose, points)
    for axis, step in enumerate(1e-6 * np.eye(6)):
        slope = (transform_points(move_pose(pose, pivot, step), points) - transform_points(move_pose(pose, pivot, -step), points)) / 2e-6
        expected = np.cross(np.eye(3)[axis], start - pivot) if axis < 3 else np.broadcast_to(np.eye(3)[axis - 3], start.shape)
        np.testing.assert_allclose(slope, expected, atol=1e-5)


def test_random_poses_stay_in_their_ranges_and_fill_them() -> None:
    limits = ViewRange(30, 20, 10, 40, (600, 800))
    points = BONE + np.random.default_rng(3).normal(0, 20, (200, 3))
    poses = sample_poses(300, Camera.centred(1000, 1.0, (400, 400)), points, limits, np.random.default_rng(4))
    found = [CArmView.from_pose(pose, points.mean(axis=0)) for pose in poses]
    values = np.array([(v.primary_deg, v.secondary_deg, v.roll_deg, *v.offset_mm, v.source_to_point_mm) for v in found])
    low, high = np.array([(-30, 30), (-20, 20), (-10, 10), (-40, 40), (-40, 40), (600, 800)]).T
    assert ((values > low - 1e-6) & (values < high + 1e-6)).all()
    # 300 uniform values all miss a twentieth of their range at one end once in 5 million times.
    assert (values.min(axis=0) < low + 0.05 * (high - low)).all() and (values.max(axis=0) > high - 0.05 * (high - low)).all()


def test_random_poses_show_at_least_the_wanted_share_of_the_bone() -> None:
    camera = Camera.centred(1000, 1.0, (100, 100))
    points = BONE + np.random.default_rng(5).normal(0, 20, (200, 3))

    def least_visible(minimum: float) -> float:
        poses = sample_poses(100, camera, points, ViewRange(in_plane_mm=80), np.random.default_rng(6), minimum)
        return min(camera.contains(camera.project(transform_points(pose, points))).mean() for pose in poses)

    assert least_visible(0.5) >= 0.5 > least_visible(0.0)


def test_a_range_that_hardly_ever_shows_the_bone_is_refused() -> None:
    with pytest.raises(InputError, match="hardly ever on the detector"):
        sample_poses(2, Camera.centred(1000, 0.01, (10, 10)), BONE[None], ViewRange(in_plane_mm=500), np.random.default_rng(7))


def test_no_poses_have_the_shape_of_poses() -> None:
    assert sample_poses(0, SQUARE, BONE[None], ViewRange(), np.random.default_rng(8)).shape == (0, 4, 4)


@given(camera=cameras, view=views)
def test_a_camera_survives_json(camera: Camera, view: CArmView) -> None:
    assert Camera.from_dict(json.loads(json.dumps(camera.to_dict()))) == camera


def test_a_view_survives_its_file(tmp_path: Path) -> None:
    camera, pose = Camera(1020.5, (0.3, 0.4), (512, 640), (300.25, 255.5)), CArmView(31, -12, 5).ras_to_camera(BONE)
    save_view(tmp_path / "view.json", camera, pose)
    loaded_camera, loaded_pose = load_view(tmp_path / "view.json")
    assert loaded_camera == camera and loaded_pose is not None
    np.testing.assert_array_equal(loaded_pose, pose)
    save_view(tmp_path / "camera.json", camera)
    assert load_view(tmp_path / "camera.json") == (camera, None)


def _file_text(**changes: Any) -> str:
    values = SQUARE.to_dict() | changes
    return json.dumps({"camera": {key: value for key, value in values.items() if value is not None}})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1, 2]",
        '"camera"',
        '{"camera": 5}',
        '{"camera": {}}',
        "[" * 100_000,
        "\udcff",
        _file_text(pixel_spacing=None),
        _file_text(pixel_spacing=0.5),
        _file_text(pixel_spacing=[0.5]),
        _file_text(principal_point=["a", 1]),
        _file_text(image_size=[float("inf"), 100]),
        _file_text(image_size=[float("nan"), 100]),
        _file_text(source_to_detector_distance={}),
    ],
)
def test_malformed_camera_files_are_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "view.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError) as error:
        load_view(path)
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


@pytest.mark.parametrize(
    "pose",
    [
        None,
        "no matrix",
        [[1, 0], [0, 1]],
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, "x"], [0, 0, 0, 1]],
        np.diag([1, 1, -1, 1]).tolist(),
        np.diag([1.1, 1.1, 1.1, 1]).tolist(),
        np.diag([1, 1, 1, 2]).tolist(),
        [[1, 0, 0, float("nan")], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
    ],
)
def test_poses_that_are_not_rigid_are_refused(tmp_path: Path, pose: Any) -> None:
    (tmp_path / "view.json").write_text(json.dumps({"camera": SQUARE.to_dict(), "ras_to_camera": pose}))
    with pytest.raises(InputError, match="pose in"):
        load_view(tmp_path / "view.json")


def test_a_missing_camera_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_view(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("old", "new"),
    [('"ras_to_camera": [[1.0', f'"ras_to_camera": [[{10**400}'), ('"pixel_spacing": [0.5', '"pixel_spacing": [1e-320'), ("{", "[" * 9**5)],
)
def test_a_camera_file_of_numbers_beyond_all_others_is_refused(tmp_path: Path, old: str, new: str) -> None:
    save_view(tmp_path / "view.json", Camera.centred(1000.0, 0.5, (40, 30)), np.eye(4))
    text = " ".join((tmp_path / "view.json").read_text().split()).replace("[ ", "[")
    assert old in text
    (tmp_path / "view.json").write_text(text.replace(old, new, 1))
    with pytest.raises(InputError):
        load_view(tmp_path / "view.json")
