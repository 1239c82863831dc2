"""Where an X-ray's camera stands in the scene before a registration: where one left it, or where the user has put it."""

from __future__ import annotations

import slicer
from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.errors import InputError
from DRRSimulatorSlicer.carm import CArm
from slicer.i18n import tr as _

from .results import findResult


def cameraOf(xrayNode: slicer.vtkMRMLVolumeNode) -> CArm | None:
    """The camera of an X-ray's result, else the C-arm under whose transform the X-ray lies; None where there is neither."""
    result = findResult(xrayNode)
    if result is not None:
        return next(carm for carm, node in zip(result.carms, result.xrayNodes, strict=True) if node is xrayNode)
    return CArm.find(xrayNode.GetParentTransformNode())


def positionOf(xrayNode: slicer.vtkMRMLVolumeNode, ctNode: slicer.vtkMRMLScalarVolumeNode) -> FloatArray:
    """4x4 from a CT's own RAS to the camera of an X-ray, where that stands now.

    Raises:
        InputError: if the X-ray has no camera in the scene, or its transform was made to scale or shear.
    """
    carm = cameraOf(xrayNode)
    if carm is None:
        raise InputError(_("{name} has no camera in the scene to start from.").format(name=xrayNode.GetName()))
    return carm.pose()
