"""``pixelwise nets NAME --receptive-field``."""

import json

from typer.testing import CliRunner

from pixelwise.cli.main import app


def test_what_a_network_sees_is_said() -> None:
    said = CliRunner().invoke(app, ["nets", "lenet5", "--receptive-field"])
    assert said.exit_code == 0
    assert said.output.splitlines()[-1] == "answer: sees 32 x 32 pixels; lattice 4 x 4"
    assert "S4: sees 16 x 16 pixels; every 4 x 4 pixels; lattice 4 x 4" in said.output
    content = json.loads(CliRunner().invoke(app, ["nets", "unet16", "--receptive-field", "--json"]).output)
    assert content["answer"]["lattice"] == [16, 16]
    assert content["answer"]["global_layers"] == []


def test_a_classifier_says_which_layer_sees_all() -> None:
    said = CliRunner().invoke(app, ["nets", "nin_cifar", "--receptive-field"])
    assert said.output.splitlines()[-1] == "answer: sees the whole image (gap (adaptive_avg_pool2d))"


def test_one_network_is_wanted() -> None:
    said = CliRunner().invoke(app, ["nets", "--receptive-field"])
    assert str(said.exception).startswith("--receptive-field without a network. Expected one network.")
