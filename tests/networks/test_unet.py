"""U-Net: sizes, crops, up-sampling, dropout, variants."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError
from pixelwise.networks.segmentation.unet import UNet, UNetSpec

TINY = UNetSpec(name="tiny", widths=(2, 3, 4))
UPSAMPLINGS = ("transposed2", "transposed3", "bilinear", "nearest", "pixel_shuffle")


def on_meta(spec: UNetSpec, in_channels: int = 1, num_classes: int = 2) -> UNet:
    with torch.device("meta"):
        return spec.build(in_channels, num_classes).eval()


def test_the_paper_crops_4_16_40_88() -> None:
    spec = catalogue.spec("unet")
    assert isinstance(spec, UNetSpec)
    network = on_meta(spec)
    shapes = analysis.stage_shapes(network, (1, 572, 572))
    crops = [(shapes[f"down{level}"][1] - shapes[f"up{level}"][1]) // 2 for level in (4, 3, 2, 1)]
    assert crops == [4, 16, 40, 88]
    convolutions = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    assert len(convolutions) == 23


def test_skip_is_the_centre_of_the_contracting_map() -> None:
    """With the up path switched off, shifting the image moves the logits as the paper's crop says."""
    spec = TINY.replace(padding="valid", widths=(1, 1))
    network = spec.build(1, 1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.zero_()
            if name.endswith("conv.weight"):
                parameter[:, 0, 1, 1] = 1  # each 3x3 convolution hands its centre on; the skip is channel 0
        network.get_submodule("out").weight.fill_(1)  # type: ignore[union-attr,operator]
    x = torch.rand(1, 1, 20, 20)
    logits = network(x)
    margin = (20 - logits.shape[-1]) // 2
    torch.testing.assert_close(logits, x[..., margin:-margin, margin:-margin])


@pytest.mark.parametrize("size", range(188, 640, 16))
def test_legal_sizes_of_the_paper(size: int) -> None:
    network = on_meta(UNetSpec(name="unet", padding="valid"))
    assert network.output_size(size, 572) == (size - 184, 388)
    assert network.input_size_for(size - 184, 388) == (size, 572)
    assert network.input_size_for(size - 185, 387) == (max(188, size), 572)
    for off in (1, 7, 15):
        with pytest.raises(SpecError):
            network.check_size(size + off, 572)


def test_illegal_sizes_name_the_next_legal_one() -> None:
    network = on_meta(UNetSpec(name="unet", padding="valid"))
    with pytest.raises(SpecError) as caught:
        network(torch.empty(1, 1, 512, 100, device="meta"))
    assert str(caught.value) == (
        "unet cannot take images of 512 x 100 pixels. Expected sides of 188 + 16k pixels. "
        "Pad or crop to 524 x 188, or set padding=same."
    )


@given(
    depth=st.integers(1, 4),
    upsampling=st.sampled_from(UPSAMPLINGS),
    extra=st.sampled_from([0, 2]),
    steps=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
@settings(deadline=None, max_examples=15)
def test_valid_output_size_is_what_comes_out(depth: int, upsampling: str, extra: int, steps: tuple[int, int]) -> None:
    spec = TINY.replace(widths=(2,) * (depth + 1), padding="valid", upsampling=upsampling, extra_width=extra)
    network = on_meta(spec)
    smallest = network.input_size_for(1, 1)
    height, width = (side + step * 2**depth for side, step in zip(smallest, steps, strict=True))
    logits = network(torch.empty(1, 1, height, width, device="meta"))
    assert tuple(logits.shape[2:]) == network.output_size(height, width)
    assert network.input_size_for(*network.output_size(height, width)) == (height, width)
    for below in range(1, smallest[0]):
        with pytest.raises(SpecError):
            network.check_size(below, smallest[1])


@pytest.mark.parametrize("name", [name for name in catalogue.names() if catalogue.spec(name).family == "unet"])
@pytest.mark.parametrize("size", [(1, 1), (640, 959), (17, 33), (100, 16)])
def test_same_padding_takes_every_size(name: str, size: tuple[int, int]) -> None:
    spec = catalogue.spec(name).replace(padding="same")
    with torch.device("meta"):
        network = spec.build(1, 2).eval()
    assert network(torch.empty(1, 1, *size, device="meta")).shape == (1, 2, *size)
    assert network.output_size(*size) == network.input_size_for(*size) == size


@pytest.mark.parametrize(("upsampling", "skip"), list(product(UPSAMPLINGS, ("concatenate", "sum", "none"))))
def test_every_combination_takes_odd_sizes_and_learns(upsampling: str, skip: str) -> None:
    widths = (2, 3, 3) if upsampling == "bilinear" else (2, 3, 4)
    if upsampling == "bilinear" and skip == "sum":
        widths = (3, 3, 3)
    spec = TINY.replace(upsampling=upsampling, skip=skip, widths=widths, normalisation="batch", dropout="each")
    network = spec.build(2, 3)
    logits = network(torch.randn(2, 2, 13, 22))
    assert logits.shape == (2, 3, 13, 22)
    logits.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_padding_to_the_stride_equals_zeros_beyond_the_border() -> None:
    torch.manual_seed(0)
    network = TINY.build(1, 2)
    x = torch.randn(1, 1, 10, 9)
    padded = torch.zeros(1, 1, 12, 12)
    padded[..., :10, :9] = x
    torch.testing.assert_close(network(x), network(padded)[..., :10, :9])


def dropouts(spec: UNetSpec) -> dict[str, int]:
    network = spec.build(1, 2)
    counts = {name: sum(isinstance(m, nn.Dropout) for m in row.modules()) for name, row in network.named_children()}
    return {name: count for name, count in counts.items() if count}


def test_dropout_stands_where_the_field_says() -> None:
    assert dropouts(TINY) == {}
    assert dropouts(TINY.replace(dropout="bottleneck")) == {"bottom": 1}
    assert dropouts(TINY.replace(dropout="paper")) == {"down2": 1, "bottom": 1}
    assert dropouts(TINY.replace(dropout="each")) == {"down2": 1, "bottom": 1, "dec2": 1, "dec1": 1}
    rates = {
        m.p for m in TINY.replace(dropout="each", dropout_rate=0.1).build(1, 2).modules() if isinstance(m, nn.Dropout)
    }
    assert rates == {0.1}


def test_paper_dropout_reaches_the_skip_of_the_last_level() -> None:
    torch.manual_seed(0)
    network = TINY.replace(dropout="paper", dropout_rate=0.5).build(1, 2).train()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()  # positive maps: only dropout makes zeros
    first, last, bottom = (maps.eq(0).float().mean().item() for maps in network.features(torch.rand(1, 1, 64, 64) + 1))
    assert first == 0
    assert last == pytest.approx(0.5, abs=0.05)
    assert bottom == pytest.approx(0.5, abs=0.1)


def test_he_rule_counts_the_inputs_of_one_output_pixel() -> None:
    torch.manual_seed(0)
    network = UNetSpec(name="wide", widths=(64, 128)).build(1, 2)
    up = network.get_submodule("up1")
    assert isinstance(up, nn.ConvTranspose2d)
    assert up.weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.05)  # one of four taps reaches a pixel
    second = network.get_submodule("down1.1.conv")
    assert isinstance(second, nn.Conv2d)
    assert second.weight.std().item() == pytest.approx((2 / 576) ** 0.5, rel=0.05)  # the paper's example: 3x3x64


@pytest.mark.parametrize(
    ("columns", "came", "expected"),
    [
        ({"widths": (4,)}, "widths=(4,), extra_width=0", "at least two positive widths"),
        ({"widths": (4, 0)}, "widths=(4, 0), extra_width=0", "at least two positive widths"),
        ({"dropout_rate": 1.0}, "dropout_rate=1.0", "a number from 0 up to, but not including, 1"),
        ({"dropout_rate": float("nan")}, "dropout_rate=nan", "a number from 0 up to, but not including, 1"),
        (
            {"up_widths": (4,)},
            "up_widths=(4,) with upsampling=transposed2",
            "2 numbers, and an up-sampling with weights",
        ),
        (
            {"upsampling": "bilinear", "up_activation": "relu"},
            "up_activation=relu with upsampling=bilinear",
            "none: there is no convolution to follow",
        ),
        (
            {"upsampling": "bilinear", "skip": "sum"},
            "skip=sum adds (2, 4) maps to (2, 3)",
            "equal maps: no up_widths, and for upsampling=bilinear equal last two widths",
        ),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], came: str, expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        TINY.replace(**columns)
    assert str(caught.value) == f"tiny: {came}. Expected {expected}. Correct the fields."
