"""The making of a data set: which work is left, who does it, and what becomes of failures."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Cancelled, ShowProgress

from .layout import ARRAYS, FORMAT, VERSION, VIEWS_PER_SHARD, create_root
from .plan import SplitRule
from .records import Records, files_below
from .simulate import ViewSettings, keep_freed_memory, prepare, simulate_shard
from .sources import CTSource

if TYPE_CHECKING:
    from distributed import Client, Future

_SECONDS_BETWEEN_LOOKS = 0.25  # every look asks the scheduler, which takes milliseconds of a core
_TASKS_PER_WORKER = 2  # so that none waits; the results are small
_NO_SPACE = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


@dataclass(frozen=True)
class Settings:
    """What a data set is asked to be, but for its CTs.

    Attributes:
        views: of each patient.
        split: what is divided into training, validation and test.
    """

    views: ViewSettings
    split: SplitRule

    def to_dict(self, sources: Sequence[CTSource]) -> dict[str, Any]:
        """Plain values for JSON, by which the same command is known again; they name no file."""
        keys = "".join(sorted(source.key for source in sources))
        return {
            "format": FORMAT,
            "version": VERSION,
            "CTs": hashlib.sha256(keys.encode()).hexdigest(),
            "views": self.views.views,
            "seed": self.views.seed,
            "sampling": self.views.sampling.value,
            "split": self.split.value,
            "camera": json.loads(json.dumps(self.views.camera.to_dict())),  # with lists, as it will be read again
        }


@dataclass(frozen=True)
class Failure:
    """Work that could not be done.

    Attributes:
        source: of the CT.
        patient: name of the patient; empty if the CT could not be prepared.
        first_view: of the views that are missing; -1 for all.
        last_view: of the views that are missing.
        reason: what went wrong.
    """

    source: CTSource
    patient: str
    first_view: int
    last_view: int
    reason: str

    def __str__(self) -> str:
        what = f"views {self.first_view} to {self.last_view} of {self.patient}" if self.patient else "no X-rays"
        return f"{self.source.ct}: {what}: {self.reason}" if self.patient else f"{self.source.ct}: {self.reason}"


@dataclass(frozen=True)
class Outcome:
    """What came of a generation.

    Attributes:
        patients: records of the prepared CTs, by the patients' names.
        failures: what could not be done.
    """

    patients: dict[str, dict[str, Any]]
    failures: list[Failure]


@dataclass(frozen=True)
class _Task:
    """A CT to be prepared, or, with a patient's name, a shard of views to be simulated."""

    source: CTSource
    patient: str = ""
    shard: int = 0


def prepare_patient(folder: Path, source: CTSource, settings: ViewSettings) -> dict[str, Any]:
    """Prepare a CT in a worker: its group is made beside the data set and put in place when it is complete.

    Returns:
        The record: patient, ct_fingerprint and files.

    Raises:
        InputError: if the CT cannot be used, or another has its place.
    """
    records = Records(folder)
    unfinished = records.preparing(source.key)
    try:
        fingerprint = prepare(unfinished, source, settings).ct_fingerprint
        name = source.patient_name(fingerprint)
        place = folder / ARRAYS / name
        if place.exists():
            raise InputError(f"Another CT of the list is the patient {name} already: the same CT is given twice, or the name is.")
        unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return records.write_patient(source.key, {"patient": name, "ct_fingerprint": fingerprint}, files_below(place))


def simulate_views(folder: Path, patient: str, shard: int) -> None:
    """Simulate a shard of views in a worker, and record it."""
    keep_freed_memory()
    Records(folder).write_shard(patient, shard, simulate_shard(folder / ARRAYS / patient, shard))


