"""``pixelwise evaluate RUN [RUN...] [DATA] --protocol`` and ``predict --protocol --with``, on the bundled pictures."""

import csv
import json

import pytest
import torch

from pixelwise.data import samples
from pixelwise.training.session import train


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def fashion(tmp_path_factory):
    """The bundled pictures, and two small residual networks that were trained on them."""
    folder = tmp_path_factory.mktemp("fashion")
    samples.write_fashion(folder / "data", train=400, test=80)
    small = {"depths": "1,1", "widths": "8,16"}
    for seed, epochs in enumerate(("8", "2")):
        train(
            folder / "data", "resnet20_cifar", out=folder / str(seed), settings=small | {"epochs": epochs}, quiet=True,
            should_check=False,
        )  # fmt: skip
    return folder


def scores(outcome):
    assert outcome.code == 0, outcome.err
    content = json.loads(outcome.out)
    return content, {score["name"]: score["value"] for score in content["scores"]}


def test_ten_crops_of_the_bundled_pictures_from_end_to_end(pixelwise, fashion):
    run = fashion / "0"
    kept = (run / "scores.json").read_bytes()
    _, plain = scores(pixelwise("evaluate", run, "--json"))
    content, crops = scores(pixelwise("evaluate", run, "--protocol", "10-crop", "--json"))
    assert (content["protocol"], content["members"], content["num_images"]) == ("10-crop", [], 80)
    assert crops["top1"] > 0.3  # of ten classes
    assert crops["ece"] != plain["ece"]
    printed = pixelwise("evaluate", run, "--protocol", "dense:28,32+flip").out
    assert printed.startswith("Protocol: dense:28,32+flip\nScores on the test split")
    assert pixelwise("evaluate", run).out.startswith("Scores on the test split")
    assert (run / "scores.json").read_bytes() == kept


@pytest.mark.parametrize("protocol", ["flip", "144-crop", "150-crop", "multi-scale", "10-crop+dense+logits"])
def test_every_protocol_classifies_the_bundled_pictures(pixelwise, fashion, protocol):
    content, values = scores(pixelwise("evaluate", fashion / "0", "--protocol", protocol, "--json"))
    assert values["top1"] > 0.2
    assert content["protocol"] in (protocol, "corners+dense+flip+logits")


def test_several_runs_and_a_data_folder_behind_them(pixelwise, fashion):
    one, two, data = fashion / "0", fashion / "1", fashion / "data"
    content, values = scores(pixelwise("evaluate", one, two, "--json"))
    assert content["members"] == [str(one), str(two)]
    for arguments in ((one, two, data), (one, two / "model"), (one / "model", two, data, "--split", "test")):
        _, same = scores(pixelwise("evaluate", *arguments, "--json"))
        assert same["top1"] == values["top1"]
    done = pixelwise("evaluate", one, two, "--protocol", "flip")
    assert done.out.startswith("Protocol: flip; mean of 2 runs\nScores on the test split")


def test_folders_that_are_no_runs_are_told(pixelwise, fashion, tmp_path):
    one, data = fashion / "0", fashion / "data"
    between = pixelwise("evaluate", one, data, one)
    assert (between.code, between.err) == (
        2,
        f"pixelwise: {data} holds no run. Expected runs, and at most one data folder behind them. Check the order.\n",
    )
    missing = pixelwise("evaluate", one, tmp_path / "none")
    assert (missing.code, missing.err) == (
        2,
        f"pixelwise: {tmp_path}/none is not there. Expected a run or a data folder. Check the path.\n",
    )
    first = pixelwise("evaluate", data, one)
    assert first.code == 2
    assert f"{data} holds no model" in first.err
    twice = pixelwise("evaluate", one, one)
    assert twice.code == 2
    assert "stands twice" in twice.err
    unknown = pixelwise("evaluate", one, "--protocol", "11-crop")
    assert unknown.code == 2
    assert "Did you mean 10-crop" in unknown.err


def test_predicting_with_a_protocol_and_further_runs(pixelwise, fashion, tmp_path):
    pictures = sorted((fashion / "data" / "test").rglob("*.png"))[:5]

    def table(name, *options):
        done = pixelwise("predict", fashion / "0", *pictures, "--out", tmp_path / name, *options)
        assert done.code == 0, done.err
        with (tmp_path / name / "predictions.csv").open() as file:
            return done.out, [float(row["probability"]) for row in csv.DictReader(file)]

    said, plain = table("plain")
    assert "protocol" not in said
    said, crops = table("crops", "--protocol", "10-crop", "--with", fashion / "1")
    assert said.startswith("5 predicted, 0 failed; protocol 10-crop; 2 runs averaged. Results: ")
    assert len(plain) == len(crops) == 5
    assert plain != crops


def test_crops_of_masks_are_refused(pixelwise, trained, tmp_path):
    refused = pixelwise(
        "predict", trained / "masks", trained / "squares" / "images", "--out", tmp_path / "o", "--protocol", "10-crop"
    )
    assert refused.code == 2
    assert "such views answer for a picture, not for each of its pixels" in refused.err
    flipped = pixelwise(
        "predict", trained / "masks", trained / "squares" / "images", "--out", tmp_path / "o", "--protocol", "flip"
    )
    assert flipped.code == 0
    assert flipped.out.startswith("8 predicted, 0 failed; protocol flip. Results: ")
