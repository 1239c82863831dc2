"""The geometry and the view of the panel's parameter node as the library's types and back."""

from __future__ import annotations

from typing import Any

import slicer
from DRRSimulatorLib.camera import Camera, CArmView


def cameraOf(parameterNode: Any) -> Camera:
    """The camera that the parameters describe; its principal point is stored as its place beside the image's middle."""
    rows, columns = parameterNode.rows, parameterNode.columns
    principalPoint = (columns - 1) / 2 + parameterNode.principalOffsetX, (rows - 1) / 2 + parameterNode.principalOffsetY
    spacing = parameterNode.pixelSpacingX, parameterNode.pixelSpacingY
    return Camera(parameterNode.sourceToDetector, spacing, (rows, columns), principalPoint)


def setCamera(parameterNode: Any, camera: Camera) -> None:
    """Store a camera in the parameters.

    Raises:
        ValueError: if a number is outside the range of its parameter; the parameters may be changed in part.
    """
    rows, columns = camera.image_size
    with slicer.util.NodeModify(parameterNode):
        parameterNode.sourceToDetector = float(camera.source_to_detector_distance)
        parameterNode.rows, parameterNode.columns = int(rows), int(columns)
        parameterNode.pixelSpacingX, parameterNode.pixelSpacingY = map(float, camera.pixel_spacing)
        parameterNode.principalOffsetX = float(camera.principal_point[0] - (columns - 1) / 2)
        parameterNode.principalOffsetY = float(camera.principal_point[1] - (rows - 1) / 2)


def viewOf(parameterNode: Any) -> CArmView:
    """The view that the parameters describe."""
    offset = parameterNode.offsetX, parameterNode.offsetY
    return CArmView(parameterNode.primary, parameterNode.secondary, parameterNode.roll, offset, parameterNode.sourceToIsocenter)


def setView(parameterNode: Any, view: CArmView) -> None:
    """Store the angles and the offsets of a view; the distance to the isocenter stays that of the C-arm.

    Raises:
        ValueError: if an offset is outside the range of its parameter; the parameters may be changed in part.
    """
    with slicer.util.NodeModify(parameterNode):
        parameterNode.primary = float(view.primary_deg)
        parameterNode.secondary = float(view.secondary_deg)
        parameterNode.roll = float(view.roll_deg)
        parameterNode.offsetX, parameterNode.offsetY = map(float, view.offset_mm)
