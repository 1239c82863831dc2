"""Results of registrations: putting them into the scene, finding and removing them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import slicer
from DRRSimulatorSlicer import views
from DRRSimulatorSlicer.carm import CArm, createCArm
from slicer.i18n import tr as _

from .drawing import OUTLINE_ROLE, drawAppearance, drawBones, drawPointCloud, drawXRay
from .references import refer, referenced
from .registration import Outcome, Sources
from .result import (
    BONE_ROLE,
    CAMERA_ROLE,
    CLOUD_ROLE,
    CT_ROLE,
    NUMBERS_ATTRIBUTE,
    ORIGINAL_ROLE,
    ORIGINALS_ROLE,
    SEGMENTATION_ROLE,
    SELF_ROLE,
    RegistrationResult,
)
from .table import fillTable


def allResults() -> list[RegistrationResult]:
    """The results in the scene."""
    tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
    return [RegistrationResult(table) for table in tables if table.GetNodeReference(SELF_ROLE) is table]


def findResult(xrayNode: slicer.vtkMRMLVolumeNode) -> RegistrationResult | None:
    """The result of an X-ray; None where there is none.

    Nor is there one where the user has removed a part of it that nothing can do without, or the scene holds something else in its place.
    """
    return next((result for result in _resultsOf([xrayNode]) if result.isWhole()), None)


def problemOfResult(xrayNode: slicer.vtkMRMLVolumeNode) -> str:
    """Why the result of an X-ray cannot be read, in a sentence; empty where it can, or there is none."""
    return next(filter(None, (result.problem() for result in _resultsOf([xrayNode]))), "")


def showResult(outcome: Outcome) -> RegistrationResult:
    """Put what was computed into the scene, in place of the results that its X-rays had.

    Raises:
        InputError: if the CT or an X-ray is no longer there.
    """
    sources = outcome.sources
    sources.requireInScene()
    replaced = _resultsOf(sources.xrayNodes)
    before = _nodes(replaced)
    name = " + ".join(node.GetName() for node in sources.xrayNodes)
    table = replaced[0].table if replaced else _addTable(name)
    carms = [_drawCamera(xrayNode, number, outcome, replaced) for number, xrayNode in enumerate(sources.xrayNodes)]
    cloud = replaced[0].pointCloud if replaced else None
    if outcome.registration is not None:
        recognized = outcome.registration.estimate is not None
        cloud = drawPointCloud(cloud, _("{name} points").format(name=name), outcome.registration, sources.ctNode) if recognized else None
    bones = drawBones(_modelsOfBones(sources), outcome.patient, sources.ctNode)
    refer(table, ORIGINALS_ROLE, sources.xrayNodes)
    refer(table, CAMERA_ROLE, [carm.transformNode for carm in carms])
    refer(table, CT_ROLE, [sources.ctNode])
    refer(table, SEGMENTATION_ROLE, [sources.segmentationNode])
    refer(table, BONE_ROLE, bones)
    refer(table, CLOUD_ROLE, [cloud])
    table.SetAttribute(NUMBERS_ATTRIBUTE, json.dumps(outcome.numbers))
    for result in replaced[1:]:
        slicer.mrmlScene.RemoveNode(result.table)
    _removeUnused(before)
    shown = RegistrationResult(table, outcome.registration)
    fillTable(shown)
    return shown


def removeResults(xrayNode: slicer.vtkMRMLVolumeNode) -> None:
    """Remove the nodes of an X-ray's result; bone models that another result uses stay."""
    results = _resultsOf([xrayNode])
    nodes = _nodes(results)
    for result in results:
        slicer.mrmlScene.RemoveNode(result.table)
    _removeUnused(nodes)


def _resultsOf(xrayNodes: Sequence[slicer.vtkMRMLVolumeNode]) -> list[RegistrationResult]:
    """The results of any of the X-rays, whole or not."""
    return [result for result in allResults() if set(xrayNodes) & set(referenced(result.table, ORIGINALS_ROLE))]


