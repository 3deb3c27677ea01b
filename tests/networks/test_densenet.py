"""Densely connected networks: what each layer sees, training with less memory, evaluation in one place, refusals."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError
from pixelwise.networks.classification import densenet_blocks
from pixelwise.networks.classification.densenet import DenseNetSpec
from pixelwise.specs import Network
from pixelwise.weights import load_tensors

FORMS: dict[str, dict[str, object]] = {
    "plain": {"bottleneck": False, "compression": 1.0},
    "B": {"bottleneck": True, "compression": 1.0},
    "C": {"bottleneck": False, "compression": 0.5},
    "BC": {"bottleneck": True, "compression": 0.5},
}


def small(form: str = "BC", **columns: object) -> Network:
    """Three blocks of two layers, with statistics and gains that are no identities."""
    torch.manual_seed(0)
    shape = {"depths": (2, 2, 2), "growth_rate": 6, "stem_width": 5, **FORMS[form], **columns}
    network = catalogue.spec("densenet40_k12_cifar").replace(**shape).build(3, 4)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.running_var, layer.weight.data):
                assert tensor is not None
                tensor.uniform_(0.5, 1.5)
            for tensor in (layer.running_mean, layer.bias.data):
                assert tensor is not None
                tensor.normal_(std=0.3)
    return network


def by_the_paper(network: Network, x: Tensor, form: str) -> Tensor:
    """Sections 3 and 4 once more, in evaluation, from the tensors' names and with every concatenation written out."""
    state = network.state_dict()

    def norm_act(name: str, y: Tensor) -> Tensor:
        gain, shift, mean, variance = (
            state[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return ((y - mean) / (variance + 1e-5).sqrt() * gain + shift).clamp(min=0)

    def unit(name: str, y: Tensor) -> Tensor:
        weight = state[f"{name}.conv.weight"]
        return F.conv2d(norm_act(f"{name}.norm", y), weight, padding=weight.shape[-1] // 2)

    x = F.conv2d(x, state["conv0.conv.weight"], padding=1)
    for block in (1, 2, 3):
        for layer in (1, 2):
            y = x
            if "B" in form:
                y = unit(f"block{block}.layer{layer}.bottleneck", y)
            x = torch.cat([x, unit(f"block{block}.layer{layer}.composite", y)], 1)
        if block < 3:
            before = x.shape[1]
            x = F.avg_pool2d(unit(f"trans{block}.composite", x), 2)
            assert x.shape[1] == (before // 2 if "C" in form else before)
    return F.linear(norm_act("bnrelu.norm", x).mean((2, 3)), state["fc.weight"], state["fc.bias"])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("images", [1, 3])
def test_networks_are_those_of_the_paper(form: str, images: int) -> None:
    network = small(form).eval()
    x = torch.randn(images, 3, 10, 13)
    concatenated = network(x)
    torch.testing.assert_close(concatenated, by_the_paper(network, x, form), rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        in_one_place = network(x)
        channels_inside = network(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(in_one_place, concatenated, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(channels_inside, concatenated, rtol=1e-5, atol=1e-6)
    if images == 1:
        assert torch.equal(in_one_place, concatenated)


def test_evaluation_concatenates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    concatenate = torch.cat

    def counted(maps: list[Tensor], dim: int) -> Tensor:
        calls.append(len(maps))
        return concatenate(maps, dim)

    monkeypatch.setattr(densenet_blocks.torch, "cat", counted)
    network, x = small().eval(), torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        network(x)
    assert calls == []
    network(x)
    assert calls == [1, 2, 3] * 3
    with torch.no_grad():
        assert network(x[:0]).shape == (0, 4)


def test_features_are_the_blocks_maps_wherever_they_were_written() -> None:
    network, x = small().eval(), torch.randn(3, 3, 9, 8)
    with torch.no_grad():
        found = network.features(x)
    expected = network.features(x)
    assert [tuple(maps.shape[1:]) for maps in found] == [(17, 9, 8), (20, 4, 4), (22, 2, 2)]
    for one, other in zip(found, expected, strict=True):
        assert one.is_contiguous()
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    assert found[-1].min() == 0  # the last ones are normalised and rectified


def trained(network: Network, precision: torch.dtype) -> dict[str, Tensor]:
    """Loss, gradients and statistics after two steps, from the same draws."""
    torch.manual_seed(1)
    x, y = torch.randn(4, 3, 12, 12), torch.tensor([0, 1, 2, 3])
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    network.train()
    found = {}
    for step in range(2):
        with torch.autocast("cpu", precision, enabled=precision is not torch.float32):
            loss = F.cross_entropy(network(x).float(), y)
        optimiser.zero_grad()
        loss.backward()
        found[f"loss {step}"] = loss.detach()
        found |= {f"gradient {step} {name}": tensor.grad.clone() for name, tensor in network.named_parameters()}
        optimiser.step()
    return {**found, **network.state_dict()}


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=["float32", "bf16"])
@pytest.mark.parametrize("form", FORMS)
def test_memory_efficient_training_is_the_same_to_the_bit(form: str, precision: torch.dtype) -> None:
    usual = trained(small(form, dropout=0.2), precision)
    thrifty = trained(small(form, dropout=0.2, memory_efficient=True), precision)
    assert usual.keys() == thrifty.keys()
    assert thrifty["block1.layer1.composite.norm.num_batches_tracked"] == 2
    for name, tensor in usual.items():
        assert torch.equal(tensor, thrifty[name]), name


def test_statistics_stay_whatever_is_made_again() -> None:
    network = small(memory_efficient=True).train()
    loss = network(torch.randn(4, 3, 8, 8)).square().sum()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    loss.backward(retain_graph=True)
    first = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]
    loss.backward()
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, before[name]), name
    for parameter, once in zip(network.parameters(), first, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * once)


def kept_bytes(layers: int, *, memory_efficient: bool) -> int:
    """What autograd keeps of one block, without its parameters, counted on real tensors."""
    block = densenet_blocks.DenseBlock(8, layers, 4, bottleneck=True, dropout=0.0, memory_efficient=memory_efficient)
    own = {tensor.untyped_storage().data_ptr() for tensor in (*block.parameters(), *block.buffers())}
    x = torch.randn(2, 8, 16, 16, requires_grad=True)
    kept: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.ndim == 4:
            kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        block(x)
    return sum(tensor.untyped_storage().nbytes() for address, tensor in kept.items() if address not in own)


@pytest.mark.parametrize("layers", [4, 8])
def test_kept_maps_grow_with_the_depth_and_not_with_its_square(layers: int) -> None:
    pixels = 4 * 2 * 16 * 16
    inputs = sum(8 + 4 * layer for layer in range(layers))
    bottlenecks = layers * 2 * 16  # before and after their normalisation
    # Usually every layer's concatenated maps, before and after their normalisation; else the block's input and what
    # each layer adds, but for the last one, which no layer of the block sees.
    assert kept_bytes(layers, memory_efficient=False) == pixels * (2 * inputs + bottlenecks)
    assert kept_bytes(layers, memory_efficient=True) == pixels * (8 + 4 * (layers - 1) + bottlenecks)


def test_memory_of_a_training_step_falls_by_more_than_half() -> None:
    shape = (2, 3, 32, 32)
    spec = catalogue.spec("densenet_bc100_k12_cifar")
    with torch.device("meta"):
        usual, thrifty = (spec.replace(memory_efficient=flag).build(3, 10) for flag in (False, True))
    assert analysis.saved_activation_bytes(thrifty, shape) < 0.45 * analysis.saved_activation_bytes(usual, shape)
    assert usual.spec.facts is not None
    assert thrifty.spec.facts is None


@pytest.mark.parametrize(("form", "expected"), [("plain", 6 + 2), ("BC", 12 + 2)])
def test_dropout_follows_every_convolution_but_the_first(
    form: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = []
    drop = F.dropout

    def counted(x: Tensor, rate: float, training: bool) -> Tensor:
        rates.append(rate if training else 0)
        return drop(x, rate, training)

    monkeypatch.setattr(densenet_blocks.F, "dropout", counted)
    small(form, dropout=0.2).train()(torch.randn(2, 3, 8, 8))
    assert rates == [0.2] * expected


def test_convolutions_start_by_the_number_of_maps_that_go_out() -> None:
    torch.manual_seed(0)
    network = catalogue.create("densenet_bc100_k12_cifar", in_channels=3, num_classes=10)
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            expected = (2 / (layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels)) ** 0.5
            assert layer.bias is None
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.15), name
    assert network.get_submodule("fc").bias.abs().max() == 0


@pytest.mark.parametrize(("name", "first"), [("densenet40_k12_cifar", 16), ("densenet_bc100_k12_cifar", 24)])
def test_cifar_networks_start_with_16_or_2k_maps(name: str, first: int) -> None:
    with torch.device("meta"):
        network = catalogue.create(name, in_channels=3, num_classes=10)
    assert network.get_parameter("conv0.conv.weight").shape == (first, 3, 3, 3)
    assert catalogue.spec(f"{name}10") is catalogue.spec(f"{name}100") is catalogue.spec(name)


def test_published_errors_name_their_data_and_protocol() -> None:
    facts = catalogue.spec("densenet_bc100_k12_cifar").facts
    assert facts is not None
    found = {(result.dataset, result.protocol.split()[0]): result.value for result in facts.published}
    assert found == {
        ("CIFAR-10 test", "no"): 5.92,
        ("CIFAR-10 test", "flips"): 4.51,
        ("CIFAR-100 test", "no"): 24.15,
        ("CIFAR-100 test", "flips"): 22.27,
        ("SVHN test", "no"): 1.76,
    }


@pytest.mark.parametrize("form", ["plain", "BC"])
def test_answers_at_every_place_average_to_the_answer(form: str) -> None:
    network, x = small(form).eval(), torch.randn(2, 3, 12, 16)
    places = network.dense_logits(x)
    assert places.shape == (2, 4, 3, 4)
    torch.testing.assert_close(places.mean((2, 3)), network(x))


def test_older_names_in_published_files_are_read() -> None:
    """With a dot before the number, as torchvision's files of 2017 have them."""
    first, second = (catalogue.create("densenet121", in_channels=3, num_classes=2) for _ in range(2))
    theirs = {}
    for name, tensor in first.state_dict().items():
        parts = name.split(".")
        if parts[0] == "conv0":
            parts = ["features", f"{parts[1]}0", parts[2]]
        elif parts[0].startswith("block"):
            number = "1" if parts[2] == "bottleneck" else "2"
            layer = f"denselayer{parts[1].removeprefix('layer')}"
            parts = ["features", f"denseblock{parts[0][-1]}", layer, parts[3], number, parts[4]]
        elif parts[0].startswith("trans"):
            parts = ["features", f"transition{parts[0][-1]}", parts[2], parts[3]]
        elif parts[0] == "bnrelu":
            parts = ["features", "norm5", parts[2]]
        else:
            parts = ["classifier", parts[1]]
        if "num_batches" not in name:
            theirs[".".join(parts)] = tensor
    assert "features.denseblock4.denselayer16.norm.2.running_var" in theirs
    load_tensors(second, theirs, "densenet121.pth")
    ours = second.state_dict()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in first.state_dict().items())
    assert second.pretraining is not None
    assert second.pretraining.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(("name", "least"), [("densenet121", 32), ("densenet40_k12_cifar", 4)])
def test_too_small_images_are_refused(name: str, least: int) -> None:
    with torch.device("meta"):
        network = catalogue.create(name, in_channels=3, num_classes=2).eval()
    assert network(torch.empty(2, 3, least, least + 1, device="meta")).shape == (2, 2)
    with pytest.raises(SpecError) as caught:
        network(torch.empty(2, 3, 500, least - 1, device="meta"))
    assert str(caught.value) == (
        f"{name} cannot take images of 500 x {least - 1} pixels. Expected at least {least} x {least}. "
        "Enlarge the images, or choose a network for small images such as densenet_bc100_k12_cifar."
    )


def test_widths_follow_growth_and_compression() -> None:
    spec = DenseNetSpec(name="x", depths=(1, 2, 3), growth_rate=5, stem_width=8, compression=0.7)
    assert spec.kept_widths == (8, 9, 13)  # int(13 * 0.7), int(19 * 0.7)
    with torch.device("meta"):
        stages = spec.build(3, 2).stages
    assert [stage.channels for stage in stages] == [13, 19, 28]
    assert all(one.stride * 2 == other.stride for one, other in pairwise(stages))


NUMBERS = "Expected at least one block, all numbers positive. Correct them."
SHARES = "Expected a compression above 0 and up to 1, a dropout from 0 up to but not including 1. Correct them."


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"growth_rate": 0}, f"x: depths=(6, 12, 24, 16), growth_rate=0, stem_width=64. {NUMBERS}"),
        ({"depths": ()}, f"x: depths=(), growth_rate=32, stem_width=64. {NUMBERS}"),
        ({"depths": (3, 0)}, f"x: depths=(3, 0), growth_rate=32, stem_width=64. {NUMBERS}"),
        ({"stem_width": -1}, f"x: depths=(6, 12, 24, 16), growth_rate=32, stem_width=-1. {NUMBERS}"),
        ({"compression": 0}, f"x: compression=0.0, dropout=0.0. {SHARES}"),
        ({"compression": 1.5}, f"x: compression=1.5, dropout=0.0. {SHARES}"),
        ({"dropout": 1}, f"x: compression=0.5, dropout=1.0. {SHARES}"),
        (
            {"compression": 0.001},
            "x: compression=0.001 leaves no maps after a transition. Expected at least one map. "
            "Enlarge compression, growth_rate or stem_width.",
        ),
        ({"stem": "svhn"}, "x: stem='svhn'. Expected one of imagenet, cifar. Correct the value."),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        DenseNetSpec(name="x").replace(**columns)
    assert str(caught.value) == message
