"""A scene that is saved with a result and opened again: the panel shows what it showed, and the work can go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panel_user import PanelUser


@pytest.fixture
def reopened(user: PanelUser, scene: Any, tmp_path: Path) -> PanelUser:
    """The user after saving a scene with a result, closing it and opening it again."""
    import slicer

    user.parameters.refine = False
    user.parameters.forceCPU = True
    user.choose(user.load(), user.load_ct())
    user.register()
    user.parameters.opacity = 25.0
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    scene.Clear(False)
    user.wait(0.05)
    assert user.ui.verdictLabel.text == "Nothing is registered yet."
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    user.wait_until(lambda: not user.status.startswith("Checking"), "the model is compared with the CT")
    return user


def test_choices_and_geometry_come_back(reopened: PanelUser) -> None:
    ui = reopened.ui
    assert ui.xraySelector.currentNode().GetName() == "AP"
    assert ui.ctSelector.currentNode().GetName() == "CT"
    assert not ui.refineCheckBox.checked and ui.forceCPUCheckBox.checked
    assert ui.opacitySlider.value == 25
    assert ui.distanceSpinBox.value == 1020
    assert ui.registerButton.enabled


def test_the_result_comes_back(reopened: PanelUser) -> None:
    ui, result = reopened.ui, reopened.widget.logic.result(reopened.parameters.xray)
    assert reopened.pelvis.mtre(result.carms[0].pose()) < 10  # of the network alone
    assert ui.verdictReasonLabel.text == result.verdict.reason != ""
    assert ui.resultTableView.model().rowCount() == result.table.GetNumberOfRows() > 5
    assert not ui.resultCollapsibleButton.collapsed
    assert result.outlines[0].GetPolyData().GetNumberOfLines() > 0


def test_the_bone_can_be_moved_on_from_where_it_was_left(reopened: PanelUser) -> None:
    from slicer_host import events

    result = reopened.widget.logic.result(reopened.parameters.xray)
    before = result.carms[0].pose()
    reopened.ui.adjustCollapsibleButton.collapsed = False
    reopened.wait_until(lambda: reopened.ui.downSlider.enabled, "the bone can be moved")
    events.drag_slider(reopened.ui.downSlider, 5.0)
    reopened.wait(0.05)
    assert np.allclose(result.carms[0].pose()[:3, 3] - before[:3, 3], (0, reopened.ui.downSlider.value, 0), atol=1e-6)


def test_registering_again_uses_the_nodes_of_the_saved_scene(reopened: PanelUser) -> None:
    before = reopened.widget.logic.result(reopened.parameters.xray)
    again = reopened.register()
    assert again.table is before.table
    assert [carm.transformNode for carm in again.carms] == [carm.transformNode for carm in before.carms]


def test_layouts_are_known_before_a_scene_is_opened(views: Any, load_module: Any) -> None:
    module = load_module.module("XRayRegistration")
    layout = views.layoutLogic().GetLayoutNode()
    assert not layout.IsLayoutDescription(23111)
    module.registerLayouts()
    assert all(layout.IsLayoutDescription(number) for number in (23111, 23112, 23113))
