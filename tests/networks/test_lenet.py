"""LeNet-5 against the paper's own counts, table and formulas."""

import numpy as np
import pytest
import torch
from torch import nn

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError
from pixelwise.layers.activation import ScaledTanh
from pixelwise.networks.classification.lenet import LeNetSpec
from pixelwise.networks.classification.lenet_blocks import (
    C3_CONNECTIONS,
    PartialConvolution,
    RBFOutput,
    Subsampling,
    rbf_targets,
)

TABLE_I = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""
"""The paper's table I: a row for each map of S2, a column for each map of C3."""


def test_connection_table_is_table_i() -> None:
    rows = TABLE_I.split()
    expected = [tuple(row for row in range(6) if rows[row][column] == "X") for column in range(16)]
    assert [tuple(sorted(inputs)) for inputs in C3_CONNECTIONS] == expected


def test_partial_convolution_equals_a_dense_one_with_absent_connections_zeroed() -> None:
    torch.manual_seed(0)
    partial = PartialConvolution(C3_CONNECTIONS, 5)
    assert analysis.count_parameters(partial) == 1_516
    dense = nn.Conv2d(6, 16, 5)
    nn.init.zeros_(dense.weight)
    own = [kernel for group in partial.groups for kernel in group.weight]
    biases = torch.cat([group.bias for group in partial.groups])
    with torch.no_grad():
        for out, (inputs, kernels) in enumerate(zip(C3_CONNECTIONS, own, strict=True)):
            for kernel, source in zip(kernels, inputs, strict=True):
                dense.weight[out, source] = kernel
            dense.bias[out] = biases[out]
    x = torch.randn(2, 6, 14, 14)
    torch.testing.assert_close(partial(x), dense(x), rtol=1e-5, atol=1e-5)


def test_connection_tables_out_of_order_are_refused() -> None:
    with pytest.raises(SpecError, match="rows with few inputs first"):
        PartialConvolution(((0, 1), (0,)), 3)


def test_connections_add_up_to_the_papers_340908() -> None:
    network = catalogue.create("lenet5", in_channels=1, num_classes=10)
    rows = {row.name: row for row in analysis.layer_table(network, (1, 32, 32)) if row.level == "stage"}
    connections = {name: row.macs + int(np.prod(row.output_shape)) for name, row in rows.items()}  # with the biases
    for name in ("S2", "S4"):  # four inputs and a bias to each unit
        connections[name] = 5 * int(np.prod(rows[name].output_shape))
    connections["OUT"] = 84 * 10
    assert connections == {
        "C1": 122_304,
        "S2": 5_880,
        "C3": 151_600,
        "S4": 2_000,
        "C5": 48_120,
        "F6": 10_164,
        "OUT": 840,
    }
    assert sum(connections.values()) == 340_908


def test_scaled_tanh_maps_one_to_one() -> None:
    x = torch.linspace(-3, 3, 7, dtype=torch.float64)
    torch.testing.assert_close(ScaledTanh()(x), 1.7159 * torch.tanh(2 * x / 3))
    assert ScaledTanh()(torch.tensor(1.0)).item() == pytest.approx(1, abs=1e-4)


def test_subsampling_is_gain_times_the_sum_of_four_plus_bias() -> None:
    layer = Subsampling(2)
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    blocks = x.numpy().reshape(1, 2, 2, 2, 2, 2).sum((3, 5))
    expected = blocks * layer.gain.detach().numpy()[:, None, None] + layer.bias.detach().numpy()[:, None, None]
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-5, atol=1e-5)
    assert torch.cat([layer.gain, layer.bias]).abs().max() <= 0.6


def test_rbf_output_is_minus_the_squared_distance_and_best_at_the_target() -> None:
    targets = rbf_targets(10, 84)
    x = torch.randn(5, 84)
    expected = -((x[:, None] - targets) ** 2).sum(-1)
    torch.testing.assert_close(RBFOutput(targets)(x), expected, rtol=1e-4, atol=1e-4)
    at_targets = RBFOutput(targets)(targets)
    assert at_targets.argmax(1).tolist() == list(range(10))
    torch.testing.assert_close(at_targets.diagonal(), torch.zeros(10))


def test_digit_targets_are_bitmaps_of_seven_by_twelve() -> None:
    targets = rbf_targets(10, 84)
    assert targets.shape == (10, 84)
    assert set(targets.flatten().tolist()) == {-1.0, 1.0}
    one = targets[1].reshape(12, 7)
    assert one[:10, 3:5].eq(1).sum() >= 18  # the stroke of the 1
    assert one[10:].eq(-1).all()
    distances = torch.cdist(targets, targets).fill_diagonal_(99)
    assert distances.min() ** 2 >= 4 * 5  # no two digits are closer than five pixels


