"""The data sets in Slicer's module Sample Data: there without a network, and fit for each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from DRRSimulatorLib.camera import load_view
from DRRSimulatorLib.ct import read_ct
from DRRSimulatorLib.patient import prepare_patient
from DRRSimulatorLib.physics import transmitted


@pytest.fixture
def registered(load_module: Any) -> None:
    load_module.module("DRRSimulator")
    import slicer

    slicer.app.startupCompleted.emit()


def test_the_ct_is_loaded_by_its_name_and_by_its_button(registered: None) -> None:
    import SampleData
    import slicer
    from slicer_host.sample_data import press_button

    by_name, by_button = SampleData.SampleDataLogic().downloadSample("PelvisCT"), press_button("PelvisCT")
    assert by_name.GetName() == "PelvisCT"
    assert np.array_equal(slicer.util.arrayFromVolume(by_name), slicer.util.arrayFromVolume(by_button))


def test_the_xray_brings_its_geometry_but_not_its_pose(registered: None) -> None:
    from DRRSimulatorSlicer.nodes import geometry
    from slicer_host.sample_data import press_button

    xray = press_button("PelvisXRay")
    camera, rig = geometry(xray)
    assert camera.image_size == xray.GetImageData().GetDimensions()[1::-1] and rig is None
    assert xray.GetParentTransformNode() is None


def test_the_xray_is_the_one_that_its_camera_file_tells_of() -> None:
    from DRRSimulatorSlicer.sample_data import CAMERA_FILE, CT_FILE, XRAY_FILE

    camera, pose = load_view(CAMERA_FILE)
    expected = 50000 * transmitted(prepare_patient(read_ct(CT_FILE)).projector.line_integrals(camera, pose[None]).numpy()[0])
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(XRAY_FILE)))[0]
    assert np.abs(image / expected - 1).mean() < 0.1  # noise of 1 in 10 where one photon in 1000 is left


def test_the_wrist_is_downloaded_with_the_calibration_of_its_cameras(
    registered: None, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is taken from the test data instead of its address; its checksum is verified as after a download."""
    import SampleData
    from DRRSimulatorSlicer.nodes import geometry, readXRayPixels
    from slicer_host.sample_data import press_button

    files = {file.name: file for file in (shared_data / "wrist_biplane").rglob("*")}
    download = SampleData.SampleDataLogic.downloadFileIntoCache
    monkeypatch.setattr(
        SampleData.SampleDataLogic,
        "downloadFileIntoCache",
        lambda self, uri, name, checksum=None: download(self, files[uri.rpartition("/")[2]].as_uri(), name, checksum),
    )
    first, second = press_button("WristXRays")
    assert readXRayPixels(first).shape == (1760, 1760)
    (camera, rig_to_first), (_, rig_to_second) = geometry(first), geometry(second)
    assert camera.image_size == (1760, 1760)
    sources = [-rig[:3, :3].T @ rig[:3, 3] for rig in (rig_to_first, rig_to_second)]
    assert 500 < np.linalg.norm(sources[0] - sources[1]) < 3000  # mm between the two X-ray tubes in the room


def test_the_thumbnails_exist_and_are_small(registered: None) -> None:
    import slicer
    from DRRSimulatorSlicer.sample_data import CATEGORY

    files = [Path(source.thumbnailFileName) for source in slicer.modules.sampleDataSources[CATEGORY] if source.thumbnailFileName]
    assert len(files) == 2 and all(0 < file.stat().st_size < 50_000 for file in files)
