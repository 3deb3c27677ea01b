"""BN-Inception: its table, the misprint, both forms, the separable stem, sizes, published weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError
from pixelwise.layers.inception import scaling
from pixelwise.networks.classification.bn_inception import TABLE, BNInceptionSpec, HalvingPool, Module, Row
from pixelwise.specs import Network
from pixelwise.weights import load_tensors


def thin(name: str = "bn_inception", classes: int = 5, **columns: object) -> Network:
    torch.manual_seed(0)
    return catalogue.spec(name).replace(width=0.1, **columns).build(3, classes).eval()


def drawn(network: nn.Module) -> dict[str, Tensor]:
    """Draw every tensor of a network, so that nothing is neutral."""
    state = {}
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            state[name] = torch.rand_like(tensor) + 0.5 if "running_var" in name else torch.randn_like(tensor) / 3
        else:
            state[name] = tensor
    network.load_state_dict(state)
    return state


def test_the_printed_outputs_need_the_corrected_projections() -> None:
    """4c and 4d: 576 maps as printed with 96 projections, 608 with the printed 128; so 1024 or 1056 behind 4e."""
    for name, middle, last in (("bn_inception", 576, 1024), ("bn_inception_p128", 608, 1056)):
        with torch.device("meta"):
            network = catalogue.create(name, in_channels=3, num_classes=1000)
        shapes = analysis.stage_shapes(network, (3, 224, 224))
        assert [shapes[f"inception_{row.name}"][0] for row in TABLE] == [
            *(256, 320, 576, 576, 576, middle, middle, last, 1024, 1024)
        ]


def test_the_separable_stem_has_the_weights_that_googlenets_table_prints() -> None:
    """7x7 over 3 channels with 8 maps each, then 1x1 to 64: 1,176 + 1,536 weights, 34 million multiply-adds."""
    with torch.device("meta"):
        network = catalogue.create("bn_inception_sep", in_channels=3, num_classes=10)
    stem = network.get_submodule("conv1")
    assert [parameter.numel() for parameter in stem.parameters() if parameter.ndim > 1] == [1_176, 1_536]
    rows = {row.name: row for row in analysis.layer_table(network, (3, 224, 224)) if row.level == "stage"}
    assert rows["conv1"].macs == 2_712 * 112**2
    assert rows["conv1"].output_shape == (64, 112, 112)


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (8, 5), (1, 1), (2, 1)])
def test_pooling_halves_and_rounds_up(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    y = HalvingPool()(x)
    assert y.shape == (2, 3, -(-size[0] // 2), -(-size[1] // 2))
    start = [-1 if side % 2 else 0 for side in size]  # an odd side is padded on both sides, an even one behind
    for row in range(y.shape[2]):
        for column in range(y.shape[3]):
            top, left = start[0] + 2 * row, start[1] + 2 * column
            window = x[:, :, max(top, 0) : top + 3, max(left, 0) : left + 3]
            assert torch.equal(y[:, :, row, column], window.amax((2, 3)))


def test_the_mean_of_the_projection_is_the_projection_of_the_mean() -> None:
    torch.manual_seed(0)
    row = Row("x", 16, 16, 17, 18, 19, "average", 20)
    module = Module(6, row, "released", scaling(1)).eval()
    state, x = drawn(module), torch.randn(2, 6, 5, 7)
    y = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    y = F.conv2d(y, state["pool.conv.weight"])
    norm = [state[f"pool.norm.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
    y = F.relu(F.batch_norm(y, *norm, eps=1e-3))
    found = module(x)
    assert found.shape == (2, 16 + 17 + 19 + 20, 5, 7)
    torch.testing.assert_close(found[:, -20:], y)


def test_strided_modules_stride_in_their_last_convolutions() -> None:
    with torch.device("meta"):
        network = catalogue.create("bn_inception", in_channels=3, num_classes=10)
    for row in TABLE:
        module = network.get_submodule(f"inception_{row.name}")
        strided = [
            name for name, part in module.named_modules() if isinstance(part, nn.Conv2d) and part.stride == (2, 2)
        ]
        expected = ["3x3.1.conv", "double_3x3.2.conv"] if row.name in ("3c", "4e") else []
        assert strided == expected, row.name


def caffe(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """Compute the ported network from its tensors and the printed table, in blue, green, red."""

    def unit(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        y = F.conv2d(x, weight, state[f"{name}.bias"], stride=stride, padding=weight.shape[2] // 2)
        norm = [state[f"{name}_bn.{key}"].flatten() for key in ("running_mean", "running_var", "weight", "bias")]
        return F.relu(F.batch_norm(y, *norm, eps=1e-5))

    x = F.max_pool2d(unit("conv1_7x7_s2", x, 2), 3, 2, ceil_mode=True)
    x = unit("conv2_3x3", unit("conv2_3x3_reduce", x))
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    for name in ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        prefix, stride = f"inception_{name}", 2 if name in ("3c", "4e") else 1
        parts = [unit(f"{prefix}_1x1", x)] if stride == 1 else []
        parts.append(unit(f"{prefix}_3x3", unit(f"{prefix}_3x3_reduce", x), stride))
        double = unit(f"{prefix}_double_3x3_1", unit(f"{prefix}_double_3x3_reduce", x))
        parts.append(unit(f"{prefix}_double_3x3_2", double, stride))
        if stride == 2:
            parts.append(F.max_pool2d(x, 3, 2, ceil_mode=True))
        else:
            pooled = F.max_pool2d(x, 3, 1, 1) if name == "5b" else F.avg_pool2d(x, 3, 1, 1)
            parts.append(unit(f"{prefix}_pool_proj", pooled))
        x = torch.cat(parts, 1)
    return F.linear(x.mean((2, 3)), state["last_linear.weight"], state["last_linear.bias"])


def as_caffe(network: Network) -> dict[str, Tensor]:
    """Write the names of the ported weights, by substitutions of their own; vectors as (1, C), as in the first file."""
    parts = {
        "1x1.0": "1x1", "3x3.0": "3x3_reduce", "3x3.1": "3x3", "double_3x3.0": "double_3x3_reduce",
        "double_3x3.1": "double_3x3_1", "double_3x3.2": "double_3x3_2", "pool.1": "pool_proj",
    }  # fmt: skip
    stem = {"conv1": "conv1_7x7_s2", "conv2_reduce": "conv2_3x3_reduce", "conv2": "conv2_3x3", "fc": "last_linear"}
    state = {}
    for name, tensor in network.state_dict().items():
        *module, kind, entry = name.split(".")
        if entry == "num_batches_tracked":
            continue
        if name.startswith("fc"):
            state[f"last_linear.{entry}"] = tensor
            continue
        base = stem.get(module[0]) or f"{module[0]}_{parts['.'.join(module[1:])]}"
        value = tensor[None] if kind == "norm" else tensor
        state[base + ("_bn" if kind == "norm" else "") + f".{entry}"] = value.flip(1) if name == BGR else value
    return state


BGR = "conv1.conv.weight"


def test_ported_weights_give_the_ported_networks_answers() -> None:
    """The layout, the channels' order, the biases, the border of means: against a table-driven computation."""
    first, second = thin("bn_inception_p128"), thin("bn_inception_p128")
    drawn(first)
    state = as_caffe(first)
    assert load_tensors(second, state, "bn_inception-52deb4733.pth") == ()
    assert all(torch.equal(tensor, first.state_dict()[name]) for name, tensor in second.state_dict().items())
    made_for = second.pretraining
    assert made_for is not None
    picture = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    blue_green_red = 255 * picture.flip(1) - torch.tensor([104.0, 117.0, 128.0])[:, None, None]
    x = (picture - torch.tensor(made_for.mean)[:, None, None]) / torch.tensor(made_for.std)[:, None, None]
    torch.testing.assert_close(x.flip(1), blue_green_red, atol=1e-3, rtol=1e-5)
    with torch.no_grad():
        expected = caffe(state, blue_green_red / 64)
        torch.testing.assert_close(second(x / 64), expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


def test_networks_for_other_channels_keep_their_order() -> None:
    with torch.no_grad():
        first = catalogue.spec("bn_inception_p128").replace(width=0.1).build(1, 5)
        state = as_caffe(first)
        second = catalogue.spec("bn_inception_p128").replace(width=0.1).build(1, 5)
        load_tensors(second, state, "w")
    assert torch.equal(second.get_parameter(BGR), first.get_parameter(BGR))


@pytest.mark.parametrize("size", [(7, 7), (64, 96), (100, 75)])
def test_slid_over_a_picture_the_mean_of_the_answers_is_the_answer(size: tuple[int, int]) -> None:
    network, x = thin(), torch.randn(2, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(network.dense_logits(x).mean((2, 3)), network(x))


def test_the_smallest_image() -> None:
    network = thin()
    with pytest.raises(SpecError) as caught:
        network(torch.zeros(1, 3, 32, 6))
    assert str(caught.value) == (
        "bn_inception cannot take images of 32 x 6 pixels. Expected at least 7 x 7. Enlarge the images."
    )
    with pytest.raises(RuntimeError):
        nn.Sequential(*list(network.children())[:5])(torch.zeros(1, 3, 32, 6))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"width": -1.0}, "x: width=-1. Expected more than 0. Correct it."),
        ({"projection_4cd": 64}, "x: projection_4cd=64. Expected one of 96, 128. Correct the value."),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        BNInceptionSpec(name="x").replace(**columns)
    assert str(caught.value) == message
