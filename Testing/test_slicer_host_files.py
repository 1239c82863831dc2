"""Files through the test host's coreIOManager, against other readers and writers of the same formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


def gray_pixels() -> NDArray[np.uint8]:
    return np.arange(12 * 20, dtype=np.uint8).reshape(12, 20)


@pytest.mark.parametrize("ending", [".png", ".tif", ".tiff", ".jpg"])
def test_a_gray_picture_becomes_a_scalar_volume_of_one_slice(scene: Any, tmp_path: Path, ending: str) -> None:
    import slicer
    from PIL import Image

    path = tmp_path / f"xray{ending}"
    pixels = np.full((12, 20), 90, dtype=np.uint8) if ending == ".jpg" else gray_pixels()
    Image.fromarray(pixels).save(path)
    volume = slicer.util.loadVolume(path)
    assert volume.GetClassName() == "vtkMRMLScalarVolumeNode"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), pixels[None])


def test_a_picture_in_color_becomes_a_vector_volume(scene: Any, tmp_path: Path) -> None:
    import slicer
    from PIL import Image

    Image.fromarray(np.stack([gray_pixels()] * 3, axis=-1)).save(tmp_path / "xray.png")
    volume = slicer.util.loadVolume(tmp_path / "xray.png")
    assert volume.GetClassName() == "vtkMRMLVectorVolumeNode"
    assert slicer.util.arrayFromVolume(volume).shape == (1, 12, 20, 3)


def test_numbered_pictures_are_a_stack_unless_a_single_file_is_asked_for(scene: Any, tmp_path: Path) -> None:
    import slicer
    from PIL import Image

    for number in (1, 2, 3):
        Image.fromarray(gray_pixels() + number).save(tmp_path / f"xray{number}.png")
    assert slicer.util.arrayFromVolume(slicer.util.loadVolume(tmp_path / "xray1.png")).shape == (3, 12, 20)
    single = slicer.util.loadVolume(tmp_path / "xray1.png", {"singleFile": True})
    assert slicer.util.arrayFromVolume(single).shape == (1, 12, 20)


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
def test_a_volume_lies_where_simpleitk_put_it(scene: Any, tmp_path: Path, ending: str) -> None:
    import SimpleITK as sitk
    import slicer
    import vtk

    image = sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    image.SetSpacing((1.5, 2.0, 3.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    sitk.WriteImage(image, tmp_path / f"ct{ending}")
    volume = slicer.util.loadVolume(tmp_path / f"ct{ending}")
    ijk_to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijk_to_ras)
    for index in ((0, 0, 0), (3, 1, 1)):
        lps = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(ijk_to_ras.MultiplyPoint((*index, 1))[:3], (-lps[0], -lps[1], lps[2]), atol=1e-4)
    assert slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID() == volume.GetID()


def test_a_label_volume_and_a_name_can_be_asked_for(scene: Any, tmp_path: Path) -> None:
    import slicer

    slicer.util.saveNode(slicer.util.addVolumeFromArray(np.ones((2, 2, 2), dtype=np.uint8)), str(tmp_path / "a.b.nrrd"))
    labels = slicer.util.loadVolume(tmp_path / "a.b.nrrd", {"labelmap": True, "name": "bones"})
    assert (labels.GetClassName(), labels.GetName()) == ("vtkMRMLLabelMapVolumeNode", "bones")
    assert slicer.util.loadVolume(tmp_path / "a.b.nrrd", {}).GetName() == "a"


def test_a_segmentation_survives_being_saved_and_loaded(scene: Any, tmp_path: Path) -> None:
    import slicer

    ct = slicer.util.addVolumeFromArray(np.zeros((4, 5, 6), dtype=np.int16))
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "pelvis")
    labels = np.zeros((4, 5, 6), dtype=np.uint8)
    labels[1:3, 2, 3] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(labels, segmentation, segment, ct)
    path = str(tmp_path / "bones.nrrd")  # a plain .nrrd is recognised by its header
    assert slicer.util.saveNode(segmentation, path)
    assert slicer.app.coreIOManager().fileType(path) == "SegmentationFile"
    loaded = slicer.util.loadSegmentation(path)
    assert loaded.GetSegmentation().GetNthSegment(0).GetName() == "pelvis"
    found = slicer.util.arrayFromSegmentBinaryLabelmap(loaded, loaded.GetSegmentation().GetNthSegmentID(0), ct)
    np.testing.assert_array_equal(found, labels)


def test_a_transform_survives_being_saved_and_loaded(scene: Any, tmp_path: Path) -> None:
    import slicer

    matrix = np.array([[0, -1, 0, 5], [1, 0, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1.0]])
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    assert slicer.util.saveNode(node, str(tmp_path / "pose.h5"))
    np.testing.assert_allclose(slicer.util.arrayFromTransformMatrix(slicer.util.loadTransform(tmp_path / "pose.h5")), matrix)


def test_models_markups_tables_and_texts_can_be_loaded(scene: Any, tmp_path: Path) -> None:
    import slicer
    import vtk

    sphere = vtk.vtkSphereSource()
    sphere.Update()
    nodes = {
        "bone.ply": slicer.modules.models.logic().AddModel(sphere.GetOutput()),
        "points.mrk.json": scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode"),
        "numbers.csv": scene.AddNewNodeByClass("vtkMRMLTableNode"),
    }
    nodes["points.mrk.json"].AddControlPoint(1, 2, 3)
    slicer.util.updateTableFromArray(nodes["numbers.csv"], np.array([[1.0, 2.0]]), ["a", "b"])
    (tmp_path / "notes.txt").write_text("plain")
    for name, node in nodes.items():
        assert slicer.util.saveNode(node, str(tmp_path / name))
    assert slicer.util.loadModel(tmp_path / "bone.ply").GetPolyData().GetNumberOfPoints() == sphere.GetOutput().GetNumberOfPoints()
    assert slicer.util.loadMarkups(tmp_path / "points.mrk.json").GetNthControlPointPosition(0) == pytest.approx((1, 2, 3))
    assert slicer.util.loadTable(tmp_path / "numbers.csv").GetNumberOfColumns() == 2
    assert slicer.util.loadText(tmp_path / "notes.txt").GetText() == "plain"


def test_a_node_is_exported_in_world_coordinates_and_stays_as_it_is(scene: Any, tmp_path: Path) -> None:
    import SimpleITK as sitk
    import slicer

    shift = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(shift, np.array([[1, 0, 0, 10], [0, 1, 0, 20], [0, 0, 1, 30], [0, 0, 0, 1.0]]))
    volume = slicer.util.addVolumeFromArray(np.zeros((2, 2, 2), dtype=np.int16))
    volume.SetAndObserveTransformNodeID(shift.GetID())
    assert slicer.util.exportNode(volume, str(tmp_path / "world.nrrd"), {}, world=True)
    assert slicer.util.exportNode(volume, str(tmp_path / "own.nrrd"), {})
    assert sitk.ReadImage(tmp_path / "world.nrrd").GetOrigin() == pytest.approx((-10, -20, 30))
    assert sitk.ReadImage(tmp_path / "own.nrrd").GetOrigin() == pytest.approx((0, 0, 0))
    assert volume.GetOrigin() == pytest.approx((0, 0, 0))
    assert volume.GetParentTransformNode() is shift
    assert not volume.GetStorageNode().GetFileName()


@pytest.mark.parametrize("name", ["scene.mrb", "folder/scene.mrml", "bundle"])
def test_a_scene_survives_being_saved_cleared_and_loaded(scene: Any, tmp_path: Path, name: str) -> None:
    import slicer

    volume = slicer.util.addVolumeFromArray(np.ones((2, 3, 4), dtype=np.int16), name="CT")
    volume.SetAttribute("XRayRegistration.Geometry", '{"sdd": 1000}')
    (tmp_path / "folder").mkdir()
    if name.endswith(".mrml"):  # such a scene refers to files that are saved apart
        slicer.util.saveNode(volume, str(tmp_path / "folder" / "ct.nrrd"))
    assert slicer.util.saveScene(str(tmp_path / name))
    scene.Clear(False)
    path = next((tmp_path / name).glob("*.mrml")) if name == "bundle" else tmp_path / name
    assert slicer.util.loadScene(str(path)) is None  # the real reader reports no node either
    loaded = slicer.util.getNode("CT")
    assert slicer.util.arrayFromVolume(loaded).shape == (2, 3, 4)
    assert loaded.GetAttribute("XRayRegistration.Geometry") == '{"sdd": 1000}'


def test_a_file_that_cannot_be_read_raises(scene: Any, tmp_path: Path) -> None:
    import slicer

    with pytest.raises(RuntimeError, match="Failed to load node from file"):
        slicer.util.loadVolume(tmp_path / "missing.nrrd")
    (tmp_path / "unknown.xyz").write_bytes(b"")
    assert slicer.app.coreIOManager().fileType(str(tmp_path / "unknown.xyz")) == "NoFile"
