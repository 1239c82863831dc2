"""Evaluation of a model on a suite: register every case, measure every pose, and put all into one JSON-ready summary."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import XRayRegistrationLib
from DRRSimulatorLib.camera import CArmView, FloatArray
from DRRSimulatorLib.files import atomic_path
from XRayRegistrationLib.metrics import PoseError, environment, pose_error, summarise
from XRayRegistrationLib.model import Model
from XRayRegistrationLib.pose import PoseNotFoundError
from XRayRegistrationLib.refine import Refiner
from XRayRegistrationLib.register import Registration, register

from .case_result import CaseResult, Evidence
from .confidence import confidence_intervals
from .reliability import reliability
from .suites import Case, Patient, Suite

DEFAULT_MODEL = Path(XRayRegistrationLib.__file__).parent / "data" / "pelvis.safetensors"


def evaluate(
    suite: Suite, patient: Patient, model: Model, refiner: Refiner | None, numbers: Iterable[int]
) -> Iterator[tuple[CaseResult, Registration | None]]:
    """Register cases of a suite one by one, each when it is asked for.

    The first is registered twice, because the first run of everything also loads libraries and compiles kernels; only the second is
    timed.

    Args:
        suite: the cases.
        patient: the suite's patient.
        model: a model trained on that patient's CT.
        refiner: as for `register`.
        numbers: of the cases.

    Yields:
        The measured result, and the registration itself, None where no pose was found.

    Raises:
        InputError: if the model is for another CT.
    """
    first = True
    for number in numbers:
        case = suite.case(number, patient)
        if first:
            evaluate_case(case, patient, model, refiner)
            case, first = suite.case(number, patient), False
        yield evaluate_case(case, patient, model, refiner)


def evaluate_case(case: Case, patient: Patient, model: Model, refiner: Refiner | None) -> tuple[CaseResult, Registration | None]:
    """Register one case and measure the pose; a case without a pose is a result, not an error."""

    def error_of(ras_to_rig: FloatArray) -> PoseError:
        pose = case.view.rig_to_camera @ ras_to_rig
        return pose_error(pose, case.ras_to_camera, case.view.camera, patient.surface_points, patient.centroid)

    view = CArmView.from_pose(case.ras_to_camera, patient.centroid)
    start = time.perf_counter()
    try:
        registration = register(case.views, patient.ct, model, refiner)
    except PoseNotFoundError as reason:
        seconds = time.perf_counter() - start
        return _without_pose(case, view, seconds, str(reason)), None
    seconds = time.perf_counter() - start
    result = CaseResult(
        number=case.number,
        view=view,
        reference=case.ras_to_camera,
        pose=registration.ras_to_camera(),
        error=error_of(registration.ras_to_rig),
        error_before_refinement=error_of(registration.start),
        evidence=Evidence.of(registration),
        seconds=seconds,
        seconds_before_refinement=seconds - registration.seconds.get("refine", 0.0),
        seconds_of_steps=registration.seconds,
        failure="",
        notes=case.notes,
    )
    return result, registration


def _without_pose(case: Case, view: CArmView, seconds: float, failure: str) -> CaseResult:
    return CaseResult(case.number, view, case.ras_to_camera, None, None, None, None, seconds, seconds, {}, failure, case.notes)


def summary(suite: Suite, results: Sequence[CaseResult], model_file: Path, device: str, refined: bool) -> dict[str, Any]:
    """Everything about an evaluation as values for JSON.

    The statistics of `metrics.summarise` with their confidence intervals, those of `reliability`, what they were measured on and with,
    and a row per case under `cases`. After refinement, `before_refinement` holds the statistics of the poses before it.
    """
    values: dict[str, Any] = {"suite": suite.name, "description": suite.description, "model": model_file.name, "refined": refined}
    values |= _statistics([result.error for result in results], [result.seconds for result in results])
    if refined:
        values["before_refinement"] = _statistics(
            [result.error_before_refinement for result in results], [result.seconds_before_refinement for result in results]
        )
    values["trust"] = reliability(results)
    values["seconds_of_steps"] = _seconds_of_steps(results)
    record = environment(suite.seed)
    values |= {key: record[key] for key in ("versions", "seed", "date_utc")}
    values["machine"] = {key: record[key] for key in ("platform", "cpu", "cores")} | {"device": _device_name(device)}
    values["cases"] = [result.to_row() for result in results]
    return values


def _statistics(errors: Sequence[PoseError | None], seconds: Sequence[float]) -> dict[str, Any]:
    return summarise(errors, seconds) | {"confidence_95": confidence_intervals(errors)}


def _seconds_of_steps(results: Sequence[CaseResult]) -> dict[str, dict[str, float]]:
    """Mean, median and 95 % of the duration of each step, over the cases that have it."""
    steps = {step: None for result in results for step in result.seconds_of_steps}  # in their order
    times = {step: [result.seconds_of_steps[step] for result in results if step in result.seconds_of_steps] for step in steps}
    return {
        step: {"mean": float(np.mean(taken)), "median": float(np.median(taken)), "p95": float(np.percentile(taken, 95))}
        for step, taken in times.items()
    }


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write values as JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _device_name(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
