"""What a projector under comparison must do, and the process that serves it to the driver.

A worker is a process with one projector in it, pinned to its share of the processor. It reads one JSON object a line from its
standard input and answers each with one on its standard output; what libraries print goes to standard error. Nothing here needs
more than numpy, so that workers run in the peers' environment as well.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
FloatImage = npt.NDArray[np.float32]

DRR = "DRR"
SCENE_COORDINATES = "DRR and scene coordinates"
DERIVATIVES = "DRR and derivatives"

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


class NotOfferedError(Exception):
    """The projector has no such function, or is not installed."""


@dataclass(frozen=True, eq=False)
class Patient:
    """What the rays go through.

    Attributes:
        attenuation: linear attenuation, 1/mm, float32 [k, j, i]; its outermost voxels are 0.
        occupancy: field of the bone, float32 [k, j, i], whose 0.5 level is the bone's surface.
        ijk_to_ras: 4x4 from voxel (i, j, k, 1) to RAS mm.
    """

    attenuation: FloatImage
    occupancy: FloatImage
    ijk_to_ras: FloatArray


@dataclass(frozen=True, eq=False)
class View:
    """An X-ray camera and its pose, with the names and conventions of ``DRRSimulatorLib.camera``."""

    source_to_detector_distance: float
    pixel_spacing: tuple[float, float]
    image_size: tuple[int, int]
    principal_point: tuple[float, float]
    ras_to_camera: FloatArray

    @property
    def camera_to_ras(self) -> FloatArray:
        """4x4; its columns are the camera's axes and the source."""
        return np.linalg.inv(self.ras_to_camera)


class Engine(ABC):
    """One projector. It may prepare what it likes when patient and view are set: only `render` is timed."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:  # noqa: B027
        """Make ready; the arguments are those that the driver starts the worker with."""

    @abstractmethod
    def version(self) -> str:
        """Name and version of what does the work.

        Raises:
            NotOfferedError: if it is not installed.
        """

    @abstractmethod
    def set_patient(self, patient: Patient) -> None:
        """Take a volume."""

    @abstractmethod
    def set_view(self, view: View) -> None:
        """Take a camera and pose; the patient is set before."""

    @abstractmethod
    def render(self, work: str) -> Any:
        """Compute the work anew and return its result in the projector's own type.

        Raises:
            NotOfferedError: if the projector cannot do this work.
        """

    @abstractmethod
    def image(self, result: Any) -> FloatImage:
        """The line integrals [row, column] in a result of `render`."""

    def timed_render(self, work: str) -> tuple[Any, float]:
        """A result of `render` and the seconds that it took."""
        start = time.perf_counter()
        result = self.render(work)
        return result, time.perf_counter() - start


def answer(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """Carry out one request: ``version``, ``set_patient``, ``set_view`` or ``render``; where ``image`` names a file, it gets the image."""
    try:
        if request["command"] == "version":
            return {"version": engine.version()}
        if request["command"] == "set_patient":
            attenuation, occupancy = (np.load(request[name], mmap_mode="r") for name in ("attenuation", "occupancy"))
            engine.set_patient(Patient(attenuation, occupancy, np.array(request["ijk_to_ras"])))
            return {}
        if request["command"] == "set_view":
            values = {**request["camera"], "ras_to_camera": np.array(request["ras_to_camera"])}
            for name in ("pixel_spacing", "image_size", "principal_point"):
                values[name] = tuple(values[name])
            engine.set_view(View(**values))
            return {}
        before = _peak_bytes()
        result, seconds = engine.timed_render(request["work"])
        peak = _peak_bytes()
        if "image" in request:
            np.save(Path(request["image"]), engine.image(result))
        return {"seconds": seconds, "peak_bytes": peak, "grown_bytes": peak - before}
    except NotOfferedError as error:
        return {"not_offered": str(error)}


def _peak_bytes() -> int:
    """The most memory that this process has had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def serve(engine: Engine, requests: Iterable[str], answers: TextIO) -> None:
    """Answer JSON lines until there are no more."""
    for line in requests:
        print(json.dumps(answer(engine, json.loads(line))), file=answers, flush=True)


def run_worker(engine: type[Engine]) -> None:
    """Serve standard input and output; the command's arguments are the number of threads and what the engine takes.

    The engine imports its libraries when it is made: by then the process is pinned, and who counts processors counts these.
    """
    threads = int(sys.argv[1])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(engine(sys.argv[2:]), sys.stdin, answers)
