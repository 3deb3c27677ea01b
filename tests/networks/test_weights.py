"""Weights in, by name: what fits is loaded exactly, everything else is refused and leaves the network alone."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from foreign_names import as_akamaster
from pixelwise import catalogue
from pixelwise.errors import UsageError, WeightsError
from pixelwise.specs import Network
from pixelwise.storage.arrays import write_tensors
from pixelwise.weights import LAYOUTS, digest, load_tensors, load_weights, plan_weights


def cifar(num_classes: int = 10) -> Network:
    return catalogue.create("resnet20_cifar", in_channels=3, num_classes=num_classes)


def same(first: Network, second: Network) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".th"])
def test_own_names_round_trip(suffix: str, tmp_path: Path) -> None:
    first, path = cifar(), tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        write_tensors(path, first.state_dict(), {})
    else:
        torch.save(first.state_dict(), path)
    second = catalogue.create("resnet20_cifar", in_channels=3, num_classes=10, weights=str(path))
    assert same(first, second)


@pytest.mark.parametrize("wrapped", [True, False])
def test_the_layout_of_published_cifar_weights(wrapped: bool, tmp_path: Path) -> None:
    first, second = cifar(), cifar()
    state: dict[str, Any] = as_akamaster(first)
    assert "module.layer2.0.bn2.running_var" in state
    torch.save({"state_dict": state, "best_prec1": 91.7} if wrapped else state, tmp_path / "w.th")
    load_weights(second, tmp_path / "w.th")
    assert same(first, second)


def test_projections_of_torchvision_are_mapped() -> None:
    network = catalogue.create("resnet18", in_channels=3, num_classes=2)
    torchvision = LAYOUTS["resnet"][0]

    def rename(name: str) -> str:
        return torchvision.names(network, [name], "w")[name]

    assert rename("layer2.0.downsample.0.weight") == "conv3_x.0.shortcut.conv.weight"
    assert rename("layer4.1.bn2.running_mean") == "conv5_x.1.residual.1.norm.running_mean"
    assert rename("module.layer1.0.conv3.weight") == "conv2_x.0.residual.2.conv.weight"
    assert rename("layer2.0.downsample.1.bias") in network.state_dict()


def test_half_precision_is_widened(tmp_path: Path) -> None:
    first, second = cifar(), cifar()
    load_tensors(
        second, {name: t.half() if t.is_floating_point() else t for name, t in first.state_dict().items()}, "w"
    )
    assert second.get_parameter("fc.weight").dtype == torch.float32
    torch.testing.assert_close(
        second.get_parameter("fc.weight"), first.get_parameter("fc.weight"), atol=1e-3, rtol=1e-3
    )


def refused(network: Network, tensors: dict[str, Tensor]) -> str:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_tensors(network, tensors, "w.pth")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    return str(caught.value)


def test_another_number_of_classes_says_what_to_do() -> None:
    assert refused(cifar(), cifar(100).state_dict()) == (
        "w.pth holds weights for 100 classes. Expected 10, as the network has. "
        'Create resnet20_cifar with num_classes=100, or ask for a fresh head (--adapt head, in Python adapt=["head"]).'
    )


def test_another_network_is_refused_with_the_first_differences() -> None:
    message = refused(cifar(), catalogue.create("resnet32_cifar", in_channels=3, num_classes=10).state_dict())
    assert message.startswith(
        "w.pth does not fit resnet20_cifar: stage1.3.residual.0.conv.weight is not in the network; "
        "stage1.3.residual.0.norm.weight is not in the network; "
    )
    assert message.endswith(
        ", and 67 more. Expected the 116 tensors of resnet20_cifar for 3 channels. "
        "Create the network that the weights belong to."
    )


def test_missing_names_and_other_shapes_are_listed() -> None:
    state = dict(cifar().state_dict())
    del state["fc.bias"]
    state["conv1.conv.weight"] = torch.zeros(16, 1, 3, 3)
    assert refused(cifar(), state) == (
        "w.pth does not fit resnet20_cifar: conv1.conv.weight is (16, 1, 3, 3), not (16, 3, 3, 3); fc.bias is missing. "
        "Expected the 116 tensors of resnet20_cifar for 3 channels. Create the network that the weights belong to."
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused(bad: float) -> None:
    state = {name: tensor.clone() for name, tensor in cifar().state_dict().items()}
    state["stage2.0.residual.0.conv.weight"][3, 1, 0, 2] = bad
    assert refused(cifar(), state) == (
        "w.pth: stage2.0.residual.0.conv.weight holds NaN or infinity. Expected finite weights. "
        "Take an earlier checkpoint: the training that wrote this one had failed."
    )


def test_whole_and_complex_numbers_are_no_weights() -> None:
    state = dict(cifar().state_dict())
    state["fc.bias"] = state["fc.bias"].to(torch.complex64)
    assert "fc.bias holds complex64. Expected real floating-point weights." in refused(cifar(), state)
    state = {name: tensor.to(torch.int64) for name, tensor in cifar().state_dict().items()}
    assert refused(cifar(), state) == (
        "w.pth: conv1.conv.weight holds int64. Expected real floating-point weights. Save them as float32."
    )


# Adaptations


def test_a_fresh_head_is_the_networks_own_whether_the_classes_are_as_many_or_not() -> None:
    for classes, note in (
        (7, "Fresh weights for 7 instead of 10 classes: fc."),
        (10, "Fresh weights for 10 classes: fc."),
    ):
        first, second = cifar(), cifar(classes)
        drawn = {name: tensor.clone() for name, tensor in second.state_dict().items()}
        assert load_tensors(second, first.state_dict(), "w", adapt=["head"]) == (note,)
        theirs = first.state_dict()
        for name, tensor in second.state_dict().items():
            assert torch.equal(tensor, drawn[name] if name.startswith("fc.") else theirs[name]), name


@pytest.mark.parametrize("channels", [1, 4])
def test_an_adapted_first_layer_answers_a_picture_of_equal_channels_as_before(channels: int) -> None:
    first = cifar().eval()
    second = catalogue.create("resnet20_cifar", in_channels=channels, num_classes=10).eval()
    notes = load_tensors(second, first.state_dict(), "w", adapt="input")
    into = "1 channel" if channels == 1 else "4 channels"
    assert notes == (f"The first layer's filters were brought from 3 to {into}.",)
    grey = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        expected, found = first(grey.expand(-1, 3, -1, -1)), second(grey.expand(-1, channels, -1, -1))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_both_adaptations_go_together_and_forget_the_pictures_of_the_publisher() -> None:
    published = as_akamaster(cifar())
    same, other = cifar(4), catalogue.create("resnet20_cifar", in_channels=2, num_classes=4)
    assert len(load_tensors(same, published, "w", adapt=("head",))) == 1
    assert same.pretraining is not None
    assert same.pretraining.source == "akamaster/pytorch_resnet_cifar10"
    assert len(load_tensors(other, published, "w", adapt=("input", "head"))) == 2
    assert other.pretraining is None


def test_other_channels_say_what_to_do() -> None:
    network = catalogue.create("resnet20_cifar", in_channels=1, num_classes=10)
    assert refused(network, cifar().state_dict()) == (
        "w.pth holds weights for pictures of 3 channels. Expected 1, as the network has. Create resnet20_cifar with"
        ' in_channels=3, or have the first layer adapted (--adapt input, in Python adapt=["input"]).'
    )


def test_an_adaptation_bridges_nothing_else() -> None:
    state = dict(cifar().state_dict())
    del state["stage1.0.residual.0.norm.bias"]
    network = cifar(7)
    with pytest.raises(WeightsError) as caught:
        load_tensors(network, state, "w.pth", adapt=("head", "input"))
    assert str(caught.value).startswith("w.pth does not fit resnet20_cifar: stage1.0.residual.0.norm.bias is missing.")
    with pytest.raises(UsageError) as unknown:
        load_tensors(network, state, "w.pth", adapt=["heads"])
    assert str(unknown.value) == "adapt=heads. Expected head or input. Did you mean head?"


def test_channels_and_classes_that_both_differ_say_what_to_do() -> None:
    network = catalogue.create("resnet20_cifar", in_channels=1, num_classes=1)
    assert refused(network, cifar().state_dict()) == (
        "w.pth holds weights for pictures of 3 channels and for 10 classes. Expected 1 and 1, as the network has. "
        "Create resnet20_cifar with in_channels=3 and num_classes=10, or have both adapted (--adapt head,input, in "
        'Python adapt=["head", "input"]).'
    )
    with pytest.raises(WeightsError, match=r"holds weights for pictures of 3 channels\. Expected 1, as"):
        load_tensors(network, cifar().state_dict(), "w.pth", adapt="head")
    with pytest.raises(WeightsError, match=r"holds weights for 10 classes\. Expected 1, as"):
        load_tensors(network, cifar().state_dict(), "w.pth", adapt="input")


@pytest.mark.parametrize(
    ("tensor", "form"),
    [
        (torch.eye(3).to_sparse(), "sparse"),
        (torch.empty(3, device="meta"), "on the meta device"),
    ],
    ids=["sparse", "meta"],
)
def test_tensors_without_plain_values_are_refused(tensor: Tensor, form: str) -> None:
    assert refused(cifar(), {**cifar().state_dict(), "fc.bias": tensor}) == (
        f"w.pth: fc.bias is {form}. Expected plain tensors with values. Save them in that form."
    )


def test_two_names_for_one_tensor_are_refused() -> None:
    state = as_akamaster(cifar())
    state["linear.weight"] = state["module.linear.weight"]
    assert refused(cifar(), state) == (
        "w.pth: module.linear.weight and linear.weight are the same tensor, fc.weight. Expected each tensor once. "
        "Save the network's state_dict() once more, under its own names alone."
    )


def test_differences_show_the_names_that_the_file_has() -> None:
    state = as_akamaster(cifar())
    state["module.layer1.0.bn1.weight"] = torch.zeros(17)
    state["module.layer1.9.bn1.weight"] = torch.zeros(16)
    assert refused(cifar(), state).startswith(
        "w.pth does not fit resnet20_cifar: stage1.0.residual.0.norm.weight (module.layer1.0.bn1.weight in the file) is"
        " (17,), not (16,); stage1.9.residual.0.norm.weight (module.layer1.9.bn1.weight in the file) is not in the "
    )


def test_planning_needs_no_values_of_the_network_and_leaves_it_alone(tmp_path: Path) -> None:
    first, path = cifar(), tmp_path / "w.th"
    torch.save(as_akamaster(first), path)
    with torch.device("meta"):
        skeleton = catalogue.create("resnet20_cifar", in_channels=1, num_classes=4)
    planned = plan_weights(skeleton, path, adapt=["head", "input"])
    assert len(planned.notes) == 2
    assert planned.pretraining is None
    assert not any(name.startswith("fc.") for name in planned.tensors)
    assert all(tensor.is_meta for tensor in skeleton.state_dict().values())
    assert digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match=r"none\.th cannot be read: No such file or directory\. Check the path\."):
        digest(tmp_path / "none.th")
