"""How long a registration takes, step by step, from the files to the pose: in a fresh process, then again with all at hand.

    .venv/bin/python Testing/benchmarks/registration_latency.py [--json FILE]

The X-ray is one of the evaluation suite, 512 x 512 pixels in a 16-bit file with its camera beside it; the model is the default one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FRESH_PROCESSES = 3
LATER_CALLS = 15


def simulate(folder: Path) -> None:
    """Write X-rays of the evaluation suite as `drr-simulate` does."""
    import numpy as np
    import SimpleITK as sitk
    from DRRSimulatorLib.camera import save_view
    from xray_training.suites import PELVIS_200

    for case in PELVIS_200.cases(PELVIS_200.patient(), LATER_CALLS):
        pixels = np.rint(50000 * np.clip(case.view.xray.pixels, 0, 1.3)).astype(np.uint16)
        sitk.WriteImage(sitk.GetImageFromArray(pixels), str(folder / f"{case.number}.tiff"))
        save_view(folder / f"{case.number}.json", case.view.camera)


def measure(folder: Path) -> dict[str, Any]:
    """Seconds of each step in this process, which has not imported anything of ours yet."""
    steps: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        steps[name] = time.perf_counter() - start
        return result

    def imports() -> None:
        import poselib  # noqa: F401
        import torch  # noqa: F401
        import warp  # noqa: F401
        import XRayRegistrationLib.network
        import XRayRegistrationLib.register  # noqa: F401

    timed("import of PyTorch, Warp and the library", imports)
    from DRRSimulatorLib.calibration import read_calibration
    from DRRSimulatorLib.ct import read_ct
    from DRRSimulatorLib.patient import prepare_patient
    from xray_training.suites import PELVIS_CT
    from XRayRegistrationLib.model import DEFAULT_MODEL, load_model
    from XRayRegistrationLib.refine import Refiner
    from XRayRegistrationLib.register import register
    from XRayRegistrationLib.view import View
    from XRayRegistrationLib.xray import read_xray

    ct = timed("CT from its file", lambda: read_ct(PELVIS_CT))
    patient = timed("bone, surface and ray caster", lambda: prepare_patient(ct))
    model = timed("model from its file", lambda: load_model(DEFAULT_MODEL))
    refiner = Refiner(patient.projector, model.description.centre_ras, patient.ct)

    def read(number: int) -> View:
        return View(read_xray(folder / f"{number}.tiff", "intensity"), read_calibration(folder / f"{number}.json")[0])

    view = timed("first X-ray from its file", lambda: read(1))
    timed("first pose of the network", lambda: register([view], ct, model))
    timed("first refined pose", lambda: register([view], ct, model, refiner))
    later: dict[str, list[float]] = {}
    for number in range(1, LATER_CALLS + 1):
        start = time.perf_counter()
        view = read(number)
        seconds = {"X-ray from its file": time.perf_counter() - start}
        start = time.perf_counter()
        unrefined = register([view], ct, model)
        seconds["X-ray to unrefined pose"] = time.perf_counter() - start
        seconds["X-ray file to unrefined pose"] = seconds["X-ray from its file"] + seconds["X-ray to unrefined pose"]
        names = {"normalise": "normalising the X-ray", "network": "network", "pose": "solving for the pose", "refine": "refinement"}
        seconds |= {f"  {names[step]}": value for step, value in unrefined.seconds.items()}
        start = time.perf_counter()
        refined = register([view], ct, model, refiner)
        seconds["X-ray to refined pose"] = time.perf_counter() - start
        seconds["  refinement"] = refined.seconds["refine"]
        for name, value in seconds.items():
            later.setdefault(name, []).append(value)
    return {"first": steps, "later": later}


def main() -> None:
    """Measure in fresh processes, print a table of medians, and write the JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file for the medians, seconds")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder))
        command = [sys.executable, __file__, "--measure", folder]
        runs = [json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(FRESH_PROCESSES)]
    medians = {
        "first": {name: statistics.median(run["first"][name] for run in runs) for name in runs[0]["first"]},
        "later": {name: statistics.median(v for run in runs for v in run["later"][name]) for name in runs[0]["later"]},
    }
    for part, title in (("first", "in a fresh process"), ("later", "later, median")):
        print(f"{title:45} ms")
        for name, seconds in medians[part].items():
            print(f"  {name:43} {1000 * seconds:.0f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(medians, indent=1) + "\n")


if __name__ == "__main__":
    main()
