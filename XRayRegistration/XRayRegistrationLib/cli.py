"""xray-register: from X-rays, a CT and its model to a pose."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from DRRSimulatorLib.commands import SERIES_HELP, run_command
from DRRSimulatorLib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from DRRSimulatorLib.bone import BoneLabels
    from DRRSimulatorLib.ct import CTVolume

    from .exposed_field import Polarity
    from .model import Model
    from .registration_task import Found, RegistrationTask
    from .view import View


class PolarityOption(str, Enum):
    """Polarities of X-rays."""

    intensity = "intensity"
    attenuation = "attenuation"


def register_xrays(
    ct: Annotated[Path, typer.Option(help="CT: a DICOM folder, NIfTI, NRRD or MHA file.")],
    xray: Annotated[list[Path], typer.Option(help="X-ray: PNG, TIFF, NRRD or DICOM; once for each X-ray of the patient.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; made where it is missing.")],
    model: Annotated[
        Path | None, typer.Option(help="Model made from this CT by scr-train, *.safetensors; default: none, the pose is searched for.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="Instead of a model: JSON with the ras_to_camera of the first X-ray near the true one, or a result.json."),
    ] = None,
    camera: Annotated[
        list[Path] | None,
        typer.Option(help="Camera of each X-ray in the same order: JSON, text of XMALab, or OpenCV YAML; default: the DICOM header's."),
    ] = None,
    sdd: Annotated[float | None, typer.Option(help="Source-to-detector distance of a single X-ray, mm.")] = None,
    pixel_spacing: Annotated[float | None, typer.Option(help="Its pixel spacing at the detector, mm.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Label map of the bones that the model was trained with, if any.")] = None,
    series: Annotated[str | None, typer.Option(help=SERIES_HELP)] = None,
    polarity: Annotated[
        PolarityOption | None, typer.Option(help="intensity: bone dark; attenuation: bone bright; default: from the file, or guessed.")
    ] = None,
    frame: Annotated[int | None, typer.Option(help="Which image of a DICOM file with several, from 0; default: the first.")] = None,
    turned: Annotated[int, typer.Option(help="The X-rays are stored turned clockwise by 90, 180 or 270 degrees: turn them back.")] = 0,
    mirrored: Annotated[
        bool, typer.Option("--mirrored", help="The X-rays are stored mirrored, against what the X-ray source sees: mirror them back.")
    ] = False,
    refine: Annotated[bool, typer.Option(help="Sharpen the pose by comparing the X-rays with simulated ones.")] = True,
    sdd_unknown: Annotated[
        bool, typer.Option("--sdd-unknown", help="Find the source-to-detector distance as well; the one given is right to about a tenth.")
    ] = False,
    per_bone: Annotated[
        bool, typer.Option("--per-bone", help="Give every bone of the model a pose of its own: joints move between CT and X-ray.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: CUDA where there is one.")] = "auto",
    dicom: Annotated[
        Path | None, typer.Option(help="Write DICOM as well, into this folder; it carries the name of the patient of CT and X-ray.")
    ] = None,
) -> None:
    """Find the pose of a CT relative to one X-ray, or to several of known geometry.

    Without --model and --start the pose is searched for, which takes from ten seconds to a minute: all usual views of a supine patient
    are compared with the X-ray.

    Several X-rays need a --camera each that tells its pose: calibration texts place the cameras in the calibration's world; of
    simulated X-rays' JSON only the places of the cameras to each other are used, and the poses are compared with the result.
    """
    from DRRSimulatorLib.ct import read_ct
    from DRRSimulatorLib.surface import bone_surface

    from .device import choose_device
    from .dicom_export import export_dicom, posed_xrays
    from .dicom_study import read_sources
    from .model import load_model
    from .orientation import Orientation
    from .registration_task import RegistrationTask
    from .result_files import RESEARCH_USE, write_results
    from .view_files import read_start, read_views

    device = choose_device(device)
    _check_outputs(output, dicom)
    _check_start(model, start, refine)
    _check_bones(per_bone, model, refine, sdd_unknown)
    trained = load_model(model, device) if model else None
    stored = Orientation(turned, mirrored)
    names = [path.name for path in xray]
    chosen = cast("Polarity | None", polarity and polarity.value)
    views, truth = read_views(xray, camera or [], chosen, _geometry(sdd, pixel_spacing), frame, stored)
    _tell_questions(names, views, trained)
    typer.echo(f"Reading the CT {ct.name}.")
    volume = read_ct(ct, series)
    sources = read_sources(ct, series, xray, frame, stored) if dicom else None
    bones = _bones(volume, labels, trained)
    surfaces = {name: bone_surface(bones, label) for label, name in bones.names.items()}
    pose = read_start(start, views) if start else None
    task = RegistrationTask(views, stored, volume, bones, surfaces, trained, pose, refine, per_bone, sdd_unknown, device)
    typer.echo(f"Registering {len(views)} X-ray{'s' if len(views) > 1 else ''}{_how(task)}.")
    found = task.run()
    output.mkdir(parents=True, exist_ok=True)
    description = trained.description if trained else None
    files = write_results(output, found.whole, names, description, volume, found.surfaces, found.body, truth, found.bones)
    posed = posed_xrays(found.whole, found.bones)
    objects = export_dicom(dicom, posed, volume, bones, found.body, sources, labels is None) if dicom and sources else []
    _tell_found(names, found, task)
    typer.echo(f"Found in {sum(found.whole.seconds.values()):.1f} s. Wrote {_listed(files)} to {output}.")
    if sources:
        typer.echo(f"Wrote {_listed(objects)} to {dicom}{_whose(sources.first is not None)}.")
    typer.echo(RESEARCH_USE)


def _bones(volume: CTVolume, labels: Path | None, trained: Model | None) -> BoneLabels:
    """The bones of a CT, given or found; those that a model was trained with."""
    from DRRSimulatorLib.bone import read_labels, segment_bone

    if trained:
        trained.description.check_ct(volume)
    typer.echo("Reading the bones' labels." if labels else "Finding the bone in the CT.")
    bones = read_labels(labels, volume) if labels else segment_bone(volume)
    if trained:
        trained.description.check_bones(bones)
    return bones


def _tell_questions(names: Sequence[str], views: Sequence[View], trained: Model | None) -> None:
    """What is doubtful about the X-rays and their geometry."""
    from .plausibility import questions

    description = trained.description if trained else None
    for name, view in zip(names, views, strict=True):
        for question in (*view.xray.questions, *questions(view.camera, description)):
            typer.echo(f"{name}: {question}")


def _tell_found(names: Sequence[str], found: Found, task: RegistrationTask) -> None:
    """The poses, and how far they can be trusted."""
    from .result_words import verdicts_in_words, xray_in_words

    for number, name in enumerate(names):
        for line in xray_in_words(number, found.by_name, found.centres, task.sdd_unknown):
            typer.echo(f"{name}: {line}")
    for line in verdicts_in_words(found.by_name):
        typer.echo(line)
    if offer := task.offer(found.whole):
        typer.echo(f"{names[0]}: {offer}")


def _how(task: RegistrationTask) -> str:
    """How the X-rays are registered, in words that follow."""
    if task.model:
        return " and refining the pose" if task.refine else ""
    if task.start is not None:
        return " from the given pose"
    return " without a model: searching for the pose, which takes from ten seconds to a minute"


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(file.name for file in files)


def _whose(known: bool) -> str:
    return "; they carry the patient's name and number, as CT and X-ray do" if known else ""


def _check_start(model: Path | None, start: Path | None, refine: bool) -> None:
    if model and start:
        raise InputError("Give either --model or --start; a given pose is refined without a model.")
    if not (model or refine):
        raise InputError("Without a --model the pose is found by refinement alone; leave out --no-refine.")


def _check_bones(per_bone: bool, model: Path | None, refine: bool, sdd_unknown: bool) -> None:
    if per_bone and not (model and refine):
        raise InputError("Bones get poses of their own by a --model that knows them and by refinement; leave out --per-bone, or give both.")
    if per_bone and sdd_unknown:
        raise InputError("With --per-bone the source-to-detector distance must be known; leave out --sdd-unknown.")


def _check_outputs(*folders: Path | None) -> None:
    for folder in folders:
        if folder and folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; give a folder for the results.")


def _geometry(sdd: float | None, pixel_spacing: float | None) -> tuple[float, float] | None:
    if sdd is None and pixel_spacing is None:
        return None
    if sdd is None or pixel_spacing is None:
        raise InputError("Give both --sdd and --pixel-spacing, or neither.")
    return sdd, pixel_spacing


def main() -> None:
    """Entry point of xray-register."""
    run_command(register_xrays)
