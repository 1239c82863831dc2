"""The pose loss foretells the error of the pose that the registration would find from the same predictions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, FloatArray, ViewRange, invert_pose, move_pose, sample_poses, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.projector import Projector
from DRRSimulatorLib.surface import bone_surface
from xray_training.loss import bone_in_field
from xray_training.pose_loss import PROPORTIONAL_BELOW_MM, PoseLoss
from xray_training.views import render
from XRayRegistrationLib.model import ModelDescription
from XRayRegistrationLib.network import SIGMA_PER_LAPLACE_SCALE, SceneMaps
from XRayRegistrationLib.pose import Correspondences, solve_pose

SIGMA_MM = 0.5  # so small that the fit is as good as linear


class Scene:
    """Views of the phantom, and predictions for them that a known motion makes wrong."""

    def __init__(self, ct: CTVolume, bones: BoneLabels) -> None:
        camera = Camera.centred(1020.0, 297 / 64, (64, 64))
        self.points = bone_surface(bones).sample(2000, np.random.default_rng(0)).astype(np.float64)
        centre = self.points.mean(axis=0)
        self.description = ModelDescription(ct.fingerprint, {1: "bone"}, tuple(centre.tolist()), 70.0, camera)
        self.camera = camera.resized((16, 16))
        self.poses = sample_poses(3, camera, self.points, ViewRange(), np.random.default_rng(1))
        views = render(Projector.from_ct(ct, bones), camera, 4, self.poses)
        targets = (views.coordinates.unflatten(1, (-1, 3)) - torch.tensor(centre).float().view(3, 1, 1)) / 70.0
        self.bone = bone_in_field(targets.flatten(1, 2), torch.ones(3, 1, 16, 16, dtype=torch.bool))
        self.targets = torch.nan_to_num(targets.flatten(1, 2))
        self.ras_to_camera = views.ras_to_camera
        self.loss = PoseLoss(self.description, self.points, "cpu")

    def maps(self, targets: torch.Tensor) -> SceneMaps:
        log_scale = math.log(SIGMA_MM / SIGMA_PER_LAPLACE_SCALE / 70.0)
        return SceneMaps(torch.zeros(3, 1, 16, 16), targets.view(3, 1, 2, 3, 16, 16), torch.full((3, 1, 2, 16, 16), log_scale))

    def moved(self, motion: FloatArray) -> tuple[SceneMaps, float]:
        """Predictions whose best pose is the true one after a motion (6,) about the bone's centre, and the mTRE (root mean square)."""
        centre = np.asarray(self.description.centre_ras)
        changes = [move_pose(pose, transform_points(pose, centre[None])[0], motion) for pose in self.poses]
        targets, errors = self.targets.view(3, 2, 3, -1).clone(), []
        for target, pose, moved in zip(targets, self.poses, changes, strict=True):
            to_predicted = invert_pose(moved) @ pose
            for part in target:
                part[:] = torch.from_numpy((transform_points(to_predicted, part.T.numpy() * 70.0 + centre) - centre).T / 70.0)
            difference = transform_points(moved, self.points) - transform_points(pose, self.points)
            errors.append(np.sqrt((difference**2).sum(axis=1).mean()))
        return self.maps(targets.view(3, 6, 16, 16)), float(np.mean(errors))

    def __call__(self, maps: SceneMaps) -> dict[str, torch.Tensor]:
        return self.loss(maps, self.targets, self.bone, self.ras_to_camera)


@pytest.fixture(scope="module")
def scene(phantom_ct: CTVolume, phantom_bones: BoneLabels) -> Scene:
    return Scene(phantom_ct, phantom_bones)


def test_perfect_predictions_imply_the_true_pose(scene: Scene) -> None:
    losses = scene(scene.maps(scene.targets))
    assert losses["pose_error_mm"].item() < 0.02 and losses["pose_loss"].item() < 0.01


@pytest.mark.parametrize("axis", range(6))
def test_predictions_that_are_moved_together_imply_that_motion(scene: Scene, axis: int) -> None:
    motion = np.zeros(6)
    motion[axis] = 0.01 if axis < 3 else 1.0  # rad, mm
    maps, expected = scene.moved(motion)
    losses = scene(maps)
    assert losses["pose_error_mm"].item() == pytest.approx(expected, rel=0.05)
    assert losses["pose_loss"].item() == pytest.approx(math.log1p(expected / PROPORTIONAL_BELOW_MM), rel=0.05)


def test_the_error_is_that_of_the_pose_that_the_registration_finds(scene: Scene) -> None:
    noise = torch.randn(scene.targets.shape, generator=torch.Generator().manual_seed(0)) * SIGMA_MM / 70.0
    maps = scene.maps(scene.targets + noise)
    errors = []
    for index, pose in enumerate(scene.poses):
        row, column = np.nonzero(scene.bone[index, 0].numpy())
        points = maps.coordinates[index, 0].numpy()[:, :, row, column].transpose(2, 0, 1).reshape(-1, 3).astype(np.float64)
        image = np.repeat(np.stack([column, row], axis=1), 2, axis=0).astype(np.float64)
        points_ras = points * 70.0 + np.asarray(scene.description.centre_ras)
        found = solve_pose([Correspondences(image, points_ras, np.full(len(points), SIGMA_MM), scene.camera)]).ras_to_rig
        difference = transform_points(invert_pose(pose) @ found, scene.points) - scene.points
        errors.append(np.sqrt((difference**2).sum(axis=1).mean()))
    assert scene(maps)["pose_error_mm"].item() == pytest.approx(np.mean(errors), rel=0.2)


def test_what_lies_off_bone_does_not_count_and_no_bone_at_all_has_finite_gradients(scene: Scene) -> None:
    maps, _ = scene.moved(np.array([0.01, 0, 0, 0, 0, 2.0]))
    off_bone = ~scene.bone[:, :, None, None].expand_as(maps.coordinates)
    spoilt = SceneMaps(maps.mask_logits, torch.where(off_bone, 7.0, maps.coordinates), maps.log_scale)
    torch.testing.assert_close(scene(spoilt)["pose_loss"], scene(maps)["pose_loss"])

    leaf = maps.coordinates.clone().requires_grad_()
    nothing = torch.zeros_like(scene.bone)
    loss = scene.loss(SceneMaps(maps.mask_logits, leaf, maps.log_scale), scene.targets, nothing, scene.ras_to_camera)["pose_loss"]
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-3) and leaf.grad is not None and torch.isfinite(leaf.grad).all()
