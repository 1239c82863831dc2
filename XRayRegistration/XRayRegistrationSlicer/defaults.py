"""What the panel chooses for the user where the scene leaves hardly a choice."""

from __future__ import annotations

from typing import Any

import slicer
from DRRSimulatorSlicer import nodes
from DRRSimulatorSlicer.carm import CArm


def chooseInputs(parameterNode: Any) -> None:
    """Choose the first X-ray and the first CT of the scene, where none is chosen yet."""
    volumes = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if not node.IsA("vtkMRMLLabelMapVolumeNode")]
    with slicer.util.NodeModify(parameterNode):
        if parameterNode.xray is None:
            parameterNode.xray = next(filter(_isXRay, volumes), None)
        if parameterNode.ct is None:
            parameterNode.ct = next(filter(_isCT, volumes), None)


def _isXRay(node: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Whether it is one image, and not one that a registration put on a detector."""
    isImage = node.GetImageData() is not None and node.GetImageData().GetDimensions()[2] == 1
    return isImage and (nodes.hasGeometry(node) or CArm.find(node.GetParentTransformNode()) is None)


def _isCT(node: slicer.vtkMRMLScalarVolumeNode) -> bool:
    return node.GetImageData() is not None and min(node.GetImageData().GetDimensions()) > 1 and not node.IsA("vtkMRMLVectorVolumeNode")
