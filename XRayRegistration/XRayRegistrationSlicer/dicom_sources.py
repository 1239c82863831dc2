"""The DICOM files that the CT and the X-rays of a result were loaded from, as Slicer's DICOM database has them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import slicer
from DRRSimulatorLib.errors import InputError
from DRRSimulatorSlicer.matrices import ijkToRASMatrix
from DRRSimulatorSlicer.nodes import readXRayPixels
from slicer.i18n import tr as _

from .result import RegistrationResult

if TYPE_CHECKING:
    from XRayRegistrationLib.dicom_study import DicomSources, XRaySource


def dicomSources(result: RegistrationResult) -> DicomSources:
    """The headers of the files; a node that did not come from the database has none.

    Raises:
        InputError: if the CT or an X-ray was removed from the scene, a file is no longer in the database or lacks what results refer to
            it by, or the files are of different patients.
        OSError: if a file cannot be read.
    """
    from XRayRegistrationLib.dicom_place import is_moved
    from XRayRegistrationLib.dicom_study import DicomSources, read_header

    sources = result.sources()
    slices = tuple(read_header(file) for file in _files(sources.ctNode))
    shape = slicer.util.arrayFromVolume(sources.ctNode).shape
    moved = bool(slices) and is_moved(shape, ijkToRASMatrix(sources.ctNode), slices)
    registered = [slicer.util.arrayFromVolume(node)[0] for node in result.xraysOnDetector]
    xrays = tuple(_xraySource(node, pixels) for node, pixels in zip(sources.xrayNodes, registered, strict=True))
    return DicomSources(slices, xrays, ct_moved=moved)


def _xraySource(xrayNode: slicer.vtkMRMLVolumeNode, registered: npt.NDArray[np.float32]) -> XRaySource | None:
    """The file of an X-ray, and which of its images was registered: of a sequence, the one with these pixels [row, column]."""
    from XRayRegistrationLib.dicom_study import XRaySource, read_header

    frames = _frames(xrayNode)
    images = (readXRayPixels(node).astype(np.float32) for node in frames)
    number = next((number for number, image in enumerate(images) if np.array_equal(image, registered)), None)
    files = _files(xrayNode if number is None else frames[number])
    return XRaySource(read_header(files[0]), number) if files else None


def _frames(xrayNode: slicer.vtkMRMLVolumeNode) -> list[slicer.vtkMRMLVolumeNode]:
    """The images of the sequence that an X-ray shows one of, or the X-ray itself."""
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForProxyNode(xrayNode)
    if browser is None:
        return [xrayNode]
    sequence = browser.GetSequenceNode(xrayNode)
    return [sequence.GetNthDataNode(number) for number in range(sequence.GetNumberOfDataNodes())]


def _files(volumeNode: slicer.vtkMRMLVolumeNode) -> list[Path]:
    """The files that a volume was loaded from, each once, in the order of its slices; none where it is not from the database."""
    instances = (volumeNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)  # absent where Slicer runs without its DICOM module
    names = [str(database.fileForInstance(instance)) if database is not None else "" for instance in instances]
    if not all(name and Path(name).is_file() for name in names):
        raise InputError(
            _("The files of {name} are no longer in Slicer's DICOM database; import them there, or export without DICOM.").format(
                name=volumeNode.GetName()
            )
        )
    return [Path(name) for name in dict.fromkeys(names)]
