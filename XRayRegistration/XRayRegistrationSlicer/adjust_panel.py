"""Section "Adjust and compare", the pose: moved with sliders or with handles in the 3D views, and refined from there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import ignore_progress
from DRRSimulatorSlicer.background import errorText
from DRRSimulatorSlicer.dependencies import Dependencies
from DRRSimulatorSlicer.section import allow
from slicer.i18n import tr as _

from .drag_drawing import DragDrawing, singleShot
from .handles import showHandles
from .register_panel import RegisterPanel
from .result import NUMBERS_ATTRIBUTE
from .section import Lookup, Section, showAll

if TYPE_CHECKING:
    from DRRSimulatorLib.patient import Patient

    from .adjustment import Adjustment
    from .result import RegistrationResult


class AdjustPanel(Section):
    """Moves the bone of the result, as it is seen in one X-ray.

    The CT is made ready for it when the section is opened, which takes a while if the scene was saved and opened again.
    """

    def __init__(self, *args: Any, register: RegisterPanel, dependencies: Dependencies) -> None:
        """Connect the controls.

        Args:
            args: as for `Section`.
            register: runs the refinement.
            dependencies: asked whether simulated X-rays can be drawn.
        """
        super().__init__(*args)
        self._register = register
        self._dependencies = dependencies
        self._lookup = Lookup()
        self._adjusted: tuple[Any, ...] = ()  # result and X-ray that the adjustment is for
        self._adjustment: Adjustment | None = None
        self._drawing: DragDrawing | None = None
        self._message = ""  # why the bone cannot be moved
        self._motion = np.zeros(6)
        self._isMoving = False  # by this panel, not by the handles
        self._followed: Any = None  # the camera whose handles are shown
        self._moveTimer = singleShot(0, self._move)
        self._followTimer = singleShot(0, self._follow)
        ui = self.ui
        self._sliders = (ui.rightSlider, ui.downSlider, ui.depthSlider, ui.tiltSlider, ui.turnSlider, ui.rollSlider)
        for number, slider in enumerate(self._sliders):
            slider.connect("valueChanged(double)", lambda value, number=number: self._onSlider(number, value))
        ui.adjustViewComboBox.connect("currentIndexChanged(int)", lambda index: self.changed())
        ui.adjustCollapsibleButton.connect("contentsCollapsed(bool)", lambda isCollapsed: self.changed())
        ui.refineHereButton.connect("clicked()", self._onRefineHere)
        ui.resetButton.connect("clicked()", self._onReset)
        ui.handlesCheckBox.connect("toggled(bool)", lambda isOn: self._showHandles())

    def setParameterNode(self, parameterNode: Any) -> None:
        """Show another scene."""
        super().setParameterNode(parameterNode)
        self._forget()

    def update(self) -> None:
        """Make ready for the result that is there, and allow what is possible now."""
        ui = self.ui
        result = self.logic.result(self.parameterNode.xray) if self.parameterNode.xray is not None else None
        self._listXRays(result)
        view = max(ui.adjustViewComboBox.currentIndex, 0)
        adjusted = (result.table, result.table.GetAttribute(NUMBERS_ATTRIBUTE), view) if result is not None else ()
        if adjusted != self._adjusted:
            self._forget()
            if result is not None and not ui.adjustCollapsibleButton.collapsed:
                self._adjusted = adjusted
                self._prepare(result, view)
        problem = self._problem(result)
        ui.adjustLabel.text = problem
        ui.adjustLabel.setVisible(bool(problem))
        for slider in self._sliders:
            slider.enabled = not problem
        ui.handlesCheckBox.enabled = not problem
        allow(ui.refineHereButton, problem)
        allow(ui.resetButton, problem)

    def cleanup(self) -> None:
        """Stop what is going on."""
        super().cleanup()
        self._forget()

    def _problem(self, result: RegistrationResult | None) -> str:
        """Why the bone cannot be moved now."""
        if result is None:
            return _("Register an X-ray first.")
        if self._register.running:
            return _("Wait until the registration is done, or cancel it.")
        return self._message or (_("Making the CT ready...") if self._adjustment is None else "")

    def _listXRays(self, result: RegistrationResult | None) -> None:
        """The choice between the X-rays is offered where there are several."""
        box = self.ui.adjustViewComboBox
        names = [view["xray"] for view in result.numbers["views"]] if result is not None else []
        if names != [box.itemText(index) for index in range(box.count)]:
            wasBlocked = box.blockSignals(True)
            box.clear()
            box.addItems(names)
            box.blockSignals(wasBlocked)
        showAll(len(names) > 1, self.ui.adjustViewLabel, box)

    def _prepare(self, result: RegistrationResult, view: int) -> None:
        def ready(patient: Patient) -> None:
            try:
                self._adjustment = self.logic.adjustment(result, view)
                self._drawing = DragDrawing(self._adjustment, self.changed, self._fail)
                self._showMotion()
                self._showHandles()
            except InputError as error:  # the scene holds a camera that does not fit, or one that was scaled
                self._message = str(error)
            self.changed()

        try:
            if self._dependencies.missing("registration"):
                raise InputError(_("Python packages are missing; press Register to install them."))
            prepare = self.logic.preparePatient(result)
        except InputError as error:
            self._message = str(error)
        else:
            self._lookup.start(lambda: prepare(ignore_progress), ready, self._fail)

    def _fail(self, error: Exception) -> None:
        self._message = errorText(error)
        self.changed()

    def _forget(self) -> None:
        """Let go of the result."""
        self._lookup.stop()
        self._stop()
        self._adjustment, self._drawing, self._adjusted, self._message = None, None, (), ""
        self._showHandles()
        self._motion = np.zeros(6)
        self._fillSliders()

    def _stop(self) -> None:
        """Stop moving and drawing."""
        self._moveTimer.stop()
        self._followTimer.stop()
        if self._drawing is not None:
            self._drawing.stop()

    def _onSlider(self, number: int, value: float) -> None:
        self._motion[number] = value
        self._moveTimer.start()

    def _move(self) -> None:
        """Move the bone to where the sliders are; several that moved since the last time are taken together."""
        with self._moving():
            self._adjustment.move(self._motion)
        self._drawing.moved()

    def _follow(self) -> None:
        """Take over where the user dragged the camera to."""
        try:
            with self._moving():
                self._adjustment.moveFromTransform()
        except InputError as error:
            self._fail(error)
            return
        self._message = ""
        self._showMotion()
        self._drawing.moved()

    def _onReset(self) -> None:
        self._motion = np.zeros(6)
        self._fillSliders()
        self._move()

    def _onRefineHere(self) -> None:
        if self._moveTimer.active:
            self._move()
        self._stop()
        self._register.run(self._adjustment.prepareRefinement, _("Refined from where the bone was."))

    def _showMotion(self) -> None:
        self._motion = self._adjustment.motion
        self._fillSliders()

    def _fillSliders(self) -> None:
        for slider, value in zip(self._sliders, self._motion, strict=True):
            wasBlocked = slider.blockSignals(True)
            slider.value = round(float(value), 3) + 0.0  # no -0.0
            slider.blockSignals(wasBlocked)

    def _showHandles(self) -> None:
        """Show the handles of the camera, if that is wanted, and hide those that were shown before."""
        event = slicer.vtkMRMLTransformNode.TransformModifiedEvent
        if self._followed is not None:
            self.removeObserver(self._followed.transformNode, event, self._onTransform)
            if self._followed.transformNode.GetScene() is not None:
                showHandles(self._followed, np.zeros(3), False)
            self._followed = None
        if self._adjustment is not None and self.ui.handlesCheckBox.checked:
            self._followed = self._adjustment.result.carms[self._adjustment.view]
            showHandles(self._followed, self._adjustment.result.numbers["bone_centre_ras"], True)
            self.addObserver(self._followed.transformNode, event, self._onTransform)

    def _onTransform(self, caller: Any, event: Any) -> None:
        if not self._isMoving:
            self._followTimer.start()

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """Tell changes of the transform that are made here from those that the user makes."""
        self._isMoving = True
        try:
            yield
        finally:
            self._isMoving = False
