"""The suites by their names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from DRRSimulatorLib.errors import InputError

from .deepfluoro import open_deepfluoro
from .deepfluoro_suite import DeepFluoroSuite
from .reference_suites import PELVIS_2700, PELVIS_TWO_VIEW
from .suites import DEMO, PELVIS_200, Suite
from .wrist import WristSuite

SIMULATED = {suite.name: suite for suite in (PELVIS_200, DEMO)}
REFERENCE = {suite.name: suite for suite in (PELVIS_2700, PELVIS_TWO_VIEW)}
REAL = ("wrist-real", "deepfluoro")


def find_suite(name: str, ct_fingerprint: str, data: Path | None = None, specimen: str | None = None, cache: Path | None = None) -> Suite:
    """A suite by its name.

    Args:
        name: of the suite.
        ct_fingerprint: of the CT that the model is for; it tells the bone of the wrist.
        data: folder or file of a suite of real X-rays.
        specimen: which of those in the DeepFluoro file.
        cache: folder where test images are kept; for the suites that have a physics of their own.

    Raises:
        InputError: if there is no such suite, or its data are missing or cannot be used.
    """
    if name in SIMULATED:
        return SIMULATED[name]
    if name in REFERENCE:
        return replace(REFERENCE[name], cache=cache)
    if name not in REAL:
        raise InputError(f"There is no suite {name!r}; choose one of {', '.join([*SIMULATED, *REFERENCE, *REAL])}.")
    if data is None:
        raise InputError(f"The suite {name} has real X-rays, which do not come with this software; give their place with --data.")
    if name == "wrist-real":
        return WristSuite.of_model(data, ct_fingerprint)
    if specimen is None:
        with open_deepfluoro(data) as file:
            raise InputError(f"Choose one of the specimens of {data.name} with --specimen: {', '.join(file.specimens)}.")
    return DeepFluoroSuite.of_specimen(data, specimen)
