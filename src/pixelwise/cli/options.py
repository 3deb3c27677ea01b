"""Options that several commands share, and how their text becomes values."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pixelwise.data.task_names import TaskName
from pixelwise.errors import UsageError

Data = Annotated[
    Path, typer.Argument(help="Folder with the data set (see docs/reference/layouts.md).", show_default=False)
]
RunFolder = Annotated[Path, typer.Argument(help="A run folder.", show_default=False)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Layout = Annotated[str | None, typer.Option(help="Layout of the folder; by default found by looking.")]
TaskOption = Annotated[TaskName | None, typer.Option("--task", help="By default found by looking.")]
MaskMeaning = Annotated[
    Literal["index", "binary255", "palette", "rgb", "instance"] | None,
    typer.Option(help="How mask values are meant; by default found by looking."),
]
Classes = Annotated[
    str | None, typer.Option(metavar="A,B,C", help="Class table in its order; by default from the data.")
]
Ignore = Annotated[
    int,
    typer.Option(min=-1, max=255, help="Mask value that no loss and no score counts; -1: every value counts."),
]
BadImages = Annotated[Literal["refuse", "skip"], typer.Option(help="What to do with unreadable pictures.")]
MissingChunks = Annotated[
    Literal["refuse", "fill"],
    typer.Option(
        "--missing", help="What to do about chunks that Zarr pictures leave out (fill: with their fill value)."
    ),
]
KeepMemory = Annotated[
    bool, typer.Option("--keep-memory/--return-memory", help="Keep freed memory in the process: faster on CPUs.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the recipe or of the network (repeatable)."),
]


def parse_settings(settings: list[str] | None) -> dict[str, str]:
    """Turn ``["lr=0.1", "padding=valid"]`` into a table.

    Raises:
        UsageError: an entry without ``=``, or a key given twice.

    """
    table: dict[str, str] = {}
    for setting in settings or []:
        key, separator, value = setting.partition("=")
        if not separator or not key.strip():
            raise UsageError(f"--set {setting}", expected="KEY=VALUE", do="For example --set epochs=20")
        if key.strip() in table:
            raise UsageError(f"--set {key.strip()} is given twice", do="Give it once")
        table[key.strip()] = value.strip()
    return table


def parse_batch(text: str) -> int | Literal["auto"]:
    """Read ``auto`` or a number.

    Raises:
        UsageError: something else.

    """
    if text == "auto":
        return "auto"
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--batch {text}", expected="a number from 1 on, or auto", do="For example --batch 16")
    return int(text)


def parse_classes(text: str | None) -> tuple[str, ...] | None:
    """Read ``cat,dog``; None stays None.

    Raises:
        UsageError: a name is empty or stands twice, or there is only one.

    """
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) < max(2, len(names)):
        raise UsageError(
            f"--classes {text}", expected="two or more different names, with commas", do="For example --classes cat,dog"
        )
    return names


def parse_names(text: str | None) -> tuple[str, ...]:
    """Read ``head,input``; None and an empty text are no name."""
    return tuple(name.strip() for name in text.split(",")) if text else ()


def parse_ignore(value: int) -> int | None:
    """Return the mask value to ignore; None for -1."""
    return None if value < 0 else value


def parse_class_weights(text: str | None) -> tuple[float, ...] | Literal["balanced", "enet"] | None:
    """Read ``balanced``, ``enet`` or ``1,2.5``, one number for each class; None stays None.

    Raises:
        UsageError: something else.

    """
    match text:
        case None | "balanced" | "enet":
            return text
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--class-weights {text}",
            expected="balanced, enet, or one number for each class",
            do="For example --class-weights 1,2.5",
        ) from None


def parse_fractions(text: str) -> tuple[float, float, float]:
    """Read ``0.8,0.1,0.1``.

    Raises:
        UsageError: not three numbers.

    """
    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--split {text}", expected="three numbers", do="For example --split 0.8,0.1,0.1") from None
    return train, val, test
