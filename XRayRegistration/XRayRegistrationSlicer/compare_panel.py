"""Section "Adjust and compare", the comparison of the X-rays with their DRRs in the X-ray views."""

from __future__ import annotations

from typing import Any

import qt
from DRRSimulatorSlicer.matrices import toParentMatrix

from .choices import ComparisonMode
from .section import Section

FLICKER_MS = 500


class ComparePanel(Section):
    """Lays the DRRs of the result over its X-rays."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._comparisons: list[Any] = []
        self._shown: tuple[Any, ...] = ()
        self._timer = qt.QTimer()
        self._timer.setInterval(FLICKER_MS)
        self._timer.connect("timeout()", self._flicker)

    def setParameterNode(self, parameterNode: Any) -> None:
        """Show another scene."""
        super().setParameterNode(parameterNode)
        self._timer.stop()
        self._shown = ()

    def update(self) -> None:
        """Show the comparison that is chosen, if anything about it has changed."""
        parameters = self.parameterNode
        result = self.logic.result(parameters.xray) if parameters.xray is not None else None
        isBlend = parameters.comparison is ComparisonMode.BLEND
        self.ui.comparisonComboBox.enabled = result is not None
        self.ui.opacitySlider.enabled = result is not None and isBlend
        if result is None:
            self._timer.stop()
            self._shown = ()
            return
        isCheckerboard = parameters.comparison is ComparisonMode.CHECKERBOARD
        poses = [toParentMatrix(carm.transformNode).tobytes() for carm in result.carms] if isCheckerboard else []
        shown = (result.table, parameters.comparison, parameters.opacity if isBlend else None, *poses)
        if shown == self._shown:
            return
        self._shown = shown
        self._comparisons = [self.logic.comparison(result, view) for view in range(len(result.carms))]
        self._timer.stop()
        if parameters.comparison is ComparisonMode.FLICKER:
            self._flicker()
            self._timer.start()
            return
        for comparison in self._comparisons:
            if isBlend:
                comparison.blend(parameters.opacity / 100)
            else:
                comparison.checkerboard()

    def cleanup(self) -> None:
        """Stop flickering."""
        super().cleanup()
        self._timer.stop()

    def _flicker(self) -> None:
        for comparison in self._comparisons:
            comparison.flicker()
