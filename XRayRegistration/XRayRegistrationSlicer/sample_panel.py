"""The button that loads sample data, so that a result is three clicks away."""

from __future__ import annotations

from typing import Any

import slicer
from DRRSimulatorSlicer.sample_data import loadSampleCT, loadSampleXRay
from slicer.i18n import tr as _

from .choices import ModelSource
from .register_panel import RegisterPanel
from .section import Section


class SamplePanel(Section):
    """Loads and chooses a CT and an X-ray that come with the extension."""

    def __init__(self, *args: Any, register: RegisterPanel) -> None:
        """Connect the button.

        Args:
            args: as for `Section`.
            register: tells what went wrong.
        """
        super().__init__(*args)
        self._register = register
        self.ui.sampleDataButton.connect("clicked()", self._onLoad)

    def _onLoad(self) -> None:
        try:
            with slicer.util.WaitCursor():
                ctNode, xrayNode = loadSampleCT(), loadSampleXRay()
        except RuntimeError as error:
            self._register.tell(_("The sample data cannot be loaded: {error}").format(error=error))
            return
        with slicer.util.NodeModify(self.parameterNode):
            self.parameterNode.ct, self.parameterNode.xray = ctNode, xrayNode
            self.parameterNode.segmentation = self.parameterNode.secondXRay = None
            self.parameterNode.modelSource = ModelSource.SAMPLE