@pytest.mark.parametrize(("classes", "units"), [(2, 84), (1000, 84), (10, 60), (3, 300)])
def test_other_classes_get_distinct_codes_of_ones(classes: int, units: int) -> None:
    targets = rbf_targets(classes, units)
    assert targets.shape == (classes, units)
    assert set(targets.flatten().tolist()) == {-1.0, 1.0}
    assert len({tuple(target) for target in targets.tolist()}) == classes
    assert torch.equal(targets, rbf_targets(classes, units))


def test_initial_weights_lie_within_the_papers_bounds() -> None:
    network = catalogue.create("lenet5", in_channels=1, num_classes=10)
    fan_ins = {nn.Conv2d: 0, nn.Linear: 0}
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            bound = 2.4 / layer.weight[0].numel()
            assert layer.weight.abs().max() <= bound
            assert layer.bias.abs().max() <= bound
            assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.25)
            fan_ins[type(layer)] += 1
    assert fan_ins == {nn.Conv2d: 5, nn.Linear: 1}


def test_linear_form_of_the_paper_has_a_full_connection_more() -> None:
    spec = catalogue.spec("lenet5").replace(output="linear")
    assert analysis.count_parameters(spec.build(1, 10)) == 60_000 + 850


def test_image_size_is_a_field() -> None:
    network = catalogue.spec("lenet5").replace(image_size=(36, 40)).build(1, 10)
    assert network(torch.zeros(3, 1, 36, 40)).shape == (3, 10)
    assert analysis.count_parameters(network) == 60_000 + 120 * 84 * (2 * 3 - 1)  # C5's maps are 2x3


def test_28_pixel_form_keeps_the_papers_parameters() -> None:
    spec = catalogue.spec("lenet5").replace(image_size=(28, 28), padding=2)
    assert analysis.count_parameters(spec.build(1, 10)) == 60_000
    assert spec.fixed_size == (28, 28)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"connections": "partial", "widths": (8, 16, 120)},
            "x: connections=partial with widths=(8, 16, 120). Expected widths that begin with 6, 16: the connection "
            "table has that size. Set connections=full, or these widths.",
        ),
        (
            {"image_size": (12, 32)},
            "x: images of 12 x 32 pixels vanish in the convolutions. Expected a larger image_size, or more padding. "
            "Enlarge the images, or set a smaller kernel or fewer widths.",
        ),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        LeNetSpec(name="x").replace(**columns)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "columns", [{"widths": (6,)}, {"hidden": ()}, {"kernel": 0}, {"padding": -1}, {"widths": (6, 0)}]
)
def test_fields_without_sense_are_refused(columns: dict[str, object]) -> None:
    with pytest.raises(SpecError, match="at least two widths and one hidden, all positive"):
        LeNetSpec(name="x").replace(**columns)


@pytest.mark.parametrize("name", ["lenet5", "lenet5_relu", "lenet_caffe", "pml_cnn"])
def test_sliding_at_the_own_size_is_the_forward_pass(name: str) -> None:
    torch.manual_seed(0)
    spec = catalogue.spec(name)
    network = spec.build(3, 7).eval()
    x = torch.randn(2, 3, *spec.fixed_size)
    assert network.dense_logits(x).shape == (2, 7, 1, 1)
    torch.testing.assert_close(network.dense_logits(x)[..., 0, 0], network(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["lenet5", "lenet_caffe", "pml_cnn"])  # the others pad the whole image, not a crop
def test_sliding_is_a_forward_pass_every_four_pixels(name: str) -> None:
    torch.manual_seed(0)
    spec = catalogue.spec(name)
    network, (height, width) = spec.build(1, 5).eval(), spec.fixed_size
    x = torch.randn(2, 1, height + 9, width + 12)
    dense = network.dense_logits(x)
    assert dense.shape == (2, 5, 3, 4)
    for row in range(3):
        for column in range(4):
            crop = x[:, :, 4 * row : 4 * row + height, 4 * column : 4 * column + width]
            torch.testing.assert_close(dense[..., row, column], network(crop), rtol=1e-4, atol=1e-4)


def test_sliding_refuses_what_is_smaller_than_the_window() -> None:
    network = catalogue.create("lenet5", in_channels=1, num_classes=10)
    with pytest.raises(SpecError) as caught:
        network.dense_logits(torch.zeros(1, 1, 32, 31))
    assert str(caught.value) == (
        "lenet5 cannot be slid over images of 32 x 31 pixels. Expected at least 32 x 32. Enlarge the images."
    )
    with pytest.raises(SpecError, match="a batch of shape"):
        network.dense_logits(torch.zeros(1, 2, 32, 64))
