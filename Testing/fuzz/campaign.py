"""Running the cases of readers in a process of their own, which is started again behind a case that ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .worker import TALLY, begun

STANDSTILL_SECONDS = 300
_TESTING = Path(__file__).resolve().parents[1]
ROOMS = [_TESTING, *(_TESTING.parent / room for room in ("DRRSimulator", "XRayRegistration"))]
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1")


@dataclass
class Counts:
    """What became of a reader's cases.

    Attributes:
        cases: how many were run.
        read: how many of them were read.
        refused: how many were refused with an `InputError`.
        findings: what else happened, each kind with how often it did.
        examples: the first case of each kind.
    """

    cases: int = 0
    read: int = 0
    refused: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    examples: dict[str, int] = field(default_factory=dict)


def run_cases(
    readers: Sequence[str], cases: int, folder: Path, report: Callable[[dict[str, Counts]], None] | None = None
) -> dict[str, Counts]:
    """Run the first cases of readers.

    Args:
        readers: their names.
        cases: of each.
        folder: for the corpora and what becomes of the cases; what was run in it before is not run again.
        report: is told of the counts now and then.
    """
    environment = os.environ | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(map(str, ROOMS))}
    while left := [name for name in readers if not _is_done(folder, name, cases)]:
        command = [sys.executable, "-m", "fuzz.worker", str(folder), str(cases), *left]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        last, since = _counts(folder, readers), time.monotonic()
        while process.poll() is None:
            time.sleep(0.1)
            counts = _counts(folder, readers)
            if counts != last:
                last, since = counts, time.monotonic()
            elif time.monotonic() - since > STANDSTILL_SECONDS:
                process.send_signal(signal.SIGALRM)  # it waits for something, which takes no processor time
            if report:
                report(counts)
        if process.returncode == 0:
            break
        _blame(process, folder, next(name for name in left if not _is_done(folder, name, cases)))
    return _counts(folder, readers)


def _blame(process: subprocess.Popen[str], folder: Path, reader: str) -> None:
    """Take the end of the process for a finding of the case that it was at.

    Raises:
        RuntimeError: if it has not begun a case, or was ended by Python itself: a defect of the fuzzer or of the corpus.
    """
    cases = begun(folder, reader)
    if process.returncode > 0 or not cases:
        raise RuntimeError(f"the worker ended with {process.returncode} in {reader} after {cases} cases: {process.stderr.read()}")
    name = signal.Signals(-process.returncode).name
    what = "too slow" if name in ("SIGPROF", "SIGALRM") else f"the process ended with {name}"
    with (folder / f"{reader}.findings").open("a", encoding="utf-8") as findings:
        findings.write(json.dumps({"case": cases - 1, "what": what}) + "\n")


def _is_done(folder: Path, reader: str, cases: int) -> bool:
    done = folder / f"{reader}.done"
    return done.exists() and int(done.read_text()) >= cases


def _counts(folder: Path, readers: Sequence[str]) -> dict[str, Counts]:
    counts = {}
    for reader in readers:
        tally, findings = folder / f"{reader}.tally", folder / f"{reader}.findings"
        if not tally.exists() or tally.stat().st_size != TALLY.size:
            continue
        found = Counts(*TALLY.unpack(tally.read_bytes()))
        for line in findings.read_text(encoding="utf-8").splitlines() if findings.exists() else ():
            finding = json.loads(line)
            found.findings[finding["what"]] = found.findings.get(finding["what"], 0) + 1
            found.examples.setdefault(finding["what"], finding["case"])
        counts[reader] = found
    return counts
