"""The result in the panel: its verdict and numbers, moving the bone by hand, comparing, exporting and removing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import transform_points
from panel_user import PanelUser
from registration_scene import node_names
from XRayRegistrationLib.trust import Verdict


@pytest.fixture
def result(user: PanelUser) -> Any:
    """Of an X-ray that was registered in the panel, without refinement, to be quick."""
    user.parameters.refine = False
    user.choose(user.load(), user.load_ct())
    return user.register()


def adjust(user: PanelUser) -> None:
    """Open the section in which the bone is moved, and wait until it can be."""
    user.ui.adjustCollapsibleButton.collapsed = False
    user.wait_until(lambda: user.ui.rightSlider.enabled, "the bone can be moved")


def center(user: PanelUser, pose: Any) -> Any:
    """Where the middle of the bone is seen (3,), in camera coordinates."""
    return transform_points(pose, user.pelvis.patient.centre_ras[None])[0]


def drag(user: PanelUser, slider: Any, value: float) -> None:
    from slicer_host import events

    events.drag_slider(slider, value)
    user.wait(0.05)


def test_the_verdict_stands_in_words_above_the_numbers(user: PanelUser, result: Any) -> None:
    table = user.ui.resultTableView
    assert not user.ui.resultCollapsibleButton.collapsed
    assert user.ui.verdictReasonLabel.text == result.verdict.reason
    assert table.mrmlTableNode() is result.table
    shown = [table.model().index(row, 0).data() for row in range(table.model().rowCount()) if not table.isRowHidden(row)]
    assert not {"Verdict", "Reason", "Note"} & set(shown) and "Source to detector" in shown


def test_a_result_that_cannot_be_read_is_told_in_a_sentence_and_can_be_removed_or_made_again(user: PanelUser, result: Any) -> None:
    from XRayRegistrationSlicer.result import NUMBERS_ATTRIBUTE

    table, whole = result.table, result.table.GetAttribute(NUMBERS_ATTRIBUTE)
    table.SetAttribute(NUMBERS_ATTRIBUTE, json.dumps(result.numbers | {"views": [{"xray": "AP"}]}))
    user.widget.panel.update()
    assert user.widget.logic.result(user.parameters.xray) is None
    assert user.ui.verdictReasonLabel.text == f"The result stored with {table.GetName()} cannot be read; register the X-rays again."
    assert user.ui.removeButton.enabled and not user.ui.showButton.enabled and not user.ui.exportButton.enabled
    again = user.register()
    assert again.table is table and table.GetAttribute(NUMBERS_ATTRIBUTE) != whole
    assert user.ui.verdictReasonLabel.text == again.verdict.reason
    table.SetAttribute(NUMBERS_ATTRIBUTE, "no JSON")
    user.widget.panel.update()
    user.click(user.ui.removeButton)
    assert {name for name in node_names().values() if not name.startswith("VolumeDisplay")} == {"AP", "CT"}


def test_a_camera_that_cannot_be_read_is_told_in_a_sentence(user: PanelUser, result: Any) -> None:
    from DRRSimulatorSlicer.carm import CAMERA_ATTRIBUTE

    result.carms[0].transformNode.SetAttribute(CAMERA_ATTRIBUTE, "{}")
    user.widget.panel.update()
    assert "AP camera cannot be read" in user.ui.verdictReasonLabel.text


def test_a_geometry_that_cannot_be_read_is_told_in_a_sentence(user: PanelUser) -> None:
    from DRRSimulatorSlicer.nodes import GEOMETRY_ATTRIBUTE
    from XRayRegistrationSlicer.defaults import chooseInputs

    xray = user.load()
    xray.SetAttribute(GEOMETRY_ATTRIBUTE, '{"camera": 1}')
    user.parameters.xray = None
    chooseInputs(user.parameters)
    assert user.parameters.xray is xray
    user.widget.panel.update()
    assert "The geometry stored with AP cannot be read" in user.ui.geometryQuestionsLabel.text


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict("reliable", 1.24, "It fits."), "Reliable: expected error 1.2 mm"),
        (Verdict("check", None, "Look."), "Check it"),
        (Verdict("rejected", 25.0, "It does not fit."), "Rejected: expected error 25.0 mm"),
    ],
)
def test_verdicts_are_told_in_words(user: PanelUser, result: Any, verdict: Verdict, words: str) -> None:
    from XRayRegistrationSlicer.result import NUMBERS_ATTRIBUTE

    numbers = result.numbers
    numbers["verdict"] = asdict(verdict)
    result.table.SetAttribute(NUMBERS_ATTRIBUTE, json.dumps(numbers))
    user.widget.panel.update()
    assert user.ui.verdictLabel.text == words
    assert user.ui.verdictReasonLabel.text == verdict.reason


def test_the_result_of_another_frame_is_not_taken_for_this_one(user: PanelUser, result: Any) -> None:
    import slicer

    slicer.util.updateVolumeFromArray(user.parameters.xray, user.pelvis.pixels(1)[None])
    user.wait(0.05)
    assert user.ui.verdictLabel.text == "Check it"
    assert "shows another image" in user.ui.verdictReasonLabel.text
    user.register()
    assert "shows another image" not in user.ui.verdictReasonLabel.text


def test_removing_the_result_leaves_what_the_user_had(user: PanelUser) -> None:
    user.parameters.refine = False
    user.choose(user.load(), user.load_ct())
    before = node_names()
    user.register()
    user.click(user.ui.removeButton)
    user.wait(0.05)
    assert set(node_names().values()) == set(before.values())
    assert user.ui.verdictLabel.text == "Nothing is registered yet."
    assert user.ui.resultCollapsibleButton.collapsed


def test_a_result_that_was_deleted_elsewhere_vanishes_from_the_panel(user: PanelUser, scene: Any, result: Any) -> None:
    scene.RemoveNode(result.table)
    user.wait(0.05)
    assert user.ui.verdictLabel.text == "Nothing is registered yet."


def test_dragging_a_slider_moves_the_bone_by_so_much(user: PanelUser, result: Any) -> None:
    adjust(user)
    before = center(user, result.carms[0].pose())
    outline = result.outlines[0].GetPolyData().GetBounds()
    drag(user, user.ui.rightSlider, 8.0)
    drag(user, user.ui.depthSlider, -20.0)
    moved = center(user, result.carms[0].pose()) - before
    assert np.allclose(moved, (user.ui.rightSlider.value, 0, user.ui.depthSlider.value), atol=1e-6)
    assert np.allclose(moved, (8, 0, -20), atol=0.5)
    user.wait_until(lambda: "moved by hand" in user.ui.verdictReasonLabel.text, "the verdict is that of a pose set by hand")
    assert result.outlines[0].GetPolyData().GetBounds() != outline


def test_reset_goes_back_to_where_the_bone_was_registered(user: PanelUser, result: Any) -> None:
    adjust(user)
    before, reason = result.carms[0].pose(), user.ui.verdictReasonLabel.text
    drag(user, user.ui.rollSlider, 10.0)
    assert not np.allclose(result.carms[0].pose(), before, atol=0.1)
    user.click(user.ui.resetButton)
    assert np.allclose(result.carms[0].pose(), before)
    assert user.ui.rollSlider.value == 0
    user.wait_until(lambda: user.ui.verdictReasonLabel.text == reason, "the verdict is that of the registration")


def test_refining_from_where_the_bone_was_moved_finds_the_pose_again(user: PanelUser, result: Any) -> None:
    adjust(user)
    drag(user, user.ui.rightSlider, 4.0)
    assert user.pelvis.mtre(result.carms[0].pose()) > 3
    user.click(user.ui.refineHereButton)
    assert not user.ui.rightSlider.enabled
    user.wait_until(lambda: user.ui.registerButton.text == "Register", "the refinement ends", seconds=60)
    assert user.status == "Refined from where the bone was."
    user.wait_until(lambda: user.ui.rightSlider.enabled, "the bone can be moved again")
    assert user.pelvis.mtre(result.carms[0].pose()) < 1
    assert user.ui.rightSlider.value == 0


def test_the_camera_is_dragged_by_its_handles(user: PanelUser, result: Any) -> None:
    import slicer

    adjust(user)
    transform = result.carms[0].transformNode
    user.click(user.ui.handlesCheckBox)
    assert transform.GetDisplayNode().GetEditorVisibility()
    before = center(user, result.carms[0].pose())
    matrix = slicer.util.arrayFromTransformMatrix(transform)
    matrix[:3, 3] -= 5 * matrix[:3, 0]  # the camera to its left, so the bone is seen 5 mm further right
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    user.wait_until(lambda: abs(user.ui.rightSlider.value - 5) < 1e-3, "the sliders follow")
    assert np.allclose(center(user, result.carms[0].pose()) - before, (5, 0, 0), atol=1e-6)
    user.click(user.ui.handlesCheckBox)
    assert not transform.GetDisplayNode().GetEditorVisibility()


def test_the_xray_is_compared_with_the_drr(views: Any, user: PanelUser, result: Any) -> None:
    import slicer
    from slicer_host import events

    user.ui.adjustCollapsibleButton.collapsed = False
    user.wait(0.05)
    composite = slicer.app.layoutManager().sliceWidget("XRay1").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == result.xraysOnDetector[0].GetID()
    drag(user, user.ui.opacitySlider, 70)
    assert composite.GetForegroundVolumeID() == result.drrs[0].GetID()
    assert composite.GetForegroundOpacity() == pytest.approx(0.7, abs=0.02)
    events.choose(user.ui.comparisonComboBox, "Checkerboard")
    user.wait(0.05)
    assert "checkerboard" in slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID()).GetName()
    assert not user.ui.opacitySlider.enabled
    events.choose(user.ui.comparisonComboBox, "Flicker")
    shown = set()
    user.wait_until(lambda: (shown.add(composite.GetForegroundOpacity()), len(shown) == 2)[1], "it flickers", seconds=5)
    assert shown == {0.0, 1.0}
    events.choose(user.ui.comparisonComboBox, "Blending")
    user.wait(0.05)
    assert composite.GetForegroundOpacity() == pytest.approx(0.7, abs=0.02)


def test_the_result_is_shown_again_after_another_layout(views: Any, user: PanelUser, result: Any) -> None:
    import slicer

    layout = slicer.app.layoutManager().layout
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    user.click(user.ui.showButton)
    assert slicer.app.layoutManager().layout == layout


def test_exporting_writes_files_and_tells_which(user: PanelUser, result: Any, tmp_path: Path) -> None:
    user.ui.exportCollapsibleButton.collapsed = False
    user.ui.exportDirectoryButton.directory = str(tmp_path)
    user.click(user.ui.exportButton)
    user.wait_until(lambda: user.ui.exportLabel.text.startswith("Written"), "the files are written")
    written = {file.name for file in tmp_path.iterdir()}
    assert {"scene.mrb", "result.json", "numbers.csv"} <= written
    assert all(name in user.ui.exportLabel.text for name in written)


def test_a_folder_that_cannot_be_written_is_told(user: PanelUser, result: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    user.ui.exportCollapsibleButton.collapsed = False
    user.ui.exportDirectoryButton.directory = str(tmp_path / "file")
    user.click(user.ui.exportButton)
    assert "file" in user.ui.exportLabel.text
    assert not user.ui.exportLabel.text.startswith("Written")
