"""Random numbers and shapes for a batch of images, one draw for each image, all on the batch's device."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

Bounds = tuple[float, float]


class Draws:
    """Draws for batches of B images of H x W pixels; every shape is relative to the image's half width, with 0 in its middle."""

    def __init__(self, generator: torch.Generator, count: int, size: tuple[int, int]) -> None:
        self.generator, self.count, self.size = generator, count, size
        self.device = generator.device

    def uniform(self, bounds: Bounds, each: int = 1) -> torch.Tensor:
        """Uniform numbers between bounds, (B, each, 1, 1)."""
        numbers = torch.rand(self.count, each, 1, 1, generator=self.generator, device=self.device)
        return bounds[0] + (bounds[1] - bounds[0]) * numbers

    def log_uniform(self, bounds: Bounds, each: int = 1) -> torch.Tensor:
        """Numbers between bounds whose logarithm is uniform, (B, each, 1, 1)."""
        return self.uniform((math.log(bounds[0]), math.log(bounds[1])), each).exp()

    def happens(self, probability: float, each: int = 1) -> torch.Tensor:
        """Whether something happens, (B, each, 1, 1), bool."""
        return self.uniform((0.0, 1.0), each) < probability

    def normal(self, size: tuple[int, int]) -> torch.Tensor:
        """Normally distributed images (B, 1, *size)."""
        return torch.randn(self.count, 1, *size, generator=self.generator, device=self.device)

    def smooth(self, points: int = 5) -> torch.Tensor:
        """Smooth random images (B, 1, H, W) through normal numbers at points x points places."""
        return enlarged(self.normal((points, points)), self.size)

    def grid(self, step: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
        """Places of every step-th pixel: x (1, W / step) and y (H / step, 1), -1 to 1."""
        rows, columns = (size // step for size in self.size)
        return torch.linspace(-1, 1, columns, device=self.device)[None, :], torch.linspace(-1, 1, rows, device=self.device)[:, None]

    def frames(self, each: int = 1, step: int = 1, spread: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
        """Coordinates (B, each, H / step, W / step) along and across an axis of random direction through a random place."""
        x, y = self.grid(step)
        dx, dy = x - self.uniform((-spread, spread), each), y - self.uniform((-spread, spread), each)
        angle = self.uniform((0.0, math.pi), each)
        return dx * angle.cos() + dy * angle.sin(), dy * angle.cos() - dx * angle.sin()

    def boxes(self, half_width: Bounds, half_length: Bounds) -> torch.Tensor:
        """A rotated box per image at a random place, (B, 1, H, W), bool."""
        along, across = self.frames()
        return (across.abs() < self.uniform(half_width)) & (along.abs() < self.uniform(half_length))


def enlarged(coarse: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Images (B, C, h, w) interpolated to another size, with the first and last pixels at the edges; bicubic.

    Two products of matrices, which is far cheaper than interpolating images.
    """
    rows, columns = (_bicubic(coarse.shape[axis], size[axis], coarse.device) for axis in (-2, -1))
    return rows @ coarse @ columns.T


def shrunk(images: torch.Tensor, factor: int) -> torch.Tensor:
    """Images (B, C, H, W) averaged over factor x factor pixels."""
    return functional.avg_pool2d(images, factor)


def blurred(images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Images (B, 1, H, W) blurred by a Gaussian with a standard deviation of its own for each, (B, 1, 1, 1) pixels.

    The weights of what lies beyond an edge go to the pixels inside. Cheap for small images only: a product of matrices each way.
    """

    def weights(size: int) -> torch.Tensor:
        place = torch.arange(size, device=images.device)
        weight = torch.exp(-((place[:, None] - place[None, :]) ** 2) / (2 * sigma.square()))
        return weight / weight.sum(dim=-1, keepdim=True)

    return weights(images.shape[-2]) @ images @ weights(images.shape[-1]).transpose(-1, -2)


def _bicubic(coarse: int, fine: int, device: torch.device) -> torch.Tensor:
    """Matrix (fine, coarse) that interpolates values at both ends and evenly between."""
    basis = torch.eye(coarse, device=device)[:, None, :, None]
    return functional.interpolate(basis, (fine, 1), mode="bicubic", align_corners=True)[:, 0, :, 0].T
