"""Intensity-based refinement: the pose at which simulated X-rays look most like the real ones.

Both images are normalised locally, so that the sum of squared differences measures local normalised correlation and survives gain,
gamma and soft-tissue background. The differences are minimised by trust-region least squares with the ray caster's derivatives by the
pose, coarse to fine, over all views and all bodies together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import FloatArray, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.progress import Report, ignore_progress
from DRRSimulatorLib.projector import Projector

from .body import POSE_PARAMETERS, Body, Placement, body_of_each_bone
from .body_end import beyond_ct
from .comparison import Comparison, Level, ScaledView
from .distance import SDD_OPTIMISM
from .region import around_bones
from .view import View

# The wide neighbourhood of the coarsest level finds poses again that are 10 degrees and 60 mm away.
COARSEST = Level(32, 0.1)
LEVELS = (COARSEST, Level(64, 0.05), Level(128, 0.05))
# Of bones that fill little of the X-ray, in the part around them. The wide neighbourhood is needed to find the pose; other bones and
# soft tissue, which the CT does not hold, disturb a narrow one least.
LEVELS_OF_SMALL_BONES = (Level(64, 0.05), Level(128, 0.035), Level(256, 0.025))
# A small bone's size hardly tells its distance, and other bones beside it draw a refinement into other minima: in a single view
# several distances are tried, as shares of that of the start.
OTHER_DEPTHS = (0.93, 0.965, 1.035, 1.07)
ROBUST_SCALE = 0.5  # differences beyond it, in local standard deviations, count linearly: tools, text, other bones
MOTION_SCALE = (0.006, 0.006, 0.006, 0.6, 0.6, 2.5)  # rad and mm: motions that change images about equally, by half a pixel
DISTANCE_SCALE = 0.005  # the same of the logarithm of the source-to-detector distance
MAXIMUM_EVALUATIONS = 12  # at each level
ARM_MM = 60.0  # from a bone's middle to its points, about
MOST_MM = 1000.0  # what is less certain than this is not known at all
SHARE_OF_CHOOSING = 0.5  # of the time of `refine_best`, about; the rest is the refinement of the best start


@dataclass(frozen=True)
class Refinement:
    """A refined pose.

    Attributes:
        ras_to_rig: 4x4 pose.
        start: 4x4 pose that the refinement started from.
        similarity_before: local normalised correlation at the start, -1 to 1, at the finest level.
        similarity: the same at the refined pose; never below the start's.
        precision_mm: how exactly the images determine the pose: standard deviation of a point on the bone by the curvature of the
            differences and what is left of them. As neighbouring pixels are not independent it is too small, but tells poor views.
        last_step_mm: how far the finest level moved such a point: levels that agree have found the same minimum.
        sdd_factor: found source-to-detector distance over that of the cameras; 1 where it was taken as known.
        sdd_deviation: standard deviation of the factor; 0 where it was taken as known.
    """

    ras_to_rig: FloatArray
    start: FloatArray
    similarity_before: float
    similarity: float
    precision_mm: float
    last_step_mm: float
    sdd_factor: float = 1.0
    sdd_deviation: float = 0.0


@dataclass(frozen=True)
class _Fit:
    """The best placement at one level, or after all; the rest as in `Refinement`, for each body."""

    placement: Placement
    precisions_mm: tuple[float, ...]
    last_steps_mm: tuple[float, ...]
    similarity: float = -1.0
    sdd_deviation: float = 0.0

    @classmethod
    def none(cls, placement: Placement) -> _Fit:
        """A placement that nothing was found out of."""
        nothing = (MOST_MM,) * len(placement.poses)
        return cls(placement, nothing, nothing)


class Refiner:
    """Refines poses of one CT, which moves as a whole; or of its bones, each by itself."""

    def __init__(self, projector: Projector, centre_ras: npt.ArrayLike, ct: CTVolume) -> None:
        """Keep what all refinements of a CT share.

        Args:
            projector: of the patient's CT.
            centre_ras: point (3,), RAS mm, that rotations turn about: the middle of the bone.
            ct: the CT.
        """
        self.bodies = [Body(projector, np.asarray(centre_ras, dtype=np.float64))]
        self.beyond = beyond_ct(ct, projector.device)

    @classmethod
    def of_bones(cls, ct: CTVolume, bones: BoneLabels, device: str = "cpu") -> Refiner:
        """A refiner for `refine_bodies`, whose bodies are the bones of a CT in the order of their labels."""
        bodies = body_of_each_bone(ct, bones, device)
        refiner = cls(bodies[0].projector, bodies[0].centre_ras, ct)
        refiner.bodies = bodies
        return refiner

    @property
    def projector(self) -> Projector:
        """Of the first body."""
        return self.bodies[0].projector

    @property
    def centre_ras(self) -> FloatArray:
        """Middle (3,) of the first body's bone, RAS mm."""
        return self.bodies[0].centre_ras

    def refine(
        self, views: Sequence[View], ras_to_rig: FloatArray, report: Report = ignore_progress, sdd_unknown: bool = False
    ) -> Refinement:
        """The pose near a starting pose (4x4) at which the DRRs match the X-rays best; it reports at every pose tried.

        With `sdd_unknown` the source-to-detector distance that is common to the views is found as well.
        """
        return self.refine_bodies(views, ras_to_rig[None], report, sdd_unknown)[0]

    def refine_bodies(
        self, views: Sequence[View], poses: FloatArray, report: Report = ignore_progress, sdd_unknown: bool = False
    ) -> list[Refinement]:
        """As `refine`, for the poses (bodies, 4, 4) of all bodies; the similarities of all are the same."""
        start = Placement(poses)
        levels = self._levels(views, start)
        starts = [start]
        if levels is LEVELS_OF_SMALL_BONES and len(views) == 1 and len(self.bodies) == 1:
            starts += [self._at_depth(views[0], start, factor) for factor in OTHER_DEPTHS]
        tried, most = count(), MAXIMUM_EVALUATIONS * len(levels) * len(starts)

        def try_pose() -> None:
            report(next(tried) / most, "Refining the pose")

        refined = [self._through(levels, views, candidate, try_pose, sdd_unknown) for candidate in starts]
        before = self._similarity(self._scaled(views, start, levels[-1]), start)
        best = max([*refined, replace(_Fit.none(start), similarity=before)], key=lambda fit: fit.similarity)
        found = best.placement
        return [
            Refinement(pose, own_start, before, best.similarity, precision, step, found.sdd_factor, best.sdd_deviation)
            for pose, own_start, precision, step in zip(found.poses, poses, best.precisions_mm, best.last_steps_mm, strict=True)
        ]

    def refine_best(
        self, views: Sequence[View], starts: Sequence[FloatArray], report: Report = ignore_progress, sdd_unknown: bool = False
    ) -> Refinement:
        """The best of several starting poses (4x4), refined: all are refined at the coarsest level, then the most similar at all."""
        coarse, similarities = [], []
        for number, pose in enumerate(starts):
            report(SHARE_OF_CHOOSING * number / len(starts), "Comparing starting poses")
            start = Placement(pose[None])
            coarsest, middle = (self._scaled(views, start, level) for level in self._levels(views, start)[:2])
            coarse.append(self._refine_at(coarsest, start, lambda: None, False).placement)
            similarities.append(self._similarity(middle, coarse[-1]))
        best = coarse[int(np.argmax(similarities))].poses[0]

        def report_rest(done: float, text: str) -> None:
            report(SHARE_OF_CHOOSING + (1 - SHARE_OF_CHOOSING) * done, text)

        return self.refine(views, best, report_rest, sdd_unknown)

    def _through(
        self, levels: Sequence[Level], views: Sequence[View], start: Placement, try_pose: Callable[[], None], sdd_unknown: bool
    ) -> _Fit:
        """A starting placement refined level by level."""
        fit = _Fit.none(start)
        for level in levels:
            before = fit.placement
            scaled = self._scaled(views, before, level)
            fit = self._refine_at(scaled, before, try_pose, sdd_unknown)
        pairs = zip(self.bodies, before.poses, fit.placement.poses, strict=True)
        steps = tuple(min(_distance(body.centre_ras, first, second), MOST_MM) for body, first, second in pairs)
        return replace(fit, last_steps_mm=steps, similarity=self._similarity(scaled, fit.placement))

    def _at_depth(self, view: View, placement: Placement, factor: float) -> Placement:
        """A placement moved along the ray through the first bone's middle, to so many times its distance."""
        centre = transform_points(view.rig_to_camera @ placement.poses[0], self.centre_ras[None])[0]
        shift = np.eye(4)
        shift[:3, 3] = view.rig_to_camera[:3, :3].T @ centre * (factor - 1)
        return replace(placement, poses=shift @ placement.poses)

    def _levels(self, views: Sequence[View], placement: Placement) -> tuple[Level, ...]:
        small = any(around_bones(view, self.bodies, placement) is not view for view in views)
        return LEVELS_OF_SMALL_BONES if small else LEVELS

    def _scaled(self, views: Sequence[View], placement: Placement, level: Level) -> list[ScaledView]:
        return [ScaledView.of(around_bones(view, self.bodies, placement), level) for view in views]

    def _similarity(self, views: Sequence[ScaledView], placement: Placement) -> float:
        return Comparison(self.bodies, self.beyond, views, placement).similarity(placement)

    def _refine_at(self, views: Sequence[ScaledView], start: Placement, try_pose: Callable[[], None], sdd_unknown: bool) -> _Fit:
        """The best placement near a starting one at one level; `try_pose` is called before each one tried."""
        from scipy.optimize import least_squares

        comparison = Comparison(self.bodies, self.beyond, views, start)
        if not comparison.pixel_count:
            return _Fit.none(start)
        scale = np.array([*MOTION_SCALE * len(self.bodies), *[DISTANCE_SCALE] * sdd_unknown])

        def residuals(motion: FloatArray) -> FloatArray:
            try_pose()
            return comparison.differences(start.moved(self.bodies, motion))

        def jacobian(motion: FloatArray) -> FloatArray:
            changes = comparison.derivatives(start.moved(self.bodies, motion), sdd_unknown)
            for first in range(0, POSE_PARAMETERS * len(self.bodies), POSE_PARAMETERS):
                turn = slice(first, first + 3)
                changes[:, turn] = changes[:, turn] @ _further_turn(motion[turn])
            return changes

        solution = least_squares(
            residuals, np.zeros(len(scale)), jacobian, loss="soft_l1", f_scale=ROBUST_SCALE, x_scale=scale, max_nfev=MAXIMUM_EVALUATIONS
        )
        placement = start.moved(self.bodies, solution.x)
        variances = _variances(solution.jac, 2 * solution.cost / max(len(solution.fun) - len(scale), 1))
        if variances is None:
            return replace(_Fit.none(placement), sdd_deviation=np.inf if sdd_unknown else 0.0)
        of_bodies = variances[: POSE_PARAMETERS * len(self.bodies)].reshape(-1, POSE_PARAMETERS)
        deviation = SDD_OPTIMISM * float(np.sqrt(variances[-1])) * placement.sdd_factor if sdd_unknown else 0.0
        precisions = tuple(_precision(own) for own in of_bodies)
        return replace(_Fit.none(placement), precisions_mm=precisions, sdd_deviation=deviation)


