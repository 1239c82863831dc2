"""Slicer's module Sample Data: registered data sets, downloaded into the cache once, verified and loaded.

In the host it is what ``import SampleData`` gives.
"""

from __future__ import annotations

import logging
import os
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

import slicer
import slicer.util
import vtk

MAXIMUM_ATTEMPTS = 3


class SampleDataSource:
    """One data set, of one file or several.

    Args:
        sampleName: Name under which it is found.
        sampleDescription: Name shown to the user; the sample's name if None.
        uris: Where the file is, or each of the files.
        fileNames: Its name in the cache, or a name for each file.
        nodeNames: Name of the node to load, or one for each file; a file without one is only downloaded.
        checksums: ``SHA256:<digest>``, or one for each file.
        loadFiles: False to download only.
        customDownloader: Called with the source instead of downloading, by the button in the panel alone.
        thumbnailFileName: Picture on the button.
        loadFileTypes: Types such as ``VolumeFile``; judged by the file if None.
        loadFileProperties: Further properties for the readers.

    Raises:
        ValueError: The lists do not have the same length.
    """

    def __init__(
        self,
        sampleName: str | None = None,
        sampleDescription: str | None = None,
        uris: str | Sequence[str] = (),
        fileNames: Any = None,
        nodeNames: Any = None,
        checksums: Any = None,
        loadFiles: Any = None,
        customDownloader: Callable[[Any], Any] | None = None,
        thumbnailFileName: str | None = None,
        loadFileTypes: Any = None,
        loadFileProperties: dict[str, Any] | None = None,
    ) -> None:
        self.sampleName = sampleName
        self.sampleDescription = sampleDescription or sampleName
        single = isinstance(uris, str)
        self.uris = [uris] if single else list(uris)

        def for_every_file(value: Any) -> list[Any]:
            return [value] * len(self.uris) if single or value is None else list(value)

        self.fileNames = for_every_file(fileNames)
        self.nodeNames = for_every_file(nodeNames)
        self.checksums = for_every_file(checksums)
        self.loadFiles = for_every_file(loadFiles)
        self.loadFileTypes = [loadFileTypes] * len(self.uris) if isinstance(loadFileTypes, str) else for_every_file(loadFileTypes)
        self.customDownloader = customDownloader
        self.thumbnailFileName = thumbnailFileName
        self.loadFileProperties = loadFileProperties or {}
        lists = (self.fileNames, self.nodeNames, self.checksums, self.loadFiles, self.loadFileTypes)
        if any(len(values) != len(self.uris) for values in lists):
            raise ValueError("All fields of sample data source must have the same length")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SampleDataSource) and vars(self) == vars(other)

    __hash__ = object.__hash__


