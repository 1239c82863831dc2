"""The result of a registration as it is in the scene, where everything hangs on the table of its numbers.

The table refers to the cameras, and each camera to its X-ray: the user's nodes stay as they are, and a copy of an X-ray has no result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from DRRSimulatorLib.camera import FloatArray, invert_pose
from DRRSimulatorLib.errors import InputError
from DRRSimulatorSlicer.carm import CArm
from slicer.i18n import tr as _
from XRayRegistrationLib.register import Registration
from XRayRegistrationLib.trust import Verdict
from XRayRegistrationLib.view import View

from .drawing import DRR_ROLE, OUTLINE_ROLE, XRAY_ROLE
from .references import referenced
from .registration import Sources
from .stored_numbers import parseNumbers

NUMBERS_ATTRIBUTE = "XRayRegistration.Numbers"
# Of the table. A copy of it refers to the original as itself, which tells them apart.
SELF_ROLE, CT_ROLE, SEGMENTATION_ROLE = "XRayRegistration.Self", "XRayRegistration.CT", "XRayRegistration.Segmentation"
ORIGINALS_ROLE, CAMERA_ROLE = "XRayRegistration.XRay", "XRayRegistration.Camera"
BONE_ROLE, CLOUD_ROLE = "XRayRegistration.Bone", "XRayRegistration.PointCloud"
ORIGINAL_ROLE = "XRayRegistration.Original"  # of a camera's transform: the user's X-ray, also where others of the table were removed

MOVED = 1e-6  # difference of poses, mm, that is no rounding any more


class RegistrationResult:
    """What a registration put into the scene.

    Attributes:
        table: its numbers for reading, the verdict first; in full they are in `numbers`.
        registration: the library's result; None where the scene was saved and opened again, or a pose set by hand was refined.
    """

    def __init__(self, table: slicer.vtkMRMLTableNode, registration: Registration | None = None) -> None:
        """Take the result that a table belongs to."""
        self.table = table
        self.registration = registration

    @property
    def numbers(self) -> dict[str, Any]:
        """The numbers of the registration, values for JSON; its pose is the one that was found, wherever the cameras are now.

        Raises:
            InputError: if the scene holds something else in their place.
        """
        try:
            return parseNumbers(self.table.GetAttribute(NUMBERS_ATTRIBUTE))
        except ValueError as error:
            name = self.table.GetName()
            raise InputError(_("The result stored with {name} cannot be read; register the X-rays again.").format(name=name)) from error

    @property
    def carms(self) -> list[CArm]:
        """The cameras of the X-rays, in their order."""
        return [CArm(node) for node in referenced(self.table, CAMERA_ROLE)]

    @property
    def xrayNodes(self) -> list[slicer.vtkMRMLVolumeNode | None]:
        """The X-rays; None for one that was removed from the scene."""
        return [carm.node(ORIGINAL_ROLE) for carm in self.carms]

    @property
    def ctNode(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The CT; None where it was removed from the scene."""
        return self.table.GetNodeReference(CT_ROLE)

    @property
    def segmentationNode(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The bones; None where they were found in the CT."""
        return self.table.GetNodeReference(SEGMENTATION_ROLE)

    @property
    def boneModels(self) -> list[slicer.vtkMRMLModelNode]:
        """The bones' surfaces in the CT's RAS; results of the same CT share them."""
        return referenced(self.table, BONE_ROLE)

    @property
    def pointCloud(self) -> slicer.vtkMRMLModelNode | None:
        """The points of the bone that the X-rays show, in the CT's RAS; None where the user removed it."""
        return self.table.GetNodeReference(CLOUD_ROLE)

    @property
    def outlines(self) -> list[slicer.vtkMRMLModelNode]:
        """The bones' outlines on the detectors, X-ray by X-ray."""
        return [model for carm in self.carms for model in referenced(carm.transformNode, OUTLINE_ROLE)]

    @property
    def xraysOnDetector(self) -> list[slicer.vtkMRMLScalarVolumeNode]:
        """The copies of the X-rays on their detectors."""
        return [carm.node(XRAY_ROLE) for carm in self.carms]

    @property
    def drrs(self) -> list[slicer.vtkMRMLScalarVolumeNode]:
        """The DRRs on the detectors, in the X-rays' grey values."""
        return [carm.node(DRR_ROLE) for carm in self.carms]

    @property
    def verdict(self) -> Verdict:
        """How far the pose may be trusted; one that was set by hand is for the user to judge."""
        if self.movedByHand():
            return Verdict("check", None, _("The bone was moved by hand; compare its outline with the X-ray."))
        return Verdict(**self.numbers["verdict"])

    def sources(self) -> Sources:
        """What the registration was made from.

        Raises:
            InputError: if the CT or an X-ray was removed from the scene.
        """
        xrayNodes, ctNode = self.xrayNodes, self.ctNode
        if ctNode is None or None in xrayNodes:
            raise InputError(_("The CT or the X-ray of this result is no longer in the scene; load it and register it again."))
        return Sources(tuple(xrayNodes), ctNode, self.segmentationNode, self.numbers["force_cpu"])

    def rasToRig(self) -> FloatArray:
        """4x4 pose of the CT in the frame common to the X-rays, where the cameras are now."""
        return invert_pose(self.numbers["views"][0]["rig_to_camera"]) @ self.carms[0].pose()

    def problem(self) -> str:
        """Why what the scene holds of it cannot be read, in a sentence; empty if it can."""
        try:
            _numbers, _cameras = self.numbers, [carm.camera() for carm in self.carms]
        except InputError as error:
            return str(error)
        return ""

    def isWhole(self) -> bool:
        """Whether it can be read, and the user has removed none of its cameras and of the images on their detectors."""
        carms = self.carms
        if self.problem() or len(carms) != len(self.numbers["views"]):
            return False
        return all(carm.node(XRAY_ROLE) and carm.node(DRR_ROLE) for carm in carms)

    def movedByHand(self) -> bool:
        """Whether the pose is no longer the one that was registered."""
        found = [view["ras_to_camera"] for view in self.numbers["views"]]
        try:
            return not all(np.allclose(carm.pose(), pose, rtol=0, atol=MOVED) for carm, pose in zip(self.carms, found, strict=True))
        except InputError:  # it was even scaled
            return True

    def views(self) -> list[View]:
        """The X-rays with their geometry, as they were registered."""
        from XRayRegistrationLib.xray import XRay

        views = []
        for carm, view in zip(self.carms, self.numbers["views"], strict=True):
            xray = XRay.from_pixels(slicer.util.arrayFromVolume(carm.node(XRAY_ROLE))[0], view["polarity"])
            views.append(View(xray, carm.camera(), np.array(view["rig_to_camera"])))
        return views
