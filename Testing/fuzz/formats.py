"""Damage that keeps a file's outer shape, so that it reaches what lies within: JSON, safetensors, compressed files, DICOM, Zarr."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from copy import deepcopy
from random import Random
from typing import Any

from .damage import EDGES, NUMBERS, WORDS, Damage, damaged_bytes, damaged_text, number_changed

VALUES: list[Any] = [None, True, False, "", "1", [], {}, [[]], {"a": 1}, 0, 0.5, float("nan"), float("inf"), -float("inf"), 1e308, *EDGES]
VALUES += [10**400, *WORDS, *NUMBERS, [1e308] * 4, list(range(1000))]
_DEPTH = 100_000  # of nested lists; Python's own limit is about 1,000


def damaged_json(data: bytes, rng: Random) -> bytes:
    """Values changed, removed, doubled, renamed or nested; seldom the text itself."""
    choice = rng.random()
    if choice < 0.2:
        return damaged_text(data, rng)
    if choice < 0.21:
        at = rng.randrange(len(data) + 1)
        return data[:at] + rng.choice((b"[", b'{"a":')) * _DEPTH + data[at:]
    try:
        document = json.loads(data)
    except ValueError:
        return damaged_text(data, rng)
    holder = [document]
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change_somewhere(holder, rng)
    return json.dumps(holder[0]).encode() if len(holder) == 1 else b""


def _change_somewhere(document: Any, rng: Random) -> None:
    """Change one of the places in a document, each as likely as any other."""
    places: list[tuple[Any, Any]] = []
    left = [document]
    while left:
        node = left.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        places += [(node, key) for key in keys]
        left += [node[key] for key in keys if isinstance(node[key], (dict, list))]
    if not places:
        return
    node, key = rng.choice(places)
    match rng.randrange(8):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[rng.choice([*WORDS, *NUMBERS, str(key) + "x"])] = node.pop(key)
        case 1 | 2 if isinstance(node, list):
            node.insert(rng.randrange(len(node) + 1), deepcopy(rng.choice(VALUES)))
        case 3:
            node[key] = rng.choice(([node[key]], {"a": node[key]}, str(node[key])))
        case 4 if isinstance(node[key], str) and node[key].startswith(("{", "[")):
            node[key] = damaged_json(node[key].encode(), rng).decode("utf-8", "replace")
        case 5 if isinstance(node[key], (int, float)) and abs(node[key]) < 1e300:
            node[key] = rng.choice((-1, 0.5, 2, 1000, 1e6, 1e12)) * node[key]
        case _:
            node[key] = deepcopy(rng.choice(VALUES))


def damaged_safetensors(data: bytes, rng: Random) -> bytes:
    """Damage to the header's JSON (tensors' types, shapes and places; the description within), else to bytes."""
    if rng.random() < 0.25:
        return damaged_bytes(data, rng)
    size = int.from_bytes(data[:8], "little")
    header = damaged_json(data[8 : 8 + size], rng)
    claimed = len(header) if rng.random() < 0.95 else rng.choice(EDGES) % (1 << 64)
    return claimed.to_bytes(8, "little") + header + data[8 + size :]


def within_gzip(inner: Damage) -> Damage:
    """Damage to what a gzip file holds, and seldom to the file itself."""

    def damage(data: bytes, rng: Random) -> bytes:
        if rng.random() < 0.2:
            return damaged_bytes(data, rng)
        return gzip.compress(inner(gzip.decompress(data), rng), compresslevel=1, mtime=0)

    return damage


def damaged_png(data: bytes, rng: Random) -> bytes:
    """Damage to a chunk of a PNG file, whose checksum is made right again, or to bytes."""
    if rng.random() < 0.4:
        return damaged_bytes(data, rng)
    chunks, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append(data[at + 4 : at + 8 + length])
        at += 12 + length
    number = rng.randrange(len(chunks))
    chunks[number] = chunks[number][:4] + damaged_bytes(chunks[number][4:], rng)
    return data[:8] + b"".join(struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)


def damaged_header(data: bytes, rng: Random) -> bytes:
    """Damage to a text header that ends before binary data (NRRD, MetaImage), else to bytes."""
    end = max(data.find(b"\n\n") + 1, data.find(b"ElementDataFile = LOCAL\n") + 24)
    if rng.random() < 0.3 or end < 24:
        return damaged_bytes(data, rng)
    return (number_changed if rng.random() < 0.5 else damaged_text)(data[:end], rng) + data[end:]


def damaged_dicom(data: bytes, rng: Random) -> bytes:
    """Damage to one or two elements of a DICOM file in Explicit VR Little Endian: length, type, tag or value; else to bytes."""
    if rng.random() < 0.3:
        return damaged_bytes(data, rng)
    for _ in range(rng.choice((1, 1, 2))):
        places = _elements(data)
        if not places:
            break
        data = _element_damaged(data, *rng.choice(places), rng)
    return data


_LONG = {b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UR", b"UT", b"UN", b"SV", b"UV"}  # types with lengths of 32 bits
_TYPES = sorted(_LONG | {b"US", b"SS", b"UL", b"SL", b"FL", b"FD", b"DS", b"IS", b"CS", b"UI", b"LO", b"PN", b"DA", b"AT", b"ZZ"})


def _elements(data: bytes) -> list[tuple[int, int, int]]:
    """Start, start of the value and end of every element outside of sequences."""
    found, at = [], 132
    while at + 8 <= len(data):
        long = data[at + 4 : at + 6] in _LONG
        value = at + (12 if long else 8)
        length = int.from_bytes(data[value - (4 if long else 2) : value], "little")
        end = value + length
        if end > len(data):  # also a length that is not told
            found.append((at, value, len(data)))
            break
        found.append((at, value, end))
        at = end
    return found


def _element_damaged(data: bytes, start: int, value: int, end: int, rng: Random) -> bytes:
    size = 4 if value - start == 12 else 2
    match rng.randrange(8):
        case 0:
            length = rng.choice(EDGES) % (1 << 8 * size)
            return data[: value - size] + length.to_bytes(size, "little") + data[value:]
        case 1:
            return data[: start + 4] + rng.choice(_TYPES) + data[start + 6 :]
        case 2:
            return data[:start] + bytes(rng.randrange(256) for _ in range(4)) + data[start + 4 :]
        case 3:
            return data[:start] + data[end:]
        case 4:
            return data[:end] + data[start:end] + data[end:]
        case 5:
            new = rng.choice(EDGES).to_bytes(9, "little", signed=True)[: min(end - value, 8)]
            return data[:value] + new + data[value + len(new) :]
        case _:
            words = [*NUMBERS[:-3], *WORDS[:-1]]
            new = "\\".join(rng.choice(words) for _ in range(rng.choice((1, 1, 2, 3, 6)))).encode()
            new = (new if rng.random() < 0.8 else damaged_bytes(data[value:end], rng))[:60_000]
            new += b" " * (len(new) % 2)
            return data[: value - size] + len(new).to_bytes(size, "little") + new + data[end:]


def damaged_chunk(data: bytes, rng: Random) -> bytes:
    """Damage to a Zarr chunk of Blosc and CRC-32C, or to a shard of such chunks and its index; most checksums are made right again."""
    if rng.random() < 0.2 or len(data) < 24:
        return damaged_bytes(data, rng)
    if _checksum(data[:-4]) == data[-4:] and data[:1] in (b"\2", b"\5"):  # a chunk: Blosc's version comes first
        return _checked(damaged_bytes(data[:-4], rng))
    index_bytes = 32 * 16 + 4  # a shard's 32 chunks with offset and size each, and a checksum
    chunks, index = data[:-index_bytes], data[-index_bytes:-4]
    entries = [at for at in range(0, len(index), 16) if index[at : at + 16] != b"\xff" * 16]
    if not entries or rng.random() < 0.3:
        at = 8 * rng.randrange(64)
        return chunks + _checked(index[:at] + (rng.choice(EDGES) % (1 << 64)).to_bytes(8, "little") + index[at + 8 :])
    offset, size = struct.unpack_from("<2Q", index, rng.choice(entries))
    inner = damaged_bytes(chunks[offset : offset + size - 4], rng)[: size - 4].ljust(size - 4, b"\0")
    return chunks[:offset] + _checked(inner) + chunks[offset + size :] + _checked(index)


def _checked(data: bytes) -> bytes:
    return data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    from google_crc32c import value

    return value(data).to_bytes(4, "little")


def damaged_json_lines(data: bytes, rng: Random) -> bytes:
    """Damage to one of several lines of JSON."""
    lines = data.split(b"\n")
    number = rng.randrange(len(lines))
    lines[number] = damaged_json(lines[number], rng)
    return b"\n".join(lines)
