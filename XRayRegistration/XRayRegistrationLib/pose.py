"""Pose of the CT relative to one or several X-ray cameras, from 2D-3D correspondences with uncertainty.

A scene-coordinate network gives hundreds to thousands of correspondences per X-ray: an image point, the RAS point that it shows,
and the standard deviation of that RAS point. Some are plainly wrong. The pose is found in two steps:

1. LO-RANSAC (PoseLib) on the most certain correspondences gives a pose that outliers do not disturb.
2. The correspondences that agree with it are fitted by least squares, each weighted by its own uncertainty, with a robust loss.

A sigma says how far the true point may be from the predicted one, in any direction, so the residuals are reprojection distances in
standard deviations: sigma's image, `focal length * sigma / depth`, at the depth that RANSAC found. It stays fixed during the fit: if
it followed the depth, coming closer to the source would make every residual look smaller, and the bone would be placed too close.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray, invert_pose, is_rigid
from DRRSimulatorLib.errors import InputError

from .distance import SDD_OPTIMISM, at_distance
from .reprojection import PIXEL_NOISE, camera_points, deviations_in_pixels, fit_reprojection, residuals_in_pixels

BoolArray = npt.NDArray[np.bool_]

# Correspondences agree with a pose up to this distance in standard deviations; with Gaussian errors 99 % of the true ones do.
INLIER_DEVIATIONS = 3.0
MINIMUM_POINTS = 12  # of each view; three points make a pose, the others must confirm it
MINIMUM_INLIER_SHARE = 0.1  # of each view; shuffled points with a sigma of 5 mm agree to 0.03 by chance, to 0.09 in the worst of 30

# A network that sees no bone it knows still guesses points that agree with each other, and says that they are uncertain. Measured with
# a pelvis model, their extent is 1.4 to 4 standard deviations on noise and other anatomy, and 16 or more on the pelvis.
MINIMUM_EXTENT_DEVIATIONS = 5.0

RANSAC_POINTS = 500  # of each view, at most
RANSAC_MAXIMUM_SIGMA_MM = 5.0  # limits the threshold, lest anything agree with anything
# Of an unknown source-to-detector distance: with one that is off by more than some hundredths, the rays of several views miss each other.
SDD_FACTORS = np.exp(np.linspace(-0.2, 0.2, 9)).tolist()
FAR_OFF_DEVIATIONS = 20.0
CAUCHY_DEVIATIONS = 2.0  # where the robust loss turns from quadratic to logarithmic; 95 % efficient for Gaussian errors


class PoseNotFoundError(InputError):
    """The correspondences do not determine a pose."""


@dataclass(frozen=True)
class Correspondences:
    """What one X-ray says about the pose.

    Attributes:
        points_image: (N, 2) image points (column, row) in pixels of `camera`; integers are pixel centres.
        points_ras: (N, 3) the RAS points that they show, mm.
        sigma_mm: (N,) standard deviation of a RAS point along each axis, mm.
        camera: the X-ray's camera.
        rig_to_camera: (4, 4) to this camera from the rig, a frame fixed to all cameras; the identity for a single X-ray.

    Raises:
        InputError: if shapes disagree, a value is not finite, a sigma is not positive, or `rig_to_camera` is not rigid.
    """

    points_image: FloatArray
    points_ras: FloatArray
    sigma_mm: FloatArray
    camera: Camera
    rig_to_camera: FloatArray = field(default_factory=lambda: np.eye(4))

    def __post_init__(self) -> None:
        count = len(self.sigma_mm)
        if (self.points_image.shape, self.points_ras.shape, self.sigma_mm.shape) != ((count, 2), (count, 3), (count,)):
            raise InputError("Correspondences need equally many image points (N, 2), RAS points (N, 3) and sigmas (N,).")
        if not all(np.isfinite(values).all() for values in (self.points_image, self.points_ras, self.sigma_mm)):
            raise InputError("Correspondences must be finite; leave out the pixels that show no bone.")
        if not (self.sigma_mm > 0).all():
            raise InputError("The sigma of every correspondence must be positive millimetres.")
        if not is_rigid(self.rig_to_camera):
            raise InputError("The transform from the rig to a camera must be a rigid 4x4 matrix.")

    @property
    def rays(self) -> FloatArray:
        """(N, 2) camera points at depth 1 on the rays of the image points: x/z and y/z."""
        return self.camera.back_project(self.points_image, 1.0)[:, :2]

    @property
    def certainty(self) -> float:
        """Extent of the points in standard deviations of a point: how well the network tells where in the bone it looks."""
        return _extent(self.points_ras) / float(np.median(self.sigma_mm))

    def at_distance(self, factor: float) -> Correspondences:
        """The correspondences in a camera whose detector is so many times as far from the source."""
        return replace(self, camera=at_distance(self.camera, factor))

    def subset(self, index: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Correspondences:
        """The correspondences with some of the points only."""
        points_image, points_ras, sigma_mm = self.points_image[index], self.points_ras[index], self.sigma_mm[index]
        return replace(self, points_image=points_image, points_ras=points_ras, sigma_mm=sigma_mm)


@dataclass(frozen=True)
class PoseEstimate:
    """A pose and how well it is known.

    Attributes:
        ras_to_rig: (4, 4) pose; `ras_to_camera = rig_to_camera @ ras_to_rig` for every view.
        inliers: for each view (N,), the correspondences that agree with the pose.
        rms_residual_pixels: root mean square distance of the inliers' projections from their image points, pixels.
        covariance: (6, 6) of the pose's error in the rig's frame: rotation vector (rad), then translation (mm) of the median of
            all views' `points_ras`. It takes the correspondences' errors as independent; those of neighbouring pixels are
            not, so it is optimistic.
        sdd_factor: found source-to-detector distance over that of the cameras; 1 where it was taken as known.
        sdd_deviation: standard deviation of the factor; 0 where it was taken as known.
    """

    ras_to_rig: FloatArray
    inliers: list[BoolArray]
    rms_residual_pixels: float
    covariance: FloatArray
    sdd_factor: float = 1.0
    sdd_deviation: float = 0.0


def solve_pose(views: Sequence[Correspondences], seed: int = 0, sdd_unknown: bool = False) -> PoseEstimate:
    """Pose of the CT relative to a rig of one or several X-ray cameras that know their places to each other.

    The same views and seed give the same pose, but for rounding.

    Args:
        views: what each X-ray says.
        seed: of the random choice of points.
        sdd_unknown: find one factor of all source-to-detector distances as well; those given count as right to about a tenth.

    Raises:
        PoseNotFoundError: if a view has too few correspondences, too few of them agree, or the bone is behind a source.
    """
    _require_points(views)
    pivot = np.median(np.concatenate([view.points_ras for view in views]), axis=0)
    nearest = 1.0
    if sdd_unknown:
        nearest = _likely_sdd_factor(views, pivot, seed)
        views = [view.at_distance(nearest) for view in views]
    start = _ransac_pose(views, seed)
    distances = [distances_in_deviations(view, start) for view in views]
    _require_agreement(views, start, distances)
    overconfidence = _overconfidence(distances)
    limit = INLIER_DEVIATIONS * overconfidence
    agreeing = [view.subset(distance < limit) for view, distance in zip(views, distances, strict=True)]
    sdd_known = np.log(nearest) if sdd_unknown else None
    pose, factor, covariance = fit_reprojection(agreeing, start, pivot, CAUCHY_DEVIATIONS * overconfidence, sdd_known)
    views = [view.at_distance(factor) for view in views]
    inliers = [distances_in_deviations(view, pose) < limit for view in views]
    residuals = np.concatenate([residuals_in_pixels(view, pose)[inlier] for view, inlier in zip(views, inliers, strict=True)])
    rms = float(np.sqrt((residuals**2).sum(axis=1).mean()))
    deviation = SDD_OPTIMISM * factor * float(np.sqrt(covariance[6, 6])) if sdd_unknown else 0.0
    return PoseEstimate(pose, inliers, rms, covariance[:6, :6], nearest * factor, nearest * deviation)


def _require_points(views: Sequence[Correspondences]) -> None:
    if not views:
        raise PoseNotFoundError("A pose needs at least one X-ray, but none was given.")
    for number, view in enumerate(views, start=1):
        if len(view.sigma_mm) < MINIMUM_POINTS:
            raise PoseNotFoundError(
                f"Only {len(view.sigma_mm)} points of the bone were recognised in X-ray {number}, but a pose needs at least "
                f"{MINIMUM_POINTS}; use an X-ray that shows more of the bone."
            )


def _likely_sdd_factor(views: Sequence[Correspondences], pivot_ras: FloatArray, seed: int) -> float:
    """A factor of the source-to-detector distances near the best: of several the one with which a pose fits most points, fitted."""
    starts = []
    for factor in SDD_FACTORS:
        there = [view.at_distance(factor) for view in views]
        pose = _ransac_pose(there, seed)
        distances = np.concatenate([np.minimum(distances_in_deviations(view, pose), FAR_OFF_DEVIATIONS) for view in there])
        starts.append((float(np.log1p((distances / CAUCHY_DEVIATIONS) ** 2).sum()), factor, pose))
    _, factor, pose = min(starts, key=lambda start: start[0])
    there = [view.at_distance(factor) for view in views]
    _, further, _ = fit_reprojection(there, pose, pivot_ras, FAR_OFF_DEVIATIONS, np.log(factor))
    return factor * further


def _require_agreement(views: Sequence[Correspondences], pose: FloatArray, distances: Sequence[FloatArray]) -> None:
    for number, (view, distance) in enumerate(zip(views, distances, strict=True), start=1):
        if np.median(camera_points(view, pose)[:, 2]) <= 0:
            raise PoseNotFoundError(f"The bone would lie behind the source of X-ray {number}; check how the X-rays are placed.")
        agreeing = int((distance < INLIER_DEVIATIONS).sum())
        if agreeing < max(MINIMUM_POINTS, MINIMUM_INLIER_SHARE * len(distance)):
            raise PoseNotFoundError(
                f"Only {agreeing} of {len(distance)} recognised points in X-ray {number} agree on one pose; check that the X-ray "
                "shows this patient's bone, its polarity and its geometry."
            )
        # Of those that agree: beside the bone other bones may be taken for it, with points that say themselves that they are guesses.
        if view.subset(distance < INLIER_DEVIATIONS).certainty < MINIMUM_EXTENT_DEVIATIONS:
            raise PoseNotFoundError(
                f"The points recognised in X-ray {number} are too uncertain for a pose; use an X-ray that shows the bone, and a model "
                "that knows such X-rays."
            )


def _ransac_pose(views: Sequence[Correspondences], seed: int) -> FloatArray:
    """LO-RANSAC on the more certain half of each view's correspondences; ras_to_rig (4, 4)."""
    import poselib

    rng = np.random.default_rng(seed)
    certain = [view.subset(_most_certain(view.sigma_mm, rng)) for view in views]
    rays, points = [view.rays for view in certain], [view.points_ras for view in certain]
    # Rays instead of pixels: PoseLib's pixel convention, non-square pixels and cameras that differ do not matter.
    camera = {"model": "PINHOLE", "width": 1, "height": 1, "params": [1.0, 1.0, 0.0, 0.0]}
    threshold = float(np.mean([_ransac_threshold(view) for view in certain]))
    options = {"max_reproj_error": threshold, "seed": seed, "min_iterations": 100, "max_iterations": 3000}
    if len(views) == 1:
        ras_to_camera, _ = poselib.estimate_absolute_pose(rays[0], points[0], camera, options, {})
        return invert_pose(views[0].rig_to_camera) @ _matrix(ras_to_camera.Rt)
    rig_to_cameras = [poselib.CameraPose() for _ in views]
    for rig_to_camera, view in zip(rig_to_cameras, views, strict=True):
        rig_to_camera.R, rig_to_camera.t = view.rig_to_camera[:3, :3], view.rig_to_camera[:3, 3]
    ras_to_rig, _ = poselib.estimate_generalized_absolute_pose(rays, points, rig_to_cameras, [camera] * len(views), options, {})
    return _matrix(ras_to_rig.Rt)


