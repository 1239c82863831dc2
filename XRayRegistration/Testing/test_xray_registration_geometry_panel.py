"""The geometry of X-rays in the panel: from the DICOM header, from files, by hand, and with numbers that no X-ray system has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from DRRSimulatorLib.camera import Camera, FloatArray, invert_pose, save_view
from panel_user import PanelUser
from pelvis_case import CAMERA


def stored(user: PanelUser, xray: Any) -> Camera:
    camera: Camera = user.widget.logic.geometry(xray)[0]
    return camera


def open_entry(user: PanelUser) -> None:
    if user.ui.geometryGroupBox.collapsed:
        user.ui.geometryGroupBox.collapsed = False
        user.wait(0)


def enter(user: PanelUser, box: Any, value: str) -> None:
    from slicer_host import events

    open_entry(user)
    events.type_text(box, value)
    user.wait(0.05)


@pytest.fixture
def xray(user: PanelUser) -> Any:
    """An X-ray chosen in the panel whose geometry is not known."""
    from slicer_host import events

    node = user.load(geometry=False)
    events.select_node(user.ui.xraySelector, node)
    return node


def test_a_geometry_is_entered_by_hand(user: PanelUser, xray: Any) -> None:
    assert user.ui.geometryLabel.text == "Not known yet."
    enter(user, user.ui.distanceSpinBox, "1020")
    assert user.widget.logic.geometry(xray) is None
    enter(user, user.ui.columnSpacingSpinBox, "1.8")
    assert stored(user, xray) == CAMERA  # square pixels, and the beam's middle in the image's, are what is likely
    assert user.ui.geometryLabel.text.startswith("1020 mm from source to detector; 288 x 288 mm")
    assert not user.ui.geometryQuestionsLabel.visible
    enter(user, user.ui.rowSpacingSpinBox, "1.9")
    enter(user, user.ui.principalRowSpinBox, "90")
    assert stored(user, xray) == Camera(1020.0, (1.8, 1.9), (160, 160), (79.5, 90.0))


def test_silly_numbers_are_asked_about_but_not_forbidden(user: PanelUser, xray: Any) -> None:
    enter(user, user.ui.distanceSpinBox, "102")
    enter(user, user.ui.columnSpacingSpinBox, "18")
    enter(user, user.ui.principalColumnSpinBox, "-5000")
    questions = user.ui.geometryQuestionsLabel
    assert questions.visible
    assert "The source-to-detector distance is 102 mm" in questions.text
    assert "2880 x 2880 mm" in questions.text
    assert "outside the image" in questions.text
    assert stored(user, xray).source_to_detector_distance == 102


def test_a_distance_of_nothing_is_refused_and_the_old_one_stays(user: PanelUser, xray: Any) -> None:
    user.widget.logic.setGeometry(xray, CAMERA)
    enter(user, user.ui.distanceSpinBox, "0")
    assert "must be positive millimetres" in user.ui.geometryQuestionsLabel.text
    assert user.ui.distanceSpinBox.value == 1020
    assert stored(user, xray) == CAMERA
    enter(user, user.ui.distanceSpinBox, "1000")
    assert not user.ui.geometryQuestionsLabel.visible


def test_digits_that_a_box_does_not_show_survive_an_edit_of_another(user: PanelUser, xray: Any) -> None:
    fine = Camera(1020.123456, (1.23456789, 1.2), (160, 160), (79.123456, 80.0))
    user.widget.logic.setGeometry(xray, fine)
    enter(user, user.ui.principalRowSpinBox, "81.5")
    assert stored(user, xray) == Camera(1020.123456, (1.23456789, 1.2), (160, 160), (79.123456, 81.5))


def test_a_geometry_is_read_from_a_file(user: PanelUser, xray: Any, tmp_path: Path, answer_dialog: Any) -> None:
    save_view(tmp_path / "camera.json", CAMERA)
    answer_dialog("Geometry of the X-ray", tmp_path / "camera.json")
    user.click(user.ui.geometryFileButton)
    user.wait(0.05)
    assert stored(user, xray) == CAMERA
    assert user.ui.distanceSpinBox.value == 1020


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nothing of the kind", "does not begin with a section"),
        ("image size\n300,300\ncamera matrix\n900,0,80\n0,900,80\n0,0,1\n", "300 rows of 300 pixels"),
    ],
)
def test_files_of_no_use_are_told_and_change_nothing(
    user: PanelUser, xray: Any, tmp_path: Path, answer_dialog: Any, text: str, told: str
) -> None:
    (tmp_path / "calibration.txt").write_text(text)
    answer_dialog("Geometry of the X-ray", tmp_path / "calibration.txt")
    user.click(user.ui.geometryFileButton)
    user.wait(0.05)
    assert told in user.ui.geometryQuestionsLabel.text
    assert user.widget.logic.geometry(xray) is None


def test_the_dicom_header_is_taken_and_can_be_taken_again(user: PanelUser, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer
    from slicer_host import events

    header = pydicom.Dataset()
    header.Rows = header.Columns = 160
    header.DistanceSourceToDetector, header.ImagerPixelSpacing = "1020", ["1.8", "1.8"]

    class Database:
        def instanceValue(self, instance: str, tag: str) -> str:  # noqa: N802
            value = header[tag.replace(",", "")].value
            return "\\".join(map(str, value)) if isinstance(value, pydicom.multival.MultiValue) else str(value)

    monkeypatch.setattr(slicer, "dicomDatabase", Database(), raising=False)
    node = user.load(geometry=False)
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    events.select_node(user.ui.xraySelector, node)
    assert user.ui.distanceSpinBox.value == 1020
    enter(user, user.ui.distanceSpinBox, "900")
    assert stored(user, node).source_to_detector_distance == 900
    user.click(user.ui.geometryDICOMButton)
    user.wait(0.05)
    assert stored(user, node) == CAMERA


def test_without_a_dicom_header_there_is_nothing_to_take_from_it(user: PanelUser, xray: Any) -> None:
    assert not user.ui.geometryDICOMButton.visible


def calibration(path: Path, rig_to_camera: FloatArray) -> Path:
    """Text as XMALab writes it."""
    rows = ["\n".join(",".join(map(repr, row)) for row in np.asarray(matrix).tolist()) for matrix in (CAMERA.matrix, rig_to_camera[:3, :3])]
    translation = "\n".join(map(repr, rig_to_camera[:3, 3].tolist()))
    path.write_text(f"image size\n160,160\ncamera matrix\n{rows[0]}\nrotation\n{rows[1]}\ntranslation\n{translation}\n")
    return path


def test_two_calibrated_xrays_are_registered_together(user: PanelUser, tmp_path: Path, answer_dialog: Any) -> None:
    from slicer_host import events

    pelvis = user.pelvis
    first, second = user.load(0, "AP", geometry=False), user.load(1, "lateral", geometry=False)
    rig_to_cameras = np.eye(4), pelvis.poses[1] @ invert_pose(pelvis.poses[0])
    user.choose(first, user.load_ct())
    assert not user.ui.geometryOfComboBox.visible
    events.select_node(user.ui.secondXRaySelector, first)
    assert "Choose another image as the second X-ray" in user.status
    events.select_node(user.ui.secondXRaySelector, second)
    for name, rig_to_camera in zip(("AP", "lateral"), rig_to_cameras, strict=True):
        events.choose(user.ui.geometryOfComboBox, name)
        assert f"Enter the geometry of {name}" in user.status
        answer_dialog("Geometry of the X-ray", calibration(tmp_path / f"{name}.txt", rig_to_camera))
        user.click(user.ui.geometryFileButton)
    result = user.register()
    assert user.status == "Registered."
    assert [node.GetName() for node in result.xrayNodes] == ["AP", "lateral"]
    assert max(pelvis.mtre(carm.pose(), view) for view, carm in enumerate(result.carms)) < 1


def test_two_xrays_that_are_not_related_are_not_registered_together(user: PanelUser) -> None:
    from slicer_host import events

    user.choose(user.load(0, "AP"), user.load_ct())
    events.select_node(user.ui.secondXRaySelector, user.load(1, "lateral"))
    assert "Read a calibration file for AP: two X-rays need to know where they are to each other." in user.status
    assert not user.ui.registerButton.enabled
