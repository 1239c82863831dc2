"""A long soak: registrations one after the other in one process, in which memory and what lives in it must not grow.

    .venv/bin/python Testing/soak.py --json soak.jsonl [--registrations 1000] [--minutes 30] [--clients 2] [--slicer]

Simulated X-rays of the sample CT are registered by the default model, with refinement. Each registration is a line of the file, so a
stop loses nothing; the summary is printed at the end, and by --summary alone of a file that is there. With --slicer they are registered by
the Slicer module's logic in the test host, into one scene.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

WARM_UP = 50  # registrations; growth counts from then on
MEDIAN_OF = 10  # registrations, as a single reading jumps
COUNT_EVERY = 25  # registrations; counting collects garbage, which no user does after each
Prepare = Callable[[int], Callable[[], dict[str, int]]]  # makes X-ray n, from 1; then registers it and counts, such as nodes


@dataclass(frozen=True)
class Reading:
    """What was seen after a registration.

    Attributes:
        client: which process did it, from 1.
        number: of the registration, from 1.
        seconds: that it took.
        resident_mb: memory of the process.
        counts: of what must not pile up, by its name.
    """

    client: int
    number: int
    seconds: float
    resident_mb: float
    counts: dict[str, int]


def resident_mb() -> float:
    """Memory of this process on Linux."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def live_objects() -> dict[str, int]:
    """What a leak in Python would pile up."""
    import torch

    gc.collect()
    tensors = sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())
    return {"tensors": tensors, "threads": threading.active_count(), "open files": len(os.listdir("/proc/self/fd"))}


def soak(
    prepare: Prepare, numbers: Iterable[int], client: int = 1, until: float = float("inf"), count_every: int = COUNT_EVERY
) -> Iterator[Reading]:
    """Register X-rays until a time of `time.monotonic`, and read after each; objects are counted after the first, and every so often."""
    objects: dict[str, int] = {}
    for number in numbers:
        if time.monotonic() >= until:
            return
        register = prepare(number)
        start = time.perf_counter()
        counts = register()
        seconds = time.perf_counter() - start
        resident = resident_mb()
        if not objects or number % count_every == 0:
            objects = live_objects()
        yield Reading(client, number, seconds, resident, objects | counts)


def in_library() -> Prepare:
    """Registers by the library, as xray-register does."""
    from xray_training.suites import PELVIS_200
    from XRayRegistrationLib.model import DEFAULT_MODEL, load_model
    from XRayRegistrationLib.pose import PoseNotFoundError
    from XRayRegistrationLib.refine import Refiner
    from XRayRegistrationLib.register import register

    patient, model = PELVIS_200.patient(), load_model(DEFAULT_MODEL)
    refiner = Refiner(patient.projector, model.description.centre_ras, patient.ct)

    def prepare(number: int) -> Callable[[], dict[str, int]]:
        case = PELVIS_200.case((number - 1) % PELVIS_200.count + 1, patient)

        def register_case() -> dict[str, int]:
            try:
                register(case.views, patient.ct, model, refiner)
            except PoseNotFoundError:
                return {"without a pose": 1}
            return {"without a pose": 0}

        return register_case

    return prepare


def in_slicer() -> Prepare:
    """Registers by the logic of the module XRayRegistration in the test host; an X-ray replaces the last one in its node."""
    from slicer_host.application import start

    root = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(root / module) for module in ("DRRSimulator", "XRayRegistration")]
    application = start()
    import numpy as np
    import slicer
    from DRRSimulatorLib.ct import read_ct
    from DRRSimulatorLib.errors import InputError
    from xray_training.suites import PELVIS_200, PELVIS_CT
    from XRayRegistrationSlicer.logic import XRayRegistrationLogic

    patient, logic, ct = PELVIS_200.patient(), XRayRegistrationLogic(), read_ct(PELVIS_CT)
    ct_node = slicer.util.addVolumeFromArray(ct.hu, ct.ijk_to_ras, "CT")
    blank = np.zeros((1, *PELVIS_200.camera.image_size), dtype=np.float32)
    xray_node = slicer.util.addVolumeFromArray(blank, np.diag([-0.5, -0.5, 1.0, 1.0]), "AP")
    logic.setGeometry(xray_node, PELVIS_200.camera)

    def prepare(number: int) -> Callable[[], dict[str, int]]:
        case = PELVIS_200.case((number - 1) % PELVIS_200.count + 1, patient)
        slicer.util.updateVolumeFromArray(xray_node, case.view.xray.pixels[None])

        def register_case() -> dict[str, int]:
            with suppress(InputError):  # no pose was found
                logic.registerXRay(xray_node, ct_node, polarity="intensity")
            application.processEvents()
            return scene_counts()

        return register_case

    return prepare


