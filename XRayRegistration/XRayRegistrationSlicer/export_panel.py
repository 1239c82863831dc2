"""Section "Export"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Report
from DRRSimulatorSlicer.background import BackgroundTask, errorText
from slicer.i18n import tr as _

from .dicom_export import canExportDICOM, needsNewerSlicer
from .result import RegistrationResult
from .section import Section

DICOM_FOLDER = "dicom"  # inside the folder chosen, so that files with names are not mixed with others


class ExportPanel(Section):
    """Writes the result of the X-ray chosen into a folder, and as DICOM into a folder in it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._task: BackgroundTask[list[Path]] | None = None
        self.ui.exportButton.connect("clicked()", self._onExport)
        if not canExportDICOM():
            self.ui.dicomCheckBox.enabled = False
            self.ui.dicomCheckBox.toolTip = needsNewerSlicer()

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
        folder = Path(self.ui.exportDirectoryButton.directory)
        try:
            with slicer.util.WaitCursor():
                write = self._prepare(self.logic.result(self.parameterNode.xray), folder)
        except (InputError, OSError) as error:
            self._end(errorText(error))
            return
        self.ui.exportLabel.text = _("Writing the files")
        self._task = BackgroundTask(
            write, lambda fraction, text: None, lambda files: self._onWritten(folder, files), self._onFailed, lambda: self._end("")
        )
        self._task.start()
        self.ui.exportButton.enabled = False

    def _prepare(self, result: RegistrationResult, folder: Path) -> Callable[[Report], list[Path]]:
        """Write what the scene itself has to write; what is returned writes the rest and returns all files."""
        from .export import prepareExport

        if not self.ui.dicomCheckBox.checked:
            write = prepareExport(result, folder)
            return lambda report: write()
        writeDICOM = self.logic.prepareDICOM(result, folder / DICOM_FOLDER)  # first, since it may refuse
        write = prepareExport(result, folder)
        return lambda report: [*write(), *writeDICOM(report)]

    def _onWritten(self, folder: Path, files: list[Path]) -> None:
        self._end(_("Written: {files}").format(files=", ".join(file.relative_to(folder).as_posix() for file in files)))

    def _onFailed(self, error: Exception) -> None:
        self._end(errorText(error))

    def _end(self, message: str) -> None:
        self._task = None
        self.ui.exportLabel.text = message
        self.changed()