class SampleDataLogic:
    """Registers and fetches data sets; all instances share ``slicer.modules.sampleDataSources``."""

    @staticmethod
    def registerCustomSampleDataCategory(category: str, title: str) -> None:
        _of_modules("sampleDataSourceCategories").setdefault(category, {})["title"] = title

    @staticmethod
    def registerCustomSampleDataSource(category: str = "Custom", **arguments: Any) -> None:
        """Adds a data set to a category, unless it is there already; takes what `SampleDataSource` takes."""
        source = SampleDataSource(**arguments)
        sources = _of_modules("sampleDataSources").setdefault(category, [])
        if source not in sources:
            sources.append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category: str | None = None) -> Any:
        sources = _of_modules("sampleDataSources")
        return sources if category is None else sources.get(category, [])

    @staticmethod
    def isSampleDataSourceRegistered(category: str, sampleDataSource: SampleDataSource) -> bool:
        return sampleDataSource in _of_modules("sampleDataSources").get(category, [])

    def sourceForSampleName(self, sampleName: str) -> SampleDataSource | None:
        sources = [source for category in _of_modules("sampleDataSources").values() for source in category]
        return next((source for source in sources if source.sampleName == sampleName), None)

    def downloadSamples(self, sampleName: str) -> list[Any]:
        """Downloads and loads a data set; a custom downloader is not asked.

        Returns:
            The nodes, or the paths where nothing is to be loaded; empty if the name is unknown or nothing could be had.
        """
        source = self.sourceForSampleName(sampleName)
        return self.downloadFromSource(source) if source else []

    def downloadSample(self, sampleName: str) -> Any:
        return self.downloadSamples(sampleName)[0]

    def downloadFromURL(self, **arguments: Any) -> list[Any]:
        return self.downloadFromSource(SampleDataSource(**arguments))

    def downloadFromSource(self, source: SampleDataSource) -> list[Any]:
        """As `downloadSamples`, for a source that need not be registered."""
        nodes, paths = [], []
        files = zip(source.uris, source.fileNames, source.nodeNames, source.checksums, source.loadFiles, source.loadFileTypes, strict=True)
        for uri, file_name, node_name, checksum, load, file_type in files:
            for _ in range(MAXIMUM_ATTEMPTS):
                try:
                    path = self.downloadFileIntoCache(uri, file_name, checksum)
                except ValueError:
                    self.logMessage("Download failed", logging.ERROR)
                    continue
                if load is False or (node_name is None and file_type != "SceneFile"):
                    (paths if node_name is None else nodes).append(path)
                    break
                if node := self.loadNode(path, node_name, file_type, dict(source.loadFileProperties)):
                    nodes.append(path if file_type == "SceneFile" else node)
                    break
                if os.path.exists(path):
                    os.remove(path)
        return nodes or paths

    def downloadFileIntoCache(self, uri: str, name: str, checksum: str | None = None) -> str:
        return self.downloadFile(uri, slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory(), name, checksum)

    def downloadFile(self, uri: str, destFolderPath: str, name: str, checksum: str | None = None) -> str:
        """Downloads a file, unless it is there with the right checksum; one with a wrong checksum is removed.

        Returns:
            The path, of a file that is missing if its checksum was wrong.

        Raises:
            ValueError: The download failed.
        """
        path = f"{destFolderPath}/{name}"
        algorithm, digest = slicer.util.extractAlgoAndDigest(checksum)

        def is_right() -> bool:
            return algorithm is None or slicer.util.computeChecksum(algorithm, path) == digest

        if os.path.exists(path) and os.path.getsize(path) > 0:
            if is_right():
                return path
            os.remove(path)
        try:
            urllib.request.urlretrieve(uri, path)
        except OSError as error:
            raise ValueError(f"Failed to download {uri} to {path}") from error
        if not is_right():
            self.logMessage("Checksum verification failed.", logging.ERROR)
            os.remove(path)
        return path

    def loadNode(self, uri: str, name: str | None, fileType: str | None = None, fileProperties: dict[str, Any] | None = None) -> Any:
        """Loads a file and takes away the storage node, since the file lies in the cache.

        Returns:
            The first node; the scene if the reader reports none; None if the file could not be read.
        """
        properties = {**(fileProperties or {}), "fileName": uri}
        if name:
            properties["name"] = name
        nodes = vtk.vtkCollection()
        manager = slicer.app.coreIOManager()
        if not manager.loadNodes(fileType or manager.fileType(uri), properties, nodes):
            return None
        for node in nodes:
            if node.IsA("vtkMRMLStorableNode") and node.GetStorageNode():
                slicer.mrmlScene.RemoveNode(node.GetStorageNode())
                node.SetAndObserveStorageNodeID(None)
        return nodes.GetItemAsObject(0) or slicer.mrmlScene

    def logMessage(self, message: str, logLevel: int = logging.DEBUG) -> None:
        logging.log(logLevel, message)


def press_button(sampleName: str) -> Any:
    """What a click on a data set's button in the panel of Sample Data does: its custom downloader is asked if it has one."""
    logic = SampleDataLogic()
    source = logic.sourceForSampleName(sampleName)
    if source is None:
        raise KeyError(f"Sample Data has no button {sampleName}")
    return source.customDownloader(source) if source.customDownloader else logic.downloadFromSource(source)


def _of_modules(name: str) -> dict[str, Any]:
    """A dictionary that Slicer keeps as an attribute of ``slicer.modules``."""
    return vars(slicer.modules).setdefault(name, {})
