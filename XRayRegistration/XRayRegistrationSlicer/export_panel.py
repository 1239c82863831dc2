"""Section "Export"."""

from __future__ import annotations

from typing import Any

import slicer
from DRRSimulatorLib.errors import InputError
from slicer.i18n import tr as _

from .section import Section


class ExportPanel(Section):
    """Writes the result of the X-ray chosen into a folder."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.ui.exportButton.connect("clicked()", self._onExport)

    def update(self) -> None:
        """Allow to export what there is."""
        hasResult = self.parameterNode.xray is not None and self.logic.result(self.parameterNode.xray) is not None
        self.ui.exportButton.enabled = hasResult
        self.ui.exportButton.toolTip = (
            _("Write transform, table, pictures and the scene into the folder.") if hasResult else _("Register an X-ray first.")
        )

    def _onExport(self) -> None:
        folder = self.ui.exportDirectoryButton.directory
        try:
            with slicer.util.WaitCursor():
                files = self.logic.exportResult(self.logic.result(self.parameterNode.xray), folder)
        except (InputError, OSError) as error:
            self.ui.exportLabel.text = str(error)
            return
        self.ui.exportLabel.text = _("Written: {files}").format(files=", ".join(file.name for file in files))
