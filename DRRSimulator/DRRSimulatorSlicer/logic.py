"""DRR Simulator for the Python console and for scripts; the panel and the batch script use nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

if TYPE_CHECKING:
    from DRRSimulatorLib.bone import BoneLabels
    from DRRSimulatorLib.camera import Camera, CArmView
    from DRRSimulatorLib.patient import Patient
    from DRRSimulatorLib.progress import ProgressLine, Report

    from .generate import Generation
    from .simulation import SimulatedXRay


class DRRSimulatorLogic(ScriptedLoadableModuleLogic):
    """Simulates X-rays (DRRs) of a CT of the scene.

    Nothing here needs a main window, and the CT and its segmentation are never changed.

    Example:
        >>> from DRRSimulatorLib.camera import Camera, CArmView
        >>> logic = DRRSimulatorLogic()
        >>> ctNode = logic.loadSampleCT()
        >>> segmentationNode = logic.segmentBone(ctNode)
        >>> camera = Camera.centred(1020, 2.3, (128, 128))  # distance to the detector and pixel spacing, mm; rows and columns
        >>> view = CArmView(primary_deg=30, secondary_deg=-10)  # LAO 30, CAUD 10
        >>> drrNode = logic.simulate(ctNode, camera, view, segmentationNode)
        >>> drrNode.GetName()
        'PelvisCT DRR LAO 30 CAUD 10'
        >>> slicer.util.arrayFromVolume(drrNode).shape  # one slice that lies on the detector
        (1, 128, 128)
    """

    def __init__(self) -> None:
        """Make a logic; it remembers the CT that it prepared last."""
        from .patients import PatientCache

        super().__init__()
        self._patients = PatientCache()

    def loadSampleCT(self) -> slicer.vtkMRMLScalarVolumeNode:
        """Load the CT of a pelvis that comes with the module: 3 mm voxels, from TotalSegmentator's test data (Apache License 2.0)."""
        from .sample_data import loadSampleCT

        return loadSampleCT()

    def geometry(self, xrayNode: slicer.vtkMRMLVolumeNode) -> Camera | None:
        """The camera that an X-ray was taken with, from the scene or from its DICOM header; None where neither tells it.

        Raises:
            InputError: if what the scene says is no camera.
        """
        from .nodes import dicomGeometry, geometry

        known = geometry(xrayNode)
        return known[0] if known is not None else dicomGeometry(xrayNode)

    def segmentBone(
        self, ctNode: slicer.vtkMRMLScalarVolumeNode, segmentationNode: slicer.vtkMRMLSegmentationNode | None = None
    ) -> slicer.vtkMRMLSegmentationNode:
        """Find all bone of a CT, as one segment.

        Args:
            ctNode: the CT, in Hounsfield units.
            segmentationNode: the segmentation whose segments are replaced; None: a new one.

        Raises:
            InputError: if the node is no CT, or has no bone.

        Example:
            >>> segmentationNode = logic.segmentBone(ctNode)
            >>> segmentationNode.GetSegmentation().GetNthSegment(0).GetName()
            'bone'
        """
        from DRRSimulatorLib.progress import ignore_progress

        return self.showBones(self.prepareBones(ctNode)(ignore_progress), ctNode, segmentationNode)

    def prepareBones(self, ctNode: slicer.vtkMRMLScalarVolumeNode) -> Callable[[Report], BoneLabels]:
        """A function that finds all bone of a CT, for any thread.

        Raises:
            InputError: if the node is no CT; what is returned raises it as well.
        """
        from DRRSimulatorLib.bone import segment_bone

        from .nodes import readCT

        makeCT = readCT(ctNode)

        def compute(report: Report) -> BoneLabels:
            report(0.0, "Finding the bone in the CT")
            bones = segment_bone(makeCT())
            report(1.0, "Making its surface")
            return bones

        return compute

    def showBones(
        self,
        bones: BoneLabels,
        ctNode: slicer.vtkMRMLScalarVolumeNode,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
    ) -> slicer.vtkMRMLSegmentationNode:
        """Put the bones of a CT into the scene; see `segmentBone`."""
        from .nodes import writeSegmentation

        return writeSegmentation(bones, ctNode, segmentationNode)

    def simulate(
        self,
        ctNode: slicer.vtkMRMLScalarVolumeNode,
        camera: Camera,
        view: CArmView,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        polarity: str = "intensity",
        noise: bool = False,
        seed: int = 0,
        outputNode: slicer.vtkMRMLScalarVolumeNode | None = None,
        kilovolts: int | None = None,
    ) -> slicer.vtkMRMLScalarVolumeNode:
        """Simulate one X-ray and place it on its detector, under the transform of its camera.

        It blocks until the image is there. To keep the application responsive, use `prepareSimulation` and `show` and run what is
        between them in another thread.

        Args:
            ctNode: the CT.
            camera: geometry of the image.
            view: angles and offsets of the C-arm; offsets are those of the bones' middle.
            segmentationNode: the bones; None: they are found in the CT.
            polarity: "intensity" (1 beside the patient, bone dark) or "attenuation" (its negative logarithm, bone bright).
            noise: simulate quantum noise, and with a tube voltage electronic noise.
            seed: of the noise; the image is then the first one of drr-simulate for the same seed.
            outputNode: the volume to update; None: a new one.
            kilovolts: tube voltage 60, 90 or 120, for its spectrum and scattered radiation; None: ideal rays of one energy, 70 keV.

        Returns:
            The volume: one slice, float32, with its geometry set, so that it can be registered as any X-ray.

        Raises:
            InputError: if the nodes cannot be used, or the view is impossible.

        Example:
            >>> drrNode = logic.simulate(ctNode, camera, CArmView(primary_deg=90), polarity="attenuation")
            >>> logic.geometry(drrNode) == camera
            True
            >>> sameNode = logic.simulate(ctNode, camera, CArmView(primary_deg=-90), outputNode=drrNode)
        """
        from DRRSimulatorLib.progress import ignore_progress

        compute = self.prepareSimulation(ctNode, camera, view, segmentationNode, polarity, noise, seed, kilovolts)
        return self.show(compute(ignore_progress), ctNode, outputNode)

    def preparePatient(
        self, ctNode: slicer.vtkMRMLScalarVolumeNode, segmentationNode: slicer.vtkMRMLSegmentationNode | None = None
    ) -> Callable[[Report], Patient]:
        """A function that makes ready to simulate X-rays of a CT, for any thread; at once where nothing has changed since the last time.

        Raises:
            InputError: if the nodes cannot be used; what is returned raises it as well.
        """
        return self._patients.prepare(ctNode, segmentationNode)

    def prepareSimulation(
        self,
        ctNode: slicer.vtkMRMLScalarVolumeNode,
        camera: Camera,
        view: CArmView,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        polarity: str = "intensity",
        noise: bool = False,
        seed: int = 0,
        kilovolts: int | None = None,
    ) -> Callable[[Report], SimulatedXRay]:
        """A function that simulates an X-ray, for any thread; arguments as for `simulate`.

        Raises:
            InputError: if the nodes cannot be used; what is returned raises it as well.
        """
        from .simulation import simulateView

        makePatient = self.preparePatient(ctNode, segmentationNode)

        def compute(report: Report) -> SimulatedXRay:
            patient = makePatient(report)
            report(1.0, "Simulating the X-ray")
            return simulateView(patient, camera, view, polarity, noise, seed, kilovolts)

        return compute

    def show(
        self,
        xray: SimulatedXRay,
        ctNode: slicer.vtkMRMLScalarVolumeNode,
        outputNode: slicer.vtkMRMLScalarVolumeNode | None = None,
    ) -> slicer.vtkMRMLScalarVolumeNode:
        """Put a simulated X-ray into the scene; see `simulate`."""
        from .simulation import showSimulatedXRay

        return showSimulatedXRay(xray, ctNode, outputNode)

    def generate(
        self,
        ctNode: slicer.vtkMRMLScalarVolumeNode,
        folder: Path | str,
        views: int | Sequence[CArmView],
        camera: Camera,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        polarity: str = "intensity",
        noise: bool = True,
        seed: int = 0,
        onProgress: Callable[[ProgressLine], Any] = lambda progress: None,
        onFinished: Callable[[int, str], Any] = lambda exitCode, message: None,
        kilovolts: int | None = None,
    ) -> Generation:
        """Simulate a set of X-rays to files, in another process; returns at once.

        It runs drr-simulate: view_0001.tiff (16 bits: 50000 times the intensity, or 5000 times the attenuation) and its camera
        view_0001.json, and so on. The same arguments give the same files.

        Args:
            ctNode: the CT.
            folder: where the files go; made where it is missing.
            views: the views, or how many random ones of the ranges that models are trained for.
            camera: geometry of all images.
            segmentationNode: the bones; None: they are found in the CT.
            polarity: "intensity" or "attenuation", as for `simulate`.
            noise: simulate noise, as for `simulate`.
            seed: of the random views and of the noise.
            onProgress: called with what is done, of how many, and the time that remains.
            onFinished: called at the end with 0 and what was written, or with 1 (stopped or failed) or 2 (bad input) and the reason.
            kilovolts: tube voltage, as for `simulate`.

        Returns:
            What is going on; its `stop()` ends it soon.

        Raises:
            InputError: if the nodes cannot be used.

        Example:
            >>> generation = logic.generate(ctNode, folder, 2, camera)
            >>> while generation.running:  # in a script; else the application goes on by itself
            ...     slicer.app.processEvents()
            >>> sorted(path.name for path in folder.iterdir())
            ['view_0001.json', 'view_0001.tiff', 'view_0002.json', 'view_0002.tiff']
        """
        from .generate import Generation, ViewSet
        from .nodes import readBones, readCT

        viewSet = ViewSet(Path(folder), camera, views, polarity, noise, seed, kilovolts)
        makeCT = readCT(ctNode)
        makeBones = readBones(segmentationNode, ctNode) if segmentationNode is not None else None

        def writeInput(inputFolder: Path) -> list[str]:
            ct = makeCT()
            return viewSet.writeInput(inputFolder, ct, makeBones(ct) if makeBones is not None else None)

        generation = Generation(writeInput, onProgress, onFinished)
        generation.start()
        return generation

    def viewFromCamera3D(
        self,
        viewNode: slicer.vtkMRMLViewNode,
        ctNode: slicer.vtkMRMLScalarVolumeNode,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        sourceToIsocenter: float = 700.0,
    ) -> CArmView:
        """The view of a C-arm that looks along the camera of a 3D view, at what is in the middle of that view.

        Args:
            viewNode: the 3D view.
            ctNode: the CT.
            segmentationNode: its bones; None: they are found in the CT.
            sourceToIsocenter: distance from the source to the bones' middle, mm; the 3D camera's own distance is not used.

        Raises:
            InputError: if the nodes cannot be used.
        """
        from DRRSimulatorLib.progress import ignore_progress

        from .view_from_camera import viewFromCamera

        patient = self.preparePatient(ctNode, segmentationNode)(ignore_progress)
        return viewFromCamera(viewNode, ctNode, patient.centre_ras, sourceToIsocenter)
