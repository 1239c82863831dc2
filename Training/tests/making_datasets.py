"""Small data sets for tests: images of 32 x 32 pixels, made by threads of this process, which start at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import distributed
from DRRSimulatorLib.camera import Camera
from xray_training.dataset.finish import finish
from xray_training.dataset.generate import Failure, Generation, Settings
from xray_training.dataset.plan import Sampling, SplitRule
from xray_training.dataset.simulate import ViewSettings
from xray_training.dataset.sources import CTSource

CAMERA = Camera.centred(1020.0, 297 / 32, (32, 32))
VIEWS = 40  # a whole shard and a part of one


@contextmanager
def threads(scheduler: str = "local", workers: int | None = None) -> Iterator[Any]:
    """Takes the place of `cluster.connected`."""
    options = {"processes": False, "threads_per_worker": 1, "dashboard_address": None, "memory_limit": None}
    # By its own name for them, threads would ask the system for this machine's address in the network.
    address = {"protocol": "tcp://", "host": "127.0.0.1"}
    with distributed.Client(n_workers=workers or 1, **options, **address) as client:
        yield client


def settings(views: int = VIEWS, split: SplitRule = SplitRule.view, seed: int = 0) -> Settings:
    return Settings(ViewSettings(views, seed, Sampling.mixed, CAMERA), split)


def generate(folder: Path, sources: list[CTSource], wanted: Settings, workers: int = 1) -> list[Failure]:
    """Make a data set; gives what failed."""
    generation = Generation(folder, sources, wanted)
    with threads(workers=workers) as client:
        outcome = generation.run(client, lambda done, text: None, lambda: False)
    finish(generation, outcome)
    return outcome.failures
