"""The logic for the console: nodes in any guise give the pose that the library finds, and that pose is the true one."""

from __future__ import annotations

import doctest
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, invert_pose
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.patient import Patient
from DRRSimulatorLib.progress import Cancelled, ignore_progress
from pelvis_case import CAMERA, SAMPLE_CT, PelvisCase
from registration_scene import SharedPatient, add_ct, add_transform, add_xray, to_world
from small_patient import CENTRE_RAS, SmallPatient
from XRayRegistrationLib.correspondences import network_image
from XRayRegistrationLib.metrics import pose_error
from XRayRegistrationLib.model import DEFAULT_MODEL, Model, ModelDescription

MOVED = np.array([[0, -1, 0, 30], [1, 0, 0, -20], [0, 0, 1, 50], [0, 0, 0, 1.0]])


def registered_pose(logic: Any, xray: Any, ct: Any, refine: bool = False) -> FloatArray:
    logic.setGeometry(xray, CAMERA)
    return logic.registerXRay(xray, ct, refine=refine).carms[0].pose()


def test_the_pose_is_the_library_s_and_within_a_millimeter_of_the_true_one(scene: Any, pelvis: PelvisCase) -> None:
    """With nothing prepared: the CT by Slicer's reader, the default model from its file."""
    import slicer
    from XRayRegistrationSlicer.logic import XRayRegistrationLogic

    ct, xray = slicer.util.loadVolume(str(SAMPLE_CT)), add_xray(pelvis.pixels())
    pose = registered_pose(XRayRegistrationLogic(), xray, ct, refine=True)
    assert np.allclose(pose, pelvis.registration.ras_to_camera(), rtol=0, atol=1e-6)
    assert pelvis.mtre(pose) < 0.3


def test_a_ct_with_flipped_and_permuted_axes_is_the_same_patient(scene: Any, pelvis: PelvisCase) -> None:
    from XRayRegistrationSlicer.logic import XRayRegistrationLogic

    ct = pelvis.patient.ct
    flipped = ct.ijk_to_ras.copy()
    flipped[:3, 3] += flipped[:3, 0] * (ct.hu.shape[2] - 1)
    flipped[:3, 0] *= -1
    permuted = flipped[:, [2, 0, 1, 3]]  # i of the new grid runs along k of the old one
    node = add_ct(type(ct)(np.ascontiguousarray(ct.hu[:, :, ::-1].transpose(1, 2, 0)), permuted))
    pose = registered_pose(XRayRegistrationLogic(), add_xray(pelvis.pixels()), node, refine=True)
    assert pelvis.mtre(pose) < 0.3


def as_scalar(pixels: FloatArray) -> Any:
    return add_xray(pixels)


def under_a_transform(pixels: FloatArray) -> Any:
    node = add_xray(pixels)
    node.SetAndObserveTransformNodeID(add_transform(MOVED).GetID())
    return node


def as_colors(pixels: FloatArray) -> Any:
    return add_xray(np.repeat(pixels[..., None], 3, axis=2), class_name="vtkMRMLVectorVolumeNode")


def as_frame(pixels: FloatArray) -> Any:
    """The second frame of a sequence."""
    import slicer

    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "run")
    for time, image in enumerate((pixels[::-1], pixels)):
        frame = add_xray(image)
        sequence.SetDataNodeAtValue(frame, str(time))
        slicer.mrmlScene.RemoveNode(frame)
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.SetSelectedItemNumber(1)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return browser.GetProxyNode(sequence)


@pytest.mark.parametrize("add", [as_scalar, under_a_transform, as_colors, as_frame])
def test_the_same_pixels_give_the_same_pose_in_any_node(logic: Any, pelvis: PelvisCase, add: Any) -> None:
    pose = registered_pose(logic, add(pelvis.pixels()), add_ct(pelvis.patient.ct))
    assert np.allclose(pose, pelvis.unrefined.ras_to_camera(), rtol=0, atol=1e-4 if add is as_colors else 1e-6)  # luminance is rounded


