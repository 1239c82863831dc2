"""Export of a data set to plain files: 16-bit TIFF, float TIFF, JSON and STL, laid out as for SCR-Registration (Shrestha et al. 2023).

    FOLDER/
      README.md                                 what is here, and the source and licence of every CT
      VOL-<patient>/
        images/<view>.tiff                      uint16 (rows, columns): 50000 * intensity, open field 1, bone dark
        correspondences/<view>_entry.tiff       float32 (rows, columns, 3): world coordinates x, y, z in mm of the point where the pixel's
        correspondences/<view>_exit.tiff        ray enters and leaves the bone; a pixel is valid if none of the three is 0
        annotations/<view>.json                 camera and pose, see below
        <bone>_in_world_coordinate.stl          surface of the bone, binary STL, mm
        train.json, validation.json, test.json  lists of the views of each split, by name
        ct.nrrd, ct_labels.nrrd, ct_labels.json CT in HU, its bones, and the bones' names by label

Of a patient with several bones the correspondences are <view>_<bone>_entry.tiff and <view>_<bone>_exit.tiff. <view> is view_00012 for the
view of that number in the data set, counted from 0. The world is the CT's patient space, RAS.

An annotation has
    intrinsic      matrix: 3x3 K in pixels, pixel (0, 0) the centre of the top-left pixel; sensor-width and sensor-height in pixels;
                   pixel-size and source-to-detector-distance in mm
    extrinsic      4x4 from the world to the camera (origin at the source, x along columns, y along rows, z towards the detector), mm
    pad            0: pixels of the correspondences that the image lacks on each side
    vol-landmarks  {"<bone> centre": [x, y, z]}: mean of the points on the bone's surface, in the world, mm
    proj-landmarks {"<bone> centre": [column, row]}: the same in the image, which may lie beside the detector
    split, stratum, kilovolts, photons, ...: what the data set says of the view besides
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from DRRSimulatorLib.camera import Camera, FloatArray, transform_points
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import ShowProgress
from DRRSimulatorLib.surface import Surface, bone_surface, surface_to_polydata

from ..bone_files import write_bone_files
from .layout import SPLITS, VIEW_VALUES
from .selection import ChosenViews
from .stored import StoredPatient, scene_coordinates

ALMOST_ZERO_MM = 1e-6  # stands for a coordinate of exactly 0, which would mark the pixel as invalid


def export_scr(chosen: Sequence[ChosenViews], output: Path, show: ShowProgress) -> None:
    """Write views to a new folder; it gets its name when it is complete.

    Args:
        chosen: the views.
        output: the folder, which must not exist.
        show: is called after every view; what it raises ends the export and leaves nothing of it.

    Raises:
        InputError: if the folder exists or cannot be made, or a view is damaged.
    """
    with _new_folder(output) as folder:
        (folder / "README.md").write_text(_readme(chosen), encoding="utf-8")
        done = 0
        for views in chosen:
            place = folder / f"VOL-{views.patient.name}"
            landmarks = _write_patient(place, views)
            for number in views.numbers:
                _write_view(place, views.patient, number, landmarks)
                done += 1
                show(done, "")


def _write_patient(place: Path, views: ChosenViews) -> dict[str, FloatArray]:
    """Write what all views of a patient share; the centre (3,) of each bone, RAS mm."""
    for part in ("images", "correspondences", "annotations"):
        (place / part).mkdir(parents=True)
    patient, bones = views.patient, views.patient.bone_labels()
    write_bone_files(place, "ct", patient.ct(), bones)
    landmarks = {}
    for label, name in _file_names(patient.bones).items():
        surface = bone_surface(bones, label)
        _write_stl(place / f"{name}_in_world_coordinate.stl", surface)
        landmarks[f"{patient.bones[label]} centre"] = surface.points.mean(axis=0, dtype=np.float64)
    splits = patient.values("split")
    for split in SPLITS:
        _write_json(place / f"{split}.json", [_view_name(number) for number in views.numbers if splits[number] == split])
    return landmarks


def _write_view(place: Path, patient: StoredPatient, number: int, landmarks: dict[str, FloatArray]) -> None:
    camera, pose, name = patient.camera, patient.ras_to_camera[number], _view_name(number)
    _write_tiff(place / "images" / f"{name}.tiff", patient.read("image", number))
    bones = _file_names(patient.bones).values()
    coordinates = scene_coordinates(patient.read("depth", number), camera, pose)
    for bone, maps in zip(bones, coordinates, strict=True):
        stem = name if len(bones) == 1 else f"{name}_{bone}"
        for surface, points in zip(("entry", "exit"), maps, strict=True):
            _write_tiff(place / "correspondences" / f"{stem}_{surface}.tiff", _marked(points))
    centres = np.stack(list(landmarks.values()))
    annotation = {
        "intrinsic": _intrinsic(camera),
        "extrinsic": pose.tolist(),
        "pad": 0,
        "vol-landmarks": dict(zip(landmarks, centres.tolist(), strict=True)),
        "proj-landmarks": dict(zip(landmarks, camera.project(transform_points(pose, centres)).tolist(), strict=True)),
        **{value: patient.values(value)[number].item() for value in VIEW_VALUES},
    }
    _write_json(place / "annotations" / f"{name}.json", annotation)


def _intrinsic(camera: Camera) -> dict[str, Any]:
    rows, columns = camera.image_size
    return {
        "matrix": camera.matrix.tolist(),
        "sensor-width": columns,
        "sensor-height": rows,
        "pixel-size": camera.pixel_spacing[0],
        "source-to-detector-distance": camera.source_to_detector_distance,
    }


def _marked(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Points (3, rows, columns), NaN off bone, as (rows, columns, 3) with 0 off bone and nowhere else."""
    points = np.moveaxis(np.where(points == 0, np.float32(ALMOST_ZERO_MM), points), 0, -1)
    return np.nan_to_num(points, nan=0.0)


