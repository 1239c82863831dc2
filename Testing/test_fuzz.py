"""The first cases of every reader of files (see the package fuzz); and that the fuzzer finds what it is there to find."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="the guards of the fuzzer are those of Linux")

from fuzz.campaign import Counts, run_cases
from fuzz.misbehaving import READERS as MISBEHAVING
from fuzz.readers import READERS

CASES = 120
DOCUMENTATION = Path(__file__).resolve().parent.parent / "Documentation"
NEEDS = {
    "dataset": ("zarr", "google_crc32c"),
    "deepfluoro": ("h5py",),
    "ct-list": ("zarr",),
    "ct-series": ("gdcm",),
    "xray-dicom": ("gdcm",),
    "scene": ("slicer", "PySide6"),
    "batch-list": ("slicer", "PySide6"),
}
FOUND = {
    "raises": "KeyError at",
    "crashes": "the process ended with SIGSEGV",
    "hangs": "too slow",
    "fills-the-memory": "MemoryError at",
    "writes-elsewhere": "written: .*elsewhere.txt",
    "reads-elsewhere": "opened: .*elsewhere.txt",
    "leaves-a-file": "left a file behind: left.txt",
    "unpickles": "pickle.find_class",
    "evaluates": "compiled: ",
    "runs-a-program": "subprocess.Popen",
    "connects": "socket.connect",
    "ends-the-process": "the process ended with SIGABRT",
}


def available(reader: str) -> bool:
    return all(importlib.util.find_spec(package) for package in NEEDS.get(reader, ()))


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Counts]:
    return run_cases([reader for reader in READERS if available(reader)], CASES, tmp_path_factory.mktemp("readers"))


@pytest.fixture(scope="module")
def misdeeds(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Counts]:
    return run_cases(list(MISBEHAVING), 1, tmp_path_factory.mktemp("misbehaving"))


@pytest.mark.parametrize("reader", READERS)
def test_damaged_and_malicious_files_are_read_or_refused_in_a_sentence(counts: Mapping[str, Counts], reader: str) -> None:
    if not available(reader):
        pytest.skip(f"needs {' and '.join(NEEDS[reader])}")
    found = counts[reader]
    assert dict(found.findings) == {}, f"look at python -m fuzz --case N {reader}: {found.examples}"
    assert found.cases == CASES == found.read + found.refused
    assert found.refused > CASES // 10  # the damage is felt


@pytest.mark.parametrize("misdeed", MISBEHAVING)
def test_the_fuzzer_finds_a_reader_that_misbehaves(misdeeds: Mapping[str, Counts], misdeed: str) -> None:
    assert misdeeds[misdeed].cases == 1
    assert any(re.match(FOUND[misdeed], what) for what in misdeeds[misdeed].findings), misdeeds[misdeed].findings


def test_the_long_run_on_record_found_nothing_that_is_not_mended_and_stands_in_the_documentation() -> None:
    record = json.loads((DOCUMENTATION / "fuzzing.json").read_text(encoding="utf-8"))
    text = (DOCUMENTATION / "robustness.md").read_text(encoding="utf-8")
    assert set(record) == set(READERS)
    for reader, counts in record.items():
        assert counts["findings"] == {} and counts["cases"] == counts["read"] + counts["refused"] > CASES
        assert re.search(rf"^\| {reader}: .* \| {counts['cases']:,} \| {counts['read']:,} \| {counts['refused']:,} \|", text, re.MULTILINE)
