"""Results of an evaluation that is still running, a line of JSON each: after a stop it goes on where it stood."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.files import atomic_path, only_writer

from .case_result import CaseResult


class RunLog:
    """The file beside an evaluation's JSON that holds the cases done so far; the first line says of what evaluation."""

    def __init__(self, json_file: Path, identity: dict[str, Any]) -> None:
        """Read what a stopped evaluation has left.

        Args:
            json_file: where the evaluation will write its summary.
            identity: all that the results depend on; values for JSON.

        Raises:
            InputError: if the file is of another evaluation.
        """
        self.path = json_file.with_name(json_file.stem + ".cases.jsonl")
        self._header = json.dumps(identity, sort_keys=True)
        self.results: list[CaseResult] = self._read() if self.path.is_file() else []

    def __enter__(self) -> RunLog:
        with ExitStack() as opened:
            opened.enter_context(only_writer(self.path))
            # A stop may have torn the last line: what was read is written again.
            with atomic_path(self.path) as temporary:
                lines = [self._header, *(json.dumps(result.to_row()) for result in self.results)]
                temporary.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
            self._file: TextIO = opened.enter_context(self.path.open("a", encoding="utf-8"))
            self._opened = opened.pop_all()
        return self

    def append(self, result: CaseResult) -> None:
        """Keep another result."""
        self.results.append(result)
        self._file.write(json.dumps(result.to_row(), allow_nan=False) + "\n")
        self._file.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._opened.__exit__(kind, error, traceback)

    def remove(self) -> None:
        """Delete the file, when the summary is written."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> list[CaseResult]:
        header, *lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        if header != self._header:
            raise InputError(
                f"{self.path} holds an unfinished evaluation of another suite, model, version or way of refinement; delete it, or choose "
                "another file for --json."
            )
        results = []
        for line in lines:
            try:
                row = json.loads(line)
                result = CaseResult.from_row(row)
                if result.to_row() != row:
                    raise ValueError("a row that no result makes")
            except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
                break  # the end, or a line that a stop has torn or something else has damaged
            results.append(result)
        return results
