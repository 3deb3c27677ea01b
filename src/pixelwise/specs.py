"""The contract between a paper's table and everything above it.

A :class:`Spec` is one row of a paper's table, as frozen data: what a run records, what ``--set`` overrides and what a
search varies. A :class:`Network` is the module that it builds. Facts that hold for the row as printed (parameters,
published results) live in :class:`Facts` and fall away when a field of the row is changed.
"""

import dataclasses
import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, Self

from torch import Tensor, nn

from pixelwise.errors import SpecError, suggest
from pixelwise.values import coerce, describe_type, readings

NetworkKind = Literal["classification", "segmentation", "sequence"]
"""What the logits are: of a picture, of its pixels, or of a chain of windows."""

_VARIANT: Final = "variant: "


@dataclass(frozen=True, kw_only=True, slots=True)
class Paper:
    """Where an architecture was published."""

    title: str
    authors: str
    year: int
    venue: str
    link: str
    """arXiv id, DOI or address."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A result as somebody published it."""

    dataset: str
    metric: str
    value: float
    protocol: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known of a spec exactly as it stands in the catalogue."""

    paper: Paper
    table: str
    """Which table or figure of the paper the row reproduces; ``variant: ...``, with its origin, where there is none."""
    input_size: tuple[int, ...]
    """Channels, height, width of the paper's input; channels, depth, height, width of volumes."""
    num_classes: int
    params: int
    """Trainable parameters at ``input_size`` channels and ``num_classes`` (running statistics not counted)."""
    macs: int
    """Multiply-adds of convolutions and linear layers for one input, in evaluation."""
    paper_params: str = ""
    """The paper's own rounded figure, as printed."""
    published: tuple[Published, ...] = ()

    @property
    def variant(self) -> str:
        """What the network is, where the paper has no such row; else empty."""
        return self.table.removeprefix(_VARIANT) if self.table.startswith(_VARIANT) else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One level of the feature pyramid: its channels, and its stride in input pixels."""

    channels: int
    stride: int
    module: str
    """The last direct child of the network that the level needs; the next stage begins after it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretraining:
    """What published weights were trained on, which pictures have to be made like."""

    source: str
    """Who published them: torchvision, timm, ..."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Per channel, of values from 0 to 1; one entry for each of the network's channels."""


@dataclass(frozen=True, kw_only=True)
class Spec(ABC):
    """One row of a paper's table. Subclasses, one per family, add the table's columns as fields.

    Fields hold only numbers, strings, booleans, None and tuples of them, so that a spec round-trips through JSON.
    ``__post_init__`` of a subclass refuses impossible values with a :class:`~pixelwise.errors.SpecError`.
    """

    family: ClassVar[str]
    task: ClassVar[NetworkKind]

    columns_added: ClassVar[Mapping[str, object]] = MappingProxyType({})
    """Columns that records of earlier versions lack, with what these networks were like."""

    name: str
    """The catalogue's name of the row that this spec is or was derived from."""
    facts: Facts | None = dataclasses.field(default=None, repr=False, compare=False)
    """None once a field was changed: the paper's numbers no longer hold."""

    @abstractmethod
    def build(self, in_channels: int, num_classes: int) -> "Network":
        """Make the network, initialised as its paper says.

        Raises:
            SpecError: channels or classes that the architecture cannot have.

        """

    @property
    def dimensions(self) -> int:
        """Axes of what the network looks at: 2 for pictures, 3 for volumes (depth, height, width)."""
        return 2

    @property
    def precursors(self) -> tuple["Spec", ...]:
        """Other networks whose weights can start this one: its backbone, or an earlier stage of its training."""
        return ()

    @property
    def without_effect(self) -> Mapping[str, str]:
        """Columns that change nothing in this network, as its others stand, with the reason.

        Only their defaults are accepted, for who sets one expects that it does something.
        """
        return {}

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """The only (height, width) that the network takes; None where its layers fit many sizes.

        A spec that fixes the size has it in a column ``image_size``.
        """
        return None

    @classmethod
    def columns(cls) -> dict[str, dataclasses.Field[Any]]:
        """The fields of the table's row, by name: what ``replace`` and ``--set`` accept."""
        return {field.name: field for field in dataclasses.fields(cls) if field.name not in ("name", "facts")}

    def replace(self, **changes: object) -> Self:
        """Return a copy with other values in some columns; the facts are dropped if anything differs.

        Raises:
            SpecError: an unknown column (with near misses), a value of the wrong type, or one without any effect.

        """
        return self._with(self._converted(changes))._refuse_without_effect()

    def recorded(self, columns: Mapping[str, object]) -> Self:
        """Like :meth:`replace`, from a record, which may hold values without effect: these become the defaults."""
        made = self._with(self._converted(columns))
        return made._with({key: made.columns()[key].default for key in made.without_effect})

    def override(self, settings: dict[str, str]) -> Self:
        """Like :meth:`replace`, from the command line's text: ``{"widths": "32,64", "dropout": "none"}``.

        A text that is one of a column's words stands for that word, whatever else it could mean.
        """
        converted = {key: self._convert(key, readings(text)) for key, text in settings.items()}
        return self._with(converted)._refuse_without_effect()

    def to_json(self) -> dict[str, Any]:
        """Family, name and columns as plain JSON; ``catalogue.spec_from_json`` is the way back."""
        columns = {key: getattr(self, key) for key in self.columns()}
        return {"family": self.family, "name": self.name, "columns": columns}

    def _with(self, converted: dict[str, Any]) -> Self:
        changed = any(getattr(self, key) != value for key, value in converted.items())
        return dataclasses.replace(self, **converted, facts=None if changed else self.facts)

    def _refuse_without_effect(self) -> Self:
        for key, why in self.without_effect.items():
            value, default = getattr(self, key), self.columns()[key].default
            if value != default:
                raise SpecError(
                    f"{self.name}: {key}={value} has no effect: {why}", expected=f"{default}", do="Leave it out"
                )
        return self

    def _converted(self, values: Mapping[str, object]) -> dict[str, Any]:
        return {key: self._convert(key, [value]) for key, value in values.items()}

    def _convert(self, key: str, readings: Sequence[object]) -> object:
        """Return the first reading of a value that the column's type admits."""
        columns = self.columns()
        if key not in columns:
            raise SpecError(
                f"{self.name} has no field {key!r}", do=suggest(key, columns) or f"Its fields are {', '.join(columns)}"
            )
        expected = typing.get_type_hints(type(self))[key]
        for value in readings:
            try:
                return coerce(value, expected)
            except TypeError:
                continue
        raise SpecError(
            f"{self.name}: {key}={readings[-1]!r}", expected=describe_type(expected), do="Correct the value"
        )


