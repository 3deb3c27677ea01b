"""Options and fixtures that every test may use."""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--data",
        type=Path,
        default=None,
        help="folder of public data sets that are not in the repository (docs/reference/measured-data.md)",
    )


@pytest.fixture
def data_folder(request: pytest.FixtureRequest) -> Path:
    """The folder of public data sets given by ``--data``; without it the test is skipped."""
    folder: Path | None = request.config.getoption("--data")
    if folder is None:
        pytest.skip("needs public data sets that are not in the repository: give their folder with --data")
    if not folder.is_dir():
        pytest.fail(f"--data {folder} is not a folder")
    return folder
