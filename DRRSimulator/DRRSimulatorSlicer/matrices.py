"""Matrices of nodes as arrays, 4x4, float64, mm."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.errors import InputError
from slicer.i18n import tr as _


def ijkToRASMatrix(volumeNode: slicer.vtkMRMLVolumeNode) -> FloatArray:
    """From a volume's voxel (i, j, k, 1) to its own RAS."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def toParentMatrix(transformNode: slicer.vtkMRMLTransformNode) -> FloatArray:
    """From the coordinates of what is under a linear transform to those of its parent."""
    matrix = vtk.vtkMatrix4x4()
    transformNode.GetMatrixTransformToParent(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def toWorldMatrix(transformNode: slicer.vtkMRMLTransformNode) -> FloatArray:
    """From the coordinates of what is under a linear transform to RAS, through all its parents."""
    matrix = vtk.vtkMatrix4x4()
    transformNode.GetMatrixTransformToWorld(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def matrixBetween(source: slicer.vtkMRMLTransformableNode, target: slicer.vtkMRMLTransformableNode) -> FloatArray:
    """From one node's own coordinates to another's.

    Raises:
        InputError: if a transform between them is not linear.
    """
    matrix = vtk.vtkMatrix4x4()
    between = slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes
    if not between(source.GetParentTransformNode(), target.GetParentTransformNode(), matrix):
        raise InputError(
            _("{source} is bent against {target} by a transform that is not linear; harden the transform first.").format(
                source=source.GetName(), target=target.GetName()
            )
        )
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))
