"""Intensity-based refinement: the pose at which simulated X-rays look most like the real ones.

Both images are normalised locally, so that the sum of squared differences measures local normalised correlation and survives gain,
gamma and soft-tissue background. The differences are minimised by trust-region least squares with the ray caster's derivatives by the
pose, coarse to fine, over all views together. Documentation/refinement.md tells what else was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
ROBUST_SCALE = 0.5  # differences beyond it, in local standard deviations, count linearly: tools, text, other bones
MOTION_SCALE = np.array([0.006, 0.006, 0.006, 0.6, 0.6, 2.5])  # rad and mm: motions that change images about equally, by half a pixel
MAXIMUM_EVALUATIONS = 12  # at each level
SHARE_OF_CHOOSING = 0.5  # of the time of `refine_best`, about; the rest is the refinement of the best start


@dataclass(frozen=True)
class Refinement:
    """A refined pose.

    Attributes:
        ras_to_rig: 4x4 pose.
        start: 4x4 pose that the refinement started from.
        similarity_before: local normalised correlation at the start, -1 to 1, at the finest level.
        similarity: the same at the refined pose; never below the start's.
    """

    ras_to_rig: FloatArray
    start: FloatArray
    similarity_before: float
    similarity: float


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
        pose = ras_to_rig
        levels = self._levels(views, pose)
        tried, most = count(), MAXIMUM_EVALUATIONS * len(levels)
        for level in levels:
            scaled = self._scaled(views, pose, level)
            pose = self._refine_at(scaled, pose, lambda: report(next(tried) / most, "Refining the pose"))
        before, after = (self._compare(scaled, candidate).similarity(candidate) for candidate in (ras_to_rig, pose))
        return Refinement(pose, ras_to_rig, before, after) if after >= before else Refinement(ras_to_rig, ras_to_rig, before, before)

    def refine_best(self, views: Sequence[View], starts: Sequence[FloatArray], report: Report = ignore_progress) -> Refinement:
        """The best of several starting poses (4x4), refined: all are refined at the coarsest level, then the most similar at all."""
        coarse, similarities = [], []
        for number, start in enumerate(starts):
            report(SHARE_OF_CHOOSING * number / len(starts), "Comparing starting poses")
            coarsest, middle = (self._scaled(views, start, level) for level in self._levels(views, start)[:2])
            coarse.append(self._refine_at(coarsest, start, lambda: None))
            similarities.append(self._compare(middle, coarse[-1]).similarity(coarse[-1]))
        best = int(np.argmax(similarities))
        return self.refine(views, coarse[best], lambda done, text: report(SHARE_OF_CHOOSING + (1 - SHARE_OF_CHOOSING) * done, text))

    def _levels(self, views: Sequence[View], pose: FloatArray) -> tuple[Level, ...]:
        small = any(around_bone(view, self.projector, pose) is not view for view in views)
        return LEVELS_OF_SMALL_BONES if small else LEVELS

    def _scaled(self, views: Sequence[View], pose: FloatArray, level: Level) -> list[ScaledView]:
        return [ScaledView.of(around_bone(view, self.projector, pose), level) for view in views]

    def _compare(self, views: Sequence[ScaledView], pose: FloatArray) -> Comparison:
        return Comparison(self.projector, self.beyond, views, pose)

    def _refine_at(self, views: Sequence[ScaledView], start: FloatArray, try_pose: Callable[[], None]) -> FloatArray:
        """The best pose near a starting pose at one level; `try_pose` is called before each pose tried."""
        from scipy.optimize import least_squares

        comparison = self._compare(views, start)
        if not comparison.pixel_count:
            return start
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
        return move_pose(start, pivot, solution.x)
