"""Domain randomisation: from line integrals to the images that the network learns on.

Everything works on torch batches on the device of the input, with a generator for repeatable draws. Images are in attenuation
polarity (bone bright); the steps follow the physics of the detector and then the processing that a displayed X-ray has gone through.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class RandomisationRanges:
    """Ranges of the random draws; (low, high) is uniform, "log" uniform in the logarithm, and a single number is a probability."""

    soft_contrast: tuple[float, float] = (0.3, 1.2)
    bone_contrast: tuple[float, float] = (0.8, 2.5)
    background_clutter: tuple[float, float] = (0.0, 0.5)
    photons_log: tuple[float, float] = (300.0, 30000.0)
    scatter: tuple[float, float] = (0.0, 0.4)
    sharpness: tuple[float, float] = (-0.5, 1.0)
    gamma_log: tuple[float, float] = (0.6, 1.7)
    tools: float = 0.3
    collimation: float = 0.4
    inversion: float = 0.1
    erasing: float = 0.3

    def at_strength(self, strength: float) -> RandomisationRanges:
        """These ranges drawn together towards the plain image: 1 leaves them as they are, 0 leaves nothing random."""

        def between(plain: float, bounds: tuple[float, float]) -> tuple[float, float]:
            return plain + strength * (bounds[0] - plain), plain + strength * (bounds[1] - plain)

        def between_log(plain: float, bounds: tuple[float, float]) -> tuple[float, float]:
            return plain * (bounds[0] / plain) ** strength, plain * (bounds[1] / plain) ** strength

        return RandomisationRanges(
            soft_contrast=between(1.0, self.soft_contrast),
            bone_contrast=between(1.0, self.bone_contrast),
            background_clutter=between(0.0, self.background_clutter),
            photons_log=between_log(self.photons_log[1], self.photons_log),
            scatter=between(0.0, self.scatter),
            sharpness=between(0.0, self.sharpness),
            gamma_log=between_log(1.0, self.gamma_log),
            tools=strength * self.tools,
            collimation=strength * self.collimation,
            inversion=strength * self.inversion,
            erasing=strength * self.erasing,
        )


class Randomiser:
    """Turns line integrals into normalised training images, each with its own random acquisition and processing."""

    def __init__(self, generator: torch.Generator, ranges: RandomisationRanges | None = None) -> None:
        self.generator = generator
        self.ranges = ranges or RandomisationRanges()

    def __call__(self, integrals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Simulate the X-rays of line integrals.

        Args:
            integrals: (B, 2, H, W) soft tissue and bone, dimensionless.

        Returns:
            images (B, 1, H, W) as `normalise` gives them, and the exposed field (B, 1, H, W), bool.
        """
        attenuation = self._attenuation(integrals)
        attenuation = self._detect(attenuation)
        field = self._collimate(attenuation)
        images = normalise(attenuation, field)
        return self._process(images, field), field

    def _uniform(self, like: torch.Tensor, bounds: tuple[float, float]) -> torch.Tensor:
        """One draw per image, (B, 1, 1, 1)."""
        draws = torch.rand(like.shape[0], 1, 1, 1, generator=self.generator, device=like.device)
        return bounds[0] + (bounds[1] - bounds[0]) * draws

    def _log_uniform(self, like: torch.Tensor, bounds: tuple[float, float]) -> torch.Tensor:
        return self._uniform(like, (math.log(bounds[0]), math.log(bounds[1]))).exp()

    def _happens(self, like: torch.Tensor, probability: float) -> torch.Tensor:
        return self._uniform(like, (0.0, 1.0)) < probability

    def _normal(self, like: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        return torch.randn(like.shape[0], 1, *size, generator=self.generator, device=like.device)

    def _attenuation(self, integrals: torch.Tensor) -> torch.Tensor:
        """Line integrals with random contrast of bone and soft tissue, a smooth background and tools."""
        soft, bone = integrals[:, :1], integrals[:, 1:]
        attenuation = soft * self._uniform(soft, self.ranges.soft_contrast) + bone * self._uniform(bone, self.ranges.bone_contrast)
        # A coarse random field stands for soft tissue, clothes and tables that the CT does not hold.
        clutter = self._normal(soft, (5, 5)) * self._uniform(soft, self.ranges.background_clutter)
        rows, columns = (_bicubic(5, size, soft.device) for size in soft.shape[-2:])
        attenuation = attenuation + rows @ clutter @ columns.T
        rods = self._box(soft, (0.01, 0.06), (0.2, 1.2)) & self._happens(soft, self.ranges.tools)
        return attenuation + rods * self._uniform(soft, (0.5, 4.0))

    def _box(self, like: torch.Tensor, half_width: tuple[float, float], half_length: tuple[float, float]) -> torch.Tensor:
        """A rotated box per image at a random place, (B, 1, H, W) bool; sizes are relative to the image's half width."""
        rows, columns = like.shape[-2:]
        y = torch.linspace(-1, 1, rows, device=like.device)[:, None]
        x = torch.linspace(-1, 1, columns, device=like.device)[None, :]
        dx, dy = x - self._uniform(like, (-1.0, 1.0)), y - self._uniform(like, (-1.0, 1.0))
        angle = self._uniform(like, (0.0, torch.pi))
        along, across = dx * angle.cos() + dy * angle.sin(), dy * angle.cos() - dx * angle.sin()
        return (across.abs() < self._uniform(like, half_width)) & (along.abs() < self._uniform(like, half_length))

    def _detect(self, attenuation: torch.Tensor) -> torch.Tensor:
        """Exponential attenuation, scatter, detector blur and quantum noise; back to -log."""
        intensity = torch.exp(-attenuation)
        mean = intensity.mean(dim=(-2, -1), keepdim=True)
        # Scatter varies so slowly over the detector that its mean stands for it.
        intensity = intensity + mean * self._uniform(intensity, self.ranges.scatter)
        photons = self._log_uniform(intensity, self.ranges.photons_log)
        # Poisson noise of `photons` quanta in a pixel of mean intensity, as a normal distribution of the same variance.
        noise = self._normal(intensity, (intensity.shape[-2], intensity.shape[-1])) * torch.sqrt(intensity * mean / photons)
        intensity = intensity + noise
        # Between unsharp masking (negative) and blur (positive).
        intensity = torch.lerp(intensity, _blurred(intensity), self._uniform(intensity, self.ranges.sharpness))
        return -torch.log(torch.maximum(intensity, 1e-3 * mean))

    def _collimate(self, attenuation: torch.Tensor) -> torch.Tensor:
        """The exposed field: everything, or a round or rectangular part."""
        rows, columns = attenuation.shape[-2:]
        y = torch.linspace(-1, 1, rows, device=attenuation.device)[:, None]
        x = torch.linspace(-1, 1, columns, device=attenuation.device)[None, :]
        dx, dy = x - self._uniform(attenuation, (-0.1, 0.1)), y - self._uniform(attenuation, (-0.1, 0.1))
        round_field = dx.square() + dy.square() < self._uniform(attenuation, (0.8, 1.1)).square()
        width, height = self._uniform(attenuation, (0.6, 1.1)), self._uniform(attenuation, (0.6, 1.1))
        rectangle = (dx.abs() < width) & (dy.abs() < height)
        collimated = torch.where(self._happens(attenuation, 0.5), round_field, rectangle)
        return collimated | ~self._happens(attenuation, self.ranges.collimation)

    def _process(self, images: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
        """Gamma, inversion and erased rectangles."""
        images = images.sign() * images.abs() ** self._log_uniform(images, self.ranges.gamma_log)
        images = torch.where(self._happens(images, self.ranges.inversion), 1 - images, images)
        erased = self._box(images, (0.05, 0.25), (0.05, 0.25)) & self._happens(images, self.ranges.erasing)
        images = torch.where(erased, self._uniform(images, (-0.2, 1.2)), images)
        return images * field


def normalise(attenuation: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Scale images (B, 1, H, W) so that the 2nd and 98th percentile inside the field are 0 and 1; 0 outside.

    The twin of `XRayRegistrationLib.xray.normalised`, on every fourth pixel of every fourth row, which is enough for percentiles.
    """
    sample = torch.where(field, attenuation, torch.inf)[..., ::4, ::4].flatten(1).sort(dim=1).values  # what is outside comes last
    last = field[..., ::4, ::4].flatten(1).sum(dim=1, keepdim=True) - 1
    low, high = (sample.gather(1, (share * last).round().long().clamp_min(0))[..., None, None] for share in (0.02, 0.98))
    return ((attenuation - low) / (high - low).clamp_min(1e-6)).clamp(-0.5, 1.5) * field


def _bicubic(coarse: int, fine: int, device: torch.device) -> torch.Tensor:
    """Matrix (fine, coarse) that interpolates values at both ends and evenly between; far cheaper than interpolating images."""
    basis = torch.eye(coarse, device=device)[:, None, :, None]
    return functional.interpolate(basis, (fine, 1), mode="bicubic", align_corners=True)[:, 0, :, 0].T


def _blurred(images: torch.Tensor) -> torch.Tensor:
    """Mean over 3 x 3 pixels, one axis after the other."""
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9
