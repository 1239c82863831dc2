"""drr-simulate: simulated X-rays of a CT, with their cameras and scene coordinates."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from .calibration import read_calibration
from .camera import Camera, CArmView, FloatArray, FloatImage, ViewRange, sample_poses, save_view
from .commands import SERIES_HELP, run_command
from .detector import OPEN_FIELD_PHOTONS
from .display import Display, log_transform, window_to_16_bit
from .errors import InputError
from .exposed_field import Collimation, exposure
from .files import atomic_files, only_writer
from .image_file import write_picture, write_slice
from .physics import Acquisition, realistic, simulate_xray
from .presets import PRESETS
from .progress import Cancelled, print_progress
from .scatter import BEHIND_GRID
from .soft_tissue import SoftTissue
from .tools import sample_tools
from .view_list import read_views

FRONTAL = CArmView()
CAMERA = PRESETS[0].camera

# The 65535 grey values of a picture: noise needs room above the open field, and no ray through a patient is attenuated by exp(-13).
GREY_VALUES_PER_UNIT = {"intensity": 50000, "attenuation": 5000}
EXPOSED = 0.9  # share of the open field from which a display shows a pixel that is not behind the collimator


class ImageFormat(str, Enum):
    """File formats of the images."""

    tiff = "tiff"
    png = "png"
    nrrd = "nrrd"


class ImageKind(str, Enum):
    """What the images show."""

    intensity = "intensity"
    attenuation = "attenuation"
    display = "display"


class Opening(str, Enum):
    """Shape of the collimator's opening."""

    none = "none"
    round = "round"
    rectangular = "rectangular"


def simulate(
    ct: Annotated[Path, typer.Argument(help="CT: a DICOM folder, NIfTI, NRRD or MHA file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to; made where it is missing.")],
    labels: Annotated[Path | None, typer.Option(help="Label map of the bones; default: segmented automatically.")] = None,
    series: Annotated[str | None, typer.Option(help=SERIES_HELP)] = None,
    primary: Annotated[float, typer.Option(help="C-arm angle LAO (+) / RAO (-), degrees.")] = FRONTAL.primary_deg,
    secondary: Annotated[float, typer.Option(help="C-arm angle CRAN (+) / CAUD (-), degrees.")] = FRONTAL.secondary_deg,
    roll: Annotated[float, typer.Option(help="Rotation of the detector about the beam, degrees.")] = FRONTAL.roll_deg,
    offset: Annotated[tuple[float, float], typer.Option(help="Bone's place beside the central ray, X Y, mm.")] = FRONTAL.offset_mm,
    source_to_bone: Annotated[float, typer.Option(help="From the source to the bone's middle, mm.")] = FRONTAL.source_to_point_mm,
    views: Annotated[Path | None, typer.Option(
        help="Views from a list, .json or .csv: primary_deg, secondary_deg, roll_deg, offset_x_mm, offset_y_mm, source_to_bone_mm."
    )] = None,
    random: Annotated[int | None, typer.Option(min=1, help="So many random views, of the ranges that scr-train uses.")] = None,
    sdd: Annotated[float, typer.Option(help="Source-to-detector distance, mm.")] = CAMERA.source_to_detector_distance,
    pixel_spacing: Annotated[float, typer.Option(help="Distance of the detector's pixels, mm.")] = CAMERA.pixel_spacing[0],
    size: Annotated[tuple[int, int], typer.Option(help="Rows and columns of the image.")] = CAMERA.image_size,
    camera_file: Annotated[Path | None, typer.Option(
        "--camera", help="Geometry from a file instead of the three above: camera JSON or calibration text; a pose in it is not used."
    )] = None,
    image: Annotated[ImageKind, typer.Option(
        help="Intensity (bone dark); attenuation: its -log (bone bright); display: the -log with equalised contrast and enhanced edges."
    )] = ImageKind.intensity,
    image_format: Annotated[ImageFormat, typer.Option("--format", help="File format of the images.")] = ImageFormat.tiff,
    noise: Annotated[bool, typer.Option(help="Quantum noise, and with --kv electronic noise.")] = True,
    photons: Annotated[float, typer.Option(min=1, max=1e12, help="Photons in a pixel of the open field.")] = OPEN_FIELD_PHOTONS,
    kv: Annotated[int | None, typer.Option(
        help="Tube voltage, 60, 90 or 120, for a C-arm's spectrum, scatter and electronic noise; default: an ideal X-ray, 70 keV."
    )] = None,
    scatter: Annotated[bool | None, typer.Option("--scatter/--no-scatter", help="Scattered radiation; default: with --kv.")] = None,
    collimation: Annotated[Opening, typer.Option(help="Cover the edge of the image by a collimator.")] = Opening.none,
    tools: Annotated[int, typer.Option(min=0, max=100, help="So many random wires, screws and plates beside the bone.")] = 0,
    soft_tissue: Annotated[float | None, typer.Option(
        help="Make up a limb round bones that were cut out of their CT: its thickness, mm."
    )] = None,
    scene_coordinates: Annotated[bool, typer.Option("--scene-coordinates", help="Write where the rays enter and leave each bone.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random; image n depends on the seed and n only.")] = 0,
    stop_file: Annotated[Path | None, typer.Option(help="Stop, with exit code 1, as soon as this file exists.")] = None,
) -> None:  # fmt: skip
    """Simulate X-rays of a CT.

    View 1 is view_0001.tiff and its camera is view_0001.json. TIFF and PNG hold 16 bits: 50000 times the intensity, whose open field
    is 1, or 5000 times the attenuation, or a display's grey values. NRRD holds the values themselves, as a slice that lies where the
    detector is.

    Scene coordinates of label 1 are view_0001_label1_entry.nrrd and view_0001_label1_exit.nrrd: vectors of RAS mm, NaN off the bone.
    """
    from .bone import read_labels, segment_bone
    from .ct import read_ct
    from .patient import surface_points
    from .projector import Projector

    camera = Camera.centred(sdd, pixel_spacing, size)
    if camera_file is not None:
        if camera != CAMERA:
            raise InputError("Give the geometry by --camera, or by --sdd, --pixel-spacing and --size.")
        camera, _ = read_calibration(camera_file)
    acquisition = _acquisition(camera, kv, scatter, collimation, soft_tissue, photons if noise else None)
    single = CArmView(primary, secondary, roll, offset, source_to_bone)
    if (views is not None) + (random is not None) + (single != FRONTAL) > 1:
        raise InputError("Give one of these: a list of views (--views), a number of random views (--random), or the angles of one view.")
    volume = read_ct(ct, series)
    bones = read_labels(labels, volume) if labels else segment_bone(volume)
    points = surface_points(bones)
    chosen = read_views(views) if views else [single]
    # One stream of random numbers for each image: it stays the same when there are more images or fewer.
    streams = [np.random.default_rng([seed, number + 1]) for number in range(random or len(chosen))]
    if random:
        poses = np.concatenate([sample_poses(1, camera, points, ViewRange(), stream) for stream in streams])
    else:
        poses = np.stack([view.ras_to_camera(points.mean(axis=0)) for view in chosen])
    _check_depths(poses, points.mean(axis=0), camera.source_to_detector_distance)
    projector = Projector.from_ct(volume, bones)
    _make_folder(output)
    with only_writer(output), print_progress("simulating", len(poses)) as show:
        for number, (pose, stream) in enumerate(zip(poses, streams, strict=True), 1):
            if stop_file is not None and stop_file.exists():
                raise Cancelled(f"Stopped after {number - 1} of {len(poses)} X-rays.")
            name = f"view_{number:04d}"
            taken = replace(acquisition, tools=sample_tools(tools, camera, _depths(pose, points.mean(axis=0)), stream))
            intensity = simulate_xray(projector.line_integrals(camera, pose[None]).numpy()[0], camera, stream, taken)
            with atomic_files(output, last=f"{name}.json") as written:  # an image never stands beside another one's camera
                stem = written / name
                _write_image(stem, intensity, image.value, image_format.value, camera, pose, acquisition.collimation)
                save_view(stem.with_suffix(".json"), camera, pose)
                if scene_coordinates:
                    _write_coordinates(stem, projector.scene_coordinates(camera, pose[None]).numpy()[0], list(bones.names), camera, pose)
            show(number, "")
    typer.echo(f"X-rays written to {output}: {len(poses)}.")


