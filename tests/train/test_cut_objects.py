"""Objects that resize=crop cuts away: counted, warned of, refused, and not found in both scores."""

import numpy as np
import pytest
from PIL import Image

import pixelwise as pw
from pixelwise.errors import DataError
from pixelwise.evaluation.scores import Scores
from pixelwise.runs.folder import Run


def write_wide(folder, centred):
    """Pictures of 84 x 28 with an object at the left edge, or in the middle where ``centred`` says so."""
    folder.mkdir()
    lines = ["path,label,x_min,y_min,x_max,y_max,split"]
    for number, is_centred in enumerate(centred):
        left = 37 if is_centred else 0
        pixels = np.random.default_rng(number).integers(0, 30, (28, 84), np.uint8)
        pixels[9:19, left : left + 10] = 250
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,thing,{left},9,{left + 10},19,{('train', 'val', 'test', 'train')[number % 4]}")
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    return folder


SETTINGS = {"resize": "crop", "size": "28", "epochs": "1"}


def test_objects_that_are_cut_away_are_warned_of_and_count_as_not_found(tmp_path, capsys):
    data = write_wide(tmp_path / "data", [number % 8 != 2 for number in range(32)])  # every other test picture
    run = pw.train(data, "lenet5_relu", out=tmp_path / "run", settings=SETTINGS)
    warning = "Warning: resize=crop cuts away all of the object in 4 of 8 pictures of the test split; "
    said = capsys.readouterr().err
    assert warning + "--set resize=pad shows them." in said
    assert "train split" not in said
    scores = Scores.load(run.path / "scores.json")
    assert scores.notes == ("The model's resize=crop cuts away all of 4 of 8 objects: they count as not found.",)
    assert [score.name for score in scores.scores] == ["localisation_accuracy", "localisation_error", "box_iou"]
    assert scores.calibration == ()
    epoch = next(event for event in Run.open(run.path).journal if event["event"] == "epoch")
    assert sorted(epoch["val"]) == ["box_iou", "localisation_accuracy"]


def test_a_split_without_visible_objects_is_refused(tmp_path):
    data = write_wide(tmp_path / "data", [number % 4 != 1 for number in range(32)])  # no validation picture
    with pytest.raises(DataError) as caught:
        pw.train(data, "lenet5_relu", out=tmp_path / "run", settings=SETTINGS, quiet=True)
    assert str(caught.value) == (
        "resize=crop cuts away all of the object in 8 of 8 pictures of the val split. Expected objects that the "
        "network is shown. Use --set resize=pad or --set resize=stretch."
    )
