"""The panel as a whole."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from .carm_panel import CArmPanel
from .ct_panel import CTPanel
from .dependencies import Dependencies
from .output_panel import OutputPanel
from .parameters import viewOf
from .sectioned_panel import SectionedPanel
from .simulation import describeView
from .view_panel import ViewPanel
from .work_panel import WorkPanel


class Panel(SectionedPanel):
    """The sections in the order of the work, and a line below them."""

    def __init__(self, ui: Any, logic: Any, dependencies: Dependencies) -> None:
        """Make the sections.

        Args:
            ui: the widgets of the panel, by their names.
            logic: of the module.
            dependencies: asked for Python packages when they are needed.
        """
        super().__init__()
        common = ui, logic, self.updateSoon
        self._ui = ui
        self.work = WorkPanel(*common, dependencies=dependencies)
        self.ct = CTPanel(*common, work=self.work)
        self.carm = CArmPanel(*common, work=self.work)
        self.view = ViewPanel(*common, work=self.work, ct=self.ct)
        self.output = OutputPanel(*common, work=self.work, ct=self.ct)
        self.sections = [self.work, self.ct, self.carm, self.view, self.output]

    def onParametersChanged(self, caller: Any, event: Any) -> None:
        """The user has chosen something, so how the last work ended is of no more interest."""
        self.work.forgetMessage()
        super().onParametersChanged(caller, event)

    def update(self) -> None:
        """Bring the panel up to date."""
        super().update()
        if self.parameterNode is not None:
            self._ui.statusLabel.text = self.work.message or self._hint()

    def _hint(self) -> str:
        """What to do next, or what is seen."""
        if self.ct.problem or self.view.problem:
            return self.ct.problem or self.view.problem
        if not self.view.preview.running:
            return _("Press Live preview to see the simulated X-ray.")
        return _("Live preview: {view}.").format(view=describeView(viewOf(self.parameterNode)))
