"""A folder of Zarr files of strangers: no part is asked for that lies beyond a file's end, for which memory would be taken first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zarr.abc.store import RangeByteRequest
from zarr.storage import LocalStore

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


class BoundedStore(LocalStore):
    """Refuses what a shard's index says of chunks that cannot be in its file."""

    async def get(self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None) -> Buffer | None:
        """As of any store; a ValueError beyond the file's end."""
        path = self.root / key
        if isinstance(byte_range, RangeByteRequest) and path.is_file() and byte_range.end > path.stat().st_size:
            raise ValueError(f"the index of {key} leads beyond its end")
        return await super().get(key, prototype, byte_range)
