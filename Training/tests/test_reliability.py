"""The judgement of verdicts: counted by hand on a few cases, and against brute force on many."""

from __future__ import annotations

import numpy as np
import pytest
from DRRSimulatorLib.camera import CArmView
from xray_training.case_result import CaseResult, Evidence
from xray_training.reliability import reliability
from XRayRegistrationLib.metrics import PoseError


def case(mtre: float | None, verdict: str = "check", expected: float | None = None, similarity: float | None = None) -> CaseResult:
    """A case of which only these count."""
    error = None if mtre is None else PoseError(mtre, mtre, mtre, mtre, mtre, mtre, mtre)
    evidence = None if mtre is None else Evidence(verdict, expected, similarity, similarity, 20.0, 0.5, 1.0, 0.1, 0.1)
    return CaseResult(1, CArmView(), np.eye(4), None if mtre is None else np.eye(4), error, error, evidence, 1.0, 1.0, {}, "")


def test_shares_of_good_and_bad_poses_called_reliable() -> None:
    results = [case(0.5, "reliable"), case(0.9, "check"), case(3.0, "reliable"), case(6.0, "reliable"), case(7.0), case(8.0), case(None)]
    found = reliability(results)
    assert found["good_called_reliable"] == 1 / 2 and found["n_good"] == 2
    assert found["bad_called_reliable"] == 1 / 3 and found["n_bad"] == 3
    assert found["levels"] == {"reliable": 3, "check": 3, "rejected": 0}


def test_the_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    rng = np.random.default_rng(0)
    mtre = rng.lognormal(0.7, 0.7, 80)
    expected = np.round(mtre * rng.lognormal(0, 0.8, 80), 1)  # rounded: some are equal
    found = reliability([case(m, expected=e) for m, e in zip(mtre, expected, strict=True)])
    pairs = expected[mtre > 2][:, None] - expected[mtre <= 2]
    assert found["score"] == "expected error"
    assert found["auroc_over_2_mm"] == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_the_most_trusted_are_kept_first_and_cases_without_a_pose_never() -> None:
    curve = reliability([case(4.0, similarity=0.5), case(1.0, similarity=0.9), case(2.0, similarity=0.8), case(None)])["risk_coverage"]
    assert curve["coverage"] == [0.25, 0.5, 0.75]
    np.testing.assert_allclose(curve["mean_mtre_mm"], [1, 1.5, 7 / 3])
    np.testing.assert_allclose(curve["p95_mtre_mm"], [np.percentile([1, 2, 4][:count], 95) for count in (1, 2, 3)])


@pytest.mark.parametrize(
    ("results", "score"),
    [([case(1.0, expected=1.0), case(3.0)], "1 / certainty"), ([case(1.0, similarity=0.9), case(3.0, similarity=0.2)], "1 - similarity")],
)
def test_without_expected_errors_the_best_that_all_have_stands_for_them(results: list[CaseResult], score: str) -> None:
    assert reliability(results)["score"] == score


def test_without_any_pose_there_is_nothing_to_judge() -> None:
    found = reliability([case(None)])
    assert found["auroc_over_2_mm"] is None and found["bad_called_reliable"] is None and found["risk_coverage"]["coverage"] == []
