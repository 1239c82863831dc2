"""Questions about an X-ray's geometry: none for C-arms as they are, and one for each usual mistake."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.presets import PRESETS, CArmPreset
from hypothesis import given
from hypothesis import strategies as st
from XRayRegistrationLib.model import ModelDescription
from XRayRegistrationLib.plausibility import questions

FLAT_PANEL = Camera.centred(1020.0, 0.58, (512, 512))
MODEL = ModelDescription("", {1: "bone"}, (0.0, 0.0, 0.0), 100.0, FLAT_PANEL.resized((128, 128)))

usual_cameras = st.builds(
    lambda distance, longer_side, rows, columns: Camera.centred(distance, longer_side / max(rows, columns), (rows, columns)),
    st.floats(800, 1500),
    st.floats(150, 430),
    st.integers(256, 3000),
    st.integers(256, 3000),
)
any_cameras = st.builds(
    Camera,
    st.floats(0.01, 1e5),
    st.tuples(st.floats(1e-3, 100), st.floats(1e-3, 100)),
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)),
)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_common_c_arm_is_not_questioned(preset: CArmPreset) -> None:
    assert questions(preset.camera) == []


@given(usual_cameras)
def test_usual_numbers_are_not_questioned_but_centimeters_are(camera: Camera) -> None:
    assert questions(camera) == []
    (distance,) = questions(replace(camera, source_to_detector_distance=camera.source_to_detector_distance / 10))
    assert "source-to-detector distance" in distance and f"{camera.source_to_detector_distance / 10:.4g} mm" in distance
    (spacing,) = questions(replace(camera, pixel_spacing=(camera.pixel_spacing[0] / 10, camera.pixel_spacing[1] / 10)))
    assert "pixel spacing" in spacing


@given(any_cameras, st.booleans())
def test_every_question_is_a_whole_sentence_with_the_numbers_in_mm(camera: Camera, with_model: bool) -> None:
    for question in questions(camera, MODEL if with_model else None):
        assert re.fullmatch(r"The [^?]*\d mm[^?]*\. [A-Z][^?.]*\?", question)


@given(any_cameras, st.sampled_from([2, 4]))
def test_how_finely_a_detector_is_divided_does_not_matter(camera: Camera, factor: int) -> None:
    rows, columns = camera.image_size
    assert questions(camera.resized((factor * rows, factor * columns)), MODEL) == questions(camera, MODEL)


@given(st.floats(0, 511), st.floats(0, 511))
def test_a_principal_point_in_the_image_is_not_questioned(column: float, row: float) -> None:
    assert questions(replace(FLAT_PANEL, principal_point=(column, row))) == []


def test_a_principal_point_beside_the_image_is_questioned_with_its_distance_from_the_border() -> None:
    (question,) = questions(replace(FLAT_PANEL, principal_point=(-100.5, 200.0)))
    assert "58 mm outside the image" in question  # 100 pixels of 0.58 mm


def test_only_the_size_seen_from_the_source_is_compared_with_the_training() -> None:
    twice_as_far = replace(FLAT_PANEL, source_to_detector_distance=1600.0, pixel_spacing=(0.9, 0.9))
    assert questions(twice_as_far, MODEL) == []
    (question,) = questions(FLAT_PANEL.cropped(150, 150, (200, 200)), MODEL)
    assert "the model was trained" in question and "116 mm" in question and "297 mm" in question
