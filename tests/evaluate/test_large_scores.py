"""Scores of pictures that are predicted tile by tile and compared strip by strip, against those in memory."""

import signal
from contextlib import nullcontext

import numpy as np
import pytest
import tifffile

from pixelwise import runtime
from pixelwise.data import reading, windows
from pixelwise.data.manifest import build_manifest
from pixelwise.errors import Interrupted, TooLittleMemoryError, UsageError
from pixelwise.evaluation import evaluate
from pixelwise.evaluation import large as large_module
from pixelwise.predict.large import LargeOptions
from small_models import segmenter


@pytest.fixture
def slides(tmp_path):
    """Three pictures, one of which is small; a strip of each is ignored."""
    rng = np.random.default_rng(0)
    root = tmp_path / "slides"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for k, size in enumerate(((90, 130), (30, 28), (75, 160))):
        mask = np.kron(rng.random((15, 20)) < 0.4, np.ones((12, 12)))[: size[0], : size[1]].astype(np.uint8)
        mask[:, 3:9] = 255
        image = np.where(mask == 1, 180, 60) + rng.integers(0, 60, size)
        tifffile.imwrite(root / "images" / f"{k}.tif", image.astype(np.uint8), tile=(32, 32))
        tifffile.imwrite(root / "masks" / f"{k}.tif", mask, tile=(16, 64), compression="zlib")
    (root / "classes.txt").write_text("background\ncell\n")
    return root


@pytest.fixture
def by_region(monkeypatch):
    for module in (windows, reading):
        monkeypatch.setattr(module, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(windows, "STRIP_PIXELS", 1700)
    predicted = []
    run = large_module.predict_large

    def in_small_tiles(member, path, out, options, **more):
        predicted.append(path.name)
        return run(member, path, out, LargeOptions(tile=64), **more)

    monkeypatch.setattr(large_module, "predict_large", in_small_tiles)
    return predicted


def test_scores_are_those_of_pictures_in_memory(slides, request):
    manifest, model = build_manifest(slides), segmenter()
    in_memory = evaluate(model, slides, manifest)
    predicted = request.getfixturevalue("by_region")
    steps = []
    scores = evaluate(model, slides, manifest, progress=lambda done, total: steps.append((done, total)))
    assert predicted == ["0.tif", "2.tif"]
    assert steps[-1] == (3, 3)
    assert scores.to_json() == in_memory.to_json()


def test_outlines_need_whole_label_maps(slides, by_region):
    with pytest.raises(UsageError) as caught:
        evaluate(segmenter(), slides, build_manifest(slides), further=["hausdorff_95"])
    assert str(caught.value) == (
        "--scores hausdorff_95 of images/0.tif with 90 x 130 pixels. Expected smaller pictures, as outlines are "
        "compared whole. Leave these scores out, or cut the pictures into tiles."
    )


def test_an_ensemble_keeps_pictures_in_memory(slides, by_region):
    evaluate(segmenter(), slides, build_manifest(slides), ensemble=[segmenter(1)])
    assert by_region == []


@pytest.mark.parametrize(
    ("fault", "budgets"),
    [(TooLittleMemoryError("memory=2 GB is too little"), [2 * 10**9, None]), (UsageError("no Zarr"), [2 * 10**9])],
)
def test_only_too_little_memory_is_tried_again_with_more(slides, by_region, monkeypatch, fault, budgets):
    given, run = [], large_module.predict_large

    def refusing_a_budget(member, path, out, options, **more):
        given.append(options.memory_bytes)
        if options.memory_bytes:
            raise fault
        return run(member, path, out, options, **more)

    monkeypatch.setattr(large_module, "predict_large", refusing_a_budget)
    with nullcontext() if None in budgets else pytest.raises(UsageError, match="no Zarr"):
        evaluate(segmenter(), slides, build_manifest(slides))
    assert given[:2] == budgets


def test_memory_is_kept_again_after_a_large_picture(slides, by_region, monkeypatch):
    calls = []
    monkeypatch.setattr(runtime, "_set", lambda *settings: calls.append(settings) or True)
    monkeypatch.setattr(runtime, "_process", runtime._Process())
    evaluate(segmenter(), slides, build_manifest(slides))
    given_back = calls[-1]
    assert runtime.keep_freed_memory()
    kept = calls[-1]
    assert kept != given_back
    evaluate(segmenter(), slides, build_manifest(slides))
    assert calls[-1] == kept


def test_a_signal_stops_between_tiles(slides, by_region):
    asked = []

    def stop():
        asked.append(1)
        if len(asked) > 4:
            raise Interrupted(signal.SIGTERM)

    with pytest.raises(Interrupted):
        evaluate(segmenter(), slides, build_manifest(slides), should_stop=stop)
    assert by_region == ["0.tif"]