class Network(nn.Module, ABC):
    """A convolutional network built from a spec: logits out, one type in training and evaluation alike.

    Channels, dilation and head are facts of the constructor and are never patched afterwards. The direct children are
    the rows of the paper's table, under the paper's names and in its order; the last one gives the logits.
    """

    spec: Spec
    in_channels: int
    num_classes: int
    stages: tuple[Stage, ...]
    """Channels and strides of what :meth:`features` returns, finest first."""
    fills_to: int = 1
    """Multiple up to which the network fills the sides of its input with zeros, at their ends; 1: it fills nothing."""
    auxiliary_heads: ClassVar[tuple[str, ...]] = ()
    """Direct children that only :meth:`training_logits` uses, whether or not this network was built with them."""
    pretraining: Pretraining | None
    """Set where published weights were loaded; None for weights that were drawn."""

    def __init__(self, spec: Spec, in_channels: int, num_classes: int) -> None:
        super().__init__()
        for what, number in (("in_channels", in_channels), ("num_classes", num_classes)):
            if number < 1:
                raise SpecError(f"{spec.name}: {what}={number}", expected="at least 1", do="Correct the number")
        self.spec, self.in_channels, self.num_classes = spec, in_channels, num_classes
        self.pretraining = None

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the layers whose shape depends on the number of classes: the last layer, and those of other heads.

        By default the last direct child. Networks with auxiliary heads name the layers of these first.
        """
        return (list(self._modules)[-1],)

    @abstractmethod
    def features(self, x: Tensor) -> list[Tensor]:
        """Return the feature pyramid of ``x`` (N, in_channels, H, W), one map per entry of ``stages``."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return logits: (N, num_classes), or (N, num_classes, H', W') with (H', W') = ``output_size(H, W)``."""

    def training_logits(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of the head, then those of auxiliary heads where the paper trains with any."""
        return (self(x),)

    def dense_logits(self, x: Tensor) -> Tensor:
        """Return the logits at every place of the last map, (N, num_classes, h, w): the network slid over a picture.

        Full connections are taken as convolutions, and means over the whole map are left out (Simonyan and Zisserman
        2015, section 3.2), so that pictures larger than the network's input give several answers.

        Raises:
            SpecError: the architecture has no such form.

        """
        raise SpecError(
            f"{self.spec.name} cannot be slid over a picture, asked for an input of {tuple(x.shape)}",
            expected="a network of convolutions",
            do="Choose another network, or another test protocol",
        )

    def check_input(self, x: Tensor) -> None:
        """Refuse a batch that the network cannot take.

        Raises:
            SpecError: not (N, in_channels, H, W), for volumes (N, in_channels, D, H, W), or an illegal size.

        """
        if x.ndim != 2 + self.spec.dimensions or x.shape[1] != self.in_channels:
            axes, noun = ("D, H, W", "volumes") if self.spec.dimensions == 3 else ("H, W", "images")
            raise SpecError(
                f"{self.spec.name}: a batch of shape {tuple(x.shape)}",
                expected=f"(N, {self.in_channels}, {axes})",
                do=f"Convert the {noun} to {self.in_channels} channels, or create the network with other in_channels",
            )
        self.check_size(*x.shape[2:])

    def check_size(self, *size: int) -> None:
        """Refuse an input size that the architecture cannot take: any but the spec's ``fixed_size``, where it has one.

        Args:
            size: height and width; depth, height and width where the network looks at volumes.

        Raises:
            SpecError: says which sizes are legal.

        """
        legal = self.spec.fixed_size
        if legal is not None and size != legal:
            raise SpecError(
                f"{self.spec.name} cannot take images of {' x '.join(map(str, size))} pixels",
                expected=f"{legal[0]} x {legal[1]}",
                do=f"Resize the images, or set image_size={','.join(map(str, size))} before building",
            )

    def filled_size(self, *size: int) -> tuple[int, ...]:
        """Size up to which the network fills an input by itself: the next multiple of ``fills_to`` on each side.

        What it says of its filling is cut off, so that nothing teaches it what to say beside the padding of its
        convolutions there. Inputs of this size leave it nothing to fill.
        """
        return tuple(-(-side // self.fills_to) * self.fills_to for side in size)

    def output_size(self, *size: int) -> tuple[int, ...]:
        """Size of the logits of a segmentation network for this input size (the same, unless the paper crops)."""
        return size

    def input_size_for(self, *size: int) -> tuple[int, ...]:
        """Smallest legal input size whose output covers ``size`` (larger than it for valid padding)."""
        return size
