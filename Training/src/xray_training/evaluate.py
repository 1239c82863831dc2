"""Evaluation of a model on a suite: register every X-ray, measure every pose, and put all into one JSON-ready summary."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import XRayRegistrationLib
from DRRSimulatorLib.camera import CArmView, FloatArray
from DRRSimulatorLib.files import atomic_path
from XRayRegistrationLib.metrics import PoseError, environment, pose_error, summarise
from XRayRegistrationLib.model import Model
from XRayRegistrationLib.pose import PoseNotFoundError
from XRayRegistrationLib.refine import Refiner
from XRayRegistrationLib.register import Registration, register

from .suites import Case, Patient, Suite

DEFAULT_MODEL = Path(XRayRegistrationLib.__file__).parent / "data" / "pelvis.safetensors"


@dataclass(frozen=True)
class CaseResult:
    """What became of one X-ray.

    Attributes:
        number: place in the suite, from 1.
        reference: 4x4 true ras_to_camera.
        pose: 4x4 ras_to_camera found; None where there is none.
        error: of the pose; None where there is none.
        error_before_refinement: of the pose from the network alone; equal to `error` without refinement.
        similarity: of X-ray and DRR at the refined pose; None without refinement.
        seconds: duration of the registration.
        seconds_before_refinement: its part before the refinement.
        failure: why no pose was found; empty where one was.
    """

    number: int
    reference: FloatArray
    pose: FloatArray | None
    error: PoseError | None
    error_before_refinement: PoseError | None
    similarity: float | None
    seconds: float
    seconds_before_refinement: float
    failure: str


def evaluate(
    suite: Suite, patient: Patient, model: Model, refiner: Refiner | None, limit: int | None = None
) -> Iterator[tuple[CaseResult, Registration | None]]:
    """Register the X-rays of a suite one by one, each when it is asked for.

    The first is registered twice, because the first run of everything also loads libraries and compiles kernels; only the second is
    timed.

    Args:
        suite: the X-rays.
        patient: the suite's patient.
        model: a model trained on that patient's CT.
        refiner: as for `register`.
        limit: how many X-rays, from the first; None for all.

    Yields:
        The measured result, and the registration itself, None where no pose was found.

    Raises:
        InputError: if the model is for another CT.
    """
    for case in suite.cases(patient, limit):
        if case.number == 1:
            evaluate_case(suite.case(1, patient), patient, model, refiner)
        yield evaluate_case(case, patient, model, refiner)


def evaluate_case(case: Case, patient: Patient, model: Model, refiner: Refiner | None) -> tuple[CaseResult, Registration | None]:
    """Register one X-ray and measure the pose; an X-ray without a pose is a result, not an error."""

    def error_of(pose: FloatArray) -> PoseError:
        return pose_error(pose, case.ras_to_camera, case.view.camera, patient.surface_points, patient.centroid)

    start = time.perf_counter()
    try:
        registration = register([case.view], patient.ct, model, refiner)
    except PoseNotFoundError as reason:
        seconds = time.perf_counter() - start
        return CaseResult(case.number, case.ras_to_camera, None, None, None, None, seconds, seconds, str(reason)), None
    seconds = time.perf_counter() - start
    pose = registration.ras_to_camera()
    result = CaseResult(
        number=case.number,
        reference=case.ras_to_camera,
        pose=pose,
        error=error_of(pose),
        error_before_refinement=error_of(registration.estimate.ras_to_rig),
        similarity=registration.refinement.similarity if registration.refinement else None,
        seconds=seconds,
        seconds_before_refinement=seconds - registration.seconds.get("refine", 0.0),
        failure="",
    )
    return result, registration


def summary(suite: Suite, patient: Patient, results: Sequence[CaseResult], model_file: Path, device: str, refined: bool) -> dict[str, Any]:
    """Everything about an evaluation as values for JSON.

    The statistics of `metrics.summarise`, what they were measured on and with, and a row per X-ray under `cases`. After refinement,
    `before_refinement` holds the same statistics of the network's poses.
    """
    values: dict[str, Any] = {"suite": suite.name, "model": model_file.name, "refined": refined}
    values |= summarise([result.error for result in results], [result.seconds for result in results])
    if refined:
        values["before_refinement"] = summarise(
            [result.error_before_refinement for result in results], [result.seconds_before_refinement for result in results]
        )
    record = environment(suite.seed)
    values |= {key: record[key] for key in ("versions", "seed", "date_utc")}
    values["machine"] = {key: record[key] for key in ("platform", "cpu", "cores")} | {"device": _device_name(device)}
    values["cases"] = [_row(result, patient) for result in results]
    return values


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write values as JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _row(result: CaseResult, patient: Patient) -> dict[str, Any]:
    """One X-ray as values for JSON: how it was taken, and how far off the pose is (None where it was not found, or infinite)."""
    view = CArmView.from_pose(result.reference, patient.centroid)
    row: dict[str, Any] = {
        "number": result.number,
        "primary_deg": view.primary_deg,
        "secondary_deg": view.secondary_deg,
        "roll_deg": view.roll_deg,
        "offset_mm": list(view.offset_mm),
        "source_to_bone_mm": view.source_to_point_mm,
        "similarity": result.similarity,
        "seconds": result.seconds,
        "failure": result.failure or None,
    }
    return row | _finite(result.error) | {"before_refinement": _finite(result.error_before_refinement)}


def _finite(error: PoseError | None) -> dict[str, float | None]:
    if error is None:
        return dict.fromkeys(PoseError.__dataclass_fields__)
    return {name: value if math.isfinite(value) else None for name, value in asdict(error).items()}


def _device_name(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
