"""How well a registration's own judgement tells good poses from bad ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from DRRSimulatorLib.camera import FloatArray

from .case_result import CaseResult, Evidence

GOOD_MM, ACCEPTABLE_MM, BAD_MM = 1.0, 2.0, 5.0
_POINTS = 100  # of the curve, at most


def reliability(results: Sequence[CaseResult]) -> dict[str, Any]:
    """Statistics of verdicts and expected errors; values for JSON.

    A case without a pose has no verdict: it counts among the cases but cannot be kept.

    Returns:
        `score`, what the cases are sorted by: the expected error, or what stands for it where that is not given; `levels`, how many
        cases have each verdict; `auroc_over_2_mm`, the chance that a pose with an mTRE over 2 mm has a higher score than one with
        less (None where there is only one kind); `bad_called_reliable` and `good_called_reliable`, the shares of poses over 5 mm and
        under 1 mm with the verdict "reliable" (None where there are none), and `n_bad` and `n_good`, how many those are; and
        `risk_coverage`, lists of the share of all cases kept, from the lowest score on, and the mean and 95 % mTRE of those kept.
    """
    found = [(result.error.mtre_mm, result.evidence) for result in results if result.error is not None and result.evidence is not None]
    mtre = np.array([error for error, _ in found])
    evidence = [told for _, told in found]
    reliable = np.array([told.verdict == "reliable" for told in evidence], dtype=np.bool_)
    name, score = _score(evidence)
    bad, good = mtre > BAD_MM, mtre < GOOD_MM
    return {
        "score": name,
        "levels": {level: sum(told.verdict == level for told in evidence) for level in ("reliable", "check", "rejected")},
        "auroc_over_2_mm": _auroc(score, mtre > ACCEPTABLE_MM),
        "bad_called_reliable": float(reliable[bad].mean()) if bad.any() else None,
        "n_bad": int(bad.sum()),
        "good_called_reliable": float(reliable[good].mean()) if good.any() else None,
        "n_good": int(good.sum()),
        "risk_coverage": _risk_coverage(score, mtre, len(results)),
    }


def _score(evidence: Sequence[Evidence]) -> tuple[str, FloatArray]:
    """The expected error, or failing that the best that all cases have: higher is worse."""
    expected = [told.expected_error_mm for told in evidence]
    if all(value is not None for value in expected):
        return "expected error", np.array(expected, dtype=np.float64)
    similarities = [told.similarity for told in evidence]
    if all(value is not None for value in similarities):
        return "1 - similarity", 1 - np.array(similarities, dtype=np.float64)
    return "1 / certainty", 1 / np.array([told.certainty for told in evidence])


def _auroc(score: FloatArray, positive: Any) -> float | None:
    """Area under the ROC curve, from ranks (J. A. Hanley and B. J. McNeil, Radiology 143, 1982); ties count half."""
    from scipy.stats import rankdata

    count = int(positive.sum())
    others = len(positive) - count
    if count == 0 or others == 0:
        return None
    return float((rankdata(score)[positive].sum() - count * (count + 1) / 2) / (count * others))


def _risk_coverage(score: FloatArray, mtre: FloatArray, n: int) -> dict[str, list[float]]:
    """Errors of the cases kept (Y. Geifman and R. El-Yaniv, Selective classification for deep neural networks, NeurIPS 2017)."""
    ordered = mtre[np.argsort(score, kind="stable")]
    kept = np.unique(np.linspace(1, len(ordered), min(_POINTS, len(ordered))).round().astype(int)) if len(ordered) else np.array([], int)
    return {
        "coverage": (kept / n).tolist(),
        "mean_mtre_mm": [float(ordered[:count].mean()) for count in kept],
        "p95_mtre_mm": [float(np.percentile(ordered[:count], 95)) for count in kept],
    }
