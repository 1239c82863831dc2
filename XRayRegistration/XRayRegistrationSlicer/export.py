"""A result as files. They are made from the scene, so a result that was saved and opened again gives the same ones."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import slicer
import vtk
from DRRSimulatorLib.camera import FloatArray, save_view
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.files import atomic_path
from DRRSimulatorSlicer.carm import CArm
from slicer.i18n import tr as _
from XRayRegistrationLib.overlay import overlay_panels, write_panels
from XRayRegistrationLib.point_cloud import write_polydata
from XRayRegistrationLib.result_files import RESEARCH_USE
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay

from .drawing import DRR_ROLE, OUTLINE_ROLE
from .references import referenced
from .result import RegistrationResult

Writer = Callable[[Path], Any]


def exportResult(result: RegistrationResult, folder: Path) -> list[Path]:
    """Write a result as it is now; see `XRayRegistrationLogic.exportResult`."""
    return prepareExport(result, folder)()


def prepareExport(result: RegistrationResult, folder: Path) -> Callable[[], list[Path]]:
    """Write of a result what the scene itself has to write, and collect the rest.

    Returns:
        A function that writes the rest and returns all files; it may run in another thread.

    Raises:
        InputError: if the folder is a file.
        OSError: if a file cannot be written.
    """
    requireNoFile(folder)
    folder.mkdir(parents=True, exist_ok=True)
    scene: dict[str, Writer] = {"numbers.csv": partial(_writeTable, result.table), "scene.mrb": _writeScene}
    rest: dict[str, Writer] = {}
    for number, (carm, view) in enumerate(zip(result.carms, result.views(), strict=True), start=1):
        scene[f"camera_{number}.h5"] = partial(_writeTransform, carm.transformNode)
        rest[f"camera_{number}.json"] = partial(save_view, camera=carm.camera(), ras_to_camera=carm.pose())
        rest[f"overlay_{number}.png"] = _pictureWriter(carm, view, _caption(result, number - 1))
    if result.pointCloud is not None:
        cloud = vtk.vtkPolyData()
        cloud.DeepCopy(result.pointCloud.GetPolyData())
        rest["point_cloud.vtp"] = partial(write_polydata, polydata=cloud)
    rest["result.json"] = partial(_writeNumbers, exportedNumbers(result))
    written = _writeFiles(folder, scene)
    return lambda: [*written, *_writeFiles(folder, rest)]


def requireNoFile(folder: Path) -> None:
    """Refuse a file where a folder to write into is meant.

    Raises:
        InputError: then.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(_("{folder} is a file; choose a folder.").format(folder=folder))


def _writeFiles(folder: Path, writers: dict[str, Writer]) -> list[Path]:
    for name, write in writers.items():
        with atomic_path(folder / name) as temporary:
            write(temporary)
    return [folder / name for name in writers]


def exportedNumbers(result: RegistrationResult) -> dict[str, Any]:
    """The numbers of a result with the poses that its cameras have now, values for JSON."""
    numbers = result.numbers
    if result.movedByHand():
        numbers["registered_ras_to_rig"] = numbers["ras_to_rig"]
        numbers["ras_to_rig"] = result.rasToRig().tolist()
        for view, carm in zip(numbers["views"], result.carms, strict=True):
            view["ras_to_camera"] = carm.pose().tolist()
    return numbers | {"verdict": asdict(result.verdict)}


def _caption(result: RegistrationResult, view: int) -> str:
    return f"{result.numbers['views'][view]['xray']}: {result.verdict.level}. {RESEARCH_USE}"


def _writeTransform(node: slicer.vtkMRMLLinearTransformNode, path: Path) -> None:
    """From the camera to the CT's own RAS; in the file, as ITK has it, the inverse in LPS."""
    _require(slicer.util.exportNode(node, str(path), {}), path)  # {}: its default remembers the format of the last file


def _pictureWriter(carm: CArm, view: View, caption: str) -> Writer:
    """What draws the X-ray with outline and DRR, from copies of them."""
    contours = [line for model in referenced(carm.transformNode, OUTLINE_ROLE) for line in _lines(model)]
    drr = slicer.util.arrayFromVolume(carm.node(DRR_ROLE))[0].copy()
    camera = carm.camera()

    def write(path: Path) -> None:
        image = View(XRay.from_pixels(drr, view.xray.polarity), camera.resized(drr.shape)).image
        write_panels(path, view, overlay_panels(view, [camera.project(line) for line in contours], image), caption)

    return write


def _lines(model: slicer.vtkMRMLModelNode) -> list[FloatArray]:
    """The lines (N, 3) of a model."""
    from vtk.util.numpy_support import vtk_to_numpy

    polydata = model.GetPolyData()
    if polydata.GetNumberOfLines() == 0:
        return []
    points, lines = vtk_to_numpy(polydata.GetPoints().GetData()), polydata.GetLines()
    ends = vtk_to_numpy(lines.GetOffsetsArray())[1:-1]
    return [points[ids].astype(np.float64) for ids in np.split(vtk_to_numpy(lines.GetConnectivityArray()), ends)]


def _writeTable(table: slicer.vtkMRMLTableNode, path: Path) -> None:
    columns = range(table.GetNumberOfColumns())
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([table.GetColumnName(column) for column in columns])
        writer.writerows([table.GetCellText(row, column) for column in columns] for row in range(table.GetNumberOfRows()))


def _writeNumbers(numbers: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(numbers, indent=1, allow_nan=False), encoding="utf-8")


def _writeScene(path: Path) -> None:
    """The whole scene; the bundle's folder inside is named like the file that is written."""
    with TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        bundle = Path(folder, "scene.mrb")
        _require(slicer.util.saveScene(str(bundle), {}), bundle)
        bundle.replace(path)


def _require(written: bool, path: Path) -> None:
    if not written:
        raise OSError(_("{file} could not be written; see the error log.").format(file=path))
