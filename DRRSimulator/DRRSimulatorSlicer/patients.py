"""Patients made ready once, for all the X-rays that are simulated or registered with a CT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from DRRSimulatorLib.patient import Patient, prepare_patient
from DRRSimulatorLib.progress import Report

from .matrices import ijkToRASMatrix, matrixBetween
from .nodes import readBones, readCT


class PatientCache:
    """Keeps the patient that was prepared last, as each takes several times the memory of its CT."""

    def __init__(self) -> None:
        self._state: Any = None
        self._patient: Patient | None = None

    def prepare(
        self,
        ctNode: slicer.vtkMRMLScalarVolumeNode,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        device: str | Callable[[], str] = "cpu",
    ) -> Callable[[Report], Patient]:
        """A function that makes a patient ready, or returns it at once if nothing has changed since; it may run in any thread.

        Args:
            ctNode: the CT.
            segmentationNode: its bones; None: they are found in the CT.
            device: as for `prepare_patient`; or a function that chooses it where the patient is made, as asking PyTorch for a GPU first
                loads PyTorch.

        Raises:
            InputError: as `readCT` and `readBones` do; what is returned raises it as well.
        """
        makeCT = readCT(ctNode)
        makeBones = readBones(segmentationNode, ctNode) if segmentationNode is not None else None
        nodes = (_stateOfCT(ctNode), _stateOfBones(segmentationNode, ctNode))

        def make(report: Report) -> Patient:
            chosen = device() if callable(device) else device
            state = (nodes, chosen)
            if self._state == state and self._patient is not None:
                return self._patient
            self.clear()  # before the next one is made: two may not fit into the memory
            report(0.0, "Reading the CT")
            ct = makeCT()
            bones = makeBones(ct) if makeBones is not None else None
            self._patient = prepare_patient(ct, bones, chosen, report)
            self._state = state
            return self._patient

        return make

    def clear(self) -> None:
        """Forget the patient."""
        self._state, self._patient = None, None


def _stateOfCT(ctNode: slicer.vtkMRMLScalarVolumeNode) -> tuple[Any, ...]:
    """Changes with the voxels and their place, and with nothing else; VTK's modification times are unique."""
    return ctNode.GetImageData().GetMTime(), ijkToRASMatrix(ctNode).tobytes()


def _stateOfBones(segmentationNode: slicer.vtkMRMLSegmentationNode | None, ctNode: slicer.vtkMRMLScalarVolumeNode) -> tuple[Any, ...]:
    """Changes with the segments, their names and their place in the CT."""
    if segmentationNode is None:
        return ()
    segmentation = segmentationNode.GetSegmentation()
    segments = [segmentation.GetNthSegment(number) for number in range(segmentation.GetNumberOfSegments())]
    source = segmentation.GetSourceRepresentationName()
    states = [(segment.GetName(), segment.GetLabelValue(), segment.GetRepresentation(source).GetMTime()) for segment in segments]
    return *states, matrixBetween(segmentationNode, ctNode).tobytes()