class Generation:
    """Makes a data set with the workers of a Dask client."""

    def __init__(self, folder: Path, sources: Sequence[CTSource], settings: Settings) -> None:
        """Look at the folder; nothing is simulated yet.

        Raises:
            InputError: if it holds something else.
        """
        self.folder, self.sources, self.settings = folder.resolve(), list(sources), settings
        self.records = Records(self.folder)
        self.records.begin(settings.to_dict(sources))
        self.shards = math.ceil(settings.views.views / VIEWS_PER_SHARD)
        self.patients: dict[str, dict[str, Any]] = {}
        self.failures: list[Failure] = []
        self._waiting: deque[_Task] = deque()
        self._running: dict[Future[Any], _Task] = {}
        self.views_done = 0
        if not self.records.finished:
            self._plan()

    @property
    def views_wanted(self) -> int:
        """Views of all patients."""
        return len(self.sources) * self.settings.views.views

    def run(self, client: Client, show: ShowProgress, stop_asked: Callable[[], bool]) -> Outcome:
        """Do what is left.

        Raises:
            Cancelled: if a stop is asked for, or the scheduler is lost; the same command goes on from there.
            OSError: if the disk is full; see `told_of_a_full_disk`.
        """
        try:
            while self._waiting or self._running:
                self._submit(client)
                done = [future for future in self._running if future.done()]
                for future in done:
                    self._take(future, self._running.pop(future))
                    show(self.views_done, "")
                if stop_asked():
                    raise self._stopped("")
                if not done:
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
        finally:
            for future in self._running:
                future.release()
        return Outcome(dict(sorted(self.patients.items())), self.failures)

    def _plan(self) -> None:
        """Find out what is left to do."""
        if not (self.folder / ARRAYS / "zarr.json").is_file():
            create_root(self.folder)
        for source in self.sources:
            record = self.records.patient(source.key)
            if record is None:
                self._waiting.append(_Task(source))
            else:
                self._waiting.extend(self._shards_left(source, record))

    def _shards_left(self, source: CTSource, record: dict[str, Any]) -> Iterator[_Task]:
        """Tasks for a prepared patient."""
        name = record["patient"]
        self.patients[name] = record
        for shard in range(self.shards):
            if self.records.has_shard(name, shard):
                self.views_done += self._views_of(shard)
            else:
                yield _Task(source, name, shard)

    def _submit(self, client: Client) -> None:
        """Give the workers something to do, but not all at once: what waits here costs nothing."""
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        while self._waiting and len(self._running) < _TASKS_PER_WORKER * max(1, workers):
            task = self._waiting.popleft()
            if task.patient:
                work: Callable[[], Any] = partial(simulate_views, self.folder, task.patient, task.shard)
            else:
                work = partial(prepare_patient, self.folder, task.source, self.settings.views)
            self._running[client.submit(work, pure=False)] = task

    def _take(self, future: Future[Any], task: _Task) -> None:
        """Note what came of a task, and plan what follows from it."""
        if future.cancelled():
            raise self._stopped(" because the connection to the Dask scheduler was lost")
        error = future.exception()
        if error is None and task.patient:
            self.views_done += self._views_of(task.shard)
        elif error is None:
            # The views of a patient come before the next one, who would take its place in the workers' memory.
            self._waiting.extendleft(reversed(list(self._shards_left(task.source, future.result()))))
        elif _no_space(error):
            raise error
        else:
            first = task.shard * VIEWS_PER_SHARD
            self.failures.append(Failure(task.source, task.patient, first, first + self._views_of(task.shard) - 1, _reason(error)))

    def _views_of(self, shard: int) -> int:
        return min(VIEWS_PER_SHARD, self.settings.views.views - shard * VIEWS_PER_SHARD)

    def _stopped(self, why: str) -> Cancelled:
        return Cancelled(f"Stopped after {self.views_done} of {self.views_wanted} X-rays{why}; the same command goes on from there.")


@contextmanager
def told_of_a_full_disk(folder: Path) -> Iterator[None]:
    """Say in a sentence that the disk of a folder is full, instead of raising what the system says."""
    try:
        yield
    except OSError as error:
        if not _no_space(error):
            raise
        raise Cancelled(f"Stopped because there is no space left on the disk of {folder}; make some: the same command goes on.") from error


def _no_space(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in _NO_SPACE


def _reason(error: BaseException) -> str:
    if isinstance(error, InputError):
        return str(error)
    if type(error).__name__ == "KilledWorker":
        return "the workers that tried it died, perhaps because memory ran out"
    return f"{type(error).__name__}: {error}"
