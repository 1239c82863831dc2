"""A result as files: they hold what the scene shows, whether the session or a saved scene made it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import invert_pose, load_view
from DRRSimulatorLib.errors import InputError
from pelvis_case import CAMERA, PelvisCase
from PIL import Image
from registration_scene import add_ct, add_xray

NAMES = ["camera_1.json", "camera_1.h5", "overlay_1.png", "point_cloud.vtp", "numbers.csv", "scene.mrb", "result.json"]


@pytest.fixture
def result(logic: Any, pelvis: PelvisCase) -> Any:
    ct, xray = add_ct(pelvis.patient.ct), add_xray(pelvis.pixels())
    logic.setGeometry(xray, CAMERA)
    return logic.registerXRay(xray, ct, refine=False)


def test_every_file_holds_what_the_scene_shows(logic: Any, pelvis: PelvisCase, result: Any, tmp_path: Path) -> None:
    import slicer

    files = logic.exportResult(result, tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    assert sorted(file.name for file in files) == sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    assert files[-1].name == "result.json"  # so that it stands for a whole result
    camera, pose = load_view(folder / "camera_1.json")
    assert camera == CAMERA and pose is not None and np.allclose(pose, result.carms[0].pose(), rtol=0, atol=1e-9)
    transform = slicer.util.loadTransform(str(folder / "camera_1.h5"))
    assert np.allclose(slicer.util.arrayFromTransformMatrix(transform), invert_pose(pose))
    cloud = slicer.util.loadModel(str(folder / "point_cloud.vtp"))
    assert np.allclose(slicer.util.arrayFromModelPoints(cloud), slicer.util.arrayFromModelPoints(result.pointCloud), atol=1e-4)
    with (folder / "numbers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["Quantity", "Value", "Unit"] and rows[1][:2] == ["Verdict", "Check it"]
    assert json.loads((folder / "result.json").read_text(encoding="utf-8"))["ras_to_rig"] == result.numbers["ras_to_rig"]
    yellow = np.asarray(Image.open(folder / "overlay_1.png").convert("RGB")).astype(int)
    assert ((yellow[..., 0] - yellow[..., 2]) > 100).sum() > 500


def test_a_scene_that_was_opened_again_gives_the_same_files(logic: Any, result: Any, tmp_path: Path) -> None:
    import slicer

    logic.exportResult(result, tmp_path / "first")
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "first" / "scene.mrb"))
    again = logic.result(slicer.util.getNode("AP"))
    assert again.registration is None
    logic.exportResult(again, tmp_path / "second")
    for name in ("result.json", "numbers.csv", "overlay_1.png"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_a_pose_that_was_moved_by_hand_is_exported_where_it_is(logic: Any, result: Any, tmp_path: Path) -> None:
    found = result.numbers["ras_to_rig"]
    logic.moveBone(result, (5, 0, 0, 0, 0, 3))
    logic.exportResult(result, tmp_path)
    numbers = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    _, pose = load_view(tmp_path / "camera_1.json")
    assert pose is not None and np.allclose(numbers["ras_to_rig"], pose) and not np.allclose(pose, found)
    assert numbers["registered_ras_to_rig"] == found and numbers["verdict"]["level"] == "check"


def test_a_file_in_place_of_the_folder_is_refused(logic: Any, result: Any, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="is a file; choose a folder"):
        logic.exportResult(result, tmp_path / "taken")


def test_what_cannot_be_written_leaves_the_old_file(logic: Any, result: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer

    logic.exportResult(result, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(slicer.util, "saveScene", lambda path, properties: False)
    with pytest.raises(OSError, match="could not be written"):
        logic.exportResult(result, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(before)
    assert (tmp_path / "scene.mrb").read_bytes() == before["scene.mrb"]


def test_what_the_scene_knows_of_a_person_is_in_no_file_but_the_scene(logic: Any, pelvis: PelvisCase, result: Any, tmp_path: Path) -> None:
    """Slicer's DICOM import writes it to attributes, and saves it with the scene."""
    for node in (result.ctNode, *result.xraysOnDetector, *(carm.transformNode for carm in result.carms)):
        node.SetAttribute("DICOM.PatientName", "Zebedeus^Quilla")
        node.SetDescription("Zebedeus^Quilla")
    files = logic.exportResult(result, tmp_path)
    assert len(files) == len(NAMES)
    assert [file.name for file in files if b"quilla" in file.read_bytes().lower()] in ([], ["scene.mrb"])
    assert "Quilla" not in json.dumps(result.numbers)
