"""A tiled BigTIFF whose tiles are written in any order, and which a killed writer's successor can go on with.

The header points nowhere until every tile is there; then come the tables of pages, and at last the pointer to them. So
an unfinished file has no page. The same tiles, written in the same order, give the same bytes, however often the writer
was stopped.

Sources: TIFF, revision 6.0 (Adobe, 1992), sections 2, 5 and 15; the BigTIFF design (Aware Systems); Deflate as in the
technical note of 2002 (compression 8).
"""

import io
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.regions.sink import Form, Place, Record, Store

_HEADER = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0)
_POINTER_AT = 8
_TEXT, _SHORT, _LONG, _RATIONAL, _LONG8 = 2, 3, 4, 5, 16
_PACK = {_TEXT: "s", _SHORT: "H", _LONG: "I", _RATIONAL: "II", _LONG8: "Q"}
_DEFLATE = 8
_LEVEL = 6
_GREY, _COLOUR_TABLE = 1, 3
_NO_UNIT, _CENTIMETRE = 1, 3
_UM_A_CM = 10_000
_KINDS = {"u": 1, "i": 2, "f": 3}

Tag = tuple[int, int, Sequence[int] | bytes]
"""Number, type and values of an entry."""


class TiffStore(Store):
    """One page a plane, each of tiles packed by Deflate."""

    def __init__(self, path: Path, form: Form) -> None:
        super().__init__(path, form)
        self._file: io.FileIO | None = None
        self._end = len(_HEADER)

    def begin(self) -> None:
        """Write the header."""
        self._file = io.FileIO(self.path, "w+")
        self._write(0, _HEADER)

    def go_on(self, written: Mapping[Place, Record]) -> bool:
        """Cut off what comes after the last whole tile, and let the header point nowhere."""
        if not self.path.is_file():
            return False
        self._file = io.FileIO(self.path, "r+")
        self._end = max((offset + count for offset, count in written.values()), default=len(_HEADER))
        if self._file.seek(0, os.SEEK_END) < self._end:
            return False
        self._file.truncate(self._end)
        self._write(0, _HEADER)
        return True

    def put(self, place: Place, block: NDArray[Any]) -> Record:  # noqa: ARG002 - tiles lie in the order of writing
        """Append a tile; (offset, bytes). What lies beyond the picture is 0."""
        height, width, channels = block.shape[-3:]  # a block of a volume is one plane thick
        full = np.zeros((*self.form.block[-2:], channels), block.dtype.newbyteorder("<"))
        full[:height, :width] = block.reshape(height, width, channels)
        packed = zlib.compress(full.tobytes(), _LEVEL)
        offset = self._end
        self._write(offset, packed)
        self._end += len(packed)
        return offset, len(packed)

    def flush(self) -> None:
        """Bring the tiles to the disk."""
        assert self._file is not None  # it was begun
        os.fsync(self._file.fileno())

    def finish(self, written: Mapping[Place, Record]) -> None:
        """Write the tables of pages, then the pointer to the first."""
        places = self.form.places
        planes = self.form.size[0] if len(self.form.size) == 3 else 1
        each = len(places) // planes
        position = first = -(-self._end // 8) * 8
        self._write(self._end, bytes(first - self._end))
        for plane in range(planes):
            tiles = [written[place] for place in places[plane * each : (plane + 1) * each]]
            table = _table(position, self._tags(tiles, plane), is_last=plane == planes - 1)
            self._write(position, table)
            position += len(table)
        self.flush()
        self._write(_POINTER_AT, struct.pack("<Q", first))
        self.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _tags(self, tiles: Sequence[Record], plane: int) -> list[Tag]:
        form, (tall, wide) = self.form, self.form.block[-2:]
        height, width, channels = form.shape[-3:]
        bits, kind = 8 * form.dtype.itemsize, _KINDS[form.dtype.kind]
        tags: list[Tag] = [
            (256, _LONG, [width]),
            (257, _LONG, [height]),
            (258, _SHORT, [bits] * channels),
            (259, _SHORT, [_DEFLATE]),
            (262, _SHORT, [_COLOUR_TABLE if form.palette else _GREY]),
            (277, _SHORT, [channels]),
            (284, _SHORT, [1]),
            (305, _TEXT, b"pixelwise\0"),
            (322, _LONG, [wide]),
            (323, _LONG, [tall]),
            (324, _LONG8, [offset for offset, _ in tiles]),
            (325, _LONG8, [count for _, count in tiles]),
            (339, _SHORT, [kind] * channels),
        ]
        if plane == 0 and len(form.size) == 3:
            tags.append((270, _TEXT, _describe(form).encode() + b"\0"))
        if channels > 1:
            tags.append((338, _SHORT, [0] * (channels - 1)))
        if form.palette:
            colours = [*form.palette, *[(0, 0, 0)] * (256 - len(form.palette))]
            tags.append((320, _SHORT, [257 * colour[part] for part in range(3) for colour in colours]))
        if form.pixel_size is not None:
            is_volume = len(form.size) == 3  # ImageJ counts pixels a micrometre, and has no number for that unit
            unit_um, unit, parts = (1, _NO_UNIT, 1_000_000) if is_volume else (_UM_A_CM, _CENTIMETRE, 1000)
            for number, size in ((282, form.pixel_size[-1]), (283, form.pixel_size[-2])):
                tags.append((number, _RATIONAL, [round(unit_um * parts / size), parts]))
            tags.append((296, _SHORT, [unit]))
        return sorted(tags, key=lambda tag: tag[0])

    def _write(self, position: int, content: bytes) -> None:
        assert self._file is not None  # it was begun
        self._file.seek(position)
        view = memoryview(content)
        while view:
            view = view[self._file.write(view) :]


def _describe(form: Form) -> str:
    """Say how the pages form a volume, as ImageJ does."""
    depth = form.size[0]
    spacing = f"spacing={form.pixel_size[0]:g}\nunit=um\n" if form.pixel_size is not None else ""
    return f"ImageJ=1.11a\nimages={depth}\nslices={depth}\n{spacing}"


def _table(position: int, tags: Sequence[Tag], *, is_last: bool) -> bytes:
    """Make the table of one page that stands at ``position``: entries, the pointer to the next, and long values."""
    entries, values = b"", b""
    after = position + 8 + 20 * len(tags) + 8
    for number, kind, content in tags:
        packed = content if isinstance(content, bytes) else _packed(kind, content)
        count = len(packed) // struct.calcsize("<" + _PACK[kind])
        if len(packed) <= 8:
            field = packed.ljust(8, b"\0")
        else:
            field = struct.pack("<Q", after + len(values))
            values += packed.ljust(-(-len(packed) // 8) * 8, b"\0")
        entries += struct.pack("<HHQ", number, kind, count) + field
    following = 0 if is_last else after + len(values)
    return struct.pack("<Q", len(tags)) + entries + struct.pack("<Q", following) + values


def _packed(kind: int, content: Sequence[int]) -> bytes:
    letter = _PACK[kind][0]
    return struct.pack(f"<{len(content)}{letter}", *content)
