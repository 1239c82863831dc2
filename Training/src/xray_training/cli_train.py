"""scr-train: from a CT to a scene-coordinate model."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from DRRSimulatorLib.camera import Camera, ViewRange
from DRRSimulatorLib.commands import run_command
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Cancelled

# The flat panel of a mobile C-arm: 1536 pixels of 0.194 mm (Siemens Cios Alpha), folded to the network's image.
DETECTOR_MM = 297.0

LEARNING_RATE = 2e-3
FINE_TUNING_RATE = 7e-4  # lower, so that what the model to start from knows is not unlearned


def train(
    ct: Annotated[Path, typer.Argument(help="CT: a DICOM folder, NIfTI, NRRD or MHA file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Model file to write, *.safetensors.")],
    labels: Annotated[Path | None, typer.Option(help="Label map of the bones; default: segmented automatically.")] = None,
    series: Annotated[str | None, typer.Option(help="Series instance UID, where the DICOM folder holds several CTs.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps; default: 5600 on a CPU (about 42 minutes on 2 cores), 40000 on a GPU.")
    ] = None,
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
) -> None:
    """Train a scene-coordinate model for one CT.

    Interrupt it (Ctrl+C) or kill it at any moment: the same command goes on where the last checkpoint stood. The folder
    <output stem>-training holds the checkpoint, losses.csv and losses.png, and events for TensorBoard where that is installed.
    """
    from DRRSimulatorLib.bone import read_labels, segment_bone
    from DRRSimulatorLib.ct import read_ct
    from XRayRegistrationLib.device import choose_device
    from XRayRegistrationLib.model import load_model, save_model

    from .logs import TrainingLog, plot_losses
    from .train import Trainer, TrainingSettings

    if output.is_dir():
        raise InputError(f"{output} is a folder; give the name of a model file, such as {output / 'model.safetensors'}.")
    device = choose_device(device)
    volume = read_ct(ct, series)
    bones = read_labels(labels, volume) if labels else segment_bone(volume)
    settings = TrainingSettings(
        camera=Camera.centred(sdd, detector_mm / image_size, (image_size, image_size)),
        view_range=ViewRange(primary, secondary, roll, in_plane, depth),
        steps=steps or (40000 if device.startswith("cuda") else 5600),
        learning_rate=FINE_TUNING_RATE if start_from else LEARNING_RATE,
        seed=seed,
        randomisation=randomisation,
        start=start_from.name if start_from else "",
    )
    folder = output.parent / f"{output.stem}-training"
    trainer = Trainer(volume, bones, settings, device, folder, load_model(start_from, device) if start_from else None)
    with TrainingLog(folder, settings.steps, trainer.step, stop_file) as log:
        finished = trainer.run(log.write, cancelled=log.stop_asked)
    if not finished:
        raise Cancelled(f"Stopped after {trainer.step} of {settings.steps} steps; the same command goes on from there.")
    save_model(output, trainer.model(_record(device, seed)))
    plot_losses(folder)
    typer.echo(f"Wrote {output} after {trainer.seconds / 60:.0f} minutes of training.")


def _record(device: str, seed: int) -> dict[str, Any]:
    """What the training ran as and on."""
    from XRayRegistrationLib.metrics import environment

    # Model files are passed on: they shall not tell where their maker keeps files.
    arguments = [re.sub(r"[^=]*[/\\](?=.)", "", argument) for argument in sys.argv[1:]]
    return {"command": shlex.join(["scr-train", *arguments]), "device": device, "environment": environment(seed)}


def main() -> None:
    """Entry point of scr-train."""
    run_command(train)


if __name__ == "__main__":
    main()
