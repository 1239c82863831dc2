"""What training images are made of: shapes drawn on them, and fast relatives of the simulator's physics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from DRRSimulatorLib.spectrum import read_beams
from scipy import ndimage
from xray_training.acquisition import Beams, sharpened, vignetted, with_noise, with_scatter
from xray_training.draws import Draws, blurred, enlarged
from xray_training.structures import bones_beside, markers, other_bones, soft_tissue, tools

SIZE = (64, 96)


def draws(count: int = 64, seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), count, SIZE)


def bones(count: int = 64) -> torch.Tensor:
    """A vertical bar of bone in the middle of every image."""
    images = torch.zeros(count, 1, *SIZE)
    images[..., 8:56, 40:56] = 1.0
    return images


def test_numbers_stay_within_their_bounds_and_fill_them() -> None:
    uniform, log_uniform = draws(4000).uniform((-2.0, 3.0)), draws(4000).log_uniform((0.01, 100.0))
    assert -2 <= uniform.min() < -1.9 and 2.9 < uniform.max() <= 3
    assert log_uniform.min() >= 0.01 and log_uniform.max() <= 100
    assert log_uniform.log10().mean().item() == pytest.approx(0.0, abs=0.1)
    assert draws(4000).happens(0.3).float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_enlarging_keeps_a_gradient() -> None:
    coarse = torch.linspace(0, 1, 7)[None, None, None, :].expand(2, 1, 5, 7)
    fine = enlarged(coarse, SIZE)
    torch.testing.assert_close(fine, torch.linspace(0, 1, SIZE[1]).expand(2, 1, *SIZE), atol=0.02, rtol=0)


def test_blurring_is_a_gaussian_with_a_width_of_its_own_for_every_image() -> None:
    point = torch.zeros(2, 1, 41, 41)
    point[:, :, 20, 20] = 1.0
    sigma = torch.tensor([1.5, 4.0]).view(2, 1, 1, 1)
    for image, width in zip(blurred(point, sigma)[:, 0].numpy(), (1.5, 4.0), strict=True):
        expected = ndimage.gaussian_filter(point[0, 0].numpy(), width, truncate=8)
        np.testing.assert_allclose(image, expected, atol=0.02 * expected.max())


def test_soft_tissue_surrounds_the_bones_and_thins_out() -> None:
    tissue = soft_tissue(draws(), bones())
    assert torch.isfinite(tissue).all()
    near, far = tissue[..., 24:40, 42:54].mean(), tissue[..., :, :4].mean()
    assert near > 3 * far >= 0


def test_other_bones_are_hollow_and_as_dense_as_those_looked_for() -> None:
    assert (other_bones(draws(), bones(), 0.0) == 0).all()
    others = other_bones(draws(), 2 * bones(), 1.0)
    torch.testing.assert_close(others, 2 * other_bones(draws(), bones(), 1.0))  # the density follows
    assert others.min() == 0 and 0.5 < others.amax(dim=(-2, -1)).median() < 10


def test_a_bone_beside_runs_about_parallel_to_the_one_looked_for() -> None:
    beside = bones_beside(draws(200), bones(200), 1.0)
    rows, columns = (beside.diff(dim=axis).abs().mean() for axis in (-2, -1))
    assert columns > 2 * rows  # the bar is upright


def test_tools_and_markers_are_in_the_asked_share_of_the_images() -> None:
    rods, beads = tools(draws(400), 0.25), markers(draws(400), 0.25)
    assert (rods.amax(dim=(-2, -1)) > 0).float().mean().item() == pytest.approx(0.2, abs=0.1)  # some lie outside
    assert (beads[100:] == 0).all() and (beads[:100].amax(dim=(-2, -1)) > 0).float().mean() > 0.9


def test_a_few_energies_transmit_as_the_whole_spectrum_does() -> None:
    """Through a pelvis: up to 30 cm of soft tissue and 3 cm of compact bone."""
    soft = torch.linspace(0, 6, 13)[None, None, :, None].expand(200, 1, 13, 7)
    bone = torch.linspace(0, 1.5, 7)[None, None, None, :].expand(200, 1, 13, 7)
    several = Draws(torch.Generator().manual_seed(0), 200, (13, 7))
    passed = Beams("cpu").transmitted(several, soft, bone, polyenergetic=1.0).numpy()
    soft_once, bone_once = soft[0, 0].numpy(), bone[0, 0].numpy()
    whole = [
        sum(w * np.exp(-(s * soft_once + b * bone_once)) for w, s, b in zip(beam.weights, beam.soft, beam.bone, strict=True))
        for beam in read_beams().values()
    ]
    # In attenuation, which is what the image shows.
    errors = np.array([[np.abs(np.log(image[0] / beam)).max() for beam in whole] for image in passed])
    assert errors.min(axis=1).max() < 0.07  # of up to 8
    assert len(set(errors.argmin(axis=1))) == 3  # every beam occurs


def test_one_energy_transmits_by_beer_and_lamberts_law() -> None:
    soft, bone = torch.rand(8, 1, 5, 5), torch.rand(8, 1, 5, 5)
    passed = Beams("cpu").transmitted(Draws(torch.Generator(), 8, (5, 5)), soft, bone, polyenergetic=0.0)
    torch.testing.assert_close(passed, torch.exp(-soft - bone))


def test_scatter_adds_the_asked_share_and_is_smooth() -> None:
    primary = torch.exp(-bones())
    scatter = with_scatter(draws(), primary, (0.5, 0.5)) - primary
    torch.testing.assert_close(scatter.mean(dim=(-2, -1)), 0.5 * primary.mean(dim=(-2, -1)), rtol=0.1, atol=0)
    assert scatter.diff(dim=-1).abs().max() < 0.1 * primary.diff(dim=-1).abs().max()


def test_vignetting_darkens_the_corners_and_not_the_middle() -> None:
    image = vignetted(draws(), torch.ones(64, 1, *SIZE), (0.4, 0.4))
    torch.testing.assert_close(image[..., 0, 0], torch.full((64, 1), 0.6))
    assert image[..., 32, 48].min() > 0.99


def test_noise_has_the_variance_of_so_many_quanta() -> None:
    bright = torch.ones(64, 1, *SIZE)
    bright[..., :32, :] = 3.0  # mean 2: `photons` are the quanta of an intensity of 2
    noise = with_noise(draws(), bright, (1000.0, 1000.0), (0.0, 0.0)) - bright
    for part, intensity in ((noise[..., :32, :], 3.0), (noise[..., 32:, :], 1.0)):
        assert part.var().item() == pytest.approx(intensity * 2 / 1000, rel=0.05)


def test_unsharp_masking_steepens_edges_and_blurring_softens_them() -> None:
    steepness = [
        sharpened(draws(), bones(), (sharpness, sharpness), (0.0, 0.0)).diff(dim=-1).abs().max().item() for sharpness in (-0.7, 0.0, 1.0)
    ]
    assert steepness[0] > steepness[1] == pytest.approx(1.0) and steepness[2] < 0.5


def test_local_contrast_takes_coarse_structure_out() -> None:
    gradient = torch.linspace(0, 4, SIZE[1]).expand(64, 1, *SIZE)
    flat = sharpened(draws(), gradient, (0.0, 0.0), (0.6, 0.6))
    torch.testing.assert_close(flat[..., 40:56].diff(dim=-1).mean(), 0.4 * gradient.diff(dim=-1).mean(), rtol=0.1, atol=0)
