"""Slicer module that simulates X-rays of a patient's CT."""

import importlib.util
import sys
from typing import Annotated, Any

import slicer
import vtk
from DRRSimulatorSlicer.choices import Polarity, Tube
from DRRSimulatorSlicer.logic import DRRSimulatorLogic
from DRRSimulatorSlicer.sample_data import registerSampleData
from slicer import vtkMRMLLinearTransformNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest, ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

__all__ = ["DRRSimulator", "DRRSimulatorLogic", "DRRSimulatorParameterNode", "DRRSimulatorTest", "DRRSimulatorWidget"]

PACKAGES = ("DRRSimulatorSlicer", "DRRSimulatorLib")


class DRRSimulator(ScriptedLoadableModule):
    """What Slicer shows of the module."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        parent.title = _("DRR Simulator")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        parent.dependencies = []
        parent.contributors = ["The XRayRegistration developers"]
        parent.helpText = _(
            "Simulates X-rays (digitally reconstructed radiographs, DRRs) of a CT for any position of a C-arm: as a live preview, as a "
            "volume of the scene, or as a set of images on disk. Research use only."
        )
        parent.acknowledgementText = _("The sample CT is from TotalSegmentator (Wasserthal et al., 2023).")
        slicer.app.connect("startupCompleted()", registerSampleData)


@parameterNodeWrapper
class DRRSimulatorParameterNode:
    """What the user chose in the panel; saved with the scene.

    Attributes:
        ct: the CT.
        segmentation: the bones in it; None to find them.
        sourceToDetector: mm.
        sourceToIsocenter: mm.
        columns: pixels of the image.
        rows: pixels of the image.
        pixelSpacingX: along a row, on the detector, mm.
        pixelSpacingY: along a column, on the detector, mm.
        principalOffsetX: of the principal point from the image's middle to the right, pixels.
        principalOffsetY: of the principal point from the image's middle downwards, pixels.
        primary: angle of the C-arm, LAO + / RAO -, degrees.
        secondary: angle of the C-arm, CRAN + / CAUD -, degrees.
        roll: rotation about the beam, degrees.
        offsetX: of the bones' middle from the central ray to the right, mm at the isocenter.
        offsetY: of the bones' middle from the central ray downwards, mm at the isocenter.
        polarity: what the images show.
        tube: whether the X-rays are ideal, or those of a tube of some voltage.
        noise: whether the images have noise.
        seed: of what is random.
        viewCount: how many views to generate.
        previewCamera: transform of the camera that the live preview moves.
    """

    ct: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    sourceToDetector: Annotated[float, WithinRange(100, 3000)] = 1020.0
    sourceToIsocenter: Annotated[float, WithinRange(50, 2900)] = 700.0
    columns: Annotated[int, WithinRange(16, 4096)] = 512
    rows: Annotated[int, WithinRange(16, 4096)] = 512
    pixelSpacingX: Annotated[float, WithinRange(0.01, 5)] = 0.58
    pixelSpacingY: Annotated[float, WithinRange(0.01, 5)] = 0.58
    principalOffsetX: Annotated[float, WithinRange(-4096, 4096)] = 0.0
    principalOffsetY: Annotated[float, WithinRange(-4096, 4096)] = 0.0
    primary: Annotated[float, WithinRange(-180, 180)] = 0.0
    secondary: Annotated[float, WithinRange(-90, 90)] = 0.0
    roll: Annotated[float, WithinRange(-180, 180)] = 0.0
    offsetX: Annotated[float, WithinRange(-300, 300)] = 0.0
    offsetY: Annotated[float, WithinRange(-300, 300)] = 0.0
    polarity: Polarity = Polarity.INTENSITY
    tube: Tube = Tube.IDEAL
    noise: bool = True
    seed: Annotated[int, WithinRange(0, 2147483647)] = 0
    viewCount: Annotated[int, WithinRange(1, 100000)] = 100
    previewCamera: vtkMRMLLinearTransformNode


class DRRSimulatorWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
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
        from DRRSimulatorSlicer.panel import Panel

        super().setup()
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/DRRSimulator.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = DRRSimulatorLogic()
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

    def exit(self) -> None:
        """Leave the parameter node alone until the user comes back; what goes on goes on."""
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
        """Show the scene's parameter node; where it has no CT yet, the scene's first one is chosen."""
        from DRRSimulatorSlicer.ct_panel import firstCT

        parameterNode = DRRSimulatorParameterNode(self.logic.getParameterNode())
        if parameterNode.ct is None:
            parameterNode.ct = firstCT()
        self.setParameterNode(parameterNode)

    def setParameterNode(self, parameterNode: DRRSimulatorParameterNode | None) -> None:
        """Show another parameter node; None while the scene closes."""
        self._disconnect()
        self._parameterNode = parameterNode
        self._connect()
        self.panel.setParameterNode(parameterNode)

    def _connect(self) -> None:
        if self._parameterNode is not None and self._guiTag is None:
            self._guiTag = self._parameterNode.connectGui(self.ui)

    def _disconnect(self) -> None:
        if self._guiTag is not None:
            self._parameterNode.disconnectGui(self._guiTag)
        self._guiTag = None


class DRRSimulatorTest(ScriptedLoadableModuleTest):
    """Run inside a real Slicer: whether the module works with what is installed there."""

    def setUp(self) -> None:
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run all tests, for Reload and Test."""
        self.setUp()
        self.test_ASimulatedXRayHoldsWhatTheCTHolds()

    def test_ASimulatedXRayHoldsWhatTheCTHolds(self) -> None:
        """Seen from the source, the X-ray and the CT have the same attenuation in the same direction.

        In spherical coordinates about the source, the sum over the pixels of line integral times solid angle times direction is the
        integral over the CT of attenuation / distance^2 times direction: nothing of the simulator is needed to know it.
        """
        if importlib.util.find_spec("warp") is None:
            self.skipTest("The package warp-lang is not installed; start the live preview in the module to install it.")
        import numpy as np
        from DRRSimulatorLib.camera import Camera, CArmView
        from DRRSimulatorLib.ct import hu_to_attenuation

        logic = DRRSimulatorLogic()
        ctNode = logic.loadSampleCT()
        segmentationNode = logic.segmentBone(ctNode)
        self.assertEqual(segmentationNode.GetSegmentation().GetNumberOfSegments(), 1)
        camera = Camera.centred(1020.0, 4.0, (220, 240))  # a detector that the whole CT is seen on
        drrNode = logic.simulate(ctNode, camera, CArmView(30, 15, 10, (20, -30)), segmentationNode, "attenuation")

        cameraToRAS = slicer.util.arrayFromTransformMatrix(drrNode.GetParentTransformNode())
        source, normal = cameraToRAS[:3, 3], cameraToRAS[:3, 2]
        pixels, values = positionsAndValues(drrNode, cameraToRAS)
        rays = pixels - source
        distances = np.linalg.norm(rays, axis=1)
        solidAngles = np.prod(camera.pixel_spacing) * (rays @ normal) / distances**3
        seen = (values * solidAngles / distances) @ rays

        voxels, hu = positionsAndValues(ctNode, np.eye(4))
        directions = voxels - source
        weights = hu_to_attenuation(hu) * np.prod(ctNode.GetSpacing()) / np.linalg.norm(directions, axis=1) ** 3
        expected = weights @ directions
        self.assertLess(np.linalg.norm(seen - expected), 0.002 * np.linalg.norm(expected))


def positionsAndValues(volumeNode: vtkMRMLScalarVolumeNode, parentToRAS: Any) -> tuple[Any, Any]:
    """RAS positions (N, 3) of a volume's voxels, and their values (N,)."""
    import numpy as np

    values = slicer.util.arrayFromVolume(volumeNode)
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    toRAS = parentToRAS @ slicer.util.arrayFromVTKMatrix(matrix)
    ijk = np.indices(values.shape).reshape(3, -1)[::-1].T
    return ijk @ toRAS[:3, :3].T + toRAS[:3, 3], values.ravel()
