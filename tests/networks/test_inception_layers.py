"""What the inception networks share, against independent formulas."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pixelwise.layers.inception import Branches, Conv, averaged_projection, chain, scaling, split_pair
from pixelwise.layers.initialisation import truncated_normal_
from pixelwise.layers.sizes import smallest_side
from pixelwise.layers.trunk import run_trunk
from pixelwise.networks.classification.inception_v3 import InceptionV3, InceptionV3Spec


def norm_as_drawn(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    assert isinstance(norm, nn.BatchNorm2d)
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-3)


@pytest.mark.parametrize("count_padding", [False, True])
def test_the_mean_of_a_projection_is_the_projection_of_the_mean(count_padding: bool) -> None:
    torch.manual_seed(0)
    branch = averaged_projection(6, 4, count_padding=count_padding).eval()
    nn.init.normal_(branch.norm.running_mean)
    x = torch.randn(2, 6, 5, 7)
    around = F.pad(x, (1, 1, 1, 1))
    total = sum(around[:, :, i : i + 5, j : j + 7] for i in range(3) for j in range(3))
    there = F.pad(torch.ones(1, 1, 5, 7), (1, 1, 1, 1))
    count = sum(there[:, :, i : i + 5, j : j + 7] for i in range(3) for j in range(3))
    assert {int(number) for number in count.unique()} == {4, 6, 9}
    mean = total / (9 if count_padding else count)
    expected = F.relu(norm_as_drawn(branch.norm, torch.einsum("oc,nchw->nohw", branch.conv.weight[:, :, 0, 0], mean)))
    torch.testing.assert_close(branch(x), expected)


def test_branches_stand_behind_each_other_under_the_authors_names() -> None:
    torch.manual_seed(0)
    branches = Branches(nn.Conv2d(3, 2, 1), nn.MaxPool2d(1), ("own", nn.Conv2d(3, 4, 1)))
    x = torch.randn(1, 3, 4, 4)
    y = branches(x)
    assert list(branches) == ["branch_0", "branch_1", "own"]
    assert y.shape == (1, 9, 4, 4)
    torch.testing.assert_close(y[:, :2], branches["branch_0"](x))
    torch.testing.assert_close(y[:, 2:5], x)
    torch.testing.assert_close(y[:, 5:], branches["own"](x))


def test_a_chain_keeps_the_size_unless_marked_v() -> None:
    convolutions = chain(3, Conv(4, 1), Conv(5, (1, 7)), Conv(6, (7, 1)), Conv(7, 3, valid=True), Conv(8, 3, 2, True))
    sizes, x = [], torch.randn(1, 3, 12, 13)
    for convolution in convolutions:
        x = convolution(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(4, 12, 13), (5, 12, 13), (6, 12, 13), (7, 10, 11), (8, 4, 5)]
    for part in convolutions:
        assert part.conv.bias is None
        assert part.norm.eps == 1e-3
    assert Conv(2, 1).build(3, "none").conv.bias is not None


def test_a_split_pair_sees_a_row_and_a_column() -> None:
    pair = split_pair(1, 1).eval()
    for part in pair.values():
        nn.init.ones_(part.conv.weight)
    point = torch.zeros(1, 1, 5, 5)
    point[0, 0, 2, 2] = 1
    row, column = pair(point)[0]
    assert row.nonzero().tolist() == [[2, 1], [2, 2], [2, 3]]
    assert column.nonzero().tolist() == [[1, 2], [2, 2], [3, 2]]


def test_widths_are_rounded_down_to_sixteen_at_least() -> None:
    assert [scaling(1.0)(maps) for maps in (32, 48, 768)] == [32, 48, 768]
    assert [scaling(0.25)(maps) for maps in (32, 70, 768)] == [16, 17, 192]
    assert [scaling(1.5)(maps) for maps in (33, 192)] == [49, 288]


@given(
    windows=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)).filter(lambda window: window[0] >= window[1])),
    last=st.integers(1, 4),
)
def test_smallest_side_is_the_first_that_leaves_enough(windows: list[tuple[int, int]], last: int) -> None:
    def left(side: int) -> int:
        for window, step in windows:
            side = (side - window) // step + 1 if side >= window else 0
        return side

    found = smallest_side(windows, last)
    assert left(found) >= last
    assert left(found - 1) < last


def test_truncated_normal_is_cut_at_two_deviations() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(30, 200, 3)
    truncated_normal_(layer, 0.1)
    assert layer.weight.abs().max() <= 0.2
    assert layer.weight.abs().max() > 0.19
    assert layer.weight.std().item() == pytest.approx(0.0880, rel=0.01)  # 0.1 * 0.8796, the cut normal's deviation
    assert layer.weight.mean().item() == pytest.approx(0, abs=1e-3)
    assert layer.bias.abs().max() == 0


def test_a_trunk_passes_over_auxiliary_heads_and_stops_after_its_last_stage() -> None:
    torch.manual_seed(0)
    spec = InceptionV3Spec(name="x", width=0.1, first_stride=1, first_pool=False, auxiliary="batch")
    network = InceptionV3(spec, 1, 4).eval()
    ran: list[str] = []
    for name, child in network.named_children():
        child.register_forward_hook(lambda *_, name=name: ran.append(name))
    maps = run_trunk(network, torch.randn(1, 1, 33, 33))
    assert [name for name, _ in network.named_children()] == [
        *ran[: ran.index("Mixed_7a")],
        "AuxLogits",
        *ran[ran.index("Mixed_7a") :],
        *("avgpool", "dropout", "fc"),
    ]
    assert [found.shape[1] for found in maps] == [stage.channels for stage in network.stages]


def test_a_trunk_may_end_with_the_last_child() -> None:
    torch.manual_seed(0)
    network = InceptionV3(InceptionV3Spec(name="x", width=0.1, first_stride=1, first_pool=False), 1, 4).eval()
    x = torch.randn(1, 1, 33, 33)
    last = run_trunk(network, x)[-1]
    del network.avgpool, network.dropout, network.fc
    torch.testing.assert_close(run_trunk(network, x)[-1], last)
