"""Large pictures: tile by tile the same labels as at once."""

import json

import numpy as np
import pytest
import tifffile
import torch

from large_pictures import PICTURE, SIZE, predict, stop_after
from pixelwise import catalogue
from pixelwise.data.images import read_image, read_stored
from pixelwise.data.metadata import Metadata, MetadataColumn
from pixelwise.data.regions import open_source
from pixelwise.errors import DataError, ImageError, UsageError
from pixelwise.predict.large import LargeOptions, run
from pixelwise.predict.large.blend import Blend
from pixelwise.predict.member import Member
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.protocols import CENTRE
from pixelwise.predict.tiling import TilePlan, predict_tiled, sample_deviation
from pixelwise.predict.tiling.cuts import Line
from pixelwise.runs.model import Model
from pixelwise.tasks import make_task
from small_models import classifier, preprocess, segmenter

RNG = np.random.default_rng(12)
pytestmark = pytest.mark.usefixtures("quick_and_fine")


@pytest.mark.parametrize("fmt", ["tiff", "zarr"])
def test_labels_and_probabilities_are_those_of_the_whole_picture(member, picture, whole, tmp_path, fmt):
    seen = []
    options = LargeOptions(tile=64, fmt=fmt, probabilities=True)
    summary = predict(
        member, picture, tmp_path / "out", options, progress=lambda done, total: seen.append((done, total))
    )
    assert summary.is_complete
    assert seen == [(k, len(summary.plan)) for k in range(1, len(summary.plan) + 1)]
    assert len(summary.plan) > 9
    everything = tuple((0, side) for side in SIZE)
    with open_source(summary.places.mask, stored=True) as labels:
        np.testing.assert_array_equal(labels.read(everything)[..., 0], whole.label_map)
    with open_source(summary.places.probabilities, stored=True) as shares:
        np.testing.assert_allclose(shares.read(everything).transpose(2, 0, 1), whole.probabilities, atol=2e-6)
    assert summary.areas_px == whole.areas_px
    written = json.loads(summary.places.summary.read_text())
    assert written["areas_px"] == whole.areas_px
    assert written["fractions"] == whole.fractions
    assert written["areas_um2"] == {name: 8.0 * area for name, area in whole.areas_px.items()}
    assert written["pixel_size_um"] == [4.0, 2.0]
    assert written["size_px"] == list(SIZE)
    assert written["tiles"]["equals_whole_picture"] is True
    assert written["files"]["mask"] == f"masks/big.{'tif' if fmt == 'tiff' else 'zarr'}"
    overlay = read_image(summary.places.overlay)
    assert overlay.shape[1] >= SIZE[1]
    assert not [path for path in (tmp_path / "out").rglob("*") if "unfinished" in path.name or "journal" in path.name]


def test_the_mask_holds_indices_that_other_readers_understand(member, picture, whole, tmp_path):
    places = predict(member, picture, tmp_path / "out").places
    np.testing.assert_array_equal(read_stored(places.mask)[1][..., 0], whole.label_map)
    with tifffile.TiffFile(places.mask) as file:
        assert file.is_bigtiff
        assert file.pages[0].is_tiled
        np.testing.assert_array_equal(file.asarray(), whole.label_map)


def test_other_inputs_are_converted_as_small_pictures_are(member, tmp_path):
    colour = np.repeat(PICTURE[..., None], 3, axis=2)
    np.save(tmp_path / "colour.npy", colour)
    summary = predict(member, tmp_path / "colour.npy", tmp_path / "out")
    assert summary.notes == ("converted from 3 to 1 channels",)
    expected = Predictor(member.model).predict(colour).label_map
    np.testing.assert_array_equal(read_stored(summary.places.mask)[1][..., 0], expected)


@pytest.mark.parametrize("steps", ["threshold(value=0.6)", "fill_holes,remove_small(area=9)"])
def test_steps_after_the_network_leave_what_they_leave_of_the_whole_picture(member, picture, tmp_path, steps):
    pipeline = Pipeline.parse(steps)
    whole = Predictor(member.model, post=pipeline).predict(PICTURE)
    plain = Predictor(member.model).predict(PICTURE)
    assert (whole.label_map != plain.label_map).any()
    for tiles in (6, 1000):
        summary = predict(member, picture, tmp_path / "out", pipeline=pipeline, should_stop=stop_after(tiles))
    assert summary.is_resumed
    np.testing.assert_array_equal(read_stored(summary.places.mask)[1][..., 0], whole.label_map)
    assert summary.areas_px == whole.areas_px
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir() if any(entry.iterdir())) == [
        "masks", "overlays", "summaries",
    ]  # fmt: skip
    with pytest.raises(
        UsageError, match=r"largest on a picture that is predicted in parts\. Expected steps that look at"
    ):
        predict(member, picture, tmp_path / "other", pipeline=Pipeline.parse("largest"))


