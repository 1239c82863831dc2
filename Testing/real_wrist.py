"""The real wrist: train a model of the radius and register the real radiographs, with the commands that every user has.

Data: folder `wrist_biplane` with radiographs, calibration, bone volumes and `reference_poses.json` (Autoscoper's sample data, Brown
University; Akhbari et al., J Biomech 2019). The reference is a bronze standard fitted to the same images in both views.

    python Testing/real_wrist.py WRIST_BIPLANE OUTPUT [--steps N]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from DRRSimulatorLib.calibration import read_calibration
from DRRSimulatorLib.camera import FloatArray
from XRayRegistrationLib.metrics import PoseError, environment, pose_error

BONE = "rad_dcm_cropped"
FRAMES = ("0099", "0158")
CAMERAS = ("cam01", "cam02")

# Bone coordinates are voxel indices from the volume's middle, in mm. Turned half around their second axis they read as RAS with the
# hand towards the head, which puts both cameras at LAO/RAO angles within 90 degrees.
RAS_TO_BONE = np.diag([-1.0, 1.0, -1.0, 1.0])
BONE_TO_LPS = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0)

# The cameras see 0.285 rad; the training image is the middle half of that at 256 pixels for the whole, as the network does not
# depend on where in the image the bone is.
TRAINING = (
    *("--sdd", "1020", "--detector-mm", "148", "--image-size", "128"),
    *("--primary", "90", "--secondary", "20", "--roll", "20", "--in-plane", "40", "--depth", "950", "1150"),
)


def command(name: str) -> str:
    """A command of the environment that runs this script."""
    return str(Path(sys.executable).parent / name)


def prepare(data: Path, output: Path, voxel_mm: list[float]) -> tuple[Path, Path]:
    """The bone's volume as a CT in HU and as a label map, both NRRD with their geometry."""
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(data / "models" / f"{BONE}.tif"))).astype(np.int16)
    size = np.array(values.shape[::-1])
    paths = (output / "radius.nrrd", output / "radius_labels.nrrd")
    # The scanner's 12 bits are HU + 1024; the cut-out's background is air.
    for path, array in zip(paths, (np.where(values > 0, values - 1024, -1000), (values > 0).astype(np.uint8)), strict=True):
        image = sitk.GetImageFromArray(array.astype(np.int16 if array.dtype != np.uint8 else np.uint8))
        image.SetSpacing(voxel_mm)
        image.SetDirection(BONE_TO_LPS)
        image.SetOrigin((-np.array(BONE_TO_LPS).reshape(3, 3) @ ((size - 1) / 2 * voxel_mm)).tolist())
        sitk.WriteImage(image, str(path), useCompression=True)
    return paths


def register(data: Path, output: Path, ct: Path, labels: Path, model: Path, frame: str, cameras: tuple[str, ...]) -> FloatArray | None:
    """The pose RAS to world that xray-register finds in one or both views; None where it finds none."""
    folder = output / f"frame_{frame}_{'_'.join(cameras)}"
    arguments = ["--ct", ct, "--labels", labels, "--model", model, "--output", folder]
    for camera in cameras:
        arguments += ["--xray", data / "radiographs" / f"xr_rad_uln_{camera}_UND.{frame}.tif"]
        arguments += ["--camera", data / "calibration" / f"xr_calib_wrist_{camera}.txt"]
    status = subprocess.run([command("xray-register"), *map(str, arguments)], check=False).returncode
    if status == 2:
        return None
    if status != 0:
        raise SystemExit(status)
    return np.array(json.loads((folder / "result.json").read_text())["ras_to_rig"])


def compare(data: Path, found: FloatArray, reference: FloatArray, cameras: tuple[str, ...], points: FloatArray) -> PoseError:
    """Errors of a pose RAS to world, seen by the first camera."""
    camera, world_to_camera = read_calibration(data / "calibration" / f"xr_calib_wrist_{cameras[0]}.txt")
    assert world_to_camera is not None
    return pose_error(world_to_camera @ found, world_to_camera @ reference, camera, points, points.mean(axis=0))


def main() -> None:
    """Prepare, train, register, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    arguments = parser.parse_args()
    data, output = arguments.data, arguments.output
    output.mkdir(parents=True, exist_ok=True)
    reference = json.loads((data / "reference_poses.json").read_text())
    ct, labels = prepare(data, output, reference["voxel_mm"])
    model = output / "radius.safetensors"
    if not model.is_file():
        options = ["--labels", str(labels), "--steps", str(arguments.steps), *TRAINING]
        subprocess.run([command("scr-train"), str(ct), "-o", str(model), *options], check=True)
    label_image = sitk.ReadImage(str(labels))
    voxels = np.argwhere(sitk.GetArrayFromImage(label_image) > 0)[::50, ::-1]
    points = np.array([label_image.TransformIndexToPhysicalPoint(v.tolist()) for v in voxels]) * (-1, -1, 1)
    rows = []
    for frame in FRAMES:
        pose = next(p for p in reference["poses"] if (p["bone"], p["frame"]) == (BONE, frame))
        ras_to_world = np.array(pose["bone_to_world"]) @ RAS_TO_BONE
        for cameras in ((CAMERAS[0],), (CAMERAS[1],), CAMERAS):
            found = register(data, output, ct, labels, model, frame, cameras)
            error = compare(data, found, ras_to_world, cameras, points) if found is not None else None
            rows.append({"frame": frame, "cameras": cameras, "error": asdict(error) if error else None})
            print(f"frame {frame}, {' and '.join(cameras)}: {error or 'no pose found'}")
    (output / "wrist.json").write_text(
        json.dumps({"cases": rows, "reference_sigma": "see reference_poses.json", **environment(0)}, indent=1)
    )


if __name__ == "__main__":
    main()
