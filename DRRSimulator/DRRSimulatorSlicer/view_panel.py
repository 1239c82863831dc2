"""Section "View": the angles of the C-arm, and the live preview of what it sees."""

from __future__ import annotations

from typing import Any

import slicer
from DRRSimulatorLib.camera import CArmView
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.patient import Patient
from slicer.i18n import tr as _

from . import views
from .background import errorText
from .carm import FREE_VIEW_ID, CArm
from .choices import Polarity
from .ct_panel import CTPanel
from .parameters import cameraOf, setView, viewOf
from .preview import Frame, Preview, preparation
from .section import Section, allow
from .simulation import DRR_ROLE
from .work_panel import WorkPanel


class ViewPanel(Section):
    """Shows the preview of the parameters while the button is pressed."""

    def __init__(self, *args: Any, work: WorkPanel, ct: CTPanel) -> None:
        """Connect the controls.

        Args:
            args: as for `Section`.
            work: prepares the CT.
            ct: tells whether there is a CT.
        """
        super().__init__(*args)
        self._work, self._ct = work, ct
        self.preview = Preview(self._onFrame, self._onFailed)
        self._previewed: tuple[Any, Any] | None = None  # the CT and the segmentation that are prepared
        self._lookingAlong: Any = None  # the camera that the views were arranged for
        self.problem = ""  # why the view cannot be shown, in a sentence
        self.ui.previewButton.connect("toggled(bool)", lambda _on: self._onToggled())
        self.ui.frontalButton.connect("clicked()", lambda: setView(self.parameterNode, CArmView()))
        self.ui.lateralButton.connect("clicked()", lambda: setView(self.parameterNode, CArmView(primary_deg=90)))
        self.ui.cameraButton.connect("clicked()", self.lookAsCamera)

    def update(self) -> None:
        """Show the preview of the parameters, prepare it, or stop it, as the button and the CT say."""
        ui = self.ui
        if self.parameterNode is None:
            return
        allow(ui.previewButton, self._ct.problem or ("" if self.preview.running else self._work.problem))
        allow(ui.cameraButton, "" if self.preview.running else _("Start the live preview first."))
        if not ui.previewButton.checked or self._ct.problem:
            self._stop()
        elif self._inputs() == self._previewed:
            self.preview.show(self.frame())
        elif not self._work.running:
            self._start()

    def frame(self) -> Frame:
        """What the parameters ask for."""
        parameters = self.parameterNode
        return Frame(cameraOf(parameters), viewOf(parameters), parameters.polarity is Polarity.ATTENUATION)

    def lookAsCamera(self) -> None:
        """Take the view of the camera of the free 3D view."""
        parameters = self.parameterNode
        viewNode = slicer.mrmlScene.GetNodeByID(FREE_VIEW_ID)
        before = viewOf(parameters)
        try:
            setView(parameters, self.logic.viewFromCamera3D(viewNode, parameters.ct, parameters.segmentation, parameters.sourceToIsocenter))
        except InputError as error:
            self._work.tell(str(error))
        except ValueError:  # an offset is too large for its slider
            setView(parameters, before)
            self._work.tell(_("The 3D view looks past the bones; turn it so that they are in its middle."))

    def setParameterNode(self, parameterNode: Any) -> None:
        """Follow the scene; each begins without a preview."""
        super().setParameterNode(parameterNode)
        self._stop()
        self.ui.previewButton.checked = False
        self.problem = ""

    def cleanup(self) -> None:
        """Stop the preview."""
        super().cleanup()
        self._stop()

    def _onToggled(self) -> None:
        self.problem = ""
        self.update()
        self.changed()

    def _inputs(self) -> tuple[Any, Any]:
        return self.parameterNode.ct, self.parameterNode.segmentation

    def _start(self) -> None:
        self._stop()
        ctNode, segmentationNode = inputs = self._inputs()
        frame = self.frame()

        def show(prepared: tuple[Patient, float]) -> None:
            if self.parameterNode is None or self._inputs() != inputs or not self.ui.previewButton.checked:
                return  # the user went on to something else
            self._previewed = inputs
            carm = self.preview.start(prepared[0], ctNode, CArm.find(self.parameterNode.previewCamera), self.frame(), prepared[1])
            self.parameterNode.previewCamera = carm.transformNode
            self.changed()

        def uncheck() -> None:
            self.ui.previewButton.checked = False

        self._work.run(lambda: preparation(self.logic.preparePatient(ctNode, segmentationNode), frame), show, uncheck)

    def _stop(self) -> None:
        self._previewed = self._lookingAlong = None
        self.preview.stop()

    def _onFrame(self) -> None:
        if self.problem:
            self.problem = ""
            self.changed()
        carm = self.preview.carm
        shown = carm.transformNode, carm.camera()
        if shown == self._lookingAlong:
            return
        isFirst, self._lookingAlong = self._lookingAlong is None, shown
        views.showLayout(1)
        views.showXRay("XRay1", carm.node(DRR_ROLE))
        views.lookFromSource(carm)
        if isFirst:
            views.resetFreeView()

    def _onFailed(self, error: Exception) -> None:
        if not self.preview.running:
            self.ui.previewButton.checked = False
        self.problem = errorText(error)
        self.changed()
