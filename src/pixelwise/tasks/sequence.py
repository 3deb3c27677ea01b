"""Sequence: the string that a picture shows, read by a chain over the windows of a wide picture.

The classes are the characters. The network's labels are these and, last, the blank between characters; nothing says
where a character stands (:mod:`pixelwise.losses.string_likelihood`). Strings are read by Viterbi's algorithm: the most
probable sequence of labels, collapsed. That is not always the most probable string, whose probability is a sum over
many sequences, but it is found in one pass. Greedy decoding, which takes every window for itself and heeds no
transition, is scored beside it.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from pixelwise.data.manifest import Manifest
from pixelwise.data.task_names import TaskName
from pixelwise.errors import SpecError, UsageError
from pixelwise.layers.chain import best_sequence, label_marginals
from pixelwise.losses import NO_CHARACTER, StringLikelihood, collapse, string_log_probability
from pixelwise.specs import NetworkKind
from pixelwise.tasks.base import Task, TaskChoices, at_least_float32, refuse_binary
from pixelwise.tasks.string_meter import StringMeter

LOSS = "crf"


@dataclass(frozen=True, kw_only=True)
class Sequence(Task):
    """Log-potentials (N, T, K + 2, K + 1), see :mod:`pixelwise.layers.chain`, against strings (N, L)."""

    name: ClassVar[TaskName] = "sequence"
    metric: ClassVar[str] = "exact_string"
    network_kind: ClassVar[NetworkKind] = "sequence"
    default_networks: ClassVar[tuple[str, str]] = ("lenet_crf", "lenet_crf")

    @property
    def num_outputs(self) -> int:
        """One label per character, and the blank."""
        return len(self.classes) + 1

    @classmethod
    def from_choices(cls, classes: tuple[str, ...], choices: TaskChoices) -> Self:
        """Make the task; see :meth:`Task.from_choices`."""
        refuse_binary(cls.name, choices)
        return cls(
            classes=classes,
            objective=choices.loss or LOSS,
            class_weights=choices.class_weights,
            label_smoothing=choices.label_smoothing,
            auxiliary_weight=choices.auxiliary_weight,
        )

    @classmethod
    def balanced_weights(cls, manifest: Manifest) -> tuple[float, ...]:
        """Refuse: a string has one probability, whatever its characters.

        Raises:
            UsageError: always.

        """
        raise _no_use_of(f"class weights for the {len(manifest.classes)} characters")

    def head_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean negative log probability of the strings (N, L) under logits (N, T, K + 2, K + 1).

        Raises:
            SpecError: another number of rows or labels, or a string that needs more windows than there are.

        """
        labels = self.num_outputs
        if logits.ndim != 4 or (len(logits), *logits.shape[2:]) != (len(target), labels + 1, labels):
            raise SpecError(
                f"Logits of shape {tuple(logits.shape)} for {len(target)} strings",
                expected=f"({len(target)}, windows, {labels + 1}, {labels})",
                do="Use a network for sequences of these characters",
            )
        return StringLikelihood()(logits, target)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability of each label, the blank last, in each window: (N, K + 1, T), at least float32."""
        return label_marginals(at_least_float32(logits)).transpose(1, 2)

    def answers(self, logits: Tensor) -> Tensor:
        """Return the log-potentials themselves, at least float32: what a string is depends on all of them."""
        return at_least_float32(logits)

    def read(self, logits: Tensor) -> list[list[int]]:
        """Return the string of each picture as class indices: Viterbi's path, collapsed."""
        return collapse(best_sequence(at_least_float32(logits)), len(self.classes))

    def read_greedily(self, logits: Tensor) -> list[list[int]]:
        """Return the string of each picture as class indices, every window read for itself."""
        return collapse(logits[:, :, -1].argmax(2), len(self.classes))

    def string_probability(self, logits: Tensor, string: list[int]) -> float:
        """Return the probability of a string, all its places in the picture counted; logits (1, T, K + 2, K + 1)."""
        target = torch.tensor([string or [NO_CHARACTER]], device=logits.device)
        return float(string_log_probability(logits, target).exp())

    def meter(self) -> StringMeter:
        """Return an empty meter: exact_string, character_accuracy and exact_string_greedy."""
        return StringMeter(self.read, self.read_greedily)

    def _check_loss(self) -> None:
        if self.objective != LOSS:
            raise UsageError(
                f"loss {self.objective!r} for {self.name}", expected=LOSS, do="Leave it out: strings have one loss"
            )
        if self.class_weights is not None:
            raise _no_use_of("class weights")
        if self.label_smoothing:
            raise _no_use_of(f"label_smoothing={self.label_smoothing:g}")


def _no_use_of(what: str) -> UsageError:
    return UsageError(
        f"loss '{LOSS}' makes no use of {what}", expected="neither weights nor smoothing", do="Leave it out"
    )
