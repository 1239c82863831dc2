"""What the header of a NIfTI, NRRD or MetaImage file claims, checked before a reader believes it: such files come from anywhere."""

from __future__ import annotations

import gzip
import math
import mmap
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from .errors import InputError

LARGEST_VOXEL_BYTES = 2**32
"""What the voxels of a file may take in memory as they are stored: 1024x1024x1500 of 16 bits take 3 GiB."""

LARGEST_PICTURE_BYTES = 2**28
"""The same of a picture: the largest X-ray detectors have 20 million pixels."""

LARGEST_PLACE = 1e6
"""In a header's spacing, origin and axes, mm: with larger numbers ITK's normalising of axes does not end."""

_MOST_OF_BMP = 3 * 128  # bytes of a BMP's colours to one of the file: a run of 255 is two bytes long
_MOST_DEFLATED = 1032  # times as large is what DEFLATE makes of its input, at most (J. Gailly and M. Adler, zlib's technical details)
_LONGEST_TEXT_HEADER = 2**20
_LONGEST_NAME = 255  # of a file in every usual file system
# Of an NRRD header's fields, but not of its comments and key:=value pairs: the library writes them into messages of limited length.
_LONGEST_FIELD, _LONGEST_WORD = 512, 100
_CHUNK_BYTES = 1 << 24
_NIFTI_HEADER_BYTES, _NIFTI2_HEADER_BYTES = 348, 540

_WORD = re.compile(rb"[^\s,()\"/]+")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_NRRD_DATA_FILE = re.compile(rb"data ?file:(?!=)[ \t]*([^\r\n]*)", re.IGNORECASE)
# Wherever it stands: the library takes it with spaces before it, a colon for the equals sign, and after any white space.
_META_DATA_FILE = re.compile(rb"ElementDataFile\s*[=:][ \t]*([^\r\n]*)")
_NRRD_SIZES = re.compile(rb"^[ \t]*sizes:(?!=)([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_NUMBER = re.compile(rb"\d+")
_META_LINE = re.compile(rb"[^=:]+[=:]")
_META_DIMENSION = re.compile(rb"NDims\s*[=:]\s*([^\s]*)")
_META_DIMENSIONS = (b"2", b"3", b"4")  # with others the library leaves the room that it has for them
_META_COMPRESSED = re.compile(rb"CompressedData\s*[=:]\s*[Tt1]")
_META_HEADER_SIZE = re.compile(rb"HeaderSize\s*[=:]\s*[^\s0]")
_META_COMPRESSED_SIZE = re.compile(rb"CompressedDataSize\s*[=:]\s*([^\s]*)")


def check_nifti(path: Path) -> None:
    """Refuse a NIfTI file that does not hold the voxels that its header claims, or too many; memory and time stay bounded.

    ITK reads what there is of a truncated file, and the rest as zeros, without a word.
    """
    compressed = path.suffix.lower() == ".gz"
    try:
        with gzip.open(path) if compressed else path.open("rb") as file:
            header = file.read(_NIFTI_HEADER_BYTES)
            order = _nifti_order(path, header)
            if not order:
                return  # not NIfTI: ITK says what is wrong
            claimed = _nifti_bytes(header, order)
            _refuse_too_many(path, claimed)
            _refuse_places(path, header, order)
            size = len(header) if compressed else path.stat().st_size
            while compressed and size <= claimed + _CHUNK_BYTES and (chunk := file.read(_CHUNK_BYTES)):
                size += len(chunk)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}); it is damaged or not whole: copy it again.") from error
    if size < claimed:
        raise InputError(f"{path} cannot be read: it is shorter than its header says; copy it again.")
    if compressed and size > claimed + _CHUNK_BYTES:
        raise InputError(f"{path} cannot be read: it unpacks to far more than its header says; save it again.")


