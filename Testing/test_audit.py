"""What `make audit` says of what pip-audit finds, or cannot find; a program that stands in for pip-audit writes the reports."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from audit import CONSTRAINTS, NOT_AUDITED, VULNERABLE, audit

CLEAN = {"name": "numpy", "version": "2.2.6", "vulns": []}
WEAK = {"name": "pillow", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": "a"}]}
SKIPPED = {"name": "ours", "skip_reason": "not on the index"}


@pytest.fixture
def stand_in(tmp_path: Path) -> Any:
    if os.name != "posix":
        pytest.skip("the stand-in for pip-audit is a script of a POSIX system")

    def make(packages: list[Any] | None) -> str:
        program = tmp_path / "pip-audit"
        report = "" if packages is None else f"open(sys.argv[-1], 'w').write({json.dumps(json.dumps({'dependencies': packages}))})"
        lines = [f"#!{sys.executable}", "import sys", f"assert {str(CONSTRAINTS)!r} in sys.argv", report, "sys.exit('no route to host')"]
        program.write_text("\n".join(lines))
        program.chmod(0o700)
        return str(program)

    return make


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([CLEAN, SKIPPED], 0, "1 packages were audited; known vulnerabilities: 0"),
        ([CLEAN, WEAK], VULNERABLE, "pillow 1.0: PYSEC-1, mended in 1.1"),
        ([SKIPPED], NOT_AUDITED, "NOTHING WAS AUDITED.*not on the index"),
        (None, NOT_AUDITED, "NOTHING WAS AUDITED.*no route to host"),
    ],
)
def test_an_audit_says_what_was_found_and_never_passes_where_nothing_was_asked(
    stand_in: Any, packages: list[Any] | None, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(stand_in(packages)) == code
    assert re.search(words, capsys.readouterr().out)


def test_every_tested_version_is_pinned_so_that_an_audit_looks_at_what_runs() -> None:
    lines = [line.partition(";")[0].strip() for line in CONSTRAINTS.read_text().splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) > 50
    assert [line for line in lines if line.count("==") != 1] == []
