"""What is told to the user of an error: input that he can mend, and failures of the machine."""

from __future__ import annotations

import re

_OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|failed to allocate|bad_alloc", re.IGNORECASE)
_OF_THE_GPU = re.compile(r"cuda|cudnn|cublas|nccl", re.IGNORECASE)


class InputError(ValueError):
    """Input that cannot be used; its message is one plain sentence that says what is wrong and what to do.

    The commands print the message and end with exit code 2.
    """


def failure_in_words(error: BaseException) -> str | None:
    """What failed of the machine (files, memory, GPU) and what to do, in a sentence; None for any other error: a defect of ours.

    PyTorch, Warp and SimpleITK tell of memory and the GPU in the text of a RuntimeError only.
    """
    text = " ".join(str(error).split())
    told = text if isinstance(error, RuntimeError) else ""
    if _OF_THE_GPU.search(told):
        if _OUT_OF_MEMORY.search(told):
            return "The GPU's memory is not enough; end other programs that use it, work on less at a time, or use the CPU."
        return f"The GPU failed ({_short(text)}); try again, or use the CPU."
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(told):
        return "This computer's memory is not enough; end other programs, work on less at a time, or use a smaller CT or images."
    if not isinstance(error, OSError):
        return None
    if error.filename is None or error.strerror is None:
        reason = error.strerror or text
        return reason if reason.endswith((".", "?")) else f"{reason}."
    return f"{error.filename} cannot be read or written: {error.strerror}."


def _short(text: str) -> str:
    """The begin of a text, up to its first sentence's end: PyTorch goes on with advice for programmers."""
    return re.split(r"\.\s|; |\s*CUDA kernel errors", text, maxsplit=1)[0].rstrip(".")[:200]
