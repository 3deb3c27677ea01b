"""Several labels and boxes from a folder to predictions and a report: LeNet learns both in seconds."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import pixelwise as pw
from pixelwise.cli.main import app
from pixelwise.data.manifest import build_manifest
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.samples.scenes import write_scattered, write_wardrobes
from pixelwise.errors import RunError, SpecError, UsageError
from pixelwise.evaluation.scores import Scores
from pixelwise.metrics import best_threshold
from pixelwise.predict.box_prediction import BoxPrediction
from pixelwise.predict.files import predict_files
from pixelwise.predict.set_prediction import SetPrediction
from pixelwise.runs.folder import Run
from pixelwise.runs.model import load_model, save_model
from pixelwise.training.identity import check_same_data


@pytest.fixture(scope="module")
def boxes(tmp_path_factory):
    """Data and run of a localisation: T-shirts and trousers somewhere on a canvas."""
    folder = tmp_path_factory.mktemp("boxes")
    data = write_scattered(folder / "data", train=200, test=60, num_classes=2, side_px=40)
    settings = {"epochs": "10", "image_size": "40,40"}
    return data, pw.train(data, "lenet5_relu", out=folder / "run", settings=settings, quiet=True, should_check=False)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Data and run of a multi-label classification: T-shirts and trousers, several in a picture."""
    folder = tmp_path_factory.mktemp("sets")
    data = write_wardrobes(folder / "data", train=240, test=80, num_classes=2)
    settings = {"epochs": "10"}
    return data, pw.train(data, "lenet5_relu", out=folder / "run", settings=settings, quiet=True, should_check=False)


def table_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def cli(*arguments):
    return app([str(argument) for argument in arguments], standalone_mode=False)


# --- localisation ---------------------------------------------------------------------------------------------------


def test_lenet_finds_trousers(boxes):
    scores = Scores.load(boxes[1].path / "scores.json")
    by_name = {score.name: score.value for score in scores.scores}
    assert list(by_name) == ["localisation_accuracy", "localisation_error", "top1", "box_iou", "ece"]
    assert by_name["localisation_accuracy"] > 0.8
    assert by_name["box_iou"] > 0.6
    assert by_name["localisation_error"] == pytest.approx(1 - by_name["localisation_accuracy"])
    assert scores["localisation_accuracy"].low <= scores["localisation_accuracy"].value
    assert list(scores.classes[0].values) == ["localisation_accuracy", "box_iou", "recall", "precision"]
    assert scores.confusion.sum() == scores.num_images == 60


def test_scores_of_boxes_are_those_of_the_predictions(boxes):
    """By hand, from what a user gets: predictions of the pictures, and the table."""
    data, run = boxes
    predictor = pw.load(run.path)
    found, overlaps = [], []
    rows = [row for row in table_of(data / "boxes.csv") if row["split"] == "test"]
    for row in rows:
        prediction = predictor.predict(data / row["path"])
        truth = [float(row[edge]) for edge in ("x_min", "y_min", "x_max", "y_max")]
        width = max(min(prediction.box[2], truth[2]) - max(prediction.box[0], truth[0]), 0)
        height = max(min(prediction.box[3], truth[3]) - max(prediction.box[1], truth[1]), 0)
        areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (prediction.box, truth)]
        overlaps.append(width * height / (sum(areas) - width * height))
        found.append(prediction.label == row["label"] and overlaps[-1] >= 0.5)
    scores = Scores.load(run.path / "scores.json")
    assert scores["box_iou"].value == pytest.approx(np.mean(overlaps), abs=1e-5)
    assert scores["localisation_accuracy"].value == pytest.approx(np.mean(found))


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
def test_boxes_come_back_in_pixels_of_any_picture(boxes, tmp_path, resize):
    """A picture twice as large, or padded, has its box where the object is, whatever the resize policy."""
    data, run = boxes
    model = load_model(run.path)
    fields = model.preprocess.to_json() | {"resize": resize, "size": [40, 40]}
    model.preprocess = Preprocess.from_json(fields)
    save_model(tmp_path / "model", model)
    predictor = pw.load(tmp_path / "model")
    path = sorted((data / "pictures").glob("test-*.png"))[0]
    small = np.asarray(Image.open(path))
    once = predictor.predict(small)
    twice = predictor.predict(small.repeat(2, axis=0).repeat(2, axis=1))
    assert (once.label, twice.label) == (once.label,) * 2
    np.testing.assert_allclose(twice.box, 2 * np.array(once.box), atol=0.5)
    if resize != "stretch":
        wide = np.concatenate([np.zeros((40, 20), np.uint8), small, np.zeros((40, 20), np.uint8)], axis=1)
        beside = predictor.predict(wide)
        if resize == "crop":  # the central square is what it saw before
            np.testing.assert_allclose(beside.box, np.add(once.box, (20, 0, 20, 0)), atol=0.01)
        assert 0 <= beside.box[0] <= beside.box[2] <= 80
        assert 0 <= beside.box[1] <= beside.box[3] <= 40


