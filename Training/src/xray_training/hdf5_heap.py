"""The heap in which an HDF5 file keeps text, looked at before the library reads it, which never gets past a free piece of no size."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

_LARGEST_HEAP = 1 << 24  # bytes; the library makes heaps of some kilobytes
_HEADER_BYTES = 16


def check_heap(dataset: Any) -> None:
    """Look at the heap that holds the text of a data set of one string. Offsets: HDF5 File Format Specification 3.0, III.E and IV.A.2.d.

    Args:
        dataset: an h5py data set of an open file.

    Raises:
        ValueError: if the heap is damaged.
    """
    reference = dataset.id.get_offset()
    if reference is None:  # stored with the description of the data set itself
        return
    with Path(dataset.file.filename).open("rb") as file:
        file.seek(reference)
        _length, address = struct.unpack("<IQ", file.read(12))
        file.seek(address + dataset.file.userblock_size)
        header = file.read(_HEADER_BYTES)
        size = int.from_bytes(header[8:], "little")
        if header[:4] != b"GCOL" or not _HEADER_BYTES <= size <= _LARGEST_HEAP:
            raise ValueError("the heap for its text is damaged")
        pieces = file.read(size - _HEADER_BYTES)
    place = 0
    while place + _HEADER_BYTES <= len(pieces):
        number, length = struct.unpack_from("<H6xQ", pieces, place)
        step = _HEADER_BYTES + -(-length // 8) * 8 if number else length  # the free piece, number 0, counts its own header
        if step < _HEADER_BYTES:
            raise ValueError("the heap for its text has a piece of no size")
        place += step
