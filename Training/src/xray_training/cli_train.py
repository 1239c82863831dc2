"""scr-train: from a CT, or several, to a scene-coordinate model."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from DRRSimulatorLib.camera import Camera, ViewRange
from DRRSimulatorLib.commands import run_command
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Cancelled

if TYPE_CHECKING:
    from DRRSimulatorLib.bone import BoneLabels
    from DRRSimulatorLib.ct import CTVolume

    from .processes import Processes
    from .settings import TrainingSettings

# The flat panel of a mobile C-arm: 1536 pixels of 0.194 mm (Siemens Cios Alpha), folded to the network's image.
DETECTOR_MM = 297.0

PART = 16  # images of a part of a batch; smaller ones keep a GPU waiting
LEARNING_RATE = 2e-3
FINE_TUNING_RATE = 7e-4  # lower, so that what the model to start from knows is not unlearned


def train(
    ct: Annotated[list[Path], typer.Argument(
        help="CT: a DICOM folder, NIfTI, NRRD or MHA file. Several make a model for others to start from."
    )],
    output: Annotated[Path, typer.Option("--output", "-o", help="Model file to write, *.safetensors.")],
    labels: Annotated[list[Path] | None, typer.Option(
        help="Label map of the bones; default: segmented automatically. Of several CTs give it once for each, in their order."
    )] = None,
    series: Annotated[str | None, typer.Option(help="Series instance UID, where the DICOM folder holds several CTs.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps; default: 5600 on a CPU (about 42 minutes on 2 cores), 40000 on a GPU.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=2, help="Images a step, of all processes together.")] = 32,
    accumulate: Annotated[int, typer.Option(min=1, help="Work off each batch in so many pieces, which takes less memory.")] = 1,
    image_size: Annotated[int, typer.Option(min=64, max=1024, help="Rows and columns of the training images.")] = 128,
    detector_mm: Annotated[float, typer.Option(min=1, help="Width of the detector, mm.")] = DETECTOR_MM,
    sdd: Annotated[float, typer.Option(min=1, help="Source-to-detector distance, mm.")] = 1020.0,
    primary: Annotated[float, typer.Option(help="LAO/RAO range to train for, +- degrees.")] = 45.0,
    secondary: Annotated[float, typer.Option(help="CRAN/CAUD range, +- degrees.")] = 25.0,
    roll: Annotated[float, typer.Option(help="Range of the detector's rotation, +- degrees.")] = 15.0,
    in_plane: Annotated[float, typer.Option(help="Range of the bone's offset from the central ray, +- mm.")] = 50.0,
    depth: Annotated[tuple[float, float], typer.Option(help="Range of the source-to-bone distance, mm.")] = (600.0, 850.0),
    randomisation: Annotated[float, typer.Option(min=0, max=1, help="Strength of the randomised images; it falls to 0.4 of this.")] = 1.0,
    start_from: Annotated[Path | None, typer.Option(help="Model to start from, of this CT or of another; default: random weights.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: CUDA where there is one.")] = "auto",
    stop_file: Annotated[Path | None, typer.Option(help="Stop, as Ctrl+C does, as soon as this file exists.")] = None,
) -> None:  # fmt: skip
    """Train a scene-coordinate model for one CT, or over several CTs a model that others start from.

    On several GPUs, or machines, start it by torchrun: torchrun --nproc-per-node 4 -m xray_training.cli_train CT -o MODEL. The processes
    share each batch; give them a larger one.

    Interrupt it (Ctrl+C) or kill it at any moment: the same command goes on where the last checkpoint stood. The folder
    <output stem>-training holds the checkpoint, losses.csv and losses.png, and events for TensorBoard where that is installed.
    """
    from XRayRegistrationLib.device import choose_device

    from .processes import joined_processes
    from .settings import TrainingSettings

    if output.is_dir():
        raise InputError(f"{output} is a folder; give the name of a model file, such as {output / 'model.safetensors'}.")
    if labels and len(labels) != len(ct):
        raise InputError(f"There are {len(labels)} label maps for {len(ct)} CTs; give one for each, in the same order.")
    device = choose_device(device)
    settings = TrainingSettings(
        camera=Camera.centred(sdd, detector_mm / image_size, (image_size, image_size)),
        view_range=ViewRange(primary, secondary, roll, in_plane, depth),
        steps=steps or (40000 if device.startswith("cuda") else 5600),
        batch_size=batch_size,
        parts=max(2, batch_size // PART),
        accumulate=accumulate,
        learning_rate=FINE_TUNING_RATE if start_from else LEARNING_RATE,
        seed=seed,
        randomisation=randomisation,
        start=start_from.name if start_from else "",
    )
    with joined_processes(device) as (processes, own_device):
        _train(_read(ct, labels, series), output, settings, own_device, processes, start_from, stop_file)


def _read(cts: list[Path], labels: list[Path] | None, series: str | None) -> list[tuple[CTVolume, BoneLabels]]:
    """CTs with their bones."""
    from DRRSimulatorLib.bone import read_labels, segment_bone
    from DRRSimulatorLib.ct import read_ct

    volumes = [read_ct(ct, series) for ct in cts]
    if labels:
        return [(volume, read_labels(file, volume)) for volume, file in zip(volumes, labels, strict=True)]
    return [(volume, segment_bone(volume)) for volume in volumes]


def _train(
    cts: list[tuple[CTVolume, BoneLabels]],
    output: Path,
    settings: TrainingSettings,
    device: str,
    processes: Processes,
    start_from: Path | None,
    stop_file: Path | None,
) -> None:
    """Train, in this process and the others; the first of them writes."""
    from XRayRegistrationLib.model import load_model, save_model

    from .logs import TrainingLog, plot_losses
    from .train import Trainer
    from .training_patient import SimulatedPatient

    folder = output.parent / f"{output.stem}-training"
    patients = [SimulatedPatient(*ct_and_bones, settings, device, len(cts)) for ct_and_bones in cts]
    trainer = Trainer(patients, settings, device, folder, load_model(start_from, device) if start_from else None, processes)
    if processes.is_first:
        with TrainingLog(folder, settings.steps, trainer.step, stop_file) as log:
            finished = trainer.run(log.write, cancelled=log.stop_asked)
    else:
        finished = trainer.run()
    if not finished:
        raise Cancelled(f"Stopped after {trainer.step} of {settings.steps} steps; the same command goes on from there.")
    if processes.is_first:
        save_model(output, trainer.model(_record(device, settings.seed, processes.count)))
        plot_losses(folder)
        typer.echo(f"Wrote {output} after {trainer.seconds / 60:.0f} minutes of training.")


def _record(device: str, seed: int, processes: int) -> dict[str, Any]:
    """What the training ran as and on."""
    from XRayRegistrationLib.metrics import environment

    # Model files are passed on: they shall not tell where their maker keeps files.
    arguments = [re.sub(r"[^=]*[/\\](?=.)", "", argument) for argument in sys.argv[1:]]
    command = shlex.join(["scr-train", *arguments])
    return {"command": command, "device": device, "processes": processes, "environment": environment(seed)}


def main() -> None:
    """Entry point of scr-train."""
    run_command(train)


if __name__ == "__main__":
    main()
