"""What a registration found, as files: numbers, pictures, point cloud and a scene for 3D Slicer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from DRRSimulatorLib.camera import FloatArray, invert_pose, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.files import atomic_files
from DRRSimulatorLib.surface import Surface

from .body import CastsRays
from .metrics import environment, pose_error
from .model import ModelDescription
from .overlay import write_overlay
from .point_cloud import point_cloud, write_polydata
from .register import Registration
from .register_bones import motion_from
from .scene_file import write_scene
from .trust import judge

RESEARCH_USE = "Research use only: not for diagnosis or treatment."
CONVENTIONS = (
    "RAS and camera frames in mm; x_rig = ras_to_rig @ x_ras, x_camera = ras_to_camera @ x_ras. Camera: origin at the source, x along "
    "image columns, y along rows, z towards the detector; pixel (0, 0) is the centre of the top-left pixel."
)
ERROR_POINTS = 2000  # of the surface, that errors are measured on


def write_results(
    folder: Path,
    registration: Registration,
    names: Sequence[str],
    description: ModelDescription | None,
    ct: CTVolume,
    surfaces: Mapping[str, Surface],
    projector: CastsRays,
    reference: FloatArray | None = None,
    bones: Mapping[str, Registration] | None = None,
) -> list[Path]:
    """Write result.json, overlay_<n>.png for X-ray n from 1, point_cloud.vtp (with a model) and scene.mrb: all of them or none.

    Args:
        folder: existing folder.
        registration: what was found.
        names: file name of each X-ray; folders in front of it are left out.
        description: of the model that was used, if any.
        ct: the patient's CT.
        surfaces: the bones' surfaces, by their names.
        projector: of the CT.
        reference: 4x4 ras_to_rig known to be true, where there is one.
        bones: the registrations of bones that were registered each by itself; `registration` is that of all `together` then, and
            surfaces and projector are those of the bones where they are relative to the first.

    Returns:
        The files written.

    Raises:
        OSError: if a file cannot be written; all that were there stay as they were.
    """
    names = [Path(name).name for name in names]
    numbers = result_numbers(registration, names, description, surfaces, None if bones else reference)
    if bones:
        numbers["bones"] = {name: _bone_numbers(bones, name, surfaces[name], reference) for name in bones}
    overlays = [f"overlay_{number}.png" for number in range(1, len(names) + 1)]
    clouds = ["point_cloud.vtp"] if registration.estimate else []
    scene, result = "scene.mrb", "result.json"
    with atomic_files(folder, last=result) as written:
        for number, (overlay, view) in enumerate(zip(overlays, registration.views, strict=True)):
            truth = None if reference is None else view.rig_to_camera @ reference
            caption = f"{names[number]}: {agreement(registration, number)} {RESEARCH_USE}"
            write_overlay(written / overlay, view, projector, registration.ras_to_camera(number), caption, truth)
        for cloud in clouds:
            write_polydata(written / cloud, point_cloud(registration))
        write_scene(written / scene, registration, [Path(name).stem for name in names], ct, surfaces, projector)
        (written / result).write_text(json.dumps(numbers, indent=1, allow_nan=False), encoding="utf-8")
    return [folder / name for name in (result, *overlays, *clouds, scene)]


def agreement(registration: Registration, view: int) -> str:
    """How well an X-ray agrees with the pose, in words."""
    words = []
    if registration.estimate:
        inliers = registration.estimate.inliers[view]
        words.append(f"{inliers.sum()} of {len(inliers)} recognised points agree with the pose.")
    if registration.refinement:
        before, after = registration.refinement.similarity_before, registration.refinement.similarity
        words.append(f"Similarity to the simulated X-ray {after:.2f} (before refinement {before:.2f}).")
    return " ".join(words)


def result_numbers(
    registration: Registration,
    names: Sequence[str],
    description: ModelDescription | None,
    surfaces: Mapping[str, Surface],
    reference: FloatArray | None = None,
) -> dict[str, Any]:
    """The numbers of a registration, values for JSON; arguments as for `write_results`."""
    refinement = registration.refinement
    measured = environment(seed=0)
    return {
        "note": RESEARCH_USE,
        "conventions": CONVENTIONS,
        "verdict": asdict(judge(registration)),
        "ras_to_rig": registration.ras_to_rig.tolist(),
        "views": [_view_numbers(registration, number, name) for number, name in enumerate(names)],
        "before_refinement": {"ras_to_rig": registration.start.tolist(), "origin": registration.origin, **_estimate_numbers(registration)},
        "refinement": refinement and {"similarity_before": refinement.similarity_before, "similarity": refinement.similarity},
        "errors": None if reference is None else _errors(registration, surfaces, reference),
        "seconds": registration.seconds,
        "model": description
        and {"ct_fingerprint": description.ct_fingerprint, "labels": {str(k): name for k, name in description.labels.items()}},
        "versions": measured["versions"],
        "date_utc": measured["date_utc"],
    }


def _estimate_numbers(registration: Registration) -> dict[str, Any]:
    """How well the network's points determine the pose; empty without a model."""
    if registration.estimate is None:
        return {}
    deviations = np.sqrt(np.diag(registration.estimate.covariance))
    return {
        "rms_residual_network_pixels": registration.estimate.rms_residual_pixels,
        "rotation_standard_deviations_deg": np.degrees(deviations[:3]).tolist(),
        "translation_standard_deviations_mm": deviations[3:].tolist(),
    }


