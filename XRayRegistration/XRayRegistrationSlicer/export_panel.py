"""Section "Export"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from DRRSimulatorLib.errors import InputError
from DRRSimulatorSlicer.background import BackgroundTask, errorText
from slicer.i18n import tr as _

from .section import Section


class ExportPanel(Section):
    """Writes the result of the X-ray chosen into a folder."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._task: BackgroundTask[list[Path]] | None = None
        self.ui.exportButton.connect("clicked()", self._onExport)

    def update(self) -> None:
        """Allow to export what there is."""
        hasResult = self.parameterNode.xray is not None and self.logic.result(self.parameterNode.xray) is not None
        self.ui.exportButton.enabled = hasResult and self._task is None
        self.ui.exportButton.toolTip = (
            _("Write transform, table, pictures and the scene into the folder.") if hasResult else _("Register an X-ray first.")
        )

    def cleanup(self) -> None:
        """Let go of the files that are being written; each is whole or not there."""
        super().cleanup()
        if self._task is not None:
            self._task.cancel()

    def _onExport(self) -> None:
        from .export import prepareExport

        try:
            with slicer.util.WaitCursor():
                write = prepareExport(self.logic.result(self.parameterNode.xray), Path(self.ui.exportDirectoryButton.directory))
        except (InputError, OSError) as error:
            self._end(errorText(error))
            return
        self.ui.exportLabel.text = _("Writing the files")
        self._task = BackgroundTask(
            lambda report: write(), lambda fraction, text: None, self._onWritten, self._onFailed, lambda: self._end("")
        )
        self._task.start()
        self.ui.exportButton.enabled = False

    def _onWritten(self, files: list[Path]) -> None:
        self._end(_("Written: {files}").format(files=", ".join(file.name for file in files)))

    def _onFailed(self, error: Exception) -> None:
        self._end(errorText(error))

    def _end(self, message: str) -> None:
        self._task = None
        self.ui.exportLabel.text = message
        self.changed()
