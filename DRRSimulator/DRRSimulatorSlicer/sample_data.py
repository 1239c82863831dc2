"""What the module Sample Data offers: a CT of a pelvis and an X-ray simulated from it, which come with the extension, and real X-rays."""

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

# A living wrist in two calibrated cameras (Akhbari et al., J Biomech 2019), from the sample data of Autoscoper (Brown University,
# BSD-3-style licence), as of one commit: what it says cannot change. The names tell the files apart in Slicer's cache.
_WRIST_FOLDER = "https://raw.githubusercontent.com/BrownBiomechanics/Autoscoper/203b7213deece3bb1346b3cb5fbc30b37fc28068/sample_data/"
_WRIST_XRAYS = {
    "XMA_UND/xr_data_wrist_cam01/xr_rad_uln_cam01_UND.0099.tif": "eada00f5605fa64c1d8a564a968037b72417ed6745ddf20760f262a24cc22be7",
    "XMA_UND/xr_data_wrist_cam02/xr_rad_uln_cam02_UND.0099.tif": "aec5d6558590cd7cc626987d7fee81240cde46261e1c086b50971be8848ac85f",
}
_WRIST_CALIBRATIONS = {
    "Calibration/xr_calib_wrist_cam01.txt": "e616c3390d44342f205a6e26ebb403d39a3cdc5c8606408017c7b7211a70b3d3",
    "Calibration/xr_calib_wrist_cam02.txt": "5dfddff716e7ed4f8aa6e91852b41f577bd605af370ad407342ea1c053841f24",
}


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
    files = _WRIST_XRAYS | _WRIST_CALIBRATIONS
    logic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName="WristXRays",
        uris=[_WRIST_FOLDER + path for path in files],
        fileNames=[Path(path).name for path in files],
        nodeNames=["WristXRay1", "WristXRay2", None, None],
        checksums=[f"SHA256:{digest}" for digest in files.values()],
        customDownloader=_downloadWrist,
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


def _downloadWrist(source: Any) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Download the two X-rays of a wrist and their calibrations, which become the geometry of the X-rays."""
    import SampleData
    from DRRSimulatorLib.calibration import read_calibration

    from .nodes import readXRayPixels, setGeometry

    logic = SampleData.SampleDataLogic()
    files = zip(source.uris, source.fileNames, source.checksums, strict=True)
    paths = [logic.downloadFileIntoCache(uri, name, checksum) for uri, name, checksum in files]
    loaded = []
    for name, image, calibration in zip(source.nodeNames[:2], paths[:2], paths[2:], strict=True):
        node = slicer.util.loadVolume(image, {"name": name, "singleFile": True})
        setGeometry(node, *read_calibration(calibration, readXRayPixels(node).shape))
        loaded.append(node)
    return loaded
