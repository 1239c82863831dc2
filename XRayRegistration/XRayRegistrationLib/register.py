"""The pipeline as one function: from X-rays of a patient and the CT to a pose, which starts from a model, a given pose or a search."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from DRRSimulatorLib.camera import FloatArray, ViewRange
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Report, ignore_progress

from .correspondences import find_correspondences, network_image
from .model import Model
from .pose import Correspondences, PoseEstimate, solve_pose
from .refine import Refinement, Refiner
from .search import starting_poses
from .view import View

SHARE_OF_RECOGNITION, SHARE_OF_SOLVING = 0.15, 0.05  # of the time, about; the rest is refinement
SHARE_OF_SEARCH = 0.6  # of the time without a model or a pose

Origin = Literal["model", "given", "search"]


@dataclass(frozen=True)
class Registration:
    """Where the CT is relative to the X-rays.

    Attributes:
        ras_to_rig: 4x4 pose of the CT in the frame common to the X-rays; for a single X-ray its camera.
        views: the X-rays.
        start: 4x4 pose before refinement.
        origin: where the start is from: the model's network, the caller, or a search.
        correspondences: what the network saw in each view; none without a model.
        estimate: pose, inliers and covariance from the network alone; None without a model.
        refinement: the refined pose and its similarities; None when none was asked for.
        seconds: duration of each step, by its name.
    """

    ras_to_rig: FloatArray
    views: tuple[View, ...]
    start: FloatArray
    origin: Origin
    correspondences: tuple[Correspondences, ...] = ()
    estimate: PoseEstimate | None = None
    refinement: Refinement | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def ras_to_camera(self, view: int = 0) -> FloatArray:
        """4x4 pose of the CT relative to the camera of a view."""
        pose: FloatArray = self.views[view].rig_to_camera @ self.ras_to_rig
        return pose


def register(
    views: Sequence[View],
    ct: CTVolume,
    start: Model | FloatArray | ViewRange,
    refiner: Refiner | None = None,
    seed: int = 0,
    report: Report = ignore_progress,
) -> Registration:
    """Register a CT to one X-ray, or to several of known geometry.

    Args:
        views: the X-rays.
        ct: the patient's CT.
        start: a model trained on that CT, or a 4x4 pose ras_to_rig, such as one set by hand, or the C-arm views to search for a pose
            (`search_range` for any usual one).
        refiner: of that CT, sharpens the pose by the images' intensities; None leaves the network's pose as it is.
        seed: of the robust solver; the same input and seed give the same pose.
        report: called with the fraction done and what is being done.

    Raises:
        InputError: if the model is for another CT, an X-ray is too small, or a refiner is missing for a pose or a search.
        PoseNotFoundError: if a model finds no pose; an InputError that says why.
    """
    if isinstance(start, Model):
        return _register_by_model(views, ct, start, refiner, seed, report)
    if refiner is None:
        raise InputError("Without a model a pose is found by refinement alone; switch it on, or give a model.")
    if isinstance(start, ViewRange):
        return _register_by_search(views, start, refiner, report)
    began = time.perf_counter()
    refinement = refiner.refine(views, start, report)
    seconds = {"refine": time.perf_counter() - began}
    return Registration(refinement.ras_to_rig, tuple(views), start, "given", refinement=refinement, seconds=seconds)


def _register_by_search(views: Sequence[View], view_range: ViewRange, refiner: Refiner, report: Report) -> Registration:
    began = time.perf_counter()
    starts = starting_poses(views, refiner, view_range, lambda done, text: report(SHARE_OF_SEARCH * done, text))
    seconds = {"search": time.perf_counter() - began}
    began = time.perf_counter()
    refinement = refiner.refine_best(views, starts, lambda done, text: report(SHARE_OF_SEARCH + (1 - SHARE_OF_SEARCH) * done, text))
    seconds["refine"] = time.perf_counter() - began
    return Registration(refinement.ras_to_rig, tuple(views), refinement.start, "search", refinement=refinement, seconds=seconds)


def _register_by_model(
    views: Sequence[View], ct: CTVolume, model: Model, refiner: Refiner | None, seed: int, report: Report
) -> Registration:
    model.description.check_ct(ct)
    seconds: dict[str, float] = {}
    report(0.0, "Recognizing the bone in the X-ray")
    began = time.perf_counter()
    inputs = [network_image(view.image, view.camera, model) for view in views]
    seconds["normalise"] = time.perf_counter() - began
    began = time.perf_counter()
    images, cameras = [image for image, _ in inputs], [camera for _, camera in inputs]
    correspondences = find_correspondences(images, cameras, [view.rig_to_camera for view in views], model)
    seconds["network"] = time.perf_counter() - began
    report(SHARE_OF_RECOGNITION, "Solving for the pose")
    began = time.perf_counter()
    estimate = solve_pose(correspondences, seed)
    seconds["pose"] = time.perf_counter() - began
    refinement = None
    if refiner is not None:
        before = SHARE_OF_RECOGNITION + SHARE_OF_SOLVING
        began = time.perf_counter()
        refinement = refiner.refine(views, estimate.ras_to_rig, lambda done, text: report(before + (1 - before) * done, text))
        seconds["refine"] = time.perf_counter() - began
    pose = refinement.ras_to_rig if refinement else estimate.ras_to_rig
    return Registration(pose, tuple(views), estimate.ras_to_rig, "model", tuple(correspondences), estimate, refinement, seconds)