def test_predictions_of_boxes_as_files(boxes, tmp_path):
    data, run = boxes
    pictures = sorted((data / "pictures").glob("test-*.png"))[:3]
    summary = predict_files(pw.load(run.path), pictures, tmp_path / "out", overlays=True)
    rows = table_of(summary.table)
    assert summary.table.name == "predictions.csv"
    assert list(rows[0])[:7] == ["path", "frame", "label", "probability", "x_min", "y_min", "x_max"]
    one = pw.load(run.path).predict(pictures[0])
    assert isinstance(one, BoxPrediction)
    assert float(rows[0]["x_min"]) == pytest.approx(one.box[0], abs=0.01)
    assert float(rows[0][f"p({one.label})"]) == pytest.approx(one.probability, abs=1e-5)
    assert summary.totals[one.label] >= 1
    drawn = np.asarray(Image.open(tmp_path / "out" / "overlays" / f"{pictures[0].stem}.png"))
    assert (drawn[:280, :280] == (230, 159, 0)).all(-1).any() or (drawn[:280, :280] == (86, 180, 233)).all(-1).any()
    predict_files(pw.load(run.path), pictures, tmp_path / "lines", fmt="jsonl")
    line = json.loads((tmp_path / "lines" / "predictions.jsonl").read_text().splitlines()[0])
    assert line["box_px"] == pytest.approx(dict(zip(("x_min", "y_min", "x_max", "y_max"), one.box, strict=True)))
    with pytest.raises(UsageError, match=r"protocol 10-crop for localisation\. Expected centre\. Leave corners"):
        pw.load(run.path, protocol="10-crop")
    with pytest.raises(UsageError, match=r"protocol flip for localisation\. Expected centre\. Leave flip out"):
        pw.load(run.path, protocol="flip")


def test_an_ensemble_averages_boxes(boxes):
    data, run = boxes
    picture = sorted((data / "pictures").glob("test-*.png"))[0]
    model = load_model(run.path)
    other = load_model(run.path)
    with_noise = {name: tensor + 0.02 for name, tensor in other.network.state_dict().items()}
    other.network.load_state_dict(with_noise)
    from pixelwise.predict.predictor import Predictor

    apart = [Predictor(one).predict(picture) for one in (model, other)]
    together = Predictor(model, ensemble=[other]).predict(picture)
    np.testing.assert_allclose(together.box, np.mean([one.box for one in apart], 0), atol=1e-4)
    np.testing.assert_allclose(together.probabilities, np.mean([one.probabilities for one in apart], 0), atol=1e-6)


def test_another_folder_is_scored_by_the_names_of_its_classes(boxes, tmp_path):
    _, run = boxes
    other = write_scattered(tmp_path / "other", train=0, test=30, num_classes=2, side_px=40, seed=3)
    lines = (other / "boxes.csv").read_text().splitlines()
    (other / "boxes.csv").write_text("\n".join([lines[0], *(line for line in lines[1:] if "Trouser" in line)]))
    scores = pw.evaluate(run.path, other)
    assert scores.split == "test"
    assert [one.n for one in scores.classes] == [0, scores.num_images]
    assert scores.classes[0].values["localisation_accuracy"] is None


