"""Inputs of registrations as nodes, and what a scene consists of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.patient import Patient
from DRRSimulatorLib.progress import Report


class SharedPatient:
    """Takes the place of `PatientCache` where the CT is always the same: it is made ready once for all tests."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient

    def prepare(self, *unused: Any) -> Callable[[Report], Patient]:
        return lambda report: self.patient


def add_ct(ct: CTVolume, name: str = "CT") -> Any:
    import slicer

    return slicer.util.addVolumeFromArray(ct.hu, ct.ijk_to_ras, name)


def add_xray(pixels: npt.NDArray[Any], name: str = "AP", class_name: str = "vtkMRMLScalarVolumeNode") -> Any:
    """Placed as Slicer's DICOM reader places X-rays, in directions that mean nothing anatomical."""
    import slicer

    return slicer.util.addVolumeFromArray(np.asarray(pixels)[None], np.diag([-0.5, -0.5, 1.0, 1.0]), name, class_name)


def add_transform(matrix: npt.ArrayLike) -> Any:
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.asarray(matrix, dtype=float)))
    return node


def node_names() -> dict[str, str]:
    """Name of each node in the scene by its id, without singletons, which Slicer itself adds and keeps."""
    import slicer

    nodes = [slicer.mrmlScene.GetNthNode(number) for number in range(slicer.mrmlScene.GetNumberOfNodes())]
    kept = [node for node in nodes if not node.GetSingletonTag() and not node.IsA("vtkMRMLSubjectHierarchyNode")]
    return {node.GetID(): node.GetName() for node in kept}


def to_world(node: Any) -> npt.NDArray[np.float64]:
    """4x4 from a node's own coordinates to the world."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    if node.GetParentTransformNode() is not None:
        node.GetParentTransformNode().GetMatrixTransformToWorld(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))
