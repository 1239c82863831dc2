"""A registration as DICOM objects: what an independent program says of them, whom they belong to, and the command's --dicom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_case import NAME, NUMBER, checked, contents_of, headers, naming_the_patient, write_ct_series, write_dicom_xray
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, CArmView, move_pose, save_view
from DRRSimulatorLib.errors import InputError
from pydicom.dataset import Dataset
from small_patient import CENTRE_RAS, SmallPatient
from XRayRegistrationLib import cli
from XRayRegistrationLib.dicom_export import export_dicom, posed_xrays
from XRayRegistrationLib.dicom_registration import read_registration
from XRayRegistrationLib.dicom_study import DicomSources, XRaySource, read_sources
from XRayRegistrationLib.register import Registration
from XRayRegistrationLib.view import View

CAMERA = Camera.centred(1000.0, 2.0, (128, 120))
POSE = CArmView(15, 5, 3, (5, -5), 700).ras_to_camera(CENTRE_RAS)
SECOND_POSE = CArmView(-60, 0, 0, (0, 5), 720).ras_to_camera(CENTRE_RAS)
NOTHING = DicomSources((), (None,))


@pytest.fixture(scope="module")
def view(patient: SmallPatient) -> View:
    return patient.view(POSE, CAMERA, np.eye(4))


@pytest.fixture(scope="module")
def found(view: View) -> Registration:
    return Registration(POSE, (view,), POSE, "given")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, patient: SmallPatient, view: View) -> Path:
    """A folder with the CT's series, ct, and an X-ray of the patient from another study, whose file bears his name."""
    folder = tmp_path_factory.mktemp("inputs")
    write_ct_series(folder / "ct", patient.ct)
    write_dicom_xray(folder / "Doe_Jane.dcm", view, StudyID="S2", StudyDate="20260103")
    return folder


@pytest.fixture(scope="module")
def sources(inputs: Path) -> DicomSources:
    return read_sources(inputs / "ct", None, [inputs / "Doe_Jane.dcm"])


def export(folder: Path, found: Registration, patient: SmallPatient, sources: DicomSources) -> dict[str, Dataset]:
    files = export_dicom(folder, posed_xrays(found), patient.ct, patient.bones, patient.projector, sources)
    return {file.name: pydicom.dcmread(file) for file in files}


@pytest.fixture(scope="module")
def objects(
    tmp_path_factory: pytest.TempPathFactory, found: Registration, patient: SmallPatient, sources: DicomSources
) -> dict[str, Dataset]:
    return export(tmp_path_factory.mktemp("objects"), found, patient, sources)


def all_elements(dataset: Dataset) -> Iterator[pydicom.DataElement]:
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from all_elements(item)


@pytest.mark.parametrize("dicom", ["CT and X-ray", "CT", "X-ray", "neither"])
def test_dciodvfy_finds_no_error(tmp_path: Path, found: Registration, patient: SmallPatient, sources: DicomSources, dicom: str) -> None:
    given = replace(sources, ct=sources.ct if "CT" in dicom else (), xrays=sources.xrays if "X-ray" in dicom else (None,))
    files = export_dicom(tmp_path, posed_xrays(found), patient.ct, patient.bones, patient.projector, given)
    assert {file.name for file in files} == {"registration_1.dcm", "overlay_1.dcm", "bones.dcm"} == {p.name for p in tmp_path.iterdir()}
    for file in files:
        assert checked(file) == []


def test_dciodvfy_finds_errors_where_there_are(tmp_path: Path, objects: dict[str, Dataset]) -> None:
    for name, dataset in objects.items():
        broken = pydicom.dcmread(dataset.filename)
        del broken.StudyInstanceUID
        broken.save_as(tmp_path / name)
        assert any("Error" in line for line in checked(tmp_path / name))


