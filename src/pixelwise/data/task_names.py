"""What a data set can be for."""

from typing import Literal

TaskName = Literal["classification", "segmentation"]
