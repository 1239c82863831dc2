"""The bone that an X-ray shows, as the network sees it: a partial point cloud in RAS; and polygonal data as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from DRRSimulatorLib.files import atomic_path

from .register import Registration


def point_cloud(registration: Registration) -> Any:
    """The correspondences that agree with the pose, as vtkPolyData in RAS mm; without points where no model was used.

    Its point arrays are `sigma_mm`, the standard deviation along each axis; `surface`, 0 where a ray enters the bone and 1 where it
    leaves it; and `view`, the number of the X-ray from 1.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    estimate = registration.estimate
    views = list(zip(registration.correspondences, estimate.inliers, strict=True)) if estimate else []
    positions = np.concatenate([np.empty((0, 3)), *(view.points_ras[inliers] for view, inliers in views)]).astype(np.float32)
    surface = np.concatenate([np.empty(0), *(np.flatnonzero(inliers) % 2 for _, inliers in views)])  # entry, exit, entry, ...
    arrays = {
        "sigma_mm": np.concatenate([np.empty(0), *(view.sigma_mm[inliers] for view, inliers in views)]).astype(np.float32),
        "surface": surface.astype(np.uint8),
        "view": np.repeat(np.arange(len(views)) + 1, [inliers.sum() for _, inliers in views]).astype(np.uint8),
    }
    points, vertices, cloud = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(positions, deep=True))
    vertices.SetData(1, numpy_to_vtkIdTypeArray(np.arange(len(positions), dtype=np.int64), deep=True))
    cloud.SetPoints(points)
    cloud.SetVerts(vertices)
    for name, values in arrays.items():
        array = numpy_to_vtk(values, deep=True)
        array.SetName(name)
        cloud.GetPointData().AddArray(array)
    cloud.GetPointData().SetActiveScalars("sigma_mm")
    return cloud


def write_polydata(path: Path, polydata: Any) -> None:
    """Write vtkPolyData in RAS mm as a .vtp file that tells its coordinate system the way Slicer does; else Slicer reads it as LPS."""
    from vtkmodules.vtkCommonCore import vtkStringArray
    from vtkmodules.vtkCommonDataModel import vtkPolyData
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    space = vtkStringArray()
    space.SetName("SPACE")
    space.InsertNextValue("RAS")
    labelled = vtkPolyData()
    labelled.ShallowCopy(polydata)
    labelled.GetFieldData().AddArray(space)
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(labelled)
    writer.WriteToOutputStringOn()  # as it does not tell when the disk is full
    writer.Write()
    with atomic_path(path) as temporary:
        temporary.write_text(writer.GetOutputString(), encoding="utf-8")
