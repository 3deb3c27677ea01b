"""What networks see, against published numbers and against the gradients of networks whose gradients cannot cancel."""

import pytest
import torch
from gradient_support import dense_pooling, positive, supports
from torch import Tensor, nn

from narrow_networks import narrow
from pixelwise import catalogue
from pixelwise.analysis.layers import meta_twin
from pixelwise.analysis.reach.axis import Reach
from pixelwise.analysis.reach.follow import follow
from pixelwise.analysis.receptive_field import receptive_field, stage_fields
from pixelwise.errors import SpecError
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
    assert not field.global_layers
    assert not field.uneven_layers


@pytest.mark.parametrize(
    ("name", "stage", "pixels", "stride"),
    [
        ("vgg16", "pool5", 212, 32),
        ("alexnet", "pool5", 195, 32),
        pytest.param("resnet50", "conv5_x", 427, 32, marks=pytest.mark.slow),
    ],
)
def test_known_receptive_fields(name: str, stage: str, pixels: int, stride: int) -> None:
    field = stage_fields(_network(name))[stage]
    assert (field.largest, field.stride) == ((pixels, pixels), (stride, stride))


def test_classifiers_name_the_layer_that_sees_the_whole_image() -> None:
    assert receptive_field(_network("resnet18")).global_layers == ("gap (adaptive_avg_pool2d)",)
    assert receptive_field(_network("mlp_784_300_10")).global_layers == ("fc1.0 (linear)",)


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (nn.InstanceNorm2d(1), "instance_norm"),
        (nn.GroupNorm(1, 1), "group_norm"),
        (nn.AdaptiveAvgPool2d(4), "adaptive_avg_pool2d"),
        (nn.Softmax(3), "softmax"),
    ],
)
def test_layers_over_the_whole_map_are_named(layer: nn.Module, named: str) -> None:
    whole = follow(nn.Sequential(nn.Conv2d(1, 1, 3), layer).to("meta"), 1, (20, 24)).findings.whole
    assert len(whole) == 1
    assert named in next(iter(whole))


def test_interpolation_to_another_grid_is_uneven() -> None:
    for layer, is_uneven in (
        (nn.Upsample(scale_factor=2, mode="bilinear"), False),
        (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), True),
        (nn.Upsample(size=50, mode="nearest"), True),
    ):
        assert bool(follow(layer, 1, (20, 20)).findings.uneven) == is_uneven


# At the border an interpolation reads a second place with the weight 0, through which a gradient of NaN passes.
_INTERPOLATING = ("fcn", "fcn_resnet", "deeplabv3", "unet_milesial_bilinear", "unet_backbone")
# A maximum's place goes with its value, so what is reached is less than what may be.
_UNPOOLING = ("enet", "segnet")
# Their heads see the whole image: what their last maps see is compared.
_POOLING_THE_WHOLE = ("deeplabv3", "pspnet")


def _check_support(network: Network, size: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare, at the ends, in the middle and at neighbouring phases, what is predicted with what gradients reach."""
    spec = network.spec
    of_pixels = spec.task == "segmentation" and spec.family not in _POOLING_THE_WHOLE

    def maps_of(one: Network, x: Tensor) -> list[Tensor]:
        return [one(x)] if of_pixels else one.features(x)

    class Wanted(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return maps_of(twin, x)

    twin = meta_twin(network).eval()
    reach = follow(Wanted(), network.in_channels, size).outputs[-1]
    assert isinstance(reach, Reach)
    x = torch.ones(1, network.in_channels, *size, dtype=torch.float64, requires_grad=True)
    with dense_pooling(monkeypatch):
        last = maps_of(positive(network), x)[-1]
    ends = () if spec.family in _INTERPOLATING or spec.name in _INTERPOLATING else ((0.0, 0), (1.0, 0))
    shares = (*ends, (0.4, 0), (0.5, 1), (0.5, 2), (0.5, 3))
    places = sorted({tuple(min(side - 1, round(share * (side - 1)) + shift) for side in last.shape[2:])
                     for share, shift in shares})  # fmt: skip
    for place, seen in zip(places, supports(last, x, places), strict=True):
        for number, axis in enumerate(reach.axes):
            others = tuple(dim for dim in range(len(size)) if dim != number)
            found = seen.numpy().any(axis=others).nonzero()[0]
            at = place[number] if axis.dim is not None else 0
            measured, predicted = (int(found.min()), int(found.max())), (int(axis.low[at]), int(axis.high[at]))
            if spec.family in _UNPOOLING:
                assert predicted[0] <= measured[0] <= measured[1] <= predicted[1]
            else:
                assert measured == predicted


@pytest.mark.parametrize("name", ["unet", "resnet of bottlenecks"])
def test_gradients_reach_what_is_predicted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _check_support(MEMBERS[name].spec.build(1, 2), (96, 230), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in catalogue.names() if catalogue.spec(name).family != "mlp"])
def test_gradients_reach_what_is_predicted_everywhere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every network, narrow and in double precision; images as long as is worth its while."""
    torch.manual_seed(0)
    network = narrow(name)
    spec = network.spec
    wanted = (40, 40, 72) if spec.dimensions == 3 else (96, 420)
    size = spec.fixed_size or network.input_size_for(*wanted)
    try:
        network.check_size(*size)
    except SpecError:
        assert spec.facts is None or spec.facts.input_size
        facts = catalogue.spec(name).facts
        assert facts is not None
        size = facts.input_size[1:]
    _check_support(network, size, monkeypatch)


def test_an_operation_without_a_rule_is_refused_by_name() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cumsum(x, dim=3)

    with pytest.raises(SpecError) as caught:
        follow(Odd(), 1, (16, 16))
    assert str(caught.value) == (
        "the receptive field cannot be followed through cumsum: no rule is known for it. "
        "Expected operations that pixelwise.analysis.reach knows, each with its rule. "
        "Add its rule to pixelwise/analysis/reach/table.py."
    )
