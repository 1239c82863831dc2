"""The geometry that the DICOM header of an X-ray tells."""

from __future__ import annotations

import slicer
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.dicom_camera import camera_from_tags

_ROWS, _COLUMNS, _DISTANCE_SOURCE_TO_DETECTOR, _IMAGER_PIXEL_SPACING = "0028,0010", "0028,0011", "0018,1110", "0018,1164"


def dicomGeometry(xrayNode: slicer.vtkMRMLVolumeNode) -> Camera | None:
    """The camera of an X-ray that came from Slicer's DICOM database.

    None where it did not, where its header lacks the distance or the spacing, and where the node is no longer of the header's size.
    """
    database = getattr(slicer, "dicomDatabase", None)  # absent where Slicer runs without its DICOM module
    instances = (xrayNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    if database is None or not instances or xrayNode.GetImageData() is None:
        return None

    def value(tag: str) -> str:
        return str(database.instanceValue(instances[0], tag))

    columns, rows, _slices = xrayNode.GetImageData().GetDimensions()
    if (value(_ROWS), value(_COLUMNS)) != (str(rows), str(columns)):
        return None
    return camera_from_tags(value(_DISTANCE_SOURCE_TO_DETECTOR), value(_IMAGER_PIXEL_SPACING).split("\\"), (rows, columns))
