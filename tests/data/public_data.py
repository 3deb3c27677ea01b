"""What tests need of the public data sets that are not in the repository."""

from pathlib import Path

import pytest


def needed(folder: Path, *names: str) -> None:
    """Skip the test, saying why, unless all of ``names`` are in ``folder``."""
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        pytest.skip(f"{folder} lacks {', '.join(missing)}")
