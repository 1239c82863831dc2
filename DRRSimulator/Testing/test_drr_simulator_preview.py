"""The live preview, used as a user does: it follows the angles, however fast they change, and ends with what it shows."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import CArmView
from panel_use import nodes, parameters, pixels, start_preview, wait_for_frame, wait_for_work
from phantom import add_phantom


def test_dragging_an_angle_turns_the_camera_and_the_image(live: Any) -> None:
    from slicer_host.events import drag_slider

    carm = live.panel.view.preview.carm
    before = pixels(carm.node("drr"))
    drag_slider(live.ui.primarySlider, 40)
    wait_for_frame(live)
    view = CArmView.from_pose(carm.pose(), live.panel.view.preview._patient.centre_ras)
    assert view.primary_deg == pytest.approx(40) and view.source_to_point_mm == pytest.approx(700)
    assert np.abs(pixels(carm.node("drr")) - before).max() > 0.1
    assert live.ui.statusLabel.text == "Live preview: LAO 40 CRAN 0."


def test_of_many_changes_only_the_last_is_drawn(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from DRRSimulatorSlicer import preview

    monkeypatch.setattr(preview, "SLOWEST_FRAME_SECONDS", float("inf"))
    drawn = record_frames(monkeypatch)
    for angle in range(1, 31):
        parameters(live).primary = float(angle)
    wait_for_frame(live)
    assert drawn == [(30.0, True)]  # on the main thread, where the next event waits for it


def test_slow_frames_are_computed_in_a_thread_and_the_last_one_wins(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from DRRSimulatorSlicer import preview
    from slicer_host.events import process_events

    monkeypatch.setattr(preview, "SLOWEST_FRAME_SECONDS", 0.0)
    drawn = record_frames(monkeypatch)
    for angle in range(1, 31):
        parameters(live).primary = float(angle)
        process_events()
    wait_for_frame(live)
    assert not any(on_main_thread for _, on_main_thread in drawn)
    assert drawn[-1][0] == 30.0 and len(drawn) < 30
    view = CArmView.from_pose(live.panel.view.preview.carm.pose(), live.panel.view.preview._patient.centre_ras)
    assert view.primary_deg == pytest.approx(30)


def record_frames(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, bool]]:
    """The primary angle of each frame that is computed, and whether on the main thread."""
    from DRRSimulatorSlicer import preview

    drawn: list[tuple[float, bool]] = []
    timed = preview.timed

    def recorded(patient: Any, frame: Any, pose: Any) -> Any:
        drawn.append((frame.view.primary_deg, threading.current_thread() is threading.main_thread()))
        return timed(patient, frame, pose)

    monkeypatch.setattr(preview, "timed", recorded)
    return drawn


def test_the_preview_shows_bone_as_the_saved_image_will(live: Any) -> None:
    from slicer_host.events import choose

    display = live.panel.view.preview.carm.node("drr").GetDisplayNode()
    assert display.GetColorNodeID().endswith("InvertedGrey")
    choose(live.ui.polaritySelector, "Attenuation (bone bright)")
    wait_for_frame(live)
    assert display.GetColorNodeID().endswith("NodeGrey")


def test_a_window_that_the_user_chose_is_kept(live: Any) -> None:
    display = live.panel.view.preview.carm.node("drr").GetDisplayNode()
    display.SetWindowLevel(3.0, 1.5)
    parameters(live).primary = 20.0
    wait_for_frame(live)
    assert (display.GetWindow(), display.GetLevel()) == (3.0, 1.5)


def test_an_impossible_view_is_told_and_the_next_one_is_shown(live: Any) -> None:
    from slicer_host.events import wait_until

    parameters(live).sourceToIsocenter = 1100.0
    wait_until(lambda: "between the source and the detector" in live.ui.statusLabel.text, 5)
    parameters(live).sourceToIsocenter = 600.0
    wait_until(lambda: live.ui.statusLabel.text == "Live preview: LAO 0 CRAN 0.", 5)


def test_another_ct_is_prepared_and_shown_by_the_same_camera(live: Any) -> None:
    from slicer_host.events import select_node, wait_until

    other = add_phantom()
    other.SetName("another phantom")
    other.SetOrigin(500, 0, 0)
    camera = parameters(live).previewCamera
    select_node(live.ui.ctSelector, other)
    wait_until(lambda: live.panel.view.preview.carm.node("ct") is other, 60, "the other CT is shown")
    assert parameters(live).previewCamera is camera
    assert len(nodes("vtkMRMLLinearTransformNode")) == 1


def test_a_ct_that_is_removed_ends_the_preview(live: Any) -> None:
    import slicer
    from slicer_host.events import wait_until

    slicer.mrmlScene.RemoveNode(parameters(live).ct)
    wait_until(lambda: not live.panel.view.preview.running, 5)
    assert live.ui.statusLabel.text == "Load or select a CT." and not live.ui.previewButton.enabled


def test_a_camera_that_is_removed_ends_the_preview_until_it_is_started_again(live: Any) -> None:
    import slicer
    from slicer_host.events import wait_until

    slicer.mrmlScene.RemoveNode(parameters(live).previewCamera)
    parameters(live).primary = 10.0
    wait_until(lambda: not live.panel.view.preview.running and not live.ui.previewButton.checked, 5)
    wait_until(lambda: live.ui.statusLabel.text == "The camera of the preview was removed; start the live preview again.", 5)
    start_preview(live)
    assert parameters(live).previewCamera is not None


def test_frontal_and_lateral_are_one_click_away(with_ct: Any) -> None:
    from DRRSimulatorSlicer.parameters import viewOf
    from slicer_host.events import click

    with_ct.ui.rollSlider.value, with_ct.ui.offsetXSlider.value = 12, 34
    click(with_ct.ui.lateralButton)
    assert viewOf(parameters(with_ct)) == CArmView(primary_deg=90)
    click(with_ct.ui.frontalButton)
    assert viewOf(parameters(with_ct)) == CArmView()
    assert with_ct.ui.primarySlider.value == 0


def test_a_ct_that_cannot_be_simulated_says_why(with_ct: Any) -> None:
    import slicer
    from slicer_host.events import click

    slicer.util.arrayFromVolume(parameters(with_ct).ct)[...] = -1000
    click(with_ct.ui.previewButton)
    wait_for_work(with_ct)
    assert "phantom is not a CT of bone" in with_ct.ui.statusLabel.text
    assert not with_ct.ui.previewButton.checked


def test_missing_packages_are_told_and_nothing_is_started(with_ct: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from DRRSimulatorSlicer import dependencies
    from slicer_host.events import click

    monkeypatch.setattr(dependencies.Dependencies, "missing", lambda self, group: ["warp-lang>=1.19"])
    click(with_ct.ui.previewButton)
    with_ct.panel.update()
    assert "warp-lang" in with_ct.ui.statusLabel.text
    assert not with_ct.ui.previewButton.checked and not with_ct.panel.work.running


def test_the_preview_is_seen_upright_in_the_xray_view_and_the_3d_view_gives_its_direction(views: Any, load_module: Any) -> None:
    import slicer
    from slicer_host.events import click, select_node

    widget = load_module("DRRSimulator")
    ct = add_phantom()
    select_node(widget.ui.ctSelector, ct)
    start_preview(widget)
    logic = slicer.app.applicationLogic().GetSliceLogic(slicer.mrmlScene.GetSingletonNode("XRay1", "vtkMRMLSliceNode"))
    shown = logic.GetSliceCompositeNode().GetBackgroundVolumeID()
    assert shown == parameters(widget).previewCamera.GetNodeReference("drr").GetID()

    camera = slicer.modules.cameras.logic().GetViewActiveCameraNode(slicer.mrmlScene.GetNodeByID("vtkMRMLViewNode1"))
    middle = np.array(widget.panel.view.preview._patient.centre_ras)
    camera.SetFocalPoint(*middle)
    camera.SetPosition(*(middle + 300 * np.array([1, -1, 0])))  # behind the patient, at the right: RAO is where it looks from, LAO where to
    camera.SetViewUp(0, 0, 1)
    click(widget.ui.cameraButton)
    assert widget.ui.primarySlider.value == pytest.approx(45) and widget.ui.secondarySlider.value == pytest.approx(0, abs=1e-6)
    camera.SetFocalPoint(*(middle + 5000 * np.array([0, 0, 1])))
    click(widget.ui.cameraButton)
    widget.panel.update()
    assert "looks past the bones" in widget.ui.statusLabel.text and widget.ui.primarySlider.value == pytest.approx(45)
