"""The 3-D U-Net against the paper's printed numbers, its sizes by following them, and volumes of every size."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError
from pixelwise.layers.convolution import ConvNormAct
from pixelwise.layers.initialisation import fan_in
from pixelwise.layers.sizes import centre_crop, crop, pad_to_multiple
from pixelwise.layers.upsampling import UpsamplingKind, upsample_2x
from pixelwise.networks.segmentation.unet3d import UNet3DSpec
from pixelwise.specs import Network

PRINTED = 19_069_955
"""The paper's number of parameters."""


def on_meta(name: str) -> Network:
    spec = catalogue.spec(name)
    assert spec.facts is not None
    with torch.device("meta"):
        return spec.build(spec.facts.input_size[0], spec.facts.num_classes).eval()


def convolutions(network: Network) -> int:
    kinds = (nn.Conv3d, nn.ConvTranspose3d)
    return sum(analysis.count_parameters(module) for module in network.modules() if isinstance(module, kinds))


def test_the_paper_counts_the_convolutions_alone() -> None:
    network = on_meta("unet3d")
    assert convolutions(network) == PRINTED
    assert network.spec.facts is not None
    assert int(network.spec.facts.paper_params) == PRINTED
    maps = (32, 64, 64, 128, 128, 256, 256, 512, 256, 256, 128, 128, 64, 64)
    assert network.spec.facts.params == PRINTED + 2 * sum(maps)  # a gain and a shift for each normalised map


def test_maps_are_doubled_before_each_pooling_as_figure_2_says() -> None:
    widths = [module.out_channels for module in on_meta("unet3d").modules() if isinstance(module, nn.Conv3d)]
    assert widths == [32, 64, 64, 128, 128, 256, 256, 512, 256, 256, 128, 128, 64, 64, 3]


def test_the_tile_of_the_paper() -> None:
    network = on_meta("unet3d")
    assert network.output_size(116, 132, 132) == (28, 44, 44)
    assert network(torch.empty(1, 3, 116, 132, 132, device="meta")).shape == (1, 3, 28, 44, 44)
    assert network.input_size_for(28, 44, 44) == (116, 132, 132)
    assert network.input_size_for(1, 5, 29) == (92, 100, 124)


@given(st.tuples(*[st.integers(1, 140)] * 3))
@settings(deadline=None, max_examples=25)
def test_valid_sizes_are_exactly_those_that_run(size: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        network = UNet3DSpec(name="unet3d", padding="valid", widths=(2, 4, 6)).build(1, 2).eval()
    by_hand = []
    for side in size:
        first, second = side - 4, (side - 4) // 2 - 4
        bottom = second // 2 - 4
        fits = first > 0 and first % 2 == 0 and second > 0 and second % 2 == 0 and bottom > 0
        by_hand.append(2 * (2 * bottom - 4) - 4 if fits else 0)
    if min(by_hand) > 0:
        assert network.output_size(*size) == tuple(by_hand)
        assert network(torch.empty(1, 1, *size, device="meta")).shape == (1, 2, *by_hand)
    else:
        with pytest.raises(SpecError):
            network.check_size(*size)


def test_illegal_sizes_are_refused_with_the_next_legal_ones() -> None:
    with pytest.raises(SpecError) as caught:
        on_meta("unet3d").check_size(116, 130, 12)
    assert str(caught.value) == (
        "unet3d cannot take volumes of 116 x 130 x 12 voxels. Expected sides of 92 + 8k voxels. "
        "Pad or crop to 116 x 132 x 92, or set padding=same."
    )


@pytest.mark.parametrize("size", [(1, 1, 1), (8, 16, 24), (9, 5, 18)])
def test_same_padding_pads_behind_and_crops_back(size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    network = catalogue.spec("unet3d16").replace(widths=(4, 8, 12, 16)).build(2, 3).eval()
    x = torch.randn(2, 2, *size)
    behind = [amount for side in reversed(size) for amount in (0, -side % 8)]
    with torch.no_grad():
        assert torch.equal(network(x), crop(network(F.pad(x, behind)), *size))
    assert network.output_size(*size) == network.input_size_for(*size) == size


@pytest.mark.parametrize("widths", [(8,), (8, 9), (0, 8)])
def test_impossible_widths_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec("unet3d").replace(widths=widths)
    assert str(caught.value) == (
        f"unet3d: widths={widths}. Expected at least two even numbers, all positive. Correct the fields."
    )


# --- layers of volumes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["transposed2", "transposed3", "bilinear", "nearest"])
def test_a_volume_that_is_alike_along_its_depth_is_doubled_like_a_picture(kind: UpsamplingKind) -> None:
    """Where the depth's taps sum to the picture's, as with weights that only the middle of each depth pair has."""
    torch.manual_seed(0)
    maps = 3 if kind == "bilinear" else 2
    flat, deep = upsample_2x(kind, 3, maps), upsample_2x(kind, 3, maps, dimensions=3)
    taps = {"transposed2": [0, 1], "transposed3": [0, 1], "nearest": [0]}.get(kind, [])
    for of_picture, of_volume in zip(flat.parameters(), deep.parameters(), strict=True):
        if of_picture.ndim == 1:
            of_volume.data.copy_(of_picture.data)
            continue
        of_volume.data.zero_()
        for tap in taps:
            of_volume.data[:, :, tap].copy_(of_picture.data)
    x = torch.randn(2, 3, 5, 4)
    found = deep(x[:, :, None].expand(-1, -1, 3, -1, -1))
    assert found.shape == (2, maps, 6, 10, 8)
    for depth in range(6):
        torch.testing.assert_close(found[:, :, depth], flat(x), rtol=1e-4, atol=1e-5)


def test_units_of_volumes_are_those_of_pictures_slice_by_slice() -> None:
    torch.manual_seed(0)
    flat, deep = ConvNormAct(3, 4, 3, padding=1), ConvNormAct(3, 4, (1, 3, 3), padding=(0, 1, 1), dimensions=3)
    deep.conv.weight.data.copy_(flat.conv.weight.data[:, :, None])
    x = torch.randn(2, 3, 5, 6, 7)
    for mode in (True, False):
        flat.train(mode), deep.train(mode)
        with torch.set_grad_enabled(mode):
            slices = flat(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (2, 5)).transpose(1, 2)
            torch.testing.assert_close(deep(x), slices, rtol=1e-4, atol=1e-5)


def test_volumes_cannot_be_shuffled_up() -> None:
    with pytest.raises(SpecError, match=r"pixel_shuffle \(pictures only\)"):
        upsample_2x("pixel_shuffle", 3, 3, dimensions=3)


@given(st.tuples(*[st.integers(1, 9)] * 3), st.integers(1, 5))
@settings(deadline=None)
def test_padding_and_cropping_volumes(size: tuple[int, int, int], multiple: int) -> None:
    x = torch.rand(1, 2, *size) + 1
    padded = pad_to_multiple(x, multiple)
    assert all(side % multiple == 0 and side - own < multiple for side, own in zip(padded.shape[2:], size, strict=True))
    assert torch.equal(crop(padded, *size), x)
    framed = F.pad(x, (multiple,) * 6)
    assert torch.equal(centre_crop(framed, *size), x)


@pytest.mark.parametrize(
    ("layer", "expected"), [(nn.Conv3d(4, 6, 3, groups=2), 54), (nn.ConvTranspose3d(8, 3, 3, stride=2), 27)]
)
def test_fan_in_of_volumes(layer: nn.Conv3d | nn.ConvTranspose3d, expected: float) -> None:
    assert fan_in(layer) == expected
