"""Large pictures that are stopped, killed or disturbed: the same bytes in the end, nothing half-done under a name."""

import json
import math

import pytest
import tifffile

from large_pictures import PICTURE, SIZE, contents, predict, stop_after
from pixelwise.data.regions.sink import BlockSink
from pixelwise.errors import OutputError, RunError, UsageError
from pixelwise.predict.large import LargeOptions, places, run
from pixelwise.predict.large.journal import RunJournal
from pixelwise.predict.large.places import Places
from pixelwise.predict.member import Member
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.protocols import CENTRE
from small_models import segmenter

pytestmark = pytest.mark.usefixtures("quick_and_fine")


class Killed(BaseException):
    """Nobody catches it: what a SIGKILL leaves, as every byte goes to the file when it is written."""


STEPS = Pipeline.parse("remove_small(area=9)")
NAMED = {
    "among the names": ["masks/big.tif"],
    "at the end": ["geojson/big.geojson", "masks/big.tif", "overlays/big.png", "summaries/big.json"],
    "tidying": ["geojson/big.geojson", "masks/big.tif", "overlays/big.png", "summaries/big.json"],
}
"""What has its name when it is killed at a moment."""


def killed(function, is_moment):
    """Die after the first call."""

    def called(*arguments, **keywords):
        function(*arguments, **keywords)
        if is_moment:
            raise Killed

    return called


@pytest.mark.parametrize("fmt", ["tiff", "zarr"])
def test_a_prediction_that_was_stopped_ends_in_the_same_bytes(member, picture, tmp_path, fmt):
    options = LargeOptions(tile=64, fmt=fmt, probabilities=True)
    predict(member, picture, tmp_path / "once", options)
    for tiles in (0, 4, 7):
        summary = predict(member, picture, tmp_path / "twice", options, should_stop=stop_after(tiles))
        assert not summary.is_complete
        assert not summary.places.mask.exists()
        assert not summary.places.summary.exists()
    resumed = predict(member, picture, tmp_path / "twice", options)
    assert resumed.is_complete
    assert resumed.is_resumed
    once, twice = contents(tmp_path / "once"), contents(tmp_path / "twice")
    assert once.keys() == twice.keys()
    changing = "summaries/big.json"
    for name in once.keys() - {changing}:
        assert once[name] == twice[name], name
    first, second = (json.loads(files[changing]) for files in (once, twice))
    for key in ("seconds", "peak_memory_bytes"):
        del first[key], second[key]
    assert first == second


@pytest.mark.parametrize(
    "moment",
    [
        "before a note",
        "after a note",
        "in a note",
        "in a block",
        "before the names",
        "among the names",
        "at the end",
        "tidying",
    ],
)
def test_killed_anywhere_the_successor_ends_in_the_same_bytes(member, picture, tmp_path, monkeypatch, moment):
    options = LargeOptions(tile=64, outlines=("geojson",))
    predict(member, picture, tmp_path / "once", options, pipeline=STEPS)
    once = contents(tmp_path / "once")
    notes, blocks = iter(range(1000)), iter(range(1000))
    with monkeypatch.context() as patch:
        add, put = RunJournal.add, BlockSink._put

        def adding(self, entry):
            if next(notes) == 5 and moment.endswith("a note"):
                if moment == "after a note":
                    add(self, entry)
                if moment == "in a note":
                    with self.path.open("ab") as file:
                        file.write(b'{"tile":4,"ar')
                raise Killed
            add(self, entry)

        def putting(self, place, block):
            put(self, place, block)
            if next(blocks) == 5 and moment == "in a block":
                raise Killed

        patch.setattr(RunJournal, "add", adding)
        patch.setattr(BlockSink, "_put", putting)
        patch.setattr(run, "write_overlay", killed(run.write_overlay, moment == "before the names"))
        patch.setattr(places, "publish", killed(places.publish, moment == "among the names"))
        patch.setattr(run, "write_summary", killed(run.write_summary, moment == "at the end"))
        patch.setattr(Places, "tidy", killed(Places.tidy, moment == "tidying"))
        with pytest.raises(Killed):
            predict(member, picture, tmp_path / "twice", options, pipeline=STEPS)
    named = sorted(name for name in contents(tmp_path / "twice") if not name.endswith((".unfinished", ".journal")))
    assert named == NAMED.get(moment, [])
    summary = predict(member, picture, tmp_path / "twice", options, pipeline=STEPS)
    assert summary.is_resumed
    assert sum(summary.areas_px.values()) == math.prod(SIZE)
    twice = contents(tmp_path / "twice")
    assert once.keys() == twice.keys()
    for name in once.keys() - {"summaries/big.json"}:
        assert once[name] == twice[name], name


