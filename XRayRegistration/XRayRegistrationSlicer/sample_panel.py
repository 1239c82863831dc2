"""The button that loads sample data, so that a result is three clicks away."""

from __future__ import annotations

from typing import Any

import slicer
from DRRSimulatorSlicer.sample_data import loadSampleCT, loadSampleXRay
from slicer.i18n import tr as _

from .choices import ModelSource
from .section import Section


class SamplePanel(Section):
    """Loads and chooses a CT and an X-ray that come with the extension."""

    def __init__(self, *args: Any) -> None:
        """Connect the button."""
        super().__init__(*args)
        self.ui.sampleDataButton.connect("clicked()", self._onLoad)

    def _onLoad(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("The sample data cannot be loaded."), waitCursor=True):
            ctNode, xrayNode = loadSampleCT(), loadSampleXRay()
        with slicer.util.NodeModify(self.parameterNode):
            self.parameterNode.ct, self.parameterNode.xray = ctNode, xrayNode
            self.parameterNode.segmentation = self.parameterNode.secondXRay = None
            self.parameterNode.modelSource = ModelSource.SAMPLE
