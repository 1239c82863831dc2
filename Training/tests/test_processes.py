"""Training in two processes: it must be the training of one, shared out."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from torch import multiprocessing, nn
from xray_training.batch_norm import SynchronisedBatchNorm
from xray_training.processes import ONE_PROCESS, Processes, joined_processes
from xray_training.settings import TrainingSettings
from xray_training.train import Trainer
from xray_training.training_patient import SimulatedPatient

CAMERA = Camera.centred(1020.0, 297 / 64, (64, 64))
# The optimiser enlarges what rounding has left, the faster the larger its steps are.
SETTINGS = TrainingSettings(
    CAMERA, steps=8, batch_size=8, parts=4, learning_rate=1e-4, new_views_per_step=4, pool_size=64, checkpoint_every=4
)
PROCESSES = 2


def in_two_processes(function: Callable[..., Any], *arguments: Any) -> None:
    """Run function(processes, *arguments) in each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_join, (port, function, arguments), nprocs=PROCESSES)


def _join(rank: int, port: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(PROCESSES), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    with joined_processes("cpu") as (processes, device):
        assert device == "cpu" and processes == Processes(rank, PROCESSES)
        function(processes, *arguments)


def exact_trainer(ct: CTVolume, bones: BoneLabels, settings: TrainingSettings, folder: Path, processes: Processes = ONE_PROCESS) -> Trainer:
    """A trainer that calculates in 32 bits, so that nothing but the order of sums differs."""
    trainer = Trainer([SimulatedPatient(ct, bones, settings, "cpu")], settings, "cpu", folder, processes=processes)
    trainer.bfloat16 = False
    return trainer


def losses_of(trainer: Trainer) -> list[dict[str, float]]:
    """The mean losses of every step."""
    trainer.network.train()
    losses = []
    while trainer.step < trainer.settings.steps:
        step = trainer._train_step()
        trainer.step += 1
        means = trainer.processes.mean(torch.stack(list(step.values()))).tolist()
        losses.append(dict(zip(step, means, strict=True)))
    return losses


def keep_losses(processes: Processes, ct: CTVolume, bones: BoneLabels, folder: Path) -> None:
    trainer = exact_trainer(ct, bones, SETTINGS, folder, processes)
    losses = losses_of(trainer)
    torch.save({"losses": losses, "weights": trainer.network.state_dict()}, folder / f"rank{processes.rank}.pt")


def test_two_processes_give_the_loss_curve_of_one(phantom_ct: CTVolume, phantom_bones: BoneLabels, tmp_path: Path) -> None:
    single = losses_of(exact_trainer(phantom_ct, phantom_bones, SETTINGS, tmp_path))
    in_two_processes(keep_losses, phantom_ct, phantom_bones, tmp_path)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(PROCESSES))
    for shared, alone in zip(first["losses"], single, strict=True):
        assert shared == pytest.approx(alone, rel=2e-3)
    assert first["losses"][0] == pytest.approx(single[0], rel=1e-5)  # before the optimiser enlarges what rounding has left
    for name, weights in first["weights"].items():
        assert torch.equal(weights, second["weights"][name]), name


def stop_and_resume(processes: Processes, ct: CTVolume, bones: BoneLabels, folder: Path) -> None:
    whole = exact_trainer(ct, bones, SETTINGS, folder / "whole", processes)
    assert whole.run()
    # Only the first process is asked to stop: the other has to stop at the same step.
    stopped = exact_trainer(ct, bones, SETTINGS, folder / "stopped", processes)
    assert not stopped.run(cancelled=lambda: processes.is_first and stopped.step == 3)
    assert stopped.step == 3
    resumed = exact_trainer(ct, bones, SETTINGS, folder / "stopped", processes)
    assert resumed.step == 3 and resumed.run()
    for name, weights in resumed.averaged.state_dict().items():
        assert torch.equal(weights, whole.averaged.state_dict()[name]), name


def test_a_training_in_two_processes_goes_on_exactly_after_a_stop(phantom_ct: CTVolume, phantom_bones: BoneLabels, tmp_path: Path) -> None:
    in_two_processes(stop_and_resume, phantom_ct, phantom_bones, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stopped", "whole"]


def without_shared_folder(processes: Processes, ct: CTVolume, bones: BoneLabels, folder: Path) -> None:
    trainer = exact_trainer(ct, bones, SETTINGS, folder / "first", processes)
    trainer.run(cancelled=lambda: trainer.step == 1)
    with pytest.raises(InputError, match="a folder that all machines share"):
        exact_trainer(ct, bones, SETTINGS, folder / ("first" if processes.is_first else "elsewhere"), processes)


def test_processes_that_do_not_see_the_same_checkpoint_are_refused(phantom_ct: CTVolume, phantom_bones: BoneLabels, tmp_path: Path) -> None:
    in_two_processes(without_shared_folder, phantom_ct, phantom_bones, tmp_path)


def normalise_shares(processes: Processes, images: torch.Tensor, expected: dict[str, Any]) -> None:
    network = nn.Sequential(nn.BatchNorm2d(3))
    SynchronisedBatchNorm.replace_in(network)
    share = images.chunk(PROCESSES)[processes.rank].clone().requires_grad_()
    normalised = network(share)
    torch.testing.assert_close(normalised, expected["normalised"].chunk(PROCESSES)[processes.rank])
    # Each process knows the loss of its own images only; all of them depend on all images.
    (normalised**3).sum().backward()
    torch.testing.assert_close(share.grad, expected["gradient"].chunk(PROCESSES)[processes.rank], rtol=1e-4, atol=1e-4)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, expected["state"][name])
    network.eval()
    torch.testing.assert_close(network(images), expected["evaluated"])


def test_batch_normalisation_over_two_processes_is_that_of_pytorch_over_all_images() -> None:
    images = (torch.randn(8, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 3 + 100).requires_grad_()
    network = nn.Sequential(nn.BatchNorm2d(3))
    normalised = network(images)
    (normalised**3).sum().backward()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    evaluated = network.eval()(images).detach()
    expected = {"normalised": normalised.detach(), "gradient": images.grad, "state": state, "evaluated": evaluated}
    in_two_processes(normalise_shares, images.detach(), expected)


def test_a_batch_worked_off_in_pieces_has_the_gradients_of_the_whole(
    phantom_ct: CTVolume, phantom_bones: BoneLabels, tmp_path: Path
) -> None:
    gradients = []
    for accumulate in (1, 2, 4):
        trainer = exact_trainer(phantom_ct, phantom_bones, replace(SETTINGS, accumulate=accumulate), tmp_path / str(accumulate))
        trainer.network.eval()  # batch normalisation is of the pieces
        losses = trainer._train_step()
        gradients.append({"loss": losses["loss"]} | {name: p.grad for name, p in trainer.network.named_parameters()})
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], rtol=1e-3, atol=1e-5)


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    with pytest.raises(InputError, match="start as many processes as divide 4"):
        Processes(0, 3).share(4)
    with pytest.raises(InputError, match="cannot be divided into 3 equal parts"):
        replace(SETTINGS, parts=3)
    with pytest.raises(InputError, match="steps of accumulation"):
        replace(SETTINGS, accumulate=3)
