"""The pool of training views: what a step sees must not depend on when the training was started."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, ViewRange, sample_poses, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.projector import Projector
from DRRSimulatorLib.surface import bone_surface
from xray_training.views import STEPS_PER_ROUND, RenderedViews, ViewPool, render

CAMERA = Camera.centred(1020.0, 9.0, (32, 32))
STRIDE = 4
NEW_VIEWS = 2
ROUND = STEPS_PER_ROUND * NEW_VIEWS
NewPool = Callable[..., ViewPool[RenderedViews]]


@pytest.fixture(scope="module")
def projector(phantom_ct: CTVolume, phantom_bones: BoneLabels) -> Projector:
    return Projector.from_ct(phantom_ct, phantom_bones)


@pytest.fixture
def new_pool(projector: Projector, phantom_bones: BoneLabels) -> NewPool:
    points = bone_surface(phantom_bones).sample(500, np.random.default_rng(0))

    def rendered(count: int, rng: np.random.Generator) -> RenderedViews:
        return render(projector, CAMERA, STRIDE, sample_poses(count, CAMERA, points, ViewRange(), rng))

    def make(seed: int = 0) -> ViewPool[RenderedViews]:
        sizes = {"batch_size": 6, "new_views_per_step": NEW_VIEWS, "capacity": 3 * ROUND}
        return ViewPool(rendered, (seed, 0), **sizes)

    return make


def batch(pool: ViewPool[RenderedViews], step: int) -> RenderedViews:
    return pool.batch(step, torch.Generator().manual_seed(step))


# At the end of the first round and the beginning of the second; before and after the pool of 3 rounds is full.
@pytest.mark.parametrize("start", [1, STEPS_PER_ROUND - 1, STEPS_PER_ROUND, 3 * STEPS_PER_ROUND - 2, 5 * STEPS_PER_ROUND])
def test_a_pool_started_later_gives_the_batches_of_one_that_ran_from_the_beginning(new_pool: NewPool, start: int) -> None:
    running, resumed = new_pool(), new_pool()
    expected = [batch(running, step) for step in range(start + 3)][start:]
    for step, views in enumerate(expected, start):
        again = batch(resumed, step)
        torch.testing.assert_close(again.integrals, views.integrals, rtol=0, atol=0)
        torch.testing.assert_close(again.coordinates, views.coordinates, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(again.ras_to_camera, views.ras_to_camera, rtol=0, atol=0)


def test_another_seed_shows_other_views(new_pool: NewPool) -> None:
    assert not torch.equal(batch(new_pool(seed=0), 0).integrals, batch(new_pool(seed=1), 0).integrals)


def test_views_are_replaced_by_new_ones_as_the_training_goes_on(new_pool: NewPool) -> None:
    pool = new_pool()
    batch(pool, 0)
    before = pool.pool.integrals[:ROUND].clone()
    for step in range(1, 3 * STEPS_PER_ROUND + 1):
        batch(pool, step)
    assert all(not torch.equal(old, new) for old, new in zip(before, pool.pool.integrals[:ROUND], strict=True))


def test_a_batch_is_drawn_from_the_views_that_are_there(new_pool: NewPool) -> None:
    pool = new_pool()
    for step in (0, STEPS_PER_ROUND, 3 * STEPS_PER_ROUND):
        poses = batch(pool, step).ras_to_camera
        there = pool.pool.ras_to_camera[: min(3, step // STEPS_PER_ROUND + 1) * ROUND]
        assert all((pose == there).flatten(1).all(dim=1).any() for pose in poses)


def test_scene_coordinates_lie_on_the_rays_of_their_pixels_where_the_image_shows_bone(
    projector: Projector, phantom_bones: BoneLabels
) -> None:
    points = bone_surface(phantom_bones).sample(500, np.random.default_rng(0))
    poses = sample_poses(3, CAMERA, points, ViewRange(), np.random.default_rng(1))
    views = render(projector, CAMERA, STRIDE, poses)
    output_camera = CAMERA.resized((8, 8))
    np.testing.assert_allclose(views.ras_to_camera.numpy(), poses, rtol=1e-6)
    for pose, integrals, coordinates in zip(poses, views.integrals.numpy(), views.coordinates.numpy(), strict=True):
        rows, columns = np.nonzero(np.isfinite(coordinates[0]))
        assert 0 < len(rows) < 64
        entry, exit_ = (transform_points(pose, coordinates[part, rows, columns].T) for part in (slice(0, 3), slice(3, 6)))
        for seen in (entry, exit_):
            np.testing.assert_allclose(output_camera.project(seen), np.stack([columns, rows], axis=1), atol=1e-3)
        assert (entry[:, 2] <= exit_[:, 2]).all()
        bone = integrals[1].reshape(8, STRIDE, 8, STRIDE).mean(axis=(1, 3))
        assert (bone[rows, columns] > 0).all()
