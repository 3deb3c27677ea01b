"""Strings from a folder to predictions: a chain over LeNet's windows learns to read in seconds."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

import pixelwise as pw
from pixelwise.cli.main import app
from pixelwise.data.manifest import build_manifest
from pixelwise.data.samples.strings import write_strings
from pixelwise.errors import DataError, SpecError
from pixelwise.evaluation.scores import Scores
from pixelwise.runs.model import load_model
from pixelwise.training.recipes.table import RECIPES
from pixelwise.training.settle import build_on_meta, check_strings, settle_recipe, sizes

SETTINGS = ["epochs=10", "learning_rate=0.003", "augment=none"]


def cli(*arguments):
    return app([str(argument) for argument in arguments], standalone_mode=False)


def table_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def strings(tmp_path_factory):
    """Data and run, by the command line."""
    folder = tmp_path_factory.mktemp("strings")
    data = write_strings(folder / "data", train=160, val=16, test=40, lengths=(2, 4), alphabet="017")
    options = [part for setting in SETTINGS for part in ("--set", setting)]
    before = torch.get_num_threads()
    cli("train", data, "--out", folder / "run", "--batch", "8", "--workers", "0", "--quiet", *options)
    torch.set_num_threads(before)
    return data, folder / "run"


def test_lenet_learns_to_read(strings):
    scores = Scores.load(strings[1] / "scores.json")
    by_name = {score.name: score.value for score in scores.scores}
    assert list(by_name) == [
        "exact_string",
        "exact_string_greedy",
        "character_error_rate",
        "character_error_rate_greedy",
    ]
    assert scores.metric == "exact_string"
    assert by_name["exact_string"] > 0.4
    assert by_name["character_error_rate"] < 0.25
    assert scores["exact_string"].low < scores["exact_string"].value
    assert [one.name for one in scores.classes] == ["0", "1", "7"]
    assert list(scores.classes[0].values) == ["recall", "precision", "f1"]
    assert scores.class_rows()[0][1] == "characters"
    assert scores.confusion.size == 0


def test_the_transitions_have_learned(strings):
    model = load_model(strings[1])
    assert model.spec.name == "lenet_crf"
    assert model.preprocess.resize == "pad"
    assert model.preprocess.size[0] == 28
    assert model.network.chain.scores.abs().max() > 0.02


def test_scores_are_those_of_the_predictions(strings):
    """By hand, from what a user gets: predictions of the pictures, and the table."""
    data, run = strings
    predictor = pw.load(run)
    rows = [row for row in table_of(data / "strings.csv") if row["split"] == "test"]
    found = [predictor.predict(data / row["path"]) for row in rows]
    scores = Scores.load(run / "scores.json")
    exact = np.mean([one.text == row["text"] for one, row in zip(found, rows, strict=True)])
    assert scores["exact_string"].value == pytest.approx(exact)
    in_truth = sum(row["text"].count("7") for row in rows)
    assert scores.classes[2].n == in_truth
    by_path = {sample.path: sample for sample in scores.samples}
    for one, row in zip(found, rows, strict=True):
        sample = by_path[row["path"]]
        assert (sample.truth, sample.prediction) == (row["text"], one.text)
        assert sample.probability == pytest.approx(one.probability, abs=1e-4)
        assert (sample.score == 1) == (one.text == row["text"])


def test_predict_evaluate_and_report_by_command(strings, tmp_path, capsys):
    data, run = strings
    cli("predict", run, data / "pictures" / "test-00000.png", data / "pictures" / "test-00001.png", "--out", tmp_path)
    rows = table_of(tmp_path / "predictions.csv")
    assert list(rows[0]) == ["path", "frame", "text", "probability", "notes"]
    predictor = pw.load(run)
    assert [row["text"] for row in rows] == [predictor.predict(row["path"]).text for row in rows]
    capsys.readouterr()
    cli("evaluate", run, "--split", "val", "--json")
    content = json.loads(capsys.readouterr().out)
    assert (content["task"], content["num_images"]) == ("sequence", 16)
    cli("report", run)
    page = (run / "report.html").read_text(encoding="utf-8")
    worst = min(Scores.load(run / "scores.json").samples, key=lambda sample: sample.score)
    assert worst.truth in page
    assert "Whole strings right, read greedily" in page
    assert page.count("data:image") >= 18


def test_other_folders_are_read_with_the_models_characters(strings, tmp_path):
    _, run = strings
    scores = pw.evaluate(run, data=write_strings(tmp_path, train=1, val=1, test=12, alphabet="7", seed=5))
    assert scores.num_images == 12
    assert [one.n > 0 for one in scores.classes] == [False, False, True]


def settled(folder, **changes):
    manifest = build_manifest(folder, use_cache=False)
    network = build_on_meta(pw.spec("lenet_crf"), 1, len(manifest.classes) + 1)
    recipe = settle_recipe(RECIPES["quick"]().override(changes), manifest, network, is_batch_open=True)
    return recipe, manifest, network


def lines(folder, *entries):
    rows = ["path,text,split"]
    for number, (height, width, text) in enumerate(entries):
        noise = np.random.default_rng(number).integers(0, 255, (height, width), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{text},train")
    (folder / "t.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_pictures_are_brought_to_the_height_and_the_widest_width(tmp_path):
    recipe, *_ = settled(lines(tmp_path, (56, 200, "12"), (28, 90, "3"), (14, 60, "4")))
    assert (recipe.resize, recipe.size, recipe.augment) == ("pad", (28, 120), "strings")
    recipe, *_ = settled(tmp_path, size="32,160")
    assert (recipe.resize, recipe.size) == ("pad", (32, 160))
    recipe, *_ = settled(tmp_path, resize="stretch")
    assert (recipe.resize, recipe.size) == ("stretch", (28, 120))


def test_pictures_of_one_size_that_fits_stay_as_they_are(tmp_path):
    recipe, *_ = settled(lines(tmp_path, (30, 90, "12"), (30, 90, "3")))
    assert (recipe.resize, recipe.size) == ("none", None)


def test_strings_that_need_more_windows_than_there_are_name_their_picture(tmp_path):
    recipe, manifest, network = settled(lines(tmp_path, (28, 40, "1234"), (28, 44, "12233")))
    assert recipe.size == (28, 44)
    with pytest.raises(DataError) as caught:
        check_strings(manifest, network, sizes(recipe, manifest, network))
    assert str(caught.value) == (
        "1.png: its text '12233' needs 7 windows, and pictures of 28 x 44 have 5. Expected a window for each "
        "character, and one more between equal neighbours. Widen the pictures with --set size=28,WIDTH, or correct the "
        "text."
    )
    wider, *_ = settled(tmp_path, size="28,52")
    check_strings(manifest, network, sizes(wider, manifest, network))


def test_networks_of_other_kinds_are_refused(strings):
    with pytest.raises(SpecError, match="lenet5_relu is a network for classification, and the data hold one line of"):
        pw.train(strings[0], "lenet5_relu", should_check=False, quiet=True)