def test_a_ct_under_a_transform_takes_its_result_along(logic: Any, pelvis: PelvisCase) -> None:
    ct, xray = add_ct(pelvis.patient.ct), add_xray(pelvis.pixels())
    ct.SetAndObserveTransformNodeID(add_transform(MOVED).GetID())
    logic.setGeometry(xray, CAMERA)
    result = logic.registerXRay(xray, ct, refine=False)
    assert np.allclose(result.carms[0].pose(), pelvis.unrefined.ras_to_camera(), rtol=0, atol=1e-6)
    camera_to_world = MOVED @ invert_pose(pelvis.unrefined.ras_to_camera())
    assert np.allclose(to_world(result.drrs[0]), camera_to_world)
    assert np.allclose(to_world(result.boneModels[0]), MOVED) and np.allclose(to_world(result.pointCloud), MOVED)
    ct.GetParentTransformNode().SetMatrixTransformToParent(None)
    assert np.allclose(to_world(result.drrs[0]), np.linalg.inv(MOVED) @ camera_to_world)


def test_two_views_of_a_rig_are_registered_as_one(logic: Any, pelvis: PelvisCase) -> None:
    ct, xrays = add_ct(pelvis.patient.ct), [add_xray(pelvis.pixels(view), f"X-ray {view}") for view in (0, 1)]
    for xray, pose in zip(xrays, pelvis.poses, strict=True):
        logic.setGeometry(xray, CAMERA, pose @ invert_pose(pelvis.poses[0]) @ MOVED)  # the rig is neither camera
    result = logic.registerXRay(xrays, ct)
    assert max(pelvis.mtre(carm.pose(), view) for view, carm in enumerate(result.carms)) < 0.3
    assert [node.GetName() for node in result.xrayNodes] == ["X-ray 0", "X-ray 1"]


def test_an_oblique_left_handed_ct_is_registered(scene: Any, patient: SmallPatient, description: ModelDescription) -> None:
    pytest.importorskip("torch")
    from oracle_network import OracleNetwork
    from XRayRegistrationSlicer.logic import XRayRegistrationLogic

    camera = Camera(1000.0, (1.3, 1.1), (210, 190), (101.0, 92.5))
    truth = np.asarray(CArmView(25, -10, 8, (5, -10), 720).ras_to_camera(CENTRE_RAS))
    view = patient.view(truth, camera, np.eye(4))
    model = Model(OracleNetwork(patient.projector, description, []), description)  # type: ignore[arg-type]
    model.network.expected.append((network_image(view.image, camera, model)[1], truth))  # type: ignore[arg-type]
    logic = XRayRegistrationLogic()
    logic._models.load = lambda path, device: model
    xray, ct, bones = add_xray(view.xray.pixels), add_ct(patient.ct), segmentation_of(patient)
    logic.setGeometry(xray, camera)
    result = logic.registerXRay(xray, ct, segmentationNode=bones)
    points = patient.surfaces["bone"].points
    assert pose_error(result.carms[0].pose(), truth, camera, points, CENTRE_RAS).mtre_mm < 0.3
    assert result.segmentationNode is bones


def segmentation_of(patient: SmallPatient) -> Any:
    from DRRSimulatorSlicer.nodes import writeSegmentation

    return writeSegmentation(patient.bones, add_ct(patient.ct, "other"))


def test_computing_in_another_thread_gives_the_same(logic: Any, pelvis: PelvisCase) -> None:
    ct, xray = add_ct(pelvis.patient.ct), add_xray(pelvis.pixels())
    logic.setGeometry(xray, CAMERA)
    compute, outcomes = logic.prepare(xray, ct, refine=False), []
    xray.GetImageData().GetPointData().GetScalars().Fill(0)  # another frame is shown meanwhile
    thread = threading.Thread(target=lambda: outcomes.append(compute(ignore_progress)))
    thread.start()
    thread.join()
    assert np.allclose(logic.show(outcomes[0]).carms[0].pose(), pelvis.unrefined.ras_to_camera(), rtol=0, atol=1e-6)


def test_progress_rises_and_can_stop_the_registration(logic: Any, pelvis: PelvisCase) -> None:
    ct, xray = add_ct(pelvis.patient.ct), add_xray(pelvis.pixels())
    logic.setGeometry(xray, CAMERA)
    reports: list[tuple[float, str]] = []

    def report(fraction: float, text: str) -> None:
        reports.append((fraction, text))
        if len(reports) > 6:
            raise Cancelled

    with pytest.raises(Cancelled):
        logic.registerXRay(xray, ct, report=report)
    assert [fraction for fraction, _ in reports] == sorted(fraction for fraction, _ in reports)
    assert "Recognizing the bone in the X-ray" in dict(reports).values() and logic.result(xray) is None


