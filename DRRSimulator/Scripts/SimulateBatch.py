"""Simulate X-rays of a CT without Slicer's window.

    Slicer --no-splash --no-main-window --python-script SimulateBatch.py -- --ct ct.nrrd --output xrays --random 100

View 1 is view_0001.tiff (16 bits: 50000 times the intensity, whose open field is 1, or 5000 times the attenuation) and its camera is
view_0001.json. The same arguments give the same files. Exit codes: 0 done, 1 failed or cancelled, 2 bad input.

On Linux without a screen, set the environment variable QT_QPA_PLATFORM=offscreen.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer

if TYPE_CHECKING:
    from DRRSimulatorLib.camera import Camera, CArmView
    from DRRSimulatorSlicer.generate import Generation

DONE, FAILED, BAD_INPUT = 0, 1, 2


def argumentParser() -> argparse.ArgumentParser:
    """The options, with the defaults of the panel."""
    from DRRSimulatorLib.camera import CArmView
    from DRRSimulatorLib.presets import PRESETS

    camera, frontal = PRESETS[0].camera, CArmView()
    parser = argparse.ArgumentParser("SimulateBatch.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--ct", type=Path, required=True, help="CT: a volume file that Slicer reads, or a folder of DICOM files")
    add("--output", type=Path, required=True, help="folder to write to; made where it is missing")
    add("--segmentation", "--labels", type=Path, help="bones: a segmentation or label map file; default: found automatically")
    add("--primary", type=float, default=frontal.primary_deg, help="C-arm angle LAO (+) / RAO (-), degrees")
    add("--secondary", type=float, default=frontal.secondary_deg, help="C-arm angle CRAN (+) / CAUD (-), degrees")
    add("--roll", type=float, default=frontal.roll_deg, help="rotation of the detector about the beam, degrees")
    add("--offset", type=float, nargs=2, default=frontal.offset_mm, metavar=("X", "Y"), help="bone's place beside the central ray, mm")
    add("--source-to-bone", type=float, default=frontal.source_to_point_mm, help="from the source to the bone's middle, mm")
    add("--views", type=Path, help="instead of one view: a list of views, .json or .csv, as for drr-simulate")
    add("--random", type=int, help="instead of one view: so many random ones")
    add("--sdd", type=float, default=camera.source_to_detector_distance, help="source-to-detector distance, mm")
    add("--pixel-spacing", type=float, default=camera.pixel_spacing[0], help="distance of the detector's pixels, mm")
    add("--size", type=int, nargs=2, default=camera.image_size, metavar=("ROWS", "COLUMNS"), help="pixels of the image")
    add("--camera", type=Path, help="instead of the three above: a camera JSON or a calibration text")
    add("--image", choices=("intensity", "attenuation"), default="intensity", help="bone dark, or bone bright")
    add("--noise", action=argparse.BooleanOptionalAction, default=True, help="quantum noise, and with --kv electronic noise")
    add("--kv", type=int, help="tube voltage, 60, 90 or 120, for its spectrum and scattered radiation; default: ideal rays of 70 keV")
    add("--seed", type=int, default=0, help="of the noise and of random views")
    return parser


def main(argv: Sequence[str]) -> int:
    """Simulate what the arguments ask for, and return the exit code."""
    findLibraries()
    from DRRSimulatorLib.errors import InputError
    from DRRSimulatorSlicer.dependencies import Dependencies, DependencyError

    try:
        arguments = argumentParser().parse_args(argv)
        camera, views = chosenCamera(arguments), chosenViews(arguments)
        Dependencies().ensure("simulation")
        ctNode = loadCT(arguments.ct)
        segmentationNode = loadSegmentation(arguments.segmentation) if arguments.segmentation is not None else None
        return generate(arguments, ctNode, segmentationNode, camera, views)
    except SystemExit as exit:  # argparse has told what is wrong, or has printed the help
        return DONE if exit.code in (None, 0) else BAD_INPUT
    except DependencyError as error:
        return tell(error, FAILED)
    except InputError as error:
        return tell(error, BAD_INPUT)


def findLibraries() -> None:
    """Make our packages importable where Slicer has not loaded the module."""
    module = str(Path(__file__).resolve().parents[1])
    if module not in sys.path:
        sys.path.append(module)


def generate(arguments: argparse.Namespace, ctNode: Any, segmentationNode: Any, camera: Camera, views: int | Sequence[CArmView]) -> int:
    """Simulate views to files and wait for them."""
    from DRRSimulatorSlicer.logic import DRRSimulatorLogic

    end: list[int] = []

    def finish(exitCode: int, message: str) -> None:
        end.append(exitCode)
        print(message, file=sys.stdout if exitCode == DONE else sys.stderr, flush=True)

    generation = DRRSimulatorLogic().generate(
        ctNode,
        arguments.output.absolute(),
        views,
        camera,
        segmentationNode,
        arguments.image,
        arguments.noise,
        arguments.seed,
        onProgress=lambda progress: print(progress, flush=True),
        onFinished=finish,
        kilovolts=arguments.kv,
    )
    try:
        wait(generation)
    except KeyboardInterrupt:
        generation.stop()
        wait(generation)
    return end[0]


def wait(generation: Generation) -> None:
    """Wait until a generation ends."""
    while generation.running:
        slicer.app.processEvents()
        time.sleep(0.01)


def chosenCamera(arguments: argparse.Namespace) -> Camera:
    """The geometry that the arguments ask for."""
    from DRRSimulatorLib.calibration import read_calibration
    from DRRSimulatorLib.camera import Camera

    if arguments.camera is not None:
        return read_calibration(arguments.camera)[0]
    return Camera.centred(arguments.sdd, arguments.pixel_spacing, tuple(arguments.size))


def chosenViews(arguments: argparse.Namespace) -> int | list[CArmView]:
    """The views that the arguments ask for, or how many random ones."""
    from DRRSimulatorLib.camera import CArmView
    from DRRSimulatorLib.errors import InputError
    from DRRSimulatorLib.view_list import read_views

    if arguments.views is not None and arguments.random is not None:
        raise InputError("Give a list of views (--views) or a number of random views (--random), not both.")
    if arguments.random is not None:
        if arguments.random < 1:
            raise InputError("The number of random views must be at least 1.")
        return arguments.random
    if arguments.views is not None:
        return read_views(arguments.views)
    offset = arguments.offset[0], arguments.offset[1]
    return [CArmView(arguments.primary, arguments.secondary, arguments.roll, offset, arguments.source_to_bone)]


def loadCT(path: Path) -> Any:
    """The volume of a file or of a folder of DICOM files, by Slicer's readers."""
    from DRRSimulatorLib.errors import InputError

    if not path.exists():
        raise InputError(f"There is no CT {path}; give a volume file or a folder of DICOM files.")
    try:
        return loadDICOM(path) if path.is_dir() else slicer.util.loadVolume(str(path), {"show": False})
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read as a CT; give a volume file or a folder of DICOM files.") from error


