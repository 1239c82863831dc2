"""Calibrations in OpenCV's YAML, as cv2.FileStorage writes it or plain, read without a YAML library: numbers by name, nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from .camera import FloatArray
from .errors import InputError

# What calibration programs call the entries, in small letters without underscores.
_NAMES = {
    "camera matrix": ("cameramatrix", "intrinsicmatrix", "k"),
    "rotation": ("rotation", "rotationmatrix", "rvec", "r"),
    "translation": ("translation", "tvec", "t"),
    "image size": ("imagesize",),
    "width": ("imagewidth", "width"),
    "height": ("imageheight", "height"),
    "distortion": ("distortioncoefficients", "distcoeffs", "distortion", "d"),
}
_COMMENT = re.compile(r"(?<!\S)#.*")
_ENTRY = re.compile(r"^([A-Za-z]\w*)[ \t]*:", re.MULTILINE)  # a name at the beginning of a line; nested ones are indented
_DATA = re.compile(r"\bdata[ \t]*:(.*?)(?=^[ \t]*\w+[ \t]*:|\Z)", re.MULTILINE | re.DOTALL)  # of a matrix with rows, cols and type
_PUNCTUATION = re.compile(r"[\[\],]|(?<=\s)-(?=\s)|^-(?=\s)")  # of lists, in one line or in many


def is_yaml(text: str) -> bool:
    """Whether a calibration's text is YAML and not titles with lines of numbers."""
    return text.lstrip().startswith(("%YAML", "---")) or _ENTRY.search(text) is not None


def parse_yaml(text: str, path: Path) -> dict[str, FloatArray]:
    """The sections of a calibration in YAML.

    A camera matrix is nine numbers, a rotation nine or a Rodrigues vector of three, a translation three; the image's size stands as
    width and height, together or each by itself. Other entries are passed over.

    Args:
        text: of the file.
        path: for messages.

    Returns:
        Arrays by section: "camera matrix" (3, 3), "rotation" (3, 3), "translation" (3, 1), "image size" (1, 2) as width, height.

    Raises:
        InputError: if an entry is not of such numbers, stands there twice, or tells a distortion, which X-ray cameras here do not have.
    """
    found: dict[str, FloatArray] = {}
    text = _COMMENT.sub("", text)
    entries = list(_ENTRY.finditer(text))
    starts = [*(entry.start() for entry in entries), len(text)]
    for entry, end in zip(entries, starts[1:], strict=True):
        name = entry.group(1).lower().replace("_", "")
        section = next((section for section, names in _NAMES.items() if name in names), None)
        if section is None:
            continue
        if section in found:
            raise InputError(f'The calibration file {path} has the entry "{entry.group(1)}" twice, or under two names; keep one.')
        found[section] = _numbers(text[entry.end() : end], entry.group(1), path)
    if np.any(found.pop("distortion", np.zeros(1))):
        raise InputError(
            f"The calibration file {path} tells a distortion, which cannot be used; remove it from the X-ray with cv2.undistort, and "
            "from the file by zeros."
        )
    return _shaped(found, path)


def _numbers(text: str, name: str, path: Path) -> FloatArray:
    data = _DATA.search(text)
    words = _PUNCTUATION.sub(" ", data.group(1) if data else text.replace("!!opencv-matrix", "")).split()
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        values = np.empty(0)
    if not len(values) or not np.isfinite(values).all():
        raise InputError(f'The entry "{name}" of the calibration file {path} must be finite numbers; correct it.')
    return values


def _shaped(found: dict[str, FloatArray], path: Path) -> dict[str, FloatArray]:
    from scipy.spatial.transform import Rotation

    if "width" in found and "height" in found:
        found["image size"] = np.concatenate([found.pop("width"), found.pop("height")])
    if len(found.get("rotation", ())) == 3:
        found["rotation"] = Rotation.from_rotvec(found["rotation"]).as_matrix().ravel()
    sections: dict[str, FloatArray] = {}
    for section, shape in (("camera matrix", (3, 3)), ("rotation", (3, 3)), ("translation", (3, 1)), ("image size", (1, 2))):
        if section not in found:
            continue
        if len(found[section]) != shape[0] * shape[1]:
            raise InputError(f'The "{section}" of the calibration file {path} must be {shape[0] * shape[1]} numbers; correct it.')
        sections[section] = found[section].reshape(shape)
    return sections
