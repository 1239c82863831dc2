"""Launching of Warp kernels: at once on CUDA, in parts on all threads of a CPU."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

_FEWEST_THREADS_OF_A_PART = 512  # starting a part takes about as long as casting some hundred rays
_PARTS_PER_CPU = 16  # so that none waits long for the last to be done, even where other work slows one CPU down

_most_cpus: ContextVar[int | None] = ContextVar("most_cpus", default=None)


@contextmanager
def at_most_cpus(count: int) -> Iterator[None]:
    """Within this block the calling thread's launches use no more CPUs: for one of several processes that share a machine."""
    token = _most_cpus.set(count)
    try:
        yield
    finally:
        _most_cpus.reset(token)


def available_cpus() -> int:
    """CPUs that may be used here: fewer than the machine has, where the process or `at_most_cpus` is limited to them."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, _most_cpus.get() or count)


@cache
def start_warp() -> None:
    """Start Warp, quietly. Kernels that it compiles are kept in its usual folder; only for this run where that may not be written."""
    import warp as wp

    wp.config.log_level = wp.LOG_WARNING
    with suppress(OSError):  # its folder cannot be made
        wp.init()
    folder = wp.config.kernel_cache_dir
    if folder is None or not os.access(folder, os.W_OK):
        wp.config.kernel_cache_dir = tempfile.mkdtemp(prefix="kernels")
        atexit.register(shutil.rmtree, wp.config.kernel_cache_dir, ignore_errors=True)
        wp.init()


@cache
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    """Threads kept for all launches of a process: a forked one has none of its parent's."""
    return ThreadPoolExecutor(workers, thread_name_prefix="ray caster")


def launch_in_parts(kernel: Any, count: int, inputs: list[Any], output: Any, device: str) -> None:
    """Run a Warp kernel with so many threads.

    A launch on the CPU runs in the calling thread alone, but releases Python's interpreter lock, so that parts of it run side by side.

    Args:
        kernel: its arguments are the inputs, the number of the first thread, and the output.
        count: how many threads.
        inputs: of the kernel.
        output: array that the kernel writes to.
        device: Warp device.
    """
    import warp as wp

    cpus = available_cpus()
    parts = min(_PARTS_PER_CPU * cpus, count // _FEWEST_THREADS_OF_A_PART)
    if wp.get_device(device).is_cuda or cpus == 1 or parts < 2:
        wp.launch(kernel, dim=count, inputs=[*inputs, 0], outputs=[output], device=device)
        return
    wp.load_module(kernel.module.name, device=device)  # compiled once, not by every thread
    bounds = np.linspace(0, count, parts + 1).astype(int).tolist()
    waiting = iter(list(pairwise(bounds)))

    def work() -> None:
        # The arguments are packed once for all parts, which takes longer than to start one.
        command = wp.launch(kernel, dim=1, inputs=[*inputs, 0], outputs=[output], device=device, record_cmd=True)
        for first, last in waiting:
            command.set_param_at_index(len(inputs), first)
            command.set_dim(last - first)
            command.launch()

    pool = _pool(cpus - 1, os.getpid())
    helpers = [pool.submit(work) for _ in range(cpus - 1)]
    work()
    for helper in helpers:
        helper.result()
