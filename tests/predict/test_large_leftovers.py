"""What killed processes, other formats and earlier versions leave behind in the results of a large picture."""

import errno
import json

import numpy as np
import pytest
import tifffile

from large_pictures import PICTURE, contents, predict, stop_after
from pixelwise.data.regions.tiff_store import TiffStore
from pixelwise.data.regions.zarr_store import ZarrStore
from pixelwise.errors import OutputError, RunError, UsageError
from pixelwise.predict.large import LargeOptions, places
from pixelwise.predict.member import Member
from pixelwise.predict.protocols import CENTRE
from small_models import segmenter

pytestmark = pytest.mark.usefixtures("quick_and_fine")

OVERWRITE = LargeOptions(tile=64, overwrite=True)
STORES = {"tiff": TiffStore, "zarr": ZarrStore}


class Killed(BaseException):
    """Nobody catches it."""


@pytest.fixture
def other(member):
    return Member(segmenter(seed=1, classes=member.model.task.classes), "cpu", 1, CENTRE)


def as_before(out):
    """Let an unfinished prediction look as when each format of outputs had its own journal."""
    journal = out / "masks" / "big.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[0] = (json.dumps(json.loads(lines[0]) | {"format": 2}) + "\n").encode()
    journal.unlink()
    (out / "masks" / "big.tif.journal").write_bytes(b"".join(lines))


def test_results_that_were_about_to_be_replaced_are_not_gone_on_with(member, other, picture, tmp_path, monkeypatch):
    once = predict(member, picture, tmp_path / "once").places.mask.read_bytes()
    out = tmp_path / "out"
    mask = predict(other, picture, out).places.mask
    remove = places.remove

    def killed_at_the_mask(path):
        if path == mask:
            raise Killed
        remove(path)

    with monkeypatch.context() as patch:
        patch.setattr(places, "remove", killed_at_the_mask)
        with pytest.raises(Killed):
            predict(member, picture, out, OVERWRITE)
    assert mask.read_bytes() != once
    assert not (out / "summaries" / "big.json").exists()
    with pytest.raises(UsageError, match=r"big\.tif would be replaced"):
        predict(member, picture, out)
    assert not predict(member, picture, out, OVERWRITE, should_stop=stop_after(3)).is_complete
    assert predict(member, picture, out).is_resumed
    assert mask.read_bytes() == once


@pytest.mark.parametrize("fmt", ["tiff", "zarr"])
@pytest.mark.parametrize("nth", [1, 2])
def test_killed_before_its_outputs_were_begun_it_begins_them(member, picture, tmp_path, monkeypatch, fmt, nth):
    options = LargeOptions(tile=96, fmt=fmt, probabilities=True)
    begin, calls = STORES[fmt].begin, iter(range(1, 9))

    def killed(self):
        if next(calls) == nth:
            raise Killed
        begin(self)

    with monkeypatch.context() as patch:
        patch.setattr(STORES[fmt], "begin", killed)
        with pytest.raises(Killed):
            predict(member, picture, tmp_path, options)
    assert predict(member, picture, tmp_path, options).is_complete


def test_a_disk_that_is_full_from_the_start_is_gone_on_with(member, picture, tmp_path, monkeypatch):
    def full(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(TiffStore, "begin", full)
        with pytest.raises(OutputError, match="Free some space, or mend the place; the same command then goes on"):
            predict(member, picture, tmp_path)
    assert predict(member, picture, tmp_path).is_complete


@pytest.mark.parametrize("fmt", ["tiff", "zarr"])
def test_what_a_killed_process_had_begun_to_write_is_removed(member, picture, tmp_path, fmt):
    options = LargeOptions(tile=64, fmt=fmt)
    predict(member, picture, tmp_path / "once", options)
    out = tmp_path / "twice"
    mask = predict(member, picture, out, options, should_stop=stop_after(8)).places.mask
    rubbish = ["summaries/.pixelwise-tmp-71-big.json", "geojson/.pixelwise-tmp-71-big.geojson.unfinished"]
    rubbish += [f"masks/{mask.name}.unfinished/0/c/0/0.2e70.partial"] if fmt == "zarr" else []
    of_others = ["summaries/.pixelwise-tmp-71-a-big.json", "overlays/.pixelwise-tmp-72-big2.png.unfinished"]
    for name in (*rubbish, *of_others):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(b"half")
    assert predict(member, picture, out, options).is_complete
    assert contents(out).keys() == contents(tmp_path / "once").keys() | set(of_others)


def test_overwriting_replaces_results_of_every_kind_and_format(member, picture, tmp_path):
    out = tmp_path / "out"
    predict(member, picture, out, LargeOptions(tile=64, probabilities=True, outlines=("geojson", "coco")))
    (out / "objects").mkdir()
    (out / "objects" / "big.csv").write_bytes(b"of a model for instances")
    kept = out / "masks" / "bigger.tif"
    kept.write_bytes(b"of another picture")
    predict(member, picture, out, LargeOptions(tile=64, fmt="zarr", overwrite=True))
    found = {name.split("/0/c/")[0] for name in contents(out)}
    assert found == {
        "masks/big.zarr", "masks/big.zarr/zarr.json", "masks/big.zarr/0/zarr.json", "masks/bigger.tif",
        "overlays/big.png", "summaries/big.json",
    }  # fmt: skip


def test_one_process_at_a_time_whatever_the_format(member, picture, tmp_path):
    def meddle(done, _total):
        if done == 1:
            with pytest.raises(RunError, match=r"big\.journal is in use: another process predicts the same picture"):
                predict(member, picture, tmp_path, LargeOptions(tile=64, fmt="zarr"))

    assert predict(member, picture, tmp_path, LargeOptions(tile=96), progress=meddle).is_complete


def test_an_input_may_not_lie_where_any_result_would(member, tmp_path):
    picture = tmp_path / "masks" / "big.tif"
    picture.parent.mkdir()
    tifffile.imwrite(picture, PICTURE, tile=(32, 48))
    with pytest.raises(UsageError, match="lies where the results go"):
        predict(member, picture, tmp_path, LargeOptions(tile=64, fmt="zarr", overwrite=True))
    assert picture.exists()


def test_what_an_earlier_version_left_unfinished_is_gone_on_with(member, other, picture, tmp_path):
    once = predict(member, picture, tmp_path / "once").places.mask.read_bytes()
    out = tmp_path / "out"
    predict(member, picture, out, should_stop=stop_after(5))
    as_before(out)
    with pytest.raises(UsageError, match="which differs in the model, the version of pixelwise"):
        predict(other, picture, out)
    resumed = predict(member, picture, out)
    assert resumed.is_resumed
    assert resumed.places.mask.read_bytes() == once
    assert sorted(path.name for path in (out / "masks").iterdir()) == ["big.tif"]


def test_a_zarr_that_changed_anywhere_is_another_input(member, tmp_path):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(tmp_path / "big.zarr", shape=PICTURE.shape, chunks=(32, 48), dtype="uint8")
    array[:] = PICTURE
    out = tmp_path / "out"
    predict(member, tmp_path / "big.zarr", out, should_stop=stop_after(3))
    (tmp_path / "big.zarr").rename(tmp_path / "moved.zarr")
    moved = tmp_path / "big.zarr"
    (tmp_path / "moved.zarr").rename(moved)
    assert predict(member, moved, out, should_stop=stop_after(1)).is_resumed
    array[96:128, 48:96] = np.uint8(7)  # neither the first chunk, nor the middle one, nor the last
    with pytest.raises(UsageError, match="which differs in the input file"):
        predict(member, moved, out)
