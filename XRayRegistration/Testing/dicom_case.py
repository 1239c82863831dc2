"""DICOM files of the small patient as scanner and C-arm write them, and the checks of an independent program."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.dicom_series import series_files
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, XRayAngiographicImageStorage, generate_uid
from XRayRegistrationLib.view import View

NAME, NUMBER = "Müller-Øst^Jörg", "PN-4711"
PATIENT = {
    "SpecificCharacterSet": "ISO_IR 100",
    "PatientName": NAME,
    "PatientID": NUMBER,
    "PatientBirthDate": "19481103",
    "PatientSex": "M",
    "StudyDate": "20260102",
    "StudyTime": "101500",
    "StudyID": "S1",
    "AccessionNumber": "A-99",
    "ReferringPhysicianName": "Referrer^Rita",
}

# What dciodvfy warns of, each looked at.
EXPECTED_WARNINGS = (
    "Missing attribute or value that would be needed to build DICOMDIR",  # a patient that is not known has no number
    "is only permitted to be empty when actually unknown",  # on which side of the body the X-ray was taken is not known
    "Unrecognized tag - assuming explicit value representation OK",  # the camera's private attributes
)


def _save(path: Path, sop_class: str, pixels: np.ndarray, attributes: dict[str, Any]) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.PixelData = pixels.tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)


def write_ct_series(folder: Path, ct: CTVolume, **attributes: Any) -> None:
    """Write a CT as a series of slices; attributes by keyword come on top of the patient's."""
    folder.mkdir()
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ct.ijk_to_ras
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for k, hu in enumerate(ct.hu):
        geometry = {
            "StudyInstanceUID": study,
            "SeriesInstanceUID": series,
            "FrameOfReferenceUID": frame,
            "Modality": "CT",
            "PixelSpacing": [float(ct.spacing[1]), float(ct.spacing[0])],
            "ImageOrientationPatient": [f"{v:.12f}" for v in (matrix[:3, :2] / ct.spacing[:2]).T.ravel()],
            "ImagePositionPatient": [f"{v:.8f}" for v in (matrix @ (0, 0, k, 1))[:3]],
            "PixelRepresentation": 1,
            "RescaleIntercept": 0,
            "RescaleSlope": 1,
        }
        _save(folder / f"{(7 * k) % 997:03d}.dcm", CTImageStorage, hu.astype("<i2"), {**PATIENT, **geometry, **attributes})


def write_dicom_xray(path: Path, view: View, **attributes: Any) -> None:
    """Write an X-ray as an angiographic image whose header tells the camera; the principal point must be its middle."""
    camera = view.camera
    geometry = {
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "Modality": "XA",
        "PixelIntensityRelationship": "LIN",
        "PixelRepresentation": 0,
        "DistanceSourceToDetector": camera.source_to_detector_distance,
        "ImagerPixelSpacing": [camera.pixel_spacing[1], camera.pixel_spacing[0]],
    }
    _save(path, XRayAngiographicImageStorage, np.rint(view.xray.pixels).astype("<u2"), {**PATIENT, **geometry, **attributes})


def headers(folder: Path) -> list[Dataset]:
    """Of a CT's slices in their order."""
    return [pydicom.dcmread(file) for file in series_files(folder, None)]


def checked(path: Path) -> list[str]:
    """What dciodvfy of dicom3tools says of a DICOM file but for the expected warnings; its errors and other warnings, line by line."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy, which checks DICOM objects, is not installed: on Debian and Ubuntu it is in dicom3tools")
    ran = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace")
    lines = [line for line in (ran.stdout + ran.stderr).splitlines() if "Error" in line or "Warning" in line]
    return [line for line in lines if not any(expected in line for expected in EXPECTED_WARNINGS)]


def contents_of(folder: Path) -> dict[str, bytes]:
    """Bytes of a folder's files, and of what is packed into those that are bundles, by their names."""
    contents = {file.name: file.read_bytes() for file in folder.iterdir()}
    for file in folder.iterdir():
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as bundle:
                contents |= {name: bundle.read(name) for name in bundle.namelist()}
    return contents


def naming_the_patient(contents: dict[str, bytes]) -> list[str]:
    """Which of them hold the patient's name or a number of his."""
    secrets = [text.encode(code) for text in (*NAME.split("^"), NUMBER, "19481103", "A-99") for code in ("utf-8", "latin-1")]
    return [name for name, content in contents.items() if any(secret in content for secret in secrets)]
