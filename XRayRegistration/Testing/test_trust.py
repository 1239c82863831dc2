"""Verdicts: what makes a pose reliable, what makes it doubtful, and what the user is told to do."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from XRayRegistrationLib.pose import Correspondences
from XRayRegistrationLib.refine import Refinement
from XRayRegistrationLib.register import Registration
from XRayRegistrationLib.trust import Verdict, judge

LEVELS = ("rejected", "check", "reliable")
similarities = st.floats(-1, 1)
certainties = st.floats(5, 100)


def judged(registration: Registration, certainty: float, similarity: float, before: float = 0.0) -> Verdict:
    """The verdict on a registration with the last of its two X-rays seen with this certainty, and images as similar as this."""
    *others, last = registration.correspondences
    seen = (*others, replace(last, sigma_mm=last.sigma_mm * last.certainty / certainty))
    assert registration.refinement is not None
    refinement = Refinement(registration.ras_to_rig, registration.start, before, similarity, 0.1, 0.1)
    return judge(replace(registration, correspondences=seen, refinement=refinement))


def test_certainty_is_the_extent_of_the_points_in_their_standard_deviations(registration: Registration) -> None:
    seen: Correspondences = registration.correspondences[0]
    enlarged = replace(seen, points_ras=3 * seen.points_ras, sigma_mm=2 * seen.sigma_mm)
    assert enlarged.certainty == pytest.approx(1.5 * seen.certainty)


def test_a_certain_and_similar_pose_is_reliable(registration: Registration) -> None:
    assert judge(registration).level == "reliable"


@pytest.mark.parametrize(
    ("certainty", "similarity", "before", "level", "advice"),
    [
        (30, 0.6, 0.5, "check", "Compare the outline"),
        (7, 0.95, 0.5, "check", "Compare the outline"),
        (7, 0.5, 0.4, "rejected", "Use an X-ray that shows more of the bone"),
        (30, 0.1, 0.0, "rejected", "Check that it shows this patient's bone"),
        (30, -0.2, -0.7, "rejected", "Choose the other polarity"),
    ],
)
def test_doubts_come_with_what_to_do(
    registration: Registration, certainty: float, similarity: float, before: float, level: str, advice: str
) -> None:
    verdict = judged(registration, certainty, similarity, before)
    assert verdict.level == level and advice in verdict.reason


def test_a_pose_that_was_not_compared_with_the_xray_is_to_be_checked(registration: Registration) -> None:
    verdict = judge(replace(registration, refinement=None))
    assert verdict.level == "check" and "Switch the refinement on" in verdict.reason


def test_a_bone_behind_the_detector_is_rejected_for_its_geometry(registration: Registration) -> None:
    first, second = registration.views
    near = replace(second, camera=replace(second.camera, source_to_detector_distance=500.0))
    verdict = judge(replace(registration, views=(first, near)))
    assert verdict.level == "rejected" and "source-to-detector distance" in verdict.reason


@given(similarities, similarities, certainties, certainties)
def test_more_similarity_and_certainty_never_make_a_verdict_worse(
    registration: Registration, one: float, other: float, first: float, second: float
) -> None:
    worse = judged(registration, min(first, second), min(one, other))
    better = judged(registration, max(first, second), max(one, other))
    assert LEVELS.index(worse.level) <= LEVELS.index(better.level)


@given(certainties, similarities, similarities)
def test_every_reason_is_plain_sentences(registration: Registration, certainty: float, similarity: float, before: float) -> None:
    verdict = judged(registration, certainty, similarity, before)
    assert re.fullmatch(r"(The [^.]+(\.\d\d[^.]*)*\. )+[A-Z][^.]+\.", verdict.reason) and verdict.reason.isascii()
