"""The pipeline as one function: from X-rays of a patient, the CT and its model to a pose."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.progress import Report, ignore_progress

from .correspondences import find_correspondences, network_image
from .model import Model
from .pose import Correspondences, PoseEstimate, solve_pose
from .refine import Refinement, Refiner
from .view import View

SHARE_OF_RECOGNITION, SHARE_OF_SOLVING = 0.15, 0.05  # of the time, about; the rest is refinement


@dataclass(frozen=True)
class Registration:
    """Where the CT is relative to the X-rays.

    Attributes:
        ras_to_rig: 4x4 pose of the CT in the frame common to the X-rays; for a single X-ray its camera.
        views: the X-rays.
        correspondences: what the network saw in each view.
        estimate: pose, inliers and covariance from the network alone, before refinement.
        refinement: the refined pose and its similarities; None when none was asked for.
        seconds: duration of each step, by its name.
    """

    ras_to_rig: FloatArray
    views: tuple[View, ...]
    correspondences: tuple[Correspondences, ...]
    estimate: PoseEstimate
    refinement: Refinement | None
    seconds: dict[str, float]

    def ras_to_camera(self, view: int = 0) -> FloatArray:
        """4x4 pose of the CT relative to the camera of a view."""
        pose: FloatArray = self.views[view].rig_to_camera @ self.ras_to_rig
        return pose


def register(
    views: Sequence[View],
    ct: CTVolume,
    model: Model,
    refiner: Refiner | None = None,
    seed: int = 0,
    report: Report = ignore_progress,
) -> Registration:
    """Register a CT to one X-ray, or to several of known geometry.

    Args:
        views: the X-rays.
        ct: the patient's CT.
        model: a model trained on that CT.
        refiner: sharpens the pose by the images' intensities; None leaves the network's pose as it is.
        seed: of the robust solver; the same input and seed give the same pose.
        report: called with the fraction done and what is being done.

    Raises:
        InputError: if the model is for another CT, or an X-ray is too small.
        PoseNotFoundError: if no pose can be found; an InputError that says why.
    """
    model.description.check_ct(ct)
    seconds: dict[str, float] = {}
    report(0.0, "Recognizing the bone in the X-ray")
    start = time.perf_counter()
    inputs = [network_image(view.image, view.camera, model) for view in views]
    seconds["normalise"] = time.perf_counter() - start
    start = time.perf_counter()
    images, cameras = [image for image, _ in inputs], [camera for _, camera in inputs]
    correspondences = find_correspondences(images, cameras, [view.rig_to_camera for view in views], model)
    seconds["network"] = time.perf_counter() - start
    report(SHARE_OF_RECOGNITION, "Solving for the pose")
    start = time.perf_counter()
    estimate = solve_pose(correspondences, seed)
    seconds["pose"] = time.perf_counter() - start
    refinement = None
    if refiner is not None:
        before = SHARE_OF_RECOGNITION + SHARE_OF_SOLVING
        start = time.perf_counter()
        refinement = refiner.refine(views, estimate.ras_to_rig, lambda done, text: report(before + (1 - before) * done, text))
        seconds["refine"] = time.perf_counter() - start
    pose = refinement.ras_to_rig if refinement else estimate.ras_to_rig
    return Registration(pose, tuple(views), tuple(correspondences), estimate, refinement, seconds)
