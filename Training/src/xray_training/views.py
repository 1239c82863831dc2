"""Training views: rendered on the training device, or read, in large rounds, and used several times before they are dropped."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from DRRSimulatorLib.camera import Camera, FloatArray
from DRRSimulatorLib.projector import Projector

# A round is rendered at once, for so many steps. Large rounds keep the device busy, and the host's part in them (drawing poses and
# uploading them) does not count; too large ones make the first step wait.
STEPS_PER_ROUND = 16


@dataclass(frozen=True)
class RenderedViews:
    """A batch of views, on one device.

    Attributes:
        integrals: line integrals (B, 2, H, W), dimensionless.
        coordinates: scene coordinates (B, 6 * L, h, w), RAS mm, NaN off bone.
        ras_to_camera: poses (B, 4, 4), float32, mm.
    """

    integrals: torch.Tensor
    coordinates: torch.Tensor
    ras_to_camera: torch.Tensor


def render(projector: Projector, camera: Camera, output_stride: int, poses: FloatArray) -> RenderedViews:
    """Render poses (B, 4, 4): line integrals at the camera's pixels, scene coordinates at the network's output pixels."""
    import warp as wp

    rows, columns = camera.image_size
    output_camera = camera.resized((rows // output_stride, columns // output_stride))
    # On CUDA, Warp has to work on PyTorch's stream: work on one stream is done in order, so nobody has to wait for it.
    stream = wp.ScopedStream(wp.stream_from_torch(projector.device)) if projector.device.startswith("cuda") else nullcontext()
    with stream:
        integrals = wp.to_torch(projector.line_integrals(camera, poses))
        coordinates = wp.to_torch(projector.scene_coordinates(output_camera, poses))
    return RenderedViews(integrals, coordinates, torch.tensor(poses, dtype=torch.float32, device=integrals.device))


Views = TypeVar("Views")  # a dataclass of tensors whose first axis is the view


class ViewPool(Generic[Views]):
    """Keeps the newest views; a few new ones come with every step, and a batch is drawn from all.

    What step n sees depends on the seed and n alone, so that a resumed training goes on exactly.
    """

    def __init__(
        self,
        new_views: Callable[[int, np.random.Generator], Views],
        seed: tuple[int, int],
        batch_size: int,
        new_views_per_step: int,
        capacity: int,
    ) -> None:
        """Start with no views.

        Args:
            new_views: makes so many views, drawn by a generator; called once a round.
            seed: of the training, and the number of the part of its batches that the views are for.
            batch_size: views a batch.
            new_views_per_step: views made a step.
            capacity: how many views are kept.
        """
        self.new_views, self.seed, self.batch_size = new_views, seed, batch_size
        self.round_size = STEPS_PER_ROUND * new_views_per_step
        self.rounds = max(1, capacity // self.round_size)
        self.pool: Views | None = None
        self.next_round = 0

    def batch(self, step: int, generator: torch.Generator) -> Views:
        """The batch of a step, counted from 0; steps are asked for in order, starting anywhere, and some may be left out.

        Args:
            step: number of the step.
            generator: on the views' device; it draws the batch from the pool.
        """
        rounds_by_now = step // STEPS_PER_ROUND + 1
        if self.pool is None:
            self.next_round = max(0, rounds_by_now - self.rounds)
        while self.next_round < rounds_by_now:
            self._add_round(self.next_round)
            self.next_round += 1
        assert self.pool is not None
        available = min(self.next_round, self.rounds) * self.round_size
        chosen = torch.randint(available, (self.batch_size,), generator=generator, device=generator.device)
        return type(self.pool)(*(part[chosen] for part in _parts(self.pool)))

    def _add_round(self, index: int) -> None:
        views = self.new_views(self.round_size, np.random.default_rng([self.seed[0], 0, self.seed[1], index]))
        if self.pool is None:
            size = self.rounds * self.round_size
            self.pool = type(views)(*(part.new_empty((size, *part.shape[1:])) for part in _parts(views)))
        start = index % self.rounds * self.round_size
        for kept, new in zip(_parts(self.pool), _parts(views), strict=True):
            kept[start : start + self.round_size] = new


def _parts(views: Any) -> list[torch.Tensor]:
    """The tensors of a dataclass of views."""
    return [getattr(views, part.name) for part in fields(views)]
