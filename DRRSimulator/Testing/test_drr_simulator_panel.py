"""The panel of DRR Simulator, used as a user does: from an empty scene to a live preview, saved X-rays and sets on disk."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, load_view, save_view
from DRRSimulatorLib.presets import PRESETS
from phantom import add_phantom

CAMERA = Camera(980.0, (1.9, 2.1), (120, 140), (74.5, 52.0))


@pytest.fixture
def widget(load_module: Any) -> Any:
    return load_module("DRRSimulator")


@pytest.fixture
def with_ct(widget: Any) -> Any:
    """The panel with a small CT chosen."""
    from slicer_host.events import select_node

    select_node(widget.ui.ctSelector, add_phantom())
    return widget


@pytest.fixture
def live(with_ct: Any) -> Any:
    """The panel with the live preview running."""
    start_preview(with_ct)
    return with_ct


def start_preview(widget: Any) -> None:
    from slicer_host.events import click, wait_until

    click(widget.ui.previewButton)
    wait_until(lambda: widget.panel.view.preview.running, 60, "the CT is prepared")
    wait_for_frame(widget)


def wait_for_frame(widget: Any) -> None:
    from slicer_host.events import wait_until

    widget.panel.update()

    def shown() -> bool:
        carm = widget.panel.view.preview.carm
        return carm is not None and carm.node("drr") is not None and widget.panel.view.preview.idle

    wait_until(shown, 20, "the frame is shown")


def wait_for_work(widget: Any) -> None:
    from slicer_host.events import wait_until

    wait_until(lambda: not widget.panel.work.running and not widget.panel.output.generating, 60, "the work is done")
    widget.panel.update()


def parameters(widget: Any) -> Any:
    return widget._parameterNode


def pixels(node: Any) -> FloatArray:
    import slicer

    return np.array(slicer.util.arrayFromVolume(node)[0], dtype=float)


def nodes(class_name: str) -> list[Any]:
    import slicer

    return list(slicer.util.getNodesByClass(class_name))


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
    import qt
    from DRRSimulatorSlicer.parameters import cameraOf
    from slicer_host import dialogs
    from slicer_host.events import click

    assert qt
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


@pytest.fixture
def held_up(with_ct: Any, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Finding the bone in the CT does not end before this is set."""
    go_on = threading.Event()
    prepare = with_ct.logic.prepareBones

    def slow(ct: Any) -> Any:
        compute = prepare(ct)

        def wait_and_compute(report: Any) -> Any:
            assert go_on.wait(30)
            return compute(report)

        return wait_and_compute

    monkeypatch.setattr(with_ct.logic, "prepareBones", slow)
    return go_on


def test_the_bone_is_segmented_and_chosen(with_ct: Any, held_up: threading.Event) -> None:
    from slicer_host.events import click

    click(with_ct.ui.segmentButton)
    with_ct.panel.update()
    assert with_ct.ui.cancelTaskButton.visible and with_ct.ui.taskProgressBar.visible
    assert not with_ct.ui.saveButton.enabled and with_ct.ui.saveButton.toolTip.startswith("Wait until")
    held_up.set()
    wait_for_work(with_ct)
    segmentation = parameters(with_ct).segmentation
    assert segmentation.GetSegmentation().GetNthSegment(0).GetName() == "bone"
    assert with_ct.ui.statusLabel.text == "The bone is segmented." and not with_ct.ui.cancelTaskButton.visible


def test_work_that_is_cancelled_leaves_nothing(with_ct: Any, held_up: threading.Event) -> None:
    from slicer_host.events import click

    click(with_ct.ui.segmentButton)
    with_ct.panel.update()
    click(with_ct.ui.cancelTaskButton)
    assert with_ct.ui.statusLabel.text == "Canceling..." and not with_ct.ui.cancelTaskButton.enabled
    held_up.set()
    wait_for_work(with_ct)
    assert with_ct.ui.statusLabel.text == "Canceled."
    assert parameters(with_ct).segmentation is None and nodes("vtkMRMLSegmentationNode") == []


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


def test_the_view_is_saved_in_full_size_as_the_logic_simulates_it(with_ct: Any) -> None:
    from DRRSimulatorSlicer.parameters import setCamera
    from slicer_host.events import click

    setCamera(parameters(with_ct), CAMERA)
    with_ct.ui.primarySlider.value = -25
    click(with_ct.ui.saveButton)
    wait_for_work(with_ct)
    assert with_ct.ui.statusLabel.text == "Saved as phantom DRR RAO 25 CRAN 0."
    saved = next(node for node in nodes("vtkMRMLScalarVolumeNode") if node.GetName() == "phantom DRR RAO 25 CRAN 0")
    expected = with_ct.logic.simulate(parameters(with_ct).ct, CAMERA, CArmView(-25), noise=True)
    np.testing.assert_array_equal(pixels(saved), pixels(expected))
    assert with_ct.logic.geometry(saved) == CAMERA


def test_a_set_is_generated_with_progress(with_ct: Any, tmp_path: Path) -> None:
    from DRRSimulatorSlicer.parameters import setCamera
    from slicer_host.events import click

    setCamera(parameters(with_ct), CAMERA)
    with_ct.ui.viewCountBox.value = 3
    with_ct.ui.folderSelector.currentPath = str(tmp_path)
    with_ct.panel.update()
    click(with_ct.ui.generateButton)
    with_ct.panel.update()
    assert with_ct.ui.generateProgressBar.visible and not with_ct.ui.generateButton.enabled
    assert with_ct.ui.previewButton.enabled  # it is another process
    wait_for_work(with_ct)
    assert [load_view(tmp_path / f"view_000{n}.json")[0] for n in (1, 2, 3)] == [CAMERA] * 3
    assert not with_ct.ui.generateProgressBar.visible and with_ct.ui.generateButton.enabled
    assert "3" in with_ct.ui.statusLabel.text


def test_generating_is_cancelled(with_ct: Any, tmp_path: Path) -> None:
    from slicer_host.events import click, wait_until

    with_ct.ui.viewCountBox.value = 10000
    with_ct.ui.folderSelector.currentPath = str(tmp_path)
    with_ct.panel.update()
    click(with_ct.ui.generateButton)
    wait_until(lambda: (tmp_path / "view_0001.json").exists(), 60, "the first view is written")
    click(with_ct.ui.cancelGenerateButton)
    wait_for_work(with_ct)
    assert with_ct.ui.statusLabel.text.startswith("Stopped after") and (tmp_path / "view_0001.json").exists()


def test_images_in_the_folder_are_replaced_only_after_a_question(with_ct: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer
    from slicer_host.events import click

    save_view(tmp_path / "view_0001.json", CAMERA)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda question: False)
    with_ct.ui.folderSelector.currentPath = str(tmp_path)
    with_ct.panel.update()
    click(with_ct.ui.generateButton)
    assert not with_ct.panel.output.generating


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


def test_a_reload_forgets_the_code_that_was_loaded(widget: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    import slicer.ScriptedLoadableModule as scripted

    before = dict(sys.modules)
    left: list[str] = []

    def reload(self: Any) -> None:
        left.extend(name for name in sys.modules if name.startswith(("DRRSimulatorSlicer", "DRRSimulatorLib")))

    monkeypatch.setattr(scripted.ScriptedLoadableModuleWidget, "onReload", reload)
    try:
        widget.onReload()
    finally:
        sys.modules.update(before)
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
