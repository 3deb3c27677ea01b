"""One class table for model and data: matched by name, in the model's order."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.masks import IGNORE
from pixelwise.errors import DataError, suggest

_SHOWN = 8


def class_order(data: Sequence[str], model: Sequence[str]) -> NDArray[np.int64]:
    """Return the model's index of each class of the data, (len(data),).

    The order that was stored with the model wins: folders are sorted anew in every data set, and one that lacks a class
    would otherwise shift all that follow. Data may lack classes of the model; their scores are undefined.

    Raises:
        DataError: the data has a class that the model was not trained on.

    """
    places = {name: index for index, name in enumerate(model)}
    foreign = [name for name in data if name not in places]
    if foreign:
        raise DataError(
            f"The data has {_few(foreign)}, which the model does not know",
            expected=f"only classes of the model: {_few(list(model))}",
            do=_advice(foreign[0], model),
        )
    return np.array([places[name] for name in data], dtype=np.int64)


def label_map_table(order: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the look-up table (256,) from label-map values of the data to those of the model; 255 stays 255."""
    table = np.full(256, IGNORE, np.uint8)
    table[: len(order)] = order
    return table


def _advice(name: str, model: Sequence[str]) -> str:
    near = suggest(name, model)
    rename = "Give the classes the names that the model was trained with, or leave them out"
    return f"{rename}. {near}" if near.startswith("Did you mean") else rename


def _few(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
