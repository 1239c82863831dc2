"""Opening DICOM files of strangers: the lengths in their headers take no more memory than the files themselves."""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

LARGEST_DEFLATED_BYTES = 2**20  # becomes at most 1 GiB: pydicom inflates such a file as a whole

_UNDEFINED = 0xFFFFFFFF  # length of what ends with a delimiter
_LONGEST_KEPT = 2**16  # bytes of a value that is read to look at lengths; pixels are longer

# TransferSyntaxUID with the UID of Deflated Explicit VR Little Endian, wherever it stands.
_DEFLATED = re.compile(rb"\x02\x00\x10\x00.{4}1\.2\.840\.10008\.1\.2\.1\.99", re.DOTALL)


def read_dicom_file(path: Path, largest_deflated: int = LARGEST_DEFLATED_BYTES, **options: Any) -> Dataset:
    """What `pydicom.dcmread` reads, which believes every length and asks for memory before it looks whether there is as much to read.

    Args:
        path: the file.
        largest_deflated: bytes of a deflated file that is read.
        options: of `pydicom.dcmread`.

    Raises:
        InputError: if the file is deflated and too large for that.
        Exception: of many types, if the file is damaged; pydicom's InvalidDicomError if it is none.
    """
    import pydicom

    if path.stat().st_size == 0:
        raise pydicom.errors.InvalidDicomError(f"{path} is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if len(content) > largest_deflated and _DEFLATED.search(content):
            size = f"larger than {largest_deflated / 2**20:.0f} MB" if largest_deflated else "can hide any size"
            raise InputError(f"The DICOM file {path} is compressed as a whole (deflated) and {size}; export it without compression.")
        return pydicom.dcmread(content, **options)  # type: ignore[arg-type]  # a map of a file reads like one


def refuse_false_lengths(path: Path) -> None:
    """Look whether every element of a file fits into it: GDCM takes the memory that a length tells before it looks.

    Raises:
        InputError: if one claims to be longer, or the file is damaged otherwise.
    """
    try:
        holds = _fits(read_dicom_file(path, defer_size=_LONGEST_KEPT), path.stat().st_size)
    except InputError:
        raise
    except Exception as error:  # damaged files make pydicom raise nearly anything
        raise InputError(f"The DICOM file {path} cannot be read ({error}); replace it.") from error
    if not holds:
        raise InputError(f"The DICOM file {path} cannot be read: an element of it claims to be longer than the file; replace it.")


def _fits(dataset: Dataset, size: int) -> bool:
    for tag in dataset.keys():  # noqa: SIM118  # without the values, which it would convert
        element: Any = dataset.get_item(tag, keep_deferred=True)
        length = getattr(element, "length", _UNDEFINED)
        if length != _UNDEFINED and (element.value_tell + length > size if element.value is None else len(element.value) < length):
            return False
        if element.VR == "SQ" and element.value is not None and not all(_fits(item, size) for item in dataset[tag].value):
            return False
    return True


def decoding_plugin(syntax: UID) -> str | None:
    """A plug-in of pydicom 3 for a compressed transfer syntax, None where there is none.

    It is never GDCM's, whose errors in damaged files end the process; where SimpleITK uses GDCM, it catches them. Nor is it that of
    pyjpegls, which works for seconds on a file that ends early.
    """
    from pydicom.pixels.decoders.base import get_decoder

    return next((name for name in get_decoder(syntax).available_plugins if name not in ("gdcm", "pyjpegls")), None)
