"""Pictures too large for one pass are cut into tiles by the predictor, exactly, whatever the protocol and network."""

import dataclasses
import re

import numpy as np
import pytest

from pixelwise.errors import UsageError
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.protocols import Protocol
from pixelwise.predict.tiling import tiler
from pixelwise.predict.tiling.stitch import Deviation
from pixelwise.runs.model import Model
from small_models import preprocess, segmenter

PICTURE = np.random.default_rng(0).integers(0, 255, (157, 260)).astype(np.uint8)
EXACT = "exact: as if the whole were seen at once"


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("protocol", ["centre", "flip"])
def test_tiles_change_nothing(padding: str, protocol: str) -> None:
    views, model = Protocol.of(protocol), segmenter(padding=padding)
    whole = Predictor(model, protocol=views).predict(PICTURE, probabilities=True)
    tiled = Predictor(segmenter(padding=padding), protocol=views, tile=76).predict(PICTURE, probabilities=True)
    assert whole.probabilities is not None
    assert tiled.probabilities is not None
    assert np.abs(whole.probabilities - tiled.probabilities).max() < 1e-5
    assert whole.notes == ()
    (note,) = tiled.notes
    assert note.endswith(EXACT)
    assert note.startswith("in ")


def test_a_resized_picture_is_cut_after_it_was_resized() -> None:
    def resized() -> Model:
        return dataclasses.replace(segmenter(), preprocess=preprocess(resize="stretch", size=(100, 120)))

    whole = Predictor(resized()).predict(PICTURE, probabilities=True)
    tiled = Predictor(resized(), tile=64).predict(PICTURE, probabilities=True)
    assert np.abs(whole.probabilities - tiled.probabilities).max() < 1e-5  # type: ignore[operator]
    assert tiled.notes[-1].endswith(EXACT)


def test_logits_of_tiles_are_those_of_the_whole() -> None:
    whole, tiled = Predictor(segmenter()).logits(PICTURE), Predictor(segmenter(), tile=76).logits(PICTURE)
    assert np.abs(whole.numpy() - tiled.numpy()).max() < 1e-4


def test_a_budget_cuts_and_a_large_one_does_not() -> None:
    assert Predictor(segmenter(), memory_bytes=10**9).predict(PICTURE).notes == ()
    (note,) = Predictor(segmenter(), memory_bytes=2 * 10**6).predict(PICTURE).notes
    assert note.endswith(EXACT)
    for budget, said in ((1, "1 B"), (20_999, "20 kB")):
        with pytest.raises(UsageError) as fault:
            Predictor(segmenter(), memory_bytes=budget).predict(PICTURE)
        assert str(fault.value).startswith(f"memory={said} is too little for one tile of unet16. Expected at least ")


@pytest.mark.slow
def test_the_least_budget_that_is_named_is_enough() -> None:
    with pytest.raises(UsageError) as fault:
        Predictor(segmenter(), memory_bytes=1).predict(PICTURE)
    least = re.search(r"at least (\d+) (kB|MB)", str(fault.value))
    assert least
    enough = int(least[1]) * (10**3 if least[2] == "kB" else 10**6)
    assert Predictor(segmenter(), memory_bytes=enough).predict(PICTURE).notes


def test_without_a_limit_half_of_the_free_memory_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiler, "SMALL_PIXELS", 1000)
    monkeypatch.setattr(tiler, "free_memory_bytes", lambda device: 4 * 10**6)
    assert Predictor(segmenter()).predict(PICTURE).notes[0].endswith(EXACT)
    monkeypatch.setattr(tiler, "free_memory_bytes", lambda device: 1000)  # not even a tile fits: try it whole
    assert Predictor(segmenter()).predict(PICTURE).notes == ()


def test_deviations_are_said_in_words() -> None:
    found = Deviation((300, 400), largest=0.123, mean=0.01, labels=0.0123)
    assert found.summary() == "1.23% of the classes and at most 0.12 of an answer differ in 300 x 400 pixels"