def test_the_report_shows_boxes(boxes):
    page = pw.report(boxes[1].path).read_text()
    assert "Class and box right" in page
    assert '<li><i style="--swatch: rgb(86, 180, 233)"></i>true box</li>' in page
    assert "overlap " in page
    assert page.count("data:image") == 18


def test_the_command_line_takes_boxes_from_masks(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for number in range(40):
        picture = rng.integers(0, 60, (28, 28), np.uint8)
        mask = np.zeros((28, 28), np.uint8)
        top, left = rng.integers(0, 14, 2)
        mask[top : top + 12, left : left + 10] = 255
        picture[mask > 0] += 150
        Image.fromarray(picture).save(tmp_path / "data" / "images" / f"{number}.png")
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"{number}.png")
    run = tmp_path / "run"
    cli("train", tmp_path / "data", "--task", "localisation", "--net", "lenet5_relu", "--set", "epochs=25",
        "--set", "loss=giou", "--out", run)  # fmt: skip
    assert "with a box of one of 1 class" in capsys.readouterr().err
    assert Run.open(run).config.num_classes == 5
    scores = Scores.load(run / "scores.json")
    assert "top1" not in [score.name for score in scores.scores], "of one class there is nothing to tell apart"
    assert scores["box_iou"].value > 0.5
    assert pw.evaluate(run, tmp_path / "data")["box_iou"].value == scores["box_iou"].value


def test_a_network_for_masks_is_refused(boxes):
    with pytest.raises(SpecError) as caught:
        pw.train(boxes[0], "unet16", quiet=True, should_check=False, out=boxes[0].parent / "no")
    assert str(caught.value) == (
        "unet16 is a network for segmentation, and the data hold one class and one box per picture. Expected a network "
        "for classification. `pixelwise nets` lists them."
    )


# --- several labels -------------------------------------------------------------------------------------------------


def test_lenet_tells_what_is_there(sets):
    scores = Scores.load(sets[1].path / "scores.json")
    by_name = {score.name: score.value for score in scores.scores}
    assert list(by_name) == ["map", "macro_f1", "macro_precision", "macro_recall", "exact_match"]
    assert by_name["map"] > 0.9
    assert by_name["macro_f1"] > 0.8
    assert list(scores.classes[0].values) == ["ap", "precision", "recall", "f1", "threshold"]
    assert scores.classes[0].intervals["threshold"] is None
    assert scores.confusion.shape == (0, 0)
    assert Scores.from_json(scores.to_json()).confusion.shape == (0, 0)
    headers, rows = scores.class_rows()
    assert headers[:2] == ["class", "images"]
    assert len(rows) == 2


def test_thresholds_come_from_the_validation_split(sets):
    """By hand: probabilities of the validation pictures, and the threshold with the best F1 of each class."""
    data, run = sets
    manifest = build_manifest(data, use_cache=False)
    held_out = manifest.indices("val")
    predictor = pw.load(run.path)
    probabilities = np.stack([predictor.predict(data / manifest[i].path).probabilities for i in held_out])
    truth = manifest.shows(held_out).toarray() > 0
    expected = [best_threshold(*column) for column in zip(probabilities.T, truth.T, strict=True)]
    stored = json.loads((run.path / "model" / "model.json").read_text())["task"]["thresholds"]
    assert stored == pytest.approx(expected, abs=1e-5)
    assert list(predictor.model.task.thresholds) == stored
    assert run.config.task["thresholds"] is None  # the run's own request stays what it was


def test_without_a_validation_split_the_thresholds_stay_one_half(tmp_path):
    data = write_wardrobes(tmp_path / "data", train=24, test=8, num_classes=2)
    table = (data / "labels.csv").read_text().replace(",val\n", ",train\n")
    (data / "labels.csv").write_text(table)
    options = pw.DataOptions(fractions=(1.0, 0.0, 0.0))
    run = pw.train(data, "lenet5_relu", out=tmp_path / "run", settings={"epochs": "1"}, options=options, quiet=True,
                   should_check=False)  # fmt: skip
    task = load_model(run.path).task
    assert (task.thresholds, task.cutoffs) == (None, (0.5, 0.5))


