"""Confidence intervals against scipy's bootstrap, and what must hold whatever the draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap
from xray_training.confidence import confidence_intervals
from XRayRegistrationLib.metrics import PoseError, summarise


def errors(mtre: list[float]) -> list[PoseError | None]:
    """Poses with such mTREs, rotations of half as many degrees; None where infinite."""
    return [None if np.isinf(value) else PoseError(value / 2, value, value, value, value, value, value) for value in mtre]


def test_intervals_agree_with_scipys() -> None:
    mtre = np.random.default_rng(1).lognormal(0.5, 0.8, 200)
    found = confidence_intervals(errors(mtre.tolist()))
    statistics = {"mean": np.mean, "median": np.median, "p90": lambda x, axis: np.percentile(x, 90, axis=axis)}
    for name, statistic in statistics.items():
        expected = bootstrap((mtre,), statistic, n_resamples=5000, method="percentile", random_state=np.random.default_rng(2))
        np.testing.assert_allclose(found["mtre_mm"][name], expected.confidence_interval, rtol=0.05)
    within = bootstrap(((mtre <= 2).astype(float),), np.mean, n_resamples=5000, method="percentile", random_state=np.random.default_rng(2))
    np.testing.assert_allclose(found["success_rate"]["2 mm"], within.confidence_interval, atol=0.01)


def test_every_interval_holds_its_statistic_and_has_its_name() -> None:
    """For a skewed sample the percentile bootstrap holds the sample's own value, for these statistics and sizes."""
    sample = errors(np.random.default_rng(3).lognormal(1.5, 1.0, 300).tolist())
    summary, intervals = summarise(sample, [1.0] * 300), confidence_intervals(sample)
    assert set(intervals) == set(summary) - {"n", "n_failed", "seconds_per_image"}
    for name, group in intervals.items():
        pairs = [(limits, summary[name][key]) for key, limits in group.items()] if isinstance(group, dict) else [(group, summary[name])]
        assert all(low <= value <= high for (low, high), value in pairs)


def test_cases_without_a_pose_count_as_infinite() -> None:
    """With a tenth of them the upper limit of the 90th percentile is infinite, that of the median is not; the mean is of those found."""
    intervals = confidence_intervals(errors([1.0] * 90 + [np.inf] * 10))
    assert intervals["mtre_mm"]["p90"][1] is None and intervals["mtre_mm"]["median"] == [1.0, 1.0] == intervals["mtre_mm"]["mean"]
    low, high = intervals["gross_failure_rate"]
    assert 0.03 < low < 0.1 < high < 0.18


def test_the_same_errors_give_the_same_intervals_and_more_of_them_narrower_ones() -> None:
    few, many = (np.random.default_rng(4).lognormal(0, 1, count).tolist() for count in (50, 1000))
    assert confidence_intervals(errors(few)) == confidence_intervals(errors(few))
    widths = [np.diff(confidence_intervals(errors(sample))["mtre_mm"]["median"])[0] for sample in (few, many)]
    assert widths[1] < widths[0] / 2


@pytest.mark.parametrize("sample", [[np.inf], [1.0], [np.inf, np.inf]])
def test_a_case_or_two_have_intervals_too(sample: list[float]) -> None:
    limits = confidence_intervals(errors(sample))["mtre_mm"]["mean"]
    assert limits == ([1.0, 1.0] if sample == [1.0] else [None, None])
