"""Normalisation in the memory of the convolution's maps: the same numbers, and only where nobody can tell."""

import pytest
import torch
from torch import Tensor, nn

from pixelwise.layers.convolution import ConvNormAct, normalise


def unit(dtype: torch.dtype = torch.float32) -> tuple[ConvNormAct, nn.BatchNorm2d]:
    torch.manual_seed(0)
    made = ConvNormAct(3, 5, 3, padding=1)
    norm = made.get_submodule("norm")
    assert isinstance(norm, nn.BatchNorm2d)
    for tensor, low in ((norm.running_mean, -0.5), (norm.running_var, 0.5), (norm.weight, 0.5), (norm.bias, -0.5)):
        assert tensor is not None
        nn.init.uniform_(tensor, low, low + 1)
    return made.to(dtype).eval(), norm


def part_by_part(network: ConvNormAct, x: Tensor) -> Tensor:
    for part in network:
        x = part(x)
    return x


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-14), (torch.float32, 1e-6), (torch.bfloat16, 4e-2)]
)
def test_evaluation_gives_what_its_parts_give(
    dtype: torch.dtype, tolerance: float, layout: torch.memory_format
) -> None:
    network, _ = unit(dtype)
    x = torch.randn(2, 3, 8, 9, dtype=dtype).contiguous(memory_format=layout)
    before = x.clone()
    with torch.no_grad():
        torch.testing.assert_close(network(x), part_by_part(network, x), rtol=tolerance, atol=tolerance)
    assert torch.equal(x, before)


def test_numbers_of_two_kinds_are_normalised_by_the_layer_itself() -> None:
    network, norm = unit()
    x = torch.randn(2, 3, 8, 9)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network(x), part_by_part(network, x))
    bare = nn.BatchNorm2d(5, track_running_stats=False).eval()
    y = torch.randn(2, 5, 4, 4)
    with torch.no_grad():
        assert torch.equal(normalise(y, bare), bare(y))
        gainless = nn.BatchNorm2d(5, affine=False).eval()
        assert torch.equal(normalise(y, gainless), gainless(y))
        assert torch.equal(normalise(y.bfloat16(), norm), norm(y.bfloat16()))


def test_the_maps_of_the_convolution_are_overwritten_only_without_gradients_and_hooks() -> None:
    network, _ = unit()
    kept: list[Tensor] = []

    class Spying(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            kept.append(super().forward(x))
            return kept[-1]

    network.set_submodule("conv", Spying(3, 5, 3, padding=1))

    def overwrites(x: Tensor) -> bool:
        return network(x).data_ptr() == kept[-1].data_ptr()

    x = torch.randn(2, 3, 8, 9)
    with torch.no_grad():
        assert overwrites(x)
        handle = network.get_submodule("norm").register_forward_hook(lambda module, given, made: None)
        assert not overwrites(x)
        handle.remove()
        assert overwrites(x)
        network.train()
        assert not overwrites(x)
        network.eval()
    assert not overwrites(x.requires_grad_())
    network(x).sum().backward()
    assert x.grad is not None


def test_a_normalisation_by_itself_leaves_its_input_unless_told() -> None:
    _, norm = unit()
    x = torch.randn(2, 5, 4, 4)
    before = x.clone()
    with torch.no_grad():
        made = normalise(x, norm)
        torch.testing.assert_close(made, norm(x), rtol=1e-6, atol=1e-6)
        assert torch.equal(x, before)
        assert torch.equal(normalise(x, norm, in_place=True), made)
        assert torch.equal(x, made)
    assert normalise(before, norm).requires_grad


def test_without_normalisation_nothing_changes() -> None:
    network = ConvNormAct(3, 5, 1, normalisation="none").eval()
    x = torch.randn(1, 3, 4, 4)
    with torch.no_grad():
        assert torch.equal(network(x), part_by_part(network, x))
    assert network.in_order() == (("conv", "act"),)
