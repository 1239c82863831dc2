"""What a registration shows: bones and point cloud in the CT's RAS; X-ray, DRR and outlines on the detector of a camera.

Nodes that are there already are updated, and how the user chose to display them stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
import vtk
from DRRSimulatorLib.camera import Camera, FloatArray
from DRRSimulatorLib.patient import Patient
from DRRSimulatorLib.surface import surface_to_polydata
from DRRSimulatorSlicer.carm import FREE_VIEW_ID, CArm
from DRRSimulatorSlicer.nodes import updateImage
from slicer.i18n import tr as _
from XRayRegistrationLib.overlay import display_range
from XRayRegistrationLib.point_cloud import point_cloud
from XRayRegistrationLib.register import Registration
from XRayRegistrationLib.view import View

from .appearance import Appearance
from .references import referenced

XRAY_ROLE, DRR_ROLE, OUTLINE_ROLE = "xray", "drr", "outline"
BONE_ATTRIBUTE = "XRayRegistration.Bone"

BONE_OPACITY = 0.6
BONE_COLOR, OUTLINE_COLOR = (0.95, 0.84, 0.57), (1.0, 0.84, 0.04)  # of a single bone
# Of several bones; color-blind people tell them apart (M. Okabe and K. Ito, Color Universal Design, 2008).
BONE_COLORS = (
    (0.90, 0.62, 0.00),
    (0.34, 0.71, 0.91),
    (0.00, 0.62, 0.45),
    (0.94, 0.89, 0.26),
    (0.80, 0.47, 0.65),
    (0.84, 0.37, 0.00),
    (0.00, 0.45, 0.70),
)
POINT_CLOUD_COLORS = "vtkMRMLColorTableNodeFileViridis.txt"


def drawBones(models: Sequence[slicer.vtkMRMLModelNode], patient: Patient, ctNode: slicer.vtkMRMLNode) -> list[slicer.vtkMRMLModelNode]:
    """The surface of each bone as a model under the CT's parent transform.

    Args:
        models: of an earlier registration with this CT; those of other bones are left as they are.
        patient: the CT and its bones.
        ctNode: the CT's volume.
    """
    drawn = []
    for number, (name, surface) in enumerate(patient.surfaces.items()):
        model = _modelOfBone(models, name) or _addBone(name, boneColor(number, len(patient.surfaces), BONE_COLOR))
        model.SetAndObservePolyData(surface_to_polydata(surface))
        model.SetAndObserveTransformNodeID(ctNode.GetTransformNodeID())
        drawn.append(model)
    return drawn


def drawPointCloud(
    model: slicer.vtkMRMLModelNode | None, name: str, registration: Registration, ctNode: slicer.vtkMRMLNode
) -> slicer.vtkMRMLModelNode:
    """The points that the X-rays show, in the CT's own RAS, colored by the standard deviation that the network gives them, mm.

    The range of the colors goes from 0 mm to what 95 of 100 points stay below.
    """
    from vtk.util.numpy_support import vtk_to_numpy

    cloud = point_cloud(registration)
    if model is None:
        model = _addModel(name, None, OUTLINE_COLOR)
        display = model.GetDisplayNode()
        display.SetRepresentation(slicer.vtkMRMLDisplayNode.PointsRepresentation)
        display.SetPointSize(4)
        display.SetVisibility2D(False)
        display.AddViewNodeID(FREE_VIEW_ID)  # as seen from the source it would hide the bone's outline
        display.SetActiveScalarName("sigma_mm")
        display.SetAndObserveColorNodeID(POINT_CLOUD_COLORS)
        display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseManualScalarRange)
        display.SetScalarVisibility(True)
        _addLegend(model)
    model.SetAndObservePolyData(cloud)
    model.SetAndObserveTransformNodeID(ctNode.GetTransformNodeID())
    sigma = vtk_to_numpy(cloud.GetPointData().GetArray("sigma_mm"))
    model.GetDisplayNode().SetScalarRange(0.0, float(np.percentile(sigma, 95)))
    return model


def drawXRay(carm: CArm, name: str, view: View) -> slicer.vtkMRMLScalarVolumeNode:
    """The X-ray on its detector, as a copy."""
    isNew = carm.node(XRAY_ROLE) is None
    node = updateImage(None, _("{name} on detector").format(name=name), view.xray.pixels, view.camera, carm.transformNode, XRAY_ROLE)
    if isNew:
        low, high = display_range(view.xray.pixels[view.xray.field], view.xray.polarity == "intensity")
        _setDisplayRange(node, low, high)
    return node


def drawAppearance(carm: CArm, name: str, seen: Appearance) -> None:
    """The DRR and the bones' outlines on the detector, as the camera sees them.

    Args:
        carm: the camera.
        name: of the X-ray.
        seen: at the pose that the camera has now.
    """
    isNew = carm.node(DRR_ROLE) is None
    node = updateImage(None, _("{name} DRR").format(name=name), seen.drr, seen.camera, carm.transformNode, DRR_ROLE)
    if isNew:
        copyDisplayRange(carm.node(XRAY_ROLE), node)
    _drawOutlines(carm, name, seen.outlines)


def copyDisplayRange(source: slicer.vtkMRMLScalarVolumeNode, target: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Show a volume with the window and level of another."""
    display = source.GetDisplayNode()
    _setDisplayRange(target, display.GetWindowLevelMin(), display.GetWindowLevelMax())


