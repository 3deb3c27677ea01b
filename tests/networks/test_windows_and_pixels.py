"""What the documents say of classifiers slid over pictures and of networks for pixels, where it is exact."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError
from pixelwise.storage.arrays import write_tensors

WINDOW, STEP, SIDE = 32, 4, 128
PLACES = (SIDE - WINDOW) // STEP + 1
MIB = 2**20


def test_full_connections_as_convolutions_answer_as_rolling_windows_do() -> None:
    torch.manual_seed(0)
    network = catalogue.create("lenet5_simplified", in_channels=1, num_classes=10).eval()
    picture = torch.rand(1, 1, SIDE, SIDE)
    with torch.no_grad():
        dense = network.dense_logits(picture)  # (1, 10, 25, 25)
        windows = picture.unfold(2, WINDOW, STEP).unfold(3, WINDOW, STEP).reshape(-1, 1, WINDOW, WINDOW)
        each = network(windows).T.reshape(1, 10, PLACES, PLACES)
    assert dense.shape == (1, 10, 25, 25)
    assert len(windows) == 625
    assert (dense - each).abs().max() <= 1e-6


def test_and_cost_a_fifth_of_the_multiply_adds() -> None:
    """Convolutions share what windows have in common; the full connections, which do not, cost as much as before."""
    spec = catalogue.spec("lenet5_simplified")
    small, large = spec.build(1, 10), spec.replace(image_size=(SIDE, SIDE)).build(1, 10)
    of_window, of_picture = (
        {row.name: row.macs for row in analysis.layer_table(one, (1, side, side)) if row.level == "stage"}
        for one, side in ((small, WINDOW), (large, SIDE))
    )
    connected = sum(macs for name, macs in of_window.items() if name in ("F6", "OUT"))
    dense = sum(of_picture[name] for name in ("C1", "C3", "C5")) + PLACES**2 * connected
    each = PLACES**2 * sum(of_window.values())
    assert (dense, each) == (47_205_000, 260_325_000)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        small.dense_logits(torch.zeros(1, 1, SIDE, SIDE))
    assert counter.get_total_flops() / 2 == dense


def test_a_unet_has_as_many_maps_on_the_way_up_as_down_and_an_fcn_as_many_as_classes() -> None:
    with torch.device("meta"):
        unet = catalogue.create("unet", in_channels=1, num_classes=2)
        fcn = catalogue.create("fcn8s", in_channels=3, num_classes=21)
    shapes = analysis.stage_shapes(unet, (1, 572, 572))
    down = [shapes[f"down{level}"][0] for level in (4, 3, 2, 1)]
    assert [shapes[f"dec{level}"][0] for level in (4, 3, 2, 1)] == down == [512, 256, 128, 64]
    enlarging = [layer for layer in fcn.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [(layer.in_channels, layer.out_channels) for layer in enlarging] == [(21, 21)] * 3


def test_a_padded_unet_takes_every_size_and_answers_alike_far_from_the_border() -> None:
    torch.manual_seed(0)
    network = catalogue.spec("unet16").replace(widths=(4, 6, 8)).build(1, 2).double().eval()
    picture = torch.rand(1, 1, 167, 203, dtype=torch.float64)
    with torch.no_grad():
        whole = network(picture)
        part = network(picture[..., 4:124, 8:159])  # by multiples of the lattice of 4 pixels
    assert whole.shape == (1, 2, 167, 203)
    assert part.shape == (1, 2, 120, 151)
    seen = 44  # pixels on either side, at most
    inside = part[..., seen:-seen, seen:-seen]
    assert inside.numel() > 1000
    torch.testing.assert_close(inside, whole[..., 4 + seen : 124 - seen, 8 + seen : 159 - seen], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "legal"), [("lenet5_relu", 28), ("mlp_784_300_10", 28)])
def test_full_connections_take_one_size_and_say_which(name: str, legal: int) -> None:
    network = catalogue.create(name, in_channels=1, num_classes=10)
    with pytest.raises(SpecError) as caught:
        network(torch.zeros(1, 1, 96, 100))
    said = str(caught.value)
    assert said.startswith(f"{name} cannot take images of 96 x 100 pixels. Expected {legal} x {legal}. ")


@pytest.mark.parametrize(("width", "moments", "mib"), [(64, 0, 118.4), (32, 2, 88.8), (32, 0, 29.6), (16, 0, 7.4)])
def test_bytes_of_the_papers_unet_of_several_widths(width: int, moments: int, mib: float) -> None:
    """Four for each weight, and as many again for each moment that an optimiser keeps: Adam's two."""
    with torch.device("meta"):
        network = catalogue.spec("unet").replace(widths=tuple(width * 2**level for level in range(5))).build(1, 2)
    assert 4 * (1 + moments) * analysis.count_parameters(network) / MIB == pytest.approx(mib, abs=0.06)


def test_a_file_of_weights_has_four_bytes_for_each(tmp_path: Path) -> None:
    network = catalogue.create("unet16", in_channels=1, num_classes=2)
    state = network.state_dict()
    write_tensors(tmp_path / "weights.safetensors", state, {})
    plain = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    assert plain >= 4 * analysis.count_parameters(network)
    assert plain < (tmp_path / "weights.safetensors").stat().st_size < plain + 20_000


def test_tiles_are_exact_on_the_lattice_of_the_poolings_and_nowhere_else() -> None:
    """Valid convolutions: no border to blame. A tile that begins between the lattice's pixels is pooled otherwise."""
    torch.manual_seed(0)
    network = catalogue.spec("unet").replace(widths=(3, 4, 5, 6), dropout="none").build(1, 2).double().eval()
    least = network.input_size_for(1, 1)[0]
    picture = torch.rand(1, 1, least + 64, least + 64, dtype=torch.float64)
    with torch.no_grad():
        whole = network(picture)
        margin = (picture.shape[-1] - whole.shape[-1]) // 2
        for offset, is_exact in ((0, True), (8, True), (16, True), (3, False), (4, False)):
            tile = network(picture[..., offset : offset + least, offset : offset + least])
            side = tile.shape[-1]
            assert side == least - 2 * margin
            same = whole[..., offset : offset + side, offset : offset + side]
            difference = float((tile - same).abs().max() / whole.abs().max())
            assert difference <= 1e-12 if is_exact else difference > 1e-4


def test_a_softmax_over_one_channel_says_nothing() -> None:
    """So a network with one map of logits is trained and read through a sigmoid (tests/tasks/test_tasks.py)."""
    logits = torch.randn(2, 1, 5, 7, requires_grad=True)
    probabilities = logits.softmax(dim=1)
    (probabilities * torch.rand(2, 1, 5, 7)).sum().backward()
    assert torch.equal(probabilities, torch.ones_like(probabilities))
    assert logits.grad is not None
    assert not logits.grad.any()