def test_an_unfinished_output_of_another_prediction_is_refused(member, picture, tmp_path):
    out = tmp_path / "out"
    predict(member, picture, out, should_stop=stop_after(3))
    came = f"{out / 'masks'} holds the unfinished output of another prediction, which differs in "
    remedy = (
        ". Expected the model, input and options that it was begun with. Give the same command again to go on with it, "
        "choose another --out, or begin anew with --overwrite."
    )
    other = Member(segmenter(seed=1, classes=member.model.task.classes), "cpu", 1, CENTRE)
    for attempt, difference in (
        (lambda: predict(member, picture, out, LargeOptions(tile=80)), "its tiles (--memory, --tile)"),
        (lambda: predict(other, picture, out), "the model"),
        (
            lambda: predict(member, picture, out, LargeOptions(tile=64, probabilities=True)),
            "the outputs (--large-format, --probabilities)",
        ),
        (
            lambda: predict(member, picture, out, pipeline=Pipeline.parse("threshold(value=0.7)")),
            "the steps after the network (--post)",
        ),
    ):
        with pytest.raises(UsageError) as fault:
            attempt()
        assert str(fault.value) == came + difference + remedy
    tifffile.imwrite(picture, PICTURE[::-1], tile=(32, 48))
    with pytest.raises(UsageError) as fault:
        predict(member, picture, out)
    assert str(fault.value) == came + "the input file" + remedy
    begun_anew = predict(member, picture, out, LargeOptions(tile=64, overwrite=True))
    assert begun_anew.is_complete
    assert not begun_anew.is_resumed


def test_results_are_replaced_only_when_asked_and_overwriting_goes_on_too(member, picture, tmp_path):
    out = tmp_path / "out"
    first = predict(member, picture, out).places
    with pytest.raises(UsageError) as fault:
        predict(member, picture, out)
    assert str(fault.value) == (
        f"{first.mask} and 2 more would be replaced. Expected a folder without results. Choose another --out, or allow "
        "it with --overwrite."
    )
    before = first.mask.read_bytes()
    again = LargeOptions(tile=64, overwrite=True)
    predict(member, picture, out, again, should_stop=stop_after(5))
    assert not first.mask.exists()
    resumed = predict(member, picture, out, again)
    assert resumed.is_resumed
    assert first.mask.read_bytes() == before


def test_one_process_at_a_time(member, picture, tmp_path):
    out = tmp_path / "out"
    journal = out / "masks" / "big.journal"

    def meddle(done, _total):
        if done == 1:
            with pytest.raises(RunError) as fault:
                predict(member, picture, out)
            assert str(fault.value) == (
                f"{journal} is in use: another process predicts the same picture. Expected one process for each "
                "picture. Wait until it ends, or choose another --out."
            )

    assert predict(member, picture, out, progress=meddle).is_complete


def test_what_an_earlier_process_left_is_checked(member, picture, tmp_path):
    for fmt, lost in (("tiff", "big.tif.unfinished"), ("zarr", "big.zarr.unfinished/0/c/0/0")):
        out, options = tmp_path / fmt, LargeOptions(tile=64, fmt=fmt)
        summary = predict(member, picture, out, options, should_stop=stop_after(8))
        place = out / "masks" / lost
        if fmt == "tiff":
            place.write_bytes(place.read_bytes()[:100])
        else:
            place.unlink()
        with pytest.raises(RunError) as fault:
            predict(member, picture, out, options)
        unfinished = summary.places.mask.with_name(summary.places.mask.name + ".unfinished")
        assert str(fault.value) == (
            f"{unfinished} is not as it was left: it lacks blocks that were written. Expected the unfinished output of "
            f"a prediction that was stopped. Remove {summary.places.journal} to begin anew."
        )
        journal = summary.places.journal
        lines = journal.read_bytes().split(b"\n")
        journal.write_bytes(b"\n".join([lines[0], b"{}{", *lines[2:]]))
        with pytest.raises(RunError) as fault:
            predict(member, picture, out, options)
        assert str(fault.value) == (
            f"{journal} is damaged. Expected the notes of a prediction that was stopped. Remove {journal} to begin "
            "anew."
        )
        journal.unlink()
        assert predict(member, picture, out, options).is_complete


def test_a_full_disk_keeps_what_was_done(member, picture, tmp_path, monkeypatch):
    once = predict(member, picture, tmp_path / "once").places.mask.read_bytes()
    with monkeypatch.context() as patch:
        from pixelwise.data.regions.tiff_store import TiffStore

        write, count = TiffStore._write, iter(range(1000))

        def full(self, position, content):
            if next(count) == 7:
                raise OSError(28, "No space left on device")
            write(self, position, content)

        patch.setattr(TiffStore, "_write", full)
        with pytest.raises(OutputError) as fault:
            predict(member, picture, tmp_path / "out")
    mask = tmp_path / "out" / "masks" / "big.tif"
    assert str(fault.value) == (
        f"The disk is full: {mask} could not be written. Free some space, or mend the place; the same command then "
        "goes on."
    )
    assert not mask.exists()
    assert predict(member, picture, tmp_path / "out").places.mask.read_bytes() == once
