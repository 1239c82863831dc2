"""The nodes of one X-ray camera: where it is, its detector, its beam and the images on its detector.

All that is known of a camera is kept in the scene: its pose is the matrix of a linear transform from camera coordinates to the CT's
RAS, its intrinsic geometry an attribute of that transform, and its parts are found by the transform's node references. The parts are
in camera coordinates, so they follow the transform.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from DRRSimulatorLib.camera import Camera, FloatArray, invert_pose, is_rigid
from DRRSimulatorLib.errors import InputError
from slicer.i18n import tr as _

from .matrices import toParentMatrix

CAMERA_ATTRIBUTE = "XRayRegistration.Camera"
CT_ROLE, BEAM_ROLE, DETECTOR_ROLE = "ct", "beam", "detector"
FREE_VIEW_ID = "vtkMRMLViewNode1"
BEAM_COLOR = (1.0, 0.84, 0.04)
DETECTOR_COLOR = (0.3, 0.75, 0.95)


class CArm:
    """One X-ray camera in the scene."""

    def __init__(self, transformNode: slicer.vtkMRMLLinearTransformNode) -> None:
        """Take the camera of a transform that `createCArm` made, or that was loaded with a scene."""
        self.transformNode = transformNode

    @staticmethod
    def find(transformNode: slicer.vtkMRMLTransformNode | None) -> CArm | None:
        """The camera of a transform node; None where the node is none or belongs to no camera."""
        if transformNode is None or transformNode.GetAttribute(CAMERA_ATTRIBUTE) is None:
            return None
        return CArm(transformNode)

    def camera(self) -> Camera:
        """The intrinsic geometry.

        Raises:
            InputError: if the scene holds something else in its place.
        """
        try:
            return Camera.from_dict(json.loads(self.transformNode.GetAttribute(CAMERA_ATTRIBUTE)))
        except (ValueError, TypeError, RecursionError) as error:
            name = self.transformNode.GetName()
            raise InputError(_("The camera stored with {name} cannot be read; remove it and make it anew.").format(name=name)) from error

    def setCamera(self, camera: Camera) -> None:
        """Change the intrinsic geometry; the beam and the detector are drawn again, images on the detector are for the caller to update."""
        self.transformNode.SetAttribute(CAMERA_ATTRIBUTE, json.dumps(camera.to_dict()))
        self._drawBeam(camera)
        self._drawDetector(camera)

    def pose(self) -> FloatArray:
        """4x4 from the CT's own RAS to camera coordinates, mm.

        Raises:
            InputError: if the transform was made to scale or shear.
        """
        cameraToRAS = toParentMatrix(self.transformNode)
        if not is_rigid(cameraToRAS):
            raise InputError(_("{name} does more than move and turn; undo its scaling.").format(name=self.transformNode.GetName()))
        return invert_pose(cameraToRAS)

    def setPose(self, rasToCamera: npt.ArrayLike) -> None:
        """Move the camera; everything under its transform follows."""
        self.transformNode.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(invert_pose(rasToCamera)))

    def setCT(self, ctNode: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Place the camera relative to a CT: under the CT's parent transform, wherever that moves."""
        self.transformNode.SetNodeReferenceID(CT_ROLE, ctNode.GetID())
        self.transformNode.SetAndObserveTransformNodeID(ctNode.GetTransformNodeID())

    def node(self, role: str) -> Any:
        """The node that the transform refers to by a role ("ct", "beam", "detector", "xray", "drr", ...); None where there is none."""
        return self.transformNode.GetNodeReference(role)

    def remove(self) -> None:
        """Remove the transform from the scene, and what it refers to and lies under it; the CT stays, as does what others put under it."""
        transformNode = self.transformNode
        roles = [transformNode.GetNthNodeReferenceRole(n) for n in range(transformNode.GetNumberOfNodeReferenceRoles())]
        nodes = [transformNode.GetNthNodeReference(role, n) for role in roles for n in range(transformNode.GetNumberOfNodeReferences(role))]
        for node in nodes:
            if node and node.IsA("vtkMRMLTransformableNode") and node.GetParentTransformNode() is transformNode:
                slicer.mrmlScene.RemoveNode(node)
        slicer.mrmlScene.RemoveNode(transformNode)

    def _drawBeam(self, camera: Camera) -> None:
        """The line from the source to the principal point."""
        node = self.node(BEAM_ROLE)
        if node is None:
            node = self._addPart("vtkMRMLMarkupsLineNode", "beam", BEAM_ROLE, BEAM_COLOR)
            node.SetLocked(True)
            display = node.GetDisplayNode()
            display.SetSelectedColor(*BEAM_COLOR)  # control points are selected when they are made
            display.SetPropertiesLabelVisibility(False)
            display.SetPointLabelsVisibility(False)
            display.SetGlyphScale(1.5)  # percent of the view
            display.SetLineThickness(0.6)  # of the glyphs
        slicer.util.updateMarkupsControlPointsFromArray(node, np.array([[0, 0, 0], [0, 0, camera.source_to_detector_distance]]))

    def _drawDetector(self, camera: Camera) -> None:
        """The detector's edge, and the rays from the source to its corners."""
        node = self.node(DETECTOR_ROLE) or self._addPart("vtkMRMLModelNode", "detector", DETECTOR_ROLE, DETECTOR_COLOR)
        rows, columns = camera.image_size
        right, bottom = columns - 0.5, rows - 0.5  # pixel positions are those of pixel centers
        corners = camera.back_project([(-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom)], camera.source_to_detector_distance)
        source = 4
        rays = [(corner, source) for corner in range(4)]
        node.SetAndObservePolyData(_polylines([*corners, (0, 0, 0)], [(0, 1, 2, 3, 0), *rays]))

    def _addPart(self, className: str, part: str, role: str, color: Sequence[float]) -> Any:
        """A node in camera coordinates that the mouse does not pick; it is shown in the free 3D view only."""
        name = self.transformNode.GetName().removesuffix(" camera") + " " + part
        node = slicer.mrmlScene.AddNewNodeByClass(className, name)
        node.SetSelectable(False)
        node.SetAndObserveTransformNodeID(self.transformNode.GetID())
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetColor(*color)
        display.SetLineWidth(2)
        display.SetLighting(False)
        display.SetVisibility2D(False)
        display.AddViewNodeID(FREE_VIEW_ID)
        self.transformNode.SetNodeReferenceID(role, node.GetID())
        return node


def createCArm(name: str, ctNode: slicer.vtkMRMLScalarVolumeNode, camera: Camera) -> CArm:
    """Add an X-ray camera that looks at a CT to the scene; its source lies in the CT's origin until `CArm.setPose`.

    Args:
        name: what the names of its nodes begin with, such as that of the X-ray.
        ctNode: the CT.
        camera: the intrinsic geometry.
    """
    carm = CArm(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", _("{name} camera").format(name=name)))
    carm.setCT(ctNode)
    carm.setCamera(camera)
    return carm


def _polylines(points: Sequence[npt.ArrayLike], lines: Sequence[Sequence[int]]) -> vtk.vtkPolyData:
    """Lines through points, given by the points' numbers."""
    positions, cells = vtk.vtkPoints(), vtk.vtkCellArray()
    for point in points:
        positions.InsertNextPoint(point)
    for line in lines:
        cells.InsertNextCell(len(line), line)
    polydata = vtk.vtkPolyData()
    polydata.SetPoints(positions)
    polydata.SetLines(cells)
    return polydata
