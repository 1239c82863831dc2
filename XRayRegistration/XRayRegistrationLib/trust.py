"""Whether a registered pose can be relied on: a plain verdict with its reason.

Two numbers decide, because on simulated X-rays they tell right poses from wrong ones:

- the similarity of the X-ray and the simulated one at the refined pose, and
- how certain the network is: the extent of the points that it recognised, in their standard deviations.

Neither tells whether the geometry that was given is right: with a wrong distance the bone is placed at a wrong depth, and all
looks well. How far the refinement moved the pose, the inliers and the residuals hardly differ between right and wrong poses.

The thresholds come from 207 poses of the sample pelvis, 78 of them wrong (an mTRE over 10 mm, or no pose could be right); the script
Testing/benchmarks/trust_thresholds.py prints them. None of the wrong ones is called reliable, and 77 of the 129 right ones are; their
mTRE is at most 2.1 mm. An expected error is not given all the same: real X-rays differ from simulated ones of the very CT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from DRRSimulatorLib.camera import transform_points

from .register import Registration

# Similarity. Wrong poses of a certain network reached 0.79, all of mirrored X-rays: a pelvis is nearly symmetric.
SIMILAR = 0.85
# Below it were 12 of 12 X-rays of the wrong polarity and 1 of 129 right poses.
UNLIKE = 0.25
# Before the refinement, X-rays of the wrong polarity had -0.53 or less, right poses 0.18 or more.
INVERSE = -0.3
# Standard deviations. Wrong poses of truncated X-rays that look similar had up to 9; solve_pose refuses less than 5.
CERTAIN = 12.0
# Percentile of the recognised points' depths: some points are wrong.
FARTHEST = 95


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
    if not registration.correspondences and similarity >= UNLIKE:
        return "check", (
            f"No model was used; the simulated X-ray fits with a similarity of {similarity:.2f}. Compare the outline with the bone's edges."
        )
    certain = min((view.certainty for view in registration.correspondences), default=0.0) >= CERTAIN
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
    for number, (view, seen) in enumerate(zip(registration.views, registration.correspondences, strict=False)):
        depths = transform_points(registration.ras_to_camera(number), seen.points_ras)[:, 2]
        if np.percentile(depths, FARTHEST) > view.camera.source_to_detector_distance:
            return True
    return False
