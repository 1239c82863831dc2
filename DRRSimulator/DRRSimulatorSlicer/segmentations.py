"""Segmentations of the scene as the library's bones and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import slicer
import vtk
from DRRSimulatorLib.bone import LARGEST_LABEL, BoneLabels, resample_labels
from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.volume_file import place_in_ras
from slicer.i18n import tr as _

from .matrices import ijkToRASMatrix, matrixBetween

LABELMAP = "Binary labelmap"
BONE_COLOR = (241 / 255, 214 / 255, 145 / 255)  # Slicer's color of bone


@dataclass
class _Layer:
    """A labelmap that segments share.

    Attributes:
        values: [k, j, i], a view of the labelmap's memory.
        ijkToRAS: 4x4 from voxel (i, j, k, 1) to the CT's own RAS, mm.
        labels: label of the bone of each value.
    """

    values: npt.NDArray[Any]
    ijkToRAS: FloatArray
    labels: dict[int, int] = field(default_factory=dict)


def readBones(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    ctNode: slicer.vtkMRMLScalarVolumeNode,
    segmentIDs: Sequence[str] | None = None,
) -> Callable[[CTVolume], BoneLabels]:
    """Each segment of a segmentation, shown or hidden, as a bone of its own that is named like it; where segments overlap, the later wins.

    The segmentation's grids and its parent transform may differ from the CT's. Segments that have only a surface are made into labels on
    the CT's grid here, which takes a while.

    Args:
        segmentationNode: the bones.
        ctNode: the CT that they are bones of.
        segmentIDs: the segments to take; None: all.

    Returns:
        A function from the CT of `readCT(ctNode)` to the bones on its grid, which may run in any thread. It raises InputError if a segment
        has no voxels of its own in the CT.

    Raises:
        InputError: if there is no segment, there are more than 255, two have one name, or the transforms are not linear.
    """
    if segmentationNode is None:
        raise InputError(_("There is no segmentation of the bones; choose one."))
    segmentation = _withLabelmaps(segmentationNode, ctNode)
    chosen = list(segmentation.GetSegmentIDs()) if segmentIDs is None else list(segmentIDs)
    segments = [segmentation.GetSegment(segmentID) for segmentID in chosen]
    names = {number: segment.GetName() for number, segment in enumerate(segments, 1)}
    _checkNames(segmentationNode.GetName(), list(names.values()))
    toCT = matrixBetween(segmentationNode, ctNode)
    layers: dict[Any, _Layer] = {}
    for number, segment in enumerate(segments, 1):
        labelmap = segment.GetRepresentation(LABELMAP)
        if labelmap is None or labelmap.GetPointData().GetScalars() is None or labelmap.IsEmpty():
            continue  # reported with the other segments that have no voxels
        layer = layers.setdefault(labelmap, _layer(labelmap, toCT))
        layer.labels[segment.GetLabelValue()] = number
    return lambda ct: _bones(list(layers.values()), names, ct)


def writeSegmentation(
    bones: BoneLabels, ctNode: slicer.vtkMRMLScalarVolumeNode, node: slicer.vtkMRMLSegmentationNode | None = None
) -> slicer.vtkMRMLSegmentationNode:
    """Show bones of a CT as a segmentation with surfaces, under the CT's parent transform.

    Args:
        bones: the bones, in the CT's own RAS.
        ctNode: the CT.
        node: the segmentation whose segments are replaced; None: a new one.
    """
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", _("{name} bones").format(name=ctNode.GetName()))
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(ctNode.GetTransformNodeID())
    segmentation = node.GetSegmentation()
    segmentation.RemoveAllSegments()
    segmentation.SetSourceRepresentationName(LABELMAP)
    node.SetReferenceImageGeometryParameterFromVolumeNode(ctNode)
    labelmap = _labelmap(bones)
    for label, name in bones.names.items():
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetLabelValue(label)
        segment.AddRepresentation(LABELMAP, labelmap)
        if len(bones.names) == 1:
            segment.SetColor(BONE_COLOR)
        segmentation.AddSegment(segment)
    node.CreateClosedSurfaceRepresentation()
    return node


def _withLabelmaps(segmentationNode: Any, ctNode: Any) -> Any:
    """The node's vtkSegmentation, or a copy with labels on the CT's grid where it has none."""
    segmentation = segmentationNode.GetSegmentation()
    if segmentation.GetNumberOfSegments() == 0 or segmentation.ContainsRepresentation(LABELMAP):
        return segmentation
    ctToSegmentation = np.linalg.inv(matrixBetween(segmentationNode, ctNode)) @ ijkToRASMatrix(ctNode)
    matrix = slicer.util.vtkMatrixFromArray(ctToSegmentation)
    converter = slicer.vtkSegmentationConverter
    copy = slicer.vtkSegmentation()
    copy.DeepCopy(segmentation)
    copy.SetConversionParameter(
        converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(matrix, ctNode.GetImageData())
    )
    if not copy.CreateRepresentation(LABELMAP):
        raise InputError(
            _("The segments of {name} cannot be made into labels; create their binary labelmap in the Segmentations module.").format(
                name=segmentationNode.GetName()
            )
        )
    return copy


def _checkNames(segmentationName: str, names: list[str]) -> None:
    if not names:
        raise InputError(_("{name} has no segments; add one for each bone.").format(name=segmentationName))
    if len(names) > LARGEST_LABEL:
        raise InputError(
            _("{name} has {count} segments, but at most {largest} bones are possible; remove or merge some.").format(
                name=segmentationName, count=len(names), largest=LARGEST_LABEL
            )
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(_('Several segments are named "{name}"; give each bone a name of its own.').format(name=twice[0]))


def _layer(labelmap: Any, toCT: FloatArray) -> _Layer:
    from vtk.util.numpy_support import vtk_to_numpy

    values = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    firstVoxel = np.eye(4)
    firstVoxel[:3, 3] = labelmap.GetExtent()[::2]  # labelmaps are cropped: their indices do not begin with 0
    return _Layer(values, toCT @ slicer.util.arrayFromVTKMatrix(matrix) @ firstVoxel)


def _bones(layers: Sequence[_Layer], names: dict[int, str], ct: CTVolume) -> BoneLabels:
    labels = np.zeros(ct.hu.shape, dtype=np.uint8)
    for layer in layers:
        ofValue = np.zeros(max(int(layer.values.max()), *layer.labels) + 1, dtype=np.uint8)
        for value, label in layer.labels.items():
            ofValue[value] = label
        image = sitk.GetImageFromArray(ofValue[layer.values])
        place_in_ras(image, layer.ijkToRAS)
        np.maximum(labels, resample_labels(image, ct), out=labels)  # later segments have the larger labels
    counts = np.bincount(labels.ravel(), minlength=len(names) + 1)
    empty = ", ".join(name for label, name in names.items() if counts[label] == 0)
    if empty:
        raise InputError(_("These segments have no voxels of their own in the CT: {names}; draw them, or remove them.").format(names=empty))
    return BoneLabels(labels, ct.ijk_to_ras, names)


def _labelmap(bones: BoneLabels) -> Any:
    """The labels as vtkOrientedImageData."""
    from vtk.util.numpy_support import numpy_to_vtk

    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetDimensions(bones.labels.shape[::-1])
    labelmap.GetPointData().SetScalars(numpy_to_vtk(bones.labels.ravel(), deep=True))
    labelmap.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(bones.ijk_to_ras))
    return labelmap
