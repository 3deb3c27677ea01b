"""A recipe: how a network is trained, as frozen data. What the machine decides (device, workers) is not part of it."""

import dataclasses
import math
import re
import typing
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from pixelwise.errors import RecipeError, suggest
from pixelwise.training.schedule import ScheduleName
from pixelwise.values import coerce, describe_type, readings, show_value

OptimiserName = Literal["sgd", "nesterov", "adamw", "rmsprop"]
NormaliseName = Literal["auto", "data_set", "picture"]
ResizeName = Literal["auto", "none", "stretch", "crop", "pad"]

AUTO = "auto"
NOTHING_FROZEN: Final = "none"
ALL_STAGES_FROZEN: Final = "head"
STAGES_FROZEN: Final = re.compile(r"stage:([1-9]\d*)")
_PAIRS = ("size", "crop")
_SQUARED_DECAY, _EPSILON = 0.9, 1e-8


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Every choice of a training run. ``None`` and ``"auto"`` are settled from the data when the run starts.

    Raises:
        RecipeError: values that cannot work, alone or together.

    """

    epochs: int | None = None
    """Passes over the training pictures; None = enough for 1,000 optimiser steps, at least 5 and at most 300."""
    batch_size: int = 32
    """Pictures per forward pass and process."""
    accumulate: int = 1
    """Forward passes per optimiser step; the gradient is that of one batch ``accumulate`` times as large."""
    optimiser: OptimiserName = "adamw"
    learning_rate: float = 1e-3
    """The highest rate of the schedule."""
    momentum: float = 0.9
    """SGD's and RMSProp's momentum; AdamW's first beta."""
    squared_decay: float = _SQUARED_DECAY
    """For ``rmsprop``: decay of the running mean of squared gradients."""
    epsilon: float = _EPSILON
    """For ``rmsprop``: added to that mean, inside the square root."""
    weight_decay: float = 0.0
    """SGD: L2 on all parameters, as in the papers. RMSProp: L2 on weights of two or more dimensions only, as in
    TensorFlow's code for the Inception networks. AdamW: decoupled, on weights of two or more dimensions only."""
    schedule: ScheduleName = "cosine"
    milestones: tuple[float, ...] = ()
    """For ``step``: the fractions of the run at which the rate changes, rising."""
    factors: tuple[float, ...] = ()
    """For ``step``: what the learning rate is multiplied by from each milestone on (not multiplied up)."""
    decay_epochs: float | None = None
    """For ``exponential``: epochs from one change of the rate to the next."""
    decay_factor: float | None = None
    """For ``exponential``: what the rate is multiplied by at each change."""
    warmup_steps: int = 0
    """Optimiser steps of linear rise before the schedule."""
    clip_norm: float | None = None
    """Largest 2-norm of the gradient of all weights together; None = not clipped."""
    ema_decay: float | None = None
    """Keep a moving average of the weights with this decay, evaluate it and save it; None = the weights themselves."""
    patience: int | None = None
    """Stop after so many epochs without a better validation metric; None = never."""
    loss: str = ""
    """A sum such as ``ce+dice``; empty = the task's default."""
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.3
    """Factor of the loss of each auxiliary head, in networks that have them."""
    separate: str = ""
    """For instances: how touching objects are kept apart, ``border``, ``weights`` or ``none``; empty = border."""
    post: str = ""
    """Steps after the network (:mod:`pixelwise.predict.postprocess`), stored with the model; empty = the task's own."""
    augment: str = AUTO
    """A name of ``pixelwise.data.augment``; auto = "objects" for classes, "scenes" for masks of photographs in
    colour, "cells" for other masks, "volumes" for volumes, "strings" for text, "digits" below 33 px."""
    size: tuple[int, ...] | None = None
    """Height and width that pictures are resized to; one number = square; None = see ``resize``."""
    resize: ResizeName = "auto"
    """``auto``: pictures stay as they are where they all have one size that the network takes; other pictures are
    stretched to ``size``, or without one to the network's own input size (224 x 224 where it has none); masks and
    their pictures, and pictures with boxes of any number where ``crop`` is given, are never resized unless asked; lines
    of text are padded, to the network's height and the widest."""
    crop: tuple[int, ...] | None = None
    """Height and width of random training crops, for volumes depth, height and width; one number = every side; None =
    whole pictures, or for masks on pictures of unequal size or more than 512 x 512 pixels: 256 x 256, or the smallest
    sides where these are smaller; for volumes their middle sides, at most 64 voxels."""
    normalise: NormaliseName = "auto"
    """Where mean and standard deviation come from: ``data_set``; or ``picture``: each has its own, as scans of several
    machines need; auto = "picture" for volumes, else "data_set"."""
    clip: tuple[float, float] | None = None
    """For ``normalise=picture``: per cent of a picture's values below which, and up to which, the others are cut to."""
    spacing: tuple[float, float, float] | None = None
    """Volumes: millimetres between voxels (depth, height, width) that all are brought to; None = as they are."""
    patches: int | None = None
    """Crops of each picture in an epoch; None = 1, or of pictures of more than 2^24 pixels, which are read by window,
    so many as cover them, up to 64."""
    foreground: float = 0.0
    """Probability that a crop is aimed at a pixel of a foreground class (any but the first): of a class drawn uniformly
    from those that the picture shows, at a place drawn uniformly from its pixels. Other crops lie anywhere."""
    freeze: str = NOTHING_FROZEN
    """What does not learn: ``none``; ``head``: everything before the head, so that only the head learns; ``stage:N``:
    the first N stages. See :mod:`pixelwise.training.parts`."""
    unfreeze_epochs: int | None = None
    """Let one more stage learn every so many epochs, from the head down; None = what is frozen stays so."""
    rate_decay: float = 1.0
    """Factor on the rate from each stage to the one before it: the head learns with the full rate, the last stage with
    ``rate_decay`` times it, and so on down (Howard and Ruder 2018, arXiv 1801.06146, section 3.2: 1 / 2.6)."""

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_optimiser()
        self._check_schedule()
        self._check_freezing()

    def _check_numbers(self) -> None:
        for name, least in (
            ("batch_size", 1),
            ("accumulate", 1),
            ("epochs", 1),
            ("patience", 1),
            ("warmup_steps", 0),
            ("patches", 1),
        ):
            self._require(name, getattr(self, name) is None or getattr(self, name) >= least, f"at least {least}")
        self._require("learning_rate", self.learning_rate > 0, "more than 0")
        self._require("weight_decay", self.weight_decay >= 0, "0 or more")
        self._require("foreground", 0 <= self.foreground <= 1, "a probability from 0 to 1")
        self._require("clip_norm", self.clip_norm is None or self.clip_norm > 0, "more than 0, or none")
        self._require("ema_decay", self.ema_decay is None or 0 < self.ema_decay < 1, "between 0 and 1, or none")
        self._require("label_smoothing", 0 <= self.label_smoothing < 1, "from 0 up to but not including 1")
        self._require("auxiliary_weight", 0 <= self.auxiliary_weight < math.inf, "0 or more")
        for name in _PAIRS:
            self._require(name, getattr(self, name) is None or min(getattr(self, name)) >= 1, "at least 1 pixel")
        for name in _PAIRS:
            sides = getattr(self, name)
            self._require(name, sides is None or 1 <= len(sides) <= 3, "at most 3 whole numbers")
        self._require("clip", self.clip is None or 0 <= self.clip[0] < self.clip[1] <= 100, "two rising percentages")
        self._require("clip", self.clip is None or self.normalise != "data_set", "none where normalise=data_set")
        self._require("spacing", self.spacing is None or min(self.spacing) > 0, "three positive lengths in mm")
        self._require("size", self.size is None or self.resize != "none", "none where resize=none")

    def _check_optimiser(self) -> None:
        self._require("momentum", 0 <= self.momentum < 1, "from 0 up to but not including 1")
        self._require("momentum", self.optimiser != "nesterov" or self.momentum > 0, "more than 0 for nesterov")
        if self.optimiser == "rmsprop":
            self._require("squared_decay", 0 <= self.squared_decay < 1, "from 0 up to but not including 1")
            self._require("epsilon", 0 < self.epsilon < math.inf, "more than 0")
        for name, default in (("squared_decay", _SQUARED_DECAY), ("epsilon", _EPSILON)):
            is_right = self.optimiser == "rmsprop" or getattr(self, name) == default
            self._require(name, is_right, f"{default:g}, the default, as only optimiser=rmsprop heeds it")

    def _check_schedule(self) -> None:
        rising = list(self.milestones) == sorted(set(self.milestones))
        within = all(0 <= milestone < 1 for milestone in self.milestones)
        self._require("milestones", rising and within, "rising fractions of the run, from 0 up to but not including 1")
        self._require("factors", len(self.factors) == len(self.milestones), "one number for each milestone")
        is_stepped, is_exponential = self.schedule == "step", self.schedule == "exponential"
        if bool(self.milestones) is not is_stepped:
            steps = "milestones, such as milestones=0.5,0.75 and factors=0.1,0.01"
            raise RecipeError(
                f"recipe: schedule={self.schedule} {'without' if is_stepped else 'with'} milestones",
                expected=f"{steps}, for schedule=step and for no other",
                do="Add them" if is_stepped else "Leave milestones and factors out",
            )
        for name, value in (("decay_epochs", self.decay_epochs), ("decay_factor", self.decay_factor)):
            is_right = (value is not None) is is_exponential
            self._require(name, is_right, "given for schedule=exponential, and for no other")
        self._require("decay_epochs", self.decay_epochs is None or self.decay_epochs > 0, "more than 0")
        self._require("decay_factor", self.decay_factor is None or 0 < self.decay_factor < 1, "between 0 and 1")
        self._require("warmup_steps", not (self.warmup_steps and self.schedule == "one_cycle"), "0: one_cycle warms up")

    def _check_freezing(self) -> None:
        is_known = self.freeze in (NOTHING_FROZEN, ALL_STAGES_FROZEN) or STAGES_FROZEN.fullmatch(self.freeze)
        self._require("freeze", bool(is_known), "none, head, or stage:N with N from 1 on")
        if self.unfreeze_epochs is not None:
            self._require("unfreeze_epochs", self.unfreeze_epochs >= 1, "at least 1")
            if self.freeze == NOTHING_FROZEN:
                raise RecipeError(
                    f"recipe: unfreeze_epochs={self.unfreeze_epochs} where nothing is frozen",
                    expected="freeze=head or freeze=stage:N with it",
                    do="Add --freeze head (in Python settings={'freeze': 'head'}), or leave unfreeze_epochs out",
                )
        self._require("rate_decay", 0 < self.rate_decay <= 1, "more than 0 and at most 1")

    def _require(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            raise RecipeError(
                f"recipe: {name}={show_value(getattr(self, name))}", expected=expected, do="Correct the value"
            )

    def with_sides(self, dimensions: int) -> Self:
        """Return a copy whose sizes have so many sides, of which one number stood for all.

        Raises:
            RecipeError: a size of another number of sides.

        """
        changes: dict[str, Any] = {}
        for name in _PAIRS:
            sides = getattr(self, name)
            if sides is not None and len(sides) not in (1, dimensions):
                what = "height and width" if dimensions == 2 else "depth, height and width"
                raise RecipeError(
                    f"recipe: {name}={show_value(sides)}", expected=f"{what}, or one number", do="Correct the value"
                )
            changes[name] = sides * dimensions if sides is not None and len(sides) == 1 else sides
        return dataclasses.replace(self, **changes)

    @property
    def speaks_of_stages(self) -> bool:
        """Whether the network has to have stages."""
        return self.freeze != NOTHING_FROZEN or self.rate_decay != 1

    def override(self, settings: dict[str, str]) -> Self:
        """Return a copy with other values, given as the command line's text: ``{"epochs": "20", "size": "64,96"}``.

        Raises:
            RecipeError: an unknown field (with near misses), or a value of the wrong type or range.

        """
        changes = {key: _read(key, text) for key, text in settings.items()}
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type] # _read has checked the types

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON; :meth:`from_json` is the way back."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Rebuild a recipe from :meth:`to_json`.

        Raises:
            RecipeError: a field that is unknown or of the wrong type.

        """
        values = {key: _convert(key, [value], show_value(value)) for key, value in fields.items()}
        return cls(**values)  # type: ignore[arg-type] # _convert has checked the types


def _hints() -> dict[str, Any]:
    return typing.get_type_hints(Recipe)


def _read(key: str, text: str) -> object:
    meanings: list[object] = [text.strip()] if _hints().get(key) is str else readings(text)  # a word may hold commas
    return _convert(key, meanings, text)


def _convert(key: str, meanings: list[object], shown: str) -> object:
    hints = _hints()
    if key not in hints:
        raise RecipeError(f"recipe has no field {key!r}", do=suggest(key, hints))
    for value in meanings:
        with suppress(TypeError):
            return coerce(value, hints[key])
    raise RecipeError(f"recipe: {key}={shown}", expected=describe_type(hints[key]), do="Correct the value")
