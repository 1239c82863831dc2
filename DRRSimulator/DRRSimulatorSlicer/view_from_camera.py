"""The view of a C-arm that looks as the camera of a 3D view does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from DRRSimulatorLib.camera import CArmView, transform_points
from DRRSimulatorLib.errors import InputError
from slicer.i18n import tr as _


def viewFromCamera(
    viewNode: slicer.vtkMRMLViewNode, ctNode: slicer.vtkMRMLScalarVolumeNode, pointRAS: npt.ArrayLike, sourceToIsocenter: float
) -> CArmView:
    """Direction and rotation are those of the 3D view's camera; its focal point comes to the central ray.

    Args:
        viewNode: the 3D view.
        ctNode: the CT.
        pointRAS: (3,) the point whose view is wanted, in the CT's own RAS, mm.
        sourceToIsocenter: distance of that point from the source, mm.

    Raises:
        InputError: if the view has no camera.
    """
    cameraNode = slicer.modules.cameras.logic().GetViewActiveCameraNode(viewNode)
    if cameraNode is None:
        raise InputError(_("The 3D view has no camera; open a layout that shows it."))
    worldToCT = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(None, ctNode.GetParentTransformNode(), worldToCT)
    camera = cameraNode.GetCamera()
    position, focalPoint = np.array(camera.GetPosition()), np.array(camera.GetFocalPoint())
    position, focalPoint, above = transform_points(
        slicer.util.arrayFromVTKMatrix(worldToCT), [position, focalPoint, position + camera.GetViewUp()]
    )
    beam = _unit(focalPoint - position)
    right = _unit(np.cross(beam, above - position))
    pose = np.eye(4)
    pose[:3, :3] = right, np.cross(beam, right), beam
    pose[:3, 3] = -pose[:3, :3] @ position
    return replace(CArmView.from_pose(pose, pointRAS), source_to_point_mm=sourceToIsocenter)


def _unit(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return vector / np.linalg.norm(vector)
