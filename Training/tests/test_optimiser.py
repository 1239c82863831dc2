"""The optimiser: what a step does to kernels and to everything else, and that it can be stopped and go on."""

from __future__ import annotations

import pytest
import torch
from DRRSimulatorLib.errors import InputError
from torch import nn
from xray_training.optimiser import MUON_RATE, Optimiser


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.ConvTranspose2d(6, 4, 3), nn.Conv2d(4, 1, 1))
    return layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def gradients(network: nn.Module, seed: int) -> None:
    """Those of a loss on random images."""
    images = torch.rand(3, 2, 8, 8, generator=torch.Generator().manual_seed(seed))
    network(images).square().mean().backward()


def test_a_step_changes_kernels_by_orthogonal_matrices_in_the_gradients_direction(network: nn.Module) -> None:
    """Of the first step, momentum is the gradient itself; Muon's iteration reaches singular values of about 0.7 to 1.2."""
    optimiser = Optimiser(network, weight_decay=0.0)
    gradients(network, 1)
    kernels = [parameter for parameter in network.parameters() if parameter.ndim == 4]
    before = [kernel.detach().clone() for kernel in kernels]
    expected = [kernel.grad.permute(0, 2, 3, 1).flatten(1) for kernel in kernels if kernel.grad is not None]
    optimiser.step(1e-3)
    for kernel, old, gradient in zip(kernels, before, expected, strict=True):
        change = (old - kernel.detach()).permute(0, 2, 3, 1).flatten(1)
        change = change / (MUON_RATE * 1e-3 * max(1.0, change.shape[0] / change.shape[1]) ** 0.5)
        left, _, right = torch.linalg.svd(gradient, full_matrices=False)
        along = left.T @ change @ right.T  # diagonal where change and gradient have the same singular vectors
        assert ((along.diagonal() > 0.6) & (along.diagonal() < 1.3)).all()
        assert (along - along.diagonal().diag()).abs().max() < 0.1


def test_a_step_changes_everything_else_as_adamw_does(network: nn.Module) -> None:
    optimiser = Optimiser(network, weight_decay=0.01)
    gradients(network, 1)
    others = [parameter for parameter in network.parameters() if parameter.ndim != 4]
    copies = [nn.Parameter(parameter.detach().clone()) for parameter in others]
    for parameter, copy in zip(others, copies, strict=True):
        copy.grad = None if parameter.grad is None else parameter.grad.clone()
    torch.optim.AdamW(copies, lr=1e-3, weight_decay=0.01).step()
    optimiser.step(1e-3)
    for parameter, copy in zip(others, copies, strict=True):
        torch.testing.assert_close(parameter.detach(), copy.detach())


def test_an_optimiser_goes_on_from_its_state(network: nn.Module) -> None:
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    first = Optimiser(network, weight_decay=0.01)
    for seed in (1, 2):
        first.zero_grad()
        gradients(network, seed)
        first.step(1e-3)
        if seed == 1:
            state = {name: value.clone() for name, value in first.state().items()}
            between = {name: value.clone() for name, value in network.state_dict().items()}
    expected = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(between)
    second = Optimiser(network, weight_decay=0.01)
    second.load_state(state)
    second.zero_grad()
    gradients(network, 2)
    second.step(1e-3)
    for name, value in network.state_dict().items():
        assert torch.equal(value, expected[name]), name
        assert name.endswith("num_batches_tracked") or not torch.equal(value, weights[name]), name


def test_an_older_pytorch_is_refused_in_words(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(InputError, match=r"needs PyTorch 2\.9 or newer"):
        Optimiser(network, weight_decay=0.0)
