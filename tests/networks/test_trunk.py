"""A classifier's own pass keeps no pyramid, and gives what the pyramid's last map gives."""

import weakref

import pytest
import torch
from torch import Tensor, nn

from pixelwise import catalogue
from pixelwise.errors import SpecError
from pixelwise.layers.trunk import last_map, run_trunk
from pixelwise.specs import Network

NETWORKS = {"resnet20_cifar": 32, "googlenet_paper_aux": 64, "nin_cifar": 32, "densenet_bc100_k12_cifar": 32}


def make(name: str) -> Network:
    torch.manual_seed(0)
    return catalogue.create(name, in_channels=3, num_classes=10).eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_last_map_is_the_pyramids_last_one(name: str) -> None:
    network, x = make(name), torch.randn(2, 3, NETWORKS[name], NETWORKS[name])
    with torch.no_grad():
        last = network.features(x)[-1]
        assert torch.equal(last_map(network, x), last)
        assert torch.equal(run_trunk(network, x)[-1], last)


def test_maps_of_earlier_stages_are_let_go_while_later_ones_are_made() -> None:
    network = make("resnet20_cifar")
    first: list[weakref.ref[Tensor]] = []
    is_alive = []

    def remember(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        first.append(weakref.ref(made))

    def look(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        is_alive.append(first[-1]() is not None)

    network.get_submodule("stage1").register_forward_hook(remember)
    network.get_submodule("stage3").register_forward_hook(look)
    with torch.no_grad():
        network(torch.randn(1, 3, 32, 32))
        network.features(torch.randn(1, 3, 32, 32))
    assert is_alive == [False, True]  # the second is the pyramid, which keeps it


def test_a_classifier_still_refuses_what_it_cannot_take() -> None:
    with pytest.raises(SpecError, match="a batch of shape"):
        last_map(make("resnet20_cifar"), torch.zeros(1, 1, 32, 32))
