"""Concatenations in bands of rows: the same answers, less memory, and nothing for those who look at the layers."""

import pytest
import torch
from torch import nn

from pixelwise import catalogue
from pixelwise.analysis.peak import forward_peak_bytes
from pixelwise.layers import banding
from pixelwise.layers.banding import convolve_joined
from pixelwise.layers.folding import for_prediction


@pytest.mark.parametrize("is_padded", [True, False])
@pytest.mark.parametrize("height", [3, 16, 17, 33, 40])
def test_bands_are_the_whole(height: int, is_padded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banding, "LARGEST_BYTES", 0)  # bands of 16 rows
    torch.manual_seed(0)
    layer = nn.Conv2d(5, 4, 3, padding=int(is_padded)).double()
    maps = [torch.randn(2, channels, height, 9, dtype=torch.double) for channels in (2, 3)]
    whole = layer(torch.cat(maps, 1))
    with torch.no_grad():
        joined = list(maps)
        assert torch.allclose(convolve_joined(layer, joined, is_padded=is_padded), whole, atol=1e-12)
        assert not joined


def test_gradients_and_hooks_get_the_whole_concatenation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banding, "LARGEST_BYTES", 0)
    layer, seen = nn.Conv2d(4, 2, 3, padding=1), []
    layer.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[2]))
    maps = [torch.randn(1, 2, 50, 6) for _ in range(2)]
    convolve_joined(layer, list(maps), is_padded=True)
    with torch.no_grad():
        convolve_joined(layer, list(maps), is_padded=True)
    assert seen == [50, 50]


@pytest.mark.parametrize(("name", "side"), [("unet", 204), ("unet16", 100)])
def test_a_unet_in_bands_answers_the_same(name: str, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = catalogue.spec(name).replace(widths=(4, 4, 8, 8, 8)).build(1, 2).eval()
    folded, x = for_prediction(network), torch.randn(1, 1, side, side)
    with torch.inference_mode():
        whole = network(x)
        monkeypatch.setattr(banding, "LARGEST_BYTES", 0)
        assert torch.allclose(network(x), whole, rtol=1e-5, atol=1e-5)
        assert torch.allclose(folded(x), whole, rtol=1e-4, atol=1e-4)


def test_bands_take_less_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        network = catalogue.spec("unet").build(1, 2)
    in_bands = forward_peak_bytes(network, (2236, 2236))
    monkeypatch.setattr(banding, "LARGEST_BYTES", 2**40)
    assert in_bands < 0.85 * forward_peak_bytes(network, (2236, 2236))
