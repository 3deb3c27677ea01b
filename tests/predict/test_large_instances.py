"""Objects of large pictures: tile by tile, strip by strip the same as at once."""

import csv
import json

import numpy as np
import pytest
import scipy.ndimage
import tifffile

from pixelwise.errors import ImageError, UsageError
from pixelwise.predict.large import LargeOptions, objects, predict_large, run, work
from pixelwise.predict.member import Member
from pixelwise.predict.postprocess import Pipeline, default_pipeline
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.protocols import CENTRE

SIZE = (143, 118)
CLASSES = ("background", "cell")


@pytest.fixture
def picture(tmp_path):
    rng = np.random.default_rng(1)
    pixels = scipy.ndimage.gaussian_filter(rng.standard_normal(SIZE), 3) * 600 + 120
    path = tmp_path / "in" / "slide.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, np.clip(pixels, 0, 255).astype(np.uint8), tile=(32, 48), resolution=(20000, 20000),
                     resolutionunit=3)  # fmt: skip
    return path


@pytest.fixture(autouse=True)
def _small_blocks_and_strips(monkeypatch):
    monkeypatch.setattr(work, "block_sides", lambda size, fmt: (48, 32))
    monkeypatch.setattr(objects, "block_sides", lambda size, fmt: (32, 48))
    monkeypatch.setattr(objects, "_STRIP_PX", 17)


@pytest.mark.parametrize("fmt", ["tiff", "zarr"])
def test_the_objects_are_those_of_the_whole_picture(counter, picture, tmp_path, fmt):
    predictor = Predictor(counter)
    whole = predictor.predict(picture)
    assert len(whole.objects) > 8
    member = Member(counter, "cpu", 1, CENTRE)
    out = tmp_path / "out"
    options = LargeOptions(tile=48, fmt=fmt)
    summary = predict_large(member, picture, out, options, pipeline=predictor.pipeline)
    assert summary.is_complete
    assert len(summary.plan) > 6
    assert summary.counts == whole.counts()
    suffix = {"tiff": ".tif", "zarr": ".zarr"}[fmt]
    assert not (out / "probabilities" / f"slide{suffix}").exists()  # it was not asked for
    from pixelwise.data.regions import open_source

    with open_source(out / "labels" / f"slide{suffix}", 2, stored=True) as stored:
        labels = stored.read(((0, SIZE[0]), (0, SIZE[1])))[..., 0]
    np.testing.assert_array_equal(labels, whole.labels)  # with the same numbers
    with (out / "objects" / "slide.csv").open() as file:
        rows = list(csv.DictReader(file))
    expected = {row["object"]: row for row in whole.objects.rows(CLASSES)}
    for row in rows:
        other = expected[int(row["object"])]
        assert {key: row[key] for key in other} == {key: str(value) for key, value in other.items()}
        assert float(row["area_um2"]) == pytest.approx(int(row["area_px"]) * 0.25)
    assert len(rows) == len(expected)
    content = json.loads((out / "summaries" / "slide.json").read_text())
    assert content["counts"] == whole.counts()
    assert content["files"]["labels"] == f"labels/slide{suffix}"


def test_a_stop_between_the_passes_is_made_good(counter, picture, tmp_path, monkeypatch):
    member, pipeline, options = Member(counter, "cpu", 1, CENTRE), default_pipeline(counter.task), LargeOptions(tile=64)
    straight = predict_large(member, picture, tmp_path / "a", options, pipeline=pipeline)
    with monkeypatch.context() as broken:
        broken.setattr(objects.SecondPass, "write_objects", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            predict_large(member, picture, tmp_path / "b", options, pipeline=pipeline)
    assert not (tmp_path / "b" / "summaries").exists()
    again = predict_large(member, picture, tmp_path / "b", options, pipeline=pipeline)
    assert again.is_resumed
    assert again.counts == straight.counts
    for name in ("labels/slide.tif", "objects/slide.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("remedy", ["more memory", "other steps"])
def test_pieces_that_do_not_fit_are_refused_and_the_tiles_serve_the_remedy(
    counter, picture, tmp_path, monkeypatch, remedy
):
    member, options = Member(counter, "cpu", 1, CENTRE), LargeOptions(tile=48, memory_bytes=2 * 10**9)
    pipeline = default_pipeline(counter.task)
    with monkeypatch.context() as tight:
        tight.setattr(run, "_room_bytes", lambda _: 300_000)
        with pytest.raises(
            ImageError, match=r"a piece of touching objects goes on from row \d+ beyond .*watershed must"
        ):
            predict_large(member, picture, tmp_path / "out", options, pipeline=pipeline)
    assert all(
        path.name.endswith((".unfinished", ".journal")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    tiles = []
    if remedy == "more memory":
        options = LargeOptions(tile=48, memory_bytes=3 * 10**9)
    else:
        pipeline = Pipeline.parse("threshold,fill_holes,remove_small(area=10)")
    summary = predict_large(
        member, picture, tmp_path / "out", options, pipeline=pipeline, progress=lambda done, _: tiles.append(done)
    )
    assert (summary.is_complete, summary.is_resumed, tiles) == (True, True, [])
    whole = Predictor(counter, post=pipeline).predict(picture)
    np.testing.assert_array_equal(tifffile.imread(summary.places.labels), whole.labels)


def test_the_size_of_a_pixel_may_be_given(counter, picture, tmp_path):
    options = LargeOptions(tile=64, pixel_size_um=2.0)
    summary = predict_large(Member(counter, "cpu", 1, CENTRE), picture, tmp_path, options)
    with summary.places.objects.open() as file:
        assert all(float(row["area_um2"]) == 4 * int(row["area_px"]) for row in csv.DictReader(file))
    assert json.loads(summary.places.summary.read_text())["pixel_size_um"] == [2.0, 2.0]


def test_steps_for_the_whole_picture_are_refused_before_any_work(counter, picture, tmp_path):
    member = Member(counter, "cpu", 1, CENTRE)
    with pytest.raises(UsageError, match="largest on a picture that is predicted in parts"):
        predict_large(member, picture, tmp_path / "out", LargeOptions(tile=64), pipeline=Pipeline.parse("largest"))
    assert not (tmp_path / "out").exists()