def test_dciodvfy_finds_no_error_in_bones_registered_each_by_itself(
    tmp_path: Path, view: View, patient: SmallPatient, sources: DicomSources
) -> None:
    labels = patient.bones.labels.copy()
    labels[: len(labels) // 2] *= 3
    bones = BoneLabels(labels, patient.bones.ijk_to_ras, {1: "../up", 3: "lower"})
    moved = move_pose(POSE, POSE[:3, 3], (0.1, 0, 0, 1, 2, 3))
    of_bones = {"../up": Registration(POSE, (view,), POSE, "given"), "lower": Registration(moved, (view,), moved, "given")}
    files = export_dicom(tmp_path, posed_xrays(of_bones["../up"], of_bones), patient.ct, bones, patient.projector, sources)
    names = {"bones.dcm", "overlay_1.dcm", "registration_1_bone_1.dcm", "registration_1_bone_3.dcm"}
    assert {file.name for file in files} == names == {path.name for path in tmp_path.iterdir()}
    for file in files:
        assert checked(file) == []
    for label, pose in ((1, POSE), (3, moved)):
        read = read_registration(tmp_path / f"registration_1_bone_{label}.dcm")
        np.testing.assert_allclose(read.ras_to_camera, pose, atol=1e-6)


def test_every_xray_has_a_registration_and_an_overlay(tmp_path: Path, patient: SmallPatient, view: View) -> None:
    views = (view, patient.view(SECOND_POSE, CAMERA.resized((64, 60)), SECOND_POSE @ np.linalg.inv(POSE)))
    found = Registration(POSE, views, POSE, "given")
    objects = export(tmp_path, found, patient, DicomSources((), (None, None)))
    assert objects.keys() == {"bones.dcm", "registration_1.dcm", "overlay_1.dcm", "registration_2.dcm", "overlay_2.dcm"}
    for number, pose in ((1, POSE), (2, SECOND_POSE)):
        read = read_registration(tmp_path / f"registration_{number}.dcm")
        np.testing.assert_allclose(read.ras_to_camera, pose, atol=1e-6)
        assert read.camera == views[number - 1].camera
    assert len({made.StudyInstanceUID for made in objects.values()}) == 1
    assert len({objects[f"registration_{number}.dcm"].SeriesInstanceUID for number in (1, 2)}) == 1


def test_results_belong_to_patient_study_and_space_of_their_sources(objects: dict[str, Dataset], inputs: Path) -> None:
    ct, xray = headers(inputs / "ct")[0], pydicom.dcmread(inputs / "Doe_Jane.dcm")
    for name, source in {"registration_1.dcm": ct, "bones.dcm": ct, "overlay_1.dcm": xray}.items():
        made = objects[name]
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "StudyDate"):
            assert made[keyword].value == source[keyword].value
        assert str(made.PatientName) == NAME and made.SpecificCharacterSet == "ISO_IR 192"
    assert {objects[name].FrameOfReferenceUID for name in ("registration_1.dcm", "bones.dcm")} == {ct.FrameOfReferenceUID}


def test_the_registration_refers_to_the_slices_and_the_xray(objects: dict[str, Dataset], inputs: Path) -> None:
    slices, xray = headers(inputs / "ct"), pydicom.dcmread(inputs / "Doe_Jane.dcm")
    made = objects["registration_1.dcm"]
    of_ct, of_xray = made.RegistrationSequence
    instances = [header.SOPInstanceUID for header in slices]
    assert [item.ReferencedSOPInstanceUID for item in of_ct.ReferencedImageSequence] == instances
    assert [item.ReferencedSOPInstanceUID for item in of_xray.ReferencedImageSequence] == [xray.SOPInstanceUID]
    assert of_xray.FrameOfReferenceUID not in (made.FrameOfReferenceUID, "")
    assert [series.SeriesInstanceUID for series in made.ReferencedSeriesSequence] == [slices[0].SeriesInstanceUID]
    (other,) = made.StudiesContainingOtherReferencedInstancesSequence
    assert other.StudyInstanceUID == xray.StudyInstanceUID
    assert other.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == xray.SOPInstanceUID
    assert objects["overlay_1.dcm"].SourceImageSequence[0].ReferencedSOPInstanceUID == xray.SOPInstanceUID


def test_a_frame_of_an_xray_run_is_referred_to(tmp_path: Path, found: Registration, patient: SmallPatient, inputs: Path) -> None:
    xray = pydicom.dcmread(inputs / "Doe_Jane.dcm")
    xray.NumberOfFrames, xray.PixelData = 2, xray.PixelData * 2
    xray.save_as(tmp_path / "run.dcm")
    objects = export(tmp_path / "out", found, patient, read_sources(inputs / "ct", None, [tmp_path / "run.dcm"], frame=1))
    for item in (
        objects["registration_1.dcm"].RegistrationSequence[1].ReferencedImageSequence[0],
        objects["overlay_1.dcm"].SourceImageSequence[0],
    ):
        assert item.ReferencedFrameNumber == 2


