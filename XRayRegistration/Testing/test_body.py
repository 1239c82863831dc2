"""Bones as bodies of their own: together they are the CT, and each is found where it has moved to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, invert_pose, move_pose, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.projector import Projector
from scipy.ndimage import gaussian_filter
from XRayRegistrationLib.body import Body, Placement, body_of_each_bone
from XRayRegistrationLib.body_end import beyond_ct
from XRayRegistrationLib.comparison import Comparison, ScaledView
from XRayRegistrationLib.refine import Refiner
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay

CAMERA = Camera.centred(1000.0, 1.2, (200, 200))
CENTRE = np.array([10.0, -20.0, 5.0])
MIDDLES = {"proximal": (0.0, 0.0, 32.0), "distal": (4.0, 2.0, -32.0)}  # of the bones, from the centre
POSE = np.asarray(CArmView(20, -5, 4, (4, 6), 650).ras_to_camera(CENTRE))


def lumpy(points: FloatArray, seed: int) -> npt.NDArray[np.bool_]:
    """Whether points (..., 3), from a bone's middle, lie in one of five random balls: a shape that no turn brings onto itself."""
    rng = np.random.default_rng(seed)
    inside = np.zeros(points.shape[:-1], dtype=bool)
    for _ in range(5):
        middle, radius = rng.uniform(-1, 1, 3) * (22, 22, 12), rng.uniform(8, 14)
        inside |= np.linalg.norm(points - middle, axis=-1) < radius
    return inside


def two_bones(distal_motion: FloatArray) -> tuple[CTVolume, BoneLabels]:
    """A CT of two bones in soft tissue, the second of them moved by a 4x4 transform in RAS: sampled anew, not resampled."""
    ijk_to_ras = np.diag([2.0, 2.0, 2.0, 1.0])
    ijk_to_ras[:3, 3] = CENTRE - 79.0
    k, j, i = np.indices((80, 80, 80))
    points = transform_points(ijk_to_ras, np.stack([i, j, k], axis=-1).reshape(-1, 3))
    labels = np.zeros(len(points), dtype=np.uint8)
    labels[lumpy(transform_points(invert_pose(distal_motion), points) - CENTRE - MIDDLES["distal"], 3)] = 2
    labels[lumpy(points - CENTRE - MIDDLES["proximal"], 2)] = 1
    in_limb = (np.linalg.norm((points - CENTRE)[:, :2], axis=1) < 60) & (np.abs((points - CENTRE)[:, 2]) < 68)
    hu = np.where(labels > 0, 900, np.where(in_limb, 40, -1000)).astype(np.float32)
    ct = CTVolume(hu.reshape(k.shape), ijk_to_ras)
    return ct, BoneLabels(labels.reshape(k.shape), ijk_to_ras, {1: "proximal", 2: "distal"})


MOTION = move_pose(np.eye(4), CENTRE + MIDDLES["distal"], (0.05, -0.08, 0.06, 3.0, -2.0, 2.0))


@pytest.fixture(scope="module")
def ct_and_bones() -> tuple[CTVolume, BoneLabels]:
    return two_bones(np.eye(4))


@pytest.fixture(scope="module")
def refiner(ct_and_bones: tuple[CTVolume, BoneLabels]) -> Refiner:
    return Refiner.of_bones(*ct_and_bones)


def views_of_the_moved_bones() -> list[View]:
    """Two X-rays of a CT in which the second bone has moved."""
    moved = Projector.from_ct(*two_bones(MOTION))
    side = move_pose(np.eye(4), transform_points(POSE, CENTRE[None])[0], (0.0, np.pi / 2, 0.0, 0.0, 0.0, 0.0))
    views = []
    for to_camera in (np.eye(4), side):
        integrals = moved.line_integrals(CAMERA, (to_camera @ POSE)[None]).numpy()[0].sum(axis=0)
        views.append(View(XRay.from_pixels(1000 * np.exp(-integrals), "intensity"), CAMERA, to_camera))
    return views


def test_the_bodies_at_one_pose_are_the_whole_ct(ct_and_bones: tuple[CTVolume, BoneLabels]) -> None:
    whole = Projector.from_ct(*ct_and_bones).line_integrals(CAMERA, POSE[None]).numpy()[0].sum(axis=0)
    parts = [body.projector.line_integrals(CAMERA, POSE[None]).numpy()[0].sum(axis=0) for body in body_of_each_bone(*ct_and_bones)]
    np.testing.assert_allclose(np.sum(parts, axis=0), whole, atol=2e-3 * whole.max())
    assert parts[1].max() > 0.1 * whole.max()


