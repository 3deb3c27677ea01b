"""V-Net: the paper's receptive fields, its residual stages by hand, and volumes of every size."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise import catalogue
from pixelwise.errors import SpecError
from pixelwise.networks.segmentation.vnet import ResidualStage, VNetSpec
from pixelwise.specs import Network

PRINTED = (5, 22, 72, 172, 372, 476, 528, 546, 551)
"""Table 1's receptive fields, left stages and then right ones."""
SMALL = {"widths": (2, 3, 4, 5, 6)}


def small(name: str = "vnet", channels: int = 1) -> Network:
    torch.manual_seed(0)
    return catalogue.spec(name).replace(**SMALL).build(channels, 2).eval()


def fields(spec: VNetSpec) -> list[int]:
    """Receptive fields by arithmetic: a kernel of k adds (k - 1) times the pixels between its taps."""
    field, step, found = 1, 1, []
    for level, depth in enumerate(spec.depths):
        if level:
            field, step = field + step, 2 * step
        field += 4 * step * depth
        found.append(field)
    for depth in reversed(spec.up_depths):
        step //= 2
        field += step + 4 * step * depth
        found.append(field)
    return found


def test_receptive_fields_are_the_papers() -> None:
    spec = catalogue.spec("vnet")
    assert isinstance(spec, VNetSpec)
    assert tuple(fields(spec)) == PRINTED
    released = catalogue.spec("vnet_prototxt")
    assert isinstance(released, VNetSpec)
    assert fields(released) == [5, 14, 48, 148, 348, 452, 488, 498, 503]


@pytest.mark.parametrize("level", range(4))
def test_gradients_reach_as_far_as_the_paper_says(level: int) -> None:
    """Of one value of the left side: along the width of a volume that is thin otherwise, with positive weights."""
    network = small().double()
    for name, parameter in network.named_parameters():
        parameter.data.fill_(0.01 if name.endswith("bias") else 1 / max(1, parameter[0].numel()))
    x = torch.ones(1, 1, 16, 16, 480, dtype=torch.double, requires_grad=True)
    found = network.features(x)[level]
    found[0, 0, 0, 0, found.shape[-1] // 2].backward()
    assert x.grad is not None
    seen = x.grad[0, 0].abs().amax((0, 1)).nonzero()
    assert (seen.max() - seen.min() + 1).item() == PRINTED[level]


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_stages_add_their_input_before_the_last_activation(channels: int, depth: int) -> None:
    torch.manual_seed(0)
    spec = catalogue.spec("vnet")
    assert isinstance(spec, VNetSpec)
    stage = ResidualStage(spec, channels, 8, depth)
    for name, parameter in stage.named_parameters():
        if "act" in name:
            parameter.data.uniform_(-0.5, 0.9)
    x = torch.randn(2, channels, 4, 5, 6)
    state = stage.state_dict()

    def active(values: Tensor, name: str) -> Tensor:
        slope = state[name][:, None, None, None]
        assert len(slope) == 8, "one slope for each map"
        return values.clamp(min=0) + slope * values.clamp(max=0)

    y = x
    for number in range(depth):
        y = F.conv3d(y, state[f"convs.{number}.conv.weight"], state[f"convs.{number}.conv.bias"], padding=2)
        if number < depth - 1:
            y = active(y, f"convs.{number}.act.weight")
    tiled = torch.stack([x[:, index % channels] for index in range(8)], 1)
    torch.testing.assert_close(stage(x), active(y + tiled, "act.weight"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1, 1), (16, 32, 16), (17, 5, 20)])
@pytest.mark.parametrize("name", ["vnet", "vnet_prototxt", "vnet_monai"])
def test_every_size_is_padded_and_cropped_back(name: str, size: tuple[int, int, int]) -> None:
    network, x = small(name, channels=3), torch.randn(1, 3, *size)
    behind = [amount for side in reversed(size) for amount in (0, -side % 16)]
    with torch.no_grad():
        found, whole = network(x), network(F.pad(x, behind))
    assert found.shape == (1, 2, *size)
    assert torch.equal(found, whole[:, :, : size[0], : size[1], : size[2]])


def test_dropout_is_where_monai_has_it() -> None:
    network = catalogue.spec("vnet_monai").replace(**SMALL).build(1, 2)
    rates = {name: module.p for name, module in network.named_modules() if isinstance(module, nn.Dropout3d)}
    dropped = {name for name, rate in rates.items() if rate == 0.5}
    assert dropped == {"e4.dropout", "e5.dropout", "u4.0", "u3.0", *(f"r{level}.dropout" for level in range(1, 5))}
    assert {rates[name] for name in rates.keys() - dropped} == {0.0}


@pytest.mark.parametrize(
    ("columns", "came", "expected"),
    [
        ({"widths": (4,)}, "widths=(4,), depths=(1, 2, 3, 3, 3), up_depths=(1, 2, 3, 3)", "at least two levels, all"),
        ({"depths": (1, 2, 3, 0, 3)}, "widths=(16, 32, 64, 128, 256), depths=(1, 2, 3, 0, 3)", "at least two levels"),
        ({"depths": (1, 2)}, "5 widths, 2 depths, 4 up_depths", "as many depths as widths, and one up_depth fewer"),
        ({"dropout": 1.0}, "dropout=1", "a rate from 0 up to but not including 1"),
    ],
)
def test_impossible_columns_are_refused(columns: dict[str, object], came: str, expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec("vnet").replace(**columns)
    assert caught.value.came.startswith(f"vnet: {came}")
    assert caught.value.expected.startswith(expected)
    assert caught.value.do == "Correct the fields"
