"""Atomic writing of files and of sets of files, and one writer at a time."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from DRRSimulatorLib import files
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.files import atomic_files, atomic_path, only_writer
from DRRSimulatorLib.image_file import write_image


def test_a_written_file_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "volume.nii.gz"
    target.write_text("old", encoding="utf-8")
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent and temporary.name.endswith("volume.nii.gz")
        temporary.write_text("new", encoding="utf-8")
        assert target.read_text(encoding="utf-8") == "old"
    assert target.read_text(encoding="utf-8") == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_write_keeps_the_old_file_and_removes_the_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt), atomic_path(target) as temporary:
        temporary.write_text("half of a", encoding="utf-8")
        raise KeyboardInterrupt
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_writer_that_writes_nothing_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"a\.json"), atomic_path(tmp_path / "a.json"):
        pass
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "old"


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "losses.csv") as temporary:
        temporary.touch()
    assert (tmp_path / "losses.csv").read_bytes() == b""


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing does not exist"), atomic_path(tmp_path / "missing" / "a.json"):
        pass
    with pytest.raises(InputError, match="is a folder"), atomic_path(tmp_path):
        pass


@pytest.mark.parametrize("name", ["x" * 245 + ".nii.gz", "ü" * 120 + ".nii.gz", "患者" * 40 + ".nii.gz"])
def test_names_as_long_as_the_system_allows_are_written(tmp_path: Path, name: str) -> None:
    with atomic_path(tmp_path / name) as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("whole", encoding="utf-8")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_errors_of_other_files_keep_their_names(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as failed, atomic_path(tmp_path / "a.json"):
        (tmp_path / "source").read_bytes()
    assert failed.value.filename == str(tmp_path / "source")


def test_what_killed_processes_left_is_removed_when_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_tidied", set())
    old, young, others = tmp_path / ".0123456789abcdef-model.safetensors", tmp_path / ".00aabbccddeeff11-a.json", tmp_path / ".0123-mine"
    unfinished = tmp_path / ".fedcba9876543210-unfinished"
    unfinished.mkdir()
    for file in (old, young, others, unfinished / "scene.mrb"):
        file.write_text("half", encoding="utf-8")
    for file in (old, others, unfinished):
        os.utime(file, (file.stat().st_mtime - 7200,) * 2)
    with atomic_path(tmp_path / "a.json") as temporary:
        temporary.write_text("whole", encoding="utf-8")
    assert {file.name for file in tmp_path.iterdir()} == {"a.json", young.name, others.name}


def test_a_set_replaces_the_old_one_and_its_last_file_is_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "result.json").write_text("old", encoding="utf-8")
    moved: list[str] = []
    replace = os.replace

    def watched(source: Path, target: Path) -> None:
        moved.append(target.name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    with atomic_files(tmp_path, last="result.json") as folder:
        for name in ("result.json", "a.png", "z.png"):
            (folder / name).write_text("new", encoding="utf-8")
        assert (tmp_path / "result.json").read_text(encoding="utf-8") == "old"
    assert moved == ["a.png", "z.png", "result.json"]
    assert {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()} == dict.fromkeys(moved, "new")


def test_a_set_that_fails_leaves_all_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("old", encoding="utf-8")
    with pytest.raises(OSError, match="full"), atomic_files(tmp_path, last="result.json") as folder:
        (folder / "result.json").write_text("new", encoding="utf-8")
        raise OSError("the disk is full")
    assert [(file.name, file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()] == [("result.json", "old")]


def _hold(output: Path, held: object, end: object) -> None:
    with only_writer(output):
        held.set()  # type: ignore[attr-defined]
        end.wait(60)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["", "cases.jsonl"])
def test_a_second_writer_is_refused_until_the_first_has_ended_or_was_killed(tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    context = multiprocessing.get_context("spawn")
    for killed in (False, True):
        held, end = context.Event(), context.Event()
        first = context.Process(target=_hold, args=(output, held, end))
        first.start()
        assert held.wait(60)
        with pytest.raises(InputError, match="Another run is writing to"), only_writer(output):
            pass
        if killed:
            first.kill()
        else:
            end.set()
        first.join(60)
        with only_writer(output):
            pass
    assert list(tmp_path.iterdir()) == []


def test_other_outputs_may_be_written_at_the_same_time(tmp_path: Path) -> None:
    with only_writer(tmp_path), only_writer(tmp_path / "a.json"), only_writer(tmp_path / "b.json"):
        pass


def test_an_image_that_cannot_be_written_is_told_as_a_file(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.zeros((4, 4, 4, 2)), isVector=True)  # PNG has no such volumes
    with pytest.raises(OSError, match=r"a\.png cannot be written \(.*\); is the disk full\?"):
        write_image(tmp_path / "a.png", image)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_files_have_the_rights_that_all_files_of_the_user_have(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "a.json") as temporary:
            temporary.write_text("{}", encoding="utf-8")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640