def _addTable(name: str) -> slicer.vtkMRMLTableNode:
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", _("{name} registration").format(name=name))
    table.SetLocked(True)  # against edits in the table view
    table.SetUseColumnTitleAsColumnHeader(True)  # else views show the titles as the first row, below A, B and C
    refer(table, SELF_ROLE, [table])
    return table


def _drawCamera(xrayNode: slicer.vtkMRMLVolumeNode, number: int, outcome: Outcome, replaced: Sequence[RegistrationResult]) -> CArm:
    """The camera of an X-ray with everything on its detector; the one that it had is used again."""
    view, name = outcome.views[number], xrayNode.GetName()
    had = (carm for result in replaced for carm in result.carms if carm.node(ORIGINAL_ROLE) is xrayNode)
    carm = next(had, None) or createCArm(name, outcome.sources.ctNode, view.camera)
    carm.setCT(outcome.sources.ctNode)
    carm.setCamera(view.camera)
    carm.setPose(view.rig_to_camera @ outcome.rasToRig)
    refer(carm.transformNode, ORIGINAL_ROLE, [xrayNode])
    drawXRay(carm, name, view)
    drawAppearance(carm, name, outcome.appearances[number])
    return carm


def _modelsOfBones(sources: Sources) -> list[slicer.vtkMRMLModelNode]:
    """The models that results of the same bones use."""
    return [
        model
        for result in allResults()
        if result.ctNode is sources.ctNode and result.segmentationNode is sources.segmentationNode
        for model in result.boneModels
    ]


def _nodes(results: Sequence[RegistrationResult]) -> list[slicer.vtkMRMLNode]:
    """What results consist of, but for their tables and what lies under a camera."""
    return [
        node
        for result in results
        for node in (*(carm.transformNode for carm in result.carms), *result.boneModels, result.pointCloud)
        if node is not None
    ]


def _removeUnused(nodes: Sequence[slicer.vtkMRMLNode]) -> None:
    """Remove the nodes that no result consists of any more."""
    used = _nodes(allResults())
    for node in set(nodes) - set(used):
        carm = CArm.find(node)
        if carm is None:
            _removeModel(node)
        else:
            refer(node, ORIGINAL_ROLE, [])  # the user's X-ray stays, even where it was put under the camera
            carm.remove()


def _removeModel(model: slicer.vtkMRMLModelNode) -> None:
    """Remove a model; of several display nodes, as of one with a legend, Slicer would leave some behind."""
    displays = [model.GetNthDisplayNode(number) for number in range(model.GetNumberOfDisplayNodes())]
    for node in (model, *displays):
        if node.GetScene() is not None:  # the model has not taken it with it
            slicer.mrmlScene.RemoveNode(node)


def showInViews(result: RegistrationResult, isFirst: bool) -> None:
    """Switch to the layout for X-rays and show a result there; without views this does nothing.

    Args:
        result: of a registration.
        isFirst: of its X-rays; the free 3D view is then set to show all there is, and left as it is otherwise.
    """
    views.showLayout(min(len(result.carms), len(views.XRAY_VIEW_TAGS)))
    for tag, xrayNode, drrNode in zip(views.XRAY_VIEW_TAGS, result.xraysOnDetector, result.drrs, strict=False):
        views.showXRay(tag, xrayNode, drrNode)
    views.showCT(result.ctNode)
    views.lookFromSource(result.carms[0])
    _hideOtherOutlines(result.carms[0])
    if isFirst:
        views.resetFreeView()


def _hideOtherOutlines(carm: CArm) -> None:
    """Show only one camera's outlines in the view from its source; all are in the other views."""
    nodes = slicer.util.getNodesByClass("vtkMRMLAbstractViewNode")
    others = [node.GetID() for node in nodes if node.GetSingletonTag() != views.SOURCE_VIEW_TAG]
    own = referenced(carm.transformNode, OUTLINE_ROLE)
    for model in (model for result in allResults() for model in result.outlines):
        model.GetDisplayNode().SetViewNodeIDs([] if model in own else others)
