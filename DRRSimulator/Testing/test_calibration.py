"""Calibrations of the real wrist cameras, of our own JSON, and damaged ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from DRRSimulatorLib.calibration import read_calibration
from DRRSimulatorLib.camera import Camera, save_view, transform_points
from DRRSimulatorLib.errors import InputError

TEXT = """image size
640,480

camera matrix
2000,0,310.5
0,2010,250
0,0,1

rotation
0,0,1
1,0,0
0,1,0

translation
1
2
900
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "calibration.txt"
    path.write_text(text)
    return path


def test_text_gives_camera_and_pose(tmp_path: Path) -> None:
    camera, pose = read_calibration(write(tmp_path, TEXT))
    assert camera.image_size == (480, 640)
    point = np.array([5.0, -7.0, 11.0])
    homogeneous = np.array([[2000, 0, 310.5], [0, 2010, 250], [0, 0, 1]]) @ [11.0 + 1, 5.0 + 2, -7.0 + 900]
    assert pose is not None
    assert camera.project(transform_points(pose, point[None])) == pytest.approx(homogeneous[None, :2] / homogeneous[2])


def test_camera_without_pose_is_read(tmp_path: Path) -> None:
    camera, pose = read_calibration(write(tmp_path, TEXT.split("rotation")[0]))
    assert camera.principal_point == (310.5, 250) and pose is None


def test_our_own_json_is_read_back(tmp_path: Path) -> None:
    camera, pose = Camera.centred(1000, 0.3, (100, 120)), np.diag([-1.0, -1, 1, 1])
    save_view(tmp_path / "view.json", camera, pose)
    read_camera, read_pose = read_calibration(tmp_path / "view.json", (100, 120))
    assert read_camera == camera and np.array_equal(read_pose, pose)
    with pytest.raises(InputError, match="100 rows"):
        read_calibration(tmp_path / "view.json", (120, 100))


@pytest.mark.parametrize(("image_size", "expected"), [((480, 640), (480, 640)), ((640, 480), (640, 480))])
def test_image_size_settles_the_order_of_width_and_height(tmp_path: Path, image_size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert read_calibration(write(tmp_path, TEXT), image_size)[0].image_size == expected


def test_calibration_of_another_image_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="480 rows of 640"):
        read_calibration(write(tmp_path, TEXT), (512, 512))


def test_image_size_may_come_from_the_image(tmp_path: Path) -> None:
    text = TEXT.replace("image size\n640,480\n", "")
    assert read_calibration(write(tmp_path, text), (480, 640))[0].image_size == (480, 640)
    with pytest.raises(InputError, match="image size"):
        read_calibration(write(tmp_path, text))


@pytest.mark.parametrize(
    ("old", "new", "section"),
    [
        ("640,480", "640", "image size"),
        ("640,480", "640.5,480", "image size"),
        ("640,480", "0,480", "image size"),
        ("0,2010,250", "0,2010,many", "camera matrix"),
        ("0,2010,250", "0,2010", "camera matrix"),
        ("0,2010,250", "0,-2010,250", "camera matrix"),
        ("0,0,1\n\nrotation", "0,0,0\n\nrotation", "camera matrix"),
        ("camera matrix", "camera", "image size"),
        ("camera matrix\n2000,0,310.5\n0,2010,250\n0,0,1\n", "", "camera matrix"),
        ("1,0,0\n", "1,0,0.1\n", "rotation"),
        ("0,1,0\n", "0,-1,0\n", "rotation"),  # a reflection
        ("1,0,0\n", "1,0,0,0\n", "rotation"),
        ("900", "nan", "translation"),
        ("900", "900\n4", "translation"),
        ("translation\n1\n2\n900\n", "", "translation"),
        ("translation", "rotation", "rotation"),
        ("image size", "hello", "image size"),
    ],
)
def test_damaged_section_is_named(tmp_path: Path, old: str, new: str, section: str) -> None:
    with pytest.raises(InputError, match=section):
        read_calibration(write(tmp_path, TEXT.replace(old, new)))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"{}", b'{"camera": 3}', b"{"])
def test_file_that_is_no_calibration_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "calibration.txt"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_calibration(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_calibration(tmp_path / "missing.txt")


def test_wrist_cameras_see_the_radius_where_it_lies(shared_data: Path) -> None:
    wrist = shared_data / "wrist_biplane"
    poses = json.loads((wrist / "reference_poses.json").read_text())["poses"]
    radius = next(pose for pose in poses if pose["bone"].startswith("rad") and pose["frame"] == "0099")
    centre = np.array(radius["bone_to_world"])[:3, 3]
    beams = []
    for name in ("cam01", "cam02"):
        camera, pose = read_calibration(wrist / "calibration" / f"xr_calib_wrist_{name}.txt", (1760, 1760))
        assert pose is not None
        assert camera.contains(camera.project(transform_points(pose, centre[None]))).all()
        beams.append(pose[2, :3])
    angle = np.degrees(np.arccos(abs(beams[0] @ beams[1])))
    assert 60 < angle <= 90  # a biplane set-up