def loadDICOM(folder: Path) -> Any:
    """The one volume in a folder of DICOM files."""
    from DICOMLib import DICOMUtils
    from DRRSimulatorLib.errors import InputError

    with DICOMUtils.TemporaryDICOMDatabase() as database:
        DICOMUtils.importDicom(str(folder), database)
        nodes = [slicer.util.getNode(nodeID) for patient in database.patients() for nodeID in DICOMUtils.loadPatientByUID(patient)]
    volumes = [node for node in nodes if node.IsA("vtkMRMLScalarVolumeNode")]
    if len(volumes) != 1:
        raise InputError(f"{folder} must hold one CT series, but holds {len(volumes)} volumes; give a folder with one series.")
    return volumes[0]


def loadSegmentation(path: Path) -> Any:
    """The bones of a segmentation or label map file."""
    from DRRSimulatorLib.errors import InputError

    if not path.is_file():
        raise InputError(f"There is no segmentation {path}; give a segmentation or label map file.")
    try:
        return slicer.util.loadSegmentation(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read as a segmentation; give a segmentation or label map file.") from error


def tell(problem: Any, exitCode: int) -> int:
    """Print what went wrong, and give the exit code back."""
    print(f"Error: {problem}", file=sys.stderr, flush=True)
    return exitCode


def run() -> int:
    """The exit code, whatever happens: after an exception, Slicer would go on for ever without a window."""
    try:
        return main(sys.argv[1:])
    except BaseException:
        traceback.print_exc()
        return FAILED


if __name__ == "__main__":
    slicer.util.exit(run())