def test_a_bone_that_moves_leaves_soft_tissue_behind(ct_and_bones: tuple[CTVolume, BoneLabels]) -> None:
    """The DRR of the moved bodies is that of the CT of the moved bone."""
    first, second = body_of_each_bone(*ct_and_bones)
    expected = Projector.from_ct(*two_bones(MOTION)).line_integrals(CAMERA, POSE[None]).numpy()[0].sum(axis=0)
    poses = {first: POSE, second: POSE @ MOTION}
    drr = np.sum([body.projector.line_integrals(CAMERA, pose[None]).numpy()[0].sum(axis=0) for body, pose in poses.items()], axis=0)
    assert np.abs(drr - expected).mean() < 0.003 * expected.max()


def test_derivatives_are_those_of_finite_differences(ct_and_bones: tuple[CTVolume, BoneLabels]) -> None:
    """By the motion of either bone in a rig that is no camera's frame, and by the distance of the detector."""
    to_camera = move_pose(np.eye(4), transform_points(POSE, CENTRE[None])[0], (0.3, 0.5, 0.1, 5.0, -4.0, 8.0))
    ct, bones = ct_and_bones
    smooth = CTVolume(gaussian_filter(ct.hu, 1.5), ct.ijk_to_ras)  # the derivatives are those between voxels: at an edge they jump
    bodies = body_of_each_bone(smooth, bones)
    image = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    camera = CAMERA.resized((64, 64))
    view = ScaledView(camera, to_camera, image, np.ones_like(image), 0.1)
    placement = Placement(np.stack([POSE, POSE @ MOTION]), 1.02)
    comparison = Comparison(bodies, beyond_ct(ct), [view], placement)
    derivatives = comparison.derivatives(placement, distance=True)
    steps = np.array([*(2e-3, 2e-3, 2e-3, 0.2, 0.2, 0.5) * 2, 2e-3])
    assert derivatives.shape == (comparison.pixel_count, 13)
    changes = [np.eye(13)[number] * step for number, step in enumerate(steps)]
    pairs = [[comparison.differences(placement.moved(bodies, sign * change)) for sign in (1, -1)] for change in changes]
    expected = np.stack([(after - before) / (2 * step) for (after, before), step in zip(pairs, steps, strict=True)], axis=1)
    for vector in (slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 12), slice(12, 13)):
        assert np.linalg.norm((derivatives - expected)[:, vector]) < 0.1 * np.linalg.norm(expected[:, vector]), vector


def test_each_bone_is_found_where_it_has_moved_to(refiner: Refiner) -> None:
    """Both start at one pose, near that of the first."""
    start = move_pose(POSE, transform_points(POSE, CENTRE[None])[0], (0.02, 0.02, -0.02, 1.5, -1.5, 4.0))
    first, second = refiner.refine_bodies(views_of_the_moved_bones(), np.stack([start, start]))
    points = CENTRE + np.array(list(MIDDLES.values())) + 20 * np.concatenate([np.eye(3), -np.eye(3)])[:, None]
    for refined, true, own in ((first, POSE, points[:, 0]), (second, POSE @ MOTION, points[:, 1])):
        apart = transform_points(refined.ras_to_rig, own) - transform_points(true, own)
        assert np.linalg.norm(apart, axis=1).mean() < 0.5
    assert first.similarity == second.similarity > 0.95 > first.similarity_before


def test_bones_that_are_taken_for_one_body_fit_worse(refiner: Refiner, ct_and_bones: tuple[CTVolume, BoneLabels]) -> None:
    views = views_of_the_moved_bones()
    whole = Refiner(Projector.from_ct(*ct_and_bones), CENTRE, ct_and_bones[0]).refine(views, POSE)
    apart = refiner.refine_bodies(views, np.stack([POSE, POSE]))
    assert apart[0].similarity > whole.similarity + 0.02


def test_a_body_keeps_what_it_is_made_of(ct_and_bones: tuple[CTVolume, BoneLabels]) -> None:
    first, second = body_of_each_bone(*ct_and_bones)
    assert isinstance(first, Body) and first.projector.label_count == second.projector.label_count == 1
    for body, middle in zip((first, second), MIDDLES.values(), strict=True):
        assert np.linalg.norm(body.centre_ras - CENTRE - middle) < 15
