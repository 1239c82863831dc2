"""Comparing an X-ray with the DRR at the pose found: one over the other, in turns, or as a checkerboard."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import slicer
from DRRSimulatorSlicer import views
from DRRSimulatorSlicer.carm import CArm
from DRRSimulatorSlicer.nodes import updateImage
from slicer.i18n import tr as _

from .drawing import DRR_ROLE, XRAY_ROLE, copyDisplayRange
from .result import RegistrationResult

FloatImage = npt.NDArray[np.float32]

CHECKERBOARD_ROLE = "checkerboard"


class Comparison:
    """Shows an X-ray of a result and its DRR in the X-ray's view. Without views only nodes are made."""

    def __init__(self, result: RegistrationResult, view: int = 0) -> None:
        """Take a result.

        Args:
            result: of a registration.
            view: the X-ray, numbered from 0.
        """
        self._carm = result.carms[view]
        self._name = result.numbers["views"][view]["xray"]
        self._viewTag = views.XRAY_VIEW_TAGS[min(view, 1)]  # there are two such views; a third X-ray takes the second one
        self._opacity = 0.0

    def blend(self, opacity: float) -> None:
        """Show the DRR over the X-ray.

        Args:
            opacity: of the DRR, 0 to 1.
        """
        self._opacity = opacity
        views.showXRay(self._viewTag, self._carm.node(XRAY_ROLE), self._carm.node(DRR_ROLE), opacity)

    def flicker(self) -> None:
        """Show the DRR where the X-ray was shown, and the X-ray where the DRR was; to be called by a timer."""
        self.blend(0.0 if self._opacity > 0.5 else 1.0)

    def checkerboard(self, squares: int = 8) -> slicer.vtkMRMLScalarVolumeNode:
        """Show squares of the X-ray and of the DRR in turns.

        Args:
            squares: along the longer side.

        Returns:
            The volume that is made of them, on the detector.
        """
        node = drawCheckerboard(self._carm, self._name, squares)
        views.showXRay(self._viewTag, node)
        return node


def drawCheckerboard(carm: CArm, name: str, squares: int) -> slicer.vtkMRMLScalarVolumeNode:
    """Compose the X-ray and the DRR of a camera, in the X-ray's pixels, as a volume on its detector."""
    xrayNode, drrNode = carm.node(XRAY_ROLE), carm.node(DRR_ROLE)
    pixels = composed(slicer.util.arrayFromVolume(xrayNode)[0], slicer.util.arrayFromVolume(drrNode)[0], squares)
    isNew = carm.node(CHECKERBOARD_ROLE) is None
    node = updateImage(None, _("{name} checkerboard").format(name=name), pixels, carm.camera(), carm.transformNode, CHECKERBOARD_ROLE)
    if isNew:
        copyDisplayRange(xrayNode, node)
    return node


def composed(first: FloatImage, second: FloatImage, squares: int) -> FloatImage:
    """Squares of two images of the same area in turns, in the pixels of the first, which has the square at the top left.

    Args:
        first: image [row, column].
        second: image [row, column], of fewer or more pixels.
        squares: along the longer side.
    """
    from scipy.ndimage import map_coordinates

    rows, columns = np.indices(first.shape, dtype=np.float32)
    scales = (second.shape[0] / first.shape[0], second.shape[1] / first.shape[1])
    places = [(index + 0.5) * scale - 0.5 for index, scale in zip((rows, columns), scales, strict=True)]
    side = max(first.shape) / squares
    isFirst = (rows // side + columns // side) % 2 == 0
    return np.where(isFirst, first, map_coordinates(second, places, order=1, mode="nearest")).astype(np.float32)
