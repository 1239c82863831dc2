"""Where the time of a training step goes: a table of its parts, and images a second, on the sample pelvis with the default settings.

    python Testing/benchmarks/training_profile.py [--device cuda] [--rounds 4]

Rounds of views are rendered every 16 steps, so whole rounds are measured, after one that loads and compiles. On CUDA the device's time
is listed beside the host's, and every place where the host waits for the device is reported by PyTorch as a warning: there must be
none between two rounds and two readings of the losses.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from DRRSimulatorLib.bone import segment_bone
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.ct import read_ct
from torch.profiler import ProfilerActivity, profile
from xray_training.cli_train import DETECTOR_MM
from xray_training.settings import TrainingSettings
from xray_training.suites import PELVIS_CT
from xray_training.train import Trainer
from xray_training.training_patient import SimulatedPatient
from xray_training.views import STEPS_PER_ROUND

PARTS = ("views", "randomise", "forward", "losses", "backward", "update")


def run_steps(trainer: Trainer, count: int) -> float:
    """Seconds for so many more steps, with the device's work done."""
    last, start = trainer.step + count, time.perf_counter()
    trainer.run(cancelled=lambda: trainer.step == last)
    if trainer.device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    on_cuda = arguments.device.startswith("cuda")
    ct = read_ct(PELVIS_CT)
    camera = Camera.centred(1020.0, DETECTOR_MM / 128, (128, 128))
    settings = TrainingSettings(camera, checkpoint_every=1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        patient = SimulatedPatient(ct, segment_bone(ct), settings, arguments.device)
        trainer = Trainer([patient], settings, arguments.device, Path(folder))
        run_steps(trainer, STEPS_PER_ROUND)
        steps = arguments.rounds * STEPS_PER_ROUND
        seconds = run_steps(trainer, steps)
        if on_cuda:
            torch.cuda.set_sync_debug_mode("warn")
        with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_cuda else [])]) as profiler:
            run_steps(trainer, steps)
    events = {event.key: event for event in profiler.key_averages() if event.key in PARTS}
    print(f"{settings.batch_size * steps / seconds:.0f} images a second, {seconds / steps * 1000:.1f} ms a step of {settings.batch_size}")
    print(f"on {arguments.device}, {torch.get_num_threads()} threads, bfloat16: {trainer.bfloat16}\n")
    host = {name: events[name].cpu_time_total / 1000 / steps for name in PARTS}
    device = {name: events[name].device_time_total / 1000 / steps for name in PARTS}
    print(f"{'part':12}{'host, ms':>10}{'share':>8}" + (f"{'device, ms':>12}{'share':>8}" if on_cuda else ""))
    for name in PARTS:
        row = f"{name:12}{host[name]:10.2f}{host[name] / sum(host.values()):8.1%}"
        print(row + (f"{device[name]:12.2f}{device[name] / sum(device.values()):8.1%}" if on_cuda else ""))


if __name__ == "__main__":
    main()
