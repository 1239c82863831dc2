"""The command of the fuzzer; see the package."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from .campaign import ROOMS, Counts, run_cases
from .readers import READERS, find_reader


def main() -> None:
    """Run cases, or look at one again."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz the readers of files.")
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"one of {', '.join(READERS)}; none for all")
    parser.add_argument("--cases", type=int, default=1000, help="of each reader")
    parser.add_argument("--record", type=Path, help="JSON file for the counts, written while it runs; readers that it has are kept")
    parser.add_argument("--folder", type=Path, help="for what becomes of the cases; the same command goes on in it after a stop")
    parser.add_argument("--case", type=int, help="make and read this case alone, and leave its files where it says")
    arguments = parser.parse_args()
    if arguments.case is not None:
        show_case(arguments.readers[0], arguments.case)
        return
    record = arguments.record
    for name in arguments.readers or READERS:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(dir=_quick_folder()) as temporary:
            folder = arguments.folder or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            last = 0.0

            def report(counts: dict[str, Counts], name: str = name) -> None:
                nonlocal last
                if record and time.monotonic() - last > 10:
                    _write(record, name, counts)
                    last = time.monotonic()

            counts = run_cases([name], arguments.cases, folder, report)
        if record:
            _write(record, name, counts)
        seconds = time.monotonic() - started
        print(f"{name}: {counts[name].cases} cases in {seconds:.0f} s, {counts[name].read} read, {counts[name].refused} refused")
        for what, times in sorted(counts[name].findings.items(), key=lambda item: -item[1]):
            print(f"  {times} times, first in case {counts[name].examples[what]}: {what}")


def show_case(name: str, number: int) -> None:
    """Read one case without any guard, so that an error shows where it comes from."""
    from .worker import Corpus

    sys.path.extend(map(str, ROOMS))
    reader = find_reader(name)
    corpus = Corpus(reader, Path(tempfile.mkdtemp()))
    place = corpus.damage(number)
    print(f"Case {number} of {name} is in {place}.")
    print(repr(reader.read(place))[:2000])


def _write(record: Path, name: str, counts: dict[str, Counts]) -> None:
    known = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    new = {reader: asdict(found) for reader, found in counts.items()}
    text = json.dumps(known | new, indent=1, ensure_ascii=False)
    temporary = record.with_suffix(".partial")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(record)


def _quick_folder() -> str | None:
    """Memory as a disk, where there is one: every case writes files."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


if __name__ == "__main__":
    main()
