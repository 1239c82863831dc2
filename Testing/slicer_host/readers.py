"""How each kind of file becomes nodes of the scene: the readers that Slicer's modules register, over the same logics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
import vtk

from slicer_host import picture_files

Properties = dict[str, Any]
Load = Callable[[Any, Properties, Any], "list[Any] | None"]

# vtkSlicerVolumesLogic::LoadingOptions, by the names of the properties that set them.
VOLUME_OPTIONS = {"labelmap": 1, "center": 2, "singleFile": 4, "autoWindowLevel": 8, "discardOrientation": 16}


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        file_type: Name under which ``slicer.util`` asks for it, such as ``VolumeFile``.
        extensions: Endings of the names of the files that it reads.
        load: Takes the application, Slicer's reading properties (``fileName`` at least) and a message collection for
            the reasons of failures; returns the nodes to report as loaded, None if it could not read the file.
    """

    file_type: str
    extensions: tuple[str, ...]
    load: Load

    def confidence(self, path: Path) -> float:
        """How sure the reader is, 0 to 1, that it can read a file; judged as in Slicer, the longer ending wins."""
        lengths = [len(extension) for extension in self.extensions if path.name.lower().endswith(extension)]
        return 0.5 + 0.01 * max(lengths) if lengths and path.is_file() else 0.0


class SegmentationReader(Reader):
    """Looks into NRRD files: without segments in their header they are volumes."""

    def confidence(self, path: Path) -> float:
        confidence = super().confidence(path)
        if 0 < confidence < 0.56 and path.suffix.lower() in (".nrrd", ".nhdr"):
            header = path.read_bytes()[:800]
            return 0.6 if b"Segment0_ID:=" in header or b"Segmentation_" in header else 0.4
        return confidence


def base_name(properties: Properties) -> str:
    """Name of the node to make: the one asked for, else the file's name up to its first dot."""
    return properties.get("name") or Path(properties["fileName"]).name.split(".")[0]


def load_volume(application: Any, properties: Properties, messages: Any) -> list[Any] | None:
    volume = _read_volume(application, properties)
    if volume is None:
        return None
    if properties.get("colorNodeID"):
        volume.GetDisplayNode().SetAndObserveColorNodeID(properties["colorNodeID"])
    if properties.get("show", True):
        selection = application.applicationLogic().GetSelectionNode()
        if volume.IsA("vtkMRMLLabelMapVolumeNode"):
            selection.SetActiveLabelVolumeID(volume.GetID())
        else:
            selection.SetActiveVolumeID(volume.GetID())
        application.applicationLogic().PropagateVolumeSelection()
    return [volume]


def _read_volume(application: Any, properties: Properties) -> Any:
    path = Path(properties["fileName"])
    if path.suffix.lower() in picture_files.ENDINGS:
        return picture_files.load_picture(application.mrmlScene(), path, base_name(properties), bool(properties.get("singleFile")))
    options = sum(bit for name, bit in VOLUME_OPTIONS.items() if properties.get(name))
    files = None
    if "fileNames" in properties:
        files = vtk.vtkStringArray()
        for file in properties["fileNames"]:
            files.InsertNextValue(str(file))
    return application.moduleLogic("Volumes").AddArchetypeVolume(str(path), base_name(properties), options, files)


def load_model(application: Any, properties: Properties, messages: Any) -> list[Any] | None:
    system = properties.get("coordinateSystem", slicer.vtkMRMLStorageNode.CoordinateSystemLPS)
    model = application.moduleLogic("Models").AddModel(properties["fileName"], system, messages)
    if model and "name" in properties:
        model.SetName(application.mrmlScene().GetUniqueNameByString(properties["name"]))
    return [model] if model else None


def load_segmentation(application: Any, properties: Properties, messages: Any) -> list[Any] | None:
    logic = application.moduleLogic("Segmentations")
    colors = application.mrmlScene().GetNodeByID(properties.get("colorNodeID", ""))
    opacities = properties.get("autoOpacities", True)
    segmentation = logic.LoadSegmentationFromFile(properties["fileName"], opacities, properties.get("name", ""), colors, messages)
    return [segmentation] if segmentation else None


def load_transform(application: Any, properties: Properties, messages: Any) -> list[Any] | None:
    logic = application.moduleLogic("Transforms")
    transform = logic.AddTransform(properties["fileName"], application.mrmlScene(), messages)
    return [transform] if transform else None


