"""Intensity-based refinement: the pose at which simulated X-rays look most like the real ones.

Both images are normalised locally, so that the sum of squared differences measures local normalised correlation and survives gain,
gamma and soft-tissue background. The differences are minimised by trust-region least squares with the ray caster's derivatives by the
pose, coarse to fine, over all views together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray, move_pose, transform_points
from DRRSimulatorLib.progress import Report, ignore_progress
from DRRSimulatorLib.projector import Projector

from .local_normalisation import FloatImage, LocalNormalisation
from .view import View

LEVELS = (64, 128)  # pixels along the longer side of the images compared
ROBUST_SCALE = 0.5  # differences beyond it, in local standard deviations, count linearly: tools, text, other bones
MOTION_SCALE = np.array([0.006, 0.006, 0.006, 0.6, 0.6, 2.5])  # rad and mm: motions that change images about equally, by half a pixel
MAXIMUM_EVALUATIONS = 12  # at each level
MOST_POSES_TRIED = MAXIMUM_EVALUATIONS * len(LEVELS)


@dataclass(frozen=True)
class Refinement:
    """A refined pose.

    Attributes:
        ras_to_rig: 4x4 pose.
        similarity_before: local normalised correlation at the start, -1 to 1, at the finest level.
        similarity: the same at the refined pose; never below the start's.
    """

    ras_to_rig: FloatArray
    similarity_before: float
    similarity: float


class Refiner:
    """Refines poses of one CT."""

    def __init__(self, projector: Projector, centre_ras: npt.ArrayLike) -> None:
        """Keep what all refinements of a CT share.

        Args:
            projector: of the patient's CT.
            centre_ras: point (3,), RAS mm, that rotations turn about: the middle of the bone.
        """
        self.projector = projector
        self.centre_ras = np.asarray(centre_ras, dtype=np.float64)

    def refine(self, views: Sequence[View], ras_to_rig: FloatArray, report: Report = ignore_progress) -> Refinement:
        """The pose near a starting pose (4x4) at which the DRRs match the X-rays best; it reports at every pose tried."""
        pose = ras_to_rig
        comparisons = [_Comparison(self.projector, views, level) for level in LEVELS]
        tried = count()
        for comparison in comparisons:
            pose = self._refine_at(comparison, pose, lambda: report(next(tried) / MOST_POSES_TRIED, "Refining the pose"))
        before, after = (comparisons[-1].similarity(candidate) for candidate in (ras_to_rig, pose))
        return Refinement(pose, before, after) if after >= before else Refinement(ras_to_rig, before, before)

    def _refine_at(self, comparison: _Comparison, start: FloatArray, try_pose: Callable[[], None]) -> FloatArray:
        """The best pose near a starting pose at one resolution; `try_pose` is called before each pose tried."""
        from scipy.optimize import least_squares

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


class _Comparison:
    """X-rays and DRRs at one resolution."""

    def __init__(self, projector: Projector, views: Sequence[View], longer_side: int) -> None:
        self.projector = projector
        self.rig_to_camera = [view.rig_to_camera for view in views]
        self.cameras: list[Camera] = []
        self.normalise: list[LocalNormalisation] = []
        self.xrays: list[FloatImage] = []
        for view in views:
            scale = min(1.0, longer_side / max(view.camera.image_size))
            rows, columns = (max(1, round(size * scale)) for size in view.camera.image_size)
            self.cameras.append(view.camera.resized((rows, columns)))
            field = (_resample(view.xray.field.astype(np.float32), (rows, columns)) > 0.99).astype(np.float32)
            self.normalise.append(LocalNormalisation(field))
            self.xrays.append(self.normalise[-1](_resample(view.image, (rows, columns))))

    def _drrs(self, pose: FloatArray) -> list[FloatImage]:
        """Normalised DRR of every view."""
        rendered = []
        for camera, to_camera, normalise in zip(self.cameras, self.rig_to_camera, self.normalise, strict=True):
            integrals = self.projector.line_integrals(camera, (to_camera @ pose)[None]).numpy()[0]
            rendered.append(normalise(integrals.sum(axis=0)))
        return rendered

    def differences(self, pose: FloatArray) -> FloatArray:
        """(pixels of all views,) differences of X-rays and DRRs in local standard deviations."""
        fields = [normalise.field > 0 for normalise in self.normalise]
        views = zip(self._drrs(pose), self.xrays, fields, strict=True)
        return np.concatenate([(drr - xray)[field] for drr, xray, field in views]).astype(np.float64)

    def derivatives(self, pose: FloatArray, pivot_ras: FloatArray) -> FloatArray:
        """(pixels of all views, 6) derivatives of the differences by a small motion of the patient in the rig's frame.

        The motion is a rotation vector (rad) about the pivot, and a translation (mm).
        """
        changes = []
        for camera, to_camera, normalise in zip(self.cameras, self.rig_to_camera, self.normalise, strict=True):
            image = self.projector.line_integrals_and_derivatives(camera, (to_camera @ pose)[None], pivot_ras).numpy()[0]
            _, by_camera = normalise.with_derivatives(image[0], image[1:])
            at_pixels = by_camera[:, normalise.field > 0].astype(np.float64)
            rotation = to_camera[:3, :3]  # both vectors of a motion turn with the frame
            changes.append(np.concatenate([rotation.T @ at_pixels[:3], rotation.T @ at_pixels[3:]]).T)
        return np.concatenate(changes)

    def similarity(self, pose: FloatArray) -> float:
        """Mean correlation of the locally normalised images over all views."""
        values = []
        for drr, xray in zip(self._drrs(pose), self.xrays, strict=True):
            values.append(float((drr * xray).sum() / max(float(np.linalg.norm(drr) * np.linalg.norm(xray)), 1e-12)))
        return float(np.mean(values))


def _resample(image: FloatImage, size: tuple[int, int]) -> FloatImage:
    """Image at another size; antialiased."""
    import torch
    from torch.nn import functional

    tensor = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    resampled: FloatImage = functional.interpolate(tensor, size, mode="bilinear", antialias=True)[0, 0].numpy()
    return resampled
