"""Shared layers against independent formulas."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pixelwise.errors import SpecError
from pixelwise.layers.activation import activation
from pixelwise.layers.convolution import ConvNormAct
from pixelwise.layers.initialisation import INITIALISATIONS, fan_in
from pixelwise.layers.sizes import centre_crop, crop, pad_to_multiple
from pixelwise.layers.upsampling import KerasTransposed3x3, upsample_2x


def keras_transposed_3x3(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Scatter each pixel times the kernel at twice its position, then keep the first 2n rows and columns."""
    n, _, height, width = x.shape
    full = np.zeros((n, kernel.shape[1], 2 * height + 1, 2 * width + 1))
    for i in range(height):
        for j in range(width):
            full[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.einsum("nc,cokl->nokl", x[:, :, i, j], kernel)
    return full[:, :, :-1, :-1] + bias[:, None, None]


def test_transposed_3x3_is_keras_and_not_pytorchs_shifted_form() -> None:
    torch.manual_seed(0)
    layer = KerasTransposed3x3(3, 2)
    x = torch.randn(2, 3, 4, 5)
    ours = layer(x).detach().numpy()
    expected = keras_transposed_3x3(x.numpy(), layer.conv.weight.detach().numpy(), layer.conv.bias.detach().numpy())
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    shifted = F.conv_transpose2d(x, layer.conv.weight, layer.conv.bias, stride=2, padding=1, output_padding=1)
    assert shifted.shape == ours.shape
    assert np.abs(shifted.detach().numpy() - ours).max() > 0.1
    np.testing.assert_allclose(shifted.detach().numpy()[..., :-1, :-1], ours[..., 1:, 1:], atol=1e-5)


def test_nearest_repeats_and_then_convolves_with_keras_same() -> None:
    torch.manual_seed(0)
    layer = upsample_2x("nearest", 3, 2)
    x = torch.randn(1, 3, 3, 4)
    repeated = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    convolution = layer[2]  # type: ignore[index]
    weight, bias = convolution.weight.detach(), convolution.bias.detach()
    padded = F.pad(repeated, (0, 1, 0, 1))
    expected = sum(
        torch.einsum("oc,nchw->nohw", weight[:, :, i, j], padded[..., i : i + 6, j : j + 8])
        for i in (0, 1)
        for j in (0, 1)
    )
    torch.testing.assert_close(layer(x).detach(), expected + bias[:, None, None])


def test_bilinear_is_exact_on_ramps_away_from_the_border() -> None:
    ramp = torch.arange(8.0).repeat(8, 1)[None, None]
    doubled = upsample_2x("bilinear", 1, 1)(ramp)
    expected = torch.arange(16.0) / 2 - 0.25
    torch.testing.assert_close(doubled[0, 0, 8, 1:-1], expected[1:-1])


@pytest.mark.parametrize("kind", ["transposed2", "transposed3", "bilinear", "nearest", "pixel_shuffle"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_every_upsampling_doubles(kind: str, size: tuple[int, int]) -> None:
    out = 4 if kind == "bilinear" else 3
    assert upsample_2x(kind, 4, out)(torch.randn(2, 4, *size)).shape == (2, out, 2 * size[0], 2 * size[1])  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "out"), [("bilinear", 3), ("bicubic", 4)])
def test_impossible_upsamplings_are_refused(kind: str, out: int) -> None:
    with pytest.raises(SpecError) as caught:
        upsample_2x(kind, 4, out)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"up-sampling {kind!r} from 4 to {out} channels. Expected transposed2, transposed3, nearest, "
        "pixel_shuffle (pictures only), or bilinear with equal channels. Choose another kind."
    )


def test_unknown_activations_are_refused() -> None:
    with pytest.raises(SpecError) as caught:
        activation("gelu")  # type: ignore[arg-type]
    assert str(caught.value) == ("activation 'gelu'. Expected one of none, relu, tanh, scaled_tanh. Correct the name.")
    x = torch.randn(3)
    assert torch.equal(activation("none")(x), x)
    assert torch.equal(activation("tanh")(x), torch.tanh(x))


@given(height=st.integers(1, 40), width=st.integers(1, 40), multiple=st.integers(1, 17))
@settings(deadline=None)
def test_padding_and_cropping_are_inverse(height: int, width: int, multiple: int) -> None:
    x = torch.rand(1, 2, height, width) + 1
    padded = pad_to_multiple(x, multiple)
    assert padded.shape[-2] % multiple == padded.shape[-1] % multiple == 0
    assert padded.shape[-2] - height < multiple
    assert padded.shape[-1] - width < multiple
    assert torch.equal(crop(padded, height, width), x)
    assert padded.sum().item() == pytest.approx(x.sum().item(), rel=1e-5)


@given(outer=st.tuples(st.integers(1, 20), st.integers(1, 20)), margins=st.tuples(st.integers(0, 9), st.integers(0, 9)))
@settings(deadline=None)
def test_centre_crop_leaves_equal_margins(outer: tuple[int, int], margins: tuple[int, int]) -> None:
    inner = torch.rand(1, 1, *outer)
    framed = F.pad(inner, (margins[1], margins[1], margins[0], margins[0]))
    assert torch.equal(centre_crop(framed, *outer), inner)


def test_conv_norm_act_has_only_the_parts_asked_for() -> None:
    assert [name for name, _ in ConvNormAct(1, 2, 3).named_children()] == ["conv", "norm", "act"]
    bare = ConvNormAct(1, 2, 3, bias=True, normalisation="none", activation="none")
    assert [name for name, _ in bare.named_parameters()] == ["conv.weight", "conv.bias"]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Linear(7, 3), 7),
        (nn.Conv2d(4, 6, 3, groups=2), 18),
        (nn.ConvTranspose2d(8, 3, 2, stride=2), 8),
        (nn.ConvTranspose2d(8, 4, 3, stride=2), 18),
        (nn.ConvTranspose2d(8, 4, 4, stride=2, groups=4), 8),
    ],
)
def test_fan_in_counts_the_inputs_of_an_output(layer: nn.Conv2d, expected: float) -> None:
    """By counting: with weights of one and inputs of one, an inner output pixel is its number of inputs."""
    assert fan_in(layer) == expected
    if isinstance(layer, nn.ConvTranspose2d):
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
        inner = layer(torch.ones(1, layer.in_channels, 20, 20))[0, 0, 8:-9, 8:-9]
        assert inner.mean().item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "std"), [("he", (2 / 400) ** 0.5), ("glorot", (2 / 500) ** 0.5), ("lecun", 2.4 / 400 / 3**0.5)]
)
def test_initialisations_have_their_spread(name: str, std: float) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(400, 100), nn.Linear(400, 100, bias=False), nn.BatchNorm1d(100))
    INITIALISATIONS[name](module)  # type: ignore[index]
    for layer in module[:2]:
        assert layer.weight.std().item() == pytest.approx(std, rel=0.03)
        assert abs(layer.weight.mean().item()) < 0.05 * std
    assert module[0].bias.abs().max().item() <= (2.4 / 400 if name == "lecun" else 0)
    assert module[2].weight.eq(1).all()
