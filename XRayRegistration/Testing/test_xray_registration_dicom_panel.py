"""The check box for DICOM in the panel: its files and no others carry the patient, and who cannot have them is told."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pydicom
import pytest
from dicom_case import NAME, contents_of, naming_the_patient
from dicom_scene import INSTANCES, Database, load_ct, load_xray
from panel_user import PanelUser


@pytest.fixture
def registered(user: PanelUser, database: Database, dicom_inputs: Path, tmp_path: Path) -> PanelUser:
    """The user after registering an X-ray and a CT from the database, with a folder chosen for the export."""
    user.parameters.refine = False
    user.choose(load_xray(database, dicom_inputs / "ap.dcm"), load_ct(database, dicom_inputs / "ct"))
    user.register()
    user.ui.exportCollapsibleButton.collapsed = False
    user.ui.exportDirectoryButton.directory = str(tmp_path)
    return user


def test_the_files_are_written_into_a_folder_of_their_own_and_they_alone_name_the_patient(registered: PanelUser, tmp_path: Path) -> None:
    ui = registered.ui
    assert ui.dicomCheckBox.enabled and not ui.dicomCheckBox.checked
    assert "carry the patient's name" in ui.dicomCheckBox.toolTip
    registered.click(ui.dicomCheckBox)
    registered.click(ui.exportButton)
    registered.wait_until(lambda: ui.exportLabel.text.startswith("Written"), "the files are written")
    made = {path.name: pydicom.dcmread(path) for path in (tmp_path / "dicom").iterdir()}
    assert made.keys() == {"registration_1.dcm", "overlay_1.dcm", "bones.dcm"}
    assert {str(dataset.PatientName) for dataset in made.values()} == {NAME}
    assert all(f"dicom/{name}" in ui.exportLabel.text for name in made) and "result.json" in ui.exportLabel.text
    (tmp_path / "dicom").rename(tmp_path.parent / f"{tmp_path.name}_dicom")
    contents = contents_of(tmp_path)
    assert "result.json" in contents and naming_the_patient(contents) == []


def test_without_it_no_dicom_is_written(registered: PanelUser, tmp_path: Path) -> None:
    registered.click(registered.ui.exportButton)
    registered.wait_until(lambda: registered.ui.exportLabel.text.startswith("Written"), "the files are written")
    assert not (tmp_path / "dicom").exists() and (tmp_path / "result.json").is_file()


def test_different_patients_are_refused_before_anything_is_written(
    registered: PanelUser, database: Database, dicom_inputs: Path, tmp_path: Path
) -> None:
    registered.parameters.xray.SetAttribute(INSTANCES, database.instance(dicom_inputs / "other.dcm"))
    registered.click(registered.ui.dicomCheckBox)
    registered.click(registered.ui.exportButton)
    assert "of different patients" in registered.ui.exportLabel.text
    assert registered.ui.exportButton.enabled and list(tmp_path.iterdir()) == []


def test_an_older_slicer_cannot_tick_it_and_says_why(load_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.22.0" if name == "highdicom" else version(name))
    box = load_module("XRayRegistration").ui.dicomCheckBox
    assert not box.enabled and box.toolTip == "DICOM export needs 3D Slicer 5.12 or newer."