def test_the_overlay_is_a_picture_in_colours_with_the_outline(objects: dict[str, Dataset]) -> None:
    made = objects["overlay_1.dcm"]
    pixels = made.pixel_array.astype(int)
    assert made.PhotometricInterpretation == "RGB" and pixels.shape == (made.Rows, made.Columns, 3)
    yellow = (pixels[..., 0] > 200) & (pixels[..., 1] > 170) & (pixels[..., 2] < 120)
    left, right = np.split(yellow[:, : 2 * (made.Columns // 2)], 2, axis=1)
    assert left.sum() > 300 and right.sum() == 0  # the outline is on the X-ray, the DRR stands beside it
    assert list(made.PatientOrientation) == ["R", "F"]  # seen from behind, head up


@pytest.mark.parametrize("burned_in", ["YES", "NO", None])
def test_the_overlay_tells_of_burned_in_names_what_the_xray_tells(
    tmp_path: Path, found: Registration, patient: SmallPatient, sources: DicomSources, burned_in: str | None
) -> None:
    (source,) = sources.xrays
    assert source is not None
    xray = Dataset()
    xray.update(source.header)
    if burned_in:
        xray.BurnedInAnnotation = burned_in
    made = export(tmp_path, found, patient, replace(sources, xrays=(XRaySource(xray),)))["overlay_1.dcm"]
    assert made.get("BurnedInAnnotation") == burned_in


def test_names_of_files_are_in_no_object(tmp_path: Path, found: Registration, patient: SmallPatient, sources: DicomSources) -> None:
    for file in export_dicom(tmp_path, posed_xrays(found), patient.ct, patient.bones, patient.projector, sources):
        content = file.read_bytes()
        assert b"Doe_Jane" not in content and str(tmp_path).encode() not in content


def test_without_dicom_sources_the_patient_is_nobody(tmp_path: Path, found: Registration, patient: SmallPatient) -> None:
    objects = export(tmp_path, found, patient, NOTHING)
    for made in objects.values():
        values = {element.keyword: element.value for element in all_elements(made)}
        assert all(not values[keyword] for keyword in values if keyword.startswith("Patient") and keyword != "PatientOrientation")
    assert len({made.StudyInstanceUID for made in objects.values()}) == 1


def test_every_export_has_uids_of_its_own_in_the_space_of_the_ct(tmp_path: Path, found: Registration, patient: SmallPatient) -> None:
    first, second = (export(tmp_path / name, found, patient, NOTHING) for name in ("a", "b"))
    instances = [made.SOPInstanceUID for made in (*first.values(), *second.values())]
    assert len(set(instances)) == 6 and all(pydicom.uid.UID(uid).is_valid for uid in instances)
    assert first["bones.dcm"].FrameOfReferenceUID == second["registration_1.dcm"].FrameOfReferenceUID


def test_values_that_the_standard_does_not_allow_are_left_empty(
    tmp_path: Path, found: Registration, patient: SmallPatient, view: View
) -> None:
    bad = {
        "PatientSex": "unknown",
        "PatientBirthDate": "3.11.1948",
        "StudyID": "x" * 30,
        "StudyTime": "noon",
        "AccessionNumber": ["A", "B"],
    }
    with pydicom.config.disable_value_validation():
        write_dicom_xray(tmp_path / "xray.dcm", view, **bad)
    objects = export(tmp_path / "out", found, patient, read_sources(tmp_path / "ct.nii", None, [tmp_path / "xray.dcm"]))
    for made in objects.values():
        assert [made[keyword].value or "" for keyword in bad] == [""] * 5
        assert str(made.PatientName) == NAME and made.PatientID == NUMBER
        assert checked(Path(made.filename)) == []


@pytest.mark.parametrize("name", ["IM-0001-0020.dcm", "RG3_J2KR", "XA1_UNC.dcm"])
def test_results_of_real_xrays_have_no_error(
    tmp_path: Path, found: Registration, patient: SmallPatient, shared_data: Path, name: str
) -> None:
    objects = export(tmp_path, found, patient, read_sources(tmp_path / "ct.nii", None, [shared_data / "xray_import" / name]))
    for made in objects.values():
        assert made.PatientID and checked(Path(made.filename)) == []


def test_a_ct_and_an_xray_of_different_patients_are_refused(tmp_path: Path, inputs: Path, view: View) -> None:
    write_dicom_xray(tmp_path / "xray.dcm", view, PatientID="another")
    with pytest.raises(InputError, match="different patients") as refused:
        read_sources(inputs / "ct", None, [tmp_path / "xray.dcm"])
    assert "another" not in str(refused.value) and NUMBER not in str(refused.value)


def test_a_ct_that_was_moved_is_in_a_space_of_its_own_but_of_the_same_patient(
    tmp_path: Path, found: Registration, patient: SmallPatient, sources: DicomSources
) -> None:
    objects = export(tmp_path, found, patient, replace(sources, ct_moved=True))
    registration, bones = objects["registration_1.dcm"], objects["bones.dcm"]
    assert registration.FrameOfReferenceUID == bones.FrameOfReferenceUID != sources.ct[0].FrameOfReferenceUID
    assert "ReferencedImageSequence" not in registration.RegistrationSequence[0]
    assert registration.ReferencedSeriesSequence[0].SeriesInstanceUID == sources.ct[0].SeriesInstanceUID
    for made in (registration, bones):
        assert str(made.PatientName) == NAME and made.StudyInstanceUID == sources.ct[0].StudyInstanceUID
        assert checked(Path(made.filename)) == []


def test_a_pose_that_was_set_by_eye_says_so(tmp_path: Path, found: Registration, patient: SmallPatient) -> None:
    for by_eye, meaning in ((False, "Image Content-based Alignment"), (True, "Visual Alignment")):
        xrays = [replace(xray, by_eye=by_eye) for xray in posed_xrays(found)]
        file = export_dicom(tmp_path, xrays, patient.ct, patient.bones, patient.projector, NOTHING)[1]
        of_xray = pydicom.dcmread(file).RegistrationSequence[1].MatrixRegistrationSequence[0]
        assert of_xray.RegistrationTypeCodeSequence[0].CodeMeaning == meaning
        assert checked(file) == []


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_files_that_nothing_can_refer_to_are_refused(tmp_path: Path, view: View, keyword: str) -> None:
    with pydicom.config.disable_value_validation():
        write_dicom_xray(tmp_path / "xray.dcm", view, **{keyword: "1.two"})
    with pytest.raises(InputError, match=f"lacks a valid {keyword}"):
        read_sources(tmp_path / "ct.nii", None, [tmp_path / "xray.dcm"])


@pytest.fixture
def arguments(inputs: Path, tmp_path: Path) -> list[str]:
    """Of the command for a quick registration: from a pose near the true one."""
    save_view(tmp_path / "start.json", CAMERA, move_pose(POSE, POSE[:3, 3], (0.01, 0.0, -0.01, 1.0, 1.0, 5.0)))
    files = [f"--ct={inputs / 'ct'}", f"--xray={inputs / 'Doe_Jane.dcm'}", f"--start={tmp_path / 'start.json'}"]
    return [*files, f"--output={tmp_path / 'result'}", "--device=cpu"]


def test_the_command_writes_dicom_that_holds_the_pose_and_names_the_patient_nowhere_else(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["xray-register", *arguments, f"--dicom={tmp_path / 'dicom'}"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    captured = capsys.readouterr()
    assert not ended.value.code, captured.err
    assert "they carry the patient's name" in captured.out
    (view,) = json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8"))["views"]
    read = read_registration(tmp_path / "dicom" / "registration_1.dcm")
    np.testing.assert_allclose(read.ras_to_camera, view["ras_to_camera"], atol=1e-6)
    assert read.camera == Camera.from_dict(view["camera"])
    for file in (tmp_path / "dicom").iterdir():
        assert str(pydicom.dcmread(file).PatientName) == NAME and checked(file) == []
    contents = {"what is printed": (captured.out + captured.err).encode()} | contents_of(tmp_path / "result")
    assert {"result.json", "overlay_1.png", "scene/scene.mrml"} <= contents.keys()
    assert naming_the_patient(contents) == []
