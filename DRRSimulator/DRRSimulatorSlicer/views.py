"""Showing X-rays, the CT, and what the X-ray source sees. Without views, as in batch processing, everything here does nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from DRRSimulatorLib.camera import Camera, FloatArray

from .carm import FREE_VIEW_ID, CArm
from .layouts import ONE_XRAY, TWO_XRAYS, WITH_PLOT, registerLayouts
from .matrices import ijkToRASMatrix, toWorldMatrix

XRAY_VIEW_TAGS = ("XRay1", "XRay2")
SOURCE_VIEW_TAG, FREE_VIEW_TAG = "XRaySource", "1"
CT_VIEW_TAGS = ("Red", "Yellow", "Green")

_followers: dict[str, _Follower] = {}


def showLayout(xrays: int = 1, plot: bool = False) -> None:
    """Arrange the views for one X-ray or two, or for one and a plot."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is None:
        return
    layoutNode = layoutManager.layoutLogic().GetLayoutNode()
    registerLayouts(layoutNode)
    isNew = _viewNode(SOURCE_VIEW_TAG) is None
    layout = WITH_PLOT if plot else ONE_XRAY if xrays == 1 else TWO_XRAYS
    if layoutNode.GetViewArrangement() != layout:
        layoutManager.setLayout(layout)
        slicer.app.processEvents()  # gives new views their size; a slice view that has none yet moves its slice when it gets one
    if isNew:
        _prepareSourceView()