def _acquisition(
    camera: Camera, kv: int | None, scatter: bool | None, opening: Opening, soft_tissue_mm: float | None, photons: float | None
) -> Acquisition:
    """What the options ask for, but for the tools, which are others in every image."""
    taken = replace(Acquisition() if kv is None else realistic(kv), photons=photons)
    if scatter is not None:
        taken = replace(taken, scatter=BEHIND_GRID if scatter else None)
    if opening is not Opening.none:
        taken = replace(taken, collimation=Collimation.inside("round" if opening is Opening.round else "rectangular", camera))
    return taken if soft_tissue_mm is None else replace(taken, soft_tissue=SoftTissue(soft_tissue_mm))


def _depths(poses: FloatArray, point: FloatArray) -> Any:
    """Depth of a point in cameras of poses (..., 4, 4), mm."""
    return poses[..., 2, :3] @ point + poses[..., 2, 3]


def _check_depths(poses: FloatArray, centre: FloatArray, sdd: float) -> None:
    """Refuse views that no C-arm can have."""
    depths = _depths(poses, centre)
    possible = (depths > 0) & (depths < sdd)
    if not possible.all():
        raise InputError(
            f"View {np.argmin(possible) + 1} is impossible: the bone's middle must lie between the source and the detector, which "
            f"is {sdd:g} mm away."
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made: {error.strerror}.") from error


def _write_image(
    stem: Path,
    intensity: FloatImage,
    kind: str,
    image_format: str,
    camera: Camera,
    ras_to_camera: FloatArray,
    collimation: Collimation | None,
) -> None:
    path = stem.with_suffix(f".{image_format}")
    if kind == "display":
        field = exposure(collimation, camera) > EXPOSED if collimation else None
        image: npt.NDArray[Any] = Display().apply(intensity, camera.pixel_spacing, field)
    else:
        image = intensity if kind == "intensity" else log_transform(intensity)
    if image_format == "nrrd":
        write_slice(path, image, camera.detector_to_ras(ras_to_camera))
    else:
        grey = image if kind == "display" else window_to_16_bit(image, 0, 65535 / GREY_VALUES_PER_UNIT[kind])
        write_picture(path, grey, camera.pixel_spacing)


def _write_coordinates(
    stem: Path, coordinates: npt.NDArray[np.float32], labels: list[int], camera: Camera, ras_to_camera: FloatArray
) -> None:
    """Write the channels (6 * labels, rows, columns) of `Projector.scene_coordinates` as one vector image per label and surface."""
    to_ras = camera.detector_to_ras(ras_to_camera)
    surfaces = [f"label{label}_{surface}" for label in labels for surface in ("entry", "exit")]
    for surface, points in zip(surfaces, coordinates.reshape(-1, 3, *camera.image_size), strict=True):
        write_slice(stem.with_name(f"{stem.name}_{surface}.nrrd"), np.moveaxis(points, 0, -1), to_ras)


def main() -> None:
    """Entry point of drr-simulate."""
    run_command(simulate)


if __name__ == "__main__":
    main()
