"""PSPNet: its pyramid against loops, its parameters against a formula, what it sees, and refusals."""

import math

import pytest
import torch
from torch import Tensor

from pixelwise import analysis, catalogue
from pixelwise.analysis.reach.follow import follow
from pixelwise.errors import SpecError
from pixelwise.layers.dilated import DilatedNetwork
from pixelwise.layers.grid_pooling import GridMeans
from pixelwise.networks.segmentation.pspnet import PoolingPyramid
from pixelwise.weights import load_tensors


def small(**columns: object) -> DilatedNetwork:
    spec = catalogue.spec("pspnet_r50", backbone="resnet20_cifar").replace(**columns)
    network = spec.build(3, 4)
    assert isinstance(network, DilatedNetwork)
    return network


def conv(inputs: int, outputs: int, kernel: int) -> int:
    """Weights of a convolution without bias, gains and shifts of its normalisation."""
    return inputs * outputs * kernel**2 + 2 * outputs


@pytest.mark.parametrize(("name", "depths"), [("pspnet_r50", (3, 4, 6, 3)), ("pspnet_r101", (3, 4, 23, 3))])
def test_parameters_are_those_of_the_formula(name: str, depths: tuple[int, ...]) -> None:
    total, channels = conv(3, 64, 7), 64
    for depth, width in zip(depths, (64, 128, 256, 512), strict=True):
        total += conv(channels, 4 * width, 1)  # the projection of the first block
        for _ in range(depth):
            total += conv(channels, width, 1) + conv(width, width, 3) + conv(width, 4 * width, 1)
            channels = 4 * width
    total += 4 * conv(2048, 512, 1) + conv(4096, 512, 3) + 512 * 150 + 150
    total += conv(1024, 256, 3) + 256 * 150 + 150
    facts = catalogue.spec(name).facts
    assert facts is not None
    assert facts.params == total
    with torch.device("meta"):
        network = catalogue.spec(name).build(3, 150)
    assert analysis.count_parameters(network) == total
    assert analysis.stage_shapes(network, (3, 473, 473))["pyramid"] == (4096, 60, 60)


def means(x: Tensor, parts: int) -> Tensor:
    """Means over the parts of a grid, part by part."""
    height, width = x.shape[-2:]
    grid = torch.empty(*x.shape[:2], parts, parts)
    for i in range(parts):
        for j in range(parts):
            rows = slice(i * height // parts, math.ceil((i + 1) * height / parts))
            columns = slice(j * width // parts, math.ceil((j + 1) * width / parts))
            grid[:, :, i, j] = x[:, :, rows, columns].mean((2, 3))
    return grid


@pytest.mark.parametrize("size", [(13, 9), (12, 6), (5, 2), (1, 60)])
@pytest.mark.parametrize("parts", [2, 3, 6])
def test_means_over_a_grid_are_those_of_adaptive_pooling(size: tuple[int, int], parts: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(GridMeans(parts)(x), torch.nn.AdaptiveAvgPool2d(parts)(x))


def between(old: int, new: int) -> Tensor:
    """Linear interpolation of ``old`` values to ``new`` places as a matrix; edges are aligned, not centres."""
    matrix = torch.zeros(new, old)
    for place in range(new):
        at = min(max((place + 0.5) * old / new - 0.5, 0.0), old - 1.0)
        first = min(int(at), max(old - 2, 0))
        matrix[place, first] = 1 - (at - first)
        if old > 1:
            matrix[place, first + 1] = at - first
    return matrix


def test_the_pyramid_is_the_maps_and_their_interpolated_means() -> None:
    torch.manual_seed(0)
    pyramid = PoolingPyramid(8, (1, 2, 3, 6)).eval()
    x = torch.randn(2, 8, 13, 9)
    expected = [x]
    for level, parts in zip(pyramid.levels, (1, 2, 3, 6), strict=True):
        grid = level.unit(means(x, parts))  # (2, 2, parts, parts)
        expected.append(torch.einsum("ai,ncij,bj->ncab", between(parts, 13), grid, between(parts, 9)))
    found = pyramid(x)
    assert found.shape == (2, pyramid.out_channels, 13, 9) == (2, 16, 13, 9)
    torch.testing.assert_close(found, torch.cat(expected, dim=1))


def test_every_convolution_of_the_last_stages_is_dilated() -> None:
    with torch.device("meta"):
        network = catalogue.spec("pspnet_r50").build(3, 150)
    rates = {
        row: {module.dilation for module in network.get_submodule(row).modules() if _is_3x3(module)}
        for row in ("conv3_x", "conv4_x", "conv5_x")
    }
    assert rates == {"conv3_x": {(1, 1)}, "conv4_x": {(2, 2)}, "conv5_x": {(4, 4)}}


def _is_3x3(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3)


def test_training_scores_the_auxiliary_head_too() -> None:
    network = small()
    assert [logits.shape for logits in network.training_logits(torch.randn(2, 3, 18, 25))] == [(2, 4, 18, 25)] * 2
    assert network.heads == ("aux.score", "classifier.score")
    assert len(small(auxiliary=False).training_logits(torch.randn(2, 3, 18, 25))) == 1


def test_a_batch_of_one_picture_is_refused_in_training_only() -> None:
    network = small()
    with pytest.raises(SpecError, match=r"^image pooling in training: a batch of one picture\. Expected at least two"):
        network(torch.randn(1, 3, 32, 32))
    assert network.eval()(torch.randn(1, 3, 17, 21)).shape == (1, 4, 17, 21)
    assert small(bins=(2, 3))(torch.randn(1, 3, 32, 32)).shape == (1, 4, 32, 32)


def test_the_pyramid_sees_the_whole_picture() -> None:
    """Of every network with such layers tests/predict/test_tiled_answers.py says that tiles are blended."""
    seen = follow(PoolingPyramid(4, (1, 2, 3, 6)).eval().to("meta"), 4, (30, 26)).findings.whole
    assert list(seen) == [
        "levels.0.pool (adaptive_avg_pool2d)",
        *(f"levels.{level}.pool (mean)" for level in (1, 2, 3)),
    ]


@pytest.mark.parametrize("columns", [{"output_stride": 32}, {"bins": ()}, {"bins": (0, 1)}, {"dropout": 1.0}])
def test_impossible_columns_are_refused(columns: dict[str, object]) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec("pspnet_r50").replace(**columns)
    fields = {"output_stride": 8, "bins": (1, 2, 3, 6), "dropout": 0.1} | columns
    shown = ", ".join(f"{name}={value}" for name, value in fields.items())
    assert str(caught.value) == (
        f"pspnet_r50: {shown}. Expected output_stride 8 or 16; positive bins, at least one; a dropout from 0 up to, "
        "but not 1. Correct them."
    )


def test_the_trunk_starts_from_the_backbones_weights() -> None:
    classifier, network = catalogue.create("resnet20_cifar", in_channels=3, num_classes=10), small()
    notes = load_tensors(network, classifier.state_dict(), "r20")
    assert notes[0].startswith("Taken from weights of resnet20_cifar, its backbone, without fc; fresh: aux, pyramid")
    assert torch.equal(network.state_dict()["conv1.conv.weight"], classifier.state_dict()["conv1.conv.weight"])
