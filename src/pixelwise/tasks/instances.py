"""Instances: the objects of each class, told apart even where they touch."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor

from pixelwise.data.label_planes import CLASS, OBJECT, WEIGHT
from pixelwise.data.manifest import Manifest
from pixelwise.data.masks import IGNORE
from pixelwise.data.task_names import TaskName
from pixelwise.errors import DataError, SpecError, UsageError, suggest
from pixelwise.losses import LossSettings, LossSum, make_loss
from pixelwise.specs import NetworkKind
from pixelwise.tasks.base import Task, TaskChoices, at_least_float32, refuse_binary
from pixelwise.tasks.crop import crop_to_logits
from pixelwise.tasks.object_meter import ObjectMeter
from pixelwise.tasks.separation import BORDER_PX, CONTACT_PX, SEPARATIONS, Separation, contacts, rims


@dataclass(frozen=True, kw_only=True)
class Instances(Task):
    """Logits (N, num_outputs, h, w) against planes of class, weight and object (N, 3, H, W), cropped to the logits.

    Attributes:
        separation: how touching objects are kept apart; see :mod:`pixelwise.tasks.separation`.
        border_px: how wide the rim of an object is, for ``border``.

    """

    name: ClassVar[TaskName] = "instances"
    metric: ClassVar[str] = "ap50"
    network_kind: ClassVar[NetworkKind] = "segmentation"
    default_networks: ClassVar[tuple[str, str]] = ("unet16", "unet16")

    separation: Separation = "border"
    border_px: int = BORDER_PX

    def __post_init__(self) -> None:
        """Refuse what no target can hold, after what every task refuses."""
        if self.separation not in SEPARATIONS:
            raise UsageError(
                f"separate={self.separation!r}",
                expected=", ".join(SEPARATIONS),
                do=suggest(self.separation, SEPARATIONS),
            )
        if self.border_px < 1:
            raise UsageError(f"border_px={self.border_px}", expected="at least 1 pixel", do=f"{BORDER_PX} is usual")
        super().__post_init__()
        if len(self.classes) >= IGNORE:
            raise DataError(
                f"{len(self.classes)} classes",
                expected=f"at most {IGNORE - 1}, as {IGNORE} means not counted, and borders need one more",
                do="Join classes",
            )

    @property
    def num_outputs(self) -> int:
        """One logit per class, and one for the rims of objects where they are told apart by it."""
        return len(self.classes) + (self.separation == "border")

    @property
    def is_weighed(self) -> bool:
        """Whether it is the weights of pixels that keep objects apart."""
        return self.separation == "weights"

    @classmethod
    def from_choices(cls, classes: tuple[str, ...], choices: TaskChoices) -> Self:
        """Make the task; see :meth:`Task.from_choices`."""
        refuse_binary(cls.name, choices)
        return cls(
            classes=classes,
            objective=choices.loss or "ce",
            class_weights=choices.class_weights,
            label_smoothing=choices.label_smoothing,
            auxiliary_weight=choices.auxiliary_weight,
            separation=cast(Separation, choices.separate or "border"),
        )

    @classmethod
    def balanced_weights(cls, manifest: Manifest) -> tuple[float, ...]:
        """Refuse: the manifest holds no counts of pixels.

        Raises:
            DataError: always.

        """
        raise DataError(
            f"balanced class weights for {cls.name} of {len(manifest.classes)} classes",
            expected="class folders or labels",
            do="Choose --separate weights, which balances each picture's pixels, or give one number for each class",
        )

    def head_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cost of logits (N, num_outputs, h, w) against planes (N, 3, H, W).

        Raises:
            SpecError: the logits are larger than the planes, or of another number of images or outputs.

        """
        if logits.ndim != 4 or logits.shape[:2] != (len(target), self.num_outputs):
            raise SpecError(
                f"Logits of shape {tuple(logits.shape)} for {len(target)} pictures with objects",
                expected=f"({len(target)}, {self.num_outputs}, height, width)",
                do="Use a segmentation network for these classes",
            )
        index = crop_to_logits(self.output_indices(target), logits)
        weights = crop_to_logits(target[:, WEIGHT], logits) if self.is_weighed else None
        return self._criterion(logits, index, weights)

    def output_indices(self, target: Tensor) -> Tensor:
        """Return which output is right at each pixel, (N, H, W) int64; 255 where ignored. Planes are (N, 3, H, W)."""
        index = target[:, CLASS].long()
        if self.separation == "border":
            index = index.masked_fill(rims(target[:, OBJECT], self.border_px) & (index != IGNORE), len(self.classes))
        if self.separation == "weights":
            index = index.masked_fill(contacts(target[:, OBJECT]) & (index != IGNORE), 0)
        return index

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability of each class, (N, K, h, w), at least float32, summing to 1 over K.

        A rim belongs to the classes of objects as the interior there does.
        """
        return self.answers(logits)[:, : len(self.classes)]

    def answers(self, logits: Tensor) -> Tensor:
        """Return the probability of each class, and last that of a rim where it is told: (N, K or K + 1, h, w)."""
        shares = at_least_float32(logits).softmax(1)
        if self.separation != "border":
            return shares
        background, inner, rim = shares[:, :1], shares[:, 1:-1], shares[:, -1:]
        inner = inner + rim * inner / inner.sum(1, keepdim=True).clamp_min(torch.finfo(shares.dtype).tiny)
        return torch.cat([background, inner, rim], 1)

    def meter(self) -> ObjectMeter:
        """Return an empty meter: ap50 and object_f1 of objects (``border``: interiors), mean_iou of the outputs."""
        grown_px = CONTACT_PX if self.is_weighed else 0
        return ObjectMeter(self.num_outputs, len(self.classes), self.output_indices, grown_px=grown_px)

    def to_json(self) -> dict[str, Any]:
        """Return the task as plain JSON."""
        return {**super().to_json(), "separation": self.separation, "border_px": self.border_px}

    @cached_property
    def _criterion(self) -> LossSum:
        weights = self.class_weights
        if weights is not None and self.separation == "border":
            weights = (*weights, max(weights[1:]))  # a rim is part of an object
        settings = LossSettings(
            num_outputs=self.num_outputs,
            ignore_index=IGNORE,
            class_weights=weights,
            label_smoothing=self.label_smoothing,
        )
        return make_loss(self.objective, settings)

    def _check_loss(self) -> None:
        if self.is_weighed and "weight_map" not in self._criterion.heeds:
            raise UsageError(
                f"loss {self.objective!r} makes no use of the weights of pixels",
                expected="a sum with ce",
                do="Add such a term, or choose another separation (--separate border)",
            )
