"""What networks see, against published numbers and against the gradients of networks whose gradients cannot cancel."""

import pytest
import torch
from gradient_support import dense_pooling, positive, supports
from torch import Tensor, nn

from pixelwise import catalogue
from pixelwise.analysis.layers import meta_twin
from pixelwise.analysis.reach.axis import Reach
from pixelwise.analysis.reach.follow import follow
from pixelwise.analysis.receptive_field import receptive_field, stage_fields
from pixelwise.specs import Network
from shrunk import MEMBERS


def _network(name: str, **columns: object) -> Network:
    spec = catalogue.spec(name)
    assert spec.facts is not None
    with torch.device("meta"):
        return spec.replace(**columns).build(spec.facts.input_size[0], spec.facts.num_classes)


def test_the_unet_of_the_paper_sees_188_to_204_pixels() -> None:
    field = receptive_field(_network("unet"))
    assert (field.smallest, field.largest) == ((188, 188), (204, 204))
    assert (field.lattice, field.stride, field.offset) == ((16, 16), (1, 1), (92, 92))
    assert (field.before, field.after) == ((107, 107), (107, 107))
    assert field.phases[0][0] == (0, 187)  # the first place of 572 -> 388 sees the first 188 pixels
    assert field.is_local


@pytest.mark.parametrize(
    ("name", "stage", "pixels", "stride"),
    [("vgg16", "pool5", 212, 32), ("alexnet", "pool5", 195, 32), ("resnet50", "conv5_x", 427, 32)],
)
def test_known_receptive_fields(name: str, stage: str, pixels: int, stride: int) -> None:
    field = stage_fields(_network(name))[stage]
    assert (field.largest, field.stride) == ((pixels, pixels), (stride, stride))


def test_classifiers_name_the_layer_that_sees_the_whole_image() -> None:
    assert receptive_field(_network("resnet18")).global_layers == ("gap (adaptive_avg_pool2d)",)
    assert receptive_field(_network("mlp_784_300_10")).global_layers == ("fc1.0 (linear)",)


def _check_support(network: Network, size: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare, at corners, in the middle and at neighbouring phases, what is predicted with what gradients reach."""

    class Wanted(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return network_or_twin(x)

    spatial = len(size)
    twin = meta_twin(network).eval()
    is_map = network.spec.task == "segmentation"
    network_or_twin = (lambda x: [twin(x)]) if is_map else twin.features
    followed = follow(Wanted(), network.in_channels, size)
    x = torch.ones(1, network.in_channels, *size, dtype=torch.float64, requires_grad=True)
    with dense_pooling(monkeypatch):
        network = positive(network)
        maps = [network(x)] if is_map else network.features(x)
    reach, last = followed.outputs[-1], maps[-1]
    assert isinstance(reach, Reach)
    sides = last.shape[2:]
    places = {tuple(min(side - 1, round(share * (side - 1)) + shift) for side in sides)
              for share, shift in ((0.0, 0), (0.4, 0), (0.5, 1), (0.5, 2), (0.5, 3), (1.0, 0))}  # fmt: skip
    ordered = sorted(places)
    for place, seen in zip(ordered, supports(network, last, x, ordered), strict=True):
        for number, axis in enumerate(reach.axes):
            others = [dim for dim in range(spatial) if dim != number]
            found = seen.numpy().any(axis=tuple(others)).nonzero()[0]
            assert axis.dim == 2 + number
            measured = (int(found.min()), int(found.max()))
            assert measured == (axis.low[place[number]], axis.high[place[number]])


@pytest.mark.parametrize("name", ["unet", "resnet of bottlenecks"])
def test_gradients_reach_what_is_predicted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    member = MEMBERS[name]
    network = member.spec.build(1, 2)
    _check_support(network, (96, 230), monkeypatch)
