"""Networks and weights that cannot be, from the command line: exit code 2, one line that says why, nothing written."""

import pytest
import torch
from torch import nn

from pixelwise import catalogue

NET = "mlp_784_128_128_10"

NETWORKS = [
    (
        ("--net", "wrn_28_10_cifar", "--set", "depth=29"),
        "wrn_28_10_cifar: depth=29. Expected 10, 16, 22, 28 or another 6N + 4. Correct it.",
    ),
    (
        ("--net", "densenet121", "--set", "growth_rate=0"),
        "densenet121: depths=(6, 12, 24, 16), growth_rate=0, stem_width=64. Expected at least one block, all numbers "
        "positive. Correct them.",
    ),
    (
        ("--net", "densenet121", "--set", "grow_rate=12"),
        "neither the recipe nor densenet121 has a field 'grow_rate'. Did you mean growth_rate?",
    ),
    (
        ("--net", "alexnet_2012", "--set", "groups=1,2,1,5,2"),
        "alexnet_2012: 5 groups in conv4, widths=(96, 256, 384, 384, 256). Expected groups that divide the maps before "
        "and after them; one in conv1. Change groups or widths.",
    ),
    (
        ("--net", "convnext_tiny", "--set", "layer_scale=nan"),
        "convnext_tiny: layer_scale=nan. Expected more than 0, or none. Correct it.",
    ),
    (
        ("--net", "preresnet110_cifar", "--set", "order=pre"),
        "preresnet110_cifar: order='pre'. Expected one of original, bn_after_addition, relu_before_addition, "
        "relu_only, full. Correct the value.",
    ),
    (
        ("--net", "inception_v4", "--set", "size=74"),
        "inception_v4 cannot take images of 74 x 74 pixels. Expected at least 75 x 75. Enlarge the images, or choose a "
        "network for small images such as resnet20_cifar.",
    ),
]


def refused(done, folder):
    assert done.code == 2
    assert done.out == ""
    assert "Traceback" not in done.err
    assert not folder.exists()
    return done.err.splitlines()[-1].removeprefix("pixelwise: ")


@pytest.mark.parametrize(("arguments", "message"), NETWORKS, ids=lambda value: " ".join(value)[:45])
def test_networks_that_cannot_be(pixelwise, sides, tmp_path, arguments, message):
    done = pixelwise("train", sides, *arguments, "--out", tmp_path / "run")
    assert refused(done, tmp_path / "run") == message


def other_network(path):
    torch.save(catalogue.create("mlp_784_300_10", in_channels=1, num_classes=2).state_dict(), path)


def cut(path):
    torch.save(catalogue.create(NET, in_channels=1, num_classes=2).state_dict(), path)
    path.write_bytes(path.read_bytes()[:-1000])


def not_finite(path):
    state = catalogue.create(NET, in_channels=1, num_classes=2).state_dict()
    state["fc1.0.weight"][0, 5] = float("nan")
    torch.save(state, path)


FILES = [
    (other_network, "does not fit mlp_784_128_128_10: fc1.0.weight is (300, 784), not (128, 784); "),
    (cut, "is damaged: PytorchStreamReader failed reading zip archive"),
    (not_finite, "fc1.0.weight holds NaN or infinity. Expected finite weights."),
    (lambda path: torch.save(nn.Linear(2, 2), path), "holds pickled objects besides tensors, which are not loaded"),
    (lambda path: torch.save({}, path), "holds dict, no weights. Expected tensors by name."),
    (
        lambda path: path.write_text("see https://example.org\n"),
        "was not written by PyTorch. Expected a file of weights.",
    ),
]


@pytest.mark.parametrize(("write", "message"), FILES, ids=["other", "cut", "nan", "pickled", "empty", "text"])
def test_weights_that_cannot_be(pixelwise, sides, tmp_path, write, message):
    path = tmp_path / "w.pth"
    write(path)
    done = pixelwise("train", sides, "--net", NET, "--weights", path, "--out", tmp_path / "run")
    said = refused(done, tmp_path / "run")
    assert said.startswith(str(path))
    assert said.removeprefix(str(path)).removeprefix(":").lstrip().startswith(message)
