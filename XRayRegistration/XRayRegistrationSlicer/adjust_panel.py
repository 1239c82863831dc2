"""Section "Adjust and compare", the pose: moved with sliders or with handles in the 3D views, and refined from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import qt
import slicer
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import ignore_progress
from DRRSimulatorSlicer.background import errorText
from DRRSimulatorSlicer.section import allow
from slicer.i18n import tr as _

from .handles import showHandles
from .register_panel import RegisterPanel
from .result import NUMBERS_ATTRIBUTE
from .section import Lookup, Section, showAll

if TYPE_CHECKING:
    from DRRSimulatorLib.patient import Patient

    from .adjustment import Adjustment
    from .result import RegistrationResult

REST_MS = 250  # after so long without a movement, outline and DRR are drawn finely


class AdjustPanel(Section):
    """Moves the bone of the result, as it is seen in one X-ray.

    The CT is made ready for it when the section is opened, which takes a while if the scene was saved and opened again.
    """

    def __init__(self, *args: Any, register: RegisterPanel) -> None:
        """Connect the controls.

        Args:
            args: as for `Section`.
            register: runs the refinement.
        """
        super().__init__(*args)
        self._register = register
        self._lookup = Lookup()
        self._adjusted: tuple[Any, ...] = ()  # result and X-ray that the adjustment is for
        self._adjustment: Adjustment | None = None
        self._message = ""
        self._motion = np.zeros(6)
        self._isMoving = False
        self._moveTimer = _singleShot(0, self._move)
        self._followTimer = _singleShot(0, self._follow)
        self._restTimer = _singleShot(REST_MS, self._finish)
        self._followed: Any = None  # the transform whose handles are shown
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
        if self._adjustment is None:
            return self._message or _("Making the CT ready...")
        return ""

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
            self._adjustment = self.logic.adjustment(result, view)
            self._showMotion()
            self._showHandles()
            self.changed()

        def fail(error: Exception) -> None:
            self._message = errorText(error)
            self.changed()

        try:
            prepare = self.logic.preparePatient(result)
        except InputError as error:
            self._message = str(error)
        else:
            self._lookup.start(lambda: prepare(ignore_progress), ready, fail)

    def _forget(self) -> None:
        """Let go of the result."""
        self._lookup.stop()
        self._stopTimers()
        self._adjustment, self._adjusted, self._message = None, (), ""
        self._showHandles()
        self._motion = np.zeros(6)
        self._fillSliders()

    def _onSlider(self, number: int, value: float) -> None:
        self._motion[number] = value
        self._moveTimer.start()

    def _move(self) -> None:
        """Move the bone to where the sliders are; several that moved since the last time are taken together."""
        with self._moving():
            self._adjustment.apply(self._motion)
        self._restTimer.start()

    def _follow(self) -> None:
        """Take over where the user dragged the camera to."""
        with self._moving():
            self._adjustment.updateFromTransform()
        self._showMotion()
        self._restTimer.start()

    def _finish(self) -> None:
        with self._moving():
            self._adjustment.finish()
        self.changed()

    def _onReset(self) -> None:
        self._stopTimers()
        with self._moving():
            self._adjustment.reset()
        self._showMotion()
        self.changed()

    def _onRefineHere(self) -> None:
        if self._restTimer.active:
            self._restTimer.stop()
            self._finish()
        self._register.run(self._adjustment.prepareRefinement, _("Refined from where the bone was."))

    def _showMotion(self) -> None:
        self._motion = self._adjustment.motion
        self._fillSliders()

    def _fillSliders(self) -> None:
        for slider, value in zip(self._sliders, self._motion, strict=True):
            wasBlocked = slider.blockSignals(True)
            slider.value = float(value)
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

    def _stopTimers(self) -> None:
        for timer in (self._moveTimer, self._followTimer, self._restTimer):
            timer.stop()


def _singleShot(milliseconds: int, function: Callable[[], None]) -> qt.QTimer:
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.connect("timeout()", function)
    return timer
