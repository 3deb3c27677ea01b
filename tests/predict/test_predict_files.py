"""Prediction of folders: what is written, what is left alone, what is said of pictures that fail."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from pixelwise.data.images import read_image
from pixelwise.data.masks import read_mask_raw
from pixelwise.errors import OutputError, UsageError
from pixelwise.predict.files import predict_files
from pixelwise.predict.palette import mask_palette
from pixelwise.predict.predictor import Predictor
from small_models import classifier, preprocess, segmenter

RNG = np.random.default_rng(3)


def save(path, size=(20, 24), channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (*size, channels), dtype=np.uint8)
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(path)
    return path


@pytest.fixture
def pictures(tmp_path):
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "b" / "c.png", (13, 31))
    save(tmp_path / "in" / "b" / "d.png", channels=3)
    return tmp_path / "in"


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_classification_as_csv(pictures, tmp_path):
    predictor = Predictor(classifier())
    done = []
    summary = predict_files(predictor, [pictures], tmp_path / "out", progress=lambda *state: done.append(state))
    assert files(tmp_path / "out") == ["predictions.csv"]
    table = rows(summary.table)
    assert list(table[0]) == ["path", "frame", "label", "probability", "p(cat)", "p(dog)", "p(owl)", "notes"]
    for row, name in zip(table, ("a.png", "b/c.png", "b/d.png"), strict=True):
        expected = predictor.predict(pictures / name)
        assert row["path"] == str(pictures / name)
        assert row["frame"] == ""
        assert row["label"] == expected.label
        assert float(row["probability"]) == pytest.approx(expected.probability, abs=1e-5)
        assert [float(row[f"p({c})"]) for c in ("cat", "dog", "owl")] == pytest.approx(
            expected.probabilities.tolist(), abs=1e-5
        )
    assert [row["notes"] for row in table] == ["", "", "converted from 3 to 1 channels"]
    assert summary.predicted == 3
    assert summary.failures == ()
    assert summary.exit_code == 0
    assert not summary.interrupted
    assert sum(summary.totals.values()) == 3
    assert summary.notes == {"converted from 3 to 1 channels": 1}
    assert summary.seconds > 0
    assert done == [(1, 3), (2, 3), (3, 3)]


def test_classification_as_json_lines(pictures, tmp_path):
    predictor = Predictor(classifier(classes=("the cat", 'a "dog", or two', "owl\n")))
    summary = predict_files(predictor, [pictures / "a.png"], tmp_path / "out", fmt="jsonl", probabilities=True)
    (line,) = summary.table.read_text().splitlines()
    row = json.loads(line)
    expected = predictor.predict(pictures / "a.png")
    assert row == {"path": str(pictures / "a.png"), "frame": None, **expected.to_json(), "notes": []}
    assert row["label"] == expected.label
    assert sum(row["probabilities"].values()) == pytest.approx(1)
    assert files(tmp_path / "out") == ["predictions.jsonl"]


def test_segmentation_writes_masks_in_the_size_of_the_picture(pictures, tmp_path):
    predictor = Predictor(segmenter())
    out = tmp_path / "out"
    summary = predict_files(predictor, [pictures], out)
    assert files(out) == ["areas.csv", "masks/a.png", "masks/b/c.png", "masks/b/d.png"]
    table = rows(out / "areas.csv")
    for row, name in zip(table, ("a.png", "b/c.png", "b/d.png"), strict=True):
        expected = predictor.predict(pictures / name)
        assert np.array_equal(read_mask_raw(out / row["mask"]), expected.label_map)
        assert (int(row["height_px"]), int(row["width_px"])) == expected.label_map.shape
        assert {c: int(row[f"area_px({c})"]) for c in predictor.classes} == expected.areas_px
        assert float(row["fraction(cell)"]) == pytest.approx(expected.fractions["cell"], abs=1e-6)
        with Image.open(out / row["mask"]) as mask:
            assert mask.mode == "P"
            assert mask.getpalette()[:6] == [
                value for colour in mask_palette(predictor.classes)[:2] for value in colour
            ]
    assert summary.totals["background"] + summary.totals["cell"] == 20 * 24 * 2 + 13 * 31


def test_overlays_probabilities_and_json_lines(pictures, tmp_path):
    predictor = Predictor(segmenter(classes=("sky", "road", "car")))
    out = tmp_path / "out"
    predict_files(predictor, [pictures / "b"], out, fmt="jsonl", overlays=True, probabilities=True)
    assert files(out) == [
        "areas.jsonl",
        "masks/c.png",
        "masks/d.png",
        "overlays/c.png",
        "overlays/d.png",
        "probabilities/c.tif",
        "probabilities/d.tif",
    ]
    expected = predictor.predict(pictures / "b" / "c.png", probabilities=True)
    stored = read_image(out / "probabilities" / "c.tif")
    assert stored.dtype == np.float32
    assert np.allclose(stored.transpose(2, 0, 1), expected.probabilities, atol=1e-6)
    with Image.open(out / "overlays" / "c.png") as drawn:
        assert drawn.mode == "RGB"
        assert drawn.width == 9 * 31  # enlarged until the legend can be read
        assert np.array_equal(np.asarray(drawn)[: 9 * 13 : 9, ::9], expected.overlay(pictures / "b" / "c.png"))
    row = json.loads((out / "areas.jsonl").read_text().splitlines()[0])
    assert row == {
        "path": str(pictures / "b" / "c.png"), "frame": None, "mask": "masks/c.png", **expected.to_json(), "notes": [],
    }  # fmt: skip


def test_pages_of_a_stack(tmp_path):
    pages = [Image.fromarray(RNG.integers(0, 256, (9, 8), dtype=np.uint8)) for _ in range(3)]
    pages[0].save(tmp_path / "s.tif", save_all=True, append_images=pages[1:])
    predict_files(Predictor(segmenter()), [tmp_path / "s.tif"], tmp_path / "out")
    assert files(tmp_path / "out") == ["areas.csv", "masks/s_0.png", "masks/s_1.png", "masks/s_2.png"]
    assert [row["frame"] for row in rows(tmp_path / "out" / "areas.csv")] == ["0", "1", "2"]


def test_bad_pictures_are_passed_over_and_reported(pictures, tmp_path):
    (pictures / "0_empty.png").write_bytes(b"")
    (pictures / "text.png").write_text("this is a text file")
    whole = (pictures / "a.png").read_bytes()
    (pictures / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.full((9, 9), 40_000, np.uint16)).save(pictures / "deep.png")
    (pictures / "link.png").symlink_to("nowhere.png")
    out = tmp_path / "out"
    summary = predict_files(Predictor(segmenter()), [pictures], out, overlays=True)
    assert summary.exit_code == 3
    assert summary.predicted == 3
    assert {name: message for name, message in summary.failures if "cut" not in name} == {
        f"{pictures}/link.png": "a link that leads nowhere",
        f"{pictures}/0_empty.png": f"{pictures}/0_empty.png is empty (0 bytes). Expected an image file. "
        "Restore it from its source, or leave it out.",
        f"{pictures}/text.png": f"{pictures}/text.png is a text file. Expected JPEG, PNG, TIFF, BMP or WebP (told by "
        "content, not by name). Convert it to PNG or TIFF, or leave it out.",
        f"{pictures}/deep.png": f"{pictures}/deep.png holds uint16 values up to 40000. Expected about 0 to 255, the "
        "range of the pictures that the model was trained on. Convert it to the bit depth of the training pictures.",
    }
    assert any("cut.png is damaged or truncated" in message for _, message in summary.failures)
    assert len(summary.failures) == 5
    assert files(out / "masks") == ["a.png", "b/c.png", "b/d.png"]
    assert len(rows(out / "areas.csv")) == 3


def test_when_all_fail_nothing_is_left(tmp_path):
    (tmp_path / "x.png").write_bytes(b"")
    summary = predict_files(Predictor(classifier()), [tmp_path / "x.png"], tmp_path / "out")
    assert (summary.predicted, summary.exit_code) == (0, 2)
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    predict_files(Predictor(classifier()), [tmp_path / "x.png"], tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


def test_nothing_is_replaced_unless_that_was_asked_for(pictures, tmp_path, monkeypatch):
    predictor, out = Predictor(segmenter()), tmp_path / "out"
    predict_files(predictor, [pictures], out)
    before = {name: (out / name).read_bytes() for name in files(out)}

    def refuse(*arguments, **keywords):
        raise AssertionError("work was done")

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "attempt_many", refuse)
        with pytest.raises(UsageError) as caught:
            predict_files(predictor, [pictures], out)
        assert str(caught.value) == (
            f"{out}/areas.csv and 3 more would be replaced. Expected a folder without results. "
            "Choose another --out, or allow it with --overwrite."
        )
        with pytest.raises(UsageError, match=r"masks/a\.png would be replaced\. Expected"):
            predict_files(predictor, [pictures / "a.png"], out, fmt="jsonl")
    assert {name: (out / name).read_bytes() for name in files(out)} == before
    other = Predictor(segmenter(seed=5))
    predict_files(other, [pictures], out, overwrite=True)
    assert files(out) == sorted(before)
    assert np.array_equal(read_mask_raw(out / "masks" / "a.png"), other.predict(pictures / "a.png").label_map)


def test_results_inside_the_input_folder_are_not_predicted_again(pictures):
    predictor = Predictor(segmenter())
    first = predict_files(predictor, [pictures], pictures / "out", overlays=True)
    second = predict_files(predictor, [pictures], pictures / "out", overlays=True, overwrite=True)
    assert first.predicted == second.predicted == 3


@pytest.mark.parametrize("earlier", ["out", "deep/er"])
def test_results_of_another_prediction_inside_the_input_folder_are_left_out(pictures, earlier):
    predictor = Predictor(segmenter())
    predict_files(predictor, [pictures], pictures / earlier, overlays=True)
    assert predict_files(predictor, [pictures], pictures / "second").predicted == 3
    assert predict_files(predictor, [pictures / earlier / "masks"], pictures.parent / "named").predicted == 3
    (pictures / earlier / "areas.csv").unlink()  # without a table they may be anybody's pictures
    assert predict_files(predictor, [pictures], pictures / "third").predicted == 9


def test_results_do_not_lie_among_the_pictures_or_in_a_run(pictures, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    for out, what in ((pictures, "is the folder of the pictures"), (tmp_path / "run", "is a run")):
        before = files(out)
        with pytest.raises(UsageError) as caught:
            predict_files(Predictor(segmenter()), [pictures], out, overwrite=True)
        assert str(caught.value).startswith(f"--out {out} {what}. Expected a folder for the results")
        assert files(out) == before


def test_an_input_is_never_replaced_by_its_own_result(tmp_path):
    path = save(tmp_path / "masks" / "a.png")
    (tmp_path / "a.png").symlink_to(path)
    for given in (path, tmp_path / "a.png"):
        with pytest.raises(UsageError) as caught:
            predict_files(Predictor(segmenter()), [given], tmp_path, overwrite=True)
        assert str(caught.value) == (
            f"{given} lies where the results go. Expected inputs from elsewhere. Choose another --out."
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fmt": "xml"}, "--format xml. Expected csv or jsonl. Known are: csv, jsonl."),
        (
            {"overlays": True},
            "--overlays with a classification model. Leave it out: classes have no place to be drawn.",
        ),
    ],
)
def test_options_that_make_no_sense(pictures, tmp_path, options, message):
    with pytest.raises(UsageError) as caught:
        predict_files(Predictor(classifier()), [pictures], tmp_path / "out", **options)
    assert str(caught.value) == message
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_is_a_file(pictures, tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputError, match="out could not be written: File exists"):
        predict_files(Predictor(classifier()), [pictures], tmp_path / "out")


def test_a_full_disk_stops_and_leaves_whole_files_only(pictures, tmp_path, monkeypatch):
    import pixelwise.predict.prediction as prediction_module

    real, calls = prediction_module.write_indexed_png, iter(range(100))

    def write(path, label_map, palette):
        if next(calls) == 1:
            with monkeypatch.context() as patch:

                def full(descriptor):
                    raise OSError(28, "No space left on device")

                patch.setattr("os.fsync", full)
                real(path, label_map, palette)
        real(path, label_map, palette)

    monkeypatch.setattr(prediction_module, "write_indexed_png", write)
    with pytest.raises(OutputError) as caught:
        predict_files(Predictor(segmenter()), [pictures], tmp_path / "out")
    assert str(caught.value) == (
        f"The disk is full: {tmp_path}/out/masks/b/c.png could not be written. "
        "Free some space; what was there before is unharmed."
    )
    assert caught.value.exit_code == 4
    assert files(tmp_path / "out") == ["masks/a.png"]


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_stop_is_honoured_between_pictures_and_keeps_what_is_done(pictures, tmp_path, done):
    asked = iter(range(100))
    summary = predict_files(
        Predictor(segmenter(), batch_size=1),
        [pictures],
        tmp_path / "out",
        should_stop=lambda: next(asked) >= done,
    )
    assert summary.interrupted
    assert summary.predicted == done
    assert summary.left_out == 3 - done
    assert summary.table.exists() == (done > 0)
    if done:
        assert len(rows(summary.table)) == done
        assert len(files(tmp_path / "out")) == done + 1


def test_a_crop_leaves_pixels_without_a_class(pictures, tmp_path):
    model = segmenter()
    model.preprocess = preprocess(resize="crop", size=(16, 16))
    predict_files(Predictor(model), [pictures / "b" / "c.png"], tmp_path / "out", overlays=True)
    label_map = read_mask_raw(tmp_path / "out" / "masks" / "c.png")
    assert label_map.shape == (13, 31)
    assert np.all(label_map[:, :8] == 255)
    assert np.all(label_map[:, 10:21] < 2)