def _matrix(rotation_translation: FloatArray) -> FloatArray:
    return np.vstack([rotation_translation, (0.0, 0.0, 0.0, 1.0)])


def _most_certain(sigma_mm: FloatArray, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Indices of a random part of the half of the correspondences with the smallest sigma."""
    half = np.argsort(sigma_mm, kind="stable")[: max(MINIMUM_POINTS, len(sigma_mm) // 2)]
    return rng.choice(half, min(RANSAC_POINTS, len(half)), replace=False)


def _ransac_threshold(view: Correspondences) -> float:
    """Largest distance of inliers from their rays at depth 1, from sigma and the image noise.

    The depth that turns one into the other is not known yet: it is guessed from the size of the bone and of its image.
    """
    depth = _extent(view.points_ras) * math.sqrt(2 / 3) / max(_extent(view.rays), 1e-6)  # the image shows two of three axes
    sigma = min(float(np.median(view.sigma_mm)), RANSAC_MAXIMUM_SIGMA_MM)
    return INLIER_DEVIATIONS * math.hypot(sigma / depth, PIXEL_NOISE / min(view.camera.focal_lengths))


def _extent(points: FloatArray) -> float:
    """Median distance of points (N, D) from their middle."""
    return float(np.median(np.linalg.norm(points - np.median(points, axis=0), axis=1)))


def distances_in_deviations(view: Correspondences, ras_to_rig: FloatArray) -> FloatArray:
    """Lengths (N,) of the reprojection residuals at a pose (4, 4), in standard deviations; infinite behind the source."""
    distances = np.linalg.norm(residuals_in_pixels(view, ras_to_rig) / deviations_in_pixels(view, ras_to_rig), axis=1)
    return np.nan_to_num(distances, nan=np.inf)


def _overconfidence(distances: Sequence[FloatArray]) -> float:
    """How many times larger than sigma the errors are, at least 1: a network is too sure of images unlike those it was trained on.

    Distances in standard deviations are Rayleigh distributed, with the median sqrt(2 log 2).
    """
    every = np.concatenate(distances)
    return max(1.0, float(np.median(every[every < 2 * INLIER_DEVIATIONS])) / math.sqrt(2 * math.log(2)))
