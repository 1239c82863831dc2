"""A result of the scene as DICOM objects: the same as the command's, wherever the result has been since; and who is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_case import NAME, NUMBER, checked, headers
from dicom_scene import INSTANCES, Database, load_ct, load_xray
from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.errors import InputError
from pelvis_case import CAMERA, PelvisCase
from pydicom.dataset import Dataset
from registration_scene import add_ct, add_transform, add_xray
from XRayRegistrationLib import cli
from XRayRegistrationLib.dicom_registration import read_registration
from XRayRegistrationLib.model import DEFAULT_MODEL

NAMES = {"registration_1.dcm", "overlay_1.dcm", "bones.dcm"}


@pytest.fixture
def result(logic: Any, database: Database, dicom_inputs: Path) -> Any:
    """Of CT and X-ray from the database."""
    ct, xray = load_ct(database, dicom_inputs / "ct"), load_xray(database, dicom_inputs / "ap.dcm")
    return logic.registerXRay(xray, ct, polarity="intensity", refine=False)


def export(logic: Any, result: Any, folder: Path) -> dict[str, Dataset]:
    files = logic.exportDICOM(result, folder)
    assert {file.name for file in files} == {file.name for file in folder.iterdir()} == NAMES
    return {file.name: pydicom.dcmread(file) for file in files}


def errors_in(folder: Path) -> list[str]:
    """What dciodvfy finds in the files."""
    return [error for file in folder.iterdir() for error in checked(file)]


def of_camera(dataset: Dataset) -> Dataset:
    return dataset.RegistrationSequence[1]


def test_the_objects_are_those_of_the_command(logic: Any, result: Any, dicom_inputs: Path, tmp_path: Path) -> None:
    from DRRSimulatorSlicer.patients import PatientCache

    logic._patients = PatientCache()  # the CT as the scene has it
    files = [dicom_inputs / "ap.dcm"]
    cli.register_xrays(
        dicom_inputs / "ct", files, tmp_path / "result", DEFAULT_MODEL, refine=False, device="cpu", dicom=tmp_path / "command"
    )
    made = export(logic, result, tmp_path / "scene")
    for name, of_scene in made.items():
        of_command = pydicom.dcmread(tmp_path / "command" / name)
        assert values(of_scene) == values(of_command)
    ours, commands = (read_registration(tmp_path / folder / "registration_1.dcm") for folder in ("scene", "command"))
    np.testing.assert_allclose(ours.ras_to_camera, commands.ras_to_camera, rtol=0, atol=1e-6)
    assert ours.camera == commands.camera == CAMERA
    np.testing.assert_array_equal(made["bones.dcm"].pixel_array, pydicom.dcmread(tmp_path / "command" / "bones.dcm").pixel_array)
    referred = [item.ReferencedSOPInstanceUID for item in made["registration_1.dcm"].RegistrationSequence[0].ReferencedImageSequence]
    assert referred == [header.SOPInstanceUID for header in headers(dicom_inputs / "ct")]
    assert {str(dataset.PatientName) for dataset in made.values()} == {NAME}
    assert errors_in(tmp_path / "scene") == []


def values(dataset: Dataset) -> list[tuple[str, str]]:
    """All values in their order but for pixels, the matrix, and what differs from one export to another: its UIDs and the time."""
    new = [dataset.SOPInstanceUID, dataset.SeriesInstanceUID, *camera_frames(dataset)]
    new += [element.value for element in elements(dataset) if element.keyword == "DimensionOrganizationUID"]
    found = []
    for element in elements(dataset):
        is_now = element.VR in ("DA", "TM", "DT") and not element.keyword.startswith(("Study", "Patient"))
        if element.VR != "SQ" and not is_now and element.keyword not in ("FrameOfReferenceTransformationMatrix", "PixelData"):
            found.append((element.keyword or str(element.tag), str(element.value)))
    return [(keyword, value) for keyword, value in found if value not in new]


def camera_frames(dataset: Dataset) -> list[str]:
    return [item.FrameOfReferenceUID for item in dataset.get("RegistrationSequence", [])[1:]]


def elements(dataset: Dataset) -> Iterator[pydicom.DataElement]:
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item)


def method(dataset: Dataset) -> str:
    """How a pose was found, in words."""
    return str(of_camera(dataset).MatrixRegistrationSequence[0].RegistrationTypeCodeSequence[0].CodeMeaning)


def pose_in(folder: Path) -> FloatArray:
    return read_registration(folder / "registration_1.dcm").ras_to_camera


def test_a_pose_that_was_moved_and_refined_by_hand_is_exported_where_it_is(logic: Any, result: Any, tmp_path: Path) -> None:
    registered = result.carms[0].pose()
    assert method(export(logic, result, tmp_path / "registered")["registration_1.dcm"]) == "Image Content-based Alignment"
    logic.moveBone(result, (5, 0, 0, 0, 0, 3))
    assert method(export(logic, result, tmp_path / "moved")["registration_1.dcm"]) == "Visual Alignment"
    moved = pose_in(tmp_path / "moved")
    np.testing.assert_allclose(moved, result.carms[0].pose(), rtol=0, atol=1e-6)
    assert not np.allclose(moved, registered, atol=1)
    refined = logic.adjustment(result).refine()
    assert method(export(logic, refined, tmp_path / "refined")["registration_1.dcm"]) == "Image Content-based Alignment"
    np.testing.assert_allclose(pose_in(tmp_path / "refined"), refined.carms[0].pose(), rtol=0, atol=1e-6)
    assert not np.allclose(pose_in(tmp_path / "refined"), moved, atol=1)
    assert errors_in(tmp_path / "moved") == errors_in(tmp_path / "refined") == []


def test_a_scene_that_was_opened_again_gives_the_same_objects(logic: Any, result: Any, tmp_path: Path) -> None:
    import slicer

    before = export(logic, result, tmp_path / "before")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    again = logic.result(slicer.util.getNode("5: AP"))
    assert again.registration is None
    after = export(logic, again, tmp_path / "after")
    for name in NAMES:
        assert values(after[name]) == values(before[name])
        np.testing.assert_array_equal(after[name].get("PixelData"), before[name].get("PixelData"))
    np.testing.assert_allclose(pose_in(tmp_path / "after"), pose_in(tmp_path / "before"), rtol=0, atol=1e-9)
    assert errors_in(tmp_path / "after") == []


def test_nodes_that_are_not_from_the_database_have_no_patient(logic: Any, pelvis: PelvisCase, tmp_path: Path) -> None:
    ct, xray = add_ct(pelvis.patient.ct), add_xray(pelvis.pixels(), "Doe^Jane")
    logic.setGeometry(xray, CAMERA)
    result = logic.registerXRay(xray, ct, refine=False)
    for name, made in export(logic, result, tmp_path).items():
        assert not made.PatientName and not made.PatientID
        assert checked(tmp_path / name) == [] and b"Doe" not in (tmp_path / name).read_bytes()


def test_of_two_xrays_each_refers_to_its_own_file(
    logic: Any, database: Database, dicom_inputs: Path, pelvis: PelvisCase, tmp_path: Path
) -> None:
    ct, first, second = (
        load_ct(database, dicom_inputs / "ct"),
        load_xray(database, dicom_inputs / "ap.dcm"),
        add_xray(pelvis.pixels(1), "no DICOM"),
    )
    for node, pose in zip((first, second), pelvis.poses, strict=True):
        logic.setGeometry(node, CAMERA, pose)
    result = logic.registerXRay([first, second], ct, refine=False)
    files = logic.exportDICOM(result, tmp_path)
    assert {file.name for file in files} == NAMES | {"registration_2.dcm", "overlay_2.dcm"}
    for number, carm in enumerate(result.carms, 1):
        read = read_registration(tmp_path / f"registration_{number}.dcm")
        np.testing.assert_allclose(read.ras_to_camera, carm.pose(), rtol=0, atol=1e-6)
    referring = ["ReferencedImageSequence" in of_camera(pydicom.dcmread(tmp_path / f"registration_{number}.dcm")) for number in (1, 2)]
    assert referring == [True, False]
    assert errors_in(tmp_path) == []


def test_bones_that_the_user_gave_are_marked_so(logic: Any, result: Any, pelvis: PelvisCase, tmp_path: Path) -> None:
    from DRRSimulatorSlicer.nodes import writeSegmentation

    assert export(logic, result, tmp_path / "found")["bones.dcm"].SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    segmentation = writeSegmentation(pelvis.patient.bones, result.ctNode)
    given = logic.registerXRay(result.xrayNodes[0], result.ctNode, segmentationNode=segmentation, refine=False)
    assert export(logic, given, tmp_path / "given")["bones.dcm"].SegmentSequence[0].SegmentAlgorithmType == "MANUAL"


def test_the_frame_that_was_registered_is_referred_to_whichever_is_shown(
    logic: Any, database: Database, dicom_inputs: Path, pelvis: PelvisCase, tmp_path: Path
) -> None:
    import slicer

    run = pydicom.dcmread(dicom_inputs / "ap.dcm")
    run.NumberOfFrames, run.PixelData, run.SOPInstanceUID = 3, run.PixelData * 3, "2.25.7"
    run.save_as(tmp_path / "run.dcm", enforce_file_format=True)
    database._files["2.25.7"] = tmp_path / "run.dcm"
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "run")
    pixels = pelvis.pixels()
    for time, image in enumerate((pixels[::-1], pixels, pixels[:, ::-1])):
        frame = add_xray(image)
        frame.SetAttribute(INSTANCES, "2.25.7")
        sequence.SetDataNodeAtValue(frame, str(time))
        slicer.mrmlScene.RemoveNode(frame)
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.SetSelectedItemNumber(1)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    proxy = browser.GetProxyNode(sequence)
    logic.setGeometry(proxy, CAMERA)
    result = logic.registerXRay(proxy, load_ct(database, dicom_inputs / "ct"), refine=False)
    browser.SetSelectedItemNumber(2)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    made = export(logic, result, tmp_path / "out")
    (image,) = of_camera(made["registration_1.dcm"]).ReferencedImageSequence
    assert (image.ReferencedSOPInstanceUID, image.ReferencedFrameNumber) == ("2.25.7", 2)
    assert made["overlay_1.dcm"].SourceImageSequence[0].ReferencedFrameNumber == 2
    assert errors_in(tmp_path / "out") == []


def test_a_ct_that_a_hardened_transform_moved_is_in_a_space_of_its_own(logic: Any, result: Any, dicom_inputs: Path, tmp_path: Path) -> None:
    own = headers(dicom_inputs / "ct")[0].FrameOfReferenceUID
    assert export(logic, result, tmp_path / "in_place")["bones.dcm"].FrameOfReferenceUID == own
    moved = np.eye(4)
    moved[:3, 3] = 10, 0, -5
    result.ctNode.SetAndObserveTransformNodeID(add_transform(moved).GetID())
    assert export(logic, result, tmp_path / "under_a_transform")["bones.dcm"].FrameOfReferenceUID == own
    result.ctNode.HardenTransform()
    made = export(logic, result, tmp_path / "moved")
    assert made["bones.dcm"].FrameOfReferenceUID == made["registration_1.dcm"].FrameOfReferenceUID != own
    assert made["bones.dcm"].PatientID == NUMBER
    assert "ReferencedImageSequence" not in made["registration_1.dcm"].RegistrationSequence[0]


def test_a_ct_that_was_cropped_stays_in_its_space(logic: Any, result: Any) -> None:
    import slicer
    from XRayRegistrationSlicer.dicom_sources import dicomSources

    matrix = logic._patients.patient.ct.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, :3] @ (10, 20, 30)
    voxels = slicer.util.arrayFromVolume(result.ctNode)[30:90, 20:90, 10:110].copy()
    slicer.util.updateVolumeFromArray(result.ctNode, voxels)
    result.ctNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    assert not dicomSources(result).ct_moved


def another_patient(result: Any, database: Database, dicom_inputs: Path) -> None:
    result.xrayNodes[0].SetAttribute(INSTANCES, database.instance(dicom_inputs / "other.dcm"))


def not_in_the_database(result: Any, database: Database, dicom_inputs: Path) -> None:
    result.ctNode.SetAttribute(INSTANCES, result.ctNode.GetAttribute(INSTANCES) + " Unknown")


def without_the_ct(result: Any, database: Database, dicom_inputs: Path) -> None:
    import slicer

    slicer.mrmlScene.RemoveNode(result.ctNode)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (another_patient, "are of different patients"),
        (not_in_the_database, "2: Thorax are no longer in Slicer's DICOM database"),
        (without_the_ct, "no longer in the scene"),
    ],
)
def test_what_belongs_to_nobody_or_cannot_be_found_is_refused(
    logic: Any,
    result: Any,
    database: Database,
    dicom_inputs: Path,
    tmp_path: Path,
    change: Callable[[Any, Database, Path], None],
    reason: str,
) -> None:
    change(result, database, dicom_inputs)
    with pytest.raises(InputError, match=reason) as refused:
        logic.exportDICOM(result, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert NUMBER not in str(refused.value) and "another" not in str(refused.value)


def test_a_file_in_place_of_the_folder_is_refused(logic: Any, result: Any, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="is a file; choose a folder"):
        logic.exportDICOM(result, tmp_path / "taken")


def test_an_older_slicer_says_what_it_needs_and_installs_nothing(
    logic: Any, result: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.metadata

    from DRRSimulatorSlicer.dependencies import DependencyError, SlicerInstaller

    version = importlib.metadata.version

    def of_slicer_5_10(name: str) -> str:
        if name == "highdicom":
            raise importlib.metadata.PackageNotFoundError(name)
        return "2.4.4" if name == "pydicom" else version(name)

    monkeypatch.setattr(importlib.metadata, "version", of_slicer_5_10)
    monkeypatch.setattr(SlicerInstaller, "install", lambda *unused: pytest.fail("installs"))
    with pytest.raises(DependencyError, match=r"needs 3D Slicer 5\.12 or newer"):
        logic.exportDICOM(result, tmp_path / "out")
