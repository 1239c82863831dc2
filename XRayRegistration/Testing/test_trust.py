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
lengths = st.floats(0.001, 100)


def judged(
    registration: Registration, similarity: float, precision_mm: float = 0.05, last_step_mm: float = 0.05, before: float = 0.0
) -> Verdict:
    """The verdict on a registration that was refined to this."""
    refinement = Refinement(registration.ras_to_rig, registration.start, before, similarity, precision_mm, last_step_mm)
    return judge(replace(registration, refinement=refinement))


def with_uncertain_points(registration: Registration, certainty: float) -> Registration:
    """A registration with the last of its X-rays seen with this certainty."""
    *others, last = registration.correspondences
    return replace(registration, correspondences=(*others, replace(last, sigma_mm=last.sigma_mm * last.certainty / certainty)))


def test_certainty_is_the_extent_of_the_points_in_their_standard_deviations(registration: Registration) -> None:
    seen: Correspondences = registration.correspondences[0]
    enlarged = replace(seen, points_ras=3 * seen.points_ras, sigma_mm=2 * seen.sigma_mm)
    assert enlarged.certainty == pytest.approx(1.5 * seen.certainty)


def test_a_similar_and_exact_pose_is_reliable_and_its_error_small(registration: Registration) -> None:
    verdict = judged(registration, 0.97)
    assert verdict.level == "reliable" and verdict.expected_error_mm is not None and 0 < verdict.expected_error_mm < 2


@pytest.mark.parametrize(
    ("similarity", "before", "levels", "advice"),
    [
        (0.45, 0.3, ("check", "rejected"), "Compare the outline"),
        (0.1, 0.0, ("rejected",), "Check that it shows this patient's bone"),
        (-0.2, -0.7, ("rejected",), "Choose the other polarity"),
    ],
)
def test_doubts_come_with_what_to_do(
    registration: Registration, similarity: float, before: float, levels: tuple[str, ...], advice: str
) -> None:
    verdict = judged(registration, similarity, 1.0, 5.0, before)
    assert verdict.level in levels and advice in verdict.reason


def test_a_network_that_hardly_recognizes_the_bone_is_named(registration: Registration) -> None:
    verdict = judged(with_uncertain_points(registration, 6.0), 0.45, 1.0, 5.0)
    assert verdict.level != "reliable" and "Use an X-ray that shows more of it" in verdict.reason


def test_without_a_model_a_pose_is_never_reliable(registration: Registration) -> None:
    verdict = judged(replace(registration, correspondences=(), estimate=None, origin="search"), 0.99)
    assert verdict.level == "check" and "No model was used" in verdict.reason


def test_a_pose_that_was_not_compared_with_the_xray_is_to_be_checked(registration: Registration) -> None:
    verdict = judge(replace(registration, refinement=None))
    assert verdict.level == "check" and "Switch the refinement on" in verdict.reason and verdict.expected_error_mm is None


def test_a_bone_behind_the_detector_is_rejected_for_its_geometry(registration: Registration) -> None:
    first, second = registration.views
    near = replace(second, camera=replace(second.camera, source_to_detector_distance=500.0))
    verdict = judge(replace(registration, views=(first, near)))
    assert verdict.level == "rejected" and "source-to-detector distance" in verdict.reason


@given(similarities, similarities, lengths, lengths, lengths, lengths)
def test_what_is_worse_in_every_respect_never_has_a_better_verdict_or_a_smaller_error(
    registration: Registration, one: float, other: float, precise: float, vague: float, still: float, moved: float
) -> None:
    worse = judged(registration, min(one, other), max(precise, vague), max(still, moved))
    better = judged(registration, max(one, other), min(precise, vague), min(still, moved))
    assert LEVELS.index(worse.level) <= LEVELS.index(better.level)
    assert worse.expected_error_mm is not None and better.expected_error_mm is not None
    assert worse.expected_error_mm >= better.expected_error_mm > 0


@given(st.floats(5, 100), similarities, similarities)
def test_every_reason_is_plain_sentences(registration: Registration, certainty: float, similarity: float, before: float) -> None:
    verdict = judged(with_uncertain_points(registration, certainty), similarity, before=before)
    assert re.fullmatch(r"((The|No) [^.]+(\.\d\d[^.]*)*\. )+[A-Z][^.]+\.", verdict.reason) and verdict.reason.isascii()
