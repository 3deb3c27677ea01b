"""Prediction of pictures larger than memory: tile by tile, from a file by region into a file by region."""

from pixelwise.predict.large.memory import peak_memory_bytes
from pixelwise.predict.large.row import LargeRow
from pixelwise.predict.large.run import LargeOptions, LargeSummary, predict_large

__all__ = ["LargeOptions", "LargeRow", "LargeSummary", "peak_memory_bytes", "predict_large"]
