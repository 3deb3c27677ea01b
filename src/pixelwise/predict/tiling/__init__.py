"""Pictures cut into tiles whose answers, put together, are the answer for the whole picture."""

from pixelwise.predict.tiling.plan import Tile, TilePlan
from pixelwise.predict.tiling.planner import plan_tiles
from pixelwise.predict.tiling.stitch import Deviation, deviation_in, middle_region, predict_tiled, sample_deviation
from pixelwise.predict.tiling.tiler import Tiler

__all__ = [
    "Deviation",
    "Tile",
    "TilePlan",
    "Tiler",
    "deviation_in",
    "middle_region",
    "plan_tiles",
    "predict_tiled",
    "sample_deviation",
]
