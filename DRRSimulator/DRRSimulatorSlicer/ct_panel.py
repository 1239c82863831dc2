"""Section "CT and bone"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from .section import Section, allow
from .work_panel import WorkPanel


class CTPanel(Section):
    """Loads a CT and finds its bone."""

    def __init__(self, *args: Any, work: WorkPanel) -> None:
        """Connect the controls.

        Args:
            args: as for `Section`.
            work: runs the segmentation.
        """
        super().__init__(*args)
        self._work = work
        self.ui.sampleButton.connect("clicked()", self.loadSample)
        self.ui.dicomButton.connect("clicked()", lambda: slicer.util.selectModule("DICOM"))
        self.ui.fileButton.connect("clicked()", self._onFileClicked)
        self.ui.segmentButton.connect("clicked()", self.segment)

    @property
    def problem(self) -> str:
        """Why there is no CT to work with, in a sentence; empty if there is."""
        ctNode = self.parameterNode.ct
        if ctNode is None:
            return _("Load or select a CT.")
        if ctNode.GetImageData() is None or min(ctNode.GetImageData().GetDimensions()) < 2:
            return _("{name} is not a volume of several slices; select a CT.").format(name=ctNode.GetName())
        return ""

    def update(self) -> None:
        """Allow what is possible now."""
        allow(self.ui.segmentButton, self.problem or self._work.problem)

    def loadSample(self) -> None:
        """Load the sample CT and choose it."""
        with slicer.util.tryWithErrorDisplay(_("The sample CT cannot be loaded."), waitCursor=True):
            self._choose(self.logic.loadSampleCT())

    def loadFile(self, path: Path | str) -> None:
        """Load a CT from a file and choose it."""
        with slicer.util.tryWithErrorDisplay(_("The CT cannot be loaded."), waitCursor=True):
            self._choose(slicer.util.loadVolume(str(path)))

    def segment(self) -> None:
        """Find the bone of the CT in the background and choose the segmentation."""
        ctNode = self.parameterNode.ct

        def show(bones: Any) -> None:
            if self.parameterNode is not None and ctNode.GetScene() is not None:
                self.parameterNode.segmentation = self.logic.showBones(bones, ctNode)
                self._work.tell(_("The bone is segmented."))

        self._work.run(lambda: self.logic.prepareBones(ctNode), show)

    def _choose(self, ctNode: slicer.vtkMRMLScalarVolumeNode) -> None:
        with slicer.util.NodeModify(self.parameterNode):
            self.parameterNode.ct = ctNode
            self.parameterNode.segmentation = None  # it was of another CT

    def _onFileClicked(self) -> None:
        filters = _("Volumes (*.nrrd *.nhdr *.nii *.nii.gz *.mha *.mhd);;All files (*)")
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Load a CT"), "", filters)
        if path:
            self.loadFile(path)


def firstCT() -> slicer.vtkMRMLScalarVolumeNode | None:
    """The first volume of the scene that may be a CT."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        isLabels = node.IsA("vtkMRMLLabelMapVolumeNode")
        if not isLabels and node.GetImageData() is not None and min(node.GetImageData().GetDimensions()) > 1:
            return node
    return None
