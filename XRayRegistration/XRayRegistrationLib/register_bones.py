"""Registration of several bones, each with a pose of its own: joints move between the CT and the X-ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import FloatArray, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Report, ignore_progress
from DRRSimulatorLib.surface import Surface

from .body import PosedBodies
from .correspondences import find_correspondences_of_bones, joined, network_image
from .model import Model
from .pose import BoolArray, Correspondences, PoseEstimate, PoseNotFoundError, solve_pose
from .refine import Refiner
from .register import SHARE_OF_RECOGNITION, SHARE_OF_SOLVING, Registration, part_of, timed
from .view import View


def register_bones(
    views: Sequence[View],
    ct: CTVolume,
    bones: BoneLabels,
    model: Model,
    refiner: Refiner,
    seed: int = 0,
    report: Report = ignore_progress,
) -> dict[str, Registration]:
    """Register every bone of a CT to one X-ray, or to several of known geometry.

    Each bone's pose starts from its own correspondences; that of a bone that is hardly recognised from those of all bones together, as
    if they had not moved. All are refined together.

    Args:
        views: the X-rays.
        ct: the patient's CT.
        bones: its bones, at least two; those that the model was trained with.
        model: a model trained on that CT and these bones.
        refiner: of the bones (`Refiner.of_bones`).
        seed: of the robust solver.
        report: called with the fraction done and what is being done.

    Returns:
        A registration for each bone, by its name, in the order of the labels. Their similarities are the same: one X-ray shows all.

    Raises:
        InputError: if the model is for another CT or other bones, or there is only one bone.
        PoseNotFoundError: if a bone is hardly recognised, and all of them together neither.
    """
    model.description.check_ct(ct)
    model.description.check_bones(bones)
    if len(bones.names) < 2:
        raise InputError("Bones are registered one by one if there are several, but this model knows only one; register it as usual.")
    seconds: dict[str, float] = {}
    report(0.0, "Recognizing the bones in the X-ray")
    with timed(seconds, "network"):
        inputs = [network_image(view.image, view.camera, model) for view in views]
        images, cameras = [image for image, _ in inputs], [camera for _, camera in inputs]
        seen = find_correspondences_of_bones(images, cameras, [view.rig_to_camera for view in views], model)
    report(SHARE_OF_RECOGNITION, "Solving for the poses")
    with timed(seconds, "pose"):
        of_bones = list(zip(*seen, strict=True))
        estimates = _estimates(of_bones, seed)
        starts = np.stack([_start(estimate, seen, seed) for estimate in estimates])
    with timed(seconds, "refine"):
        refined = refiner.refine_bodies(views, starts, part_of(report, SHARE_OF_SOLVING, 1.0))
    parts = zip(bones.names.values(), of_bones, estimates, starts, refined, strict=True)
    return {
        name: Registration(refinement.ras_to_rig, tuple(views), start, "model", correspondences, estimate, refinement, seconds)
        for name, correspondences, estimate, start, refinement in parts
    }


def together(registrations: Sequence[Registration]) -> Registration:
    """The registrations of bones as one: the first bone's pose, and what the network saw of all."""
    first = registrations[0]
    correspondences = tuple(joined(bones) for bones in zip(*(found.correspondences for found in registrations), strict=True))
    if first.estimate is None:
        return replace(first, correspondences=correspondences)
    inliers = [np.concatenate([_inliers(found, view) for found in registrations]) for view in range(len(first.views))]
    return replace(first, correspondences=correspondences, estimate=replace(first.estimate, inliers=inliers))


def motion_from(first: Registration, bone: Registration) -> FloatArray:
    """How a bone has moved relative to the first one since the CT: 4x4 from the CT's RAS to RAS."""
    motion: FloatArray = np.linalg.inv(first.ras_to_rig) @ bone.ras_to_rig
    return motion


def bones_in_place(
    registrations: Mapping[str, Registration], refiner: Refiner, surfaces: Mapping[str, Surface]
) -> tuple[PosedBodies, dict[str, Surface]]:
    """What casts rays through the bones where they are relative to the first one, and their surfaces there, by their names."""
    first = next(iter(registrations.values()))
    motions = {name: motion_from(first, bone) for name, bone in registrations.items()}
    moved = {
        name: Surface(transform_points(motion, surfaces[name].points).astype(np.float32), surfaces[name].triangles)
        for name, motion in motions.items()
    }
    return PosedBodies(refiner.bodies, np.stack(list(motions.values()))), moved


def _estimates(of_bones: Sequence[tuple[Correspondences, ...]], seed: int) -> list[PoseEstimate | None]:
    """The pose of each bone by itself; None of one that is hardly recognised."""
    estimates: list[PoseEstimate | None] = []
    for correspondences in of_bones:
        try:
            estimates.append(solve_pose(correspondences, seed))
        except PoseNotFoundError:
            estimates.append(None)
    return estimates


def _start(estimate: PoseEstimate | None, seen: Sequence[Sequence[Correspondences]], seed: int) -> FloatArray:
    """Where the refinement of a bone starts."""
    found = estimate or solve_pose([joined(bones) for bones in seen], seed)
    return found.ras_to_rig


def _inliers(registration: Registration, view: int) -> BoolArray:
    """Which correspondences of a view agree with a bone's pose; none without an estimate."""
    if registration.estimate is None:
        return np.zeros(len(registration.correspondences[view].sigma_mm), dtype=np.bool_)
    return registration.estimate.inliers[view]