def test_results_do_not_go_into_the_input(member, tmp_path):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(tmp_path / "a.zarr", shape=SIZE, chunks=(64, 64), dtype="uint8")
    array[:] = PICTURE
    with pytest.raises(UsageError) as fault:
        predict(member, tmp_path / "a.zarr", tmp_path / "a.zarr" / "out")
    assert str(fault.value) == (
        f"{tmp_path / 'a.zarr'} lies where the results go. Expected inputs from elsewhere. Choose another --out."
    )


def test_pictures_of_another_kind_are_refused_before_the_first_tile(member, tmp_path):
    np.save(tmp_path / "deep.npy", PICTURE.astype(np.uint16) * 257)
    with pytest.raises(ImageError, match=r"holds uint16 values up to 65278. Expected about 0 to 255, the range"):
        predict(member, tmp_path / "deep.npy", tmp_path / "out")
    np.save(tmp_path / "many.npy", np.zeros((*SIZE, 4), np.uint8))
    with pytest.raises(ImageError, match=r"many.npy has 4 channels. Expected 1 channel. Convert the picture"):
        predict(member, tmp_path / "many.npy", tmp_path / "out")
    bad = PICTURE.astype(np.float32)
    bad[149, 77] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    with pytest.raises(ImageError, match="holds 1 values that are NaN or infinite in rows "):
        predict(member, tmp_path / "bad.npy", tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.tif"))


def test_models_without_an_answer_for_each_pixel_of_each_tile_are_refused(picture, tmp_path):
    with pytest.raises(UsageError) as fault:
        predict(Member(classifier(), "cpu", 1, CENTRE), picture, tmp_path / "out")
    assert str(fault.value) == (
        "A large picture with a classification model. Expected a model that answers for every pixel. Make the picture "
        "smaller, or cut it into pictures."
    )
    resizing = segmenter()
    resizing.preprocess = preprocess(resize="stretch", size=(64, 96))
    with pytest.raises(UsageError) as fault:
        predict(Member(resizing, "cpu", 1, CENTRE), picture, tmp_path / "out")
    assert str(fault.value) == (
        "A large picture with a model that brings every picture to 64 x 96 pixels (stretch). Expected a model that "
        "looks at the pixels as they are. Make the picture smaller, or train a model without."
    )
    levelling = segmenter()
    levelling.preprocess = preprocess(statistics="picture")
    with pytest.raises(UsageError, match="A large picture with a model that levels each picture by its own mean and "):
        predict(Member(levelling, "cpu", 1, CENTRE), picture, tmp_path / "out")


def test_what_a_table_says_of_the_picture_reaches_every_tile(picture, tmp_path):
    columns = (MetadataColumn(name="age", mean=40.0, std=9.0), MetadataColumn(name="stain", values=("h", "p")))
    torch.manual_seed(5)
    spec = catalogue.spec("unet16").replace(widths=(4, 8), metadata=3)
    task = make_task("segmentation", ("background", "cell"))
    network = spec.build(1 + 3, task.num_outputs).eval()
    for parameter in network.film.parameters():
        torch.nn.init.normal_(parameter, std=2.0)
    model = Model(network, spec, task, preprocess(metadata=Metadata(columns=columns)))
    told, member = {"age": "61", "stain": "p"}, Member(model, "cpu", 1, CENTRE)
    wholes = [Predictor(model).predict(PICTURE, metadata=cells).label_map for cells in (told, told | {"age": "30"})]
    assert (wholes[0] != wholes[1]).any()
    summary = predict(member, picture, tmp_path / "out", cells=told)
    assert len(summary.plan) > 9
    np.testing.assert_array_equal(read_stored(summary.places.mask)[1][..., 0], wholes[0])
    with pytest.raises(DataError, match=r"Nothing is said of age, stain for .*big\.tif\. Expected"):
        predict(member, picture, tmp_path / "untold")
    predict(member, picture, tmp_path / "stopped", cells=told, should_stop=stop_after(3))
    with pytest.raises(UsageError, match=r"which differs in what is said of the picture \(--metadata\)\. Expected"):
        predict(member, picture, tmp_path / "stopped", cells=told | {"age": "30"})


def test_the_budget_is_remembered_where_none_is_given(member, picture, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "free_memory_bytes", lambda _: 3 * 10**9)
    options = LargeOptions(tile=64)
    first = predict(member, picture, tmp_path / "out", options, should_stop=stop_after(3))
    assert json.loads(first.places.journal.read_bytes().split(b"\n")[0])["memory_bytes"] == 1_500_000_000
    monkeypatch.setattr(run, "free_memory_bytes", lambda _: 10**6)  # others take more than before
    second = predict(member, picture, tmp_path / "out", options)
    assert second.is_resumed
    assert json.loads(second.places.summary.read_text())["begun"]["memory_bytes"] == 1_500_000_000
    monkeypatch.setattr(run, "free_memory_bytes", lambda _: 10**12)
    assert run.default_memory(member) == 4 * 10**9


def test_too_little_memory_and_too_small_tiles_say_what_works(member, picture, tmp_path):
    with pytest.raises(UsageError, match=r"is too little for one tile of unet16. Expected at least \d+ MB, for a tile"):
        predict(member, picture, tmp_path / "out", LargeOptions(memory_bytes=10**8))
    with pytest.raises(UsageError, match=r"tile=8 is smaller than what unet16 sees around a block of pixels. Expected"):
        predict(member, picture, tmp_path / "out", LargeOptions(tile=8))
    assert not (tmp_path / "out").exists()


def test_a_network_that_breaks_down_is_not_believed(picture, tmp_path):
    model = segmenter()
    with torch.no_grad():
        model.network.out.bias.fill_(float("nan"))
    broken = Member(model, "cpu", 1, CENTRE)
    with pytest.raises(ImageError, match=r"the network's answer holds NaN or infinity"):
        predict(broken, picture, tmp_path / "out")


@pytest.mark.slow
def test_what_blended_tiles_differ_by_is_measured_and_told(picture, tmp_path):
    torch.manual_seed(0)
    spec = catalogue.spec("tv_deeplabv3_resnet50").replace(backbone="resnet20_cifar")
    task = make_task("segmentation", ("a", "b", "c"))
    pooled = Member(Model(spec.build(1, 3).eval(), spec, task, preprocess(1)), "cpu", 1, CENTRE)
    summary = predict(pooled, picture, tmp_path / "out", LargeOptions(tile=160))
    assert not summary.plan.is_exact
    found = sample_deviation(pooled.model.network, pooled.forward_tile, PICTURE[..., None], summary.plan)
    assert found is not None
    assert found.largest > 0
    assert summary.notes[-1] == f"tiles are blended: {found.summary()}"
    written = json.loads(summary.places.summary.read_text())
    assert written["tiles"]["equals_whole_picture"] is False
    assert written["notes"] == list(summary.notes)


def test_blended_tiles_are_summed_region_by_region():
    size = (70, 95)
    lines = [
        Line(size=side, before=0, total=side, margin=0, start=0, lattice=1, phases=((-9, 9),), blend=6) for side in size
    ]
    plan = TilePlan(
        network="any", size=size, shape=(40, 45), tile_bytes=0, reasons=("a layer sees the whole picture",),
        cuts=tuple(line.cuts(length) for line, length in zip(lines, (40, 45), strict=True)),
    )  # fmt: skip
    image = RNG.random((*size, 2), np.float32)

    def forward(pixels):
        return (pixels - pixels.mean((0, 1))).transpose(2, 0, 1)

    expected = predict_tiled(forward, image, plan)
    found, seen = np.full((2, *size), np.nan, np.float32), np.zeros(size, int)
    blend = Blend(plan)
    for tile in plan:
        block = image[tuple(slice(*span) for span in tile.read)]
        for region, values in blend.add(tile, tile.kept(forward(tile.fill(block)))):
            place = tuple(slice(*span) for span in region)
            found[(slice(None), *place)] = values
            seen[place] += 1
    assert plan.grid[0] > 1
    assert plan.grid[1] > 2
    assert (seen == 1).all()
    np.testing.assert_allclose(found, expected, atol=1e-6)
