"""What a machine that fails is told as: one sentence, and exit code 1; a defect of ours keeps its place in the code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.commands import run_command
from DRRSimulatorLib.errors import failure_in_words


def numpy_takes_too_much() -> None:
    np.zeros(1 << 60, dtype=np.uint8)


def torch_takes_too_much() -> None:
    import torch

    torch.zeros(1 << 58)


def warp_takes_too_much() -> None:
    import warp

    warp.zeros((1 << 30, 1 << 28), dtype=float, device="cpu")


def simpleitk_takes_too_much() -> None:
    import SimpleITK

    SimpleITK.Image([1 << 20, 1 << 20, 1 << 16], SimpleITK.sitkFloat64)


@pytest.mark.parametrize("take", [numpy_takes_too_much, torch_takes_too_much, warp_takes_too_much, simpleitk_takes_too_much])
def test_too_little_memory_is_told_whichever_library_meets_it(take: Callable[[], None]) -> None:
    with pytest.raises((MemoryError, RuntimeError)) as failed:
        take()
    words = failure_in_words(failed.value)
    assert words is not None and words.startswith("This computer's memory is not enough;"), failed.value


GPU_ERRORS = {
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79 GiB": "memory is not enough",
    "Failed to allocate 123456 bytes on device 'cuda:0'": "memory is not enough",
    "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be asynchronously reported": (
        "The GPU failed (CUDA error: an illegal memory access was encountered); try again, or use the CPU."
    ),
    "CUDA error: no kernel image is available for execution on the device": "The GPU failed",
    "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED": "The GPU failed",
    "Warp CUDA error 700: an illegal memory access was encountered": "The GPU failed",
    "NCCL error in: ../ProcessGroupNCCL.cpp, remote process exited": "The GPU failed",
}


@pytest.mark.parametrize("text", GPU_ERRORS)
def test_a_failure_of_the_gpu_is_told(text: str) -> None:
    words = failure_in_words(RuntimeError(text))
    assert words is not None and GPU_ERRORS[text] in words and "CPU" in words and "\n" not in words


def test_torchs_own_error_of_memory_is_one_of_the_gpu() -> None:
    import torch

    words = failure_in_words(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."))
    assert words is not None and words.startswith("The GPU's memory is not enough;")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.ESTALE, errno.EDQUOT, errno.EFBIG])
def test_files_that_fail_are_named_with_the_reason(code: int) -> None:
    assert failure_in_words(OSError(code, os.strerror(code), "share/result.json")) == (
        f"share/result.json cannot be read or written: {os.strerror(code)}."
    )


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("cuda"), RuntimeError("shapes differ"), AssertionError("CUDA"), IndexError()])
def test_a_defect_is_no_failure_of_the_machine(error: Exception) -> None:
    assert failure_in_words(error) is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ESTALE, os.strerror(errno.ESTALE), "share/model.safetensors"), 1),
        (OSError("a.nrrd cannot be written (Write error); is the disk full?"), 1),
        (MemoryError(), 1),
        (RuntimeError("CUDA error: device-side assert triggered"), 1),
    ],
)
def test_a_command_ends_with_one_line_and_its_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(SystemExit) as ended:
        run_command(command)
    assert ended.value.code == code
    said = capsys.readouterr().err
    assert said == f"Error: {failure_in_words(error)}\n" and said.endswith((".\n", "?\n"))


def test_a_defect_tells_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(ZeroDivisionError):
        run_command(command)


class BrokenGPU:
    """A PyTorch whose CUDA is there, and fails as it is used."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
        import torch

        self.devices: list[str] = []
        monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        ones = torch.ones

        def on_the_cpu_or_not(*size: int, device: Any = "cpu") -> Any:
            self.devices.append(str(device))
            if error:
                raise error
            return ones(*size)

        monkeypatch.setattr(torch, "ones", on_the_cpu_or_not)


@pytest.mark.parametrize("text", ["CUDA error: no kernel image is available for execution on the device", "CUDA out of memory."])
def test_a_gpu_that_fails_at_once_is_left_alone(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from DRRSimulatorLib.errors import InputError
    from XRayRegistrationLib.device import choose_device

    BrokenGPU(monkeypatch, RuntimeError(text))
    assert choose_device("auto") == "cpu"
    with pytest.raises(InputError, match="choose --device cpu"):
        choose_device("cuda")


def test_each_process_of_several_tries_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from XRayRegistrationLib.device import choose_device

    gpu = BrokenGPU(monkeypatch, None)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert choose_device("auto") == "cuda"
    assert gpu.devices == ["cuda:3"]


def test_without_cuda_the_cpu_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from XRayRegistrationLib.device import choose_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"


def test_a_lost_share_is_told_by_the_file_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such servers tell late: when the file is flushed."""
    from DRRSimulatorLib.files import atomic_path

    (tmp_path / "result.json").write_text("earlier", encoding="utf-8")

    def lost(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", lost)
    with pytest.raises(OSError) as failed, atomic_path(tmp_path / "result.json") as temporary:
        temporary.write_text("new", encoding="utf-8")
    words = failure_in_words(failed.value)
    assert words == f"{tmp_path / 'result.json'} cannot be read or written: {os.strerror(errno.EIO)}."
    assert [(file.name, file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()] == [("result.json", "earlier")]
