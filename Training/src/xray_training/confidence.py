"""How far the statistics of an evaluation would move with other X-rays of the same kind: bootstrap confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from DRRSimulatorLib.camera import FloatArray
from XRayRegistrationLib.metrics import GROSS_FAILURE_MM, PoseError

RESAMPLES = 2000
_CHUNK = 4_000_000  # values resampled at once, to bound the memory
_LIMITS = (0.025, 0.975)
_RANKS = {"median": 0.5, "p90": 0.9, "p95": 0.95}
_SUCCESS_MM = (1, 2, 5, 10)


def confidence_intervals(errors: Sequence[PoseError | None]) -> dict[str, Any]:
    """95 % intervals of the statistics that `metrics.summarise` makes of the same errors.

    The percentile bootstrap: cases are drawn again with replacement, as many as there are, and the statistics are taken each time (B.
    Efron and R. J. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). The draws are the same each time.

    Args:
        errors: of all cases; None where no pose was found.

    Returns:
        Values for JSON, each [low, high], None for infinite: for each measure the `mean`, `median`, `p90` and `p95`; and
        `gross_failure_rate` and `success_rate`, named as in the summary.
    """
    names = [field.name for field in fields(PoseError)]
    values = np.array([[np.inf if error is None else getattr(error, name) for name in names] for error in errors])
    found = np.array([error is not None for error in errors])
    rng = np.random.default_rng(0)
    parts: list[dict[str, FloatArray]] = []
    step = max(1, _CHUNK // len(errors))
    for first in range(0, RESAMPLES, step):
        draw = rng.integers(len(errors), size=(min(step, RESAMPLES - first), len(errors)))
        parts.append(_statistics(values, found, draw, names))
    intervals = {key: _interval(np.concatenate([part[key] for part in parts])) for key in parts[0]}
    nested: dict[str, Any] = {}
    for key, interval in intervals.items():
        group, _, name = key.partition("/")
        if name:
            nested.setdefault(group, {})[name] = interval
        else:
            nested[group] = interval
    return nested


def _statistics(values: FloatArray, found: Any, draw: Any, names: Sequence[str]) -> dict[str, FloatArray]:
    """Each statistic of each resample, by its path in the summary."""
    statistics: dict[str, FloatArray] = {}
    count = found[draw].sum(axis=1)
    for column, name in enumerate(names):
        resampled = np.sort(values[draw, column], axis=1)
        total = np.where(found, values[:, column], 0)[draw].sum(axis=1)
        statistics[f"{name}/mean"] = np.divide(total, count, out=np.full(len(draw), np.inf), where=count > 0)
        statistics |= {f"{name}/{rank}": _quantile(resampled, share) for rank, share in _RANKS.items()}
    mtre, rotation = values[draw, names.index("mtre_mm")], values[draw, names.index("rotation_deg")]
    statistics["gross_failure_rate"] = (mtre > GROSS_FAILURE_MM).mean(axis=1)
    statistics |= {f"success_rate/{limit} mm": (mtre <= limit).mean(axis=1) for limit in _SUCCESS_MM}
    statistics["success_rate/1 deg"] = (rotation <= 1).mean(axis=1)
    return statistics


def _quantile(ascending: FloatArray, share: float) -> FloatArray:
    """Linearly interpolated quantile along the last axis; between a finite and an infinite value infinite."""
    place = share * (ascending.shape[-1] - 1)
    below = int(place)
    weight = place - below
    low = ascending[..., below]
    if weight == 0:
        return low
    high = ascending[..., below + 1]
    with np.errstate(invalid="ignore"):  # infinite minus infinite
        return np.where(np.isinf(high), np.inf, low + weight * (high - low))


def _interval(statistic: FloatArray) -> list[float | None]:
    limits = [float(_quantile(np.sort(statistic), share)) for share in _LIMITS]
    return [limit if np.isfinite(limit) else None for limit in limits]
