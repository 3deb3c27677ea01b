"""Paths as callers give them."""

from pathlib import Path

from pixelwise.errors import UsageError


def as_path(value: object, name: str) -> Path:
    """Return a path that a caller gave.

    Args:
        value: text or a :class:`~pathlib.Path`.
        name: what to call it in messages.

    Raises:
        UsageError: it is something else.

    """
    if isinstance(value, (str, Path)):
        return Path(value)
    raise UsageError(f"{name}={value!r}", expected="a path, as text or pathlib.Path", do="Give the path")