def _bone_numbers(bones: Mapping[str, Registration], name: str, surface: Surface, reference: FloatArray | None) -> dict[str, Any]:
    """The numbers of one of several bones; the surface is where the bone is relative to the first."""
    first, bone = next(iter(bones.values())), bones[name]
    own = replace(surface, points=transform_points(invert_pose(motion_from(first, bone)), surface.points).astype(np.float32))
    return {
        "verdict": asdict(judge(bone)),
        "ras_to_rig": bone.ras_to_rig.tolist(),
        "motion_relative_to_first_bone": motion_from(first, bone).tolist(),
        "precision_mm": bone.refinement and bone.refinement.precision_mm,
        "before_refinement": {"ras_to_rig": bone.start.tolist(), **_estimate_numbers(bone)},
        "errors": None if reference is None else _errors(bone, {name: own}, reference),
    }


def _view_numbers(registration: Registration, number: int, name: str) -> dict[str, Any]:
    view = registration.views[number]
    return {
        "xray": name,
        "polarity": view.xray.polarity,
        "camera": view.camera.to_dict(),
        "source_to_detector_standard_deviation": registration.sdd_deviation * view.camera.source_to_detector_distance,
        "rig_to_camera": view.rig_to_camera.tolist(),
        "ras_to_camera": registration.ras_to_camera(number).tolist(),
        **_recognised(registration, number),
    }


def _recognised(registration: Registration, number: int) -> dict[str, Any]:
    """What the network saw in an X-ray; empty without a model."""
    if registration.estimate is None:
        return {}
    correspondences, inliers = registration.correspondences[number], registration.estimate.inliers[number]
    sigma = np.percentile(correspondences.sigma_mm[inliers], (10, 50, 90)).tolist()
    return {
        "correspondences": len(inliers),
        "inliers": int(inliers.sum()),
        "inlier_sigma_mm": dict(zip(("p10", "median", "p90"), sigma, strict=True)),
        "network_pixel_mm": list(correspondences.camera.pixel_spacing),
    }


def _errors(registration: Registration, surfaces: Mapping[str, Surface], reference: FloatArray) -> list[dict[str, float | None]]:
    """Errors in the camera of each view; infinite ones as None."""
    points = _joined(surfaces).sample(ERROR_POINTS, np.random.default_rng(0))
    errors = []
    for number, view in enumerate(registration.views):
        truth = view.rig_to_camera @ reference
        error = pose_error(registration.ras_to_camera(number), truth, view.camera, points, points.mean(axis=0))
        errors.append({measure: value if np.isfinite(value) else None for measure, value in asdict(error).items()})
    return errors


def _joined(surfaces: Mapping[str, Surface]) -> Surface:
    """All surfaces as one."""
    parts = list(surfaces.values())
    firsts = np.cumsum([0, *(len(part.points) for part in parts[:-1])])
    triangles = np.concatenate([part.triangles + first for part, first in zip(parts, firsts, strict=True)])
    return Surface(np.concatenate([part.points for part in parts]), triangles.astype(np.int32))
