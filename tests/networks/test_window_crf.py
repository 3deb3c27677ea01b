"""A classifier slid along a picture and a chain over its windows: layout of the log-potentials, trunks, refusals."""

import copy
from math import log

import pytest
import torch

from pixelwise import catalogue
from pixelwise.errors import SpecError
from pixelwise.layers.chain import best_sequence
from pixelwise.losses import StringLikelihood, collapse
from pixelwise.networks.sequence.window_crf import WindowCRF, WindowCRFSpec


def lenet_crf(labels: int = 4, **columns: object) -> WindowCRF:
    torch.manual_seed(0)
    network = catalogue.spec("lenet_crf").replace(**columns).build(1, labels)
    assert isinstance(network, WindowCRF)
    return network.eval()


def test_potentials_are_the_windows_scores_plus_transitions_and_last_the_scores_alone() -> None:
    network = lenet_crf()
    assert network.chain.scores is not None
    with torch.no_grad():
        network.chain.scores.copy_(torch.randn(4, 4))
    x = torch.randn(2, 1, 28, 60)
    found = network(x)
    assert found.shape == (2, 9, 5, 4)
    trunk = catalogue.spec("lenet5_relu").build(1, 4).eval()
    trunk.load_state_dict({key: value for key, value in network.state_dict().items() if key != "chain.scores"})
    emissions = trunk.dense_logits(x)[:, :, 0].transpose(1, 2)
    torch.testing.assert_close(found[:, :, 4], emissions)
    for before in range(4):
        for label in range(4):
            expected = emissions[:, :, label] + network.chain.scores[before, label]
            torch.testing.assert_close(found[:, :, before, label], expected)


def test_without_transitions_the_label_before_does_not_count() -> None:
    network = lenet_crf(transitions="none")
    assert "chain.scores" not in network.state_dict()
    found = network(torch.randn(1, 1, 28, 40))
    assert torch.equal(found, found[:, :, -1:].expand_as(found))


def test_transitions_start_at_zero_and_learn() -> None:
    network = lenet_crf()
    assert network.chain.scores is not None
    assert not network.chain.scores.any()
    network(torch.randn(1, 1, 28, 40))[:, 1:, 2, 1].sum().backward()
    assert network.chain.scores.grad is not None
    assert network.chain.scores.grad.nonzero().tolist() == [[2, 1]]


@pytest.mark.parametrize("rows", ["mean", "max"])
def test_several_rows_of_windows_are_read_as_one(rows: str) -> None:
    network = lenet_crf(rows=rows)
    x = torch.randn(1, 1, 36, 60)
    maps = network.trunk.dense_logits(x)
    assert maps.shape == (1, 4, 3, 9)
    expected = maps.mean(2) if rows == "mean" else maps.max(2).values
    torch.testing.assert_close(network(x)[:, :, -1], expected.transpose(1, 2))


@pytest.mark.parametrize(
    "trunk", ["lenet5", "pml_cnn", "resnet20_cifar", "resnet18_v1", "vgg11", "nin_cifar", "wrn_16_4_cifar"]
)
def test_networks_of_convolutions_serve_as_trunks(trunk: str) -> None:
    spec = WindowCRFSpec(name="mine", trunk=trunk)
    with torch.device("meta"):
        network, alone = spec.build(3, 7).eval(), spec.trunk_spec.build(3, 7)
    assert not list(network.trunk.parameters(recurse=False))  # they would not be this network's
    assert not list(network.trunk.buffers(recurse=False))
    height, width = network.input_size_for(64, 300)
    assert height == spec.window[0]
    x = torch.empty(2, 3, height, width, device="meta")
    network.check_size(height, width)
    potentials = network(x)
    assert potentials.shape == (2, potentials.shape[1], 8, 7)
    assert potentials.shape[1] > 1
    assert [maps.shape[1] for maps in network.features(x)] == [stage.channels for stage in network.stages]
    assert set(network.state_dict()) == {*alone.state_dict(), "chain.scores"}


def test_a_copy_has_a_trunk_of_its_own_and_modes_reach_it() -> None:
    network = lenet_crf()
    twin = copy.deepcopy(network)
    assert dict(twin.trunk.named_children())["C1"] is dict(twin.named_children())["C1"]
    assert dict(twin.named_children())["C1"] is not dict(network.named_children())["C1"]
    assert twin.train().trunk.training
    assert not twin.eval().trunk.training


def test_a_row_that_is_replaced_is_the_trunks_as_well() -> None:
    network, x = lenet_crf(), torch.randn(1, 1, 28, 40)
    network.OUT = torch.nn.Linear(84, 4)
    torch.nn.init.zeros_(network.OUT.weight)
    torch.testing.assert_close(network(x)[0, 2, -1], network.OUT.bias)


def test_pictures_are_brought_to_the_trunks_height() -> None:
    network = lenet_crf()
    assert network.input_size_for(56, 300) == (28, 150)
    assert network.input_size_for(100, 20) == (28, 28)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"trunk": "lenet5_rel"}, "x: trunk=lenet5_rel is no classification network. Did you mean lenet5_relu"),
        (
            {"trunk": "mlp_784_300_10"},
            "x: mlp_784_300_10 cannot be slid over a picture. Expected a trunk of convolutions. Choose another, such "
            "as lenet5_relu or resnet20_cifar.",
        ),
    ],
)
def test_other_trunks_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        WindowCRFSpec(name="x").replace(**columns).build(1, 3)
    assert str(caught.value).startswith(message)


def test_pictures_smaller_than_a_window_are_refused() -> None:
    with pytest.raises(SpecError) as caught:
        lenet_crf()(torch.zeros(1, 1, 28, 27))
    assert str(caught.value) == (
        "lenet_crf cannot take images of 28 x 27 pixels. Expected at least 28 x 28, the window of lenet5_relu. Enlarge "
        "the images."
    )
    with pytest.raises(SpecError, match="at least"):
        lenet_crf(trunk="resnet20_cifar")(torch.zeros(1, 1, 2, 90))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=["float32", "bf16"])
def test_one_batch_of_strings_is_learnt_by_heart(precision: torch.dtype) -> None:
    network = lenet_crf(labels=3).train().to(memory_format=torch.channels_last)
    x = torch.randn(4, 1, 28, 44).contiguous(memory_format=torch.channels_last)
    strings = torch.tensor([[0, 1], [1, 1], [1, -1], [0, 0]])
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        with torch.autocast("cpu", precision, enabled=precision is not torch.float32):
            potentials = network(x)
        loss = StringLikelihood()(potentials, strings)
        optimiser.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in network.parameters())
        assert all(bool(parameter.grad.isfinite().all()) for parameter in network.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] < 5 * log(3) + 1  # five windows of three labels each
    assert losses[-1] < 0.2
    read = collapse(best_sequence(potentials.float()), blank=2)
    assert read == [[0, 1], [1, 1], [1], [0, 0]]
