"""Training views, rendered on the fly on the training device and used several times before they are dropped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from DRRSimulatorLib.camera import Camera, FloatArray, ViewRange, sample_poses
from DRRSimulatorLib.projector import Projector


@dataclass(frozen=True)
class RenderedViews:
    """A batch of views: line integrals (B, 2, H, W), and scene coordinates (B, 6 * L, h, w) in RAS mm, NaN off bone."""

    integrals: torch.Tensor
    coordinates: torch.Tensor


def render(projector: Projector, camera: Camera, output_stride: int, poses: FloatArray) -> RenderedViews:
    """Render poses (B, 4, 4): line integrals at the camera's pixels, scene coordinates at the network's output pixels."""
    import warp as wp

    rows, columns = camera.image_size
    output_camera = camera.resized((rows // output_stride, columns // output_stride))
    integrals = wp.to_torch(projector.line_integrals(camera, poses))
    return RenderedViews(integrals, wp.to_torch(projector.scene_coordinates(output_camera, poses)))


class ViewPool:
    """Keeps the newest rendered views; every step renders a few new ones and draws a batch from all.

    What step n sees depends on the seed and n alone, so that a resumed training goes on exactly.
    """

    def __init__(
        self,
        projector: Projector,
        camera: Camera,
        output_stride: int,
        bone_points: FloatArray,
        view_range: ViewRange,
        seed: int,
        batch_size: int,
        new_views_per_step: int,
        capacity: int,
    ) -> None:
        self.projector, self.camera, self.output_stride = projector, camera, output_stride
        self.bone_points, self.view_range, self.seed = bone_points, view_range, seed
        self.batch_size, self.new_views_per_step = batch_size, new_views_per_step
        self.rounds = capacity // new_views_per_step
        self.rounds_before_first_step = -(-batch_size // new_views_per_step)
        self.pool: RenderedViews | None = None
        self.next_round = 0

    def batch(self, step: int) -> RenderedViews:
        """The batch of a step, counted from 0; steps are asked for in order, starting anywhere."""
        rounds_by_now = step + self.rounds_before_first_step
        if self.pool is None:
            self.next_round = max(0, rounds_by_now - self.rounds)
        while self.next_round < rounds_by_now:
            self._render_round(self.next_round)
            self.next_round += 1
        assert self.pool is not None
        available = min(self.next_round, self.rounds) * self.new_views_per_step
        rng = np.random.default_rng([self.seed, 1, step])
        chosen = torch.from_numpy(rng.integers(0, available, self.batch_size)).to(self.pool.integrals.device)
        return RenderedViews(self.pool.integrals[chosen], self.pool.coordinates[chosen])

    def _render_round(self, index: int) -> None:
        rng = np.random.default_rng([self.seed, 0, index])
        poses = sample_poses(self.new_views_per_step, self.camera, self.bone_points, self.view_range, rng)
        views = render(self.projector, self.camera, self.output_stride, poses)
        if self.pool is None:
            size = self.rounds * self.new_views_per_step
            self.pool = RenderedViews(
                views.integrals.new_empty((size, *views.integrals.shape[1:])),
                views.coordinates.new_empty((size, *views.coordinates.shape[1:])),
            )
        start = index % self.rounds * self.new_views_per_step
        self.pool.integrals[start : start + self.new_views_per_step] = views.integrals
        self.pool.coordinates[start : start + self.new_views_per_step] = views.coordinates
