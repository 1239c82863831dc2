"""Section "X-ray", its geometry: from the DICOM header, from a file, or by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import qt
import slicer
from DRRSimulatorLib.calibration import read_calibration
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.errors import InputError
from DRRSimulatorSlicer import nodes
from slicer.i18n import tr as _
from XRayRegistrationLib.plausibility import questions

from .section import Section, showAll
from .xray_panel import selectedXRays


class GeometryPanel(Section):
    """Shows the geometry of an X-ray and lets it be changed; it is kept with the X-ray's node, not with the parameters."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        ui = self.ui
        self._shown: slicer.vtkMRMLVolumeNode | None = None
        self._error = ""
        # Each quantity of a camera with the spin boxes that hold it.
        self._boxes = {
            "source_to_detector_distance": (ui.distanceSpinBox,),
            "pixel_spacing": (ui.columnSpacingSpinBox, ui.rowSpacingSpinBox),
            "principal_point": (ui.principalColumnSpinBox, ui.principalRowSpinBox),
        }
        for quantity, boxes in self._boxes.items():
            for number, box in enumerate(boxes):
                box.connect("valueChanged(double)", lambda value, place=(quantity, number): self._onEdited(*place, value))
        ui.geometryOfComboBox.connect("currentIndexChanged(int)", self._onXRayChosen)
        ui.geometryFileButton.connect("clicked()", self._onFileClicked)
        ui.geometryDICOMButton.connect("clicked()", self._onDICOMClicked)

    def update(self) -> None:
        """Show the geometry of the X-ray chosen."""
        self._listXRays()
        xrayNode = self._xrayNode()
        if xrayNode is not self._shown:
            self._shown, self._error = xrayNode, ""
            self._showUnknown()
        camera = self._camera(xrayNode)
        if camera is not None:
            self._showCamera(camera)
        self._describe(xrayNode, camera)

    def problem(self) -> str:
        """Whether the geometry of every X-ray is known."""
        chosen = selectedXRays(self.parameterNode)
        for node in chosen:
            try:
                known = self.logic.geometry(node)
            except InputError as error:
                return str(error)
            if known is None:
                return _("Enter the geometry of {name}, or read it from a file.").format(name=node.GetName())
            if known[0].image_size != _imageSize(node):
                return _("The geometry of {name} is for images of another size; enter it again.").format(name=node.GetName())
            if len(chosen) == 2 and known[1] is None:
                return _("Read a calibration file for {name}: two X-rays need to know where they are to each other.").format(
                    name=node.GetName()
                )
        return ""

    def readFile(self, path: Path | str) -> None:
        """Take the geometry of a camera's JSON or of calibration text for the X-ray that is shown."""
        xrayNode = self._xrayNode()
        try:
            self.logic.setGeometry(xrayNode, *read_calibration(Path(path), _imageSize(xrayNode)))
            self._error = ""
        except InputError as error:
            self._error = str(error)
        self.changed()

    def _xrayNode(self) -> slicer.vtkMRMLVolumeNode | None:
        chosen = selectedXRays(self.parameterNode)
        return chosen[min(max(self.ui.geometryOfComboBox.currentIndex, 0), len(chosen) - 1)] if chosen else None

    def _camera(self, xrayNode: slicer.vtkMRMLVolumeNode | None) -> Camera | None:
        try:
            known = self.logic.geometry(xrayNode) if xrayNode is not None else None
        except InputError as error:
            self._error = str(error)
            return None
        return known[0] if known else None

    def _listXRays(self) -> None:
        """The choice between the X-rays is offered where there are two."""
        names = [node.GetName() for node in selectedXRays(self.parameterNode)]
        box = self.ui.geometryOfComboBox
        if names != [box.itemText(index) for index in range(box.count)]:
            index = box.currentIndex
            wasBlocked = box.blockSignals(True)
            box.clear()
            box.addItems(names)
            box.currentIndex = min(max(index, 0), len(names) - 1)
            box.blockSignals(wasBlocked)
        showAll(len(names) == 2, self.ui.geometryOfLabel, box)

    def _showUnknown(self) -> None:
        """What can be assumed of an X-ray whose geometry is not known: its middle as the principal point."""
        rows, columns = _imageSize(self._shown) if self._shown is not None else (1, 1)
        self._fill("source_to_detector_distance", (0.0,))
        self._fill("pixel_spacing", (0.0, 0.0))
        self._fill("principal_point", ((columns - 1) / 2, (rows - 1) / 2))

    def _showCamera(self, camera: Camera) -> None:
        self._fill("source_to_detector_distance", (camera.source_to_detector_distance,))
        self._fill("pixel_spacing", camera.pixel_spacing)
        self._fill("principal_point", camera.principal_point)

    def _fill(self, quantity: str, values: tuple[float, ...]) -> None:
        for box, value in zip(self._boxes[quantity], values, strict=True):
            wasBlocked = box.blockSignals(True)
            box.value = value
            box.blockSignals(wasBlocked)

    def _describe(self, xrayNode: slicer.vtkMRMLVolumeNode | None, camera: Camera | None) -> None:
        ui = self.ui
        for widget in (ui.geometryFileButton, ui.geometryGroupBox):
            widget.enabled = xrayNode is not None
        ui.geometryDICOMButton.setVisible(xrayNode is not None and nodes.dicomGeometry(xrayNode) is not None)
        if camera is not None:
            ui.geometryLabel.text = _words(camera)
        else:
            ui.geometryLabel.text = _("Not known yet.") if xrayNode is not None else ""
        doubts = [*filter(None, [self._error]), *(questions(camera) if camera else [])]
        ui.geometryQuestionsLabel.text = "\n".join(doubts)
        ui.geometryQuestionsLabel.setVisible(bool(doubts))

    def _onXRayChosen(self, _index: int) -> None:
        if self.parameterNode is not None:
            self.update()

    def _onEdited(self, quantity: str, number: int, value: float) -> None:
        """Take over a number that was entered; all others keep the digits that their boxes do not show."""
        xrayNode = self._xrayNode()
        try:
            known = self.logic.geometry(xrayNode)
            if known is not None:
                camera, rigToCamera = _replaced(known[0], quantity, number, value), known[1]
            elif self.ui.distanceSpinBox.value > 0 and self.ui.columnSpacingSpinBox.value > 0:
                camera, rigToCamera = self._entered(xrayNode), None
            else:
                return  # the rest is still to be entered
            self.logic.setGeometry(xrayNode, camera, rigToCamera)
            self._error = ""
        except InputError as error:
            self._error = str(error)
        self.changed()

    def _entered(self, xrayNode: slicer.vtkMRMLVolumeNode) -> Camera:
        """The camera that the boxes tell; most detectors have square pixels."""
        ui = self.ui
        across = ui.columnSpacingSpinBox.value
        spacing = across, ui.rowSpacingSpinBox.value or across
        principalPoint = ui.principalColumnSpinBox.value, ui.principalRowSpinBox.value
        return Camera(ui.distanceSpinBox.value, spacing, _imageSize(xrayNode), principalPoint)

    def _onFileClicked(self) -> None:
        filters = _("Camera or calibration (*.json *.txt *.yml *.yaml);;All files (*)")
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Geometry of the X-ray"), "", filters)
        if path:
            self.readFile(path)

    def _onDICOMClicked(self) -> None:
        xrayNode = self._xrayNode()
        self.logic.setGeometry(xrayNode, nodes.dicomGeometry(xrayNode))
        self.changed()


def _replaced(camera: Camera, quantity: str, number: int, value: float) -> Camera:
    """A camera with one number of one of its quantities replaced."""
    old = getattr(camera, quantity)
    new: Any = tuple(value if n == number else other for n, other in enumerate(old)) if isinstance(old, tuple) else value
    return replace(camera, **{quantity: new})


def _imageSize(node: slicer.vtkMRMLVolumeNode) -> tuple[int, int]:
    """(rows, columns)."""
    columns, rows, _slices = node.GetImageData().GetDimensions() if node.GetImageData() is not None else (0, 0, 0)
    return rows, columns


def _words(camera: Camera) -> str:
    """A geometry in words."""
    across, along = camera.pixel_spacing
    rows, columns = camera.image_size
    return _("{distance:.0f} mm from source to detector; {width:.0f} x {height:.0f} mm in pixels of {across:.3g} x {along:.3g} mm").format(
        distance=camera.source_to_detector_distance, width=columns * across, height=rows * along, across=across, along=along
    )
