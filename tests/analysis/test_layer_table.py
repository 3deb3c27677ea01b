"""Layer tables."""

import subprocess
import sys

import pytest
import torch

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError


def test_table_of_lenet_reads_like_the_papers() -> None:
    network = catalogue.create("lenet5_simplified", in_channels=1, num_classes=10)
    rows = analysis.layer_table(network, (1, 32, 32))
    assert [(row.name, row.output_shape, row.parameters, row.macs) for row in rows if row.level == "stage"] == [
        ("C1", (6, 28, 28), 156, 117_600),
        ("S2", (6, 14, 14), 0, 0),
        ("C3", (16, 10, 10), 2_416, 240_000),
        ("S4", (16, 5, 5), 0, 0),
        ("C5", (120, 1, 1), 48_120, 48_000),
        ("F6", (84,), 10_164, 10_080),
        ("OUT", (10,), 850, 840),
    ]
    assert [(row.name, row.kind) for row in rows if row.level == "layer"][:3] == [
        ("C1.0", "Conv2d"),
        ("C1.1", "Tanh"),
        ("S2", "AvgPool2d"),
    ]


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar", "unet16"])
def test_stages_come_before_their_layers_and_hold_their_sums(name: str) -> None:
    network = catalogue.create(name, in_channels=2, num_classes=3)
    height, width = network.spec.fixed_size or (40, 24)
    rows = analysis.layer_table(network, (2, height, width))
    stage = None
    sums: dict[str, list[int]] = {}
    for row in rows:
        if row.level == "stage":
            stage, sums[row.name] = row, [0, 0]
        else:
            assert stage is not None
            assert row.name.split(".")[0] == stage.name
            sums[stage.name][0] += row.macs
            sums[stage.name][1] += row.parameters
    by_name = {row.name: row for row in rows if row.level == "stage"}
    assert list(by_name) == [name for name, _ in network.named_children()]
    for name_, (macs, parameters) in sums.items():
        assert by_name[name_].macs == macs
        assert by_name[name_].parameters == parameters
    assert analysis.count_parameters(network) == sum(row.parameters for row in by_name.values())


@pytest.mark.parametrize("name", ["googlenet_paper_aux", "inception_v3_aux"])
def test_auxiliary_heads_are_listed_with_their_parameters_and_cost_nothing(name: str) -> None:
    with torch.device("meta"):
        network = catalogue.create(name, in_channels=3, num_classes=1000)
    side = 224 if name.startswith("googlenet") else 299
    rows = analysis.layer_table(network, (3, side, side))
    by_name = {row.name: row for row in rows if row.level == "stage"}
    children = [child for child, _ in network.named_children()]
    assert list(by_name) == children
    assert sum(row.parameters for row in by_name.values()) == analysis.count_parameters(network)
    for head in network.auxiliary_heads:
        layers = [row for row in rows if row.level == "layer" and row.name.startswith(f"{head}.")]
        assert (by_name[head].output_shape, by_name[head].macs, layers) == ((1000,), 0, [])
        assert by_name[head].parameters == analysis.count_parameters(network.get_submodule(head))
    plain = catalogue.spec(name.removesuffix("_aux"))
    assert plain.facts is not None
    assert sum(row.macs for row in by_name.values()) == plain.facts.macs


def test_the_network_is_left_alone() -> None:
    network = catalogue.create("unet16", in_channels=1, num_classes=2).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    analysis.count_macs(network, (1, 64, 64))
    analysis.training_memory(network, (2, 1, 64, 64))
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_frozen_weights_are_not_counted() -> None:
    network = catalogue.create("lenet5_relu", in_channels=1, num_classes=10)
    network.get_submodule("C1").requires_grad_(False)
    assert analysis.count_parameters(network) == 61_706 - 156


def test_sizes_that_the_network_cannot_take_are_refused() -> None:
    network = catalogue.create("lenet5_relu", in_channels=1, num_classes=10)
    with pytest.raises(SpecError, match="cannot take images of 30 x 30 pixels"):
        analysis.count_macs(network, (1, 30, 30))


def test_shapes_are_found_without_pytorchs_compiler_or_sympy() -> None:
    code = (
        "import sys\n"
        "from pixelwise import analysis, catalogue\n"
        "network = catalogue.create('lenet5', in_channels=1, num_classes=10)\n"
        "analysis.layer_table(network, (1, 32, 32))\n"
        "print(sorted({'torch._dynamo', 'sympy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
