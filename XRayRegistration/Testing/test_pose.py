"""The pose solver on simulated correspondences, against OpenCV's solver, finite differences and its own covariance."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, ViewRange, invert_pose, transform_points
from DRRSimulatorLib.errors import InputError
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import chi2
from XRayRegistrationLib.pose import Correspondences, PoseEstimate, PoseNotFoundError, solve_pose
from XRayRegistrationLib.reprojection import ReprojectionFit

CAMERA = Camera(1020.0, (0.8, 0.9), (340, 384), (200.0, 160.0))  # pixels that are not square, an off-centre principal point
CENTRE = np.array([20.0, -150.0, 900.0])

seeds = st.integers(0, 2**32 - 1)


def bone_points(count: int, rng: np.random.Generator) -> np.ndarray:
    """Points on an ellipsoid of a pelvis' size."""
    directions = rng.normal(size=(count, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True) * (70, 45, 60) + CENTRE


def correspondences(
    ras_to_camera: np.ndarray,
    rng: np.random.Generator,
    count: int = 400,
    sigma_mm: tuple[float, float] = (0.5, 4.0),
    outliers: float = 0.0,
    ras_to_rig: np.ndarray | None = None,
) -> Correspondences:
    """What a network with calibrated sigmas gives: the true points lie around the predicted ones as sigma says.

    Outliers are predictions of another point of the bone. Sigmas are spread evenly on a logarithmic scale.
    """
    predicted = bone_points(count, rng)
    sigma = np.exp(rng.uniform(*np.log(sigma_mm), count))
    points_image = CAMERA.project(transform_points(ras_to_camera, predicted + rng.normal(size=(count, 3)) * sigma[:, None]))
    predicted[: round(outliers * count)] = bone_points(round(outliers * count), rng)
    rig_to_camera = np.eye(4) if ras_to_rig is None else ras_to_camera @ invert_pose(ras_to_rig)
    return Correspondences(points_image, predicted, sigma, CAMERA, rig_to_camera)


def exact_correspondences(ras_to_camera: np.ndarray, rng: np.random.Generator) -> Correspondences:
    points = bone_points(100, rng)
    return Correspondences(CAMERA.project(transform_points(ras_to_camera, points)), points, np.ones(100), CAMERA)


def view_pose(rng: np.random.Generator) -> np.ndarray:
    return ViewRange().sample(rng).ras_to_camera(CENTRE)


def displacement(estimated: np.ndarray, true: np.ndarray, points: np.ndarray) -> float:
    """Mean distance of points placed by both poses, mm."""
    return float(np.linalg.norm(transform_points(estimated, points) - transform_points(true, points), axis=1).mean())


def squared_mahalanobis(estimate: PoseEstimate, true: np.ndarray, views: list[Correspondences]) -> float:
    """The pose's error measured with its own covariance; chi-squared with 6 degrees of freedom if that is right."""
    pivot = np.median(np.concatenate([view.points_ras for view in views]), axis=0)[None]
    rotation = Rotation.from_matrix(estimate.ras_to_rig[:3, :3] @ true[:3, :3].T).as_rotvec()
    translation = (transform_points(estimate.ras_to_rig, pivot) - transform_points(true, pivot))[0]
    error = np.concatenate([rotation, translation])
    return float(error @ np.linalg.solve(estimate.covariance, error))


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_exact_correspondences_give_the_exact_pose(seed):
    rng = np.random.default_rng(seed)
    true = view_pose(rng)
    view = exact_correspondences(true, rng)
    estimate = solve_pose([view])
    assert displacement(estimate.ras_to_rig, true, view.points_ras) < 1e-5
    assert estimate.rms_residual_pixels < 1e-6
    assert estimate.inliers[0].all()


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_several_exact_views_give_the_exact_pose_of_the_rig(seed):
    rng = np.random.default_rng(seed)
    ras_to_rig = view_pose(rng)
    for count in (1, 2, 3):
        poses = [view_pose(rng) for _ in range(count)]
        views = [replace(exact_correspondences(pose, rng), rig_to_camera=pose @ invert_pose(ras_to_rig)) for pose in poses]
        estimate = solve_pose(views)
        assert displacement(estimate.ras_to_rig, ras_to_rig, views[0].points_ras) < 1e-5
        assert [inliers.shape for inliers in estimate.inliers] == [(100,)] * count


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_opencv_where_all_points_are_equally_good(seed):
    rng = np.random.default_rng(seed)
    true = view_pose(rng)
    view = correspondences(true, rng, sigma_mm=(0.3, 0.3), outliers=0.2)
    estimate = solve_pose([view])
    inliers = estimate.inliers[0]
    _, rotation, translation = cv2.solvePnP(
        view.points_ras[inliers], view.points_image[inliers], CAMERA.matrix, None, flags=cv2.SOLVEPNP_ITERATIVE
    )
    by_opencv = np.eye(4)
    by_opencv[:3, :3], by_opencv[:3, 3] = cv2.Rodrigues(rotation)[0], translation[:, 0]
    # Another loss on the same data: the two differ by a fraction of what both are uncertain by.
    assert squared_mahalanobis(estimate, by_opencv, [view]) < 1


@pytest.mark.parametrize("angle", [0.0, 1e-6, 1e-3, 0.5])
def test_the_jacobian_agrees_with_finite_differences(angle):
    rng = np.random.default_rng(1)
    poses, ras_to_rig = [view_pose(rng), view_pose(rng)], view_pose(rng)
    views = [correspondences(pose, rng, count=20, ras_to_rig=ras_to_rig) for pose in poses]
    fit = ReprojectionFit.at(ras_to_rig, CENTRE, views)
    motion = np.array([0.6 * angle, 0.0, 0.8 * angle, 3.0, -5.0, 20.0])
    steps = 1e-5 * np.eye(6)
    numeric = np.stack([(fit.residuals(motion + step) - fit.residuals(motion - step)) / 2e-5 for step in steps], axis=1)
    np.testing.assert_allclose(fit.jacobian(motion), numeric, rtol=1e-6, atol=1e-7 * np.abs(numeric).max())


def test_the_jacobian_by_the_distance_of_the_detector_is_the_residuals_derivative():
    rng = np.random.default_rng(2)
    ras_to_rig = view_pose(rng)
    views = [correspondences(view_pose(rng), rng, count=20, ras_to_rig=ras_to_rig) for _ in range(2)]
    fit = ReprojectionFit.at(ras_to_rig, CENTRE, views)
    motion = np.array([0.1, -0.2, 0.05, 3.0, -5.0, 20.0, 0.07])
    steps = 1e-5 * np.eye(7)
    numeric = np.stack([(fit.residuals(motion + step) - fit.residuals(motion - step)) / 2e-5 for step in steps], axis=1)
    np.testing.assert_allclose(fit.jacobian(motion), numeric, rtol=1e-6, atol=1e-7 * np.abs(numeric).max())


@pytest.mark.parametrize("wrong", [0.9, 1.1])
def test_two_views_tell_a_distance_of_the_detector_that_is_wrong_by_a_tenth(wrong):
    rng = np.random.default_rng(3)
    ras_to_rig = view_pose(rng)
    views = [correspondences(view_pose(rng), rng, ras_to_rig=ras_to_rig).at_distance(wrong) for _ in range(2)]
    estimate = solve_pose(views, sdd_unknown=True)
    assert wrong * estimate.sdd_factor == pytest.approx(1.0, abs=0.01)
    assert abs(wrong * estimate.sdd_factor - 1) < 3 * wrong * estimate.sdd_deviation
    shift = transform_points(estimate.ras_to_rig, CENTRE[None]) - transform_points(ras_to_rig, CENTRE[None])
    assert np.linalg.norm(shift) < 2


def test_a_flat_object_leaves_the_distance_of_the_detector_as_it_was_given_and_says_so():
    """From farther away with a farther detector a flat object parallel to it looks the same."""
    rng = np.random.default_rng(4)
    pose = np.eye(4)
    pose[:3, 3] = (0.0, 0.0, 700.0) - CENTRE
    true = correspondences(pose, rng, sigma_mm=(2.0, 4.0))
    points = true.points_ras.copy()
    points[:, 2] = CENTRE[2]
    seen = points + rng.normal(0, 1, points.shape) * true.sigma_mm[:, None]
    flat = replace(true, points_ras=points, points_image=CAMERA.project(transform_points(pose, seen)))
    estimate = solve_pose([flat.at_distance(1.1)], sdd_unknown=True)
    assert estimate.sdd_factor == pytest.approx(1.0, abs=0.02)
    assert estimate.sdd_deviation > 0.1
    assert solve_pose([flat]).sdd_deviation == 0


@pytest.mark.parametrize("outliers", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_outliers_do_not_move_the_pose_beyond_its_uncertainty(seed, outliers):
    rng = np.random.default_rng(seed)
    true = view_pose(rng)
    view = correspondences(true, rng, outliers=outliers)
    estimate = solve_pose([view])
    assert squared_mahalanobis(estimate, true, [view]) < chi2.ppf(0.9999, 6)
    first_true = round(outliers * len(view.sigma_mm))
    assert estimate.inliers[0][:first_true].mean() < 0.1
    assert estimate.inliers[0][first_true:].mean() > 0.95


def test_the_covariance_is_right_for_independent_errors():
    values = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        true = view_pose(rng)
        view = correspondences(true, rng, count=200)
        values.append(squared_mahalanobis(solve_pose([view]), true, [view]))
    # A sum of 60 chi-squared values with 6 degrees of freedom is one with 360.
    assert chi2.ppf(0.001, 360) < sum(values) < chi2.ppf(0.999, 360)


def test_sigmas_as_weights_beat_equal_weights():
    with_sigma, with_equal = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        true = view_pose(rng)
        view = correspondences(true, rng, sigma_mm=(0.3, 6.0))
        equal = replace(view, sigma_mm=np.full_like(view.sigma_mm, np.sqrt((view.sigma_mm**2).mean())))
        with_sigma.append(displacement(solve_pose([view]).ras_to_rig, true, view.points_ras))
        with_equal.append(displacement(solve_pose([equal]).ras_to_rig, true, view.points_ras))
    assert np.median(with_sigma) < 0.6 * np.median(with_equal)


def test_sigmas_that_are_three_times_too_small_cost_little():
    truthful, overconfident = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        true = view_pose(rng)
        view = correspondences(true, rng, outliers=0.3)
        for errors, factor in ((truthful, 1), (overconfident, 1 / 3)):
            claimed = replace(view, sigma_mm=view.sigma_mm * factor)
            errors.append(displacement(solve_pose([claimed]).ras_to_rig, true, view.points_ras))
    assert np.median(overconfident) < 1.5 * np.median(truthful)


def test_a_second_view_at_right_angles_fixes_the_depth():
    depth_errors: dict[int, list[float]] = {1: [], 2: []}
    for seed in range(15):
        rng = np.random.default_rng(seed)
        frontal = CArmView(*rng.uniform(-10, 10, 3)).ras_to_camera(CENTRE)
        lateral = CArmView(90 + rng.uniform(-10, 10)).ras_to_camera(CENTRE)
        views = [correspondences(pose, rng, ras_to_rig=frontal) for pose in (frontal, lateral)]
        for count, errors in depth_errors.items():
            estimated = solve_pose(views[:count]).ras_to_rig
            errors.append(abs((transform_points(estimated, CENTRE[None]) - transform_points(frontal, CENTRE[None]))[0, 2]))
    assert np.median(depth_errors[2]) < 0.25 * np.median(depth_errors[1])


def test_the_same_seed_gives_the_same_pose():
    rng = np.random.default_rng(3)
    pose = view_pose(rng)
    views = [correspondences(pose, rng, count=3000, outliers=0.4) for _ in range(2)]
    for several in (views[:1], views):
        first, second = solve_pose(several, seed=5), solve_pose(several, seed=5)
        # Sums round differently with the place of an array in memory.
        np.testing.assert_allclose(first.ras_to_rig, second.ras_to_rig, rtol=0, atol=1e-6)
        np.testing.assert_allclose(first.covariance, second.covariance, rtol=1e-6, atol=1e-12)


def test_too_few_points_are_refused():
    rng = np.random.default_rng(0)
    view = exact_correspondences(view_pose(rng), rng)
    with pytest.raises(PoseNotFoundError, match="Only 11 points of the bone were recognised in X-ray 2"):
        solve_pose([view, view.subset(np.arange(11))])
    with pytest.raises(PoseNotFoundError, match="at least one X-ray"):
        solve_pose([])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sigma_mm", [1.0, 3.0])
def test_points_that_belong_to_other_pixels_are_refused(seed, sigma_mm):
    rng = np.random.default_rng(seed)
    view = correspondences(view_pose(rng), rng, sigma_mm=(sigma_mm, sigma_mm))
    shuffled = replace(view, points_ras=rng.permutation(view.points_ras))
    with pytest.raises(PoseNotFoundError, match="agree on one pose"):
        solve_pose([shuffled])


def test_a_network_that_predicts_about_the_same_point_everywhere_is_refused():
    rng = np.random.default_rng(0)
    view = correspondences(view_pose(rng), rng)
    constant = replace(view, points_ras=CENTRE + rng.normal(size=view.points_ras.shape), sigma_mm=np.full_like(view.sigma_mm, 40.0))
    with pytest.raises(PoseNotFoundError, match="too uncertain for a pose"):
        solve_pose([constant])


@pytest.mark.parametrize("sigma_mm, refused", [(3.0, False), (30.0, True)])
def test_a_network_that_is_unsure_of_every_point_is_refused_even_where_its_guesses_agree(sigma_mm, refused):
    rng = np.random.default_rng(0)
    view = correspondences(view_pose(rng), rng, sigma_mm=(0.5, 0.5))
    unsure = replace(view, sigma_mm=np.full_like(view.sigma_mm, sigma_mm))
    if refused:
        with pytest.raises(PoseNotFoundError, match="too uncertain for a pose"):
            solve_pose([unsure])
    else:
        assert solve_pose([unsure]).inliers[0].all()


def test_points_on_a_line_are_refused():
    points = CENTRE + np.linspace(-50, 50, 40)[:, None] * np.array([1.0, 0.0, 0.2])
    points_image = CAMERA.project(transform_points(CArmView().ras_to_camera(CENTRE), points))
    with pytest.raises(PoseNotFoundError):
        solve_pose([Correspondences(points_image, points, np.ones(40), CAMERA)])


def test_a_camera_that_looks_away_from_the_bone_is_refused():
    rng = np.random.default_rng(0)
    pose = view_pose(rng)
    views = [correspondences(pose, rng), correspondences(pose, rng, count=50)]
    backwards = np.diag([-1.0, 1.0, -1.0, 1.0])
    with pytest.raises(PoseNotFoundError, match="behind the source of X-ray 2"):
        solve_pose([views[0], replace(views[1], rig_to_camera=backwards)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points_image": np.zeros((99, 2))}, "equally many"),
        ({"points_ras": np.full((100, 3), np.nan)}, "finite"),
        ({"sigma_mm": np.zeros(100)}, "positive"),
        ({"rig_to_camera": np.diag([1.0, 1.0, -1.0, 1.0])}, "rigid"),
    ],
)
def test_impossible_correspondences_are_refused(change, message):
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match=message):
        replace(exact_correspondences(view_pose(rng), rng), **change)
