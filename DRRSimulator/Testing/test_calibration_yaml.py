"""Calibrations in OpenCV's YAML and as text, as other programs write them: OpenCV projects the same points to the same places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from DRRSimulatorLib.calibration import LONGEST_FILE, read_calibration
from DRRSimulatorLib.camera import transform_points
from DRRSimulatorLib.errors import InputError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

SIZE = (480, 640)
K = np.array([[2000.0, 0, 310.5], [0, 2010.25, 250], [0, 0, 1]])
R = Rotation.from_euler("xyz", (10, -35, 80), degrees=True).as_matrix()
T = np.array([3.5, -20.25, 912.123456789])
POINTS = np.random.default_rng(0).uniform(-80, 80, (20, 3))


def by_opencv(k: np.ndarray = K, r: np.ndarray = R, t: np.ndarray = T) -> np.ndarray:
    cv2 = pytest.importorskip("cv2")
    projected, _ = cv2.projectPoints(POINTS, cv2.Rodrigues(r)[0], t, k, None)
    return np.asarray(projected[:, 0])


def projected(path: Path, size: tuple[int, int] | None = SIZE) -> np.ndarray:
    camera, pose = read_calibration(path, size)
    assert pose is not None
    return camera.project(transform_points(pose, POINTS))


def write(folder: Path, text: str) -> Path:
    path = folder / "calibration.yml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("rotation", ["R", "rvec"])
@pytest.mark.parametrize("names", [("camera_matrix", "T"), ("cameraMatrix", "tvec"), ("K", "t"), ("M_unused", "translation")])
@pytest.mark.parametrize("size", ["apart", "together", "none"])
def test_what_opencv_writes_projects_as_opencv_does(tmp_path: Path, rotation: str, names: tuple[str, str], size: str) -> None:
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "written by OpenCV.yml"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    if size == "apart":
        storage.write("image_width", 640)
        storage.write("image_height", 480)
    elif size == "together":
        storage.write("image_size", np.array([[640, 480]]))
    storage.write("note", "board: 9x6, R of the rig")
    if names[0] == "M_unused":
        storage.write("M_unused", np.eye(4))
    storage.write("K" if names[0] == "M_unused" else names[0], K)
    storage.write("distortion_coefficients", np.zeros((1, 5)))
    storage.write(rotation, R if rotation == "R" else cv2.Rodrigues(R)[0])
    storage.write(names[1], T[:, None])
    storage.release()
    assert projected(path) == pytest.approx(by_opencv(), abs=1e-6)
    if size != "none":
        assert read_calibration(path)[0].image_size == SIZE


PLAIN = {
    "flow": "camera_matrix: [[2000, 0, 310.5], [0, 2010.25, 250], [0, 0, 1]]\nR: {r}\nt: {t}\nimage_size: [640, 480]\n",
    "one line of nine": "K: [2000, 0, 310.5, 0, 2010.25, 250, 0, 0, 1]  # of the detector\nrotation: {r}\ntranslation: {t}\n",
    "ROS": (
        "image_width: 640\nimage_height: 480\ncamera_name: c_arm\n"
        "camera_matrix:\n  rows: 3\n  cols: 3\n  data: [2000, 0, 310.5, 0, 2010.25,\n"
        "    250, 0, 0, 1]\ndistortion_model: plumb_bob\ndistortion_coefficients:\n  rows: 1\n  cols: 5\n  data: [0, 0, 0, 0, 0]\n"
        "R: {r}\nT: {t}\n"
    ),
    "OpenCV 2, lists over lines": (
        "%YAML:1.0\n---\ncamera_matrix: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n   data: [ 2.0000000000000000e+03, 0., 310.5,\n"
        "       0., 2.01025e+03, 250., 0., 0., 1. ]\nR: {r}\nT: {t}\n"
    ),
}


@pytest.mark.parametrize("form", PLAIN)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_plain_yaml_of_other_programs_projects_as_opencv_does(tmp_path: Path, form: str, ends: str) -> None:
    text = PLAIN[form].format(r=R.tolist(), t=T.tolist())
    path = tmp_path / "calibration.yaml"
    path.write_bytes(b"\xef\xbb\xbf" * (ends == "\r\n") + text.replace("\n", ends).encode())
    assert projected(path) == pytest.approx(by_opencv(), abs=1e-6)


@pytest.mark.parametrize("flow", [True, False, None])
@pytest.mark.parametrize("nested", [True, False])
def test_what_a_yaml_library_writes_is_read(tmp_path: Path, flow: bool | None, nested: bool) -> None:
    yaml = pytest.importorskip("yaml")
    matrix = {"rows": 3, "cols": 3, "data": K.ravel().tolist()} if nested else K.tolist()
    values = {"camera_matrix": matrix, "R": R.tolist(), "T": T.tolist(), "image_size": [640, 480]}
    if flow and nested:
        values = {name: value for name, value in values.items() if name != "camera_matrix"} | {"K": K.ravel().tolist()}
    text = "".join(yaml.safe_dump({name: value}, default_flow_style=flow).strip("{}\n ") + "\n" for name, value in values.items())
    assert projected(write(tmp_path, text)) == pytest.approx(by_opencv(), abs=1e-6)


GOOD = PLAIN["flow"].format(r=R.tolist(), t=T.tolist())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD + "dist_coeffs: [0.1, 0, 0, 0, 0]\n", "distortion"),
        (GOOD + "K: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\n", "twice"),
        (GOOD.replace("2010.25", "many"), "finite numbers"),
        (GOOD.replace("2010.25", ".nan"), "finite numbers"),
        (GOOD.replace("2010.25", "1e999"), "finite numbers"),
        (GOOD.replace("2010.25, 250", "2010.25"), "9 numbers"),
        (GOOD.replace("2010.25", "-2010.25"), "camera matrix"),
        (GOOD.replace("2000, 0,", "2000, 7,"), "skew"),
        (GOOD.replace("0, 0, 1]]", "0, 0, 2]]"), "0,0,1"),
        (GOOD.replace("camera_matrix", "cam"), "no section"),
        (GOOD.replace("[640, 480]", "[480, 640]"), "640 rows|480 rows"),
        (GOOD.replace("[640, 480]", "[640]"), "2 numbers"),
        (GOOD.replace("[640, 480]", "[1e30, 480]"), "rows"),
        (GOOD.replace("t: ", "x: "), "translation"),
        (GOOD.replace("R: [[", "R: [[1"), "rotation"),
        (GOOD.replace("R: ", "R: &a ").replace("t: ", "t: *a #"), "finite numbers"),
        (GOOD.replace("K: ", "") + "T: !!python/object/apply:os.system ['false']\n", "finite numbers|twice"),
        ("%YAML:1.0\n---\n", "no section"),
        ("camera_matrix:\n", "finite numbers"),
    ],
)
def test_what_cannot_be_used_of_yaml_is_refused_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_calibration(write(tmp_path, text), SIZE)


def test_a_file_too_long_for_a_calibration_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "#" * LONGEST_FILE)
    with pytest.raises(InputError, match="too long"):
        read_calibration(path)


XMALAB = "image size\n640,480\n\ncamera matrix\n2000,0,310.5\n0,2010.25,250\n0,0,1\n\nrotation\n{r}\n\ntranslation\n{t}\n"


@pytest.mark.parametrize(("separator", "ends"), [(",", "\n"), (", ", "\r\n"), (" ", "\n"), ("\t", "\r"), (",", "\n\n\n")])
def test_text_with_other_separators_and_line_ends_projects_as_opencv_does(tmp_path: Path, separator: str, ends: str) -> None:
    rotation = "\n".join(",".join(repr(float(value)) for value in row) for row in R)
    text = XMALAB.format(r=rotation, t="\n".join(repr(float(value)) for value in T))
    (tmp_path / "a.txt").write_bytes(text.replace(",", separator).replace("\n", ends).encode())
    assert projected(tmp_path / "a.txt") == pytest.approx(by_opencv(), abs=1e-6)


@pytest.mark.parametrize("name", ["cam01", "cam02"])
def test_the_wrists_calibrations_project_as_opencv_does(shared_data: Path, name: str) -> None:
    path = shared_data / "wrist_biplane" / "calibration" / f"xr_calib_wrist_{name}.txt"
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    rows = [list(map(float, line.split(","))) for line in lines if line[0] in "-0123456789"]
    expected = by_opencv(np.array(rows[1:4]), np.array(rows[4:7]), np.array(rows[7:10]))
    assert projected(path, (1760, 1760)) == pytest.approx(expected, abs=1e-3)  # the rotation is printed with 12 digits


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([GOOD, *PLAIN.values(), XMALAB]), st.data())
def test_a_damaged_calibration_is_read_or_refused_and_nothing_else(tmp_path: Path, text: str, data: st.DataObject) -> None:
    content = bytearray(text.format(r=R.tolist(), t=T.tolist()).encode() if "{r}" in text else text.encode())
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(
            st.one_of(st.binary(max_size=4), st.sampled_from([b"[", b"]", b":", b"- ", b"\n", b"1e", b".inf", b"camera_matrix:"]))
        )
        content[place : place + data.draw(st.integers(0, 6))] = piece
    path = tmp_path / "damaged"
    path.write_bytes(content)
    try:
        camera, pose = read_calibration(path, SIZE)
    except InputError as error:
        assert str(error).endswith(".")
        return
    assert camera.image_size == SIZE and (pose is None or np.isfinite(pose).all())
