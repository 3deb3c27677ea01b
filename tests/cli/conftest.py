"""The command line as a shell meets it, in this process: arguments in; exit code, standard output and error out."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from pixelwise.cli.main import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def pixelwise(capsys, monkeypatch) -> Command:
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["pixelwise", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return Outcome(end.value.code or 0, said.out, said.err)

    return call


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def write_sides(root, names=("left", "right"), per_class=12):
    """Class folders: noise, brighter on one side."""
    rng = np.random.default_rng(1)
    for label, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            image = rng.integers(0, 120, (28, 28), dtype=np.uint8)
            image[:, label * 14 :][:, :14] += 100
            cv2.imwrite(str(root / name / f"{number}.png"), image)
    return root


def write_squares(root, count=8):
    """Pictures and masks: a bright square in noise."""
    rng = np.random.default_rng(2)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        image = rng.integers(0, 90, (32, 32), dtype=np.uint8)
        mask = np.zeros_like(image)
        top, left = rng.integers(0, 20, 2)
        image[top : top + 12, left : left + 12] += 120
        mask[top : top + 12, left : left + 12] = 1
        cv2.imwrite(str(root / "images" / f"{number}.png"), image)
        cv2.imwrite(str(root / "masks" / f"{number}.png"), mask)
    return root


@pytest.fixture
def sides(tmp_path):
    return write_sides(tmp_path / "sides")


@pytest.fixture
def squares(tmp_path):
    return write_squares(tmp_path / "squares")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with data and a run on it, for each task; tests only read them."""
    from pixelwise.training.session import train

    folder = tmp_path_factory.mktemp("trained")
    write_sides(folder / "sides")
    write_squares(folder / "squares")
    small = {"epochs": "1", "augment": "none"}
    train(folder / "sides", "mlp_784_300_10", out=folder / "classes", settings={**small, "hidden": "8,8"}, quiet=True)
    train(folder / "squares", "unet16", out=folder / "masks", settings={**small, "widths": "4,8"}, quiet=True)
    return folder
