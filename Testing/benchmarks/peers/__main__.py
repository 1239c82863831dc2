"""Times DRRs of this project beside other projectors: same CT, geometry and detector, in one run, after checking the images.

``make benchmark`` installs the others and runs this; ``Documentation/benchmarks.md`` tells how to read the result.

    PYTHONPATH=Testing python -m benchmarks.peers [--sides 256] [--threads 2] [--engines ours "RTK Joseph"] [--output FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .engine import NotOfferedError
from .engine_process import CONTESTANTS, OURS, ROOT, RTK, Contestant, EngineProcess
from .measure import Measurer
from .patients import PreparedCT, chest, pelvis, prepare, subsampled
from .report import Machine, write_report
from .rows import SUBSAMPLED, Row, targets, write_rows

CACHE = ROOT / ".benchmark-cache"


def main() -> None:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="*", default=[256, 512, 1024], help="pixels along a side of the image")
    parser.add_argument("--threads", type=int, nargs="*", default=[2, 1], help="numbers of threads; the largest first")
    parser.add_argument("--cts", nargs="*", default=["pelvis", "chest", "subsampled"], help="which CTs")
    parser.add_argument("--engines", nargs="*", default=[contestant.name for contestant in CONTESTANTS], help="which projectors")
    parser.add_argument("--output", type=Path, default=ROOT / "Documentation", help="folder of benchmarks.json, the tables and figures")
    options = parser.parse_args()
    start = time.monotonic()
    images = CACHE / "images"
    images.mkdir(parents=True, exist_ok=True)
    contestants = [contestant for contestant in CONTESTANTS if contestant.name in options.engines]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        print("preparing the CTs", flush=True)
        whole, parts = prepare_cts(options.cts, folder)
        measurer = Measurer(images, lambda line: print(line, flush=True))
        versions: dict[str, str] = {}
        for threads in options.threads:
            processes = start_processes(contestants, threads, versions)
            for ct in whole:
                for side in options.sides:
                    rows += measurer.measure(processes, ct, side, threads)
            if threads == max(options.threads):
                scaling = [process for process in processes if process.contestant.name in (OURS, RTK)]
                for ct in parts:
                    rows += measurer.measure(scaling, ct, min(options.sides), threads)
            for process in processes:
                process.close()
    options.output.mkdir(parents=True, exist_ok=True)
    write_rows(options.output / "benchmarks.json", rows)
    write_report(options.output, rows, Machine.this(list(dict.fromkeys(versions.values()))))
    for target in targets(rows):
        relation = ">=" if target.at_least else "<="
        print(f"{'met   ' if target.met else 'MISSED'}  {target.text}: {target.measured:.3g} ({relation} {target.bound:g})")
    print(f"{len(rows)} rows in {(time.monotonic() - start) / 60:.0f} minutes: {options.output / 'benchmarks.md'}")


def prepare_cts(names: Sequence[str], folder: Path) -> tuple[list[PreparedCT], list[PreparedCT]]:
    """The CTs that all projectors render, and those that show how the cost grows with the voxels."""
    whole, parts = [], []
    if "pelvis" in names:
        whole.append(prepare(pelvis(), folder))
    if "chest" in names or "subsampled" in names:
        ct = chest(CACHE)
        if "chest" in names:
            whole.append(prepare(ct, folder))
        if "subsampled" in names:
            parts = [prepare(subsampled(ct, factors), folder) for factors in SUBSAMPLED.values()]
    return whole, parts


def start_processes(contestants: Sequence[Contestant], threads: int, versions: dict[str, str]) -> list[EngineProcess]:
    """Workers of the projectors that are installed; their versions are added to `versions`."""
    processes = []
    for contestant in contestants:
        process = EngineProcess(contestant, threads)
        try:
            versions[contestant.name] = process.version()
        except NotOfferedError as reason:
            print(f"{contestant.name}: left out, {reason}")
            process.close()
        else:
            processes.append(process)
    return processes


if __name__ == "__main__":
    main()
