"""Domain randomisation: what comes out is always a usable training image, and the same seed gives the same one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from xray_training.randomise import RandomisationRanges, Randomiser, normalise
from XRayRegistrationLib.xray import XRay, normalised

PLAIN = replace(RandomisationRanges().at_strength(0.0), photons_log=(1e12, 1e12))


def integrals(batch: int = 8, size: int = 64, seed: int = 0) -> torch.Tensor:
    """Smooth line integrals as of a body with a bone, (B, 2, H, W), up to 4.5 in sum."""
    x = torch.linspace(-1, 1, size)
    radius = (x[:, None].square() + x[None, :].square()).sqrt()
    soft = 2 * (1 - radius.square()).clamp_min(0).sqrt()
    bone = (1 - (radius / 0.5).square()).clamp_min(0).sqrt()
    strength = torch.rand(batch, 1, 1, generator=torch.Generator().manual_seed(seed)) + 0.5
    return torch.stack([soft * strength, bone * strength], dim=1)


def randomise(images: torch.Tensor, seed: int, ranges: RandomisationRanges | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    return Randomiser(torch.Generator().manual_seed(seed))(images, ranges or RandomisationRanges())


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31))
def test_images_are_finite_in_range_and_zero_outside_the_field(seed: int) -> None:
    images, field = randomise(integrals(), seed)
    assert images.shape == field.shape == (8, 1, 64, 64) and field.dtype == torch.bool
    assert torch.isfinite(images).all()
    assert images.min() >= -0.5 and images.max() <= 1.5  # as a normalised X-ray
    assert (images[~field] == 0).all()
    assert field.flatten(1).float().mean(dim=1).min() > 0.2  # the smallest rectangle is 0.6 x 0.6 of the detector


def test_the_same_seed_gives_the_same_images_and_another_seed_others() -> None:
    first, again, other = (randomise(integrals(), seed) for seed in (5, 5, 6))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_every_image_of_a_batch_is_drawn_on_its_own() -> None:
    images, _ = randomise(integrals(1).expand(8, -1, -1, -1), seed=0)
    assert len({image.numpy().tobytes() for image in images}) == 8


def test_air_alone_stays_finite() -> None:
    images, _ = randomise(torch.zeros(4, 2, 64, 64), seed=1)
    assert torch.isfinite(images).all()


def test_without_randomisation_the_image_is_the_normalised_line_integral() -> None:
    views = integrals()
    images, field = randomise(views, seed=0, ranges=PLAIN)
    assert field.all()
    expected = normalise(views.sum(dim=1, keepdim=True), field)
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("polarity", ["attenuation", "intensity"])
def test_images_are_normalised_as_the_registration_normalises_an_x_ray(polarity: str) -> None:
    """Both take percentiles, one of a sixteenth of the pixels; repeated pixels make that part a fair sample."""
    views = integrals(size=128).sum(dim=1, keepdim=True)
    views = views.repeat_interleave(4, dim=-1).repeat_interleave(4, dim=-2)
    field = torch.ones_like(views, dtype=torch.bool)
    field[..., :40] = False
    for image, exposed, ours in zip(views[:, 0].numpy(), field[:, 0].numpy(), normalise(views, field)[:, 0].numpy(), strict=True):
        pixels = np.exp(-image) if polarity == "intensity" else image
        theirs = normalised(XRay(pixels, exposed, polarity))
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_more_quanta_make_less_noise() -> None:
    views = integrals()
    clean, _ = randomise(views, seed=0, ranges=PLAIN)
    noise = [
        (randomise(views, seed=0, ranges=replace(PLAIN, photons_log=(n, n)))[0] - clean).std().item() for n in (300.0, 3000.0, 30000.0)
    ]
    assert noise[0] > noise[1] > noise[2] > 0


def test_bone_is_bright_unless_the_image_is_inverted() -> None:
    views = integrals()
    upright, _ = randomise(views, seed=0, ranges=PLAIN)
    inverted, _ = randomise(views, seed=0, ranges=replace(PLAIN, inversion=1.0))
    centre, edge = upright[..., 32, 32], upright[..., 2, 2]
    assert (centre > edge).all()
    torch.testing.assert_close(inverted, 1 - upright)


def test_full_strength_leaves_the_ranges_and_none_gives_every_seed_the_same_image_but_for_noise() -> None:
    ranges = RandomisationRanges()
    for name, value in vars(ranges.at_strength(1.0)).items():
        assert value == pytest.approx(getattr(ranges, name)), name
    still = replace(ranges.at_strength(0.0), photons_log=(1e12, 1e12))
    images, other = randomise(integrals(), 1, still)[0], randomise(integrals(), 2, still)[0]
    assert torch.allclose(images, other, atol=1e-3)


@given(strength=st.floats(0, 1))
def test_weaker_randomisation_stays_within_the_ranges_or_between_them_and_the_plain_image(strength: float) -> None:
    ranges, weaker = RandomisationRanges(), RandomisationRanges().at_strength(strength)
    for name, plain in vars(replace(PLAIN, photons_log=(ranges.photons_log[1],) * 2)).items():
        full, drawn = np.atleast_1d(getattr(ranges, name)), np.atleast_1d(getattr(weaker, name))
        assert (drawn >= np.minimum(full, plain) - 1e-9 * full.max()).all(), name
        assert (drawn <= np.maximum(full, plain) + 1e-9 * full.max()).all(), name
