"""The X-rays of one patient from files, each with its camera, and where the cameras are to each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from DRRSimulatorLib.calibration import read_calibration
from DRRSimulatorLib.camera import Camera, FloatArray, invert_pose, is_rigid
from DRRSimulatorLib.errors import InputError

from .exposed_field import Polarity
from .orientation import AS_SEEN, Orientation
from .view import View
from .xray import XRay, read_xray


def read_views(
    xrays: Sequence[Path],
    cameras: Sequence[Path],
    polarity: Polarity | None = None,
    geometry: tuple[float, float] | None = None,
    frame: int | None = None,
    orientation: Orientation = AS_SEEN,
) -> tuple[list[View], FloatArray | None]:
    """Read X-rays with their cameras.

    An X-ray's camera comes from its camera file; without one from the geometry given, or from the X-ray's own DICOM header.

    A calibration text tells where the camera stands in the calibration's world: this world is the rig. The JSON of a simulated
    X-ray tells where the camera stands to the patient. That is what a registration looks for and must not know, so the rig is the
    first X-ray's camera, and only the cameras' places to each other are taken from the poses; they also give the true pose, to compare
    with.

    Args:
        xrays: image files.
        cameras: a file for each X-ray in the same order, JSON of `save_view` (*.json) or calibration text; or none.
        polarity: of all X-rays; None = from the file, or guessed.
        geometry: source-to-detector distance and pixel spacing at the detector, mm, of a single X-ray whose principal point is its middle.
        frame: of DICOM files with several, from 0; None = the first.
        orientation: how all X-rays are stored; it is undone. Camera files are those of the images as the source sees the patient.

    Returns:
        The views, and the true 4x4 ras_to_rig where the camera files tell it.

    Raises:
        InputError: if a file cannot be used, an X-ray's camera is unknown, or several cameras' places to each other are.
    """
    if cameras and len(cameras) != len(xrays):
        raise InputError(f"There are {len(xrays)} X-rays but {len(cameras)} camera files; give one for each X-ray, in the same order.")
    if cameras and geometry:
        raise InputError("Give either camera files, or the source-to-detector distance and the pixel spacing; not both.")
    images = [read_xray(path, polarity, frame, orientation) for path in xrays]
    if not cameras:
        if len(images) > 1:
            raise InputError("Several X-rays need a camera file each, which tells where the cameras are to each other; use --camera.")
        return [View(images[0], _own_camera(images[0], xrays[0], geometry))], None
    placed, truth = read_rig(cameras, [image.image_size for image in images])
    return [View(image, camera, rig_to_camera) for image, (camera, rig_to_camera) in zip(images, placed, strict=True)], truth


def read_rig(cameras: Sequence[Path], image_sizes: Sequence[tuple[int, int]]) -> tuple[list[tuple[Camera, FloatArray]], FloatArray | None]:
    """Read the cameras of X-rays and where they are to each other; see `read_views`.

    Args:
        cameras: a file for each X-ray.
        image_sizes: (rows, columns) of each X-ray.

    Returns:
        Each camera with its 4x4 rig_to_camera, and the true 4x4 ras_to_rig where the files tell it.

    Raises:
        InputError: if a file cannot be used, or it is unknown where several cameras are to each other.
    """
    calibrations = [read_calibration(path, size) for path, size in zip(cameras, image_sizes, strict=True)]
    known = [pose for _, pose in calibrations if pose is not None]
    if len(known) < len(cameras) and len(cameras) > 1:
        raise InputError("A camera file tells no pose, so where the cameras are to each other is unknown; give files with poses.")
    simulated = [path.suffix.lower() == ".json" for path in cameras]
    if any(simulated) and not all(simulated):
        raise InputError("Camera JSON and calibration texts speak of different worlds; give all cameras in one format.")
    if not known:
        return [(calibrations[0][0], np.eye(4))], None
    truth = known[0] if all(simulated) else None
    world_to_rig = np.eye(4) if truth is None else truth
    return [(camera, pose @ invert_pose(world_to_rig)) for (camera, _), pose in zip(calibrations, known, strict=True)], truth


def read_start(path: Path, views: Sequence[View]) -> FloatArray:
    """Read the pose that a refinement starts from.

    Args:
        path: JSON with the first X-ray's 4x4 ras_to_camera, such as a view of `save_view`, or the result.json of a registration of the
            same X-rays.
        views: the X-rays.

    Returns:
        4x4 ras_to_rig.

    Raises:
        InputError: if the file has no such pose.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        first = values["views"][0] if "views" in values else values
        pose = np.asarray(first["ras_to_camera"], dtype=np.float64)
    except (OSError, ValueError, RecursionError, LookupError, TypeError, OverflowError) as error:
        raise InputError(
            f"{path} holds no pose to start from; give a JSON file with ras_to_camera, or a result.json. Reading it failed with: {error!r}."
        ) from error
    if not is_rigid(pose):
        raise InputError(f"The pose in {path} is not a rigid 4x4 transform (rotation and translation).")
    return invert_pose(views[0].rig_to_camera) @ pose


def _own_camera(xray: XRay, path: Path, geometry: tuple[float, float] | None) -> Camera:
    if geometry:
        return Camera.centred(*geometry, xray.image_size)
    if xray.camera is None:
        told = f" {xray.known_geometry}" if xray.known_geometry else ""
        raise InputError(
            f"{path.name} does not tell its geometry; give a camera file with --camera, or the source-to-detector distance and the "
            f"pixel spacing at the detector with --sdd and --pixel-spacing, in mm.{told}"
        )
    return xray.camera
