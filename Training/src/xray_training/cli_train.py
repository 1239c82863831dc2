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
    from collections.abc import Sequence

    from .processes import Processes
    from .settings import TrainingSettings
    from .training_patient import TrainingPatient

# The flat panel of a mobile C-arm: 1536 pixels of 0.194 mm (Siemens Cios Alpha), folded to the network's image.
DETECTOR_MM = 297.0

PART = 16  # images of a part of a batch; smaller ones keep a GPU waiting
LEARNING_RATE = 2e-3
FINE_TUNING_RATE = 7e-4  # lower, so that what the model to start from knows is not unlearned


def train(
    ct: Annotated[list[Path], typer.Argument(
        help="CT: a DICOM folder, NIfTI, NRRD or MHA file. Several, or a list of them (.csv), make a model for others to start from. The "
        "folder of a data set, instead, stands for all patients in it and their stored X-rays."
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

    from .dataset.layout import ARRAYS
    from .processes import joined_processes
    from .settings import TrainingSettings

    if output.is_dir():
        raise InputError(f"{output} is a folder; give the name of a model file, such as {output / 'model.safetensors'}.")
    stored = [path for path in ct if (path / ARRAYS).is_dir()]
    if stored and (len(ct) > 1 or labels):
        raise InputError("A data set is trained on alone, and has its own labels; give nothing but its folder.")
    camera = Camera.centred(sdd, detector_mm / image_size, (image_size, image_size))
    if stored:
        from .stored_training import stored_camera

        camera = stored_camera(stored[0], image_size)
    device = choose_device(device)
    settings = TrainingSettings(
        camera=camera,
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
        patients = _stored(ct[0], settings, own_device) if stored else _simulated(ct, labels, series, settings, own_device)
        _train(patients, output, settings, own_device, processes, start_from, stop_file)


def _stored(folder: Path, settings: TrainingSettings, device: str) -> Sequence[TrainingPatient]:
    """The patients of a data set."""
    from .dataset.stored import XRayDataset
    from .stored_training import StoredTrainingPatient

    names = XRayDataset(folder).patients
    return [StoredTrainingPatient(folder, name, settings, device, len(names)) for name in names]


def _simulated(
    paths: list[Path], labels: list[Path] | None, series: str | None, settings: TrainingSettings, device: str
) -> Sequence[TrainingPatient]:
    """Patients of CTs and of lists of them."""
    from DRRSimulatorLib.bone import read_labels, segment_bone
    from DRRSimulatorLib.ct import read_ct

    from .dataset.sources import read_sources
    from .training_patient import SimulatedPatient

    sources = read_sources(paths)
    if labels and (len(labels) != len(sources) or any(source.labels for source in sources)):
        raise InputError(f"There are {len(labels)} label maps for {len(sources)} CTs; give one for each, or name them in the list.")
    patients = []
    for number, source in enumerate(sources):
        ct, file = read_ct(source.ct, source.series or series), labels[number] if labels else source.labels
        patients.append(SimulatedPatient(ct, read_labels(file, ct) if file else segment_bone(ct), settings, device, len(sources)))
    return patients


def _train(
    patients: Sequence[TrainingPatient],
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

    folder = output.parent / f"{output.stem}-training"
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
