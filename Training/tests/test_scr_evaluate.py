"""Evaluation: true correspondences give small errors, no pose counts as a failure, and the JSON holds what the schema says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from true_coordinates import use_true_coordinates
from xray_training.case_result import CaseResult
from xray_training.cli_evaluate import evaluate_suite
from xray_training.evaluate import DEFAULT_MODEL, evaluate, evaluate_case, summary, write_json
from xray_training.suites import Patient, SimulatedSuite, Suite
from XRayRegistrationLib.metrics import PoseError
from XRayRegistrationLib.model import Model
from XRayRegistrationLib.refine import Refiner

COMMAND = [sys.executable, "-c", "from xray_training.cli_evaluate import main; main()"]
ERRORS = {"rotation_deg", "translation_mm", "in_plane_mm", "depth_mm", "mtre_mm", "projection_mm", "reprojection_mm"}
VIEW = {"primary_deg", "secondary_deg", "roll_deg", "offset_mm", "source_to_bone_mm", "reference"}
TOLD = {"verdict", "expected_error_mm", "similarity", "similarity_before", "precision_mm", "last_step_mm"}
EVIDENCE = TOLD | {"certainty", "inlier_share", "residual_pixels"}
OTHERS = {"number", "ras_to_camera", "seconds", "seconds_before_refinement", "seconds_of_steps", "failure", "before_refinement", "notes"}
STATISTICS = {"mean", "std", "median", "p90", "p95"}


@pytest.fixture
def results(small_suite: SimulatedSuite, patient: Patient, untrained_model: Model, monkeypatch: pytest.MonkeyPatch) -> list[CaseResult]:
    """A pose from noisy correspondences, refined, and an X-ray without a pose."""
    refiner = Refiner(patient.projector, patient.centroid, patient.ct)
    # Without refinement, for that would search for the pose.
    failed, _ = evaluate_case(small_suite.case(2, patient), patient, untrained_model, None)
    case = small_suite.case(1, patient)
    use_true_coordinates(monkeypatch, case, patient, noise_mm=3.0)
    found, _ = evaluate_case(case, patient, untrained_model, refiner)
    return [found, failed]


def assert_schema(values: dict[str, Any], n: int, refined: bool) -> None:
    for statistics in (values, values["before_refinement"]) if refined else (values,):
        assert statistics["n"] == n
        assert all(set(statistics[name]) == STATISTICS for name in ERRORS | {"seconds_per_image"})
        assert set(statistics["confidence_95"]) == ERRORS | {"gross_failure_rate", "success_rate"}
        assert 0 <= statistics["gross_failure_rate"] <= 1 and set(statistics["success_rate"]) == {"1 mm", "2 mm", "5 mm", "10 mm", "1 deg"}
    assert values["refined"] is refined and ("before_refinement" in values) is refined
    assert {"suite", "description", "model", "seed", "trust", "seconds_of_steps", "versions", "machine", "date_utc"} <= set(values)
    assert "/" not in values["model"]
    assert [case["number"] for case in values["cases"]] == list(range(1, n + 1))
    for case in values["cases"]:
        assert set(case) == VIEW | ERRORS | EVIDENCE | OTHERS
        assert set(case["before_refinement"]) == ERRORS


def test_true_coordinates_give_small_errors_and_refinement_makes_them_smaller(results: list[CaseResult]) -> None:
    found = results[0]
    assert found.error is not None and found.error_before_refinement is not None and found.evidence is not None
    assert found.error.mtre_mm < found.error_before_refinement.mtre_mm < 10
    assert found.error.projection_mm < 1
    assert 0 < found.seconds_before_refinement < found.seconds


def test_an_x_ray_without_a_pose_is_a_failure_with_its_reason(results: list[CaseResult]) -> None:
    failed = results[1]
    assert failed.pose is None and failed.error is None and failed.failure.endswith(".")


def test_the_summary_counts_failures_and_is_plain_json(results: list[CaseResult], small_suite: SimulatedSuite, tmp_path: Path) -> None:
    write_json(tmp_path / "summary.json", summary(small_suite, results, tmp_path / "some.safetensors", "cpu", refined=True))
    values = json.loads((tmp_path / "summary.json").read_text())
    assert_schema(values, n=2, refined=True)
    assert values["n_failed"] == 1 and values["gross_failure_rate"] == 0.5
    assert values["model"] == "some.safetensors" and values["machine"]["device"] == "cpu"
    found, failed = values["cases"]
    assert results[0].error is not None
    assert values["mtre_mm"]["mean"] == found["mtre_mm"] == results[0].error.mtre_mm
    assert failed["mtre_mm"] is None and failed["failure"] == results[1].failure


def test_a_row_of_json_reads_back_as_the_result(results: list[CaseResult]) -> None:
    assert results[0].error is not None
    infinite = replace(results[0], error=replace(results[0].error, projection_mm=np.inf))
    for result in (*results, infinite):
        row = json.loads(json.dumps(result.to_row(), allow_nan=False))
        again = CaseResult.from_row(row)
        assert again.error == result.error and again.evidence == result.evidence and again.view == result.view
        assert again.to_row() == row


def test_infinite_errors_become_null_in_the_rows(results: list[CaseResult], small_suite: SimulatedSuite) -> None:
    infinite = PoseError(1.0, 2.0, 1.0, 1.0, 3.0, np.inf, np.inf)
    behind = replace(results[0], error=infinite, error_before_refinement=infinite)
    values = summary(small_suite, [behind], DEFAULT_MODEL, "cpu", refined=False)
    assert_schema(values, n=1, refined=False)
    assert values["cases"][0]["projection_mm"] is None and values["cases"][0]["mtre_mm"] == 3.0


def test_the_x_rays_of_the_numbers_are_evaluated(small_suite: SimulatedSuite, patient: Patient, untrained_model: Model) -> None:
    results = [result for result, _ in evaluate(small_suite, patient, untrained_model, None, [2, 3])]
    assert [result.number for result in results] == [2, 3]
    for result in results:
        np.testing.assert_array_equal(result.reference, small_suite.case(result.number, patient).ras_to_camera)


def test_scr_evaluate_measures_the_model_that_comes_with_the_sample_ct(tmp_path: Path) -> None:
    if not DEFAULT_MODEL.is_file():
        pytest.skip(f"the model {DEFAULT_MODEL.name} is missing")
    file = tmp_path / "evaluation.json"
    arguments = ["--limit", "2", "--json", str(file), "--report", str(tmp_path / "report"), "--device", "cpu"]
    finished = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=600)
    assert finished.returncode == 0, finished.stderr
    assert "mTRE" in finished.stdout and "Of 2 cases" in finished.stdout
    values = json.loads(file.read_text())
    assert_schema(values, n=2, refined=False)
    assert values["suite"] == "pelvis-200" and values["n_failed"] == 0
    assert (tmp_path / "report" / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--suite", "unknown", "--json", "x.json"], "pelvis-200"),
        (["--model", "missing.safetensors", "--json", "x.json"], "does not exist"),
    ],
)
def test_bad_input_ends_in_one_sentence_and_exit_code_2(arguments: list[str], reason: str, tmp_path: Path) -> None:
    finished = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert finished.returncode == 2
    assert finished.stderr.startswith("Error: ") and reason in finished.stderr and len(finished.stderr.strip().splitlines()) == 1


def test_a_stopped_evaluation_goes_on_where_it_stood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not DEFAULT_MODEL.is_file():
        pytest.skip(f"the model {DEFAULT_MODEL.name} is missing")
    asked: list[int] = []

    def stopping(suite: Suite, patient: Patient, model: Model, refiner: Refiner | None, numbers: Sequence[int]) -> Iterator[Any]:
        for number in numbers:
            asked.append(number)
            if asked == [1, 2]:
                raise KeyboardInterrupt
            yield evaluate_case(suite.case(number, patient), patient, model, refiner)

    monkeypatch.setattr("xray_training.evaluate.evaluate", stopping)
    for stops in (True, False):
        with pytest.raises(KeyboardInterrupt) if stops else nullcontext():
            evaluate_suite(tmp_path / "e.json", suite="demo", limit=3, device="cpu")
        assert (tmp_path / "e.cases.jsonl").exists() is stops and (tmp_path / "e.json").exists() is not stops
    assert asked == [1, 2, 2, 3]
    assert_schema(json.loads((tmp_path / "e.json").read_text()), n=3, refined=False)
