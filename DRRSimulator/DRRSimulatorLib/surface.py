"""Closed triangle surfaces of bones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .bone import BoneLabels, occupancy
from .camera import FloatArray, transform_points


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed surface of triangles.

    Attributes:
        points: float32 (N, 3), RAS mm.
        triangles: int32 (M, 3), rows of `points`; seen from outside they run counter-clockwise.
    """

    points: npt.NDArray[np.float32]
    triangles: npt.NDArray[np.int32]

    def sample(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Random points (count, 3) on the surface, RAS mm, uniform by area (Osada et al., ACM Trans Graph 2002;21:807-832)."""
        corners = self.points[self.triangles].astype(np.float64)
        edges = corners[:, 1:] - corners[:, :1]
        areas = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
        chosen = rng.choice(len(areas), size=count, p=areas / areas.sum())
        r1, r2 = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
        a, b, c = np.moveaxis(corners[chosen], 1, 0)
        return (1 - r1) * a + r1 * (1 - r2) * b + r1 * r2 * c


def bone_surface(bones: BoneLabels, label: int | None = None) -> Surface:
    """The closed surface of one bone, or of all labels as one body (None): the 0.5 level of `occupancy`.

    Bones that the CT's edge cuts are closed there, half a voxel outside the last voxel centres.

    Raises:
        InputError: if the label does not occur.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    if label is None:
        bones, label = BoneLabels((bones.labels > 0).astype(np.uint8), bones.ijk_to_ras, {1: "bone"}), 1
    field = np.pad(occupancy(bones, label), 1)
    image = vtkImageData()
    image.SetDimensions(field.shape[::-1])
    image.SetOrigin(-1, -1, -1)  # the padding
    image.GetPointData().SetScalars(numpy_to_vtk(field.ravel()))
    contour = vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.5)
    contour.ComputeNormalsOff()
    contour.Update()
    polydata = contour.GetOutput()
    points = transform_points(bones.ijk_to_ras, vtk_to_numpy(polydata.GetPoints().GetData()))
    triangles = vtk_to_numpy(polydata.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    if np.linalg.det(bones.ijk_to_ras) < 0:
        triangles = triangles[:, ::-1]
    return Surface(points.astype(np.float32), np.ascontiguousarray(triangles, dtype=np.int32))


def surface_to_polydata(surface: Surface) -> Any:
    """The surface as vtkPolyData in RAS mm."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    points = vtkPoints()
    points.SetData(numpy_to_vtk(surface.points, deep=True))
    triangles = vtkCellArray()
    triangles.SetData(3, numpy_to_vtkIdTypeArray(surface.triangles.astype(np.int64).ravel(), deep=True))
    polydata = vtkPolyData()
    polydata.SetPoints(points)
    polydata.SetPolys(triangles)
    return polydata
