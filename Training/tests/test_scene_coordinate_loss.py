"""The loss is what it claims: a mask's cross entropy and the negative log-likelihood of a three-dimensional Laplace density."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from xray_training.loss import bone_in_field, scene_coordinate_loss
from XRayRegistrationLib.network import SIGMA_PER_LAPLACE_SCALE, SceneMaps

NAN = float("nan")


def one_pixel(error: float, log_scale: float, logit: float = 0.0) -> tuple[SceneMaps, torch.Tensor, torch.Tensor]:
    """Maps, targets and mask of a single pixel on bone whose entry and exit are both off by `error` along z."""
    coordinates = torch.zeros(1, 1, 2, 3, 1, 1)
    coordinates[:, :, :, 2] = error
    maps = SceneMaps(torch.full((1, 1, 1, 1), logit), coordinates, torch.full((1, 1, 2, 1, 1), log_scale))
    return maps, torch.zeros(1, 6, 1, 1), torch.ones(1, 1, 1, 1, dtype=torch.bool)


def coordinate_loss(error: float, log_scale: float) -> float:
    return scene_coordinate_loss(*one_pixel(error, log_scale))["coordinate_loss"].item()


def test_one_pixel_gives_the_value_computed_by_hand() -> None:
    losses = scene_coordinate_loss(*one_pixel(error=0.3, log_scale=math.log(0.1), logit=2.0))
    likelihood = 0.3 / 0.1 + 3 * math.log(0.1)
    mask = math.log(1 + math.exp(-2))
    assert losses["coordinate_loss"].item() == pytest.approx(likelihood, rel=1e-5)
    assert losses["coordinate_error"].item() == pytest.approx(0.3, rel=1e-5)
    assert losses["mask_loss"].item() == pytest.approx(mask, rel=1e-5)
    assert losses["loss"].item() == pytest.approx(mask + 0.5 * likelihood, rel=1e-5)


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_the_density_of_the_loss_integrates_to_one_and_has_the_variance_that_sigma_is_made_of(scale: float) -> None:
    def density(radius: float) -> float:
        return math.exp(-coordinate_loss(radius, math.log(scale))) / (8 * math.pi)

    def moment(power: int) -> float:
        return quad(lambda r: 4 * math.pi * r ** (2 + power) * density(r), 0, 40 * scale, epsrel=1e-5)[0]

    assert moment(0) == pytest.approx(1, abs=1e-3)
    assert math.sqrt(moment(2) / 3) == pytest.approx(SIGMA_PER_LAPLACE_SCALE * scale, rel=1e-3)


def test_the_best_scale_is_a_third_of_the_mean_error() -> None:
    log_scales = np.linspace(-3, 2, 501)
    losses = [coordinate_loss(0.6, log_scale) for log_scale in log_scales]
    assert log_scales[np.argmin(losses)] == pytest.approx(math.log(0.2), abs=0.01)


def test_pixels_off_bone_or_outside_the_field_count_for_the_mask_only() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = SceneMaps(
        torch.randn(2, 1, 4, 4, generator=generator),
        torch.randn(2, 1, 2, 3, 4, 4, generator=generator),
        torch.randn(2, 1, 2, 4, 4, generator=generator),
    )
    targets = torch.randn(2, 6, 4, 4, generator=generator)
    targets[:, :, 0] = NAN  # the first row is off bone
    field = torch.ones(2, 1, 4, 4, dtype=torch.bool)
    field[..., 0] = False  # the first column is not exposed
    losses = scene_coordinate_loss(maps, torch.nan_to_num(targets), bone_in_field(targets, field))

    logits, coordinates, log_scale = (value.double().numpy() for value in (maps.mask_logits, maps.coordinates, maps.log_scale))
    bone = np.zeros((2, 1, 4, 4))
    bone[:, :, 1:, 1:] = 1
    mask = np.mean(np.log1p(np.exp(logits)) - bone * logits)
    error = np.linalg.norm(coordinates - targets.double().numpy().reshape(2, 1, 2, 3, 4, 4), axis=3)
    likelihood = (error / np.exp(log_scale) + 3 * log_scale)[..., 1:, 1:]
    assert losses["mask_loss"].item() == pytest.approx(mask, rel=1e-4)
    assert losses["coordinate_loss"].item() == pytest.approx(likelihood.mean(), rel=1e-4)


def test_an_image_without_bone_and_a_perfect_prediction_have_finite_gradients() -> None:
    maps, targets, bone = one_pixel(error=0.0, log_scale=0.0)
    for mask in (bone, ~bone):
        leaves = [value.clone().requires_grad_() for value in (maps.mask_logits, maps.coordinates, maps.log_scale)]
        scene_coordinate_loss(SceneMaps(*leaves), targets, mask)["loss"].backward()
        assert all(leaf.grad is not None and torch.isfinite(leaf.grad).all() for leaf in leaves)


def test_labels_are_told_apart() -> None:
    """Two bones with swapped predictions are wrong, although the same set of points is predicted."""
    targets = torch.zeros(1, 12, 1, 1)
    targets[:, 6:] = 1.0
    coordinates = targets.reshape(1, 2, 2, 3, 1, 1)
    bone, logits, log_scale = torch.ones(1, 2, 1, 1, dtype=torch.bool), torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 2, 1, 1)
    right = scene_coordinate_loss(SceneMaps(logits, coordinates, log_scale), targets, bone)
    swapped = scene_coordinate_loss(SceneMaps(logits, coordinates.flip(1), log_scale), targets, bone)
    assert right["coordinate_error"].item() == pytest.approx(0, abs=1e-3)
    assert swapped["coordinate_error"].item() == pytest.approx(math.sqrt(3), rel=1e-3)
