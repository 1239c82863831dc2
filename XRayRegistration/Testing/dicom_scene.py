"""Nodes as Slicer's DICOM module leaves them in a scene, and a stand-in for its database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydicom
from dicom_case import write_ct_series, write_dicom_xray
from DRRSimulatorLib.ct import read_ct
from DRRSimulatorLib.dicom_series import series_files
from pelvis_case import CAMERA, PelvisCase
from registration_scene import add_ct, add_xray
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay, read_xray

INSTANCES = "DICOM.instanceUIDs"


class Database:
    """Slicer's DICOM database, as far as it is asked here."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = {str(pydicom.dcmread(file, specific_tags=["SOPInstanceUID"]).SOPInstanceUID): file for file in files}

    def fileForInstance(self, uid: str) -> str:  # noqa: N802  as in Slicer
        """Empty where there is none."""
        return str(self._files.get(uid, ""))

    def instanceValue(self, uid: str, tag: str) -> str:  # noqa: N802  as in Slicer
        """Texts as the database gives them: several values are divided by backslashes, and what is absent is empty."""
        group, element = (int(part, 16) for part in tag.split(","))
        value = pydicom.dcmread(self._files[uid], stop_before_pixels=True).get((group, element))
        if value is None or value.value is None:
            return ""
        return "\\".join(map(str, value.value)) if value.VM > 1 else str(value.value)

    def instance(self, file: Path) -> str:
        """UID of a file."""
        return next(uid for uid, known in self._files.items() if known == file)


def write_inputs(folder: Path, pelvis: PelvisCase) -> Path:
    """Write the pelvis' series, ct, an X-ray of the patient from another study, ap.dcm, and one of another patient, other.dcm."""
    write_ct_series(folder / "ct", pelvis.patient.ct)
    view = View(XRay.from_pixels(pelvis.pixels(), "intensity"), CAMERA)
    write_dicom_xray(folder / "ap.dcm", view, StudyID="S2", StudyDate="20260103")
    write_dicom_xray(folder / "other.dcm", view, PatientID="another")
    return folder


def load_ct(database: Database, folder: Path) -> Any:
    """The CT of a folder of slices."""
    node = add_ct(read_ct(folder), "2: Thorax")
    node.SetAttribute(INSTANCES, " ".join(database.instance(file) for file in series_files(folder, None)))
    return node


def load_xray(database: Database, file: Path) -> Any:
    """An X-ray of a single image."""
    node = add_xray(read_xray(file).pixels, "5: AP")
    node.SetAttribute(INSTANCES, database.instance(file))
    return node
