"""Volumes of the scene as the library's types: the same CT as from the file, X-rays as they are stored, geometry that is saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import DRRSimulatorLib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from DRRSimulatorLib.camera import Camera, CArmView, transform_points
from DRRSimulatorLib.ct import read_ct
from DRRSimulatorLib.errors import InputError
from scene_nodes import add_transform, add_volume, rigid, to_world
from scipy.spatial.transform import Rotation

SAMPLE_CT = Path(DRRSimulatorLib.__file__).with_name("data") / "pelvis_ct.nii.gz"
CAMERA = Camera(1020.0, (0.8, 0.7), (30, 40), (12.5, 17.25))
OBLIQUE = Rotation.from_euler("xyz", [12, -20, 33], degrees=True).as_matrix()


@pytest.fixture
def nodes(scene: Any) -> Any:
    from DRRSimulatorSlicer import nodes

    return nodes


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize("orientation", ["as it is", "flipped", "permuted", "oblique"])
@pytest.mark.parametrize("voxel_type", [sitk.sitkInt16, sitk.sitkFloat32])
def test_ct_of_a_node_has_the_fingerprint_of_its_file(nodes: Any, tmp_path: Path, suffix: str, orientation: str, voxel_type: int) -> None:
    import slicer

    image = sitk.Cast(sitk.ReadImage(str(SAMPLE_CT)), voxel_type)[:, :, 30:70]
    if orientation == "flipped":
        image = sitk.Flip(image, [True, False, True])
    elif orientation == "permuted":
        image = sitk.PermuteAxes(image, [2, 0, 1])
    elif orientation == "oblique":
        image.SetDirection((OBLIQUE @ np.reshape(image.GetDirection(), (3, 3))).ravel().tolist())
    path = tmp_path / f"ct{suffix}"
    sitk.WriteImage(image, str(path))
    ct = nodes.readCT(slicer.util.loadVolume(str(path)))()
    assert ct.fingerprint == read_ct(path).fingerprint


def test_whole_sample_ct_is_read_as_from_its_file(nodes: Any) -> None:
    import slicer

    ct, expected = nodes.readCT(slicer.util.loadVolume(str(SAMPLE_CT)))(), read_ct(SAMPLE_CT)
    np.testing.assert_array_equal(ct.hu, expected.hu)
    np.testing.assert_allclose(ct.ijk_to_ras, expected.ijk_to_ras, atol=1e-4)
    assert ct.fingerprint == expected.fingerprint


def test_ct_is_read_in_its_own_space_whatever_transform_it_is_under(nodes: Any) -> None:
    import slicer

    node = slicer.util.loadVolume(str(SAMPLE_CT))
    node.SetAndObserveTransformNodeID(add_transform(rigid((10, 20, 30), (50, 60, 70))).GetID())
    assert nodes.readCT(node)().fingerprint == read_ct(SAMPLE_CT).fingerprint


def test_ct_can_still_be_made_after_its_node_is_gone(nodes: Any) -> None:
    import slicer

    node = slicer.util.loadVolume(str(SAMPLE_CT))
    make = nodes.readCT(node)
    slicer.mrmlScene.RemoveNode(node)
    del node
    assert make().fingerprint == read_ct(SAMPLE_CT).fingerprint


def test_padding_below_air_becomes_air(nodes: Any) -> None:
    hu = np.full((6, 7, 8), -3024.0, dtype=np.float32)
    hu[2:4] = 1200
    ct = nodes.readCT(add_volume(hu))()
    assert set(np.unique(ct.hu)) == {-1000, 1200}


def test_what_is_no_ct_is_refused_by_its_name(nodes: Any, scene: Any) -> None:
    import slicer
    import vtk

    with pytest.raises(InputError, match="no CT"):
        nodes.readCT(None)
    with pytest.raises(InputError, match="no CT"):
        nodes.readCT(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"))
    with pytest.raises(InputError, match="image has several values per voxel"):
        nodes.readCT(add_volume(np.zeros((6, 7, 8, 3), np.uint8), "vtkMRMLVectorVolumeNode"))
    with pytest.raises(InputError, match="image is not a CT volume"):
        nodes.readCT(add_volume(np.zeros((1, 7, 8), np.int16)))()
    with pytest.raises(InputError, match="image is not a CT of bone"):
        nodes.readCT(add_volume(np.full((6, 7, 8), -500, np.int16)))()
    bent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    bent.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    node = add_volume(np.zeros((6, 7, 8), np.int16))
    node.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(InputError, match="bends it"):
        nodes.readCT(node)


def test_pixels_are_those_stored_whatever_the_directions_of_the_node(nodes: Any) -> None:
    stored = np.random.default_rng(0).integers(0, 4096, (1, 30, 40)).astype(np.uint16)
    for matrix in (np.eye(4), np.diag([-0.3, -0.3, 1.0, 1.0]), np.diag([0.3, -0.3, -1.0, 1.0]), rigid((10, 20, 30), (1, 2, 3))):
        node = add_volume(stored, ijk_to_ras=matrix)
        node.SetAndObserveTransformNodeID(add_transform(rigid((40, 50, 60), (7, 8, 9))).GetID())
        np.testing.assert_array_equal(nodes.readXRayPixels(node), stored[0])


def test_pixels_are_a_copy(nodes: Any) -> None:
    import slicer

    node = add_volume(np.ones((1, 30, 40), np.float32))
    pixels = nodes.readXRayPixels(node)
    slicer.util.arrayFromVolume(node)[:] = 2
    assert (pixels == 1).all()


@pytest.mark.parametrize("channels", [3, 4])
def test_colors_become_luminance_without_opacity(nodes: Any, channels: int) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (1, 30, 40, channels)).astype(np.uint8)
    red, green, blue = np.moveaxis(stored[0, ..., :3].astype(float), -1, 0)
    pixels = nodes.readXRayPixels(add_volume(stored, "vtkMRMLVectorVolumeNode"))
    np.testing.assert_allclose(pixels, 0.299 * red + 0.587 * green + 0.114 * blue, rtol=2**-22)  # luminance is of 32 bits


def test_a_picture_file_is_read_with_its_first_row_on_top(nodes: Any, tmp_path: Path) -> None:
    import slicer

    stored = np.random.default_rng(0).integers(0, 65536, (30, 40)).astype(np.uint16)
    path = tmp_path / "xray.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(stored[None]), str(path))
    node = slicer.util.loadVolume(str(path), {"singleFile": True})
    np.testing.assert_array_equal(nodes.readXRayPixels(node), stored)


@pytest.fixture
def sequence(scene: Any) -> Any:
    """A browser of three frames."""
    import slicer

    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "fluoroscopy")
    for frame in range(3):
        node = add_volume(np.full((1, 30, 40), 100 + frame, np.uint16))
        sequence.SetDataNodeAtValue(node, str(frame))
        slicer.mrmlScene.RemoveNode(node)
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    return browser


def show_frame(browser: Any, frame: int) -> Any:
    """The volume that shows a frame."""
    import slicer

    browser.SetSelectedItemNumber(frame)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return browser.GetProxyNode(browser.GetMasterSequenceNode())


def test_of_a_sequence_the_frame_that_is_shown_is_read(nodes: Any, sequence: Any) -> None:
    for frame in (2, 0):
        pixels = nodes.readXRayPixels(show_frame(sequence, frame))
        assert pixels.shape == (30, 40) and (pixels == 100 + frame).all()


def test_the_frames_of_a_sequence_share_a_geometry(nodes: Any, sequence: Any) -> None:
    nodes.setGeometry(show_frame(sequence, 0), CAMERA)
    assert nodes.geometry(show_frame(sequence, 1)) == (CAMERA, None)


def test_what_is_no_single_image_is_refused(nodes: Any) -> None:
    with pytest.raises(InputError, match="no X-ray"):
        nodes.readXRayPixels(None)
    with pytest.raises(InputError, match="volume of 5 slices"):
        nodes.readXRayPixels(add_volume(np.zeros((5, 30, 40), np.int16)))


@pytest.mark.parametrize("rig_to_camera", [None, rigid((10, 20, 30), (1, 2, 3))])
def test_geometry_is_saved_with_the_scene(nodes: Any, scene: Any, tmp_path: Path, rig_to_camera: Any) -> None:
    import slicer

    node = add_volume(np.zeros((1, 30, 40), np.uint16))
    assert nodes.geometry(node) is None
    nodes.setGeometry(node, CAMERA, rig_to_camera)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    scene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    camera, matrix = nodes.geometry(slicer.util.getNode("image"))
    assert camera == CAMERA
    np.testing.assert_array_equal(matrix, rig_to_camera)


def test_geometry_of_another_image_or_rig_is_refused(nodes: Any) -> None:
    node = add_volume(np.zeros((1, 40, 30), np.uint16))
    with pytest.raises(InputError, match="image has 40 x 30 pixels, but the geometry is for 30 x 40"):
        nodes.setGeometry(node, CAMERA)
    node = add_volume(np.zeros((1, 30, 40), np.uint16))
    with pytest.raises(InputError, match="not a rigid"):
        nodes.setGeometry(node, CAMERA, np.diag([2.0, 1.0, 1.0, 1.0]))
    assert nodes.geometry(node) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", '{"camera": {}}', '{"camera": null}', '{"camera": {"image_size": 3}}', "[" * 100_000),
        json.dumps({"camera": CAMERA.to_dict(), "rig_to_camera": [[1, 2], [3, 4]]}),
        json.dumps({"camera": CAMERA.to_dict(), "rig_to_camera": np.diag([2.0, 1, 1, 1]).tolist()}),
        json.dumps({"camera": CAMERA.to_dict(), "rig_to_camera": [[10**400]]}),
    ],
)
def test_stored_geometry_that_is_none_is_refused(nodes: Any, text: str) -> None:
    node = add_volume(np.zeros((1, 30, 40), np.uint16))
    node.SetAttribute(nodes.GEOMETRY_ATTRIBUTE, text)
    with pytest.raises(InputError):
        nodes.geometry(node)


def test_an_image_lies_on_the_detector_and_is_updated_in_place(nodes: Any) -> None:
    import slicer
    import vtk

    camera_to_ras = np.linalg.inv(CArmView(30, 10, 5, (4, -7), 650).ras_to_camera(np.array([10.0, 20.0, 30.0])))
    transform = add_transform(camera_to_ras)
    node = nodes.updateImage(None, "DRR", np.zeros(CAMERA.image_size, np.float32), CAMERA, transform, "drr")
    ijk_to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijk_to_ras)
    matrix = to_world(node) @ slicer.util.arrayFromVTKMatrix(ijk_to_ras)
    pixels = np.array([[0, 0], [39, 0], [0, 29], [39, 29], CAMERA.principal_point])
    seen = CAMERA.project(transform_points(np.linalg.inv(camera_to_ras), transform_points(matrix, np.pad(pixels, ((0, 0), (0, 1))))))
    np.testing.assert_allclose(seen, pixels, atol=1e-9)

    drawn = np.random.default_rng(0).random(CAMERA.image_size).astype(np.float32)
    assert nodes.updateImage(None, "DRR", drawn, CAMERA, transform, "drr") is node
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node)[0], drawn)
    assert node.GetDisplayNode() is not None


class Database:
    """Slicer's DICOM database with one image."""

    def __init__(self, dataset: pydicom.Dataset) -> None:
        self.dataset = dataset

    def instanceValue(self, uid: str, tag: str) -> str:  # noqa: N802  as in Slicer
        """Texts as the database gives them: several values are divided by backslashes, and what is absent is empty."""
        group, element = (int(part, 16) for part in tag.split(","))
        value = self.dataset.get((group, element)) if uid == "1.2.3" else None
        if value is None or value.value is None:
            return ""
        return "\\".join(map(str, value.value)) if value.VM > 1 else str(value.value)