def load_markups(application: Any, properties: Properties, messages: Any) -> list[Any] | None:
    ids = application.moduleLogic("Markups").LoadMarkups(properties["fileName"], properties.get("name", ""), messages)
    return [application.mrmlScene().GetNodeByID(node_id) for node_id in ids.split(",")] if ids else None


def load_table(application: Any, properties: Properties, messages: Any) -> list[Any] | None:
    name = application.mrmlScene().GetUniqueNameByString(base_name(properties))
    table = application.moduleLogic("Tables").AddTable(properties["fileName"], name, True, "", messages)
    if table is None:
        return None
    application.applicationLogic().GetSelectionNode().SetActiveTableID(table.GetID())
    application.applicationLogic().PropagateTableSelection()
    return [table]


def load_color_table(application: Any, properties: Properties, messages: Any) -> list[Any] | None:
    colors = application.moduleLogic("Colors").LoadColorFile(properties["fileName"], None, messages)
    return [colors] if colors else None


def load_text(application: Any, properties: Properties, messages: Any) -> list[Any] | None:
    scene = application.mrmlScene()
    text = scene.AddNewNodeByClass("vtkMRMLTextNode", scene.GetUniqueNameByString(base_name(properties)))
    storage = scene.AddNewNodeByClass("vtkMRMLTextStorageNode")
    text.SetAndObserveStorageNodeID(storage.GetID())
    storage.SetFileName(properties["fileName"])
    if storage.ReadData(text):
        return [text]
    scene.RemoveNode(text)
    scene.RemoveNode(storage)
    return None


def load_sequence(application: Any, properties: Properties, messages: Any) -> list[Any] | None:
    scene = application.mrmlScene()
    logic = application.moduleLogic("Sequences")
    sequence = logic.AddSequence(properties["fileName"], messages)
    if sequence is None:
        return None
    if "name" in properties:
        sequence.SetName(scene.GetUniqueNameByString(properties["name"]))
    if not properties.get("show", True):
        return [sequence]
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{sequence.GetName()} browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    logic.UpdateProxyNodesFromSequences(browser)
    proxy = browser.GetProxyNode(sequence)
    if proxy and proxy.IsA("vtkMRMLVolumeNode"):
        application.applicationLogic().GetSelectionNode().SetActiveVolumeID(proxy.GetID())
        application.applicationLogic().PropagateVolumeSelection()
    return [sequence, browser]


def load_scene(application: Any, properties: Properties, messages: Any) -> list[Any] | None:
    """Loads a scene; like Slicer's reader it reports no node, so that ``slicer.util.loadScene`` returns None."""
    scene, path = application.mrmlScene(), properties["fileName"]
    clear = bool(properties.get("clear", False))
    if path.lower().endswith(".mrb"):
        success = scene.ReadFromMRB(path, clear, messages)
    else:
        scene.SetURL(path)
        success = scene.Connect(messages) if clear else scene.Import(messages)
    return [] if success else None


def nodes_of(scene: Any) -> list[Any]:
    return [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]


VOLUMES = (".hdr", ".nhdr", ".nrrd", ".mhd", ".mha", ".nii", ".nii.gz", ".mgz", ".img", ".dcm", ".ima")
READERS = (
    Reader("SceneFile", (".mrml", ".mrb"), load_scene),
    SegmentationReader("SegmentationFile", (".seg.nrrd", ".seg.nhdr", ".seg.vtm", ".nrrd", ".nhdr", ".nii.gz", ".nii"), load_segmentation),
    Reader("SequenceFile", (".seq.nrrd", ".seq.nhdr"), load_sequence),
    Reader("MarkupsFile", (".mrk.json", ".fcsv"), load_markups),
    Reader("TransformFile", (".h5", ".tfm", ".mat", ".hdf5"), load_transform),
    Reader("VolumeFile", (*VOLUMES, *picture_files.ENDINGS), load_volume),
    Reader("ModelFile", (".vtk", ".vtp", ".vtu", ".g", ".stl", ".ply", ".obj"), load_model),
    Reader("ColorTableFile", (".ctbl", ".cxml"), load_color_table),
    Reader("TableFile", (".tsv", ".csv"), load_table),
    Reader("TextFile", (".txt", ".xml", ".json"), load_text),
)
