"""Records of a data set that is being made: whole ones are read, damaged ones refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from DRRSimulatorLib.errors import InputError
from xray_training.dataset.records import Records

SHA = "ab" * 32


@pytest.fixture
def records(tmp_path: Path) -> Records:
    (tmp_path / ".progress").mkdir()
    (tmp_path / "data").write_text("1234")
    return Records(tmp_path)


def record(**changed: Any) -> dict[str, Any]:
    return {"patient": "phantom", "ct_fingerprint": SHA, "files": {"data": [SHA, 4]}} | changed


def put(records: Records, holds: Any) -> None:
    (records.path / "key.json").write_text(json.dumps(holds))


def test_a_record_counts_while_its_files_are_whole(records: Records) -> None:
    put(records, record())
    assert records.patient("key") == record() and records.checksums() == {"data": SHA}
    (records.folder / "data").write_text("123")
    assert records.patient("key") is None
    put(records, record(files={"x" * 1000: [SHA, 4]}))
    assert records.patient("key") is None


@pytest.mark.parametrize(
    "holds",
    [
        [],
        {},
        record(files=None),
        record(files={"data": 4}),
        record(files={"data": [SHA, "4"]}),
        record(files={"data": ["short", 4]}),
        record(files={"../data": [SHA, 4]}),
        record(files={"/data": [SHA, 4]}),
        record(patient="../elsewhere"),
        record(patient=1),
        record(ct_fingerprint=None),
    ],
    ids=str,
)
def test_a_damaged_record_is_refused(records: Records, holds: Any) -> None:
    put(records, holds)
    for read in (lambda: records.patient("key"), records.checksums):
        with pytest.raises(InputError, match=r"key\.json .*delete it"):
            read()
