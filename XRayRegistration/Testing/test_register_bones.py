"""Registration of bones each by itself: a bone that has moved between CT and X-ray is found there, and so is what its files tell."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, FloatArray, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.surface import bone_surface
from oracle_network import STRIDE
from torch import nn
from two_bones import CENTRE, MIDDLES, MOTION, POSE, two_bones, views_of_the_moved_bones
from XRayRegistrationLib.correspondences import network_image
from XRayRegistrationLib.model import Model, ModelDescription
from XRayRegistrationLib.network import SceneMaps
from XRayRegistrationLib.refine import Refiner
from XRayRegistrationLib.register import Registration
from XRayRegistrationLib.register_bones import bones_in_place, motion_from, register_bones, together
from XRayRegistrationLib.result_files import write_results
from XRayRegistrationLib.view import View

NOISE_MM = 3.0
TRUE = {"proximal": POSE, "distal": POSE @ MOTION}


class BonesOracle(nn.Module):
    """Says where each bone truly is, plus noise; of some bones nothing."""

    size_multiple = 16

    def __init__(self, refiner: Refiner, description: ModelDescription, cameras: list[tuple[Camera, FloatArray]], unseen: set[str]) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))
        self.refiner, self.description, self.cameras, self.unseen = refiner, description, cameras, unseen
        self.rng = np.random.default_rng(0)

    def scene_maps(self, images: torch.Tensor) -> SceneMaps:
        camera, to_camera = self.cameras.pop(0)
        size = (images.shape[2] // STRIDE, images.shape[3] // STRIDE)
        masks, coordinates = [], []
        for body, (name, pose) in zip(self.refiner.bodies, TRUE.items(), strict=True):
            hits = body.projector.scene_coordinates(camera.resized(size), (to_camera @ pose)[None]).numpy()[0]
            hits = hits + self.rng.normal(0, NOISE_MM, hits.shape)
            masks.append(np.isfinite(hits[0]) & (name not in self.unseen))
            points = hits.reshape(2, 3, *size) - np.asarray(self.description.centre_ras)[:, None, None]
            coordinates.append(np.nan_to_num(points / self.description.scale_mm))
        logits = torch.from_numpy(np.stack(masks).astype(np.float32) * 20 - 10)[None]
        scale = float(np.log(NOISE_MM / 2 / self.description.scale_mm))
        return SceneMaps(logits, torch.from_numpy(np.stack(coordinates)).float()[None], torch.full((1, 2, 2, *size), scale))


@pytest.fixture(scope="module")
def ct_and_bones() -> tuple[CTVolume, BoneLabels]:
    return two_bones(np.eye(4))


@pytest.fixture(scope="module")
def refiner(ct_and_bones: tuple[CTVolume, BoneLabels]) -> Refiner:
    return Refiner.of_bones(*ct_and_bones)


@pytest.fixture(scope="module")
def views() -> list[View]:
    return views_of_the_moved_bones()


@pytest.fixture(scope="module")
def description(ct_and_bones: tuple[CTVolume, BoneLabels]) -> ModelDescription:
    x, y, z = CENTRE.tolist()
    ct, bones = ct_and_bones
    return ModelDescription(ct.fingerprint, dict(bones.names), (x, y, z), 60.0, Camera.centred(1000.0, 1.875, (128, 128)), (8, 16, 32))


def model_of(refiner: Refiner, description: ModelDescription, views: list[View], unseen: set[str]) -> Model:
    model = Model(BonesOracle(refiner, description, [], unseen), description)  # type: ignore[arg-type]
    cameras = [(network_image(view.image, view.camera, model)[1], view.rig_to_camera) for view in views]
    return Model(BonesOracle(refiner, description, cameras, unseen), description)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found(
    ct_and_bones: tuple[CTVolume, BoneLabels], refiner: Refiner, description: ModelDescription, views: list[View]
) -> dict[str, Registration]:
    return register_bones(views, *ct_and_bones, model_of(refiner, description, views, set()), refiner)


def distance(name: str, pose: FloatArray) -> float:
    """Mean distance of points of a bone from where they truly are, mm."""
    points = CENTRE + MIDDLES[name] + 20 * np.concatenate([np.eye(3), -np.eye(3)])
    return float(np.linalg.norm(transform_points(pose, points) - transform_points(TRUE[name], points), axis=1).mean())


def test_each_bone_is_found_where_it_is(found: dict[str, Registration]) -> None:
    assert list(found) == ["proximal", "distal"]
    for name, registration in found.items():
        assert distance(name, registration.start) < 5
        assert distance(name, registration.ras_to_rig) < 0.5
    np.testing.assert_allclose(motion_from(*found.values())[:3, :3], MOTION[:3, :3], atol=0.01)


def test_one_xray_tells_all_but_the_distances(
    ct_and_bones: tuple[CTVolume, BoneLabels], refiner: Refiner, description: ModelDescription, views: list[View]
) -> None:
    single = register_bones(views[:1], *ct_and_bones, model_of(refiner, description, views[:1], set()), refiner)
    for name, registration in single.items():
        middle = CENTRE + np.array([MIDDLES[name]])
        apart = transform_points(registration.ras_to_rig, middle) - transform_points(TRUE[name], middle)
        assert np.linalg.norm(apart[0, :2]) < 1 and abs(apart[0, 2]) < 20  # a bone of six centimetres hardly tells its distance


def test_a_bone_that_is_not_recognised_starts_where_the_others_put_it(
    ct_and_bones: tuple[CTVolume, BoneLabels], refiner: Refiner, description: ModelDescription, views: list[View]
) -> None:
    partly = register_bones(views, *ct_and_bones, model_of(refiner, description, views, {"distal"}), refiner)
    assert partly["distal"].estimate is None
    assert distance("distal", partly["distal"].start) > 4  # it has moved
    assert max(distance(name, registration.ras_to_rig) for name, registration in partly.items()) < 1


def test_a_single_bone_is_refused(ct_and_bones: tuple[CTVolume, BoneLabels], refiner: Refiner, description: ModelDescription) -> None:
    ct, bones = ct_and_bones
    one = BoneLabels((bones.labels > 0).astype(np.uint8), bones.ijk_to_ras, {1: "bone"})
    model = Model(BonesOracle(refiner, description, [], set()), replace(description, labels={1: "bone"}))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="only one"):
        register_bones([], ct, one, model, refiner)


@pytest.fixture(scope="module")
def result(
    tmp_path_factory: pytest.TempPathFactory,
    found: dict[str, Registration],
    refiner: Refiner,
    description: ModelDescription,
    ct_and_bones: tuple[CTVolume, BoneLabels],
) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("bones")
    ct, bones = ct_and_bones
    surfaces = {name: bone_surface(bones, label) for label, name in bones.names.items()}
    shown, moved = bones_in_place(found, refiner, surfaces)
    write_results(folder, together(list(found.values())), ["a.png", "b.png"], description, ct, moved, shown, POSE, found)
    assert {path.name for path in folder.iterdir()} == {
        "result.json",
        "overlay_1.png",
        "overlay_2.png",
        "point_cloud.vtp",
        "scene.mrb",
    }
    numbers: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return numbers


def test_the_numbers_hold_one_pose_for_each_bone(result: dict[str, Any], found: dict[str, Registration]) -> None:
    np.testing.assert_array_equal(result["ras_to_rig"], found["proximal"].ras_to_rig)
    for name, registration in found.items():
        np.testing.assert_array_equal(result["bones"][name]["ras_to_rig"], registration.ras_to_rig)
    assert result["bones"]["proximal"]["errors"][0]["mtre_mm"] < 0.5
    # The reference is where the CT as a whole is, and the distal bone has moved away from there.
    points = CENTRE + MIDDLES["distal"]
    moved = np.linalg.norm(transform_points(MOTION, points[None])[0] - points)
    assert result["bones"]["distal"]["errors"][0]["mtre_mm"] == pytest.approx(moved, abs=2)


def test_pictures_show_each_bone_where_it_is(
    found: dict[str, Registration], refiner: Refiner, ct_and_bones: tuple[CTVolume, BoneLabels]
) -> None:
    """The surface of the bone that has moved lies where rays meet it."""
    bones = ct_and_bones[1]
    surfaces = {name: bone_surface(bones, label) for label, name in bones.names.items()}
    shown, moved = bones_in_place(found, refiner, surfaces)
    camera, pose = Camera.centred(1000.0, 2.4, (100, 100)), found["proximal"].ras_to_rig
    outline = np.isfinite(shown.scene_coordinates(camera, pose[None]).numpy()[0, 6])  # entry points of the second bone
    placed = np.rint(camera.project(transform_points(pose, moved["distal"].points))).astype(int)
    shadow = np.zeros(outline.shape, dtype=bool)
    shadow[placed[:, 1], placed[:, 0]] = True
    assert outline[placed[:, 1], placed[:, 0]].mean() > 0.9
    assert (outline & shadow).sum() > 0.8 * outline.sum()