def test_predictions_of_sets_as_files(sets, tmp_path):
    data, run = sets
    pictures = sorted((data / "pictures").glob("test-*.png"))[:6]
    predictor = pw.load(run.path)
    summary = predict_files(predictor, pictures, tmp_path / "out")
    rows = table_of(summary.table)
    for picture, row in zip(pictures, rows, strict=True):
        prediction = predictor.predict(picture)
        assert isinstance(prediction, SetPrediction)
        shown = {name for name, p, t in zip(prediction.classes, prediction.probabilities, prediction.thresholds,
                                            strict=True) if p >= t}  # fmt: skip
        assert set(filter(None, row["labels"].split(";"))) == set(prediction.labels) == shown
        assert prediction.to_json()["labels"] == list(prediction.labels)
    assert summary.totals == {name: sum(name in row["labels"].split(";") for row in rows) for name in predictor.classes}
    with pytest.raises(UsageError, match="--overlays with a multilabel model"):
        predict_files(predictor, pictures, tmp_path / "no", overlays=True)
    assert predictor.probabilities(pictures[0]).shape == (2,)
    assert pw.load(run.path, protocol="10-crop").predict(pictures[0]).probabilities.shape == (2,)


def test_the_report_shows_sets(sets):
    page = pw.report(sets[1].path).read_text()
    assert "Mean average precision" in page
    assert 'id="confusion"' not in page
    assert "Threshold" in page


def test_balanced_weights_of_sets(sets, tmp_path):
    run = pw.train(sets[0], "lenet5_relu", out=tmp_path / "run", settings={"epochs": "1"}, class_weights="balanced",
                   quiet=True, should_check=False)  # fmt: skip
    manifest = run.manifest
    train = manifest.indices("train")
    counts = manifest.images_per_class(train)
    assert run.config.task["class_weights"] == pytest.approx(((len(train) - counts) / counts).tolist())


def test_an_evaluation_of_changed_labels_is_not_the_runs_own(sets, tmp_path):
    data, run = sets
    other = tmp_path / "other"
    (other / "pictures").mkdir(parents=True)
    for path in (data / "pictures").iterdir():
        (other / "pictures" / path.name).symlink_to(path)
    table = (data / "labels.csv").read_text()
    (other / "labels.csv").write_text(table)
    for path in (other / "pictures").iterdir():
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    assert pw.evaluate(run.path, other)["map"].value == Scores.load(run.path / "scores.json")["map"].value
    swapped = table.replace("Trouser", "?").replace("T-shirt", "Trouser").replace("?", "T-shirt")
    (other / "labels.csv").write_text(swapped)
    assert pw.evaluate(run.path, other, split="test")["map"].value < 0.9


def test_reports_without_their_pictures(boxes, sets, tmp_path):
    for data, run in (boxes, sets):
        (data / "pictures").rename(data / "away")
        try:
            page = pw.report(run.path, tmp_path / f"{data.parent.name}.html").read_text()
        finally:
            (data / "away").rename(data / "pictures")
        shown = "The boxes cannot be shown: " if data == boxes[0] else "The picture cannot be shown: "
        assert shown in page
        data.rename(data.with_name("gone"))
        try:
            page = pw.report(run.path, tmp_path / f"{data.parent.name}.html").read_text()
        finally:
            data.with_name("gone").rename(data)
        assert "The pictures are left out: the data folder" in page


def test_a_changed_box_is_a_changed_picture(tmp_path):
    data = write_scattered(tmp_path, train=8, test=2, num_classes=2)
    before = build_manifest(data, use_cache=False)
    lines = (data / "boxes.csv").read_text().splitlines()
    cells = lines[3].split(",")
    cells[4] = str(int(cells[4]) - 1)
    (data / "boxes.csv").write_text("\n".join([*lines[:3], ",".join(cells), *lines[4:]]))
    with pytest.raises(RunError, match=rf"1 changed \({cells[0]}\)"):
        check_same_data(before, build_manifest(data, use_cache=False), data)