def _view_name(number: int) -> str:
    return f"view_{number:05d}"


def _file_names(bones: dict[int, str]) -> dict[int, str]:
    """For each label its bone's name as a part of a file's name; with the label where two would be the same."""
    names = {label: re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or f"label_{label}" for label, name in bones.items()}
    lower = [name.lower() for name in names.values()]
    return {label: name if lower.count(name.lower()) == 1 else f"{name}_{label}" for label, name in names.items()}


def _write_tiff(path: Path, pixels: npt.NDArray[Any]) -> None:
    """Write (rows, columns) or (rows, columns, 3), compressed without loss in a way that all readers know."""
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(path))
    writer.UseCompressionOn()
    writer.SetCompressor("Deflate")
    writer.Execute(sitk.GetImageFromArray(pixels, isVector=pixels.ndim == 3))


def _write_stl(path: Path, surface: Surface) -> None:
    from vtkmodules.vtkIOGeometry import vtkSTLWriter

    writer = vtkSTLWriter()
    writer.SetInputData(surface_to_polydata(surface))
    writer.SetFileName(str(path))
    writer.SetFileTypeToBinary()
    if not writer.Write():
        raise InputError(f"{path} cannot be written; is the disk full?")


def _write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, indent=1, allow_nan=False), encoding="utf-8")


def _readme(chosen: Sequence[ChosenViews]) -> str:
    assert __doc__
    patients = [
        f"- {views.patient.name}: {len(views.numbers)} views; bones: {', '.join(views.patient.bones.values())}; "
        f"source: {views.patient.attributes.get('source', 'not stated')}; "
        f"licence: {views.patient.attributes.get('licence', 'not stated')}"
        for views in chosen
    ]
    return "\n".join(
        ["# Simulated X-rays with scene coordinates", "", "```text", __doc__.strip(), "```", "", "## Patients", "", *patients, ""]
    )


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path` to write to, and rename it to `path` when the block ends well; else remove it."""
    if path.exists():
        raise InputError(f"{path} exists already; choose another place for the export, or remove it first.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; create it or choose another place for {path.name}.")
    temporary = path.with_name(f".{path.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)  # what is left of an export that was killed
    temporary.mkdir()
    try:
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # RuntimeError: SimpleITK's
        raise InputError(f"The export to {path} failed, and nothing is left of it: {str(error).strip().splitlines()[-1]}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
