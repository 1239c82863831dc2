"""What the parts of a panel have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.util import VTKObservationMixin

_PURPOSE = "purpose"  # property of a button: its tooltip while it is enabled


class Section(VTKObservationMixin):
    """Controls of one step of the work.

    Args:
        ui: the widgets of the panel, by their names.
        logic: of the module.
        changed: called when something that other sections depend on has changed and no parameter tells it.
    """

    def __init__(self, ui: Any, logic: Any, changed: Callable[[], None]) -> None:
        super().__init__()
        self.ui = ui
        self.logic = logic
        self.changed = changed
        self.parameterNode: Any = None

    def setParameterNode(self, parameterNode: Any) -> None:
        """Show another parameter node; None while the scene closes."""
        self.parameterNode = parameterNode

    def update(self) -> None:
        """Show what the parameter node and the scene say; called after every change, so it must be quick."""

    def cleanup(self) -> None:
        """Stop observing and working; the panel is about to be destroyed."""
        self.removeObservers()


def allow(button: Any, problem: str) -> None:
    """Enable a button; or disable it where there is a problem, with a tooltip that tells it."""
    if not button.property(_PURPOSE):
        button.setProperty(_PURPOSE, button.toolTip)
    button.enabled = not problem
    button.toolTip = problem or button.property(_PURPOSE)
