"""scr-generate --verify finds every damage and says what is lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("zarr")
pytest.importorskip("distributed")

from DRRSimulatorLib.errors import InputError
from making_datasets import generate, settings
from xray_training.dataset.sources import CTSource
from xray_training.dataset.verify import verify

PATIENT = "data.zarr/phantom"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, phantom_file: Path) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "set"
    assert generate(folder, [CTSource(phantom_file, name="phantom")], settings()) == []
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "set")
    return tmp_path / "set"


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def test_a_whole_set_has_no_damage(whole: Path) -> None:
    assert verify(whole) == []


@pytest.mark.parametrize("place", [0, 100, -1])  # in the first chunk's header and data, and in the index of the shard
@pytest.mark.parametrize(
    ("name", "what"),
    [
        (f"{PATIENT}/image/c/0/0/0", "image of phantom, views 0 to 31"),
        (f"{PATIENT}/image/c/1/0/0", "image of phantom, views 32 to 39"),
        (f"{PATIENT}/depth/c/1/0/0/0/0", "depth of phantom, views 32 to 39, bone bone"),
        (f"{PATIENT}/mask/c/0/0/0/0", "mask of phantom, views 0 to 31"),
    ],
)
def test_a_flipped_byte_in_a_shard_is_found_with_its_patient_array_and_views(copy: Path, name: str, what: str, place: int) -> None:
    flip(copy / name, place)
    damage = verify(copy)
    assert damage[0] == f"{name} is damaged: {what}."
    # Zarr notices it as well, without the list of checksums.
    array, first = name.split("/")[2], 32 * int(name.split("/")[4])
    views = f"view {first}" if place >= 0 else f"views {first}, {first + 1}"
    assert len(damage) == 2 and damage[1].startswith(f"{array} of phantom, {views}") and damage[1].endswith("a chunk cannot be read.")


@pytest.mark.parametrize(
    "name", ["ct/c/0/0/0", "labels/c/0/0/0", "ras_to_camera/c/0/0/0", "photons/c/0", "split/c/0", "surface_points/c/0/0"]
)
def test_a_flipped_byte_in_a_small_array_is_found(copy: Path, name: str) -> None:
    flip(copy / PATIENT / name, 30)
    assert verify(copy) == [f"{PATIENT}/{name} is damaged.", f"{name.split('/')[0]} of phantom: a chunk cannot be read."]


@pytest.mark.parametrize(
    "name", ["data.zarr/zarr.json", f"{PATIENT}/zarr.json", f"{PATIENT}/depth/zarr.json", "views.csv", "dataset.json", "README.md"]
)
def test_a_flipped_byte_in_a_text_file_is_found(copy: Path, name: str) -> None:
    flip(copy / name, 40)
    assert f"{name} is damaged." in verify(copy)


def test_files_that_are_missing_or_too_many_are_named(copy: Path) -> None:
    (copy / PATIENT / "image" / "c" / "0" / "0" / "0").unlink()
    (copy / "notes.txt").write_text("mine")
    assert verify(copy) == [
        f"{PATIENT}/image/c/0/0/0 is missing: image of phantom, views 0 to 31.",
        "notes.txt is no part of the data set.",
    ]


@pytest.mark.parametrize("line", ["nonsense", "0" * 64 + "  ../../etc/passwd", "0" * 64 + "  /etc/passwd", ""])
def test_damaged_checksums_are_refused(copy: Path, line: str) -> None:
    (copy / "checksums.txt").write_text(line + "\n")
    with pytest.raises(InputError, match="is damaged"):
        verify(copy)


def test_a_folder_without_checksums_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not finished"):
        verify(tmp_path)


def test_the_command_names_the_damage_and_fails(copy: Path) -> None:
    command = [sys.executable, "-m", "xray_training.cli_generate", "--verify", str(copy)]
    flip(copy / PATIENT / "mask" / "c" / "1" / "0" / "0" / "0", 50)
    found = subprocess.run(command, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (1, "")
    assert "mask of phantom, views 32 to 39" in found.stderr and "Traceback" not in found.stderr
