"""RegisterBatch.py: from files to files, with exit codes, whatever happens."""

from __future__ import annotations

import csv
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_case import NAME, contents_of, headers, naming_the_patient
from dicom_scene import write_inputs
from DRRSimulatorLib.camera import Camera, invert_pose, save_view
from DRRSimulatorLib.volume_file import place_in_ras
from pelvis_case import CAMERA, SAMPLE_CT, PelvisCase
from registration_scene import SharedPatient, add_ct
from XRayRegistrationLib.cli import register_xrays
from XRayRegistrationLib.dicom_registration import read_registration
from XRayRegistrationLib.model import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "XRayRegistration" / "Scripts" / "RegisterBatch.py"


@pytest.fixture
def files(pelvis: PelvisCase, tmp_path: Path) -> Path:
    """Two X-rays with their cameras, and a text that is no X-ray."""
    for view, name in enumerate(("ap", "lateral")):
        image = sitk.GetImageFromArray(pelvis.pixels(view)[None])
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
        save_view(tmp_path / f"{name}.json", CAMERA, pelvis.poses[view])
    (tmp_path / "letter.txt").write_text("no X-ray")
    (tmp_path / "wrong.csv").write_text("image\nap.nrrd\n")
    (tmp_path / "folder.csv").write_text("xray\n..\n")
    (tmp_path / "dots.csv").write_text("xray\n...png\n")
    return tmp_path


