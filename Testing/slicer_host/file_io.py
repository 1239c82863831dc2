"""``slicer.app.coreIOManager()``: loads files into the scene and saves nodes and scenes, as ``slicer.util`` asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import slicer
import vtk

from slicer_host.readers import READERS, Properties, nodes_of

# The first class that a node is one of decides what kind of file it is written to.
WRITTEN_AS = {
    "vtkMRMLSegmentationNode": "SegmentationFile",
    "vtkMRMLVolumeNode": "VolumeFile",
    "vtkMRMLModelNode": "ModelFile",
    "vtkMRMLTransformNode": "TransformFile",
    "vtkMRMLMarkupsNode": "MarkupsFile",
    "vtkMRMLTableNode": "TableFile",
    "vtkMRMLColorNode": "ColorTableFile",
    "vtkMRMLTextNode": "TextFile",
    "vtkMRMLSequenceNode": "SequenceFile",
}


class CoreIOManager:
    """qSlicerCoreIOManager, as far as modules and ``slicer.util`` use it.

    Args:
        application: The application whose scene and logics it works on.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    def fileTypes(self, fileName: str) -> tuple[str, ...]:
        """The file types that a file may have, the likeliest first."""
        confidences = [(reader.confidence(Path(fileName)), reader.file_type) for reader in READERS]
        return tuple(name for confidence, name in sorted(confidences, reverse=True) if confidence > 0)

    def fileType(self, fileName: str) -> str:
        return (*self.fileTypes(fileName), "NoFile")[0]

    def loadNodes(self, fileType: str, properties: Properties, loadedNodes: Any = None, userMessages: Any = None) -> bool:
        """Loads one file; the new nodes go to the collection, the reasons of a failure to the messages.

        Returns:
            Whether the file could be read.
        """
        path = str(properties["fileName"])
        messages = slicer.vtkMRMLMessageCollection()
        reader = next((reader for reader in READERS if reader.file_type == fileType), None)
        nodes = None
        if reader and reader.confidence(Path(path)) > 0:
            nodes = reader.load(self._application, {**properties, "fileName": path}, messages)
        if userMessages is not None:
            if nodes is None and messages.GetNumberOfMessages() == 0:
                messages.AddMessage(vtk.vtkCommand.ErrorEvent, "load failed.")
            userMessages.AddMessages(messages, f"Loading {path} - ")
        for node in nodes or () if loadedNodes is not None else ():
            loadedNodes.AddItem(node)
        return nodes is not None

    def loadScene(self, fileName: str, clear: bool = True, userMessages: Any = None) -> bool:
        return self.loadNodes("SceneFile", {"fileName": fileName, "clear": clear}, None, userMessages)

    def loadFile(self, fileName: str, userMessages: Any = None) -> bool:
        return self.loadNodes(self.fileType(fileName), {"fileName": fileName}, None, userMessages)

    def fileWriterFileType(self, node: Any, extension: str = "") -> str:
        return next((file_type for class_name, file_type in WRITTEN_AS.items() if node.IsA(class_name)), "NoFile")

    def fileWriterExtensions(self, node: Any) -> tuple[str, ...]:
        """The formats a node can be written in, such as ``NRRD (.nrrd)``; like Slicer it gives the node a storage node for that."""
        if not node.GetStorageNode() and not node.AddDefaultStorageNode():
            return ()
        formats = node.GetStorageNode().GetSupportedWriteFileTypes()
        return tuple(formats.GetValue(index) for index in range(formats.GetNumberOfValues()))

    def extractKnownExtension(self, fileName: str, node: Any) -> str:
        """The ending of a file's name among those its node can be written with, the longest that fits; empty if none."""
        to_extension = slicer.vtkDataFileFormatHelper.GetFileExtensionFromFormatString
        known = [to_extension(file_format) for file_format in self.fileWriterExtensions(node)]
        return max((extension for extension in known if fileName.lower().endswith(extension)), key=len, default="")

    def addDefaultStorageNodes(self) -> None:
        for node in nodes_of(self._application.mrmlScene()):
            if node.IsA("vtkMRMLStorableNode") and node.GetSaveWithScene() and not node.GetStorageNode():
                node.AddDefaultStorageNode()

    def saveNodes(self, fileType: str, properties: Properties, userMessages: Any = None) -> bool:
        """Writes the node of ``nodeID``, or the whole scene, to ``fileName``; missing folders are made.

        Returns:
            Whether the file was written.
        """
        path = str(properties["fileName"])
        Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
        scene = self._application.mrmlScene()
        if fileType == "SceneFile":
            return self._save_scene(path, userMessages)
        node = scene.GetNodeByID(properties["nodeID"])
        return _write(node, path, properties, userMessages)

    def exportNodes(
        self, nodeIDs: Sequence[str], fileNames: Sequence[str], properties: Properties, hardenTransforms: bool, userMessages: Any = None
    ) -> bool:
        """Writes copies of nodes, in world coordinates if asked for; the nodes and their storage nodes stay as they are."""
        exported = [
            self._export(self._application.mrmlScene().GetNodeByID(node_id), str(path), properties, hardenTransforms, userMessages)
            for node_id, path in zip(nodeIDs, fileNames, strict=True)
        ]
        return all(exported)

    def _save_scene(self, path: str, messages: Any) -> bool:
        scene = self._application.mrmlScene()
        if path.lower().endswith(".mrb"):
            return bool(scene.WriteToMRB(path, None, messages))
        if path.lower().endswith(".mrml"):
            scene.SetURL(path)
            scene.SetRootDirectory(str(Path(path).absolute().parent))
            return bool(scene.Commit(path, messages))
        Path(path).mkdir(exist_ok=True)
        if any(Path(path).iterdir()):  # Slicer asks for an empty folder
            return False
        return bool(scene.SaveSceneToSlicerDataBundleDirectory(path, None, messages))

    def _export(self, node: Any, path: str, properties: Properties, harden: bool, messages: Any) -> bool:
        scene = slicer.vtkMRMLScene()
        copy = scene.AddNewNodeByClass(node.GetClassName())
        if harden and node.GetParentTransformNode():
            copy.CopyContent(node, True)
            from_world = vtk.vtkGeneralTransform()
            node.GetParentTransformNode().GetTransformFromWorld(from_world)
            parent = scene.AddNewNodeByClass("vtkMRMLTransformNode")
            parent.SetAndObserveTransformFromParent(from_world)
            copy.SetAndObserveTransformNodeID(parent.GetID())
            copy.HardenTransform()
        else:
            copy.CopyContent(node, False)
        return _write(copy, path, properties, messages)


def _write(node: Any, path: str, properties: Properties, messages: Any) -> bool:
    if not node.GetStorageNode() and not node.AddDefaultStorageNode(path):
        return False
    storage = node.GetStorageNode()
    storage.SetFileName(path)
    if "useCompression" in properties:
        storage.SetUseCompression(properties["useCompression"])
    if "fileFormat" in properties:
        storage.SetWriteFileFormat(properties["fileFormat"])
    success = bool(storage.WriteData(node))
    if messages is not None:
        messages.AddMessages(storage.GetUserMessages())
    return success
