"""Damage to bytes and to text, whatever they mean: flipped bits, numbers at the edges of their range, pieces cut, moved or repeated."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

Damage = Callable[[bytes, Random], bytes]

EDGES = [sign * (1 << bits) + step for bits in (0, 7, 8, 15, 16, 24, 31, 32, 40, 63) for sign in (1, -1) for step in (-1, 0, 1)]
NUMBERS = [
    *("0", "-0", "1", "-1", "2", "7", "255", "256", "65535", "65536", "2147483647", "2147483648", "4294967296", "-2147483648"),
    *("18446744073709551616", "1e9", "1e-9", "1e38", "1e39", "1e308", "1e309", "-1e309", "1e-320", "nan", "NaN", "inf", "-Infinity"),
    *("0x10", "1_000", "٣", "1,5", "", "None", "true", "9" * 400, "9" * 5000, "1." + "3" * 400),
]
WORDS = ["", "..", "../outside/secret.raw", "/etc/passwd", "C:\\secret", "\\\\host\\share", "file:///etc/passwd", "%s%n", "\0", "\ufeff"]
WORDS += ["é", "x" * 10_000, "LIST", "LOCAL", "{{7*7}}", "__import__('os').abort()", "!!python/object/apply:os.system ['true']", "NaN"]
_NUMBER = re.compile(rb"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_HEADER = 400  # bytes, where half of the damage falls: what files say of themselves stands at their beginning
_LONGEST = 200_000  # bytes


def damaged_bytes(data: bytes, rng: Random) -> bytes:
    """One to four pieces of damage to bytes."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(_BYTE_DAMAGE)(data, rng)
    return data[:_LONGEST]


def damaged_text(data: bytes, rng: Random) -> bytes:
    """One to four pieces of damage to text: to its numbers, lines and words, and seldom to its bytes."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(_TEXT_DAMAGE)(data, rng)
    return data[:_LONGEST]


def number_changed(data: bytes, rng: Random) -> bytes:
    """Another number in place of one in the text."""
    found = list(_NUMBER.finditer(data))
    if not found:
        return data
    match = rng.choice(found)
    return data[: match.start()] + rng.choice(NUMBERS).encode() + data[match.end() :]


def _position(data: bytes, rng: Random) -> int:
    return rng.randrange(min(len(data), _HEADER) if rng.random() < 0.5 else len(data)) if data else 0


def _bit_flipped(data: bytes, rng: Random) -> bytes:
    at = _position(data, rng)
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :] if data else data


def _byte_changed(data: bytes, rng: Random) -> bytes:
    at = _position(data, rng)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _integer_changed(data: bytes, rng: Random) -> bytes:
    """A number of 1, 2, 4 or 8 bytes, such as a length, becomes one at the edge of what some type holds."""
    at, size, order = _position(data, rng), rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
    value = rng.choice(EDGES) % (1 << 8 * size)
    return data[:at] + value.to_bytes(size, order) + data[at + size :]


def _cut_off(data: bytes, rng: Random) -> bytes:
    return data[: _position(data, rng)]


def _piece_removed(data: bytes, rng: Random) -> bytes:
    at = _position(data, rng)
    return data[:at] + data[at + rng.choice((1, 2, 4, 8, 40, 400)) :]


def _piece_moved(data: bytes, rng: Random) -> bytes:
    at, start = _position(data, rng), _position(data, rng)
    return data[:at] + data[start : start + rng.choice((1, 4, 16, 80, 800))] + data[at:]


def _piece_overwritten(data: bytes, rng: Random) -> bytes:
    at, start = _position(data, rng), _position(data, rng)
    piece = data[start : start + rng.choice((1, 4, 16, 80, 800))]
    return data[:at] + piece + data[at + len(piece) :]


def _piece_repeated(data: bytes, rng: Random) -> bytes:
    at = _position(data, rng)
    piece = data[at : at + rng.choice((1, 8, 64))]
    return data[:at] + piece * rng.choice((2, 16, 256)) + data[at:]


def _zeroed(data: bytes, rng: Random) -> bytes:
    at, count = _position(data, rng), rng.choice((4, 16, 128))
    return data[:at] + bytes(count) + data[at + count :]


def _word_put_in(data: bytes, rng: Random) -> bytes:
    at = _position(data, rng)
    return data[:at] + rng.choice(WORDS + NUMBERS).encode() + data[at:]


def _line_changed(data: bytes, rng: Random) -> bytes:
    lines = data.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            del lines[first]
        case 1:
            lines.insert(second, lines[first])
        case 2:
            lines[first], lines[second] = lines[second], lines[first]
        case _:
            name, separator, _ = lines[first].partition(rng.choice((b":", b"=", b",")))
            lines[first] = name + separator + rng.choice((b" ", b"")) + rng.choice(WORDS + NUMBERS).encode()
    return b"\n".join(lines)


_BYTE_DAMAGE: list[Damage] = [
    *(_bit_flipped, _byte_changed, _integer_changed, _integer_changed, _cut_off, _piece_removed, _piece_moved, _piece_overwritten),
    *(_piece_repeated, _zeroed),
]
_TEXT_DAMAGE: list[Damage] = [number_changed, number_changed, number_changed, _line_changed, _line_changed, _word_put_in, damaged_bytes]
