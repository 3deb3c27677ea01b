"""How large a pixel of a TIFF is, where the file says so in a unit of length that means it.

OME-TIFF: ``PhysicalSizeX``, ``Y``, ``Z`` with their units. ImageJ: the resolution with ``unit`` and ``spacing``. Other
TIFFs: the resolution where it is per centimetre; per inch it is what a printer or a screen was meant to do.
"""

import re

import tifffile

_UM = {"µm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
_CENTIMETRE = 3
_LARGEST_TEXT = 1 << 20


def pixel_size_um(series: tifffile.TiffPageSeries, dimensions: int) -> tuple[float, ...] | None:
    """Return the size of a pixel along (z,) y, x in micrometres; None where it is not told."""
    page = series.keyframe
    file = page.parent
    if series.kind == "ome":
        found = _ome((file.ome_metadata or "")[:_LARGEST_TEXT])
    elif series.kind == "imagej":
        found = _imagej(file.imagej_metadata or {}, _per_pixel(page))
    else:
        unit = page.tags.get(296)
        found = _per_pixel(page) if unit is not None and unit.value == _CENTIMETRE else {}
        found = {axis: 1e4 * length for axis, length in found.items()}
    axes = "zyx"[-dimensions:]
    sizes = tuple(found.get(axis, 0.0) for axis in axes)
    return sizes if all(0 < size < float("inf") for size in sizes) else None


def _ome(xml: str) -> dict[str, float]:
    sizes = {}
    for axis in "XYZ":
        length = re.search(rf'PhysicalSize{axis}="([0-9.eE+-]+)"', xml)
        unit = re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', xml)
        factor = _UM.get(unit[1].replace("μ", "µ").replace("&#181;", "µ") if unit else "µm")
        if length and factor:
            sizes[axis.lower()] = float(length[1]) * factor
    return sizes


def _imagej(metadata: dict[str, object], per_pixel: dict[str, float]) -> dict[str, float]:
    unit = str(metadata.get("unit", "")).replace("\\u00B5", "µ").replace("μ", "µ")
    factor = _UM.get(unit)
    if factor is None:
        return {}
    spacing = metadata.get("spacing")
    depth = {"z": float(spacing)} if isinstance(spacing, (int, float)) else {}
    return {axis: factor * length for axis, length in (per_pixel | depth).items()}


def _per_pixel(page: tifffile.TiffPage) -> dict[str, float]:
    """Length of a pixel in the file's unit, from its resolution in pixels a unit."""
    sizes = {}
    for axis, tag in (("x", 282), ("y", 283)):
        found = page.tags.get(tag)
        if found is not None and found.value[0] > 0:
            sizes[axis] = found.value[1] / found.value[0]
    return sizes
