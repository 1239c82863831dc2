"""Training in several processes, on several GPUs or machines, as `torchrun` starts them: each works on its share of every batch."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from DRRSimulatorLib.errors import InputError
from torch import distributed, nn

from .batch_norm import SynchronisedBatchNorm


@dataclass(frozen=True)
class Processes:
    """The processes of one training.

    Attributes:
        rank: number of this one, from 0. The first keeps the checkpoint, the logs and the model.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def share(self, parts: int) -> range:
        """Numbers of the parts of a batch that this process works on.

        Raises:
            InputError: if they cannot be divided evenly.
        """
        if parts % self.count:
            raise InputError(
                f"{parts} parts of a batch cannot be divided among {self.count} processes; start as many processes as divide {parts}, or "
                "choose a larger --batch-size."
            )
        return range(self.rank, parts, self.count)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; all have to ask."""
        if self.count == 1:
            return flag
        flags = torch.tensor(int(flag))
        distributed.all_reduce(flags, distributed.ReduceOp.MAX)
        return bool(flags)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Mean of tensors over the processes."""
        if self.count > 1:
            distributed.all_reduce(values)
            values = values / self.count
        return values

    def distribute(self, network: nn.Module, device: str) -> nn.Module:
        """The network to call in training: gradients become means over the processes, and batch normalisation sees all of a batch.

        Its parameters are those of the network given, whose batch normalisation is replaced; with one process it is that network.
        """
        if self.count == 1:
            return network
        if device.startswith("cuda"):
            nn.SyncBatchNorm.convert_sync_batchnorm(network)  # PyTorch's own, which is for GPUs only
        else:
            SynchronisedBatchNorm.replace_in(network)
        return nn.parallel.DistributedDataParallel(network)

    def check_agreement(self, step: int) -> None:
        """Make sure that all processes are at the same step.

        Raises:
            InputError: if they are not.
        """
        steps = torch.tensor([step, -step])
        if self.count > 1:
            distributed.all_reduce(steps, distributed.ReduceOp.MAX)
        if int(steps.sum()):
            raise InputError("Some processes found a checkpoint and some did not; write to a folder that all machines share.")


ONE_PROCESS = Processes()


@contextmanager
def joined_processes(device: str) -> Iterator[tuple[Processes, str]]:
    """Join the processes that `torchrun` has started; alone where there are no others.

    Args:
        device: "cpu" or "cuda".

    Yields:
        The processes, and this one's device: of the GPUs of a machine, each process has its own.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ONE_PROCESS, device
        return
    on_cuda = device == "cuda"
    if on_cuda:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if on_cuda else "gloo")
    try:
        processes = Processes(distributed.get_rank(), count)
        if not processes.is_first:
            # Ctrl+C reaches all of them. The first asks the others to stop, at the same step as itself.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        yield processes, device
    finally:
        distributed.destroy_process_group()
