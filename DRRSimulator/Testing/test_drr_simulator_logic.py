"""The module's logic on nodes: where its X-rays lie and what they show, sets on disk, and the view of a 3D camera."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import DRRSimulatorLib
import numpy as np
import pytest
import SimpleITK as sitk
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, load_view, save_view, transform_points
from DRRSimulatorLib.cli import simulate as drr_simulate
from DRRSimulatorLib.errors import InputError
from phantom import BONE_IJK, IJK_TO_RAS, MARKER_IJK, SHAPE, add_phantom
from scene_nodes import add_transform, add_volume, rigid, to_world

SAMPLE_CT = Path(DRRSimulatorLib.__file__).with_name("data") / "pelvis_ct.nii.gz"
CAMERA = Camera(980.0, (1.9, 2.1), (120, 140), (74.5, 52.0))
VIEW = CArmView(25, -15, 8, (12.0, -7.0), 650.0)


@pytest.fixture
def logic(load_module: Any) -> Any:
    return load_module.module("DRRSimulator").DRRSimulatorLogic()


@pytest.fixture
def moved(scene: Any) -> Any:
    """A transform that turns and moves what is under it."""
    return add_transform(rigid((10, -20, 90), (30, -20, 50)))


def pixels(node: Any) -> FloatArray:
    import slicer

    return slicer.util.arrayFromVolume(node)[0].astype(float)


def in_world(volume: Any, ijk: Any) -> FloatArray:
    """World position of a voxel position."""
    return transform_points(to_world(volume) @ ijk_to_ras(volume), [ijk])[0]


def ijk_to_ras(volume: Any) -> FloatArray:
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def source_in_world(drr: Any) -> FloatArray:
    """Drawn on the detector of a camera whose source is the origin of the transform."""
    return to_world(drr)[:3, 3]


def wait_for(generation: Any) -> None:
    from slicer_host.events import wait_until

    wait_until(lambda: not generation.running, 120, "drr-simulate ends")


def test_the_examples_in_the_docstrings_hold(logic: Any, tmp_path: Path) -> None:
    import slicer

    known = {"slicer": slicer, "DRRSimulatorLogic": type(logic), "CArmView": CArmView}
    known |= {"logic": logic, "ctNode": add_phantom(), "camera": CAMERA, "folder": tmp_path}
    tests = [test for test in doctest.DocTestFinder().find(type(logic), "DRRSimulatorLogic", globs=known) if test.examples]
    assert {test.name.rpartition(".")[2] for test in tests} == {"DRRSimulatorLogic", "segmentBone", "simulate", "generate"}
    runner = doctest.DocTestRunner()
    assert sum(runner.run(test).failed for test in tests) == 0


@pytest.mark.parametrize("under_a_transform", [False, True])
def test_a_point_source_and_its_shadow_lie_on_one_line(logic: Any, moved: Any, under_a_transform: bool) -> None:
    ct, marked = add_phantom(), add_phantom(marked=True)
    for node in (ct, marked):
        node.SetAndObserveTransformNodeID(moved.GetID() if under_a_transform else None)
    bones = logic.segmentBone(ct)  # without the marker, so that both views are the same
    plain, shadow = (logic.simulate(node, CAMERA, VIEW, bones, polarity="attenuation") for node in (ct, marked))
    difference = pixels(shadow) - pixels(plain)
    # The marker changes the unit of the ray caster's 16-bit voxels, and so all pixels a little; far ones would count most in the mean.
    difference[difference < 0.01 * difference.max()] = 0
    rows, columns = np.indices(difference.shape)
    seen = np.array([(columns * difference).sum(), (rows * difference).sum(), 0]) / difference.sum()
    source, marker = source_in_world(shadow), in_world(marked, MARKER_IJK)
    towards_marker, towards_shadow = marker - source, in_world(shadow, seen) - source
    angle = np.arccos(towards_marker @ towards_shadow / np.linalg.norm(towards_marker) / np.linalg.norm(towards_shadow))
    assert 980 * angle < 0.2  # mm on the detector; pixels have 2


def test_the_middle_of_the_bone_lies_where_the_view_says(logic: Any) -> None:
    ct = add_phantom()
    drr = logic.simulate(ct, CAMERA, VIEW)
    source, bone = source_in_world(drr), in_world(ct, BONE_IJK)
    beam = in_world(drr, [*CAMERA.principal_point, 0]) - source
    assert np.linalg.norm(beam) == pytest.approx(CAMERA.source_to_detector_distance)
    assert (bone - source) @ beam / np.linalg.norm(beam) == pytest.approx(650, abs=1)
    aside = (bone - source) - (bone - source) @ beam / (beam @ beam) * beam
    assert np.linalg.norm(aside) == pytest.approx(np.hypot(12, 7), abs=1)


def test_intensity_is_the_exponential_of_attenuation_and_only_noise_depends_on_the_seed(logic: Any) -> None:
    ct = add_phantom()
    attenuation = pixels(logic.simulate(ct, CAMERA, VIEW, polarity="attenuation", seed=1))
    intensity = pixels(logic.simulate(ct, CAMERA, VIEW, seed=2))
    np.testing.assert_allclose(intensity, np.exp(-attenuation), rtol=1e-5)
    first, again, other = (pixels(logic.simulate(ct, CAMERA, VIEW, noise=True, seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_the_x_ray_of_a_tube_is_softer_than_an_ideal_one(logic: Any) -> None:
    ct = add_phantom()
    ideal, tube = (pixels(logic.simulate(ct, CAMERA, VIEW, kilovolts=kilovolts)) for kilovolts in (None, 90))
    assert tube[0, 0] == pytest.approx(1, abs=0.01)  # beside the patient hardly any scatter arrives
    # The effective energy lies between 50 and 70 keV, where NIST's soft tissue attenuates 1.18 to 1 times as much as at 70 keV, and
    # cortical bone 1.66 to 1 times; scatter fills up little.
    assert 1.05 < np.log(tube.min()) / np.log(ideal.min()) < 1.3


def test_a_volume_to_update_stays_the_only_one(logic: Any, scene: Any) -> None:
    ct = add_phantom()
    drr = logic.simulate(ct, CAMERA, VIEW)
    before, count = pixels(drr), scene.GetNumberOfNodes()
    small = CAMERA.resized((60, 70))
    assert logic.simulate(ct, small, CArmView(90), outputNode=drr) is drr
    assert scene.GetNumberOfNodes() == count
    assert pixels(drr).shape == (60, 70) and pixels(drr).shape != before.shape
    assert logic.geometry(drr) == small


def test_the_segments_are_the_bones_that_the_view_turns_about(logic: Any, scene: Any) -> None:
    import slicer

    ct = add_phantom()
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[30:36, 30:38, 10:14] = 1
    label_node = add_volume(labels, "vtkMRMLLabelMapVolumeNode", IJK_TO_RAS)
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(label_node, segmentation)
    drr = logic.simulate(ct, CAMERA, CArmView(40, 20, source_to_point_mm=600), segmentation)
    source, middle = source_in_world(drr), in_world(ct, [11.5, 33.5, 32.5])
    beam = in_world(drr, [*CAMERA.principal_point, 0]) - source
    aside = (middle - source) - (middle - source) @ beam / (beam @ beam) * beam
    assert np.linalg.norm(aside) < 1


def test_what_the_user_loaded_is_not_changed(logic: Any, moved: Any) -> None:
    import slicer

    ct = add_phantom()
    ct.SetAndObserveTransformNodeID(moved.GetID())

    def state() -> list[Any]:
        corners = [in_world(ct, corner).tolist() for corner in ([0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10])]
        return [slicer.util.arrayFromVolume(ct).tobytes(), corners, ct.GetTransformNodeID(), ct.GetAttributeNames(), moved.GetMTime()]

    before = state()
    logic.simulate(ct, CAMERA, VIEW, logic.segmentBone(ct))
    assert state() == before


def test_a_set_holds_the_same_images_from_the_scene_as_from_the_file(logic: Any, scene: Any, tmp_path: Path) -> None:
    progress: list[int] = []
    ends: list[int] = []
    wait_for(
        logic.generate(
            logic.loadSampleCT(),
            tmp_path / "scene",
            3,
            CAMERA,
            seed=5,
            onProgress=lambda line: progress.append(line.done),
            onFinished=lambda code, message: ends.append(code),
        )
    )
    assert ends == [0] and progress[-1] == 3
    save_view(tmp_path / "camera.json", CAMERA)
    drr_simulate(SAMPLE_CT, tmp_path / "file", random=3, camera_file=tmp_path / "camera.json", seed=5)
    assert sorted(path.name for path in (tmp_path / "scene").iterdir()) == sorted(path.name for path in (tmp_path / "file").iterdir())
    for n in (1, 2, 3):
        (camera, pose), (_, expected) = (load_view(tmp_path / folder / f"view_000{n}.json") for folder in ("scene", "file"))
        assert camera == CAMERA
        np.testing.assert_allclose(pose, expected, atol=1e-4)
        image, reference = (sitk.ReadImage(str(tmp_path / folder / f"view_000{n}.tiff"), sitk.sitkFloat64) for folder in ("scene", "file"))
        difference = sitk.GetArrayFromImage(image - reference)
        assert np.abs(difference).max() <= 0.01 * sitk.GetArrayViewFromImage(reference).max()


def test_a_list_of_views_on_disk_is_the_view_in_the_scene(logic: Any, tmp_path: Path) -> None:
    ct = add_phantom()
    segmentation = logic.segmentBone(ct)
    wait_for(logic.generate(ct, tmp_path, [VIEW], CAMERA, segmentation, noise=True, seed=3, kilovolts=60))
    drr = logic.simulate(ct, CAMERA, VIEW, segmentation, noise=True, seed=3, kilovolts=60)
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "view_0001.tiff")))
    np.testing.assert_allclose(image, 50000 * pixels(drr), atol=1)
    camera, pose = load_view(tmp_path / "view_0001.json")
    assert camera == CAMERA and pose is not None
    np.testing.assert_allclose(np.linalg.inv(pose)[:3, 3], source_in_world(drr), atol=1e-3)


def test_a_set_can_be_stopped(logic: Any, tmp_path: Path) -> None:
    ends: list[int] = []
    generation = logic.generate(add_phantom(), tmp_path / "set", 10000, CAMERA, onFinished=lambda code, message: ends.append(code))
    from slicer_host.events import wait_until

    wait_until(lambda: (tmp_path / "set" / "view_0001.json").exists(), 60, "the first view is written")
    generation.stop()
    wait_for(generation)
    assert ends == [1]


def test_a_ct_without_bone_ends_a_set_with_the_reason(logic: Any, tmp_path: Path) -> None:
    import slicer

    ct = add_phantom()
    slicer.util.arrayFromVolume(ct)[...] = -1000
    ends: list[tuple[int, str]] = []
    wait_for(logic.generate(ct, tmp_path, 2, CAMERA, onFinished=lambda *end: ends.append(end)))
    assert ends[0][0] == 2 and "phantom is not a CT of bone" in ends[0][1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"view": CArmView(source_to_point_mm=980)}, "between the source and the detector"),
        ({"view": CArmView(source_to_point_mm=-1)}, "between the source and the detector"),
        ({"polarity": "bright"}, 'must be "intensity" or "attenuation"'),
        ({"kilovolts": 70}, "no beam of 70 kV"),
        ({"ctNode": None}, "There is no CT"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_sentence(logic: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        logic.simulate(**{"ctNode": add_phantom(), "camera": CAMERA, "view": VIEW} | changes)


@pytest.mark.parametrize(
    ("direction", "above", "expected"),
    [
        ((0, 1, 0), (0, 0, 1), (0, 0, 0)),  # from the back: frontal
        ((-1, 0, 0), (0, 0, 1), (90, 0, 0)),  # from the right to the left: LAO 90
        ((1, 1, 0), (0, 0, 1), (-45, 0, 0)),
        ((0, 1, 1), (0, -1, 1), (0, 45, 0)),  # the detector towards the head: CRAN 45
    ],
)
def test_the_view_of_a_3d_camera_looks_where_that_camera_does(
    logic: Any, moved: Any, scene: Any, direction: Any, above: Any, expected: Any
) -> None:
    ct = add_phantom()
    ct.SetAndObserveTransformNodeID(moved.GetID())
    import slicer

    to_world = np.array(slicer.util.arrayFromTransformMatrix(moved))
    bone = in_world(ct, BONE_IJK)
    view_node = slicer.vtkMRMLViewNode()
    view_node.SetLayoutName("Test")
    view_node.SetSingletonTag("Test")
    view_node = scene.AddNode(view_node)
    cameras = slicer.modules.cameras.logic()
    camera_node = cameras.GetViewActiveCameraNode(view_node) or scene.AddNewNodeByClass("vtkMRMLCameraNode")
    camera_node.SetLayoutName("Test")
    camera_node.SetFocalPoint(*bone)
    camera_node.SetPosition(*(bone - 300 * to_world[:3, :3] @ direction))
    camera_node.SetViewUp(*(to_world[:3, :3] @ above))
    view = logic.viewFromCamera3D(view_node, ct, sourceToIsocenter=640)
    np.testing.assert_allclose((view.primary_deg, view.secondary_deg, view.roll_deg), expected, atol=1e-6)
    assert view.source_to_point_mm == 640
    np.testing.assert_allclose(view.offset_mm, (0, 0), atol=0.5)  # the bone's surface is not quite the ball
