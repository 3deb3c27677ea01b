"""Test protocols: which views of a picture the network is shown, and how its answers become one.

A protocol is data. As text it is made of parts with ``+`` between them, such as ``10-crop`` or ``dense:256,384+flip``.
Kinds of views, of a picture that is resized without changing its shape:

=========== ============================================================= =============================================
``centre``  the picture as the model's own preprocessing makes it         what a model is trained for
``corners`` the corners of the central square, and the centre             Krizhevsky et al. 2012, sections 2, 4.1
``outer``   the corners of the whole picture, and the centre              public re-implementations of the former
``squares`` left, centre, right square: its corners, centre, and itself   Szegedy et al. 2015, section 7
``grid``    5 x 5 places                                                  Simonyan and Zisserman 2015, section 3.2
``dense``   the network slid over the whole picture                       the same
=========== ============================================================= =============================================

Sizes are short sides of the resized picture, in pixels or as a share of the network's input: without sizes those of
the paper are taken, such as 256/224. ``flip`` adds the mirror image of every view; ``logits`` averages the logits of
the views instead of their probabilities.

The answers at the places of a dense view are averaged as logits ("the class score map is spatially averaged"), those
of views as probabilities, and those of kinds of views weigh alike, however many views each has.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, Self, get_args

from pixelwise.data.task_names import TaskName
from pixelwise.errors import UsageError, suggest

Kind = Literal["centre", "corners", "outer", "squares", "grid", "dense"]
Average = Literal["probabilities", "logits"]

LARGEST_PX = 8192
LARGEST_SHARE = 32
"""Largest short side, as a multiple of the network's input; holds for sizes in pixels too, once the input is known."""

_NUMBER = re.compile(r"[0-9]{1,6}")
_LEGAL_SIZES = f"1 to {LARGEST_PX} pixels, or a share of the network's input up to {LARGEST_SHARE}/1, such as 256/224"


@dataclass(frozen=True, slots=True)
class Share:
    """So much of the network's input: 256/224 is 256 pixels for a network of 224, and 32 for one of 28."""

    above: int
    below: int

    def __str__(self) -> str:
        return f"{self.above}/{self.below}"


Size = int | Share
"""Short side of the resized picture: pixels, or a share of the network's input."""


def _of_224(*sizes: int) -> tuple[Size, ...]:
    return tuple(Share(size, 224) for size in sizes)


