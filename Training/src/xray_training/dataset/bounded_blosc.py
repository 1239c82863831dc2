"""Blosc for chunks of strangers: what a chunk says of its own size is checked before memory is taken for it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from zarr.codecs import BloscCodec
from zarr.registry import register_codec

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer


class BoundedBlosc(BloscCodec):
    """Blosc whose chunks must unpack to the size of an array's chunk; of others it would take up to 2 GiB each."""

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        # Bytes 4 to 7 of a chunk's header (C-Blosc, README_CHUNK_FORMAT): its size uncompressed.
        size = int.from_bytes(chunk_bytes.to_bytes()[4:8], "little")
        expected = prod(chunk_spec.shape) * chunk_spec.dtype.to_native_dtype().itemsize
        if size != expected:
            raise ValueError(f"a chunk would unpack to {size} bytes instead of {expected}")
        return await super()._decode_single(chunk_bytes, chunk_spec)


register_codec("blosc", BoundedBlosc)
USE_IT = {"codecs.blosc": f"{BoundedBlosc.__module__}.{BoundedBlosc.__qualname__}"}  # for zarr.config.set
