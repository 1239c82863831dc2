"""Fixtures shared by the tests of every room."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data that the repository does not carry; tests that need it are skipped where it is missing."""
    folder = Path(os.environ.get("XRAY_TEST_DATA", Path(__file__).resolve().parent.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the folder of real test data is missing: {folder}; set XRAY_TEST_DATA to it")
    return folder