def boneColor(number: int, count: int, single: tuple[float, float, float]) -> tuple[float, float, float]:
    """Color of one of several bones; `single` where there is only one."""
    return BONE_COLORS[number % len(BONE_COLORS)] if count > 1 else single


def _drawOutlines(carm: CArm, name: str, bones: dict[str, list[FloatArray]]) -> None:
    """Contours (N, 2) of each bone, in pixels of the camera, as models on its detector; those of bones that are no more are removed."""
    camera = carm.camera()
    models = referenced(carm.transformNode, OUTLINE_ROLE)
    for number, (bone, contours) in enumerate(bones.items()):
        model = _modelOfBone(models, bone)
        if model is None:
            title = _("{name} outline").format(name=name) if len(bones) == 1 else _("{name} outline of {bone}").format(name=name, bone=bone)
            model = _addModel(title, bone, boneColor(number, len(bones), OUTLINE_COLOR))
            model.SetSelectable(False)
            model.GetDisplayNode().SetLighting(False)
            model.GetDisplayNode().SetLineWidth(2)
            carm.transformNode.AddNodeReferenceID(OUTLINE_ROLE, model.GetID())
        model.SetAndObserveTransformNodeID(carm.transformNode.GetID())
        model.SetAndObservePolyData(_onDetector(contours, camera))
    for model in models:
        if model.GetAttribute(BONE_ATTRIBUTE) not in bones:
            slicer.mrmlScene.RemoveNode(model)


def _onDetector(contours: Sequence[FloatArray], camera: Camera) -> vtk.vtkPolyData:
    """Contours (N, 2) in pixels as lines on the detector, and as ribbons across it.

    A slice view shows where its plane cuts a model; lines in that very plane it would not cut, but it does cut the ribbons.
    """
    from vtk.util.numpy_support import numpy_to_vtk

    polydata, lines, ribbons = vtk.vtkPolyData(), vtk.vtkCellArray(), vtk.vtkCellArray()
    halfWidth = np.array([0.0, 0.0, max(camera.pixel_spacing)])
    positions = [np.empty((0, 3))]
    first = 0
    for contour in contours:
        on = camera.back_project(contour, camera.source_to_detector_distance)
        count = len(on)
        positions += [on, on - halfWidth, on + halfWidth]
        lines.InsertNextCell(count, range(first, first + count))
        near, far = first + count, first + 2 * count
        for n in range(count - 1):
            ribbons.InsertNextCell(4, (near + n, near + n + 1, far + n + 1, far + n))
        first += 3 * count
    points = vtk.vtkPoints()
    points.SetData(numpy_to_vtk(np.concatenate(positions).astype(np.float32), deep=True))
    polydata.SetPoints(points)
    polydata.SetLines(lines)
    polydata.SetPolys(ribbons)
    return polydata


def _modelOfBone(models: Sequence[slicer.vtkMRMLModelNode], bone: str) -> slicer.vtkMRMLModelNode | None:
    return next((model for model in models if model.GetAttribute(BONE_ATTRIBUTE) == bone), None)


def _addBone(name: str, color: tuple[float, float, float]) -> slicer.vtkMRMLModelNode:
    """A model that lets the X-ray behind it be seen."""
    model = _addModel(name, name, color)
    model.GetDisplayNode().SetOpacity(BONE_OPACITY)
    return model


def _addModel(name: str, bone: str | None, color: tuple[float, float, float]) -> slicer.vtkMRMLModelNode:
    model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", name)
    model.CreateDefaultDisplayNodes()
    model.GetDisplayNode().SetColor(*color)
    model.GetDisplayNode().SetVisibility2D(True)
    if bone is not None:
        model.SetAttribute(BONE_ATTRIBUTE, bone)
    return model


def _addLegend(model: slicer.vtkMRMLModelNode) -> None:
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(model)
    legend.SetTitleText(_("Uncertainty (mm)"))
    legend.SetLabelFormat("%.1f")
    legend.SetSize(0.1, 0.3)
    legend.SetVisibility2D(False)


def _setDisplayRange(node: slicer.vtkMRMLScalarVolumeNode, low: float, high: float) -> None:
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(low, high)
