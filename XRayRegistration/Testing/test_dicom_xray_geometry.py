"""Geometry of DICOM X-rays: asked for where the header lacks it, with what it does tell, and questioned where it cannot be right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import write_dicom
from DRRSimulatorLib.errors import InputError
from XRayRegistrationLib.plausibility import questions
from XRayRegistrationLib.view_files import read_views
from XRayRegistrationLib.xray import read_xray

PIXELS = np.random.default_rng(0).integers(0, 4096, (512, 512)).astype(np.uint16)
WHOLE = {"DistanceSourceToDetector": 1000, "ImagerPixelSpacing": [0.4, 0.4]}


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        read_views([path], [])
    message = str(refused.value)
    assert "--sdd and --pixel-spacing" in message and "--camera" in message
    return message


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({}, ["lacks the source-to-detector distance", "lacks the pixel spacing at the detector"]),
        ({"DistanceSourceToDetector": 1100}, ["distance is 1100 mm", "lacks the pixel spacing"]),
        ({"DistanceSourceToDetector": 0, "ImagerPixelSpacing": [0.4, 0.4]}, ["distance is 0 mm, which stands for an unknown", "0.4 mm"]),
        ({"DistanceSourceToDetector": -1, "ImagerPixelSpacing": [0.4, 0.4]}, ["distance is -1 mm, which stands for an unknown"]),
        ({"ImagerPixelSpacing": [0.4, 0.5]}, ["lacks the source", "0.4 (rows) x 0.5 (columns) mm"]),
        ({"DistanceSourceToDetector": 1000, "ImagerPixelSpacing": [0, 0]}, ["lacks the pixel spacing"]),
        ({"DistanceSourceToDetector": 1000, "PixelSpacing": [0.3, 0.3]}, ["PixelSpacing is 0.3 mm", "find out which"]),
        (
            {"DistanceSourceToDetector": 1000, "PixelSpacing": [0.3, 0.3], "PixelSpacingCalibrationType": "FIDUCIAL"},
            ["PixelSpacing is 0.3 mm, calibrated to the patient"],
        ),
        (
            {"DistanceSourceToDetector": 1000, "PixelSpacing": [0.3, 0.3], "EstimatedRadiographicMagnificationFactor": 1.4},
            ["magnification of 1.4", "0.42 mm at the detector"],
        ),
        ({"DistanceSourceToDetector": 1000, "IntensifierSize": 230}, ["IntensifierSize is 230 mm", "0.449 mm if the field is as wide"]),
        ({"DistanceSourceToDetector": 1000, "FieldOfViewDimensions": [200, 300]}, ["FieldOfViewDimensions is 300 mm", "0.586 mm"]),
    ],
)
def test_missing_geometry_is_asked_for_with_what_the_header_tells(tmp_path: Path, attributes: dict[str, Any], told: list[str]) -> None:
    message = refusal(write_dicom(tmp_path / "a.dcm", PIXELS, **attributes))
    for words in told:
        assert words in message


@pytest.mark.parametrize(
    ("attributes", "asked"),
    [
        ({"DistanceSourceToDetector": 100}, "100 mm, but X-ray systems .* and not in centimeters"),
        ({"DistanceSourceToDetector": 1}, "1 mm, but X-ray systems .* and not in meters"),
        ({"DistanceSourceToDetector": 10000}, "10000 mm|1e.04 mm"),
        ({"ImagerPixelSpacing": [0.04, 0.04]}, "20.48 x 20.48 mm .*at the patient it is smaller.* and not in centimeters"),
        ({"ImagerPixelSpacing": [400, 400]}, "mm on the detector, .* and not in micrometers"),
        ({"ImagerPixelSpacing": [1, 1]}, "exactly 1 mm. Is that measured"),
        ({"PixelSpacing": [0.56, 0.56]}, "0.4 mm at the detector but 0.56 mm at the patient, .* exchanged"),
        ({"DistanceSourceToPatient": 1200}, "1000 mm from the source, and the patient 1200 mm.* exchanged"),
        ({"DistanceSourceToPatient": 700, "EstimatedRadiographicMagnificationFactor": 1.2}, "magnify by 1.43, but the header says 1.2"),
    ],
)
def test_implausible_geometry_is_questioned_in_words(tmp_path: Path, attributes: dict[str, Any], asked: str) -> None:
    xray = read_xray(write_dicom(tmp_path / "a.dcm", PIXELS, **WHOLE | attributes))
    assert xray.camera is not None
    found = [question for question in (*xray.questions, *questions(xray.camera)) if re.search(asked, question)]
    assert len(found) == 1 and found[0].endswith("?")


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"PixelSpacing": [0.4, 0.4]},
        {"PixelSpacing": [0.28, 0.28], "DistanceSourceToPatient": 700, "EstimatedRadiographicMagnificationFactor": 1.43},
        {"DistanceSourceToPatient": 0},
        {"DistanceSourceToPatient": None, "PixelSpacing": None},
    ],
)
def test_usual_geometry_is_used_without_a_question(tmp_path: Path, attributes: dict[str, Any]) -> None:
    path = write_dicom(tmp_path / "a.dcm", PIXELS, **WHOLE | attributes)
    (view,), truth = read_views([path], [])
    assert view.xray.questions == () and questions(view.camera) == [] and truth is None
    assert view.camera.pixel_spacing == (0.4, 0.4) and view.camera.source_to_detector_distance == 1000


def test_geometry_given_by_hand_overrules_the_header(tmp_path: Path) -> None:
    (view,), _ = read_views([write_dicom(tmp_path / "a.dcm", PIXELS, **WHOLE)], [], geometry=(1200.0, 0.3))
    assert view.camera.pixel_spacing == (0.3, 0.3) and view.camera.source_to_detector_distance == 1200


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("IM-0001-0020.dcm", ["distance is 1000 mm", "IntensifierSize is 229 mm"]),
        ("IM-0001-0041.dcm", ["distance is 1000 mm", "IntensifierSize is 229 mm"]),
        ("RG2_UNC.dcm", ["lacks the source", "PixelSpacing is 0.2 mm", "find out which"]),
        ("RG3_UNC.dcm", ["lacks the source", "lacks the pixel spacing"]),
        ("XA1_UNC.dcm", ["lacks the source", "lacks the pixel spacing"]),
    ],
)
def test_real_files_without_geometry_are_refused_with_what_they_tell(shared_data: Path, name: str, told: list[str]) -> None:
    message = refusal(shared_data / "xray_import" / name)
    for words in told:
        assert words in message


def test_a_picture_file_without_geometry_is_asked_for_it(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(PIXELS), str(tmp_path / "screenshot.png"))
    assert refusal(tmp_path / "screenshot.png").endswith("in mm.")


@pytest.mark.parametrize("nonsense", [b"a_b-", b"1..3", b"nan ", b"1e99", b"\\\\\\\\", b"    ", b"\xff\xfe\xfd\xfc"])
def test_a_number_that_is_none_is_passed_over(tmp_path: Path, nonsense: bytes) -> None:
    path = write_dicom(tmp_path / "a.dcm", PIXELS, DistanceSourceToDetector="1357", IntensifierSize="1357", ImagerPixelSpacing=[0.4, 0.4])
    path.write_bytes(path.read_bytes().replace(b"1357", nonsense))
    if nonsense == b"1e99":
        assert any("X-ray systems have" in question for question in questions(read_xray(path).camera or pytest.fail("no camera")))
    else:
        assert "lacks the source-to-detector distance" in refusal(path)
