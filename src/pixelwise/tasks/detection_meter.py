"""Running scores of detection."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelwise.data.box_lists import PICTURE
from pixelwise.metrics import BoxSet, match_boxes, mean_defined, ratio
from pixelwise.metrics.box_average_precision import RECALLS
from pixelwise.tasks.centres import find_objects, read_outputs
from pixelwise.tasks.meter import Meter, refuse_nothing

LEVELS = 1000
"""Steps in which probabilities are told apart: counts per step add up over processes, which ranks of boxes do not."""
LEAST_IOU = 0.5


class DetectionMeter(Meter):
    """Average precision at IoU 0.5, and the share of objects that are found at all.

    As COCO's (:mod:`pixelwise.metrics.box_average_precision`), with probabilities rounded to thousandths: boxes closer
    than that enter together. Boxes are compared in the network's view; of mirror images that fill it up nothing counts.

    Args:
        num_classes: K.

    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        size = num_classes
        counts = {name: torch.zeros(size, LEVELS, dtype=torch.int64) for name in ("right", "said")}
        single = {name: torch.zeros((), dtype=torch.int64) for name in ("pictures",)}
        self._state = counts | {"objects": torch.zeros(size, dtype=torch.int64)} | single

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count a batch of logits (N, K + 4, h, w) and boxes (N, M, 5)."""
        size, device = self.num_classes, logits.device
        counts = {name: np.zeros((size, LEVELS), np.int64) for name in ("right", "said")}
        objects = np.zeros(size, np.int64)
        for answers, boxes in zip(read_outputs(logits, size), target.double().cpu().numpy(), strict=True):
            found, label, truth = _compared(answers, boxes, size)
            objects += np.bincount(label.astype(np.int64), minlength=size)
            levels = np.clip(((1 - found[:, 1]) * LEVELS).astype(np.int64), 0, LEVELS - 1)
            there = BoxSet(corners=truth, classes=label)
            said = BoxSet(corners=found[:, 2:], classes=found[:, 0], scores=found[:, 1])
            for index in range(size):
                own = levels[found[:, 0] == index]
                matches = match_boxes([there], [said], index, thresholds=(LEAST_IOU,))
                np.add.at(counts["said"][index], own, 1)
                np.add.at(counts["right"][index], own[matches.found[0]], 1)
        for name, table in counts.items():
            self._add(name, torch.from_numpy(table).to(device))
        self._add("objects", torch.from_numpy(objects).to(device))
        self._add("pictures", torch.tensor(len(logits), device=device))

    def scores(self) -> dict[str, float]:
        """Return ap50 and recall; neither where no picture shows any object."""
        state = {name: tensor.cpu().numpy() for name, tensor in self._state.items()}
        refuse_nothing(int(state["pictures"]))
        right, objects = state["right"].cumsum(1), state["objects"]
        precision = np.nan_to_num(ratio(right, state["said"].cumsum(1)))
        envelope = np.pad(np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1], ((0, 0), (0, 1)))
        precisions = np.full(len(objects), np.nan)
        for index in np.flatnonzero(objects):
            places = np.searchsorted(right[index] / objects[index], RECALLS)
            precisions[index] = envelope[index, places].mean()
        scores = {"ap50": mean_defined(precisions), "recall": mean_defined(ratio(right[:, -1], objects))}
        return {name: float(value) for name, value in scores.items() if value == value}  # noqa: PLR0124 - not NaN


def _compared(
    answers: Tensor, boxes: NDArray[np.float64], num_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return what is found in one view (n, 6), the classes of the truth (m,), and its corners (m, 4).

    Where mirror images fill the view up, its picture alone is looked at, as in a prediction: found are objects whose
    centre lies in it, and boxes are cut to its edges.
    """
    height, width = answers.shape[-2:]
    classes, corners = boxes[:, 0], _corners(boxes, height, width)
    own = corners[classes == PICTURE].clip(0, [width, height, width, height])
    corners, classes = corners[classes >= 0], classes[classes >= 0]
    if not len(own):
        return find_objects(answers, num_classes).double().cpu().numpy(), classes, corners
    left, top, right, bottom = own[0].round().astype(int).tolist()
    found = find_objects(answers[:, top:bottom, left:right], num_classes).double().cpu().numpy()
    x, y = (corners[:, 0] + corners[:, 2]) / 2, (corners[:, 1] + corners[:, 3]) / 2
    is_own = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    edges = [right - left, bottom - top] * 2
    found[:, 2:] = found[:, 2:].clip(0, edges)
    return found, classes[is_own], (corners[is_own] - [left, top, left, top]).clip(0, edges)


def _corners(boxes: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Bring rows (n, 5) of a target to x_min, y_min, x_max, y_max in pixels of the map."""
    x, y, across, along = boxes[:, 1] + width / 2, boxes[:, 2] + height / 2, boxes[:, 3], boxes[:, 4]
    return np.stack([x - across / 2, y - along / 2, x + across / 2, y + along / 2], axis=1)
