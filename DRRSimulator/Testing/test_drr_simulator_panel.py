"""The panel of DRR Simulator as a whole: from an empty scene to a simulated X-ray, through scenes, modules and reloads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, CArmView
from panel_use import nodes, parameters, pixels, start_preview, wait_for_frame, wait_for_work
from phantom import add_phantom

CAMERA = Camera(980.0, (1.9, 2.1), (120, 140), (74.5, 52.0))


def test_two_clicks_lead_from_an_empty_scene_to_a_simulated_xray(widget: Any) -> None:
    from slicer_host.events import click

    click(widget.ui.sampleButton)
    start_preview(widget)
    preview = parameters(widget).previewCamera.GetNodeReference("drr")
    assert pixels(preview).shape == (256, 256)
    assert 2 < pixels(preview).mean() < 12 and pixels(preview).std() > 0.3  # water of 10 to 60 cm has 2 to 12, and there is a pelvis in it
    assert widget.ui.statusLabel.text == "Live preview: LAO 0 CRAN 0."


def test_without_a_ct_every_action_is_disabled_and_says_why(widget: Any) -> None:
    for button in (widget.ui.segmentButton, widget.ui.previewButton, widget.ui.saveButton, widget.ui.generateButton):
        assert not button.enabled and button.toolTip == "Load or select a CT."
    assert widget.ui.statusLabel.text == "Load or select a CT."
    assert not widget.ui.cameraButton.enabled and widget.ui.cameraButton.toolTip == "Start the live preview first."
    assert not widget.ui.taskProgressBar.visible and not widget.ui.generateProgressBar.visible


def test_an_enabled_button_says_what_it_does(with_ct: Any) -> None:
    with_ct.panel.update()
    assert with_ct.ui.previewButton.enabled and with_ct.ui.previewButton.toolTip.startswith("Show the simulated X-ray")


def test_a_single_image_is_no_ct(widget: Any) -> None:
    import slicer
    from slicer_host.events import select_node

    image = slicer.util.addVolumeFromArray(np.zeros((1, 20, 20)), name="Hand")
    select_node(widget.ui.ctSelector, image)
    assert widget.ui.statusLabel.text == "Hand is not a volume of several slices; select a CT."
    assert not widget.ui.previewButton.enabled


def test_the_scenes_ct_is_chosen_when_the_module_is_opened(load_module: Any) -> None:
    import slicer

    slicer.util.addVolumeFromArray(np.zeros((1, 20, 20)), name="X-ray")
    ct = add_phantom()
    assert load_module("DRRSimulator")._parameterNode.ct is ct


def test_a_scene_that_is_opened_again_goes_on_where_it_was_saved(live: Any, load_module: Any, tmp_path: Path) -> None:
    import slicer
    from DRRSimulatorSlicer.parameters import cameraOf, setCamera, viewOf
    from slicer_host.events import process_events

    setCamera(parameters(live), CAMERA)
    live.ui.primarySlider.value, live.ui.offsetYSlider.value = 33, -12
    wait_for_frame(live)
    count = {name: len(nodes(name)) for name in ("vtkMRMLTransformNode", "vtkMRMLVolumeNode", "vtkMRMLMarkupsNode", "vtkMRMLModelNode")}
    shown = pixels(parameters(live).previewCamera.GetNodeReference("drr"))
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    process_events()
    assert not live.ui.previewButton.checked and parameters(live).ct is None

    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    process_events()
    assert parameters(live).ct.GetName() == "phantom"
    assert cameraOf(parameters(live)) == CAMERA and viewOf(parameters(live)) == CArmView(33, offset_mm=(0, -12))
    assert live.ui.primarySlider.value == 33
    start_preview(live)
    assert {name: len(nodes(name)) for name in count} == count
    np.testing.assert_allclose(pixels(parameters(live).previewCamera.GetNodeReference("drr")), shown, atol=1e-3)


def test_closing_the_scene_ends_all_work_and_cleans_the_panel(live: Any, tmp_path: Path) -> None:
    import slicer
    from slicer_host.events import click, wait_until

    live.ui.folderSelector.currentPath = str(tmp_path)
    live.ui.viewCountBox.value = 10000
    live.panel.update()
    click(live.ui.generateButton)
    click(live.ui.saveButton)
    slicer.mrmlScene.Clear(False)
    wait_for_work(live)
    wait_until(lambda: live.ui.statusLabel.text == "Load or select a CT.", 5, "the panel is clean")
    assert not live.panel.view.preview.running and not live.ui.previewButton.checked
    assert nodes("vtkMRMLScalarVolumeNode") == []


def test_the_preview_goes_on_after_another_module_was_visited(live: Any) -> None:
    live.parent.exit()
    parameters(live).secondary = 21.0
    wait_for_frame(live)
    live.parent.enter()
    assert live.panel.view.preview.running and live.ui.previewButton.checked
    assert live.ui.secondarySlider.value == 21


def test_a_reload_forgets_the_code_that_was_loaded(widget: Any, kept_code: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    import slicer.ScriptedLoadableModule as scripted

    left: list[str] = []

    def reload(self: Any) -> None:
        left.extend(name for name in sys.modules if name.startswith(("DRRSimulatorSlicer", "DRRSimulatorLib")))

    monkeypatch.setattr(scripted.ScriptedLoadableModuleWidget, "onReload", reload)
    widget.onReload()
    assert left == []


def test_no_text_of_the_panel_is_cut_at_slicers_usual_width(widget: Any) -> None:
    import qt
    from slicer_host.events import process_events

    widget.ui.detectorGroup.collapsed = False
    widget.parent.resize(420, 1100)
    widget.parent.show()
    process_events(0.1)
    texts = [*widget.parent.findChildren(qt.QPushButton), *widget.parent.findChildren(qt.QLabel), *widget.parent.findChildren(qt.QCheckBox)]
    cut = [text.text for text in texts if text.visible and text.width < text.minimumSizeHint.width()]
    assert texts and cut == []
    for selector in (widget.ui.presetSelector, widget.ui.polaritySelector):
        choices = [selector.itemText(row) for row in range(selector.count)]
        assert max(selector.fontMetrics().horizontalAdvance(choice) for choice in choices) < selector.width - 30  # the arrow and the frame
    assert widget.ui.researchLabel.text == "Research use only."
