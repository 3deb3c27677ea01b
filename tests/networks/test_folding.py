"""The copy that predicts gives the network's own numbers, for every family, and leaves the network alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise import catalogue
from pixelwise.layers import packing
from pixelwise.layers.convolution import ConvNormAct
from pixelwise.layers.folding import ScaleShift, for_prediction, gain_and_shift, join
from pixelwise.layers.packing import PackedConv2d, PackedLinear, can_pack, operators_work
from pixelwise.specs import Network
from shrunk import MEMBERS

needs_fused_operators = pytest.mark.skipif(not operators_work(), reason="this PyTorch lacks oneDNN's fused operators")


def trained(network: nn.Module) -> None:
    """Give normalisations statistics, gains and shifts of a network that has been trained."""
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            for tensor, (low, high) in (
                (module.running_mean, (-0.5, 0.5)),
                (module.running_var, (0.5, 2.0)),
                (module.weight, (0.5, 1.5)),
                (module.bias, (-0.5, 0.5)),
            ):
                assert tensor is not None
                nn.init.uniform_(tensor, low, high)


def member(key: str, dtype: torch.dtype) -> tuple[Network, Tensor]:
    torch.manual_seed(0)
    network = MEMBERS[key].spec.build(3, 5).eval()
    trained(network)
    x = torch.randn(2, 3, *MEMBERS[key].size, dtype=dtype)
    layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    return network.to(dtype, memory_format=layout), x.contiguous(memory_format=layout)  # type: ignore[call-overload]


def kinds(network: nn.Module) -> set[type[nn.Module]]:
    return {type(module) for module in network.modules()}


@pytest.mark.parametrize("key", MEMBERS)
def test_the_copy_agrees_in_double_precision(key: str) -> None:
    network, x = member(key, torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(for_prediction(network)(x), network(x), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("key", MEMBERS)
def test_the_copy_agrees_in_single_precision_however_often_it_is_called(key: str) -> None:
    network, x = member(key, torch.float32)
    fast = for_prediction(network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.inference_mode():
        own = network(x)
        first, second, third = fast(x), fast(x), fast(x)  # weights are arranged at the second call
        assert (first - own).abs().max() <= 5e-6 * own.abs().max()
        assert torch.equal(first, second)
        assert torch.equal(second, third)
        plain = fast(x.contiguous())  # the other layout
        assert (plain - own).abs().max() <= 5e-6 * own.abs().max()
        assert torch.equal(network(x), own)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize("key", ["resnet", "densenet", "convnext", "googlenet"])
def test_the_copy_also_slides_and_gives_features(key: str) -> None:
    key = next(one for one in MEMBERS if MEMBERS[one].spec.family == key)
    network, x = member(key, torch.float32)
    fast = for_prediction(network)
    with torch.inference_mode():
        pairs = [
            *zip(fast.features(x), network.features(x), strict=True),
            (fast.dense_logits(x), network.dense_logits(x)),
        ]
        for found, own in pairs:
            assert (found - own).abs().max() <= 5e-6 * own.abs().max()


@needs_fused_operators
def test_what_the_copies_are_made_of() -> None:
    resnet = for_prediction(catalogue.create("resnet20_cifar", in_channels=3, num_classes=10))
    assert not kinds(resnet) & {nn.Conv2d, nn.BatchNorm2d, nn.ReLU}
    assert not resnet.training
    densenet = for_prediction(catalogue.create("densenet_bc100_k12_cifar", in_channels=3, num_classes=10))
    assert not kinds(densenet) & {nn.Conv2d, nn.BatchNorm2d, nn.ReLU}
    # block input and transitions are normalised by themselves; what follows a bottleneck's 1x1 goes into its weights
    assert sum(isinstance(module, ScaleShift) for module in densenet.modules()) == 16 * 3 + 2 + 1
    convnext = for_prediction(catalogue.spec("convnext_tiny").replace(depths=(1, 1), widths=(8, 16)).build(3, 10))
    assert sum(isinstance(module, PackedLinear) for module in convnext.modules()) == 4
    assert isinstance(convnext.get_submodule("fc"), nn.Linear)  # sees one row a picture


def test_parameters_that_are_not_folded_are_shared() -> None:
    network = catalogue.create("resnet20_cifar", in_channels=3, num_classes=10)
    assert for_prediction(network).get_parameter("fc.weight") is network.get_parameter("fc.weight")


def test_without_fused_operators_normalisation_is_folded_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixelwise.layers.folding.can_pack", lambda parameter: False)
    network, x = member("resnet20", torch.float32)
    fast = for_prediction(network)
    assert kinds(fast) >= {nn.Conv2d, nn.ReLU}
    assert nn.BatchNorm2d not in kinds(fast)
    with torch.inference_mode():
        assert (fast(x) - network(x)).abs().max() <= 5e-6 * network(x).abs().max()


def test_a_normalisation_is_taken_into_the_convolution_before_it() -> None:
    torch.manual_seed(0)
    for has_bias in (False, True):
        conv, norm = nn.Conv2d(4, 6, 3, groups=2, bias=has_bias).double(), nn.BatchNorm2d(6, eps=0.1).double().eval()
        trained(norm)
        x = torch.randn(2, 4, 7, 7, dtype=torch.float64)
        torch.testing.assert_close(join(conv, norm)(x), norm(conv(x)), rtol=1e-12, atol=1e-12)
    bare = nn.BatchNorm2d(6, affine=False).double().eval()
    trained_mean = torch.arange(6.0, dtype=torch.float64)
    assert bare.running_mean is not None
    bare.running_mean.copy_(trained_mean)
    gain, shift = gain_and_shift(bare)
    y = torch.randn(2, 6, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(y * gain[:, None, None] + shift[:, None, None], bare(y), rtol=1e-12, atol=1e-12)


def test_a_part_that_stands_in_several_places_ends_every_chain() -> None:
    torch.manual_seed(0)
    act, norm = nn.Tanh(), nn.BatchNorm2d(3)
    trained(norm)
    network = nn.Sequential(act, nn.Conv2d(3, 3, 1), act, norm).eval()
    x = torch.randn(2, 3, 5, 5)
    with torch.inference_mode():
        torch.testing.assert_close(for_prediction(network)(x), network(x))


def test_what_cannot_be_folded_stays() -> None:
    torch.manual_seed(0)
    seen: list[Tensor] = []
    hooked = ConvNormAct(3, 3, 1)
    hooked.get_submodule("conv").register_forward_hook(lambda module, given, made: seen.append(made))
    shared = nn.Conv2d(3, 3, 1)
    batchwise = nn.BatchNorm2d(3, track_running_stats=False)
    mirrored = nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")
    named = nn.Conv2d(3, 3, 3, padding="same")
    network = nn.Sequential(
        hooked, shared, nn.BatchNorm2d(3), shared, batchwise, mirrored, named, nn.ReLU(), nn.GELU(approximate="tanh")
    )
    trained(hooked)
    fast = for_prediction(network)
    assert type(fast.get_submodule("0.conv")) is nn.Conv2d
    assert type(fast.get_submodule("0.norm")) is ScaleShift  # no longer behind a convolution that could take it in
    assert fast.get_submodule("1") is fast.get_submodule("3")
    found = [type(part) for part in list(fast.children())[1:]]
    assert found == [nn.Conv2d, ScaleShift, nn.BatchNorm2d, nn.Conv2d, nn.Conv2d, nn.ReLU, nn.GELU]
    x = torch.randn(2, 3, 5, 5)
    with torch.inference_mode():
        torch.testing.assert_close(fast(x), network.eval()(x))
    assert len(seen) == 2


@needs_fused_operators
def test_packed_layers_do_what_theirs_do_for_every_layout_and_size() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, 3, stride=2, padding=(1, 0), dilation=2, groups=2)
    rectified, plain = PackedConv2d(conv, is_rectified=True), PackedConv2d(conv, is_rectified=False)
    wide = torch.randn(3, 8, 12, 9)
    layouts = (wide[:, :4], wide.contiguous(memory_format=torch.channels_last)[:, 2:6], wide[:1, :4], wide[:0, :4])
    with torch.inference_mode():
        for x in (*layouts, *layouts, torch.randn(2, 4, 30, 7), torch.randn(2, 4, 5, 5), torch.randn(2, 4, 5, 5)):
            torch.testing.assert_close(rectified(x), F.relu(conv(x)))
            torch.testing.assert_close(plain(x), conv(x))
        linear = nn.Linear(5, 7, bias=False)
        y = torch.randn(2, 3, 4, 5)
        torch.testing.assert_close(PackedLinear(linear, has_gelu=True)(y), F.gelu(linear(y)))
        torch.testing.assert_close(PackedLinear(linear, has_gelu=False)(y), linear(y))


def test_only_single_precision_on_processors_is_packed() -> None:
    assert can_pack(torch.zeros(1)) == operators_work()
    assert not can_pack(torch.zeros(1, dtype=torch.float64))
    assert not can_pack(torch.zeros(1, dtype=torch.bfloat16))
    assert not can_pack(torch.zeros(1, device="meta"))


@pytest.mark.parametrize("fault", [AttributeError, NotImplementedError, TypeError, None])
def test_a_pytorch_without_the_operators_or_with_other_ones_is_noticed(
    monkeypatch: pytest.MonkeyPatch, fault: type[Exception] | None
) -> None:
    def changed(self: PackedConv2d, x: Tensor) -> Tensor:
        if fault is not None:
            raise fault
        return torch.zeros(1, 3, 5, 5)

    monkeypatch.setattr(packing.PackedConv2d, "forward", changed)
    operators_work.cache_clear()
    try:
        assert not operators_work()
    finally:
        operators_work.cache_clear()