def scene_counts() -> dict[str, int]:
    """Nodes of the scene, and observers of it and of them."""
    import slicer

    nodes = [slicer.mrmlScene.GetNthNode(number) for number in range(slicer.mrmlScene.GetNumberOfNodes())]
    return {"nodes": len(nodes), "observers": sum(map(observers, (slicer.mrmlScene, *nodes)))}


def observers(thing: Any) -> int:
    """Observers of a VTK object, which numbers them from 1 as they come; some of the numbers are gone."""
    number = thing.AddObserver("UserEvent", lambda *unused: None)
    thing.RemoveObserver(number)
    return sum(thing.GetCommand(earlier) is not None for earlier in range(1, number))


def summary(readings: Sequence[Reading]) -> dict[str, Any]:
    """Of one client: how many registrations, their time, and what grew after the first `WARM_UP` of them, or after half of fewer."""
    warm = min(WARM_UP, len(readings) // 2)
    first, last = readings[max(0, warm - MEDIAN_OF) : warm], readings[-MEDIAN_OF:]
    before, after = (statistics.median(reading.resident_mb for reading in some) for some in (first, last))
    seconds = [reading.seconds for reading in readings]
    names = first[-1].counts.keys() & last[-1].counts.keys()
    return {
        "registrations": len(readings),
        "counted_from": warm,
        "resident_mb_before": round(before, 1),
        "resident_mb_after": round(after, 1),
        "growth_percent": round(100 * (after / before - 1), 2),
        "seconds_median": round(statistics.median(seconds), 3),
        "seconds_p95": round(sorted(seconds)[int(0.95 * (len(seconds) - 1))], 3),
        "counts_before": {name: first[-1].counts[name] for name in sorted(names)},
        "counts_after": {name: last[-1].counts[name] for name in sorted(names)},
    }


def read(path: Path) -> dict[int, list[Reading]]:
    """The readings of a file, by client."""
    clients: dict[int, list[Reading]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        reading = Reading(**json.loads(line))
        clients.setdefault(reading.client, []).append(reading)
    return clients


def _work(client: int, arguments: argparse.Namespace) -> None:
    """One client: it appends its readings to the file, each as one short write."""
    prepare = in_slicer() if arguments.slicer else in_library()
    until = time.monotonic() + 60 * arguments.minutes
    with arguments.json.open("a", encoding="utf-8") as file:
        for reading in soak(prepare, range(1, arguments.registrations + 1), client, until):
            file.write(json.dumps(asdict(reading)) + "\n")
            file.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", type=Path, required=True, help="file for a line of each registration")
    parser.add_argument("--registrations", type=int, default=1000, help="of each client")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end after so many")
    parser.add_argument("--clients", type=int, default=1, help="processes at the same time")
    parser.add_argument("--slicer", action="store_true", help="by the Slicer module in the test host")
    parser.add_argument("--summary", action="store_true", help="only summarise the file")
    arguments = parser.parse_args()
    if not arguments.summary:
        arguments.json.write_text("", encoding="utf-8")
        context = multiprocessing.get_context("spawn")
        clients = [context.Process(target=_work, args=(number, arguments)) for number in range(1, arguments.clients + 1)]
        for process in clients:
            process.start()
        for process in clients:
            process.join()
    for client, readings in sorted(read(arguments.json).items()):
        print(json.dumps({"client": client} | summary(readings), indent=1))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