@pytest.fixture
def batch(scene: Any, pelvis: PelvisCase, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the script as Slicer does, but with the CT and the model ready; returns the exit code."""
    import slicer
    from XRayRegistrationSlicer import registration

    def run(*arguments: Any) -> int:
        codes: list[int] = []
        monkeypatch.setattr(slicer.util, "exit", codes.append)
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        (code,) = codes
        return code

    monkeypatch.setattr(registration.ModelCache, "load", lambda self, path, device: pelvis.model)
    monkeypatch.setattr("DRRSimulatorSlicer.patients.PatientCache", lambda: SharedPatient(pelvis.patient))
    return run


def arguments(files: Path, *xrays: str) -> list[Any]:
    given: list[Any] = ["--ct", SAMPLE_CT, "--model", DEFAULT_MODEL, "--output", files / "results"]
    for name in xrays:
        given += ["--xray", files / f"{name}.nrrd", "--camera", files / f"{name}.json"]
    return given


def summary(files: Path) -> dict[str, dict[str, str]]:
    with (files / "results" / "summary.csv").open(encoding="utf-8", newline="") as file:
        return {row["xray"]: row for row in csv.DictReader(file)}


def result(files: Path, name: str) -> Any:
    return json.loads((files / "results" / name / "result.json").read_text(encoding="utf-8"))


def slicer_command(application: Any) -> list[str]:
    """What starts Slicer, or the test host in its place."""
    if hasattr(application, "launcherExecutableFilePath"):
        return [application.launcherExecutableFilePath, "--no-splash", "--no-main-window"]
    return [sys.executable, "-m", "slicer_host"]


def test_in_a_process_of_its_own_it_finds_the_pose_of_the_command(slicer_app: Any, files: Path, pelvis: PelvisCase) -> None:
    """Nothing is prepared here: it is what a user runs, and what xray-register makes of the same files."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "Testing"), "QT_QPA_PLATFORM": "offscreen"}
    command = [*slicer_command(slicer_app), "--python-script", str(SCRIPT), "--", *map(str, arguments(files, "ap"))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "ap: Refining the pose" in done.stdout and lines[-1].startswith("ap: reliable.")
    register_xrays(SAMPLE_CT, [files / "ap.nrrd"], files / "command", DEFAULT_MODEL, camera=[files / "ap.json"], device="cpu")
    expected = json.loads((files / "command" / "result.json").read_text(encoding="utf-8"))["views"][0]["ras_to_camera"]
    found = np.array(result(files, "ap")["views"][0]["ras_to_camera"])
    assert np.allclose(found, expected, rtol=0, atol=1e-6) and pelvis.mtre(found) < 0.3


def test_a_bad_xray_is_named_and_does_not_stop_the_others(
    batch: Callable[..., int], files: Path, pelvis: PelvisCase, capsys: pytest.CaptureFixture[str]
) -> None:
    table = files / "list.csv"
    table.write_text("xray,camera\nap.nrrd,ap.json\nmissing.nrrd,ap.json\nlateral.nrrd,lateral.json\n")
    given = ["--ct", SAMPLE_CT, "--model", DEFAULT_MODEL, "--output", files / "results", "--list", table, "--no-refine"]
    assert batch(*given) == 1
    rows = summary(files)
    assert [rows[f"{name}.nrrd"]["verdict"] for name in ("ap", "missing", "lateral")] == ["check", "failed", "check"]
    assert "There is no file" in rows["missing.nrrd"]["reason"] and "missing: failed" in capsys.readouterr().out
    pose = np.array(result(files, "lateral")["views"][0]["ras_to_camera"])
    assert pelvis.mtre(pose, 1) < 0.5 * pelvis.mtre(pose, 0)  # it is the pose of this X-ray, not of the one before
    assert (files / "results" / "ap" / "scene.mrb").is_file() and not (files / "results" / "missing").exists()


def test_xrays_of_a_rig_are_registered_together(batch: Callable[..., int], files: Path, pelvis: PelvisCase) -> None:
    assert batch(*arguments(files, "ap", "lateral"), "--together") == 0
    poses = [np.array(view["ras_to_camera"]) for view in result(files, "together")["views"]]
    assert max(pelvis.mtre(pose, view) for view, pose in enumerate(poses)) < 0.3
    assert np.allclose(poses[1] @ invert_pose(poses[0]), pelvis.poses[1] @ invert_pose(pelvis.poses[0]), atol=1e-6)
    assert list(summary(files)) == ["ap.nrrd + lateral.nrrd"]


def test_a_distance_and_a_spacing_are_enough_for_a_lone_xray(batch: Callable[..., int], files: Path, pelvis: PelvisCase) -> None:
    given = arguments(files)
    assert batch(*given, "--xray", files / "ap.nrrd", "--sdd", 1020, "--pixel-spacing", 1.8, "--no-refine") == 0
    expected = pelvis.unrefined.ras_to_camera()
    assert np.allclose(result(files, "ap")["views"][0]["ras_to_camera"], expected, rtol=0, atol=1e-6)


def test_a_dicom_xray_tells_its_geometry_and_polarity(batch: Callable[..., int], files: Path, pelvis: PelvisCase) -> None:
    image = sitk.GetImageFromArray(np.rint(1000 * pelvis.pixels()).astype(np.uint16))
    for tag, value in {"0008|0060": "XA", "0018|1110": "1020", "0028|1040": "LIN"}.items():
        image.SetMetaData(tag, value)
    image.SetSpacing(CAMERA.pixel_spacing)  # written as that of the detector, as the modality is XA
    sitk.WriteImage(image, str(files / "ap.dcm"))
    assert batch(*arguments(files), "--xray", files / "ap.dcm", "--no-refine") == 0
    (view,) = result(files, "ap")["views"]
    assert Camera.from_dict(view["camera"]) == CAMERA and view["polarity"] == "intensity"
    assert np.allclose(view["ras_to_camera"], pelvis.unrefined.ras_to_camera(), atol=0.05)  # its pixels are rounded


def test_results_are_written_as_dicom_as_well_where_they_belong_to_one_patient(
    batch: Callable[..., int], files: Path, pelvis: PelvisCase
) -> None:
    write_inputs(files, pelvis)
    given = ["--ct", files / "ct", "--model", DEFAULT_MODEL, "--output", files / "results", "--no-refine", "--dicom", files / "dicom"]
    assert batch(*given, "--xray", files / "ap.dcm", "--xray", files / "other.dcm") == 1
    rows = summary(files)
    assert rows["ap.dcm"]["verdict"] == "check" and "of different patients" in rows["other.dcm"]["reason"]
    assert [path.name for path in (files / "dicom").iterdir()] == ["ap"]
    made = {path.name: pydicom.dcmread(path) for path in (files / "dicom" / "ap").iterdir()}
    assert made.keys() == {"registration_1.dcm", "overlay_1.dcm", "bones.dcm"}
    assert {str(dataset.PatientName) for dataset in made.values()} == {NAME}
    slices = made["registration_1.dcm"].RegistrationSequence[0].ReferencedImageSequence
    assert [item.ReferencedSOPInstanceUID for item in slices] == [header.SOPInstanceUID for header in headers(files / "ct")]
    pose = read_registration(files / "dicom" / "ap" / "registration_1.dcm").ras_to_camera
    assert np.allclose(pose, result(files, "ap")["views"][0]["ras_to_camera"], rtol=0, atol=1e-6)
    assert naming_the_patient(contents_of(files / "results" / "ap")) == []


@pytest.mark.parametrize("option", ["--labels", "--segmentation"])
def test_bones_may_come_from_a_file(batch: Callable[..., int], files: Path, pelvis: PelvisCase, option: str) -> None:
    import slicer
    from DRRSimulatorSlicer.nodes import writeSegmentation

    if option == "--labels":
        bones = files / "bones.nrrd"
        image = sitk.GetImageFromArray(pelvis.patient.bones.labels)
        place_in_ras(image, pelvis.patient.bones.ijk_to_ras)
        sitk.WriteImage(image, str(bones))
    else:
        bones = files / "bones.seg.nrrd"
        slicer.util.saveNode(writeSegmentation(pelvis.patient.bones, add_ct(pelvis.patient.ct)), str(bones))
        slicer.mrmlScene.Clear(False)
    assert batch(*arguments(files, "ap"), option, bones, "--no-refine") == 0
    (segmentation,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 1


def test_files_of_one_name_get_folders_of_their_own(scene: Any) -> None:
    from XRayRegistrationSlicer.jobs import folderNames, jobsOfFiles

    jobs = jobsOfFiles([Path("a/x.png"), Path("b/x.png"), Path("x_2.png"), Path("x.dcm")], [])
    assert folderNames(jobs) == ["x", "x_2", "x_2_2", "x_3"]
    assert folderNames(jobsOfFiles([Path("a/AP.png"), Path("b/ap.png")], [])) == ["AP", "ap_2"]


def test_a_hundred_thousand_files_of_one_name_get_folders_of_their_own(scene: Any) -> None:
    from XRayRegistrationSlicer.jobs import Job, folderNames

    count = 100_000  # to look for each among all those before took minutes for a tenth of them
    names = folderNames([Job(Path(str(number), "x.png")) for number in range(count)])
    assert len(set(names)) == count and names[-1] == f"x_{count}"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["--ct", "missing.nrrd", "--xray", "ap.nrrd"], "There is no file"),
        (["--ct", "ap.nrrd", "--xray", "ap.nrrd"], "not a CT"),
        (["--model", "letter.txt", "--xray", "ap.nrrd"], "cannot be read as safetensors"),
        (["--output", "letter.txt", "--xray", "ap.nrrd"], "give a folder"),
        (["--xray", "ap.nrrd", "--camera", "ap.json", "--camera", "lateral.json"], "1 X-rays but 2 cameras"),
        (["--xray", "ap.nrrd", "--sdd", "1000"], "or neither"),
        (["--list", "letter.txt"], "names no X-rays"),
        (["--list", "wrong.csv"], "no CSV table"),
        (["--list", "folder.csv"], "no CSV table"),
        (["--list", "dots.csv"], "no CSV table"),
        (["--list", "list.csv", "--sdd", "1000"], "stand in the list"),
        ([], "required"),
        (["--xray", "ap.nrrd", "--polarity", "white"], "invalid choice"),
    ],
)
def test_bad_input_ends_in_a_sentence_and_code_2(
    batch: Callable[..., int], files: Path, given: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [files / word if "." in word else word for word in given]
    defaults = arguments(files)
    chosen = [word for pair in zip(defaults[::2], defaults[1::2], strict=True) if pair[0] not in given for word in pair]
    assert batch(*chosen, *paths) == 2
    said = capsys.readouterr()
    assert reason in said.out + said.err and "Traceback" not in said.err


def test_a_missing_package_ends_in_a_sentence(
    batch: Callable[..., int], files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from DRRSimulatorSlicer.dependencies import Dependencies

    monkeypatch.setattr(Dependencies, "missing", lambda self, group: ["poselib>=2.0.4"])
    assert batch(*arguments(files, "ap")) == 1
    said = capsys.readouterr()
    assert "poselib" in said.out and "Traceback" not in said.err


def test_a_defect_of_ours_never_leaves_slicer_running(
    batch: Callable[..., int], files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from XRayRegistrationSlicer import batch as module
    from XRayRegistrationSlicer.logic import XRayRegistrationLogic

    def fail(*unused: Any, **also_unused: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(XRayRegistrationLogic, "registerXRay", fail)
    assert batch(*arguments(files, "ap")) == 1 and summary(files)["ap.nrrd"]["verdict"] == "failed"
    monkeypatch.setattr(module, "loadCT", fail)
    assert batch(*arguments(files, "ap")) == 1
    assert capsys.readouterr().err.count("RuntimeError: a defect") == 2


def test_a_rejected_pose_is_written_and_counts_as_failed(batch: Callable[..., int], files: Path) -> None:
    """Bone bright instead of dark: the X-ray looks like the inverse of the simulated one."""
    assert batch(*arguments(files, "ap"), "--polarity", "attenuation") == 1
    assert summary(files)["ap.nrrd"]["verdict"] in ("rejected", "failed")