def showCT(ctNode: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Show the middle slices of a CT, each as a whole, in the red, yellow and green slice views."""
    bounds = [0.0] * 6
    ctNode.GetRASBounds(bounds)
    for tag in CT_VIEW_TAGS:
        sliceLogic = _sliceLogic(tag)
        if sliceLogic is not None:
            sliceLogic.GetSliceCompositeNode().SetBackgroundVolumeID(ctNode.GetID())
            sliceLogic.FitSliceToBackground()
            sliceLogic.GetSliceNode().JumpSliceByOffsetting(*np.reshape(bounds, (3, 2)).mean(axis=1))


def showXRay(
    viewTag: str, xrayNode: slicer.vtkMRMLVolumeNode, drrNode: slicer.vtkMRMLVolumeNode | None = None, opacity: float = 0.0
) -> None:
    """Show an X-ray in a slice view as a picture viewer does: its first pixel at the top left, as seen from the source; and in 3D.

    The view follows when the X-ray's transform moves; it keeps the zoom as long as it shows the same X-ray.

    Args:
        viewTag: "XRay1" or "XRay2".
        xrayNode: a volume of one slice.
        drrNode: shown over it; None: nothing is.
        opacity: of the latter, 0 to 1.
    """
    sliceLogic = _sliceLogic(viewTag)
    if sliceLogic is None:
        return
    composite, sliceNode = sliceLogic.GetSliceCompositeNode(), sliceLogic.GetSliceNode()
    isNew = composite.GetBackgroundVolumeID() != xrayNode.GetID()
    composite.SetDoPropagateVolumeSelection(False)  # or the next volume that is loaded would be shown here
    composite.SetLinkedControl(False)
    composite.SetBackgroundVolumeID(xrayNode.GetID())
    composite.SetForegroundVolumeID(drrNode.GetID() if drrNode is not None else None)
    composite.SetForegroundOpacity(opacity)
    uprightToRAS = _upright(xrayNode)
    if isNew or not np.allclose(_sliceToRAS(sliceNode)[:3, :3], uprightToRAS[:3, :3], atol=1e-6):
        _setSliceToRAS(sliceNode, uprightToRAS)
        sliceLogic.FitSliceToBackground()
    sliceNode.SetSliceResolutionMode(slicer.vtkMRMLSliceNode.SliceResolutionMatchVolumes)  # in 3D all of it, whatever the zoom
    sliceNode.SetSliceVisible(True)
    _followTransform(viewTag, sliceNode, xrayNode.GetParentTransformNode())


def lookFromSource(carm: CArm) -> None:
    """Put the eye of the source view at the X-ray source, so that bones lie over the X-ray as they do in it; it follows the C-arm.

    The detector fills the view. Call it again after the camera's geometry has changed, or a scene was loaded.
    """
    view, viewNode = _threeDView(SOURCE_VIEW_TAG), _viewNode(SOURCE_VIEW_TAG)
    if view is None:
        return
    cameraNode = slicer.modules.cameras.logic().GetViewActiveCameraNode(viewNode)
    cameraToWorld = toWorldMatrix(carm.transformNode)
    cameraNode.SetAndObserveTransformNodeID(carm.transformNode.GetID())
    # The node moves by what its transform has changed since the one that it knows as applied.
    cameraNode.SetAppliedTransform(slicer.util.vtkMatrixFromArray(cameraToWorld))
    principalPoint = cameraToWorld @ (0, 0, carm.camera().source_to_detector_distance, 1)
    cameraNode.SetPosition(*cameraToWorld[:3, 3])
    cameraNode.SetFocalPoint(*principalPoint[:3])
    cameraNode.SetViewUp(*-cameraToWorld[:3, 1])
    _showOnlyItsXRay(viewNode, carm)

    def fill() -> None:
        _fillView(cameraNode, carm.camera(), _threeDView(SOURCE_VIEW_TAG).renderWindow().GetSize())

    fill()
    _follow(SOURCE_VIEW_TAG, view.renderWindow(), "WindowResizeEvent", fill)


def resetFreeView() -> None:
    """Show all there is in the free 3D view, from the patient's left and front: from the front alone, a detector may hide the bone."""
    view = _threeDView(FREE_VIEW_TAG)
    if view is None:
        return
    view.resetFocalPoint()
    view.resetCamera()
    camera = view.cameraNode().GetCamera()
    camera.Azimuth(60)
    camera.Elevation(15)
    view.resetCamera(False, True, True)  # keeps the direction


class _Follower:
    """Calls a function when an object changes, until it is stopped or the scene closes."""

    def __init__(self, observed: Any, event: Any, function: Callable[[], None]) -> None:
        scene = slicer.mrmlScene
        self._observations = [
            (_weak(observed), observed.AddObserver(event, lambda *_: function())),
            (_weak(scene), scene.AddObserver(scene.StartCloseEvent, lambda *_: self.stop())),
        ]

    def stop(self) -> None:
        for observed, observation in self._observations:
            if observed.Get() is not None:
                observed.Get().RemoveObserver(observation)
        self._observations = []


def _weak(observed: Any) -> vtk.vtkWeakReference:
    """A reference that does not keep a render window alive when the application ends, after its view."""
    reference = vtk.vtkWeakReference()
    reference.Set(observed)
    return reference


def _follow(viewTag: str, observed: Any, event: Any, function: Callable[[], None]) -> None:
    """Let a view follow an object, and none else."""
    if viewTag in _followers:
        _followers.pop(viewTag).stop()
    if observed is not None:
        _followers[viewTag] = _Follower(observed, event, function)


def _viewNode(tag: str, className: str = "vtkMRMLViewNode") -> Any:
    """The node of a view; None where it was in no layout yet, and where there are no views."""
    return None if slicer.app.layoutManager() is None else slicer.mrmlScene.GetSingletonNode(tag, className)


def _sliceLogic(tag: str) -> Any:
    node = _viewNode(tag, "vtkMRMLSliceNode")
    return None if node is None else slicer.app.applicationLogic().GetSliceLogic(node)


def _threeDView(tag: str) -> Any:
    node = _viewNode(tag)
    widget = None if node is None else slicer.app.layoutManager().viewWidget(node)
    return None if widget is None else widget.threeDView()


def _prepareSourceView() -> None:
    """A dark view without box and labels, in which nothing but the X-ray and the bones is seen."""
    node = _viewNode(SOURCE_VIEW_TAG)
    node.SetBoxVisible(False)
    node.SetAxisLabelsVisible(False)
    node.SetBackgroundColor(0, 0, 0)
    node.SetBackgroundColor2(0, 0, 0)


def _upright(xrayNode: Any) -> FloatArray:
    """4x4 from a slice view's axes (right, up, towards the viewer) to RAS: the image's middle, columns to the right, rows down."""
    matrix = ijkToRASMatrix(xrayNode)
    if xrayNode.GetParentTransformNode() is not None:
        matrix = toWorldMatrix(xrayNode.GetParentTransformNode()) @ matrix
    columns, rows, _slices = xrayNode.GetImageData().GetDimensions()
    right, down = (matrix[:3, axis] / np.linalg.norm(matrix[:3, axis]) for axis in (0, 1))
    upright = np.eye(4)
    upright[:3, :3] = np.stack([right, -down, np.cross(right, -down)], axis=1)  # so it is right-handed whatever the volume's third axis
    upright[:3, 3] = (matrix @ ((columns - 1) / 2, (rows - 1) / 2, 0, 1))[:3]
    return upright


def _sliceToRAS(sliceNode: Any) -> FloatArray:
    return np.array(slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS()))


