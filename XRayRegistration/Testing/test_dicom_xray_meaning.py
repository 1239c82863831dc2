"""What the values of DICOM X-rays mean: look-up tables, LIN and LOG, what is shown white, in classic and enhanced files."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import write_dicom
from DRRSimulatorLib.errors import InputError
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from scipy import ndimage
from XRayRegistrationLib.dicom_xray import read_dicom
from XRayRegistrationLib.xray import XRay, normalised, read_xray

ROWS, COLUMNS = 64, 80
EVERYWHERE = np.ones((ROWS, COLUMNS), dtype=np.bool_)
TOP = 4095


def attenuation() -> np.ndarray:
    """A smooth picture of line integrals from 0 to 3."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(ROWS, COLUMNS)), 5)
    return 3 * (noise - noise.min()) / np.ptp(noise)


def table(values: np.ndarray, bits: int = 16) -> Sequence:
    """A look-up table of all stored values from 0 on."""
    item = Dataset()
    item.LUTDescriptor = [len(values), 0, bits]
    item["LUTDescriptor"].VR = "US"
    item.ModalityLUTType = "US"
    item.add_new("LUTData", "OW", values.astype("<u2").tobytes())
    return Sequence([item])


def of_detector(relationship: str, rising: bool) -> np.ndarray:
    """What a detector stores of `attenuation`, with 12 bits: a share of the intensity, or of its logarithm."""
    intensity, logarithm = np.exp(-attenuation()), 1 - attenuation() / 3
    share = intensity if relationship == "LIN" else logarithm
    return np.rint(TOP * (share if rising else 1 - share)).astype(np.uint16)


def truth() -> np.ndarray:
    return normalised(XRay(attenuation().astype(np.float32), EVERYWHERE, "attenuation"))


@pytest.mark.parametrize(("relationship", "rising"), product(["LIN", "LOG"], [True, False]))
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("slope", [1.0, 0.5, -1.0])
def test_every_relation_to_the_intensity_gives_the_same_attenuation(
    tmp_path: Path, relationship: str, rising: bool, photometric: str, slope: float
) -> None:
    stored = of_detector(relationship, rising)
    path = write_dicom(
        tmp_path / "a.dcm",
        stored,
        Modality="DX",
        PresentationIntentType="FOR PROCESSING",
        PhotometricInterpretation=photometric,
        PixelIntensityRelationship=relationship,
        PixelIntensityRelationshipSign=1 if rising else -1,
        RescaleSlope=slope,
        RescaleIntercept=TOP if slope < 0 else 0,
    )
    dicom = read_dicom(path)
    assert dicom.polarity == ("intensity" if relationship == "LIN" else "attenuation")
    image = normalised(XRay(dicom.pixels.astype(np.float32), EVERYWHERE, dicom.polarity))
    assert abs(image - truth()).max() < 0.01


@pytest.mark.parametrize("modality", ["XA", "RF"])
@pytest.mark.parametrize("relationship", ["LIN", "LOG"])
def test_angiography_rises_with_the_intensity(tmp_path: Path, modality: str, relationship: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", of_detector(relationship, True), Modality=modality, PixelIntensityRelationship=relationship)
    dicom = read_dicom(path)
    assert dicom.polarity == ("intensity" if relationship == "LIN" else "attenuation")
    image = normalised(XRay(dicom.pixels.astype(np.float32), EVERYWHERE, dicom.polarity))
    assert abs(image - truth()).max() < 0.01


def test_the_modality_table_of_angiography_leads_from_the_logarithm_to_the_intensity(tmp_path: Path) -> None:
    stored = of_detector("LOG", True)
    to_intensity = np.rint(65535 * np.exp(3 * (np.arange(TOP + 1) / TOP - 1)))
    path = write_dicom(tmp_path / "a.dcm", stored, PixelIntensityRelationship="LOG", ModalityLUTSequence=table(to_intensity))
    dicom = read_dicom(path)
    assert dicom.polarity == "intensity" and np.array_equal(dicom.pixels, to_intensity[stored])
    assert abs(normalised(XRay(dicom.pixels.astype(np.float32), EVERYWHERE, "intensity")) - truth()).max() < 0.01


@pytest.mark.parametrize(("bits", "signed"), product((8, 10, 12, 14, 16), (False, True)))
def test_a_radiograph_and_its_inverse_in_monochrome1_are_one_picture(tmp_path: Path, bits: int, signed: bool) -> None:
    lowest = -(2 ** (bits - 1)) if signed else 0
    kind, allocated = "i" if signed else "u", 8 if bits == 8 else 16
    stored = np.rint((2**bits - 1) * attenuation() / 3).astype(np.int64) + lowest
    inverse = 2 * lowest + 2**bits - 1 - stored
    attributes = {"BitsAllocated": allocated, "BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(signed), "Modality": "CR"}
    read = [
        read_dicom(
            write_dicom(tmp_path / f"{name}.dcm", values.astype(f"{kind}{allocated // 8}"), PhotometricInterpretation=name, **attributes)
        )
        for name, values in (("MONOCHROME2", stored), ("MONOCHROME1", inverse))
    ]
    assert np.array_equal(read[0].pixels, read[1].pixels)
    assert read[0].polarity == read[1].polarity == "attenuation"
    if not signed:  # GDCM does not invert all signed values
        shown = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "MONOCHROME1.dcm"), imageIO="GDCMImageIO"))[0]
        assert np.array_equal(read[1].pixels, shown)


