"""The panel without a model: a search from nothing, and a refinement from where the user has put the camera."""

from __future__ import annotations

import numpy as np
import pytest
from DRRSimulatorLib.camera import ViewRange, move_pose, transform_points
from panel_user import PanelUser
from pelvis_case import CAMERA

SEARCH, POSITION = "None: search for the pose", "None: start from the present position"


def choose_start(user: PanelUser, text: str) -> None:
    from slicer_host import events

    events.choose(user.ui.modelSourceComboBox, text)
    user.wait(0.05)


def test_a_search_finds_the_pose_without_a_model(user: PanelUser, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a range of views that is searched fast."""
    from XRayRegistrationLib import search

    monkeypatch.setattr(search, "search_range", lambda views: ViewRange(25.0, 15.0, 10.0, source_to_bone_mm=(650.0, 800.0)))
    user.choose(user.load(), user.load_ct())
    choose_start(user, SEARCH)
    assert "compared with the X-ray" in user.ui.modelLabel.text and not user.ui.modelPathLineEdit.visible
    result = user.register()
    assert user.status == "Registered."
    assert user.pelvis.mtre(result.carms[0].pose()) < 1
    assert result.verdict.level == "check" and result.numbers["model"] is None
    assert result.pointCloud is None
    assert "Recognized points" not in str(result.numbers)


def test_a_position_is_needed_before_it_can_be_started_from(user: PanelUser) -> None:
    user.choose(user.load(), user.load_ct())
    choose_start(user, POSITION)
    assert "has no camera in the scene yet" in user.status and not user.ui.registerButton.enabled


def test_the_camera_that_the_user_has_moved_is_where_it_starts(user: PanelUser) -> None:
    user.choose(user.load(), user.load_ct())
    carm = user.register().carms[0]
    pivot = transform_points(user.pelvis.poses[0], user.pelvis.patient.centre_ras[None])[0]
    placed = move_pose(user.pelvis.poses[0], pivot, (0.05, -0.05, 0.04, 5.0, -5.0, 20.0))
    carm.setPose(placed)
    choose_start(user, POSITION)
    assert "where the camera of the X-ray stands now" in user.ui.modelLabel.text
    result = user.register()
    np.testing.assert_allclose(result.numbers["before_refinement"]["ras_to_rig"], placed, atol=1e-6)
    assert user.pelvis.mtre(result.carms[0].pose()) < 1
    assert result.pointCloud is None  # that of the model's registration went with it


def test_an_xray_under_a_c_arm_starts_where_that_stands(user: PanelUser) -> None:
    from DRRSimulatorSlicer.carm import createCArm

    xray, ct = user.load(), user.load_ct()
    carm = createCArm("by hand", ct, CAMERA)
    pivot = transform_points(user.pelvis.poses[0], user.pelvis.patient.centre_ras[None])[0]
    carm.setPose(move_pose(user.pelvis.poses[0], pivot, (0.04, 0.03, -0.04, -4.0, 3.0, -15.0)))
    xray.SetAndObserveTransformNodeID(carm.transformNode.GetID())
    user.choose(xray, ct)
    choose_start(user, POSITION)
    assert user.pelvis.mtre(user.register().carms[0].pose()) < 1


def test_without_model_and_refinement_there_is_no_way_to_a_pose(user: PanelUser) -> None:
    user.choose(user.load(), user.load_ct())
    choose_start(user, SEARCH)
    user.parameters.refine = False
    assert "found by refinement alone" in user.status and not user.ui.registerButton.enabled
