"""Section "C-arm": the geometry, from a preset, an X-ray, a calibration, or by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from DRRSimulatorLib.calibration import read_calibration
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.presets import PRESETS
from slicer.i18n import tr as _

from .parameters import cameraOf, setCamera
from .section import Section, allow
from .work_panel import WorkPanel

CUSTOM = 0  # item of the presets that is shown where none of them fits


class CArmPanel(Section):
    """Sets the parameters of the geometry."""

    def __init__(self, *args: Any, work: WorkPanel) -> None:
        """Connect the controls.

        Args:
            args: as for `Section`.
            work: tells what is wrong with a geometry.
        """
        super().__init__(*args)
        self._work = work
        self.ui.presetSelector.addItem(_("Custom"))
        for preset in PRESETS:
            self.ui.presetSelector.addItem(preset.name)
        self.ui.presetSelector.connect("activated(int)", self._onPresetChosen)
        self.ui.xraySelector.connect("currentNodeChanged(vtkMRMLNode*)", lambda _node: self.changed())
        self.ui.xrayGeometryButton.connect("clicked()", self.useXRay)
        self.ui.calibrationButton.connect("clicked()", self._onCalibrationClicked)

    def update(self) -> None:
        """Show which preset the parameters are, and whether the selected X-ray tells its geometry."""
        parameters = self.parameterNode
        known = [(preset.camera, preset.source_to_isocentre_mm) for preset in PRESETS]
        current = cameraOf(parameters), parameters.sourceToIsocenter
        self.ui.presetSelector.currentIndex = known.index(current) + 1 if current in known else CUSTOM
        allow(self.ui.xrayGeometryButton, self._problemOfXRay())

    def useXRay(self) -> None:
        """Take the geometry of the selected X-ray."""
        self._setCamera(self.logic.geometry(self.ui.xraySelector.currentNode()))

    def loadCalibration(self, path: Path | str) -> None:
        """Take the geometry of a calibration text or of a camera JSON."""
        try:
            camera, _pose = read_calibration(path)
        except InputError as error:
            self._work.tell(str(error))
            return
        self._setCamera(camera)

    def _problemOfXRay(self) -> str:
        xrayNode = self.ui.xraySelector.currentNode()
        if xrayNode is None:
            return _("Select an X-ray whose geometry is known.")
        try:
            known = self.logic.geometry(xrayNode) is not None
        except InputError as error:
            return str(error)
        return "" if known else _("Neither the DICOM header of {name} nor the scene tells its geometry.").format(name=xrayNode.GetName())

    def _onPresetChosen(self, index: int) -> None:
        if index != CUSTOM:
            preset = PRESETS[index - 1]
            with slicer.util.NodeModify(self.parameterNode):
                setCamera(self.parameterNode, preset.camera)
                self.parameterNode.sourceToIsocenter = preset.source_to_isocentre_mm
        self.changed()

    def _setCamera(self, camera: Camera) -> None:
        before = cameraOf(self.parameterNode)
        try:
            setCamera(self.parameterNode, camera)
        except ValueError as error:
            setCamera(self.parameterNode, before)
            self._work.tell(_("This geometry is outside of what can be simulated here: {reason}").format(reason=error))

    def _onCalibrationClicked(self) -> None:
        filters = _("Geometries (*.txt *.json *.csv);;All files (*)")
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Load a geometry"), "", filters)
        if path:
            self.loadCalibration(path)
