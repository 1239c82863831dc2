"""What the module Sample Data offers: a CT of a pelvis, and an X-ray that was simulated from it. Both come with the extension."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

CATEGORY = "XRayRegistration"
_MODULE = Path(__file__).resolve().parents[1]
CT_FILE = _MODULE / "DRRSimulatorLib" / "data" / "pelvis_ct.nii.gz"
XRAY_FILE = _MODULE / "Resources" / "SampleData" / "pelvis_xray.nrrd"
CAMERA_FILE = XRAY_FILE.with_suffix(".json")


def registerSampleData() -> None:
    """Register the data sets; to be called when Slicer's start is completed."""
    import SampleData

    logic = SampleData.SampleDataLogic
    if hasattr(logic, "registerCustomSampleDataCategory"):  # Slicer 5.12
        logic.registerCustomSampleDataCategory(CATEGORY, _("X-ray registration"))
    for name, path, downloader in (("PelvisCT", CT_FILE, _loadCT), ("PelvisXRay", XRAY_FILE, _loadXRay)):
        logic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            uris=path.as_uri(),
            fileNames=path.name,
            nodeNames=name,
            thumbnailFileName=str(_MODULE / "Resources" / "Icons" / f"{name}.png"),
            customDownloader=downloader,
        )


def loadSampleCT() -> slicer.vtkMRMLScalarVolumeNode:
    """Load the CT of a pelvis."""
    return slicer.util.loadVolume(str(CT_FILE), {"name": "PelvisCT"})


def loadSampleXRay() -> slicer.vtkMRMLScalarVolumeNode:
    """Load the X-ray of the same pelvis, with the geometry that it was simulated with; its pose is for a registration to find."""
    from DRRSimulatorLib.camera import Camera

    from .nodes import setGeometry

    node = slicer.util.loadVolume(str(XRAY_FILE), {"name": "PelvisXRay"})
    setGeometry(node, Camera.from_dict(json.loads(CAMERA_FILE.read_text(encoding="utf-8"))["camera"]))
    return node


def _loadCT(source: Any) -> slicer.vtkMRMLScalarVolumeNode:
    return loadSampleCT()


def _loadXRay(source: Any) -> slicer.vtkMRMLScalarVolumeNode:
    return loadSampleXRay()
