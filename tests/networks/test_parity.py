"""The same numbers as reference implementations, on weights and an input that a formula gives.

An entry ``key`` of a reference's state, with NumPy's legacy generator seeded by crc32(key): counters are zero; running
means and biases are 0.1 N(0, 1); running variances and vectors are uniform in 0.5..1.5; other weights are
N(0, 2 / prod(shape[1:])). The input is N(0, 1) from seed 0. The fixtures hold the references' logits, and the names
pass through the map that loads published weights.
"""

import json
import zlib
from math import prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pixelwise import analysis, catalogue
from pixelwise.errors import WeightsError
from pixelwise.specs import Spec
from pixelwise.weights import load_tensors, load_weights

FOLDER = Path(__file__).parents[1] / "fixtures" / "parity"
TOLERANCE = 1e-4


def formula(key: str, shape: list[int]) -> torch.Tensor:
    stream = np.random.RandomState(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if key.endswith(("running_mean", "bias")):
        values = 0.1 * stream.standard_normal(shape)
    elif key.endswith("running_var") or sum(side > 1 for side in shape) <= 1:
        values = stream.uniform(0.5, 1.5, shape)
    else:
        values = sqrt(2 / prod(shape[1:])) * stream.standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32))


CASES: dict[str, Spec] = {
    "torchvision-alexnet": catalogue.spec("alexnet"),
    "torchvision-vgg16": catalogue.spec("vgg16"),
    "torchvision-vgg19_bn": catalogue.spec("vgg19_bn"),
    "torchvision-googlenet": catalogue.spec("googlenet").replace(auxiliary=True),
    "torchvision-resnet18": catalogue.spec("resnet18"),
    "torchvision-resnet50": catalogue.spec("resnet50"),
    "torchvision-wide_resnet50_2": catalogue.spec("wide_resnet50_2"),
    "torchvision-inception_v3": catalogue.spec("inception_v3_aux"),
    "timm-inception_v4": catalogue.spec("inception_v4"),
    "timm-inception_resnet_v2": catalogue.spec("inception_resnet_v2"),
    "timm-resnetv2_50": catalogue.spec("resnetv2_50"),
    "torchvision-densenet121": catalogue.spec("densenet121"),
    "torchvision-densenet161": catalogue.spec("densenet161"),
    "torchvision-convnext_tiny": catalogue.spec("convnext_tiny"),
    "monai-vnet": catalogue.spec("vnet_monai"),
    "torchvision-fcn_resnet50": catalogue.spec("fcn_resnet50"),
    "torchvision-deeplabv3_resnet50": catalogue.spec("deeplabv3_resnet50"),
}
"""The network that is to agree with each reference."""
LARGE = {
    "torchvision-vgg16",
    "torchvision-vgg19_bn",
    "torchvision-wide_resnet50_2",
    "torchvision-alexnet",
    "monai-vnet",
    "timm-inception_v4",
    "timm-inception_resnet_v2",
    "torchvision-densenet161",
    "torchvision-fcn_resnet50",
}
"""Drawing their weights takes seconds each. tests/networks/test_vgg.py proves VGG on thin ones too; of the other
families smaller members, or networks of the same maps, are checked by default."""


def state_of(reference: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    fixture = json.loads((FOLDER / f"{reference}.json").read_text())
    return fixture, {key: formula(key, shape) for key, shape, _ in fixture["state"]}


def agree(found: torch.Tensor, expected: dict[str, Any]) -> None:
    found = found.double()
    assert list(found.shape) == expected["shape"]
    first = torch.tensor(expected["first"], dtype=torch.float64)
    assert (found.flatten()[:16] - first).abs().max() <= TOLERANCE * first.abs().max()
    assert found.mean().item() == pytest.approx(expected["mean"], rel=TOLERANCE)
    assert found.std().item() == pytest.approx(expected["std"], rel=TOLERANCE)
    assert found.norm().item() == pytest.approx(expected["l2"], rel=TOLERANCE)


@pytest.mark.parametrize(
    "reference", [pytest.param(case, marks=pytest.mark.slow) if case in LARGE else case for case in CASES]
)
def test_logits_equal_the_references(reference: str, tmp_path: Path) -> None:
    fixture, state = state_of(reference)
    file = tmp_path / "weights.pth"
    torch.save(state, file)
    network = CASES[reference].build(fixture["input"]["shape"][1], fixture["output"]["shape"][1]).eval()
    load_weights(network, file)
    assert analysis.count_parameters(network) == fixture["parameters"]
    x = torch.from_numpy(np.random.RandomState(0).standard_normal(fixture["input"]["shape"]).astype(np.float32))
    with torch.no_grad():
        logits, *auxiliary = network.training_logits(x) if "auxiliary" in fixture else (network(x),)
    agree(logits, fixture["output"])
    for found, expected in zip(auxiliary, fixture.get("auxiliary", {}).values(), strict=True):
        agree(found, expected)


def test_the_papers_form_has_the_same_tensors_and_other_numbers() -> None:
    """So that published files are refused by it, which names the row that they belong to."""
    _, state = state_of("torchvision-resnet50")
    x = torch.randn(1, 3, 64, 64)
    released, papers = (
        catalogue.create(name, in_channels=3, num_classes=1000).eval() for name in ("resnet50", "resnet50_v1")
    )
    load_tensors(released, state, "state")
    with pytest.raises(WeightsError) as caught:
        load_tensors(papers, state, "state")
    assert str(caught.value) == (
        "state holds weights of another network, as torchvision builds it: stride_in=3x3 instead of 1x1. "
        "Expected weights of resnet50_v1 as it is. Create resnet50, or set stride_in=3x3."
    )
    papers.load_state_dict(released.state_dict())
    with torch.no_grad():
        assert (released(x) - papers(x)).norm() > 0.01 * released(x).norm()


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "accuracy"), [(20, 91.73), (32, 92.63), (44, 93.10), (56, 93.39)])
def test_cifar10_published_error(depth: int, accuracy: float, data_folder: Path) -> None:
    """Published weights reach their published accuracy (akamaster/pytorch_resnet_cifar10) on the 10,000 test images."""
    files = sorted((data_folder / "weights" / "resnet_cifar10").glob(f"resnet{depth}-*.th"))
    batch = data_folder / "cifar10" / "cifar-10-batches-bin" / "test_batch.bin"
    if not files or not batch.is_file():
        pytest.skip(f"{data_folder} lacks weights/resnet_cifar10/resnet{depth}-*.th or {batch.name}")
    network = catalogue.create(f"resnet{depth}_cifar", in_channels=3, num_classes=10).eval()
    load_weights(network, files[0])
    rows = torch.from_numpy(np.fromfile(batch, np.uint8).reshape(10_000, 3073))
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    right = 0
    with torch.no_grad():
        for part in rows.split(500):
            images = part[:, 1:].reshape(-1, 3, 32, 32).float() / 255
            right += int((network((images - mean) / std).argmax(1) == part[:, 0]).sum())
    assert right / 100 == pytest.approx(accuracy, abs=0.05)
