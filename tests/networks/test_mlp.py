"""The fully connected baselines."""

import pytest
import torch

from pixelwise import catalogue
from pixelwise.errors import SpecError
from pixelwise.networks.classification.mlp import MLPSpec


def test_output_equals_the_matrix_products() -> None:
    torch.manual_seed(0)
    network = catalogue.create("mlp_784_300_100_10", in_channels=1, num_classes=10)
    x = torch.randn(3, 1, 28, 28)
    state = network.state_dict()
    y = x.reshape(3, 784)
    for layer in ("fc1.0", "fc2.0"):
        y = 1.7159 * torch.tanh(2 / 3 * (y @ state[f"{layer}.weight"].T + state[f"{layer}.bias"]))
    torch.testing.assert_close(network(x), y @ state["fc3.weight"].T + state["fc3.bias"])
    assert network.features(x) == []
    assert network.stages == ()


def test_other_image_sizes_are_refused_and_can_be_set() -> None:
    spec = catalogue.spec("mlp_784_300_10")
    with pytest.raises(SpecError) as caught:
        spec.build(1, 10)(torch.zeros(1, 1, 32, 28))
    assert str(caught.value) == (
        "mlp_784_300_10 cannot take images of 32 x 28 pixels. Expected 28 x 28. "
        "Resize the images, or set image_size=32,28 before building."
    )
    assert spec.replace(image_size=(32, 28)).build(3, 5)(torch.zeros(1, 3, 32, 28)).shape == (1, 5)


def test_no_hidden_layer_is_a_linear_classifier() -> None:
    network = MLPSpec(name="linear", hidden=()).build(1, 10)
    assert [name for name, _ in network.named_parameters()] == ["fc1.weight", "fc1.bias"]


def test_fields_without_sense_are_refused() -> None:
    with pytest.raises(SpecError) as caught:
        MLPSpec(name="x", hidden=(0,))
    assert str(caught.value) == "x: image_size=(28, 28), hidden=(0,). Expected positive numbers. Correct them."
