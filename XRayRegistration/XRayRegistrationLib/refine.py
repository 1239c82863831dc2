"""Intensity-based refinement: the pose at which simulated X-rays look most like the real ones.

Both images are normalised locally, so that the sum of squared differences measures local normalised correlation and survives gain,
gamma and soft-tissue background. The differences are minimised by trust-region least squares with the ray caster's derivatives by the
pose, coarse to fine, over all views together. Documentation/refinement.md tells what else was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import FloatArray, move_pose, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.progress import Report, ignore_progress
from DRRSimulatorLib.projector import Projector

from .comparison import Comparison, Level, ScaledView, beyond_ct
from .region import around_bone
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
MOTION_SCALE = np.array([0.006, 0.006, 0.006, 0.6, 0.6, 2.5])  # rad and mm: motions that change images about equally, by half a pixel
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
    """

    ras_to_rig: FloatArray
    start: FloatArray
    similarity_before: float
    similarity: float
    precision_mm: float
    last_step_mm: float


@dataclass(frozen=True)
class _Fit:
    """The best pose at one level, or after all; the rest as in `Refinement`."""

    pose: FloatArray
    precision_mm: float = MOST_MM
    last_step_mm: float = MOST_MM
    similarity: float = -1.0


class Refiner:
    """Refines poses of one CT."""

    def __init__(self, projector: Projector, centre_ras: npt.ArrayLike, ct: CTVolume) -> None:
        """Keep what all refinements of a CT share.

        Args:
            projector: of the patient's CT.
            centre_ras: point (3,), RAS mm, that rotations turn about: the middle of the bone.
            ct: the CT.
        """
        self.projector = projector
        self.beyond = beyond_ct(ct, projector.device)
        self.centre_ras = np.asarray(centre_ras, dtype=np.float64)

    def refine(self, views: Sequence[View], ras_to_rig: FloatArray, report: Report = ignore_progress) -> Refinement:
        """The pose near a starting pose (4x4) at which the DRRs match the X-rays best; it reports at every pose tried."""
        levels = self._levels(views, ras_to_rig)
        starts = [ras_to_rig]
        if levels is LEVELS_OF_SMALL_BONES and len(views) == 1:
            starts += [self._at_depth(views[0], ras_to_rig, factor) for factor in OTHER_DEPTHS]
        tried, most = count(), MAXIMUM_EVALUATIONS * len(levels) * len(starts)
        refined = [self._through(levels, views, start, lambda: report(next(tried) / most, "Refining the pose")) for start in starts]
        scaled = self._scaled(views, ras_to_rig, levels[-1])
        before = self._compare(scaled, ras_to_rig).similarity(ras_to_rig)
        best = max([*refined, _Fit(ras_to_rig, similarity=before)], key=lambda fit: fit.similarity)
        return Refinement(best.pose, ras_to_rig, before, best.similarity, best.precision_mm, best.last_step_mm)

    def refine_best(self, views: Sequence[View], starts: Sequence[FloatArray], report: Report = ignore_progress) -> Refinement:
        """The best of several starting poses (4x4), refined: all are refined at the coarsest level, then the most similar at all."""
        coarse, similarities = [], []
        for number, start in enumerate(starts):
            report(SHARE_OF_CHOOSING * number / len(starts), "Comparing starting poses")
            coarsest, middle = (self._scaled(views, start, level) for level in self._levels(views, start)[:2])
            coarse.append(self._refine_at(coarsest, start, lambda: None).pose)
            similarities.append(self._compare(middle, coarse[-1]).similarity(coarse[-1]))
        best = int(np.argmax(similarities))
        return self.refine(views, coarse[best], lambda done, text: report(SHARE_OF_CHOOSING + (1 - SHARE_OF_CHOOSING) * done, text))

    def _through(
        self, levels: Sequence[Level], views: Sequence[View], start: FloatArray, try_pose: Callable[[], None]
    ) -> _Fit:
        """A starting pose refined level by level."""
        fit = _Fit(start)
        for level in levels:
            before = fit.pose
            scaled = self._scaled(views, before, level)
            fit = self._refine_at(scaled, before, try_pose)
        similarity = self._compare(scaled, fit.pose).similarity(fit.pose)
        return replace(fit, similarity=similarity, last_step_mm=min(self._distance(before, fit.pose), MOST_MM))

    def _distance(self, first: FloatArray, second: FloatArray) -> float:
        """Root mean square distance of points about `ARM_MM` around the bone's middle, at two poses."""
        points = self.centre_ras + ARM_MM * np.concatenate([np.eye(3), -np.eye(3)])
        apart = transform_points(first, points) - transform_points(second, points)
        return float(np.sqrt((apart**2).sum(axis=1).mean()))

    def _at_depth(self, view: View, ras_to_rig: FloatArray, factor: float) -> FloatArray:
        """A pose moved along the ray through the bone's middle, to so many times its distance."""
        centre = transform_points(view.rig_to_camera @ ras_to_rig, self.centre_ras[None])[0]
        shift = np.eye(4)
        shift[:3, 3] = view.rig_to_camera[:3, :3].T @ centre * (factor - 1)
        moved: FloatArray = shift @ ras_to_rig
        return moved

    def _levels(self, views: Sequence[View], pose: FloatArray) -> tuple[Level, ...]:
        small = any(around_bone(view, self.projector, pose) is not view for view in views)
        return LEVELS_OF_SMALL_BONES if small else LEVELS

    def _scaled(self, views: Sequence[View], pose: FloatArray, level: Level) -> list[ScaledView]:
        return [ScaledView.of(around_bone(view, self.projector, pose), level) for view in views]

    def _compare(self, views: Sequence[ScaledView], pose: FloatArray) -> Comparison:
        return Comparison(self.projector, self.beyond, views, pose)

    def _refine_at(self, views: Sequence[ScaledView], start: FloatArray, try_pose: Callable[[], None]) -> _Fit:
        """The best pose near a starting pose at one level; `try_pose` is called before each pose tried."""
        from scipy.optimize import least_squares

        comparison = self._compare(views, start)
        if not comparison.pixel_count:
            return _Fit(start)
        pivot = transform_points(start, self.centre_ras[None])[0]

        def residuals(motion: FloatArray) -> FloatArray:
            try_pose()
            return comparison.differences(move_pose(start, pivot, motion))

        def jacobian(motion: FloatArray) -> FloatArray:
            changes = comparison.derivatives(move_pose(start, pivot, motion), self.centre_ras)
            # By the rotation vector from the start, of which a further small turn is the left Jacobian's inverse (Chirikjian,
            # Stochastic Models, Information Theory, and Lie Groups 2, section 10.6), to first order in the angle.
            x, y, z = motion[:3] / 2
            further_turn = np.array([[1, -z, y], [z, 1, -x], [-y, x, 1]])
            return np.concatenate([changes[:, :3] @ further_turn, changes[:, 3:]], axis=1)

        solution = least_squares(
            residuals, np.zeros(6), jacobian, loss="soft_l1", f_scale=ROBUST_SCALE, x_scale=MOTION_SCALE, max_nfev=MAXIMUM_EVALUATIONS
        )
        variance = 2 * solution.cost / max(len(solution.fun) - 6, 1)
        return _Fit(move_pose(start, pivot, solution.x), _precision(solution.jac, variance))


def _precision(jacobian: FloatArray, variance: float) -> float:
    """Standard deviation, mm, of points about `ARM_MM` around the pivot: by the Gauss-Newton approximation of the covariance."""
    normal = jacobian.T @ jacobian
    if np.linalg.matrix_rank(normal, hermitian=True) < 6:
        return MOST_MM
    by_motion = variance * np.diag(np.linalg.inv(normal))
    # A turn about an axis moves a point by its distance from the axis, of which the mean square is 2/3 of that from the middle.
    return min(float(np.sqrt(by_motion[3:].sum() + 2 / 3 * ARM_MM**2 * by_motion[:3].sum())), MOST_MM)
