"""Nodes to test with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation


def add_volume(pixels: npt.NDArray[Any], class_name: str = "vtkMRMLScalarVolumeNode", ijk_to_ras: npt.ArrayLike | None = None) -> Any:
    """A volume node of an array [k, j, i] or [k, j, i, component]."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass(class_name, "image")
    slicer.util.updateVolumeFromArray(node, pixels)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.eye(4) if ijk_to_ras is None else np.asarray(ijk_to_ras)))
    return node


def add_transform(matrix: npt.NDArray[Any], parent: Any = None) -> Any:
    """A linear transform node, maybe under another."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "transform")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    if parent is not None:
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def to_world(node: Any) -> npt.NDArray[np.float64]:
    """4x4 from a node's own coordinates to RAS."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    if node.GetParentTransformNode() is not None:
        node.GetParentTransformNode().GetMatrixTransformToWorld(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def rigid(angles: tuple[float, float, float], shift: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    """4x4 of rotations about x, y and z in degrees, then a shift in mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix
