"""The panel of XRayRegistration, driven as a user does: from loading to the result, and everything that can go wrong between."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Report
from panel_user import PanelUser
from pelvis_case import CAMERA
from registration_scene import add_ct, node_names
from small_patient import SmallPatient
from XRayRegistrationLib.metrics import pose_error

ROOT = Path(__file__).resolve().parents[2]


def computing(function: Callable[[Report], Any]) -> Callable[..., Callable[[Report], Any]]:
    """Takes the place of `XRayRegistrationLogic.prepare`."""
    return lambda *args: function


def endless(report: Report) -> None:
    while True:
        report(0.3, "Refining the pose")
        time.sleep(0.01)


def test_the_sample_is_registered_in_two_clicks(load_module: Any) -> None:
    from slicer_host import events

    widget = load_module("XRayRegistration")
    events.click(widget.ui.sampleDataButton)
    events.wait_until(lambda: widget.ui.registerButton.enabled, 20, "the sample is ready")
    events.click(widget.ui.registerButton)
    events.wait_until(lambda: widget.ui.registerButton.text == "Register", 60, "the registration ends")
    events.process_events(0.05)
    assert widget.ui.verdictLabel.text.startswith("Reliable")
    true = json.loads((ROOT / "DRRSimulator" / "Resources" / "SampleData" / "pelvis_xray.json").read_text(encoding="utf-8"))
    found = widget.logic.result(widget.ui.xraySelector.currentNode())
    points = found.registration.correspondences[0].points_ras
    pose, camera = np.array(true["ras_to_camera"]), Camera.from_dict(true["camera"])
    assert pose_error(found.carms[0].pose(), pose, camera, points, points.mean(axis=0)).mtre_mm < 1


def test_the_test_for_a_real_slicer_passes_here_too(load_module: Any) -> None:
    load_module.module("XRayRegistration").XRayRegistrationTest().runTest()


def test_register_tells_what_is_missing_until_nothing_is(user: PanelUser) -> None:
    from slicer_host import events

    ct, xray = user.load_ct(), user.load(geometry=False)
    events.select_node(user.ui.ctSelector, None)
    events.select_node(user.ui.xraySelector, None)
    for act, missing in (
        (lambda: None, "Choose an X-ray"),
        (lambda: events.select_node(user.ui.xraySelector, ct), "CT is not a single image"),
        (lambda: events.select_node(user.ui.xraySelector, xray), "Enter the geometry of AP"),
        (lambda: user.widget.logic.setGeometry(xray, CAMERA), "Choose the patient's CT"),
        (lambda: events.select_node(user.ui.ctSelector, xray), "AP is not a volume of several slices"),
    ):
        act()
        assert missing in user.status
        assert missing in user.ui.registerButton.toolTip
        assert not user.ui.registerButton.enabled
    user.choose(xray, ct)
    user.wait_until(lambda: user.ui.registerButton.enabled, "nothing is missing")
    assert user.status == ""


def test_a_sample_that_cannot_be_loaded_is_told(user: PanelUser, monkeypatch: pytest.MonkeyPatch) -> None:
    from XRayRegistrationSlicer import sample_panel

    def fail() -> None:
        raise RuntimeError("the disk is broken")

    monkeypatch.setattr(sample_panel, "loadSampleXRay", fail)
    user.click(user.ui.sampleDataButton)
    assert "The sample data cannot be loaded: the disk is broken" in user.status


def test_what_is_obvious_is_chosen_already(scene: Any, load_module: Any, patient: SmallPatient) -> None:
    from registration_scene import add_xray

    ct, xray = add_ct(patient.ct), add_xray(np.eye(64))
    widget = load_module("XRayRegistration")
    assert widget.ui.ctSelector.currentNode() is ct
    assert widget.ui.xraySelector.currentNode() is xray


def test_a_model_of_another_ct_is_found_out_before_registering(user: PanelUser, patient: SmallPatient) -> None:
    user.choose(user.load(), add_ct(patient.ct, "another CT"))
    assert "trained for another CT. Train one for this CT" in user.status
    assert not user.ui.registerButton.enabled


def test_registering_again_uses_the_same_nodes(user: PanelUser) -> None:
    user.choose(user.load(), user.load_ct())
    user.register()
    nodes = node_names()
    user.register()
    assert user.status == "Registered."
    assert node_names() == nodes


def test_a_registration_can_be_canceled_and_keeps_what_was_there(user: PanelUser, monkeypatch: pytest.MonkeyPatch) -> None:
    user.choose(user.load(), user.load_ct())
    pose = user.register().carms[0].pose()
    monkeypatch.setattr(user.widget.logic, "prepare", computing(endless))
    user.click(user.ui.registerButton)
    user.wait_until(lambda: user.ui.statusLabel.text == "Refining the pose", "it runs")
    assert user.ui.registerButton.text == "Cancel"
    assert user.ui.progressBar.visible and user.ui.progressBar.value == 300
    user.click(user.ui.registerButton)
    user.wait_until(lambda: user.ui.registerButton.text == "Register", "it stops")
    assert user.status == "Canceled."
    assert user.ui.registerButton.enabled and not user.ui.progressBar.visible
    assert np.array_equal(user.widget.logic.result(user.parameters.xray).carms[0].pose(), pose)


def test_closing_the_scene_stops_the_work(user: PanelUser, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    user.choose(user.load(), user.load_ct())
    monkeypatch.setattr(user.widget.logic, "prepare", computing(endless))
    user.click(user.ui.registerButton)
    user.wait(0.1)
    scene.Clear(False)
    user.wait_until(lambda: user.ui.registerButton.text == "Register", "it stops")
    assert user.ui.xraySelector.currentNode() is None
    assert "Choose an X-ray" in user.status


def test_the_work_goes_on_while_the_user_is_in_another_module(user: PanelUser) -> None:
    xray, ct = user.load(), user.load_ct()
    user.choose(xray, ct)
    user.click(user.ui.registerButton)
    user.widget.exit()
    user.wait_until(lambda: user.widget.logic.result(xray) is not None, "the result is there")
    user.widget.enter()
    user.wait(0.05)
    assert user.ui.verdictLabel.text.startswith("Reliable")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InputError("No pose was found; try another X-ray."), "No pose was found; try another X-ray."),
        (KeyError("x"), "An unexpected error"),
    ],
)
def test_errors_are_told_in_the_panel(user: PanelUser, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
    def fail(report: Report) -> None:
        raise error

    user.choose(user.load(), user.load_ct())
    monkeypatch.setattr(user.widget.logic, "prepare", computing(fail))
    user.click(user.ui.registerButton)
    user.wait_until(lambda: user.ui.registerButton.text == "Register", "it fails")
    assert told in user.status
    assert user.ui.registerButton.enabled


def test_an_xray_that_vanishes_while_it_is_registered_is_told(user: PanelUser, scene: Any) -> None:
    xray = user.load()
    user.choose(xray, user.load_ct())
    user.click(user.ui.registerButton)
    scene.RemoveNode(xray)
    user.wait_until(lambda: user.ui.registerButton.text == "Register", "it ends")
    assert "AP is no longer in the scene" in user.status


def test_a_refused_installation_is_told_in_the_panel(user: PanelUser, monkeypatch: pytest.MonkeyPatch) -> None:
    from DRRSimulatorSlicer.dependencies import Dependencies, DependencyError

    def refuse(self: Any, group: str) -> None:
        raise DependencyError(f"Nothing was installed for {group}.")

    monkeypatch.setattr(Dependencies, "ensure", refuse)
    user.choose(user.load(), user.load_ct())
    user.click(user.ui.registerButton)
    assert user.status == "Nothing was installed for registration."
    assert user.ui.registerButton.enabled


def test_what_an_image_shows_is_told_before_it_is_registered(user: PanelUser, scene: Any) -> None:
    from slicer_host import events

    pixels = user.pelvis.pixels()
    column, row = np.meshgrid(*map(np.arange, pixels.shape[::-1]))
    pixels[np.hypot(column - 80, row - 80) > 70] = 0  # a round image intensifier
    from registration_scene import add_xray

    xray = add_xray(pixels)
    events.select_node(user.ui.xraySelector, xray)
    user.wait_until(lambda: user.ui.fieldLabel.text != "", "the field is found")
    assert user.ui.brightnessLabel.text == "Found: bone is dark"
    found = int(
        user.ui.fieldLabel.text.partition(" %")[0] if " %" in user.ui.fieldLabel.text else user.ui.fieldLabel.text.partition("%")[0]
    )
    assert abs(found - 100 * np.pi * 70**2 / 160**2) < 5
    user.click(user.ui.fieldCheckBox)
    border = next(node for node in scene.GetNodesByClass("vtkMRMLModelNode") if node.GetName() == "exposed field")
    center = np.array([-0.5 * 79.5, -0.5 * 79.5, 0])  # of the image, in the X-ray's own RAS
    from vtk.util.numpy_support import vtk_to_numpy

    distance = np.linalg.norm(vtk_to_numpy(border.GetPolyData().GetPoints().GetData()) - center, axis=1)
    assert distance.min() > 0.5 * 64 and distance.max() < 0.5 * 71
    user.click(user.ui.fieldCheckBox)
    user.wait(0.05)
    assert border.GetScene() is None


def test_another_frame_of_a_sequence_is_looked_at_again(user: PanelUser) -> None:
    import slicer
    from slicer_host import events

    xray = user.load()
    events.select_node(user.ui.xraySelector, xray)
    user.wait_until(lambda: "dark" in user.ui.brightnessLabel.text, "the first frame is looked at")
    slicer.util.updateVolumeFromArray(xray, -np.log(user.pelvis.pixels() / 1000)[None])
    user.wait_until(lambda: "bright" in user.ui.brightnessLabel.text, "the second frame is looked at")


def test_a_color_image_is_an_xray_too(user: PanelUser) -> None:
    from registration_scene import add_xray
    from slicer_host import events

    color = add_xray(np.repeat(user.pelvis.pixels()[..., None], 3, axis=2), "color", "vtkMRMLVectorVolumeNode")
    events.select_node(user.ui.xraySelector, color)
    user.wait_until(lambda: "dark" in user.ui.brightnessLabel.text, "it is looked at")
    assert "Enter the geometry of color" in user.status


def test_what_was_found_stays_in_view_when_the_user_overrules_it(user: PanelUser) -> None:
    from slicer_host import events

    events.select_node(user.ui.xraySelector, user.load())
    events.choose(user.ui.brightnessComboBox, "Bone is bright")
    user.wait_until(lambda: user.ui.brightnessLabel.text == "Found: bone is dark", "it is looked at")


def test_reloading_brings_new_code_and_a_panel_that_works(user: PanelUser, kept_code: None) -> None:
    import slicer

    user.choose(user.load(), user.load_ct())
    before = sys.modules["XRayRegistrationSlicer.panel"]
    user.widget.onReload()
    reloaded = slicer.modules.XRayRegistrationWidget
    assert reloaded is not user.widget
    assert sys.modules["XRayRegistrationSlicer.panel"] is not before
    assert reloaded.ui.xraySelector.currentNode().GetName() == "AP"
