"""Blosc for chunks of strangers: what a chunk says of its own sizes is checked before memory is taken for it, and before it is read."""

from __future__ import annotations

import struct
from math import prod
from typing import TYPE_CHECKING

from zarr.codecs import BloscCodec
from zarr.registry import register_codec

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer


_HEADER = struct.Struct("<4x3I")  # of a chunk: bytes unpacked, of a block, and packed (C-Blosc, README_CHUNK_FORMAT)


class BoundedBlosc(BloscCodec):
    """Blosc whose chunks must be as long as they say, and unpack to the size of an array's chunk.

    Of others it would take up to 2 GiB each, and read what lies behind them in memory.
    """

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        packed = chunk_bytes.to_bytes()
        unpacked_size, _block, packed_size = _HEADER.unpack(packed[: _HEADER.size])
        expected = prod(chunk_spec.shape) * chunk_spec.dtype.to_native_dtype().itemsize
        if unpacked_size != expected or packed_size != len(packed):
            raise ValueError(f"a chunk of {len(packed)} bytes says that its {packed_size} are {unpacked_size} unpacked, not {expected}")
        return await super()._decode_single(chunk_bytes, chunk_spec)


register_codec("blosc", BoundedBlosc)
USE_IT = {"codecs.blosc": f"{BoundedBlosc.__module__}.{BoundedBlosc.__qualname__}"}  # for zarr.config.set
