"""``pixelwise nets`` and ``pixelwise weights``: what is listed, in which order, and what is refused."""

import json

import pytest

from pixelwise import catalogue
from pixelwise.analysis import headline
from pixelwise.weights import published

SMALL_MLPS = ("mlp_784_300_10", "mlp_784_128_128_10")


def listed(pixelwise, *arguments):
    return json.loads(pixelwise("nets", *arguments, "--json").out)


def test_networks_as_list_as_json_and_one_by_one(pixelwise):
    shown = pixelwise("nets", "--task", "segmentation")
    assert shown.code == 0
    assert "unet16" in shown.out
    assert "resnet18" not in shown.out
    rows = listed(pixelwise)
    assert [row["name"] for row in rows] == list(catalogue.names())
    one = pixelwise("nets", "lenet5_relu")
    assert "61,706" in one.out
    assert json.loads(pixelwise("nets", "lenet5_relu", "--json").out)["name"] == "lenet5_relu"
    assert "| family" in pixelwise("nets", "--markdown").out.lower()
    assert pixelwise("nets", "lenet6").code == 2


def test_published_accuracy_stands_beside_its_protocol(pixelwise):
    (row,) = [row for row in listed(pixelwise, "--family", "resnet") if row["name"] == "resnet50_v1"]
    assert (row["top1"], row["top5"], row["protocol"], row["source"]) == (77.15, 93.29, "10-crop", "paper")
    assert "77.15" in pixelwise("nets", "--family", "resnet").out
    facts = catalogue.spec("lenet5_relu").facts
    assert facts is not None
    assert headline(facts) is None


def test_where_only_a_top_5_accuracy_was_published_it_stands_alone(pixelwise):
    facts = catalogue.spec("googlenet_paper").facts
    result = headline(facts)
    assert (result.top1, result.top5, result.protocol, result.source) == (None, 89.93, "1 crop", "paper")
    (row,) = (row for row in json.loads(pixelwise("nets", "--json").out) if row["name"] == "googlenet_paper")
    assert (row["top1"], row["top5"]) == (None, 89.93)
    names = [row["name"] for row in json.loads(pixelwise("nets", "--sort", "top1", "--json").out)]
    assert names.index("googlenet_paper") > names.index("googlenet")
    assert "89.93" in pixelwise("nets", "--family", "googlenet").out


@pytest.mark.parametrize(
    ("name", "top1"),
    [
        ("alexnet_2012", 59.3),
        ("nin_cifar", 91.19),
        ("densenet40_k12_cifar", 94.76),
        ("bn_inception", 74.8),
        ("resnet50", 76.13),
        ("resnet110_cifar", 93.57),
        ("wrn_16_4_cifar", 94.98),
    ],
)
def test_the_first_result_is_of_the_row_as_it_stands(name, top1):
    assert headline(catalogue.spec(name).facts).top1 == top1


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (("--year", "1998"), lambda row: row["year"] == 1998),
        (("--year", "-2014"), lambda row: row["year"] <= 2014),
        (("--year", "1999-"), lambda row: row["year"] >= 1999),
        (("--max-params", "1M"), lambda row: row["parameters"] <= 10**6),
        (("--max-macs", "0.5G"), lambda row: row["macs"] <= 5e8),
        (("--max-params", "0.25M", "--family", "mlp"), lambda row: row["name"] in SMALL_MLPS),
    ],
)  # fmt: skip
def test_filters_keep_exactly_what_fits(pixelwise, arguments, kept):
    everything = listed(pixelwise)
    rows = listed(pixelwise, *arguments)
    assert rows == [row for row in everything if kept(row)]
    assert 0 < len(rows) < len(everything)


@pytest.mark.parametrize("key", ["name", "year", "parameters", "macs", "top1", "top5"])
def test_order_and_rows_without_a_value_come_last(pixelwise, key):
    for arguments, backwards in (((), False), (("--descending",), True)):
        values = [row[key] for row in listed(pixelwise, "--sort", key, *arguments)]
        known = [value for value in values if value is not None]
        assert known == sorted(known, reverse=backwards)
        assert values[: len(known)] == known
    assert listed(pixelwise, "--descending") == listed(pixelwise)[::-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--year", "x"), "--year x. Expected a year, or two with a dash. For example --year 2012-2015."),
        (("--max-macs", "x"), "--max-macs x. Expected a number, perhaps with k, M or G. For example --max-macs 25M."),
        (("--year", "1900"), "no network fits. Expected at least one. Ask for less at once."),
    ],
)  # fmt: skip
def test_wrong_filters_are_said(pixelwise, arguments, message):
    done = pixelwise("nets", *arguments)
    assert (done.code, done.err) == (2, f"pixelwise: {message}\n")


def test_an_unknown_family_names_what_resembles_it(pixelwise):
    done = pixelwise("nets", "--family", "unett")
    assert done.code == 2
    assert "Did you mean unet" in done.err


def test_one_network_of_every_family_can_be_shown(pixelwise):
    families = {catalogue.spec(name).family: name for name in reversed(catalogue.names())}
    for name in families.values():
        assert pixelwise("nets", name).code == 0


def test_published_weights_are_listed(pixelwise):
    shown = pixelwise("weights", "resnet50")
    assert shown.code == 0
    assert "0676ba61" in shown.out
    assert "BSD-3-Clause" in shown.out
    rows = json.loads(pixelwise("weights", "--json").out)
    assert len(rows) == len(published.PUBLISHED)
    assert "convnext_xlarge" in pixelwise("weights").out
    assert [row["network"] for row in json.loads(pixelwise("weights", "resnet18_v1", "--json").out)] == ["resnet18"]
    none = pixelwise("weights", "lenet5")
    assert (none.code, none.err) == (
        2,
        "pixelwise: no published weights of lenet5 are known. Expected a network with published weights. "
        "`pixelwise weights` lists all of them.\n",
    )


def test_fetching_says_where_the_file_is_and_what_comes_next(pixelwise, tmp_path, monkeypatch):
    entry = published.choose("resnet18", None)

    def arrive(chosen, folder, progress):
        assert chosen == entry
        progress(1 << 20, 2 << 20)
        return folder / chosen.file_name

    monkeypatch.setattr("pixelwise.weights.download.download", arrive)
    done = pixelwise("weights", "resnet18", "--download", tmp_path)
    assert (done.code, done.out) == (
        0,
        f"{tmp_path}/resnet18-f37072fd.pth (torchvision V1, BSD-3-Clause)\n"
        f"next: pixelwise train DATA --net resnet18 --weights {tmp_path}/resnet18-f37072fd.pth\n",
    )
    assert pixelwise("weights", "resnet18", "--download", tmp_path, "--quiet").out == ""
    assert "Expected one. For example" in pixelwise("weights", "--download", tmp_path).err
