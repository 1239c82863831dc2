"""Section "Result": the verdict in words, and the numbers."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from .results import showInViews
from .section import Section

COLORS = {"reliable": "#2e7d32", "check": "#b26a00", "rejected": "#b71c1c"}


class ResultPanel(Section):
    """Shows the result of the X-ray chosen, also one of a scene that was saved and opened again."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.ui.removeButton.connect("clicked()", self._onRemove)
        self.ui.showButton.connect("clicked()", self._onShow)
        self._hadResult = False

    def update(self) -> None:
        """Show the result that is in the scene."""
        ui = self.ui
        result = self.logic.result(self.parameterNode.xray) if self.parameterNode.xray is not None else None
        ui.resultTableView.setMRMLTableNode(result.table if result else None)
        ui.removeButton.enabled = ui.showButton.enabled = result is not None
        if result is None:
            ui.verdictLabel.text = _("Nothing is registered yet.")
            ui.verdictLabel.styleSheet = ""
            ui.verdictReasonLabel.text = ""
        else:
            ui.verdictLabel.text = _headline(result.verdict)
            ui.verdictLabel.styleSheet = (
                f"background-color: {COLORS[result.verdict.level]}; color: white; border-radius: 4px; padding: 8px; font: bold 16px"
            )
            ui.verdictReasonLabel.text = result.verdict.reason
            ui.resultTableView.resizeColumnsToContents()
        if self._hadResult != (result is not None):
            self._hadResult = result is not None
            ui.resultCollapsibleButton.collapsed = not self._hadResult

    def _onShow(self) -> None:
        showInViews(self.logic.result(self.parameterNode.xray))

    def _onRemove(self) -> None:
        self.logic.removeResult(self.parameterNode.xray)
        self.changed()


def _headline(verdict: Any) -> str:
    """A verdict in a few words."""
    words = {"reliable": _("Reliable"), "check": _("Check it"), "rejected": _("Rejected")}[verdict.level]
    if verdict.expected_error_mm is None:
        return words
    return _("{verdict}: expected error {error:.1f} mm").format(verdict=words, error=verdict.expected_error_mm)
