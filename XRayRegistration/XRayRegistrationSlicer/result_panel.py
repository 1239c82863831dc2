"""Section "Result": the verdict in words, and the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import qt
import slicer
from DRRSimulatorSlicer import nodes
from slicer.i18n import tr as _
from XRayRegistrationLib.trust import Verdict

from .result import NUMBERS_ATTRIBUTE, RegistrationResult
from .results import showInViews
from .section import Section
from .table import ROWS_IN_WORDS

VERDICT_STYLE = "background-color: {color}; color: white; border-radius: 4px; padding: 8px; font: bold 16px"
COLORS = {"reliable": "#2e7d32", "check": "#b26a00", "rejected": "#b71c1c"}
ANOTHER_IMAGE = Verdict("check", None, _("The X-ray shows another image than the one that was registered; register it again."))


class ResultPanel(Section):
    """Shows the result of the X-ray chosen, also one of a scene that was saved and opened again."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.ui.removeButton.connect("clicked()", self._onRemove)
        self.ui.showButton.connect("clicked()", self._onShow)
        self._shown: tuple[slicer.vtkMRMLTableNode | None, str] = (None, "")
        self._compared: tuple[Any, ...] = ()  # images, the last time that they were compared
        self._isAnother = False

    def update(self) -> None:
        """Show the result that is in the scene."""
        ui = self.ui
        result = self.logic.result(self.parameterNode.xray) if self.parameterNode.xray is not None else None
        problem = self.logic.problemOfResult(self.parameterNode.xray) if self.parameterNode.xray is not None else ""
        ui.showButton.enabled = result is not None
        ui.removeButton.enabled = result is not None or bool(problem)
        self._showTable(result.table if result is not None else None, problem)
        if result is None:
            ui.verdictLabel.text = _("The result cannot be shown.") if problem else _("Nothing is registered yet.")
            ui.verdictLabel.styleSheet = ""
            ui.verdictReasonLabel.text = problem
        else:
            verdict = ANOTHER_IMAGE if self._showsAnotherImage(result) else result.verdict
            ui.verdictLabel.text = _headline(verdict)
            ui.verdictLabel.styleSheet = VERDICT_STYLE.format(color=COLORS[verdict.level])
            ui.verdictReasonLabel.text = verdict.reason

    def _showsAnotherImage(self, result: RegistrationResult) -> bool:
        """Whether the X-ray is no longer the image that was registered: the user may have gone on to another frame of a sequence."""
        xrayNode = self.parameterNode.xray
        state = (result.table, result.table.GetAttribute(NUMBERS_ATTRIBUTE), xrayNode.GetImageData().GetMTime())
        if state != self._compared:
            self._compared = state
            registered = result.xraysOnDetector[result.xrayNodes.index(xrayNode)]
            now = nodes.readXRayPixels(xrayNode).astype(np.float32)
            self._isAnother = registered is None or not np.array_equal(slicer.util.arrayFromVolume(registered)[0], now)
        return self._isAnother

    def _showTable(self, tableNode: slicer.vtkMRMLTableNode | None, problem: str) -> None:
        table = self.ui.resultTableView
        if (tableNode, problem) != self._shown:
            self._shown = tableNode, problem
            table.setMRMLTableNode(tableNode)
            table.setVisible(tableNode is not None)
            self.ui.resultCollapsibleButton.collapsed = tableNode is None and not problem
        if tableNode is not None:
            table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
            table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
            table.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
            for row in range(ROWS_IN_WORDS):
                table.setRowHidden(row, True)  # they stand above the table

    def _onShow(self) -> None:
        showInViews(self.logic.result(self.parameterNode.xray), isFirst=True)

    def _onRemove(self) -> None:
        self.logic.removeResult(self.parameterNode.xray)
        self.changed()


def _headline(verdict: Verdict) -> str:
    """A verdict in a few words."""
    words = {"reliable": _("Reliable"), "check": _("Check it"), "rejected": _("Rejected")}[verdict.level]
    if verdict.expected_error_mm is None:
        return words
    return _("{verdict}: expected error {error:.1f} mm").format(verdict=words, error=verdict.expected_error_mm)
