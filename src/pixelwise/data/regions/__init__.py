"""Pictures and volumes of any size, read and written by region."""

from pixelwise.data.regions.base import Region, RegionSink, RegionSource, Span
from pixelwise.data.regions.missing import Missing
from pixelwise.data.regions.opening import (
    ARRAY_SUFFIXES,
    LARGE_PIXELS,
    is_array,
    is_large,
    open_source,
)

__all__ = [
    "ARRAY_SUFFIXES",
    "LARGE_PIXELS",
    "Missing",
    "Region",
    "RegionSink",
    "RegionSource",
    "Span",
    "is_array",
    "is_large",
    "open_source",
]
