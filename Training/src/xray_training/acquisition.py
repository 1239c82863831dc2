"""From line integrals to what a detector measures, for training: batches on the device, coarse where it does not show at 128 pixels.

The exact models are in `DRRSimulatorLib`; these are their fast relatives, drawn at random far beyond what one system would do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from DRRSimulatorLib.spectrum import Beam, read_beams
from torch.nn import functional

from .draws import Bounds, Draws, blurred, enlarged, shrunk

ENERGIES = 4  # that stand for a beam's spectrum: the attenuation of a pelvis, up to 8, is then right to 0.07
SCATTER_STEP = 8  # pixels; scatter varies slowly


class Beams:
    """The simulator's beams, each by a few energies, and the energy that line integrals are for alone."""

    def __init__(self, device: torch.device | str) -> None:
        one_energy = ([1.0] + [0.0] * (ENERGIES - 1), [1.0] * ENERGIES, [1.0] * ENERGIES)
        beams = [one_energy, *(_few_energies(beam) for beam in read_beams().values())]
        self.weights, self.soft, self.bone = (torch.tensor(part, device=device)[..., None, None] for part in zip(*beams, strict=True))

    def transmitted(self, draws: Draws, soft: torch.Tensor, bone: torch.Tensor, polyenergetic: float) -> torch.Tensor:
        """Share of the open field's signal (B, 1, H, W) that passes, each image with a beam of its own.

        Args:
            draws: of the beams.
            soft: line integrals of what attenuates as soft tissue does (B, 1, H, W).
            bone: line integrals of what attenuates as cortical bone does (B, 1, H, W).
            polyenergetic: probability of a beam of many energies.
        """
        beam = 1 + torch.randint(len(self.weights) - 1, (draws.count,), generator=draws.generator, device=draws.device)
        beam = beam * draws.happens(polyenergetic).flatten()
        passed = torch.zeros_like(soft)
        for energy in range(ENERGIES):
            weight, soft_ratio, bone_ratio = (part[beam, energy : energy + 1] for part in (self.weights, self.soft, self.bone))
            passed.addcmul_(weight, (-soft_ratio * soft).addcmul_(bone_ratio, bone, value=-1).exp_())
        return passed


def with_scatter(draws: Draws, primary: torch.Tensor, ratio: Bounds) -> torch.Tensor:
    """Intensity (B, 1, H, W) with scatter: the primary spread widely, in a random ratio to it."""
    coarse = shrunk(primary, SCATTER_STEP)
    spread = blurred(coarse, draws.uniform((1.5, 6.0)))
    return primary + draws.uniform(ratio) * enlarged(spread, draws.size).clamp_min(0)


def vignetted(draws: Draws, intensity: torch.Tensor, loss: Bounds) -> torch.Tensor:
    """Intensity (B, 1, H, W) that falls off to the corners by a random share."""
    x, y = draws.grid()
    return intensity * (1 - draws.uniform(loss) * (x.square() + y.square()) / 2)


def with_noise(draws: Draws, intensity: torch.Tensor, photons: Bounds, electronics: Bounds) -> torch.Tensor:
    """Intensity (B, 1, H, W) with the noise of so many quanta in a pixel of mean intensity, and of the electronics (share of the mean)."""
    mean = intensity.mean(dim=(-2, -1), keepdim=True)
    # A normal distribution of the same variance as Poisson's.
    variance = intensity * mean / draws.log_uniform(photons) + (mean * draws.uniform(electronics)).square()
    return intensity + draws.normal(draws.size) * variance.clamp_min(0).sqrt()


def sharpened(draws: Draws, images: torch.Tensor, sharpness: Bounds, local_contrast: Bounds) -> torch.Tensor:
    """Images (B, 1, H, W) between unsharp masking (negative) and blur (positive), with a share of their coarse structure taken out.

    The latter is what the multi-scale processing of X-ray systems does (P. Vuylsteke and E. Schoeters, Proc SPIE 1994;2167:551-560).
    """
    images = torch.lerp(images, _mean_of_neighbours(images), draws.uniform(sharpness))
    coarse = blurred(shrunk(images, SCATTER_STEP // 2), draws.uniform((1.0, 5.0)))
    return images - draws.uniform(local_contrast) * enlarged(coarse, draws.size)


def _few_energies(beam: Beam) -> tuple[list[float], list[float], list[float]]:
    """Weight, soft and bone of a beam for `ENERGIES` groups of neighbouring energies.

    The groups pass about equally much through a few centimetres of tissue (a line integral of 1): the softest energies hardly matter.
    """
    passed = beam.weights * np.exp(-beam.soft)
    group = ((passed.cumsum() - passed / 2) / passed.sum() * ENERGIES).astype(int).clip(0, ENERGIES - 1)

    def by_group(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return np.bincount(group, values, ENERGIES).astype(np.float64)

    means = [by_group(values * passed) / by_group(passed) for values in (beam.soft, beam.bone)]
    return by_group(beam.weights).tolist(), means[0].tolist(), means[1].tolist()


def _mean_of_neighbours(images: torch.Tensor) -> torch.Tensor:
    """Mean over 3 x 3 pixels, one axis after the other."""
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9
