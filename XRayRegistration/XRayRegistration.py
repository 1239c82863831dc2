"""Slicer module that finds where the bone of a patient's CT is in X-rays of the patient."""

import json
import sys
from typing import Annotated, Any

import slicer
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest, ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin
from XRayRegistrationSlicer.choices import Brightness, ComparisonMode, ModelSource
from XRayRegistrationSlicer.logic import XRayRegistrationLogic

__all__ = [
    "XRayRegistration",
    "XRayRegistrationLogic",
    "XRayRegistrationParameterNode",
    "XRayRegistrationTest",
    "XRayRegistrationWidget",
]

PACKAGES = ("XRayRegistrationSlicer", "XRayRegistrationLib", "DRRSimulatorSlicer", "DRRSimulatorLib")


class XRayRegistration(ScriptedLoadableModule):
    """What Slicer shows of the module."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        parent.title = _("X-Ray Registration")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        parent.dependencies = ["DRRSimulator"]
        parent.contributors = ["The XRayRegistration developers"]
        parent.helpText = _(
            "Finds where the bone of a patient's CT is in one or two X-rays of the patient, without an initial guess: a neural network, "
            "trained on simulated X-rays of that CT, tells where each pixel lies in the CT. Research use only."
        )
        parent.acknowledgementText = _(
            "The method is that of P. Shrestha, C. Xie, H. Shishido, Y. Yoshii and I. Kitahara: X-Ray to CT Rigid Registration Using "
            "Scene Coordinate Regression, MICCAI 2023. The sample CT is from TotalSegmentator (Wasserthal et al., 2023)."
        )
        slicer.app.connect("startupCompleted()", registerLayouts)


@parameterNodeWrapper
class XRayRegistrationParameterNode:
    """What the user chose in the panel; saved with the scene.

    Attributes:
        xray: the X-ray; its geometry is kept in the node itself.
        secondXRay: another X-ray of the patient, calibrated together with the first.
        brightness: whether bone is dark or bright in the X-rays.
        showField: whether the border of the exposed field is drawn.
        ct: the patient's CT.
        segmentation: the bones in it; None to find them.
        modelSource: where the model comes from.
        modelPath: file of the model, for `ModelSource.FILE`.
        refine: whether the network's pose is refined on the images.
        forceCPU: whether the GPU is left alone.
        comparison: how X-ray and DRR are laid over each other.
        opacity: of the DRR over the X-ray, percent.
    """

    xray: vtkMRMLScalarVolumeNode
    secondXRay: vtkMRMLScalarVolumeNode
    brightness: Brightness = Brightness.AUTOMATIC
    showField: bool = False
    ct: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    modelSource: ModelSource = ModelSource.SAMPLE
    modelPath: str = ""
    refine: bool = True
    forceCPU: bool = False
    comparison: ComparisonMode = ComparisonMode.BLEND
    opacity: Annotated[float, WithinRange(0, 100)] = 0.0


class XRayRegistrationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel's life: it is opened and closed, and scenes come and go."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: Any = None
        self.panel: Any = None
        self._parameterNode: Any = None
        self._guiTag: Any = None

    def setup(self) -> None:
        """Build the panel, when it is opened for the first time."""
        from DRRSimulatorSlicer.dependencies import Dependencies
        from XRayRegistrationSlicer.panel import Panel

        super().setup()
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/XRayRegistration.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = XRayRegistrationLogic()
        self.panel = Panel(self.ui, self.logic, Dependencies())
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneReady)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneReady)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Stop everything: the application ends, or the module is reloaded."""
        self.removeObservers()
        self.setParameterNode(None)
        self.panel.cleanup()

    def enter(self) -> None:
        """Connect the panel again: the user came back to the module."""
        if self._parameterNode is None:
            self.initializeParameterNode()
        else:
            self._connect()
            self.chooseInputs()

    def exit(self) -> None:
        """Leave the parameter node alone until the user comes back; what is being computed goes on."""
        self._disconnect()

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        """Let go of the parameter node, which is about to vanish."""
        self.setParameterNode(None)

    def onSceneReady(self, caller: Any, event: Any) -> None:
        """Show the scene that is there now."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onReload(self) -> None:
        """Reload the module together with the packages that it consists of."""
        for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
            del sys.modules[name]
        super().onReload()

    def initializeParameterNode(self) -> None:
        """Show the scene's parameter node."""
        self.setParameterNode(XRayRegistrationParameterNode(self.logic.getParameterNode()))
        self.chooseInputs()

    def chooseInputs(self) -> None:
        """Choose what is obvious."""
        from XRayRegistrationSlicer.defaults import chooseInputs

        chooseInputs(self._parameterNode)

    def setParameterNode(self, parameterNode: XRayRegistrationParameterNode | None) -> None:
        """Connect the panel with a parameter node; None disconnects it."""
        self._disconnect()
        self._parameterNode = parameterNode
        self._connect()
        self.panel.setParameterNode(parameterNode)

    def _connect(self) -> None:
        if self._parameterNode is not None and self._guiTag is None:
            self._guiTag = self._parameterNode.connectGui(self.ui)

    def _disconnect(self) -> None:
        if self._parameterNode is not None and self._guiTag is not None:
            self._parameterNode.disconnectGui(self._guiTag)
        self._guiTag = None


class XRayRegistrationTest(ScriptedLoadableModuleTest):
    """Run inside a real Slicer: whether the module works with what is installed there."""

    def setUp(self) -> None:
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run all tests, for Reload and Test."""
        self.setUp()
        self.test_TheSampleXRayIsRegistered()

    def test_TheSampleXRayIsRegistered(self) -> None:
        """The pose found puts the bone where it was when the sample X-ray was simulated."""
        from DRRSimulatorSlicer.dependencies import Dependencies
        from DRRSimulatorSlicer.sample_data import CAMERA_FILE, loadSampleCT, loadSampleXRay

        missing = Dependencies().missing("registration")
        if missing:
            self.skipTest(f"Packages are missing: {', '.join(missing)}; press Register in the module to install them.")
        import numpy as np

        result = XRayRegistrationLogic().registerXRay(loadSampleXRay(), loadSampleCT())
        self.assertEqual(result.verdict.level, "reliable")
        true = np.array(json.loads(CAMERA_FILE.read_text(encoding="utf-8"))["ras_to_camera"])
        bone = slicer.util.arrayFromModelPoints(result.boneModels[0])
        found, expected = (bone @ pose[:3, :3].T + pose[:3, 3] for pose in (result.carms[0].pose(), true))
        self.assertLess(np.linalg.norm(found - expected, axis=1).mean(), 1.0)  # mm


def registerLayouts() -> None:
    """Make the layouts for X-rays known, or a scene that was saved with one of them would open without any view."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is not None:
        from DRRSimulatorSlicer import layouts

        layouts.registerLayouts(layoutManager.layoutLogic().GetLayoutNode())