def _setSliceToRAS(sliceNode: Any, matrix: FloatArray) -> None:
    sliceNode.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(matrix))
    sliceNode.UpdateMatrices()


def _followTransform(viewTag: str, sliceNode: Any, transformNode: Any) -> None:
    """Move a slice with a transform, so that it keeps what it shows."""
    last = None if transformNode is None else toWorldMatrix(transformNode)

    def move() -> None:
        nonlocal last
        now = toWorldMatrix(transformNode)
        _setSliceToRAS(sliceNode, now @ np.linalg.inv(last) @ _sliceToRAS(sliceNode))
        last = now

    _follow(viewTag, transformNode, slicer.vtkMRMLTransformNode.TransformModifiedEvent, move)


def _fillView(cameraNode: Any, camera: Camera, viewSize: Sequence[int]) -> None:
    """Set the view angle of an eye at the source, and shift the picture, so that the detector lies in the view's middle."""
    aspect = max(viewSize[0], 1) / max(viewSize[1], 1)  # a view that was never seen has no size
    (rows, columns), (column, row) = camera.image_size, camera.principal_point
    sx, sy = np.array(camera.pixel_spacing) / camera.source_to_detector_distance  # tangents of the angle that a pixel is seen at
    tangent = max(rows * sy, columns * sx / aspect) / 2
    cameraNode.SetViewAngle(math.degrees(2 * math.atan(tangent)))
    # In half widths and half heights of the view; up is positive. It is no property of the node, so it is not saved with the scene.
    shift = ((columns - 1) / 2 - column) * sx / (tangent * aspect), (row - (rows - 1) / 2) * sy / tangent
    cameraNode.GetCamera().SetWindowCenter(*shift)
    cameraNode.ResetClippingRange()


def _showOnlyItsXRay(viewNode: Any, carm: CArm) -> None:
    """Of the X-rays in slice views, show only the one on this C-arm's detector in the source view."""
    for tag in XRAY_VIEW_TAGS:
        sliceLogic = _sliceLogic(tag)
        if sliceLogic is None:
            continue
        volume = slicer.mrmlScene.GetNodeByID(sliceLogic.GetSliceCompositeNode().GetBackgroundVolumeID() or "")
        sliceNode = sliceLogic.GetSliceNode()
        sliceNode.RemoveAllThreeDViewIDs()
        sliceNode.AddThreeDViewID(FREE_VIEW_ID)
        if volume is not None and volume.GetParentTransformNode() is carm.transformNode:
            sliceNode.AddThreeDViewID(viewNode.GetID())
