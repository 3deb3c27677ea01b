"""Colours for classes: the same for the same number of classes everywhere, and told apart by colour-blind readers.

The first seven are those of Okabe and Ito (2008, "Color Universal Design"). Further ones are found by farthest-point
sampling: each new colour is the candidate whose smallest distance to all earlier ones, in OKLab (Ottosson 2020), is
largest, the distance being the smallest over normal vision and the three dichromacies as Machado, Oliveira and
Fernandes (2009, table 1, severity 1.0) simulate them. So the colours of K classes are a prefix of those of K + 1.
"""

import functools
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BACKGROUND: tuple[int, int, int] = (0, 0, 0)
IGNORED: tuple[int, int, int] = (128, 128, 128)
"""Colour of label-map value 255: no class at all."""

_MAX_COLOURS = 256
_DARKEST, _LIGHTEST = 0.38, 0.95  # OKLab lightness: what still shows as a colour on black and on white
_BACKGROUND_NAMES = frozenset({"background", "back", "bg", "none", "0"})
_OKABE_ITO = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_MACHADO = (
    np.eye(3),
    np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
)
_LMS_FROM_RGB = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OKLAB_FROM_LMS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def background_class(classes: Sequence[str]) -> int | None:
    """Index of the class that pictures are made of where nothing is: left untinted, and black in masks.

    It is class 0 when its name says so or when there are only two classes; otherwise every class counts as a thing.
    """
    if classes and (len(classes) <= 2 or classes[0].strip().lower() in _BACKGROUND_NAMES):
        return 0
    return None


def class_colours(classes: Sequence[str]) -> NDArray[np.uint8]:
    """Return one colour per class, (K, 3) RGB, by position only; the background class is black."""
    background = background_class(classes)
    if background is None:
        return distinct_colours(len(classes))
    colours = distinct_colours(len(classes) - 1)
    return np.insert(colours, background, BACKGROUND, axis=0)


def mask_palette(classes: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return the 256 colours of an indexed PNG: the classes first, grey for 255 and for values of no class."""
    colours = [(int(red), int(green), int(blue)) for red, green, blue in class_colours(classes)]
    return colours + [IGNORED] * (256 - len(colours))


def distinct_colours(number: int) -> NDArray[np.uint8]:
    """Return ``number`` colours, (number, 3) RGB, none of them near black, white or the grey of ignored pixels.

    Raises:
        ValueError: more than 256 colours.

    """
    if not 0 <= number <= _MAX_COLOURS:
        raise ValueError(f"{number} colours: between 0 and {_MAX_COLOURS} can be made")
    if number <= len(_OKABE_ITO):
        return np.array(_OKABE_ITO[:number], dtype=np.uint8).reshape(-1, 3)
    return _all_colours()[:number].copy()


@functools.cache
def _all_colours() -> NDArray[np.uint8]:
    steps = np.linspace(0, 255, 11).round().astype(np.uint8)
    candidates = np.array(list(itertools.product(steps, repeat=3)), dtype=np.uint8)
    lightness = _appearances(candidates)[:, 0, 0]
    candidates = candidates[(lightness > _DARKEST) & (lightness < _LIGHTEST)]
    taken = [BACKGROUND, (255, 255, 255), IGNORED, *_OKABE_ITO]
    places = _appearances(candidates)  # (n, visions, 3)
    nearest = np.full(len(candidates), np.inf)
    for place in _appearances(np.array(taken, dtype=np.uint8)):
        nearest = np.minimum(nearest, _smallest_distance(places, place))
    chosen = list(_OKABE_ITO)
    while len(chosen) < _MAX_COLOURS:
        best = int(nearest.argmax())
        chosen.append(tuple(int(value) for value in candidates[best]))  # type: ignore[arg-type] # three of them
        nearest = np.minimum(nearest, _smallest_distance(places, places[best]))
    return np.array(chosen, dtype=np.uint8)


def _appearances(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """OKLab coordinates of sRGB colours (n, 3) as four kinds of eyes see them: (n, 4, 3)."""
    signal = colours / 255
    linear = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    seen = np.stack([np.clip(linear @ matrix.T, 0, 1) for matrix in _MACHADO], axis=1)
    return np.cbrt(seen @ _LMS_FROM_RGB.T) @ _OKLAB_FROM_LMS.T


def _smallest_distance(places: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.norm(places - place, axis=2).min(axis=1)