@dataclass(frozen=True, slots=True)
class Views:
    """Views of one kind, at one or several sizes.

    Raises:
        UsageError: sizes that are missing, impossible or given twice.

    """

    kind: Kind = "centre"
    sizes: tuple[Size, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UsageError(f"views {self.kind!r}", expected="a kind of views", do=suggest(self.kind, get_args(Kind)))
        if self.kind == "centre":
            if self.sizes:
                raise UsageError(
                    f"{self.to_text()} has sizes",
                    expected="none: its size is that of the model's preprocessing",
                    do="Choose corners or dense to have sizes",
                )
        elif not self.sizes or len(set(self.sizes)) < len(self.sizes):
            raise UsageError(f"{self.to_text()}", expected="one or more different sizes", do="Correct the sizes")
        for size in self.sizes:
            if isinstance(size, Share):
                is_possible = size.above > 0 < size.below and size.above <= LARGEST_SHARE * size.below
            else:
                is_possible = 0 < size <= LARGEST_PX
            if not is_possible:
                raise UsageError(
                    f"{self.to_text()} has the size {size}", expected=_LEGAL_SIZES, do="For example dense:256,384"
                )

    def to_text(self) -> str:
        """Return the text that :meth:`Protocol.parse` reads."""
        name = next((name for name, views in _NAMED.items() if views == self), None)
        return name or f"{self.kind}:{','.join(map(str, self.sizes))}"


_NAMED: Final[dict[str, Views]] = {
    "centre": Views(),
    "corners": Views("corners", _of_224(256)),
    "outer": Views("outer", _of_224(256)),
    "squares": Views("squares", _of_224(256, 288, 320, 352)),
    "grid": Views("grid", _of_224(256, 384, 512)),
    "dense": Views("dense", _of_224(256)),
    "multi-scale": Views("dense", _of_224(224, 256, 384, 480, 640)),
}
_SHORTHANDS: Final = {"10-crop": "corners+flip", "144-crop": "squares+flip", "150-crop": "grid+flip"}
_MODIFIERS: Final = ("flip", "logits")


@dataclass(frozen=True, slots=True)
class _Placed:
    """What fits a task whose answers have places, besides ``centre`` and ``logits``, and why nothing else does."""

    fitting: tuple[Literal["flip"], ...]
    why: str


_PLACED: Final[dict[TaskName, _Placed]] = {
    "segmentation": _Placed(("flip",), "such views answer for a picture, not for each of its pixels"),
    "instances": _Placed(("flip",), "such views answer for a picture, not for each of its pixels"),
    "volumes": _Placed(("flip",), "such views answer for a picture, not for each of its voxels"),
    "localisation": _Placed((), "the box lies elsewhere in every view"),
    "sequence": _Placed((), "other views show other strings"),
    "detection": _Placed((), "every object lies elsewhere in every view"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """Which views of a picture a network is shown, and how its answers become one.

    Raises:
        UsageError: no views, or the same views twice.

    """

    views: tuple[Views, ...] = (Views(),)
    flip: bool = False
    """Each view also as its mirror image, left to right."""
    average: Average = "probabilities"
    """What is averaged over the views."""

    def __post_init__(self) -> None:
        if not self.views or len(set(self.views)) < len(self.views):
            raise UsageError(
                f"protocol {'+'.join(views.to_text() for views in self.views)!r}",
                expected="one or more different kinds of views",
                do="Name each one once",
            )

    @classmethod
    def of(cls, given: "str | Protocol") -> "Protocol":
        """Return a protocol that came as itself or as its text.

        Raises:
            UsageError: it is neither, or a text that :meth:`parse` refuses.

        """
        if isinstance(given, str):
            return cls.parse(given)
        if isinstance(given, Protocol):
            return given
        raise UsageError(
            f"protocol={given!r}",
            expected='a protocol as text, such as "10-crop", or a Protocol',
            do='Leave it out, or say "centre", for each picture as the model\'s own preprocessing makes it',
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a protocol's text.

        Raises:
            UsageError: an unknown part, or sizes that cannot be read or do not belong.

        """
        words = "+".join(_SHORTHANDS.get(word.strip(), word.strip()) for word in text.split("+")).split("+")
        parts = [word for word in words if word not in _MODIFIERS]
        views = tuple(_read_views(part, text) for part in parts)
        return cls(
            views=views or (Views(),),
            flip="flip" in words,
            average="logits" if "logits" in words else "probabilities",
        )

    def to_text(self) -> str:
        """Return the text that :meth:`parse` reads: the shortest name where there is one."""
        modifiers = [name for name, is_set in (("flip", self.flip), ("logits", self.average == "logits")) if is_set]
        parts = [views.to_text() for views in self.views if self.views != (Views(),) or not modifiers]
        text = "+".join([*parts, *modifiers])
        for short, long in _SHORTHANDS.items():
            if len(self.views) == 1 and text in (long, f"{long}+logits"):
                return text.replace(long, short)
        return text

    def check_task(self, task: TaskName) -> None:
        """Refuse views whose answers cannot be averaged, because they speak of places that each view has elsewhere.

        Raises:
            UsageError: the task cannot be tested so.

        """
        if task not in _PLACED:
            return
        placed = _PLACED[task]
        foreign = [views.to_text() for views in self.views if views.kind != "centre"]
        foreign += ["flip"] if self.flip and "flip" not in placed.fitting else []
        if foreign:
            raise UsageError(
                f"protocol {self.to_text()} for {task}",
                expected=" or ".join(("centre", *placed.fitting)),
                do=f"Leave {foreign[0]} out: {placed.why}",
            )

    def __str__(self) -> str:
        return self.to_text()


def _read_views(part: str, text: str) -> Views:
    name, colon, listed = part.partition(":")
    if name in _NAMED:
        if not colon:
            return _NAMED[name]
        if not listed:
            raise UsageError(
                f"protocol {text!r}: no sizes behind {part}",
                expected=f"{name} alone, or {_LEGAL_SIZES}",
                do="For example dense:256,384",
            )
        return Views(_NAMED[name].kind, tuple(_read_size(size.strip(), name, text) for size in listed.split(",")))
    if name in _SHORTHANDS:
        long = _SHORTHANDS[name]
        raise UsageError(
            f"protocol {text!r}: {name} has sizes",
            expected=f"{name} alone, which is {long}",
            do=f"For other sizes: {long.replace('+', f':{listed or 256}+', 1)}",
        )
    if name in _MODIFIERS:
        raise UsageError(
            f"protocol {text!r}: {name} has sizes", expected=f"{name} alone", do="Give the sizes to views, as dense:256"
        )
    raise UsageError(
        f"protocol {text!r}" if part == text else f"protocol {text!r}: unknown part {part!r}",
        expected="parts with + between them, such as 10-crop or dense:256,384+flip",
        do=suggest(name, [*_NAMED, *_SHORTHANDS, *_MODIFIERS]),
    )


def _read_size(size: str, name: str, text: str) -> Size:
    numbers = size.split("/")
    if len(numbers) > 2 or not all(_NUMBER.fullmatch(number) for number in numbers):
        raise UsageError(
            f"protocol {text!r}: {name} has the size {size!r}", expected=_LEGAL_SIZES, do="For example dense:256,384"
        )
    return int(numbers[0]) if len(numbers) == 1 else Share(int(numbers[0]), int(numbers[1]))


CENTRE = Protocol()
"""The picture as the model's own preprocessing makes it: one view."""
