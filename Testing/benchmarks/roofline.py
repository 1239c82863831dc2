"""How near the ray caster comes to what the machine can do: time and bytes of a sample, beside measured limits.

    .venv/bin/python Testing/benchmarks/roofline.py

The volume is filled with noise, so that no ray is shortened. The same rays are cast through a volume that fits the first-level cache, which
shows what the arithmetic takes, and through one of the size of a chest CT, which shows what the memory adds.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import numpy as np
from DRRSimulatorLib import launch
from DRRSimulatorLib.camera import Camera, CArmView
from DRRSimulatorLib.projector import Projector
from DRRSimulatorLib.slabs import thicknesses_for

CAMERA = Camera.centred(1020.0, 1.14, (512, 512))
VOLUMES = {"4x512x8": ((4, 512, 8), (83.0, 0.703, 45.0)), "133x512x512": ((133, 512, 512), (2.5, 0.703, 0.703))}
VIEW = CArmView(8, 4)
BYTES_OF_A_SAMPLE = 16  # soft tissue and bone, 16 bits each, of four neighbours
# Of each of eight lanes: a conversion, a sum and three fused products; the positions of eight samples share about as many again.
OPERATIONS_OF_A_SAMPLE = 8 * (1 + 1 + 3 * 2) + 12


def median_seconds(work: Callable[[], object], runs: int = 9) -> float:
    """Of a few runs after one that does not count."""
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def limits() -> None:
    """Print what the machine does at best, by NumPy: on all CPUs, as that is what its libraries use."""
    size = 2048
    a = np.random.default_rng(0).random((size, size), dtype=np.float32)
    print(f"matrix product, single precision: {2 * size**3 / median_seconds(lambda: a @ a) / 1e9:.0f} GFLOP/s")
    source, target = np.ones(2**26, dtype=np.float32), np.empty(2**26, dtype=np.float32)
    copied = 2 * source.nbytes / median_seconds(lambda: np.copyto(target, source))
    print(f"copy of 256 MiB, read and write, one thread: {copied / 1e9:.1f} GB/s")


def cast(name: str, cpus: int) -> None:
    """Print the cost of a sample in one of the volumes."""
    shape, spacing = VOLUMES[name]
    rng = np.random.default_rng(0)
    soft = rng.uniform(0.5, 1.0, shape).astype(np.float32) * np.float32(0.02)
    ijk_to_ras = np.diag([*spacing[::-1], 1.0])
    projector = Projector(soft, soft, [], ijk_to_ras)
    pose = VIEW.ras_to_camera((np.array(shape[::-1]) - 1) / 2 * spacing[::-1])[None]
    launch.available_cpus = lambda: cpus
    # A volume of ones sums up the slices that rays pass; their slabs are the thick ones, as the view is along an axis.
    slices = Projector(np.ones(shape, np.float32), 0 * soft, [], ijk_to_ras).line_integrals(CAMERA, pose).numpy()[0, 0]
    columns, rows = np.meshgrid(np.arange(CAMERA.image_size[1]), np.arange(CAMERA.image_size[0]))
    rays = CAMERA.back_project(np.stack([columns, rows], axis=-1), 1.0) @ pose[0, :3, :3]
    slice_mm = np.linalg.norm(rays, axis=-1) / np.abs(rays[..., 1]) * spacing[1]
    samples = float((slices / slice_mm).sum()) / thicknesses_for(spacing[1])[1]
    seconds = median_seconds(lambda: projector.line_integrals(CAMERA, pose))
    rate = samples / seconds
    print(
        f"{name:11} {cpus} CPU: {1000 * seconds:5.1f} ms, {samples / 1e6:.1f} million samples, {1e9 * cpus / rate:.2f} ns of a CPU each, "
        f"{rate * BYTES_OF_A_SAMPLE / 1e9:.1f} GB/s asked for, {rate * OPERATIONS_OF_A_SAMPLE / 1e9:.0f} GFLOP/s"
    )


if __name__ == "__main__":
    limits()
    for volume in VOLUMES:
        for count in range(1, (os.cpu_count() or 1) + 1):
            cast(volume, count)
