"""What a Zarr's metadata say, as plain JSON of bounded size, before the zarr library reads them.

Sources: Zarr core specifications 2 and 3; OME-NGFF 0.4 and 0.5, section "multiscales".
"""

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pixelwise.data.headers import RESTORE
from pixelwise.data.names import show_path
from pixelwise.errors import ImageError

_LIMIT_BYTES = 1 << 20
_CODECS = frozenset({"bytes", "transpose", "blosc", "zstd", "gzip", "crc32c", "sharding_indexed"})
_COMPRESSORS = frozenset({"blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma", "shuffle", "delta"})
_NUMBERS = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)|[<>|][buif][1248]")
_MOST_CHUNKS = 1 << 24
_UM = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "centimeter": 1e4, "meter": 1e6}


@dataclass(frozen=True, slots=True, kw_only=True)
class ZarrArray:
    """One array: where it lies and what its metadata say."""

    name: str
    folder: Path
    format: Literal[2, 3]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    """What is unpacked at once."""
    files: tuple[int, ...]
    """What lies in one file: a chunk, or a shard of several."""
    axes: tuple[str, ...]
    """Names of the axes; empty where the metadata do not say."""
    pixel_size: tuple[float, ...] | None
    """Along each axis in micrometres (0 along others than those of space); None where the metadata do not say."""
    prefix: str
    separator: str
    digest: str
    """sha256 of the metadata."""

    def key(self, place: tuple[int, ...]) -> str:
        """Return the path, within the folder, of the file at a place in the grid of ``files``."""
        return self.prefix + self.separator.join(map(str, place))


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a Zarr array or group."""
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def find_array(path: Path) -> ZarrArray:
    """Find the array of a Zarr: itself, or the finest level of an OME-Zarr.

    Raises:
        ImageError: there is none, or its metadata are damaged or of a kind that is not supported.

    """
    name = show_path(str(path))
    try:
        return _find(path, name)
    except ImageError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, LookupError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{name} has damaged metadata: {show_path(reason[:200])}",
            expected="a Zarr array or an OME-Zarr",
            do=RESTORE,
        ) from None


def _find(path: Path, name: str) -> ZarrArray:
    if (path / ".zarray").is_file():
        return _array_2(path, name, (), None)
    if (path / "zarr.json").is_file():
        metadata = _read(path / "zarr.json")[0]
        if metadata["node_type"] == "array":
            return _array_3(path, name, (), None)
        attributes = metadata.get("attributes", {})
        scales = attributes.get("ome", attributes).get("multiscales")
    elif (path / ".zgroup").is_file():
        scales = _read(path / ".zattrs")[0].get("multiscales") if (path / ".zattrs").is_file() else None
    else:
        raise ImageError(f"{name} holds no Zarr", expected="zarr.json or .zarray in it", do="Check the path")
    if not scales:
        raise ImageError(
            f"{name} is a Zarr group without OME's multiscales",
            expected="an array, or an OME-Zarr",
            do=f"Name one of its arrays, such as {name}/0",
        )
    level = scales[0]["datasets"][0]
    folder = path / level["path"]
    if path.resolve() not in folder.resolve().parents:
        raise ImageError(f"{name} points to a level outside of itself: {level['path']!r}", do=RESTORE)
    axes = tuple(axis if isinstance(axis, str) else axis["name"] for axis in scales[0].get("axes", ()))
    reader = _array_3 if (folder / "zarr.json").is_file() else _array_2
    return reader(folder, name, axes, _pixel_size(scales[0], level))


def _pixel_size(scale: dict[str, Any], level: dict[str, Any]) -> tuple[float, ...] | None:
    """Multiply the scales of the level and of all levels; None where an axis of space has no unit of length."""
    axes, sizes = scale.get("axes", ()), [1.0] * len(scale.get("axes", ()))
    for transform in (*level.get("coordinateTransformations", ()), *scale.get("coordinateTransformations", ())):
        if transform["type"] == "scale":
            sizes = [size * float(factor) for size, factor in zip(sizes, transform["scale"], strict=True)]
    units = [_UM.get(axis.get("unit", ""), 0.0) if isinstance(axis, dict) else 0.0 for axis in axes]
    found = tuple(size * unit for size, unit in zip(sizes, units, strict=True))
    return found if any(found) and all(map(math.isfinite, found)) else None


def _read(path: Path) -> tuple[dict[str, Any], str]:
    with path.open("rb") as file:
        content = file.read(_LIMIT_BYTES + 1)
    if len(content) > _LIMIT_BYTES:
        raise ImageError(f"{show_path(str(path))} is no metadata", expected=f"at most {_LIMIT_BYTES} bytes", do=RESTORE)
    return json.loads(content), hashlib.sha256(content).hexdigest()


def _array_2(folder: Path, name: str, axes: tuple[str, ...], pixel_size: tuple[float, ...] | None) -> ZarrArray:
    metadata, digest = _read(folder / ".zarray")
    parts = [metadata["compressor"], *(metadata["filters"] or ())]
    _refuse_codecs(name, [part["id"] for part in parts if part is not None], _COMPRESSORS)
    shape, chunks = _sides(metadata["shape"]), _sides(metadata["chunks"])
    return _checked(
        ZarrArray(
            name=name, folder=folder, format=2, shape=shape, chunks=chunks, files=chunks, axes=axes,
            pixel_size=pixel_size, prefix="", separator=metadata.get("dimension_separator", "."), digest=digest,
        ),
        metadata["dtype"],
    )  # fmt: skip


def _array_3(folder: Path, name: str, axes: tuple[str, ...], pixel_size: tuple[float, ...] | None) -> ZarrArray:
    metadata, digest = _read(folder / "zarr.json")
    codecs = list(metadata["codecs"])
    shards = [codec["configuration"] for codec in codecs if codec["name"] == "sharding_indexed"]
    for shard in shards:
        codecs += [*shard["codecs"], *shard.get("index_codecs", ())]
    _refuse_codecs(name, [codec["name"] for codec in codecs], _CODECS)
    files = _sides(metadata["chunk_grid"]["configuration"]["chunk_shape"])
    encoding = metadata["chunk_key_encoding"]
    is_default = encoding["name"] == "default"
    separator = encoding.get("configuration", {}).get("separator", "/" if is_default else ".")
    names = metadata.get("dimension_names") or ()
    return _checked(
        ZarrArray(
            name=name, folder=folder, format=3, shape=_sides(metadata["shape"]),
            chunks=_sides(shards[0]["chunk_shape"]) if shards else files, files=files,
            axes=axes or (tuple(names) if all(names) else ()), pixel_size=pixel_size,
            prefix=f"c{separator}" if is_default else "", separator=separator, digest=digest,
        ),
        metadata["data_type"],
    )  # fmt: skip


def _checked(array: ZarrArray, dtype: object) -> ZarrArray:
    ranks = {len(array.shape), len(array.chunks), len(array.files), len(array.axes) or len(array.shape)}
    if array.pixel_size is not None:
        ranks.add(len(array.pixel_size))
    if len(ranks) != 1 or array.separator not in ("/", "."):
        raise ValueError("its axes contradict each other")
    if not isinstance(dtype, str) or not _NUMBERS.fullmatch(dtype):
        raise ImageError(
            f"{array.name} holds {dtype}",
            expected="booleans, whole numbers of 8 to 64 bits, or real ones of 16, 32 or 64",
            do="Convert it",
        )
    count = math.prod(-(-side // n) for side, n in zip(array.shape, array.files, strict=True))
    if count > _MOST_CHUNKS:
        raise ImageError(
            f"{array.name} declares {count:,} chunks", expected=f"at most {_MOST_CHUNKS:,}", do="Write larger chunks"
        )
    return array


def _refuse_codecs(name: str, codecs: list[str], known: frozenset[str]) -> None:
    unknown = sorted(set(codecs) - known)
    if unknown:
        raise ImageError(
            f"{name} is packed by {', '.join(map(str, unknown))}",
            expected=", ".join(sorted(known)),
            do="Write it anew with Zstandard or Blosc",
        )


def _sides(values: Any) -> tuple[int, ...]:
    sides = tuple(values)
    if not sides or any(type(side) is not int or side < 1 for side in sides):
        raise ValueError(f"sides of {values}")
    return sides
