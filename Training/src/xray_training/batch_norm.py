"""Batch normalisation over the images of all processes, on a CPU, where PyTorch's own `SyncBatchNorm` does not work."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed, nn


class _SumOverProcesses(torch.autograd.Function):
    """Sum of a tensor over all processes; the gradient sums what all of them pass back, as each one's loss depends on the sum."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


def _sum_over_processes(values: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = _SumOverProcesses.apply(values)  # type: ignore[no-untyped-call]
    return total


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """Normalises by the mean and variance over the batches of all processes, as one process would on all images together."""

    @staticmethod
    def replace_in(network: nn.Module) -> None:
        """Make all batch normalisation of a network synchronised; its parameters stay the same objects."""
        for module in network.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = SynchronisedBatchNorm

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalise images (B, C, H, W); outside of training by the running statistics, as usual."""
        if not self.training:
            return super().forward(images)
        count = images.numel() / self.num_features * distributed.get_world_size()
        exact = images.float()
        # Two passes, each summed over the processes: the mean square less the squared mean would lose the small variances.
        mean = _sum_over_processes(exact.sum(dim=(0, 2, 3))) / count
        centred = exact - mean[:, None, None]
        variance = _sum_over_processes(centred.square().sum(dim=(0, 2, 3))) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(images.dtype)

    def _follow(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Move the running statistics as `nn.BatchNorm2d` does."""
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)