def _further_turn(rotation: FloatArray) -> FloatArray:
    """(3, 3) from changes of a rotation vector to the small turn that follows the rotation, to first order in the angle.

    It is the left Jacobian (Chirikjian, Stochastic Models, Information Theory, and Lie Groups 2, section 10.6).
    """
    x, y, z = rotation / 2
    return np.array([[1, -z, y], [z, 1, -x], [-y, x, 1]])


def _distance(centre_ras: FloatArray, first: FloatArray, second: FloatArray) -> float:
    """Root mean square distance of points about `ARM_MM` around a bone's middle, at two poses."""
    points = centre_ras + ARM_MM * np.concatenate([np.eye(3), -np.eye(3)])
    apart = transform_points(first, points) - transform_points(second, points)
    return float(np.sqrt((apart**2).sum(axis=1).mean()))


def _variances(jacobian: FloatArray, variance: float) -> FloatArray | None:
    """Variances of the parameters by the Gauss-Newton approximation; None where they are not determined."""
    normal = jacobian.T @ jacobian
    if np.linalg.matrix_rank(normal, hermitian=True) < len(normal):
        return None
    variances: FloatArray = variance * np.diag(np.linalg.inv(normal))
    return variances


def _precision(by_motion: FloatArray) -> float:
    """Standard deviation, mm, of points about `ARM_MM` around the pivot, from the variances (6,) of a motion."""
    # A turn about an axis moves a point by its distance from the axis, of which the mean square is 2/3 of that from the middle.
    return min(float(np.sqrt(by_motion[3:].sum() + 2 / 3 * ARM_MM**2 * by_motion[:3].sum())), MOST_MM)
