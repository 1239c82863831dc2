"""What a large data set costs, from the cost of its units measured here: core-hours, storage, network, and the training on it.

    python Testing/benchmarks/dataset_costs.py [--size 512] [--patients 100] [--views 10000] [CT ...]

For every CT two shards of views are made and read again, in one process, and the training on them is timed. Times are of the processor
(core-seconds), so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from DRRSimulatorLib.camera import Camera
from torch.utils.flop_counter import FlopCounterMode
from xray_training.cli_train import DETECTOR_MM
from xray_training.dataset.layout import ARRAYS, VIEWS_PER_SHARD, create_root
from xray_training.dataset.plan import Sampling
from xray_training.dataset.simulate import ViewSettings, prepare, simulate_shard
from xray_training.dataset.sources import CTSource
from xray_training.dataset.torch_dataset import TorchViews
from xray_training.settings import TrainingSettings
from xray_training.stored_training import StoredTrainingPatient, stored_camera
from xray_training.suites import PELVIS_CT
from xray_training.train import Trainer
from xray_training.views import STEPS_PER_ROUND

SHARDS = 2
MILLION = 1e6


def core_seconds(work: Callable[[], Any]) -> float:
    """Time of all processors that a function takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def read_all(views: TorchViews) -> None:
    """Read every view once."""
    for number in range(len(views)):
        views[number]


def measure(ct: Path, size: int, folder: Path) -> dict[str, float]:
    """Costs of a CT and of a view of it."""
    create_root(folder)
    path = folder / ARRAYS / "patient"
    settings = ViewSettings(SHARDS * VIEWS_PER_SHARD, 0, Sampling.mixed, Camera.centred(1020.0, DETECTOR_MM / size, (size, size)))
    costs = {"core-seconds to prepare a CT": core_seconds(lambda: prepare(path, CTSource(ct), settings))}
    simulate_shard(path, 0)  # loads the CT and compiles
    # At its second time all files are there, and its views are others than those of the first.
    costs["core-seconds to simulate a view"] = core_seconds(lambda: simulate_shard(path, 1)) / VIEWS_PER_SHARD
    costs["peak memory of the process, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    views = SHARDS * VIEWS_PER_SHARD
    for array in ("image", "depth", "mask"):
        costs[f"kB of a view: {array}"] = sum(file.stat().st_size for file in (path / array).rglob("*") if file.is_file()) / views / 1000
    for array in ("ct", "labels"):
        costs[f"MB of a CT: {array}"] = sum(file.stat().st_size for file in (path / array).rglob("*") if file.is_file()) / MILLION
    costs["files of a shard"] = sum(len(list((path / array / "c").rglob("1"))) for array in ("image", "mask")) + len(
        [file for file in (path / "depth" / "c" / "1").rglob("*") if file.is_file()]
    )
    for image_size in (128, size):
        views_read = TorchViews(folder, image_size=image_size)
        costs[f"core-seconds to read a view at {image_size} pixels"] = core_seconds(lambda read=views_read: read_all(read)) / views
    return costs


def measure_training(folder: Path) -> dict[str, float]:
    """Cost of an image in training on stored X-rays."""
    settings = TrainingSettings(stored_camera(folder, 128), steps=10_000, checkpoint_every=1_000_000)
    trainer = Trainer([StoredTrainingPatient(folder, "patient", settings, "cpu")], settings, "cpu", folder / "training")
    trainer.run(cancelled=lambda: trainer.step == STEPS_PER_ROUND)
    seconds = core_seconds(lambda: trainer.run(cancelled=lambda: trainer.step == 3 * STEPS_PER_ROUND))
    with FlopCounterMode(display=False) as flops:
        trainer.network(torch.zeros(1, 1, 128, 128)).sum().backward()
    return {
        "core-seconds to train on an image at 128 pixels": seconds / (2 * STEPS_PER_ROUND * settings.batch_size),
        "GFLOP to train on an image at 128 pixels": flops.get_total_flops() / 1e9,
    }


def main() -> None:
    """Measure, and print the units and the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cts", nargs="*", type=Path, default=[PELVIS_CT])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--patients", type=int, default=100)
    parser.add_argument("--views", type=int, default=10_000)
    arguments = parser.parse_args()
    all_costs = []
    for number, ct in enumerate(arguments.cts):
        with tempfile.TemporaryDirectory() as temporary:
            costs = measure(ct, arguments.size, Path(temporary))
            if number == 0:
                costs |= measure_training(Path(temporary))
        all_costs.append(costs)
        print(f"\n{ct.name}, {arguments.size} x {arguments.size}")
        print("\n".join(f"  {name:52}{value:10.3f}" for name, value in costs.items()))
    mean = {name: float(np.mean([costs[name] for costs in all_costs if name in costs])) for name in all_costs[0]}
    count = arguments.patients * arguments.views
    bytes_of_view = sum(mean[f"kB of a view: {array}"] for array in ("image", "depth", "mask")) * 1000
    hours = (count * mean["core-seconds to simulate a view"] + arguments.patients * mean["core-seconds to prepare a CT"]) / 3600
    print(f"\n{arguments.patients} patients x {arguments.views} views")
    files = count / VIEWS_PER_SHARD * mean["files of a shard"]
    print(f"  {hours:.0f} core-hours; {count * bytes_of_view / 1e12:.2f} TB in {files:.0f} files")
    print(f"  a pass of reading at 128 pixels: {count * mean['core-seconds to read a view at 128 pixels'] / 3600:.0f} core-hours")
    print(f"  a pass of training at 128 pixels: {count * mean['GFLOP to train on an image at 128 pixels'] / 1e6:.2f} PFLOP")


if __name__ == "__main__":
    main()
