"""Camera calibrations measured outside of the DICOM header."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .calibration_yaml import is_yaml, parse_yaml
from .camera import Camera, FloatArray, is_rigid, load_view
from .errors import InputError

LONGEST_FILE = 2**20  # bytes; calibrations have a thousandth of it
_SHAPES = {"image size": (1, 2), "camera matrix": (3, 3), "rotation": (3, 3), "translation": (3, 1)}


def read_calibration(path: Path | str, image_size: tuple[int, int] | None = None) -> tuple[Camera, FloatArray | None]:
    """Camera of an X-ray, and its pose where the file holds one.

    Three formats are read: the JSON of `DRRSimulatorLib.camera.save_view`; the text of XMALab and Autoscoper ("MayaCam 2.0"):
    the sections "image size" (width, height), "camera matrix" K, "rotation" R and "translation" t, where
    x_camera = R x_world + t in mm, (column, row, 1) ~ K x_camera, and whole pixel positions are pixel centres; and the same in
    OpenCV's YAML, see `calibration_yaml.parse_yaml`.

    Args:
        path: the file.
        image_size: (rows, columns) of the X-ray; needed where the file does not tell it, else it must agree. It also settles the
            order of the text's image size, which Autoscoper documents as height, width.

    Returns:
        The camera and the 4x4 pose from the calibration's world (RAS in our JSON) to the camera, mm; None without a pose.

    Raises:
        InputError: if the file is missing or malformed; the message names the section.
    """
    path = Path(path)
    _check_length(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The calibration file {path} cannot be read as text; give a camera's JSON or an XMALab calibration.") from error
    if text.lstrip().startswith("{"):
        camera, pose = load_view(path)
        if image_size not in (None, camera.image_size):
            raise _wrong_size(path, camera.image_size, image_size)
        return camera, pose
    yaml = is_yaml(text)
    sections = parse_yaml(text, path) if yaml else _parse(text, path)
    if "camera matrix" not in sections:
        raise InputError(
            f'The calibration file {path} has no section "camera matrix"; give a camera\'s JSON, an XMALab calibration or OpenCV YAML.'
        )
    matrix = sections["camera matrix"]
    if not np.array_equal(matrix[2], (0, 0, 1)):
        raise InputError(f'The section "camera matrix" of the calibration file {path} must end with the line 0,0,1; correct it.')
    size = _image_size(sections, image_size, path)
    if yaml and "image size" in sections and size != (sections["image size"][0, 1], sections["image size"][0, 0]):
        raise _wrong_size(path, size[::-1], size)  # only the order of the text is uncertain
    return Camera.from_matrix(matrix, size), _pose(sections, path)


def _check_length(path: Path) -> None:
    if path.is_file() and path.stat().st_size > LONGEST_FILE:
        raise InputError(f"The file {path} is too long for a calibration; give a camera's JSON, or calibration text or YAML.")


def _parse(text: str, path: Path) -> dict[str, FloatArray]:
    """Sections of the text: a title line, then lines of numbers."""
    lines: dict[str, list[str]] = {}
    title = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.lower() in _SHAPES:
            title = line.lower()
            if title in lines:
                raise InputError(f'The calibration file {path} has the section "{title}" twice; keep one.')
            lines[title] = []
        elif title:
            lines[title].append(line)
        else:
            raise InputError(f'The calibration file {path} does not begin with a section such as "image size"; it may be another format.')
    return {title: _numbers(title, rows, path) for title, rows in lines.items()}


def _numbers(title: str, lines: list[str], path: Path) -> FloatArray:
    shape = _SHAPES[title]
    try:
        values = np.array([[float(word) for word in line.replace(",", " ").split()] for line in lines])
    except ValueError:  # no number, or lines of different lengths
        values = np.empty(0)
    if values.shape != shape or not np.isfinite(values).all():
        raise InputError(
            f'The section "{title}" of the calibration file {path} must be {shape[0]} lines of {shape[1]} finite numbers; correct it.'
        )
    return values


def _image_size(sections: dict[str, FloatArray], expected: tuple[int, int] | None, path: Path) -> tuple[int, int]:
    """(rows, columns)."""
    if "image size" not in sections:
        if expected is None:
            raise InputError(f'The calibration file {path} has no section "image size"; add it as width,height.')
        return expected
    width, height = sections["image size"][0]
    if min(width, height) < 1 or width % 1 or height % 1:
        raise InputError(f'The section "image size" of the calibration file {path} must be two whole numbers of pixels; correct it.')
    size = (int(height), int(width))
    if expected is not None and expected not in (size, size[::-1]):
        raise _wrong_size(path, size, expected)
    return expected or size


def _pose(sections: dict[str, FloatArray], path: Path) -> FloatArray | None:
    missing = {"rotation", "translation"} - set(sections)
    if len(missing) == 2:
        return None
    if missing:
        raise InputError(f'The calibration file {path} has no section "{missing.pop()}"; a pose needs rotation and translation.')
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3:] = sections["rotation"], sections["translation"]
    if not is_rigid(pose, tolerance=1e-3):
        raise InputError(f'The section "rotation" of the calibration file {path} is not a rotation matrix; correct it.')
    u, _, vt = np.linalg.svd(pose[:3, :3])  # the nearest exact rotation: printed digits are rounded
    pose[:3, :3] = u @ vt
    return pose


def _wrong_size(path: Path, size: tuple[int, int], expected: tuple[int, int]) -> InputError:
    return InputError(
        f"The calibration {path} is for {size[0]} rows of {size[1]} pixels, but the X-ray has {expected[0]} rows of {expected[1]}; "
        "use the calibration of this X-ray."
    )
