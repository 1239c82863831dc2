"""scr-train: from a CT, or several, to a scene-coordinate model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from DRRSimulatorLib.camera import Camera, ViewRange
from DRRSimulatorLib.commands import SERIES_HELP, run_command
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Cancelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .settings import TrainingSettings
    from .train import Trainer
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
    series: Annotated[str | None, typer.Option(help=SERIES_HELP)] = None,
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
    from XRayRegistrationLib.model import load_model

    from .processes import joined_processes
    from .settings import TrainingSettings
    from .train import Trainer

    if output.is_dir():
        raise InputError(f"{output} is a folder; give the name of a model file, such as {output / 'model.safetensors'}.")
    dataset = _dataset(ct, labels)
    camera = _camera(dataset, image_size, sdd, detector_mm)
    device = choose_device(device)
    start = load_model(start_from, "cpu") if start_from else None
    settings = TrainingSettings(
        camera=camera,
        view_range=ViewRange(primary, secondary, roll, in_plane, depth),
        steps=steps or (40000 if device.startswith("cuda") else 5600),
        batch_size=batch_size,
        parts=max(2, batch_size // PART),
        accumulate=accumulate,
        learning_rate=FINE_TUNING_RATE if start else LEARNING_RATE,
        seed=seed,
        randomisation=randomisation,
        start=hashlib.sha256(start_from.read_bytes()).hexdigest() if start_from else "",
    )
    folder = output.parent / f"{output.stem}-training"
    with joined_processes(device) as (processes, own_device):
        patients = _stored(dataset, settings, own_device) if dataset else _simulated(ct, labels, series, settings, own_device)
        trainer = Trainer(patients, settings, own_device, folder, start, processes)
        _run(trainer, stop_file)
        if processes.is_first:
            _write(output, trainer, dataset is not None)


def _dataset(paths: list[Path], labels: list[Path] | None) -> Path | None:
    """The folder of the data set to train on; None for CTs."""
    from .dataset.layout import ARRAYS

    folders = [path for path in paths if (path / ARRAYS).is_dir()]
    if folders and (len(paths) > 1 or labels):
        raise InputError("A data set is trained on alone, and has its own labels; give nothing but its folder.")
    return folders[0] if folders else None


def _camera(dataset: Path | None, image_size: int, sdd: float, detector_mm: float) -> Camera:
    """The camera of the training images: of a data set, its own."""
    if dataset is None:
        return Camera.centred(sdd, detector_mm / image_size, (image_size, image_size))
    from .stored_training import stored_camera

    return stored_camera(dataset, image_size)


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


def _run(trainer: Trainer, stop_file: Path | None) -> None:
    """Train, in this process and the others; the first of them logs.

    Raises:
        Cancelled: if the user stopped it.
    """
    from .logs import TrainingLog

    steps = trainer.settings.steps
    if trainer.processes.is_first:
        with TrainingLog(trainer.checkpoint.parent, steps, trainer.step, stop_file) as log:
            finished = trainer.run(log.write, cancelled=log.stop_asked)
    else:
        finished = trainer.run()
    if not finished:
        raise Cancelled(f"Stopped after {trainer.step} of {steps} steps; the same command goes on from there.")


def _write(output: Path, trainer: Trainer, stored: bool) -> None:
    """Write the model and the picture of its losses."""
    from XRayRegistrationLib.metrics import environment
    from XRayRegistrationLib.model import save_model

    from .logs import plot_losses

    # Models are passed on, and names of files may tell whose CT it was: the record of the training has none.
    record: dict[str, Any] = {
        "command": "scr-train",
        "patients": len(trainer.patients),
        "stored_xrays": stored,
        "device": trainer.device,
        "processes": trainer.processes.count,
        "environment": environment(trainer.settings.seed),
    }
    save_model(output, trainer.model(record))
    plot_losses(trainer.checkpoint.parent)
    typer.echo(f"Wrote {output} after {trainer.seconds / 60:.0f} minutes of training.")


def main() -> None:
    """Entry point of scr-train."""
    run_command(train)


if __name__ == "__main__":
    main()
