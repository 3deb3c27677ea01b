"""Pictures and volumes of any size, read and written by region."""

from pixelwise.data.regions.base import Region, RegionSink, RegionSource, Span

__all__ = ["Region", "RegionSink", "RegionSource", "Span"]
