"""The pipeline as one function: from X-rays of a patient and the CT to a pose, which starts from a model, a given pose or a search."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from DRRSimulatorLib.camera import FloatArray, ViewRange
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Report, ignore_progress

from .correspondences import find_correspondences, network_image
from .model import Model
from .pose import Correspondences, PoseEstimate, PoseNotFoundError, solve_pose
from .refine import Refinement, Refiner
from .search import search_range, starting_poses
from .view import View

SHARE_OF_RECOGNITION, SHARE_OF_SOLVING, SHARE_OF_REFINEMENT = 0.15, 0.2, 0.5  # of the time, at their end; the rest may be a search
SHARE_OF_SEARCH = 0.7  # of the time of a search and its refinement

# Similarity. Below DOUBTFUL is hardly a right pose: 1 of 40 X-rays of other physics, at 0.60. Of searches without a right pose in their
# range none of 25 reached CONVINCING; the largest was 0.87. A searched pose that no network confirms must.
DOUBTFUL, CONVINCING = 0.7, 0.95

Origin = Literal["model", "given", "search"]


@dataclass(frozen=True)
class Registration:
    """Where the CT is relative to the X-rays.

    Attributes:
        ras_to_rig: 4x4 pose of the CT in the frame common to the X-rays; for a single X-ray its camera.
        views: the X-rays; their cameras have the source-to-detector distances that were found.
        start: 4x4 pose before refinement.
        origin: where the start is from: the model's network, the caller, or a search.
        correspondences: what the network saw in each view; none without a model.
        estimate: pose, inliers and covariance from the network alone; None where the start is from elsewhere.
        refinement: the refined pose and its similarities; None when none was asked for.
        seconds: duration of each step, by its name.
        sdd_deviation: relative standard deviation of the source-to-detector distances; 0 where they were taken as known.
    """

    ras_to_rig: FloatArray
    views: tuple[View, ...]
    start: FloatArray
    origin: Origin
    correspondences: tuple[Correspondences, ...] = ()
    estimate: PoseEstimate | None = None
    refinement: Refinement | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    sdd_deviation: float = 0.0

    @property
    def similarity(self) -> float:
        """Of the X-rays and the DRRs at the pose; -1 without refinement."""
        return self.refinement.similarity if self.refinement else -1.0

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
    sdd_unknown: bool = False,
) -> Registration:
    """Register a CT to one X-ray, or to several of known geometry.

    Args:
        views: the X-rays.
        ct: the patient's CT.
        start: a model trained on that CT, or a 4x4 pose ras_to_rig, such as one set by hand, or the C-arm views to search for a pose
            (`search_range` for any usual one).
        refiner: of that CT, sharpens the pose by the images' intensities, and searches for one where the model is at a loss; None
            leaves the network's pose as it is.
        seed: of the robust solver; the same input and seed give the same pose.
        report: called with the fraction done and what is being done.
        sdd_unknown: find the source-to-detector distance as well, near that of the views' cameras; one factor for all of them.

    Raises:
        InputError: if the model is for another CT, an X-ray is too small, or a refiner is missing for a pose or a search.
        PoseNotFoundError: if a model finds no pose, and neither does a search; an InputError that says why.
    """
    if isinstance(start, Model):
        start.description.check_ct(ct)
        return _register_by_model(views, start, refiner, seed, report, sdd_unknown)
    if refiner is None:
        raise InputError("Without a model a pose is found by refinement alone; switch it on, or give a model.")
    seconds: dict[str, float] = {}
    if isinstance(start, ViewRange):
        return _of_refinement(views, "search", _search(views, start, refiner, seconds, report, sdd_unknown), seconds)
    with timed(seconds, "refine"):
        refinement = refiner.refine(views, start, report, sdd_unknown)
    return _of_refinement(views, "given", refinement, seconds)


def _register_by_model(
    views: Sequence[View], model: Model, refiner: Refiner | None, seed: int, report: Report, sdd_unknown: bool
) -> Registration:
    """The pose of a model's network, refined; where it finds none, or a doubtful one, that of a search if it is better."""
    seconds: dict[str, float] = {}
    report(0.0, "Recognizing the bone in the X-ray")
    seen = _recognise(views, model, seconds)
    report(SHARE_OF_RECOGNITION, "Solving for the pose")

    def search() -> Registration:
        assert refiner is not None
        view_range = model.description.view_range or search_range(views)
        searched = _search(views, view_range, refiner, seconds, part_of(report, SHARE_OF_REFINEMENT, 1.0), sdd_unknown)
        return _of_refinement(views, "search", searched, seconds, seen)

    try:
        with timed(seconds, "pose"):
            estimate = solve_pose(seen, seed, sdd_unknown)
    except PoseNotFoundError:
        if refiner is None:
            raise
        found = search()
        if found.similarity < CONVINCING:
            raise
        return found
    placed = [view.at_distance(estimate.sdd_factor) for view in views] if sdd_unknown else views
    seen_there = tuple(view.at_distance(estimate.sdd_factor) for view in seen)
    start = estimate.ras_to_rig
    if refiner is None:
        return Registration(start, tuple(placed), start, "model", seen_there, estimate, None, seconds, estimate.sdd_deviation)
    with timed(seconds, "refine"):
        refinement = refiner.refine(placed, start, part_of(report, SHARE_OF_SOLVING, SHARE_OF_REFINEMENT), sdd_unknown)
    refined = replace(_of_refinement(placed, "model", refinement, seconds, seen_there), estimate=estimate)
    if refined.similarity >= DOUBTFUL:
        return refined
    found = search()
    return found if found.similarity > refined.similarity else refined


def _search(
    views: Sequence[View], view_range: ViewRange, refiner: Refiner, seconds: dict[str, float], report: Report, sdd_unknown: bool
) -> Refinement:
    """The best pose of a range of views, refined."""
    with timed(seconds, "search"):
        starts = starting_poses(views, refiner, view_range, part_of(report, 0.0, SHARE_OF_SEARCH))
    with timed(seconds, "refine"):
        return refiner.refine_best(views, starts, part_of(report, SHARE_OF_SEARCH, 1.0), sdd_unknown)


def _of_refinement(
    views: Sequence[View], origin: Origin, refinement: Refinement, seconds: dict[str, float], seen: tuple[Correspondences, ...] = ()
) -> Registration:
    """A registration whose pose, and whose source-to-detector distances, a refinement has found."""
    factor, deviation = refinement.sdd_factor, refinement.sdd_deviation
    if factor != 1:
        views, seen = [view.at_distance(factor) for view in views], tuple(view.at_distance(factor) for view in seen)
    return Registration(refinement.ras_to_rig, tuple(views), refinement.start, origin, seen, None, refinement, seconds, deviation)


def _recognise(views: Sequence[View], model: Model, seconds: dict[str, float]) -> tuple[Correspondences, ...]:
    with timed(seconds, "normalise"):
        inputs = [network_image(view.image, view.camera, model) for view in views]
    with timed(seconds, "network"):
        images, cameras = [image for image, _ in inputs], [camera for _, camera in inputs]
        return tuple(find_correspondences(images, cameras, [view.rig_to_camera for view in views], model))


@contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the duration of what is done within to that of a step."""
    began = time.perf_counter()
    yield
    seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - began


def part_of(report: Report, first: float, last: float) -> Report:
    """The report of work that is a part of other work, between two fractions of that."""
    return lambda done, text: report(first + (last - first) * done, text)
