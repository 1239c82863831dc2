"""Least squares of reprojection distances in standard deviations: the last step of a pose from correspondences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from DRRSimulatorLib.camera import FloatArray, move_pose, transform_points

from .distance import UNCERTAINTY

if TYPE_CHECKING:
    from .pose import Correspondences

# Standard deviation of an image point along each axis, pixels: covers what sigma does not (distortion, rounding) and keeps a few
# over-confident points from deciding the pose.
PIXEL_NOISE = 0.5


def camera_points(view: Correspondences, ras_to_rig: FloatArray) -> FloatArray:
    """The RAS points (N, 3) of a view in its camera's coordinates, mm, at a pose (4, 4)."""
    return transform_points(view.rig_to_camera @ ras_to_rig, view.points_ras)


def deviations_in_pixels(view: Correspondences, ras_to_rig: FloatArray) -> FloatArray:
    """(N, 2) standard deviations of the reprojection residuals along columns and rows, pixels."""
    depth = camera_points(view, ras_to_rig)[:, 2:]
    return np.hypot(np.asarray(view.camera.focal_lengths) * view.sigma_mm[:, None] / depth, PIXEL_NOISE)


def residuals_in_pixels(view: Correspondences, ras_to_rig: FloatArray) -> FloatArray:
    """(N, 2) from the image points to the projections, pixels; NaN behind the source."""
    return view.camera.project(camera_points(view, ras_to_rig)) - view.points_image


@dataclass(frozen=True)
class ReprojectionFit:
    """Weighted reprojection residuals of all views as functions of a small motion away from a starting pose.

    The motion (6,) is a rotation vector (rad) about a pivot and a translation (mm), both in the rig's frame: with the pivot amid
    the points, the two hardly depend on each other. It may have a seventh number, the logarithm of a factor of all source-to-detector
    distances; what was known of it before is one more residual then.
    """

    start: FloatArray  # (4, 4) ras_to_rig
    pivot: FloatArray  # (3,) in the rig's frame
    arms: FloatArray  # (M, 3) from the pivot to the points at the start
    rotations: FloatArray  # (M, 3, 3) from the rig to the point's camera
    translations: FloatArray  # (M, 3) from the rig to the point's camera, mm
    rays: FloatArray  # (M, 2) observed x/z and y/z
    weights: FloatArray  # (M, 2) focal length over standard deviation, both in pixels
    sdd_logarithm: float = 0.0  # of the factor by which the views' source-to-detector distances differ from those that were given

    @classmethod
    def at(cls, start: FloatArray, pivot_ras: FloatArray, views: Sequence[Correspondences], sdd_logarithm: float = 0.0) -> ReprojectionFit:
        """The fit of all views, weighted with their deviations at the starting pose."""
        rig_to_camera = np.repeat([view.rig_to_camera for view in views], [len(view.sigma_mm) for view in views], axis=0)
        points = transform_points(start, np.concatenate([view.points_ras for view in views]))
        pivot = transform_points(start, pivot_ras[None])[0]
        rays = np.concatenate([view.rays for view in views])
        weights = np.concatenate([view.camera.focal_lengths / deviations_in_pixels(view, start) for view in views])
        return cls(start, pivot, points - pivot, rig_to_camera[:, :3, :3], rig_to_camera[:, :3, 3], rays, weights, sdd_logarithm)

    def pose(self, motion: FloatArray) -> FloatArray:
        """ras_to_rig (4, 4) after a motion."""
        return move_pose(self.start, self.pivot, motion)

    def residuals(self, motion: FloatArray) -> FloatArray:
        """(2M,) in standard deviations; (2M + 1,) with a distance."""
        points = self._camera_points(self._turned_arms(motion), motion)
        of_points = ((_factor(motion) * points[:, :2] / points[:, 2:] - self.rays) * self.weights).ravel()
        return np.concatenate([of_points, (motion[6:] + self.sdd_logarithm) / UNCERTAINTY])

    def jacobian(self, motion: FloatArray) -> FloatArray:
        """(2M, 6) derivatives of the residuals with respect to the motion; (2M + 1, 7) with a distance."""
        arms = self._turned_arms(motion)
        points = self._camera_points(arms, motion)
        by_point = np.zeros((len(points), 2, 3))
        by_point[:, 0, 0] = by_point[:, 1, 1] = 1.0
        by_point[:, :, 2] = -points[:, :2] / points[:, 2:]
        by_point *= (_factor(motion) * self.weights / points[:, 2:])[:, :, None]
        by_translation = by_point @ self.rotations
        by_rotation = np.cross(arms[:, None], by_translation) @ _left_jacobian(motion[:3])
        by_pose = np.concatenate([by_rotation, by_translation], axis=2).reshape(-1, 6)
        if len(motion) == 6:
            return by_pose
        by_distance = (_factor(motion) * points[:, :2] / points[:, 2:] * self.weights).reshape(-1, 1)
        return np.block([[by_pose, by_distance], [np.zeros((1, 6)), np.full((1, 1), 1 / UNCERTAINTY)]])

    def _turned_arms(self, motion: FloatArray) -> FloatArray:
        from scipy.spatial.transform import Rotation

        return self.arms @ Rotation.from_rotvec(motion[:3]).as_matrix().T

    def _camera_points(self, arms: FloatArray, motion: FloatArray) -> FloatArray:
        return np.einsum("nij,nj->ni", self.rotations, arms + self.pivot + motion[3:6]) + self.translations


