"""Section "Model": which one, and whether it is for this CT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from DRRSimulatorLib.errors import InputError
from DRRSimulatorSlicer import nodes
from DRRSimulatorSlicer.background import errorText
from DRRSimulatorSlicer.matrices import ijkToRASMatrix
from slicer.i18n import tr as _
from XRayRegistrationLib.model import DEFAULT_MODEL, ModelDescription, read_description

from .choices import ModelSource
from .section import Lookup, Section, showAll
from .xray_panel import selectedXRays


def selectedModel(parameterNode: Any) -> Path | None:
    """File of the model chosen; None while a file is still to be chosen, and where none is wanted."""
    if parameterNode.modelSource.start != "model":
        return None
    if parameterNode.modelSource is ModelSource.SAMPLE:
        return DEFAULT_MODEL
    return Path(parameterNode.modelPath) if parameterNode.modelPath else None


class ModelPanel(Section):
    """Chooses a model, and compares the CT with the one that it was trained on, in the background."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._lookup = Lookup()
        self._compared: tuple[Any, ...] = ()  # what was compared last
        self._problem = ""
        self._fingerprints: dict[tuple[Any, ...], str] = {}  # of CTs, as a large one takes seconds
        # No connection of the parameter node's own: it would show no file as the folder ".".
        self.ui.modelPathLineEdit.connect("currentPathChanged(QString)", self._onFileChosen)

    def update(self) -> None:
        """Compare again if the CT or the model has changed."""
        if self.ui.modelPathLineEdit.currentPath != self.parameterNode.modelPath:
            self.ui.modelPathLineEdit.currentPath = self.parameterNode.modelPath
        source = self.parameterNode.modelSource
        showAll(source is ModelSource.FILE, self.ui.modelPathLabel, self.ui.modelPathLineEdit)
        if source.start != "model":
            self._lookup.stop()
            self._compared = ()
            self._sayWithoutModel(source)
            return
        ctNode, path = self.parameterNode.ct, selectedModel(self.parameterNode)
        state = (ctKey(ctNode), path, path.stat().st_mtime_ns if path is not None and path.is_file() else 0)
        if state != self._compared:
            self._compared = state
            self._compare(ctNode, path)

    def problem(self) -> str:
        """Whether the model is for this CT."""
        return self._problem

    def cleanup(self) -> None:
        """Stop comparing."""
        super().cleanup()
        self._lookup.stop()

    def _onFileChosen(self, path: str) -> None:
        if self.parameterNode is not None:
            self.parameterNode.modelPath = path

    def _compare(self, ctNode: Any, path: Path | None) -> None:
        self._lookup.stop()
        try:
            if path is None:
                raise InputError(_("Choose a model file, or train a model for this CT."))
            description = read_description(path)
            readCT = nodes.readCT(ctNode) if ctNode is not None else None
        except InputError as error:
            self._say(str(error), problem=True)
            return
        if readCT is None:
            self._say("")
            return
        key = ctKey(ctNode)
        if key in self._fingerprints:
            self._judge(description, self._fingerprints[key])
            return

        def compare(found: str) -> None:
            self._fingerprints[key] = found
            self._judge(description, found)
            self.changed()

        def fail(error: Exception) -> None:
            self._say(errorText(error), problem=True)
            self.changed()

        self._say(_("Checking whether the model is for this CT..."), problem=True)
        self._lookup.start(lambda: readCT().fingerprint, compare, fail)

    def _sayWithoutModel(self, source: ModelSource) -> None:
        xrayNodes = selectedXRays(self.parameterNode)
        if not self.parameterNode.refine:
            self._say(_("Without a model the pose is found by refinement alone; switch it on."), problem=True)
        elif source is ModelSource.SEARCH:
            self._say(_("All usual views of a supine patient are compared with the X-ray, which takes from ten seconds to a minute."))
        elif xrayNodes and not self.logic.hasPosition(xrayNodes[0]):
            self._say(
                _("The X-ray has no camera in the scene yet; search for the pose first, or put the X-ray under a C-arm's transform."),
                problem=True,
            )
        else:
            self._say(_("The pose is refined from where the camera of the X-ray stands now."))

    def _judge(self, description: ModelDescription, fingerprint: str) -> None:
        if description.ct_fingerprint == fingerprint:
            self._say(_("Trained for this CT, with: {bones}.").format(bones=", ".join(description.labels.values())))
        else:
            self._say(_("This model was trained for another CT. Train one for this CT below, or choose its file."), problem=True)
            self.ui.trainingGroupBox.collapsed = False

    def _say(self, text: str, problem: bool = False) -> None:
        self.ui.modelLabel.text = text
        self._problem = text if problem else ""


def ctKey(ctNode: Any) -> tuple[Any, ...]:
    """Tells CTs apart, and a CT from what it was before its voxels or their place changed."""
    if ctNode is None or ctNode.GetImageData() is None:
        return ()
    return ctNode.GetID(), ctNode.GetImageData().GetMTime(), ijkToRASMatrix(ctNode).tobytes()
