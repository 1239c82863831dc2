"""xray-register: from X-rays, a CT and its model to a pose."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import numpy as np
import typer
from DRRSimulatorLib.camera import CArmView, FloatArray
from DRRSimulatorLib.commands import run_command
from DRRSimulatorLib.errors import InputError

from .body import CastsRays
from .exposed_field import Polarity
from .register import Registration

if TYPE_CHECKING:
    from DRRSimulatorLib.ct import CTVolume

    from .model import Model
    from .refine import Refiner

POORLY_KNOWN = 0.01  # of the source-to-detector distance, as a standard deviation


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
    series: Annotated[str | None, typer.Option(help="Series instance UID, where the DICOM folder holds several CTs.")] = None,
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
    from DRRSimulatorLib.bone import read_labels, segment_bone
    from DRRSimulatorLib.ct import read_ct
    from DRRSimulatorLib.patient import surface_points
    from DRRSimulatorLib.projector import Projector
    from DRRSimulatorLib.surface import bone_surface

    from .device import choose_device
    from .dicom_export import export_dicom, posed_xrays
    from .dicom_study import read_sources
    from .model import load_model
    from .orientation import AS_SEEN, Orientation
    from .orientation_trial import likely_orientation, offer_in_words
    from .plausibility import questions
    from .pose import PoseNotFoundError
    from .refine import Refiner
    from .register import register
    from .register_bones import bones_in_place, register_bones, together
    from .result_files import RESEARCH_USE, agreement, write_results
    from .search import search_range
    from .trust import judge
    from .view_files import read_start, read_views

    device = choose_device(device)
    for folder in filter(None, (output, dicom)):
        _check_output(folder)
    _check_start(model, start, refine)
    _check_bones(per_bone, model, refine, sdd_unknown)
    trained = load_model(model, device) if model else None
    description = trained.description if trained else None
    stored = Orientation(turned, mirrored)
    chosen = cast("Polarity | None", polarity and polarity.value)
    views, truth = read_views(xray, camera or [], chosen, _geometry(sdd, pixel_spacing), frame, stored)
    for path, view in zip(xray, views, strict=True):
        for question in (*view.xray.questions, *questions(view.camera, description)):
            typer.echo(f"{path.name}: {question}")
    typer.echo(f"Reading the CT {ct.name}.")
    volume = read_ct(ct, series)
    sources = read_sources(ct, series, xray, frame, stored) if dicom else None
    if description:
        description.check_ct(volume)
    typer.echo("Reading the bones' labels." if labels else "Finding the bone in the CT.")
    bones = read_labels(labels, volume) if labels else segment_bone(volume)
    if description:
        description.check_bones(bones)
    surfaces = {name: bone_surface(bones, label) for label, name in bones.names.items()}
    pose = read_start(start, views) if start else None
    typer.echo(f"Registering {len(views)} X-ray{'s' if len(views) > 1 else ''}{_how(trained is not None, pose is not None, refine)}.")
    of_bones: dict[str, Registration] = {}
    shown: CastsRays
    tried: tuple[CTVolume, Model, Refiner] | None = None  # what an X-ray is registered with the other ways round
    if per_bone and trained:
        refiner = Refiner.of_bones(volume, bones, device)
        of_bones = register_bones(views, volume, bones, trained, refiner)
        result = together(list(of_bones.values()))
        shown, surfaces = bones_in_place(of_bones, refiner, surfaces)
        centres = {name: body.centre_ras for name, body in zip(of_bones, refiner.bodies, strict=True)}
    else:
        shown = projector = Projector.from_ct(volume, bones, device)
        centre = np.array(description.centre_ras) if description else surface_points(bones).mean(axis=0)
        first = trained or (search_range(views) if pose is None else pose)
        refiner = Refiner(projector, centre, volume)
        if trained and refine and len(views) == 1 and stored == AS_SEEN:
            tried = volume, trained, refiner
        try:
            result = register(views, volume, first, refiner if refine else None, sdd_unknown=sdd_unknown)
        except PoseNotFoundError as error:
            if tried and (other := likely_orientation(views[0], *tried)):
                raise InputError(f"{error} {offer_in_words(other)}") from error
            raise
        centres = {"": centre}
    output.mkdir(parents=True, exist_ok=True)
    files = write_results(output, result, [path.name for path in xray], description, volume, surfaces, shown, truth, of_bones)
    if dicom and sources:
        objects = export_dicom(dicom, posed_xrays(result, of_bones), volume, bones, shown, sources, found=labels is None)
    for number, path in enumerate(xray):
        for name, registration in (of_bones or {"": result}).items():
            words = f"{pose_in_words(registration, number, centres[name])} {agreement(registration, number)}"
            typer.echo(f"{path.name}: {name}{': ' if name else ''}{words}")
        if angles := views[number].xray.positioner_angles:
            typer.echo(f"{path.name}: The header says {angles_in_words(*angles)} of the C-arm.")
        if sdd_unknown:
            typer.echo(f"{path.name}: {distance_in_words(result, number)}")
    if result.estimate and not of_bones:
        typer.echo(f"The points agree to {result.estimate.rms_residual_pixels:.2f} pixels of the network's image (root mean square).")
    for name, registration in (of_bones or {"": result}).items():
        _echo_verdict(name, registration)
    if tried and judge(result).level != "reliable" and (other := likely_orientation(views[0], *tried)):
        typer.echo(f"{xray[0].name}: {offer_in_words(other)}")
    typer.echo(f"Found in {sum(result.seconds.values()):.1f} s. Wrote {', '.join(file.name for file in files)} to {output}.")
    if dicom and sources:
        typer.echo(f"Wrote {', '.join(file.name for file in objects)} to {dicom}{_whose(sources.first is not None)}.")
    typer.echo(RESEARCH_USE)


def pose_in_words(registration: Registration, view: int, centre_ras: FloatArray) -> str:
    """How the C-arm looks at the middle of the bone (3,), RAS mm."""
    seen = CArmView.from_pose(registration.ras_to_camera(view), centre_ras)
    angles, distance = angles_in_words(seen.primary_deg, seen.secondary_deg), seen.source_to_point_mm
    return f"{angles}, rotated by {seen.roll_deg:.1f} degrees; the bone's centre is {distance:.1f} mm from the source."


def angles_in_words(primary_deg: float, secondary_deg: float) -> str:
    """Positioner angles, as "LAO 20.0, CAUD 8.0"."""
    primary = f"{'LAO' if primary_deg >= 0 else 'RAO'} {abs(primary_deg):.1f}"
    return f"{primary}, {'CRAN' if secondary_deg >= 0 else 'CAUD'} {abs(secondary_deg):.1f}"


def distance_in_words(registration: Registration, view: int) -> str:
    """The source-to-detector distance that was found, and how well it is known."""
    distance = registration.views[view].camera.source_to_detector_distance
    words = f"Source-to-detector distance {distance:.0f} mm, with a standard deviation of {registration.sdd_deviation * distance:.0f} mm."
    if registration.sdd_deviation > POORLY_KNOWN:
        words += (
            " The X-ray hardly tells it, and the bone's distance from the source is as uncertain: from farther away with a farther "
            "detector it looks nearly the same. An X-ray from another direction tells both."
        )
    return words


def _echo_verdict(name: str, registration: Registration) -> None:
    from .trust import judge

    verdict = judge(registration)
    typer.echo(f"Verdict{' on ' if name else ''}{name}: {verdict.level}. {verdict.reason}")


def _how(has_model: bool, has_pose: bool, refine: bool) -> str:
    """How the X-rays are registered, in words that follow."""
    if has_model:
        return " and refining the pose" if refine else ""
    return " from the given pose" if has_pose else " without a model: searching for the pose, which takes from ten seconds to a minute"


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
