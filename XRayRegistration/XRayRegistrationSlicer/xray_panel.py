"""Section "X-ray", its images: which ones, whether bone is dark in them, and where they are exposed."""

from __future__ import annotations

from typing import Any

import slicer
from DRRSimulatorLib.errors import InputError
from DRRSimulatorSlicer import nodes, views
from DRRSimulatorSlicer.background import errorText
from slicer.i18n import tr as _
from XRayRegistrationLib.exposed_field import Polarity, guess_polarity
from XRayRegistrationLib.xray import XRay

from .field_border import drawBorder
from .section import Lookup, Section


def selectedXRays(parameterNode: Any) -> list[slicer.vtkMRMLVolumeNode]:
    """The one or two X-rays chosen."""
    return [node for node in (parameterNode.xray, parameterNode.secondXRay) if node is not None]


class XRayPanel(Section):
    """Chooses X-rays, and tells what is found in the first one before anything is registered."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._lookup = Lookup()
        self._looked: tuple[Any, ...] = ()  # what the image and settings were when it was last looked at
        self._found: XRay | None = None
        self._border: slicer.vtkMRMLModelNode | None = None
        self._drawn: tuple[Any, ...] = ()  # what the border was drawn from

    def setParameterNode(self, parameterNode: Any) -> None:
        """Show another scene."""
        super().setParameterNode(parameterNode)
        if parameterNode is None:
            self._removeBorder()
            self._looked = ()

    def update(self) -> None:
        """Look at the X-ray again if it has changed."""
        xrayNode = self.parameterNode.xray
        polarity = self.parameterNode.brightness.polarity
        state = (xrayNode and xrayNode.GetID(), _imageTime(xrayNode), polarity)
        if state != self._looked:
            self._looked = state
            self._look(xrayNode, polarity)
        self._showBorder()

    def problem(self) -> str:
        """Whether what is chosen can be X-rays."""
        chosen = selectedXRays(self.parameterNode)
        if self.parameterNode.xray is None:
            return _("Choose an X-ray, or load the sample data.")
        if len(chosen) == 2 and chosen[0] is chosen[1]:
            return _("Choose another image as the second X-ray, or none.")
        for node in chosen:
            if node.GetImageData() is None or node.GetImageData().GetDimensions()[2] != 1:
                return _("{name} is not a single image; choose an X-ray.").format(name=node.GetName())
        return ""

    def cleanup(self) -> None:
        """Stop looking, and remove the border."""
        super().cleanup()
        self._lookup.stop()
        self._removeBorder()

    def _look(self, xrayNode: slicer.vtkMRMLVolumeNode | None, polarity: str | None) -> None:
        """Find polarity and field, in the background."""
        self._lookup.stop()
        self._found = None
        self.ui.brightnessLabel.text = self.ui.fieldLabel.text = ""
        if self.problem():
            return
        try:
            pixels = nodes.readXRayPixels(xrayNode)
        except InputError as error:
            self.ui.fieldLabel.text = str(error)
            return

        def look() -> tuple[XRay, Polarity]:
            guess = guess_polarity(pixels)
            return XRay.from_pixels(pixels, polarity or guess), guess

        self._lookup.start(look, self._onFound, self._onFailed)

    def _onFound(self, seen: tuple[XRay, Polarity]) -> None:
        found, guess = seen
        self._found = found
        self.ui.brightnessLabel.text = _("Found: bone is dark") if guess == "intensity" else _("Found: bone is bright")
        share = found.field.mean()
        self.ui.fieldLabel.text = _("The whole image") if share == 1 else _("{share:.0%} of the image").format(share=share)
        self._showBorder()

    def _onFailed(self, error: Exception) -> None:
        self.ui.fieldLabel.text = errorText(error)

    def _showBorder(self) -> None:
        self.ui.fieldCheckBox.enabled = self._found is not None
        if self._found is None or not self.parameterNode.showField:
            self._removeBorder()
            return
        xrayNode = self.parameterNode.xray
        result = self.logic.result(xrayNode)
        volumeNode = result.xraysOnDetector[result.xrayNodes.index(xrayNode)] if result is not None else xrayNode
        if (self._found, volumeNode) == self._drawn:
            return
        if result is None:
            views.showXRay("XRay1", xrayNode)
        self._border = drawBorder(self._border, self._found.field, volumeNode)
        self._drawn = (self._found, volumeNode)

    def _removeBorder(self) -> None:
        if self._border is not None and self._border.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(self._border)
        self._border = None
        self._drawn = ()


def _imageTime(node: slicer.vtkMRMLVolumeNode | None) -> int:
    """Changes when the pixels do, as those of a sequence's volume."""
    return node.GetImageData().GetMTime() if node is not None and node.GetImageData() is not None else 0