def _factor(motion: FloatArray) -> float:
    """Of the source-to-detector distances."""
    return float(np.exp(motion[6:].sum()))


def _left_jacobian(vector: FloatArray) -> FloatArray:
    """(3, 3) that turns changes of a rotation vector into small rotations applied after it (Sola et al., arXiv 1812.01537, eq. 145)."""
    x, y, z = vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = float(np.linalg.norm(vector))
    if angle < 1e-4:  # the series: the fractions below lose their digits
        return np.eye(3) + cross / 2 + cross @ cross / 6
    return np.eye(3) + (1 - math.cos(angle)) / angle**2 * cross + (angle - math.sin(angle)) / angle**3 * cross @ cross


def fit_reprojection(
    views: Sequence[Correspondences], start: FloatArray, pivot_ras: FloatArray, loss_scale: float, sdd_logarithm: float | None = None
) -> tuple[FloatArray, float, FloatArray]:
    """Robust weighted least squares from a starting pose.

    Args:
        views: the correspondences.
        start: 4x4 ras_to_rig.
        pivot_ras: point (3,) amid them, RAS mm.
        loss_scale: of the Cauchy loss, standard deviations.
        sdd_logarithm: fit a factor of the source-to-detector distances as well, which differ by the exponential of this from those that
            were given; None where they are known.

    Returns:
        ras_to_rig (4, 4), the factor of the source-to-detector distances, and the covariance of the motion (6, 6) or (7, 7).
    """
    from scipy.optimize import least_squares

    fit = ReprojectionFit.at(start, pivot_ras, views, sdd_logarithm or 0.0)
    motion = np.zeros(6 if sdd_logarithm is None else 7)
    solution = least_squares(fit.residuals, motion, fit.jacobian, loss="cauchy", f_scale=loss_scale, x_scale="jac")
    pose = fit.pose(solution.x[:6])
    # Covariance of an M-estimate (Huber, Robust Statistics, 1981, section 7.6) from the first two derivatives of the loss.
    ratio = (solution.fun / loss_scale) ** 2
    first, second = solution.fun / (1 + ratio), (1 - ratio) / (1 + ratio) ** 2
    variance = (first**2).sum() / (first.size - len(motion)) / second.mean() ** 2
    factor = _factor(solution.x)
    jacobian = ReprojectionFit.at(pose, pivot_ras, [view.at_distance(factor) for view in views]).jacobian(motion)
    return pose, factor, variance * np.linalg.inv(jacobian.T @ jacobian)
