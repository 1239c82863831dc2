"""Whether a registered pose can be relied on: the error to expect, and a plain verdict with its reason.

A refined pose is either near the right one, or in another minimum and far off. How likely the latter is follows from four numbers, by a
logistic regression (D. R. Cox, Journal of the Royal Statistical Society B 20, 1958) on simulated X-rays of the sample pelvis:

- how much the X-ray and the simulated one at the refined pose differ,
- how exactly the images determine the pose, and whether the resolutions agree on it, and
- how far the points that the network recognised are from the refined pose, in their standard deviations.

The error to expect is the mean over both: that of a pose which is right, by how exactly the images determine it, and that of a wrong
one. Testing/benchmarks/trust_calibration.py makes the coefficients and says how well they do. None of this tells whether the geometry
that was given is right: with a wrong distance the bone is placed at a wrong depth, and all looks well. And real X-rays differ from
simulated ones of the very CT, so what is expected of them is too good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from DRRSimulatorLib.camera import FloatArray, transform_points

from .pose import distances_in_deviations
from .register import Registration

# Of `features` (1 first) for the logarithm of the odds that a pose is off by more than `WRONG_MM`: with a model, and without.
WRONG_MM = 2.0
ODDS_WITH_MODEL = (3.87, 1.44, 1.59, 1.11, 2.11)
ODDS_WITHOUT_MODEL = (3.98, 1.15, 2.28, 1.30)
# mTRE of right poses by the precision of the refinement: the logarithm's value at 1 mm and its slope; and that of wrong poses.
RIGHT_ERROR = (1.03, 1.17)
WRONG_ERROR_MM = 100.0
# Chance of being wrong, below which a pose is reliable, and above which it is rejected.
RELIABLE, REJECTED = 0.1, 0.9

# Similarity. Below it were all X-rays of the wrong polarity and next to no right poses.
UNLIKE = 0.25
# Before the refinement, X-rays of the wrong polarity had -0.53 or less, right poses 0.18 or more.
INVERSE = -0.3
# Standard deviations; less means that the network hardly recognises the bone.
CERTAIN = 12.0
# Percentile of the recognised points' depths: some points are wrong.
FARTHEST = 95


@dataclass(frozen=True)
class Verdict:
    """What to think of a registration.

    Attributes:
        level: "reliable", "check" (it may be right; look at the outline) or "rejected" (do not use it).
        expected_error_mm: mTRE to expect; None without refinement, or where no pose can be right.
        reason: one or two plain sentences: why, and what to do.
    """

    level: Literal["reliable", "check", "rejected"]
    expected_error_mm: float | None
    reason: str


def features(registration: Registration) -> FloatArray:
    """What a refined registration says of itself, (5,) with a model and (4,) without: the number 1 and logarithms.

    Raises:
        ValueError: without refinement.
    """
    refinement = registration.refinement
    if refinement is None:
        raise ValueError("A registration without refinement has no features.")
    logarithms = [np.log(max(1 - refinement.similarity, 1e-3)), np.log(refinement.precision_mm), np.log(refinement.last_step_mm + 0.01)]
    if registration.correspondences:
        disagreement = max(
            float(np.median(distances_in_deviations(view, registration.ras_to_rig))) if len(view.sigma_mm) else np.inf
            for view in registration.correspondences
        )
        logarithms.append(np.log(min(disagreement, 100.0) + 0.3))
    return np.array([1.0, *logarithms])


def chance_of_being_wrong(registration: Registration) -> float:
    """Probability that a refined pose is off by more than `WRONG_MM`, as learned on simulated X-rays."""
    values = features(registration)
    odds = ODDS_WITH_MODEL if len(values) == len(ODDS_WITH_MODEL) else ODDS_WITHOUT_MODEL
    return float(1 / (1 + np.exp(-np.clip(values @ np.array(odds), -50, 50))))


def expected_error_mm(registration: Registration) -> float:
    """The mean of the mTRE that is to be expected of a refined pose, as learned on simulated X-rays."""
    assert registration.refinement is not None
    wrong = chance_of_being_wrong(registration)
    right_mm = min(float(np.exp(RIGHT_ERROR[0]) * registration.refinement.precision_mm ** RIGHT_ERROR[1]), WRONG_MM)
    return (1 - wrong) * right_mm + wrong * WRONG_ERROR_MM


def judge(registration: Registration) -> Verdict:
    """The verdict on a registration, for the geometry that it was given."""
    if _beyond_detector(registration):
        return Verdict(
            "rejected",
            None,
            "A part of the bone would lie behind the detector. Check the source-to-detector distance and the pixel spacing, which is that "
            "at the detector and not at the patient.",
        )
    if registration.refinement is None:
        return Verdict(
            "check",
            None,
            "The pose was not compared with the X-ray. Switch the refinement on, or compare the outline with the bone's edges.",
        )
    level, reason = _level_and_reason(registration)
    return Verdict(level, expected_error_mm(registration), reason)


def _level_and_reason(registration: Registration) -> tuple[Literal["reliable", "check", "rejected"], str]:
    assert registration.refinement is not None
    similarity, wrong = registration.refinement.similarity, chance_of_being_wrong(registration)
    fits = f"(similarity {similarity:.2f})"
    if similarity < UNLIKE and registration.refinement.similarity_before < INVERSE:
        return (
            "rejected",
            "The X-ray looks like the inverse of the simulated one. Choose the other polarity (bone dark or bright) and register again.",
        )
    if similarity < UNLIKE:
        return "rejected", (
            f"The X-ray does not look like the simulated one {fits}. Check that it shows this patient's bone, is neither mirrored nor "
            "turned, and its geometry."
        )
    if not registration.correspondences:
        level: Literal["check", "rejected"] = "rejected" if wrong > REJECTED else "check"
        return level, f"No model was used; the simulated X-ray fits in part {fits}. Compare the outline with the bone's edges."
    if wrong < RELIABLE:
        return "reliable", (
            f"The simulated X-ray fits {fits} and the model recognizes the bone there. Whether the geometry is right is not tested by this."
        )
    if min(view.certainty for view in registration.correspondences) < CERTAIN:
        advice = "the model hardly recognizes the bone. Use an X-ray that shows more of it, from a direction the model was trained for"
    else:
        advice = "noise and instruments do this to right poses, but so does a mirrored X-ray, whose pose is wrong"
    compare = f"The simulated X-ray fits only in part {fits}. Compare the outline with the bone's edges: {advice}."
    return ("rejected" if wrong > REJECTED else "check"), compare


def _beyond_detector(registration: Registration) -> bool:
    """Whether the bone is where no patient can be, which wrong numbers of the geometry lead to."""
    for number, (view, seen) in enumerate(zip(registration.views, registration.correspondences, strict=False)):
        depths = transform_points(registration.ras_to_camera(number), seen.points_ras)[:, 2]
        if np.percentile(depths, FARTHEST) > view.camera.source_to_detector_distance:
            return True
    return False
