"""Bones as bodies of their own: together they are the CT, and each is found where it has moved to."""

from __future__ import annotations

import numpy as np
import pytest
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import move_pose, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.projector import Projector
from scipy.ndimage import gaussian_filter
from two_bones import CAMERA, CENTRE, MIDDLES, MOTION, POSE, two_bones, views_of_the_moved_bones
from XRayRegistrationLib.body import Body, Placement, body_of_each_bone
from XRayRegistrationLib.body_end import beyond_ct
from XRayRegistrationLib.comparison import Comparison, ScaledView
from XRayRegistrationLib.refine import Refiner


@pytest.fixture(scope="module")
def ct_and_bones() -> tuple[CTVolume, BoneLabels]:
    return two_bones(np.eye(4))


@pytest.fixture(scope="module")
def refiner(ct_and_bones: tuple[CTVolume, BoneLabels]) -> Refiner:
    return Refiner.of_bones(*ct_and_bones)


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
