"""Whether a registered pose can be relied on: a plain verdict with its reason.

Two numbers decide, because on simulated X-rays they tell right poses from wrong ones:

- the similarity of the X-ray and the simulated one at the refined pose, and
- how certain the network is: the extent of the points that it recognised, in their standard deviations.

Neither tells whether the geometry that was given is right: with a wrong distance the bone is placed at a wrong depth, and all
looks well. How far the refinement moved the pose, the inliers and the residuals are no help: networks that are wrong are consistent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from DRRSimulatorLib.camera import transform_points

from .register import Registration

SIMILAR, UNLIKE, INVERSE = 0.85, 0.25, -0.3
CERTAIN = 12.0  # standard deviations
FARTHEST_POINTS = 95  # percentile: a few points are seen wrong


@dataclass(frozen=True)
class Verdict:
    """What to think of a registration.

    Attributes:
        level: "reliable", "check" (it may be right; look at the outline) or "rejected" (do not use it).
        expected_error_mm: mTRE to expect, where it is known.
        reason: one or two plain sentences: why, and what to do.
    """

    level: Literal["reliable", "check", "rejected"]
    expected_error_mm: float | None
    reason: str


def judge(registration: Registration) -> Verdict:
    """The verdict on a registration, for the geometry that it was given."""
    level, reason = _level_and_reason(registration)
    return Verdict(level, None, reason)


def _level_and_reason(registration: Registration) -> tuple[Literal["reliable", "check", "rejected"], str]:
    if _beyond_detector(registration):
        return "rejected", (
            "A part of the bone would lie behind the detector. Check the source-to-detector distance and the pixel spacing, which is that "
            "at the detector and not at the patient."
        )
    refinement = registration.refinement
    if refinement is None:
        return "check", "The pose was not compared with the X-ray. Switch the refinement on, or compare the outline with the bone's edges."
    similarity = refinement.similarity
    certain = min(view.certainty for view in registration.correspondences) >= CERTAIN
    if similarity < UNLIKE and refinement.similarity_before < INVERSE:
        return (
            "rejected",
            "The X-ray looks like the inverse of the simulated one. Choose the other polarity (bone dark or bright) and register again.",
        )
    if similarity < UNLIKE:
        return "rejected", (
            f"The X-ray does not look like the simulated one (similarity {similarity:.2f}). Check that it shows this patient's bone, is "
            "neither mirrored nor turned, and its geometry."
        )
    if not certain and similarity < SIMILAR:
        return "rejected", (
            f"The model hardly recognizes the bone, and the simulated X-ray does not confirm the pose (similarity {similarity:.2f}). Use "
            "an X-ray that shows more of the bone, from a direction that the model was trained for."
        )
    if not certain:
        return "check", (
            f"The simulated X-ray fits (similarity {similarity:.2f}), but the model hardly recognizes the bone. Compare the outline with "
            "all edges of the bone; an X-ray that shows more of it is better."
        )
    if similarity < SIMILAR:
        return "check", (
            f"The simulated X-ray fits only in part (similarity {similarity:.2f}). Compare the outline with the bone's edges: noise and "
            "instruments do this to right poses, but so does a mirrored X-ray, whose pose is wrong."
        )
    return "reliable", (
        f"The simulated X-ray fits (similarity {similarity:.2f}) and the model is certain of what it sees. Whether the geometry is right "
        "is not tested by this."
    )


def _beyond_detector(registration: Registration) -> bool:
    """Whether the bone is where no patient can be, which wrong numbers of the geometry lead to."""
    for number, (view, seen) in enumerate(zip(registration.views, registration.correspondences, strict=True)):
        depths = transform_points(registration.ras_to_camera(number), seen.points_ras)[:, 2]
        if np.percentile(depths, FARTHEST_POINTS) > view.camera.source_to_detector_distance:
            return True
    return False
