"""The border of an X-ray's exposed field, drawn over the X-ray."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from slicer.i18n import tr as _

BORDER_COLOR = (0.2, 0.9, 1.0)


def drawBorder(
    node: slicer.vtkMRMLModelNode | None, field: npt.NDArray[np.bool_], volumeNode: slicer.vtkMRMLVolumeNode
) -> slicer.vtkMRMLModelNode:
    """Draw the border of a field on the volume that shows the X-ray.

    Args:
        node: to draw into; None for a new one, which is not saved with the scene.
        field: bool [row, column], pixels of the volume.
        volumeNode: of one slice.
    """
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", _("exposed field"))
        node.SetSaveWithScene(False)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetColor(*BORDER_COLOR)
        display.SetLineWidth(2)
        display.SetLighting(False)
        display.SetVisibility2D(True)
        # The lines lie in the plane of the slice, where there is nothing to intersect.
        display.SetSliceDisplayModeToProjection()
    toRAS = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(toRAS)
    transform = vtk.vtkTransform()
    transform.SetMatrix(toRAS)
    placed = vtk.vtkTransformPolyDataFilter()
    placed.SetTransform(transform)
    placed.SetInputData(_contour(field))
    placed.Update()
    node.SetAndObservePolyData(placed.GetOutput())
    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    return node


def _contour(field: npt.NDArray[np.bool_]) -> vtk.vtkPolyData:
    """Border lines in pixels (column, row, 0); none where the field is the whole image."""
    from vtk.util.numpy_support import numpy_to_vtk

    rows, columns = field.shape
    image = vtk.vtkImageData()
    image.SetDimensions(columns, rows, 1)
    image.GetPointData().SetScalars(numpy_to_vtk(field.astype(np.uint8).ravel(), deep=True))
    contour = vtk.vtkFlyingEdges2D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.5)
    contour.ComputeScalarsOff()
    contour.Update()
    return contour.GetOutput()