@pytest.mark.parametrize("voi", ["none", "window", "sigmoid", "rising table", "falling table"])
def test_voi_is_for_the_eye_and_changes_no_values_but_tells_what_is_white(tmp_path: Path, voi: str) -> None:
    stored = of_detector("LOG", False)
    attributes: dict[str, Any] = {
        "none": {},
        "window": {"WindowCenter": 1000, "WindowWidth": 500},
        "sigmoid": {"WindowCenter": 1000, "WindowWidth": 500, "VOILUTFunction": "SIGMOID"},
        "rising table": {"VOILUTSequence": table(np.arange(TOP + 1) ** 2 // TOP)},
        "falling table": {"VOILUTSequence": table(TOP - np.arange(TOP + 1)), "PhotometricInterpretation": "MONOCHROME1"},
    }[voi]
    dicom = read_dicom(write_dicom(tmp_path / "a.dcm", stored, Modality="CR", **attributes))
    assert np.array_equal(dicom.pixels, stored) and dicom.polarity == "attenuation"


@pytest.mark.parametrize("relationship", ["LIN", "LOG"])
def test_what_is_processed_for_presentation_is_taken_as_it_is_shown(tmp_path: Path, relationship: str) -> None:
    """Such files often say LIN of what has become a picture for the eye."""
    stored = of_detector("LOG", True)
    attributes = {
        "PixelIntensityRelationship": relationship,
        "PixelIntensityRelationshipSign": 1,
        "PhotometricInterpretation": "MONOCHROME1",
    }
    path = write_dicom(tmp_path / "a.dcm", stored, Modality="DX", PresentationIntentType="FOR PRESENTATION", **attributes)
    dicom = read_dicom(path)
    assert dicom.polarity == "attenuation" and np.array_equal(dicom.pixels, float(TOP) - stored)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("modality", ["XA", "RF", "OT", "SC"])
def test_where_the_header_tells_nothing_the_picture_is_taken_as_it_is_shown(tmp_path: Path, modality: str, photometric: str) -> None:
    stored = of_detector("LIN", True)
    dicom = read_dicom(write_dicom(tmp_path / "a.dcm", stored, Modality=modality, PhotometricInterpretation=photometric))
    shown = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.dcm"), imageIO="GDCMImageIO"))[0]
    assert dicom.polarity is None and np.array_equal(dicom.pixels, shown)


def enhanced(**of_frames: list[Any]) -> dict[str, Any]:
    """Functional groups of an enhanced XA file of two frames: the sequences' single items, by keyword."""
    shared, frames = Dataset(), [Dataset(), Dataset()]
    for keyword, items in of_frames.items():
        for group, item in zip([shared] if len(items) == 1 else frames, items, strict=True):
            setattr(group, keyword, Sequence([item]))
    return {"SharedFunctionalGroupsSequence": Sequence([shared]), "PerFrameFunctionalGroupsSequence": Sequence(frames)}


def item(**attributes: Any) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def test_enhanced_files_tell_geometry_and_meaning_of_each_frame(tmp_path: Path) -> None:
    stored = np.stack([of_detector("LIN", True), of_detector("LOG", True)])
    groups = enhanced(
        XRayGeometrySequence=[item(DistanceSourceToDetector=1000), item(DistanceSourceToDetector=1200)],
        PositionerPositionSequence=[
            item(PositionerPrimaryAngle=30, PositionerSecondaryAngle=5),
            item(PositionerPrimaryAngle=-60, PositionerSecondaryAngle=0),
        ],
        FramePixelDataPropertiesSequence=[
            item(ImagerPixelSpacing=[0.2, 0.3], PixelIntensityRelationship="LIN"),
            item(ImagerPixelSpacing=[0.2, 0.3], PixelIntensityRelationship="LOG"),
        ],
        PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=0, RescaleType="US", Rows=9)],
    )
    path = write_dicom(tmp_path / "a.dcm", stored, **groups)
    first, second = read_dicom(path, 0), read_dicom(path, 1)
    assert first.camera is not None and second.camera is not None
    assert first.camera.source_to_detector_distance == 1000 and second.camera.source_to_detector_distance == 1200
    assert first.camera.pixel_spacing == (0.3, 0.2) and first.camera.image_size == (ROWS, COLUMNS)
    assert first.positioner_angles == (30, 5) and second.positioner_angles == (-60, 0)
    assert np.array_equal(first.pixels, 2.0 * stored[0]) and first.polarity == "intensity"
    assert np.array_equal(second.pixels, 2.0 * (TOP - stored[1].astype(float))) and second.polarity == "attenuation"


def test_a_run_says_that_its_first_frame_was_used_and_how_to_choose(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.stack([of_detector("LIN", True)] * 3))
    (question,) = read_xray(path).questions
    assert "3 frames" in question and "--frame" in question
    assert read_xray(path, frame=2).questions == ()


def test_functional_groups_that_are_no_sequences_are_refused_in_a_sentence(tmp_path: Path) -> None:
    groups = enhanced(XRayGeometrySequence=[item(DistanceSourceToDetector=1000)])
    path = write_dicom(tmp_path / "a.dcm", np.stack([of_detector("LIN", True)] * 2), **groups)
    content = path.read_bytes()
    assert content.count(b"\x00\x52\x29\x92SQ") == 1
    path.write_bytes(content.replace(b"\x00\x52\x29\x92SQ", b"\x00\x52\x29\x92OB"))
    with pytest.raises(InputError, match="where it describes its frames"):
        read_dicom(path, 0)