@pytest.fixture
def dataset() -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    dataset.Rows, dataset.Columns = 30, 40
    dataset.DistanceSourceToDetector = "1020.5"
    dataset.ImagerPixelSpacing = ["0.7", "0.8"]
    dataset.PixelSpacing = ["0.5", "0.5"]
    return dataset


def test_geometry_of_a_dicom_xray_comes_from_slicers_database(nodes: Any, dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer

    monkeypatch.setattr(slicer, "dicomDatabase", Database(dataset), raising=False)
    node = add_volume(np.zeros((1, 30, 40), np.uint16))
    assert nodes.dicomGeometry(node) is None
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    # ImagerPixelSpacing is that of rows, then of columns.
    assert nodes.dicomGeometry(node) == Camera(1020.5, (0.8, 0.7), (30, 40), (19.5, 14.5))


@pytest.mark.parametrize("change", [{"DistanceSourceToDetector": None}, {"ImagerPixelSpacing": None}, {"Rows": 31}])
def test_an_incomplete_header_or_another_image_gives_no_geometry(
    nodes: Any, dataset: Any, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    import slicer

    for keyword, value in change.items():
        setattr(dataset, keyword, value)
    monkeypatch.setattr(slicer, "dicomDatabase", Database(dataset), raising=False)
    node = add_volume(np.zeros((1, 30, 40), np.uint16))
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    assert nodes.dicomGeometry(node) is None


def test_stored_geometry_is_plain_json(nodes: Any) -> None:
    node = add_volume(np.zeros((1, 30, 40), np.uint16))
    nodes.setGeometry(node, CAMERA)
    values = json.loads(node.GetAttribute("XRayRegistration.Geometry"))
    assert values["camera"]["source_to_detector_distance"] == 1020.0