def test_the_user_s_nodes_stay_as_they_are(logic: Any, pelvis: PelvisCase) -> None:
    import slicer

    ct, xray = add_ct(pelvis.patient.ct), add_xray(pelvis.pixels())
    logic.setGeometry(xray, CAMERA)
    before = [(node.GetMTime(), node.GetImageData().GetMTime(), slicer.util.arrayFromVolume(node).copy()) for node in (ct, xray)]
    logic.moveBone(logic.registerXRay(xray, ct, refine=False), (1, 0, 0, 0, 0, 5))
    for node, (time, image_time, voxels) in zip((ct, xray), before, strict=True):
        assert (node.GetMTime(), node.GetImageData().GetMTime()) == (time, image_time)
        assert np.array_equal(slicer.util.arrayFromVolume(node), voxels)


def test_only_the_last_model_is_kept_and_read_again_when_its_file_changes(scene: Any, tmp_path: Path) -> None:
    from XRayRegistrationSlicer.registration import ModelCache

    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    for path in (first, second):
        shutil.copy(DEFAULT_MODEL, path)
    cache = ModelCache()
    model = cache.load(first, "cpu")
    assert cache.load(first, "cpu") is model
    assert cache.load(second, "cpu") is not model and cache.load(first, "cpu") is not model
    model = cache.load(first, "cpu")
    first.touch()
    assert cache.load(first, "cpu") is not model


def test_unusable_input_is_refused_in_a_sentence(logic: Any, pelvis: PelvisCase, patient: SmallPatient, tmp_path: Path) -> None:
    ct, xray, other = add_ct(pelvis.patient.ct), add_xray(pelvis.pixels()), add_xray(pelvis.pixels(), "lateral")
    with pytest.raises(InputError, match="geometry of AP is not known"):
        logic.registerXRay(xray, ct)
    with pytest.raises(InputError, match="160 x 160 pixels"):
        logic.setGeometry(xray, Camera.centred(1000, 1, (64, 64)))
    logic.setGeometry(xray, CAMERA)
    logic.setGeometry(other, CAMERA)
    refused = {
        "no X-ray": ([], ct),
        "chosen twice": ([xray, xray], ct),
        "Where the camera of AP stands": ([xray, other], ct),
        "slices": (ct, ct),
    }
    for reason, (xrays, volume) in refused.items():
        with pytest.raises(InputError, match=reason):
            logic.registerXRay(xrays, volume)
    logic._patients = SharedPatient(Patient(patient.ct, patient.bones, patient.projector, CENTRE_RAS))
    with pytest.raises(InputError, match="trained on another CT"):
        logic.registerXRay(xray, ct)


def test_a_result_of_an_xray_that_was_removed_meanwhile_is_not_shown(logic: Any, pelvis: PelvisCase) -> None:
    import slicer

    ct, xray = add_ct(pelvis.patient.ct), add_xray(pelvis.pixels())
    logic.setGeometry(xray, CAMERA)
    outcome = logic.prepare(xray, ct, refine=False)(ignore_progress)
    slicer.mrmlScene.RemoveNode(xray)
    with pytest.raises(InputError, match="AP is no longer in the scene"):
        logic.show(outcome)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLModelNode") == 0


def test_the_documented_examples_do_what_they_say(logic: Any, pelvis: PelvisCase) -> None:
    from XRayRegistrationSlicer import adjustment
    from XRayRegistrationSlicer import logic as module

    ct, xray = add_ct(pelvis.patient.ct), add_xray(pelvis.pixels())
    names = {"ctNode": ct, "xrayNode": xray, "Camera": Camera, "XRayRegistrationLogic": lambda: logic, "logic": logic, "np": np}
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    for documented in (module.XRayRegistrationLogic, adjustment.Adjustment):
        for example in finder.find(documented, globs=names):
            runner.run(example)
        names["result"] = logic.registerXRay(xray, ct, refine=False)
    assert runner.tries > 8 and runner.failures == 0
