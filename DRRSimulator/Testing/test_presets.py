"""The presets of C-arms against what is known of such devices."""

from __future__ import annotations

import pytest
from DRRSimulatorLib.camera import CArmView
from DRRSimulatorLib.presets import PRESETS, CArmPreset

each_preset = pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)


def test_names_tell_the_presets_apart() -> None:
    assert len({preset.name for preset in PRESETS}) == len(PRESETS)


@each_preset
def test_the_patient_lies_between_source_and_detector(preset: CArmPreset) -> None:
    assert 0 < preset.source_to_isocentre_mm < preset.camera.source_to_detector_distance


@each_preset
def test_detectors_are_as_large_as_those_in_hospitals(preset: CArmPreset) -> None:
    """Between the 9 inches (228.6 mm) of a small image intensifier and the 17 inches (431.8 mm) of the largest flat panels."""
    rows, columns = preset.camera.image_size
    width, height = columns * preset.camera.pixel_spacing[0], rows * preset.camera.pixel_spacing[1]
    assert min(width, height) > 228 and max(width, height) < 432


@each_preset
def test_the_central_ray_meets_the_middle_of_the_detector(preset: CArmPreset) -> None:
    on_ray = CArmView(30, 10, source_to_point_mm=preset.source_to_isocentre_mm).ras_to_camera((0, 0, 0))[:3, 3]
    rows, columns = preset.camera.image_size
    assert preset.camera.project(on_ray) == pytest.approx([(columns - 1) / 2, (rows - 1) / 2])
