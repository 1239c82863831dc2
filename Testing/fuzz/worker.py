"""The process that runs cases: `python -m fuzz.worker FOLDER CASES READER...`; a reader may end it, so `campaign` starts it again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import sys
import tempfile
import warnings
from pathlib import Path
from random import Random

from .damage import WORDS
from .guard import Watch, limit_memory, outcome, unlimited_memory
from .readers import Reader, find_reader

TALLY = struct.Struct("<3Q")  # cases begun, read, refused; written before each case, as the process may not live to its end
_READABLE = (*filter(None, (*sys.path[1:], sys.prefix, sys.base_prefix)), "/proc/", "/sys/", "/dev/null")


class Corpus:
    """The files of a reader in folders of their own, damaged in place and mended after each case."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.reader, self.folder = reader, folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        reader.write_corpus(folder)
        self.seeds = sorted(path for path in folder.iterdir() if path.is_dir())
        self._files = {seed: self._listing(seed) for seed in self.seeds}
        self._changed: list[tuple[Path, bytes]] = []

    def damage(self, number: int) -> Path:
        """Make case `number`; gives the folder to read."""
        rng = Random(f"{self.reader.name} {number}")
        seed = rng.choice(self.seeds)
        names = sorted(self._files[seed])
        for _ in range(rng.choice((1, 1, 1, 1, 2)) if len(names) > 1 else 1):
            name = rng.choice(names)
            file, whole = seed / name, self._files[seed][name]
            self._changed.append((file, whole))
            chance = rng.random()
            if chance < 0.005:
                file.unlink(missing_ok=True)
            elif chance < 0.01:
                file.write_bytes(rng.choice(WORDS).encode())
            elif chance < 0.03:  # the beginning of one file and the end of another
                other = self._files[(place := rng.choice(self.seeds))][rng.choice(sorted(self._files[place]))]
                file.write_bytes(whole[: rng.randrange(len(whole) + 1)] + other[rng.randrange(len(other) + 1) :])
            else:
                file.write_bytes(self.reader.damage_of(name)(whole, rng))
        return seed

    def mend(self) -> None:
        """Undo the damage."""
        while self._changed:
            file, whole = self._changed.pop()
            file.write_bytes(whole)

    def strange_files(self) -> list[str]:
        """What a reader has left in the corpus; it is removed."""
        here = {path for seed in self.seeds for path in seed.rglob("*") if path.is_file()}
        strange = here - {seed / name for seed in self.seeds for name in self._files[seed]}
        for path in strange:
            path.unlink()
        return sorted(path.name for path in strange)

    @staticmethod
    def _listing(seed: Path) -> dict[str, bytes]:
        return {path.relative_to(seed).as_posix(): path.read_bytes() for path in seed.rglob("*") if path.is_file()}


def run(reader: Reader, folder: Path, first: int, count: int, watch: Watch) -> None:
    """Run cases from `first` to `count`, from 0; tally and findings go to files in the folder."""
    unlimited_memory()
    corpus = Corpus(reader, folder / "corpus" / reader.name)
    for seed in corpus.seeds:
        reader.read(seed)  # whole files must be read; and what is imported late is imported now
    limit_memory()
    tally_file = folder / f"{reader.name}.tally"
    parent = os.getppid()
    _, read, refused = TALLY.unpack(tally_file.read_bytes()) if first else (0, 0, 0)
    tally = os.open(tally_file, os.O_WRONLY | os.O_CREAT)
    with (folder / f"{reader.name}.findings").open("a", encoding="utf-8") as findings:

        def find(number: int, what: str) -> None:
            findings.write(json.dumps({"case": number, "what": what}) + "\n")
            findings.flush()

        for number in range(first, count):
            if os.getppid() != parent:
                sys.exit("the campaign has ended")
            os.pwrite(tally, TALLY.pack(number + 1, read, refused), 0)
            place = corpus.damage(number)
            with watch.over((f"{place}{os.sep}", tempfile.gettempdir() + os.sep), _READABLE):
                result = outcome(reader.read, place)
            corpus.mend()
            for event in watch.seen:
                find(number, event.replace(str(folder), ""))
            if result == "read":
                read += 1
            elif result == "refused":
                refused += 1
            else:
                find(number, result)
            if number % 1000 == 999 or number == count - 1:
                for name in corpus.strange_files():
                    find(number, f"left a file behind: {name}")
    os.pwrite(tally, TALLY.pack(count, read, refused), 0)
    os.close(tally)


def begun(folder: Path, reader: str) -> int:
    """How many cases of a reader were begun in a folder."""
    return _tally(folder, reader)[0]


def ended(folder: Path, reader: str) -> int:
    """How many of them ended: not one at which the fuzzer was stopped from outside, which is run again."""
    cases, read, refused = _tally(folder, reader)
    findings = folder / f"{reader}.findings"
    lines = findings.read_text(encoding="utf-8").splitlines() if findings.exists() else []
    return min(cases, read + refused + len({json.loads(line)["case"] for line in lines}))


def _tally(folder: Path, reader: str) -> tuple[int, int, int]:
    tally = folder / f"{reader}.tally"
    if not tally.exists() or tally.stat().st_size != TALLY.size:
        return 0, 0, 0
    cases, read, refused = TALLY.unpack(tally.read_bytes())
    return cases, read, refused


def main() -> None:
    """Entry point; what libraries print on broken files is not shown."""
    folder, count, *names = sys.argv[1:]
    warnings.simplefilter("ignore")
    readers = [find_reader(name) for name in names]
    tempfile.tempdir = str(Path(folder) / "temporary")  # for decoders that need a file
    Path(tempfile.tempdir).mkdir(exist_ok=True)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    watch = Watch()
    silent = os.open(os.devnull, os.O_WRONLY)
    told = os.dup(2)
    for reader in readers:
        os.dup2(silent, 2)
        try:
            run(reader, Path(folder), ended(Path(folder), reader.name), int(count), watch)
        finally:
            os.dup2(told, 2)
        (Path(folder) / f"{reader.name}.done").write_text(count)


if __name__ == "__main__":
    main()
