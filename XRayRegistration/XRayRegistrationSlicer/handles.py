"""Handles in the 3D views, to drag an X-ray's camera about the bone."""

from __future__ import annotations

import numpy.typing as npt
from DRRSimulatorLib.camera import transform_points
from DRRSimulatorSlicer.carm import CArm


def showHandles(carm: CArm, centreRAS: npt.ArrayLike, visible: bool) -> None:
    """Show or hide the handles that move and turn a camera.

    Args:
        carm: the camera.
        centreRAS: (3,) what is turned about and where the handles are shown, mm in the CT's RAS: in the bone, since the camera's own
            origin, the source, is a meter away from all that is seen.
        visible: whether the handles are shown.
    """
    node = carm.transformNode
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetEditorVisibility(visible)
    if visible:
        node.SetCenterOfTransformation(*transform_points(carm.pose(), [centreRAS])[0])
        display.SetEditorVisibility3D(True)
        display.SetEditorSliceIntersectionVisibility(False)
        display.SetEditorTranslationEnabled(True)
        display.SetEditorRotationEnabled(True)
        display.SetEditorScalingEnabled(False)  # an X-ray camera cannot be larger or smaller
