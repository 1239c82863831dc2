"""Nodes of the scene as the library's types and back. The place of a volume is its own RAS: parent transforms are not applied.

Functions that may have much to do only collect views of the nodes' memory, quickly and on the main thread, and return a function
that does the rest; this one touches no node and may run in any thread.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import slicer
from DRRSimulatorLib.camera import Camera, FloatArray, is_rigid
from DRRSimulatorLib.ct import CTVolume, ct_from_image
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.luminance import luminance
from DRRSimulatorLib.volume_file import place_in_ras
from slicer.i18n import tr as _

from .dicom_geometry import dicomGeometry
from .matrices import ijkToRASMatrix
from .segmentations import readBones, writeSegmentation

__all__ = [
    "dicomGeometry",
    "geometry",
    "hasGeometry",
    "readBones",
    "readCT",
    "readXRayPixels",
    "setGeometry",
    "updateImage",
    "writeSegmentation",
]

GEOMETRY_ATTRIBUTE = "XRayRegistration.Geometry"


def readCT(ctNode: slicer.vtkMRMLScalarVolumeNode) -> Callable[[], CTVolume]:
    """The CT of a volume node, checked as `read_ct` checks a file, with the same fingerprint.

    Raises:
        InputError: if the node is no volume of grey values, or a transform that is not linear bends it. What is returned raises it if the
            values cannot be a CT in HU.
    """
    if ctNode is None or ctNode.GetImageData() is None:
        raise InputError(_("There is no CT; load one and choose it."))
    name = ctNode.GetName()
    voxels = slicer.util.arrayFromVolume(ctNode)
    if voxels.ndim != 3:
        raise InputError(_("{name} has several values per voxel (color or vectors); choose a CT.").format(name=name))
    parent = ctNode.GetParentTransformNode()
    if parent is not None and not parent.IsTransformToWorldLinear():
        raise InputError(_("{name} is under a transform that bends it; harden that transform first.").format(name=name))
    ijkToRAS = ijkToRASMatrix(ctNode)

    def make() -> CTVolume:
        image = sitk.GetImageFromArray(voxels)
        place_in_ras(image, ijkToRAS)
        return ct_from_image(image, name)

    return make


def readXRayPixels(xrayNode: slicer.vtkMRMLVolumeNode) -> npt.NDArray[Any]:
    """A copy of an X-ray's pixels [row, column] in storage order: [0, 0] is the volume's first voxel, columns run along its first axis.

    Colors become luminance; of a sequence the frame that is shown is taken. The pixels are not turned or mirrored as the
    node's directions say: Slicer gives X-rays directions that mean nothing anatomical, and the camera's pixel (0, 0) is the first one
    stored. An X-ray that was stored mirrored (as seen from the detector) is therefore read mirrored, and no pose of a camera fits it.

    Raises:
        InputError: if the node is no single image.
    """
    if xrayNode is None or xrayNode.GetImageData() is None:
        raise InputError(_("There is no X-ray; load one and choose it."))
    columns, rows, slices = xrayNode.GetImageData().GetDimensions()
    if slices != 1:
        raise InputError(
            _("{name} is a volume of {count} slices, but an X-ray is a single image; choose an X-ray.").format(
                name=xrayNode.GetName(), count=slices
            )
        )
    pixels = slicer.util.arrayFromVolume(xrayNode)
    return np.array(luminance(pixels.reshape(rows, columns, *pixels.shape[3:])))


def setGeometry(xrayNode: slicer.vtkMRMLVolumeNode, camera: Camera, rigToCamera: npt.ArrayLike | None = None) -> None:
    """Store the geometry that an X-ray was taken with in its node; it is saved with the scene. Frames of a sequence share one geometry.

    Args:
        xrayNode: the X-ray.
        camera: its intrinsic geometry.
        rigToCamera: 4x4 from the frame common to several X-rays of the patient to the camera, where it is known.

    Raises:
        InputError: if the camera is for images of another size, or the matrix is not rigid.
    """
    columns, rows, _slices = xrayNode.GetImageData().GetDimensions()
    if camera.image_size != (rows, columns):
        raise InputError(
            _("{name} has {size} pixels, but the geometry is for {cameraSize}; give the geometry of this X-ray.").format(
                name=xrayNode.GetName(), size=f"{rows} x {columns}", cameraSize="{} x {}".format(*camera.image_size)
            )
        )
    values: dict[str, Any] = {"camera": camera.to_dict()}
    if rigToCamera is not None:
        matrix = np.asarray(rigToCamera, dtype=np.float64)
        if not is_rigid(matrix):
            raise InputError(_("The pose of the camera in the rig is not a rigid 4x4 transform (rotation and translation)."))
        values["rig_to_camera"] = matrix.tolist()
    _keeperOfGeometry(xrayNode).SetAttribute(GEOMETRY_ATTRIBUTE, json.dumps(values))


def hasGeometry(xrayNode: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether a geometry is stored with an X-ray, even one that cannot be read."""
    return _keeperOfGeometry(xrayNode).GetAttribute(GEOMETRY_ATTRIBUTE) is not None


def geometry(xrayNode: slicer.vtkMRMLVolumeNode) -> tuple[Camera, FloatArray | None] | None:
    """The camera, and its place in the rig where known, that `setGeometry` stored; None where nothing is stored.

    Raises:
        InputError: if what is stored is no camera.
    """
    text = _keeperOfGeometry(xrayNode).GetAttribute(GEOMETRY_ATTRIBUTE)
    if text is None:
        return None
    try:
        values = json.loads(text)
        rigToCamera = np.array(values["rig_to_camera"], dtype=np.float64) if "rig_to_camera" in values else None
        if rigToCamera is not None and not is_rigid(rigToCamera):
            raise ValueError("the pose in the rig is not rigid")
        return Camera.from_dict(values["camera"]), rigToCamera
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(_("The geometry stored with {name} cannot be read; enter it again.").format(name=xrayNode.GetName())) from error


def updateImage(
    node: slicer.vtkMRMLScalarVolumeNode | None,
    name: str,
    pixels: npt.NDArray[Any],
    camera: Camera,
    transformNode: slicer.vtkMRMLLinearTransformNode,
    role: str,
) -> slicer.vtkMRMLScalarVolumeNode:
    """Show pixels [row, column] on the detector of a camera, as a volume of one slice in camera coordinates under its transform.

    Args:
        node: the volume to update; None: the one that the transform refers to by the role, and a new one where there is none.
        name: name of a new volume.
        pixels: the image.
        camera: its geometry.
        transformNode: from camera coordinates to RAS.
        role: of the transform's reference to the volume, such as "drr".
    """
    node = node or transformNode.GetNodeReference(role)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    with slicer.util.NodeModify(node):
        slicer.util.updateVolumeFromArray(node, np.asarray(pixels)[None])
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(camera.detector_to_ras(np.eye(4))))
        node.SetAndObserveTransformNodeID(transformNode.GetID())
    node.CreateDefaultDisplayNodes()
    transformNode.SetNodeReferenceID(role, node.GetID())
    return node


def _keeperOfGeometry(xrayNode: Any) -> Any:
    """The node whose attribute holds an X-ray's geometry: of a sequence the sequence, as its volume gets each frame's attributes."""
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForProxyNode(xrayNode)
    return xrayNode if browser is None else browser.GetSequenceNode(xrayNode)
