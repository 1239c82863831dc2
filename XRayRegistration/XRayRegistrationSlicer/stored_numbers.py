"""The numbers of a registration as a scene stores them. Scenes are passed on, so all that is read of them later is checked here."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from DRRSimulatorLib.camera import Camera, is_rigid
from XRayRegistrationLib.trust import Verdict

LARGEST = 1e6  # mm, seconds, pixels: no registration has such numbers, and more would overflow in what is computed with them
_LEVELS, _POLARITIES = ("reliable", "check", "rejected"), ("intensity", "attenuation")


def parseNumbers(text: str | None) -> dict[str, Any]:
    """The numbers that a text holds, values for JSON as `result_numbers` makes them.

    Raises:
        ValueError: if the text is no such numbers; the message is for programmers.
    """
    try:
        numbers: dict[str, Any] = json.loads(text or "")
        json.dumps(numbers, allow_nan=False, ensure_ascii=False).encode()  # no infinite number anywhere, and no half of a character
        _check(numbers)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
        raise ValueError(f"no numbers of a registration: {error!r}") from error
    return numbers


def _check(numbers: dict[str, Any]) -> None:
    verdict = Verdict(**numbers["verdict"])
    _require("verdict", verdict.level in _LEVELS and _isText(verdict.reason) and _isNumberOrNone(verdict.expected_error_mm))
    _require("ras_to_rig", _isPose(numbers["ras_to_rig"]))
    _require("views", isinstance(numbers["views"], list) and len(numbers["views"]) > 0)
    for view in numbers["views"]:
        _checkView(view)
    _require("bone_centre_ras", len(numbers["bone_centre_ras"]) == 3 and all(map(_isNumber, numbers["bone_centre_ras"])))
    _require("force_cpu", isinstance(numbers["force_cpu"], bool))
    _require("seconds", all(map(_isNumber, numbers["seconds"].values())))
    refinement, network = numbers["refinement"], numbers["before_refinement"]
    _require("refinement", refinement is None or all(_isNumber(refinement[name]) for name in ("similarity", "similarity_before")))
    _require("before_refinement", _isNumber(network.get("rms_residual_network_pixels", 0)))


def _checkView(view: dict[str, Any]) -> None:
    _require("xray", isinstance(view["xray"], str))
    _require("polarity", view["polarity"] in _POLARITIES)
    _require("poses", _isPose(view["rig_to_camera"]) and _isPose(view["ras_to_camera"]))
    Camera.from_dict(view["camera"])
    _require("distance", _isNumber(view["camera"]["source_to_detector_distance"]))
    if "inliers" in view:
        points = view["inliers"], view["correspondences"], view["inlier_sigma_mm"]["median"]
        _require("recognized points", all(map(_isNumber, points)))


def _require(name: str, holds: bool) -> None:
    if not holds:
        raise ValueError(f"{name} is not as it should be")


def _isNumber(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and abs(value) <= LARGEST


def _isText(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _isNumberOrNone(value: Any) -> bool:
    return value is None or _isNumber(value)


def _isPose(rows: Any) -> bool:
    areNumbers = len(rows) == 4 and all(len(row) == 4 and all(map(_isNumber, row)) for row in rows)
    return areNumbers and is_rigid(np.array(rows, dtype=np.float64))
