"""The geometry in the panel: from presets, X-rays and calibrations, or by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, save_view
from DRRSimulatorLib.presets import PRESETS
from panel_use import parameters

CAMERA = Camera(980.0, (1.9, 2.1), (120, 140), (74.5, 52.0))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_sets_the_whole_geometry(widget: Any, preset: Any) -> None:
    from DRRSimulatorSlicer.parameters import cameraOf
    from slicer_host.events import choose

    parameters(widget).principalOffsetX = 7.0
    choose(widget.ui.presetSelector, preset.name)
    assert cameraOf(parameters(widget)) == preset.camera
    assert parameters(widget).sourceToIsocenter == preset.source_to_isocentre_mm
    assert widget.ui.columnsBox.value == preset.camera.image_size[1]


def test_a_changed_value_is_a_custom_geometry(widget: Any) -> None:
    from slicer_host.events import process_events

    assert widget.ui.presetSelector.currentText == PRESETS[0].name
    widget.ui.sourceToDetectorBox.value = 1000
    process_events()
    assert widget.ui.presetSelector.currentText == "Custom"
    widget.ui.sourceToDetectorBox.value = 1020
    process_events()
    assert widget.ui.presetSelector.currentText == PRESETS[0].name


def test_the_geometry_of_an_xray_is_taken_over(widget: Any) -> None:
    import slicer
    from DRRSimulatorSlicer.nodes import setGeometry
    from DRRSimulatorSlicer.parameters import cameraOf
    from slicer_host.events import click, select_node

    xray = slicer.util.addVolumeFromArray(np.zeros((1, 120, 140)), name="Hip AP")
    select_node(widget.ui.xraySelector, xray)
    assert not widget.ui.xrayGeometryButton.enabled and "Hip AP" in widget.ui.xrayGeometryButton.toolTip
    setGeometry(xray, CAMERA)
    widget.panel.update()
    click(widget.ui.xrayGeometryButton)
    assert cameraOf(parameters(widget)) == CAMERA


def test_a_calibration_is_taken_over(widget: Any, tmp_path: Path) -> None:
    from DRRSimulatorSlicer.parameters import cameraOf
    from slicer_host.events import click

    dialogs = pytest.importorskip("slicer_host.dialogs", exc_type=ImportError)
    save_view(tmp_path / "camera.json", CAMERA)
    dialogs.answer("Load a geometry", str(tmp_path / "camera.json"))
    click(widget.ui.calibrationButton)
    assert cameraOf(parameters(widget)) == CAMERA


@pytest.mark.parametrize(
    ("camera", "message"),
    [(None, "cannot be read"), (Camera.centred(9000, 0.5, (100, 100)), "outside of what can be simulated")],
)
def test_a_calibration_that_cannot_be_used_changes_nothing(widget: Any, tmp_path: Path, camera: Camera | None, message: str) -> None:
    from DRRSimulatorSlicer.parameters import cameraOf

    if camera is not None:
        save_view(tmp_path / "camera.json", camera)
    widget.panel.carm.loadCalibration(tmp_path / "camera.json")
    widget.panel.update()
    assert message in widget.ui.statusLabel.text
    assert cameraOf(parameters(widget)) == PRESETS[0].camera