def check_voxel_files(path: Path, is_nrrd: bool) -> None:
    """Refuse an NRRD or MetaImage header that takes its voxels from anywhere but itself or a file in its own folder."""
    folder = path.parent.resolve()
    for name in _named_files(path, is_nrrd):
        # The libraries take a per cent sign for a place to print a number into, or whatever else it may be made to mean.
        if "\0" in name or len(name) > _LONGEST_NAME or "%" in name:
            raise InputError(f"{path} names a file for its voxels that cannot be meant; save it again as one file.")
        if name.upper().startswith("LIST"):
            raise InputError(f"{path} keeps its voxels in a list of files, which is not supported; save it as one file.")
        target = (folder / name).resolve()
        # The name "-" stands for what is typed into the program.
        if not target.is_relative_to(folder) or name == "-" or (target.exists() and not target.is_file()):
            raise InputError(f"{path} takes its voxels from {name}, outside its own folder; put both files into one folder.")
        if not is_nrrd and target.is_file():
            with path.open("rb") as file, target.open("rb") as voxels:
                _refuse_dictionary(path, file.read(_LONGEST_TEXT_HEADER), voxels.read(2))


def check_claim(path: Path, is_nrrd: bool, claimed: int, is_volume: bool = True) -> None:
    """Refuse voxels of more bytes than the limit, or than any compression makes of the files that hold them.

    Args:
        path: an NRRD or MetaImage file that passed `check_voxel_files`.
        is_nrrd: which of them.
        claimed: bytes of the voxels by the header.
        is_volume: whether it is one of these at all; pictures are compressed in other ways, but are of one file and smaller.
    """
    if not is_volume:
        if claimed > LARGEST_PICTURE_BYTES:
            raise InputError(f"{path} claims {claimed / 2**20:,.0f} MB of pixels, more than any X-ray has; export it again.")
        # Readers of the others refuse what ends early; that of BMP reads what there is, and the rest as it comes.
        if path.suffix.lower() == ".bmp" and claimed > _MOST_OF_BMP * path.stat().st_size:
            raise InputError(f"{path} cannot be read: it is shorter than its header says; export it again.")
        return
    _refuse_too_many(path, claimed)
    files = [path, *(path.parent / name for name in _named_files(path, is_nrrd))]
    if all(file.is_file() for file in files) and claimed > _MOST_DEFLATED * sum(file.stat().st_size for file in files):
        raise InputError(f"{path} cannot be read: it is shorter than its header says; copy it again.")


def _named_files(path: Path, is_nrrd: bool) -> Iterator[str]:
    """The files that a header names for its voxels; nothing where they follow the header."""
    if path.stat().st_size == 0:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if is_nrrd:
            end = _BLANK_LINE.search(content, 0, _LONGEST_TEXT_HEADER)
            if end is None and len(content) > _LONGEST_TEXT_HEADER:
                raise InputError(f"{path} cannot be read: its header is longer than 1 MB; save it again.")
            header = content[: end.start() if end else len(content)]
            fields = [line for line in header.split(b"\n") if b":=" not in line and not line.startswith(b"#")]
            if any(len(line) > _LONGEST_FIELD or any(len(word) > _LONGEST_WORD for word in _WORD.findall(line)) for line in fields):
                raise InputError(f"{path} cannot be read: a line of its header is far longer than such lines are; save it again.")
            sizes = [abs(int(size)) for line in _NRRD_SIZES.findall(header) for size in _NUMBER.findall(line)]
            _refuse_too_many(path, math.prod(sizes))  # here already: the library takes memory while it reads the header
            found = _NRRD_DATA_FILE.findall(header)
        else:
            place = _META_DATA_FILE.search(content)
            header = content[: place.end() if place else _LONGEST_TEXT_HEADER]
            _refuse_damaged_text(path, header)
            if any(dimension not in _META_DIMENSIONS for dimension in _META_DIMENSION.findall(content)):
                raise InputError(f"{path} cannot be read: an image has two to four dimensions; save it again.")
            found = _META_DATA_FILE.findall(content)
            _refuse_dictionary(path, header, content[len(header) : len(header) + 4].lstrip(b"\r\n"))
            if not all(_is_within(size, len(content) * _MOST_DEFLATED) for size in _META_COMPRESSED_SIZE.findall(content)):
                raise InputError(f"{path} cannot be read: it is shorter than its header says; copy it again.")
    for name in found:
        text = name.decode("utf-8", "surrogateescape").strip()
        if is_nrrd or text.upper() != "LOCAL":
            yield text


