"""Register X-rays without a window.

    Slicer --no-splash --no-main-window --python-script RegisterBatch.py -- --ct ct.nrrd --model ct.safetensors \\
        --xray ap.png --camera ap.json --xray lateral.png --camera lateral.json --output results

Every X-ray is registered by itself, and one that cannot be does not stop the others; with --together all are registered as one. Each
result goes into a folder of its own, named like the X-ray, and summary.csv tells of all. With --dicom, each result is written as DICOM
as well, into a folder of its own below the one given. On Linux without a display, set QT_QPA_PLATFORM=offscreen.

Exit codes: 0 all are registered; 1 one failed or was rejected, or a Python package is missing; 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import slicer

GOOD, FAILED, BAD_INPUT = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """Run the batch; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list is not None and any((options.camera, options.sdd, options.pixel_spacing)):
        parser.error("with --list, cameras and distances stand in the list")
    _findLibraries()
    from DRRSimulatorLib.errors import InputError
    from DRRSimulatorSlicer.dependencies import DependencyError
    from XRayRegistrationSlicer.batch import Batch
    from XRayRegistrationSlicer.jobs import jobsOfFiles, jobsOfTable

    try:
        if options.list is not None:
            jobs = jobsOfTable(options.list)
        else:
            jobs = jobsOfFiles(options.xray, options.camera or [], options.sdd, options.pixel_spacing)
        forceCPU = options.device == "cpu"
        shared = options.segmentation, options.labels, options.polarity, options.refine, forceCPU, options.dicom
        rows = Batch(options.ct, options.model, options.output, *shared).run(jobs, options.together)
    except InputError as error:
        print(f"Error: {error}", flush=True)
        return FAILED if isinstance(error, DependencyError) else BAD_INPUT
    return GOOD if all(row["verdict"] in ("reliable", "check") for row in rows) else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("RegisterBatch.py", description="Register X-rays with a CT. Research use only.")
    parser.add_argument("--ct", type=Path, required=True, help="CT: a file that Slicer reads, or a folder of DICOM slices")
    parser.add_argument("--model", type=Path, required=True, help="model trained on this CT, *.safetensors")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results; made where it is missing")
    xrays = parser.add_mutually_exclusive_group(required=True)
    xrays.add_argument("--xray", type=Path, action="append", help="X-ray: an image that Slicer reads, or DICOM; once for each")
    xrays.add_argument("--list", type=Path, help="CSV table of X-rays: columns xray and camera, or xray, sdd and pixel_spacing")
    parser.add_argument("--camera", type=Path, action="append", help="camera of each --xray in the same order: JSON, or XMALab's text")
    parser.add_argument("--sdd", type=float, help="source-to-detector distance of each --xray, mm; else as DICOM tells")
    parser.add_argument("--pixel-spacing", type=float, help="its pixel spacing at the detector, mm")
    bones = parser.add_mutually_exclusive_group()
    bones.add_argument("--segmentation", type=Path, help="segmentation of the bones that the model was trained with, if any")
    bones.add_argument("--labels", type=Path, help="the same as a label map, with names in a JSON file beside it")
    parser.add_argument("--polarity", choices=("intensity", "attenuation"), help="bone dark or bright; else as DICOM tells, or guessed")
    parser.add_argument("--no-refine", dest="refine", action="store_false", help="do not sharpen the poses")
    parser.add_argument("--together", action="store_true", help="register all X-rays as one; their cameras tell how they stand")
    parser.add_argument("--device", choices=("auto", "cpu"), default="auto", help="auto: a GPU where there is one")
    parser.add_argument("--dicom", type=Path, help="folder for the results as DICOM as well, which carry the patient's name (Slicer 5.12)")
    return parser


def _findLibraries() -> None:
    """Make our packages importable where Slicer has not loaded the modules: from source, each module has a folder of its own."""
    module = Path(__file__).resolve().parents[1]
    sys.path += [str(folder) for folder in (module, module.parent / "DRRSimulator") if str(folder) not in sys.path]


def _run() -> int:
    """The exit code, whatever happens: after an exception, Slicer would go on for ever without a window."""
    try:
        return main(sys.argv[1:])
    except SystemExit as end:  # of argparse, which has told why
        return end.code if isinstance(end.code, int) else FAILED
    except BaseException:
        traceback.print_exc()
        return FAILED


if __name__ == "__main__":
    slicer.util.exit(_run())
