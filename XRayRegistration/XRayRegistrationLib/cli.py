"""xray-register: from X-rays, a CT and its model to a pose."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, cast

import typer
from DRRSimulatorLib.camera import CArmView
from DRRSimulatorLib.commands import run_command
from DRRSimulatorLib.errors import InputError

from .exposed_field import Polarity
from .model import ModelDescription
from .register import Registration


class PolarityOption(str, Enum):
    """Polarities of X-rays."""

    intensity = "intensity"
    attenuation = "attenuation"


def register_xrays(
    ct: Annotated[Path, typer.Option(help="CT: a DICOM folder, NIfTI, NRRD or MHA file.")],
    xray: Annotated[list[Path], typer.Option(help="X-ray: PNG, TIFF, NRRD or DICOM; once for each X-ray of the patient.")],
    model: Annotated[Path, typer.Option(help="Model made from this CT by scr-train, *.safetensors.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; made where it is missing.")],
    camera: Annotated[
        list[Path] | None,
        typer.Option(help="Camera of each X-ray in the same order: JSON, or calibration text of XMALab; default: the DICOM header's."),
    ] = None,
    sdd: Annotated[float | None, typer.Option(help="Source-to-detector distance of a single X-ray, mm.")] = None,
    pixel_spacing: Annotated[float | None, typer.Option(help="Its pixel spacing at the detector, mm.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Label map of the bones that the model was trained with, if any.")] = None,
    series: Annotated[str | None, typer.Option(help="Series instance UID, where the DICOM folder holds several CTs.")] = None,
    polarity: Annotated[
        PolarityOption | None, typer.Option(help="intensity: bone dark; attenuation: bone bright; default: from the file, or guessed.")
    ] = None,
    refine: Annotated[bool, typer.Option(help="Sharpen the pose by comparing the X-rays with simulated ones.")] = True,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: CUDA where there is one.")] = "auto",
) -> None:
    """Find the pose of a CT relative to one X-ray, or to several of known geometry.

    Several X-rays need a --camera each that tells its pose: calibration texts place the cameras in the calibration's world; of
    simulated X-rays' JSON only the places of the cameras to each other are used, and the poses are compared with the result.
    """
    from DRRSimulatorLib.bone import read_labels, segment_bone
    from DRRSimulatorLib.ct import read_ct
    from DRRSimulatorLib.projector import Projector
    from DRRSimulatorLib.surface import bone_surface

    from .device import choose_device
    from .model import load_model
    from .plausibility import questions
    from .refine import Refiner
    from .register import register
    from .result_files import RESEARCH_USE, agreement, write_results
    from .trust import judge
    from .view_files import read_views

    device = choose_device(device)
    _check_output(output)
    trained = load_model(model, device)
    views, truth = read_views(xray, camera or [], cast("Polarity | None", polarity and polarity.value), _geometry(sdd, pixel_spacing))
    for path, view in zip(xray, views, strict=True):
        for question in questions(view.camera, trained.description):
            typer.echo(f"{path.name}: {question}")
    typer.echo(f"Reading the CT {ct.name}.")
    volume = read_ct(ct, series)
    trained.description.check_ct(volume)
    typer.echo("Reading the bones' labels." if labels else "Finding the bone in the CT.")
    bones = read_labels(labels, volume) if labels else segment_bone(volume)
    trained.description.check_bones(bones)
    projector = Projector.from_ct(volume, bones, device)
    refiner = Refiner(projector, trained.description.centre_ras) if refine else None
    typer.echo(f"Registering {len(views)} X-ray{'s' if len(views) > 1 else ''}{' and refining the pose' if refine else ''}.")
    result = register(views, volume, trained, refiner)
    output.mkdir(parents=True, exist_ok=True)
    surfaces = {name: bone_surface(bones, label) for label, name in bones.names.items()}
    files = write_results(output, result, [path.name for path in xray], trained.description, volume, surfaces, projector, truth)
    for number, path in enumerate(xray):
        typer.echo(f"{path.name}: {pose_in_words(result, number, trained.description)} {agreement(result, number)}")
    typer.echo(f"The points agree to {result.estimate.rms_residual_pixels:.2f} pixels of the network's image (root mean square).")
    verdict = judge(result)
    typer.echo(f"Verdict: {verdict.level}. {verdict.reason}")
    typer.echo(f"Found in {sum(result.seconds.values()):.1f} s. Wrote {', '.join(file.name for file in files)} to {output}.")
    typer.echo(RESEARCH_USE)


def pose_in_words(registration: Registration, view: int, description: ModelDescription) -> str:
    """How the C-arm looks at the bone."""
    seen = CArmView.from_pose(registration.ras_to_camera(view), description.centre_ras)
    primary = f"{'LAO' if seen.primary_deg >= 0 else 'RAO'} {abs(seen.primary_deg):.1f}"
    secondary = f"{'CRAN' if seen.secondary_deg >= 0 else 'CAUD'} {abs(seen.secondary_deg):.1f}"
    distance = seen.source_to_point_mm
    return f"{primary}, {secondary}, rotated by {seen.roll_deg:.1f} degrees; the bone's centre is {distance:.1f} mm from the source."


def _check_output(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; give a folder for the results.")


def _geometry(sdd: float | None, pixel_spacing: float | None) -> tuple[float, float] | None:
    if sdd is None and pixel_spacing is None:
        return None
    if sdd is None or pixel_spacing is None:
        raise InputError("Give both --sdd and --pixel-spacing, or neither.")
    return sdd, pixel_spacing


def main() -> None:
    """Entry point of xray-register."""
    run_command(register_xrays)