def _refuse_damaged_text(path: Path, header: bytes) -> None:
    """Refuse a MetaImage header whose lines are not all of the form `name = value`: a name that lacks it takes the next line's."""
    lines = [line for line in header.split(b"\n") if line.strip()]
    if b"\0" in header or len(header) > _LONGEST_TEXT_HEADER or not all(_META_LINE.match(line) for line in lines):
        raise InputError(f"{path} cannot be read: its header is damaged; save it again.")


def _refuse_dictionary(path: Path, header: bytes, voxels: bytes) -> None:
    """Refuse compressed voxels of a MetaImage that ask for a dictionary (RFC 1950, 2.2): the library waits for it without end.

    So are those that do not begin where they are looked for here, which HeaderSize can bring about.
    """
    if not _META_COMPRESSED.search(header):
        return
    is_zlib = len(voxels) >= 2 and voxels[0] & 0x0F == 8 and int.from_bytes(voxels[:2], "big") % 31 == 0
    if (is_zlib and voxels[1] & 0x20) or _META_HEADER_SIZE.search(header):
        raise InputError(f"{path} cannot be read: its voxels are not compressed as such files' are; save it again.")


def _is_within(number: bytes, limit: int) -> bool:
    """Whether a text is a number from 0 to a limit; the library takes 1e38 for one as well."""
    try:
        return 0 <= float(number) <= limit
    except ValueError:
        return False


def _nifti_order(path: Path, header: bytes) -> Literal["<", ">", ""]:
    """The order of a NIfTI header's bytes; "" if it is none.

    Raises:
        InputError: if it is of version 2, which ITK does not read.
    """
    for order in ("<", ">"):
        if header[:4] == struct.pack(f"{order}i", _NIFTI2_HEADER_BYTES):
            raise InputError(f"{path} is a NIfTI-2 file; save it as NIfTI-1.")
        if header[:4] == struct.pack(f"{order}i", _NIFTI_HEADER_BYTES) and len(header) == _NIFTI_HEADER_BYTES:
            return order
    return ""


def _nifti_bytes(header: bytes, order: str) -> int:
    """Bytes of a NIfTI file up to the end of its voxels, by its header. Offsets here and below: nifti1.h."""
    dimensions, bits = struct.unpack_from(f"{order}8h", header, 40), struct.unpack_from(f"{order}h", header, 72)[0]
    return _NIFTI_HEADER_BYTES + math.prod(max(0, n) for n in dimensions[1 : 1 + max(0, dimensions[0])]) * max(0, bits) // 8


def _refuse_places(path: Path, header: bytes, order: str) -> None:
    """Refuse a NIfTI header that places its image beyond any room: ITK's search for right angles does not end there."""
    spacing = struct.unpack_from(f"{order}4f", header, 76)
    qform, sform, *places = struct.unpack_from(f"{order}2h18f", header, 252)  # codes, quaternion and offset, rows of a matrix
    used = (*spacing, *(places[:6] if qform else ()), *(places[6:] if sform else ()))
    if not all(abs(number) <= LARGEST_PLACE for number in used):  # nor is NaN
        raise InputError(f"{path} places its image beyond any room; its header is damaged, save it again.")


def _refuse_too_many(path: Path, claimed: int) -> None:
    if claimed > LARGEST_VOXEL_BYTES:
        claim = f"{min(claimed, 10**15) / 2**30:,.0f} GB of voxels, more than the {LARGEST_VOXEL_BYTES / 2**30:.0f} GB"
        raise InputError(
            f"{path} claims {claim} that are read from a file; store the CT as 16-bit whole numbers or as a DICOM series, or crop it."
        )
