"""Files as nodes of the scene, for scripts: by Slicer's readers, but DICOM by ours, since Slicer's goes by way of a database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import slicer
from DRRSimulatorLib.bone import read_labels
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.ct import CTVolume, read_ct
from DRRSimulatorLib.errors import InputError
from DRRSimulatorSlicer.nodes import writeSegmentation
from slicer.i18n import tr as _
from XRayRegistrationLib.dicom_xray import is_dicom
from XRayRegistrationLib.exposed_field import Polarity
from XRayRegistrationLib.xray import read_xray


@dataclass(frozen=True)
class LoadedXRay:
    """An X-ray in the scene, with what its DICOM header tells.

    Attributes:
        node: the volume.
        polarity: None where no header tells it.
        camera: None where no header tells it.
    """

    node: slicer.vtkMRMLVolumeNode
    polarity: Polarity | None
    camera: Camera | None


def loadCT(path: Path) -> slicer.vtkMRMLScalarVolumeNode:
    """A CT of a file, or of a folder of DICOM slices.

    Raises:
        InputError: if it cannot be read.
    """
    if not path.is_dir():
        return _loadVolume(path)
    ct = read_ct(path)
    return slicer.util.addVolumeFromArray(ct.hu, ct.ijk_to_ras, path.name)


def loadXRay(path: Path) -> LoadedXRay:
    """An X-ray of an image file or a DICOM file.

    Raises:
        InputError: if it cannot be read.
    """
    if path.is_file() and is_dicom(path):
        xray = read_xray(path)
        return LoadedXRay(slicer.util.addVolumeFromArray(xray.pixels[None], name=path.stem), xray.polarity, xray.camera)
    return LoadedXRay(_loadVolume(path), None, None)


def loadSegmentation(path: Path) -> slicer.vtkMRMLSegmentationNode:
    """A segmentation that Slicer has saved.

    Raises:
        InputError: if it cannot be read.
    """
    _requireFile(path)
    try:
        return slicer.util.loadSegmentation(str(path))
    except RuntimeError as error:
        raise InputError(_("The segmentation {path} cannot be read; save it in Slicer as .seg.nrrd.").format(path=path)) from error


def loadLabels(path: Path, ct: CTVolume, ctNode: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLSegmentationNode:
    """A label map as a segmentation; see `read_labels`.

    Raises:
        InputError: if it cannot be read, or does not fit the CT.
    """
    return writeSegmentation(read_labels(path, ct), ctNode)


def _loadVolume(path: Path) -> slicer.vtkMRMLVolumeNode:
    _requireFile(path)
    try:
        return slicer.util.loadVolume(str(path), {"singleFile": True, "show": False})
    except RuntimeError as error:
        raise InputError(_("{path} cannot be read as a volume or an image; convert it to NRRD.").format(path=path)) from error


def _requireFile(path: Path) -> None:
    if not path.is_file():
        raise InputError(_("There is no file {path}.").format(path=path))
