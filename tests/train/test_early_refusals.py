"""What is refused before any data are read: texts that are no loss, options given as fields."""

import inspect
from pathlib import Path

import pytest

from pixelwise.cli import training as command
from pixelwise.demo import run_demo
from pixelwise.errors import PixelwiseError, RecipeError, UsageError
from pixelwise.training.session import train
from pixelwise.training.start import OPTIONS


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (UsageError, {"loss": "foo"}, "loss 'foo': 'foo' is not a loss. Expected a sum such as"),
        (UsageError, {"loss": "ce+focal(gama=1)"}, "loss 'ce+focal(gama=1)': focal has no parameter 'gama'"),
        (UsageError, {"loss": "ce*2"}, "loss 'ce*2': 'ce*2' is not a term. Expected 2*ce. Write the factor first."),
        (
            RecipeError,
            {"seed": "0"},
            "neither the recipe nor unet16 has a field 'seed'. Use --seed 0, in Python seed=0.",
        ),
        (PixelwiseError, {"loss": "crf"}, "{folder} has 1 error"),
        (PixelwiseError, {"loss": "2*smooth_l1+ce"}, "{folder} has 1 error"),
    ],
)
def test_before_the_data_are_read(
    tmp_path: Path, kind: type[PixelwiseError], settings: dict[str, str], message: str
) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(kind) as caught:
        train(missing, "unet16", settings=settings, out=tmp_path / "run", quiet=True)
    assert str(caught.value).startswith(message.format(folder=missing))
    assert not (tmp_path / "run").exists()


def test_a_loss_is_looked_at_where_the_network_is_open(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'foo' is not a loss"):
        train(tmp_path / "missing", settings={"loss": "foo"}, out=tmp_path / "run", quiet=True)


def test_options_are_those_of_the_command_and_of_python() -> None:
    for function in (train, command.train):
        assert set(inspect.signature(function).parameters) >= OPTIONS


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_without_a_stream_leave_nothing_behind(tmp_path: Path, seed: int) -> None:
    """They were refused by the first draw, in a run folder that then stood in the way of the corrected command."""
    message = f"seed={seed}. Expected a whole number from 0 to 2**64 - 1. Choose another seed."
    for attempt in (
        lambda: train(tmp_path / "missing", "unet16", seed=seed, out=tmp_path / "run", quiet=True),
        lambda: run_demo(tmp_path / "demo", seed=seed, quiet=True),
    ):
        with pytest.raises(UsageError) as caught:
            attempt()
        assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []
