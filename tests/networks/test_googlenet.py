"""GoogLeNet: its table, both forms of its modules, auxiliary classifiers, sizes, initial and published weights."""

from math import sqrt

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError
from pixelwise.layers.inception import scaling
from pixelwise.layers.lrn import LocalResponseNorm
from pixelwise.networks.classification.googlenet import GoogLeNetSpec
from pixelwise.networks.classification.googlenet_blocks import AuxiliaryHead, Inception, Row
from pixelwise.specs import Network
from pixelwise.weights import load_tensors

ROW = Row("x", 17, 18, 19, 20, 21, 22)


def thin(name: str = "googlenet_paper", classes: int = 5, **columns: object) -> Network:
    torch.manual_seed(0)
    return catalogue.spec(name).replace(width=0.1, **columns).build(3, classes).eval()


def test_weights_and_costs_of_every_row_of_the_table() -> None:
    """Weights and MACs that follow from table 1's widths; those of its cost column within 1 % but for conv1 and 5a."""
    weights = {
        "conv1": 9_408, "inception_3a": 163_328, "inception_3b": 388_096, "inception_4a": 375_552,
        "inception_4b": 448_512, "inception_4c": 509_440, "inception_4d": 604_672, "inception_4e": 867_328,
        "inception_5a": 1_042_432, "inception_5b": 1_442_816, "fc": 1_024_000,
    }  # fmt: skip
    printed_millions = {
        "inception_3a": 128, "inception_3b": 304, "inception_4a": 73, "inception_4b": 88, "inception_4c": 100,
        "inception_4d": 119, "inception_4e": 170, "inception_5b": 71, "fc": 1,
    }  # fmt: skip
    with torch.device("meta"):
        network = catalogue.create("googlenet_paper", in_channels=3, num_classes=1000)
    for name, count in weights.items():
        parameters = network.get_submodule(name).parameters()
        assert sum(weight.numel() for weight in parameters if weight.ndim > 1) == count, name
    macs = {row.name: row.macs for row in analysis.layer_table(network, (3, 224, 224)) if row.level == "stage"}
    for name, millions in printed_millions.items():
        assert macs[name] / 1e6 == pytest.approx(millions, rel=0.01, abs=0.6), name
    assert macs["conv2_reduce"] + macs["conv2"] == pytest.approx(360e6, rel=0.01)


def unit(layer: nn.Module, x: Tensor, padding: int = 0) -> Tensor:
    return F.relu(F.conv2d(x, layer.get_parameter("conv.weight"), layer.get_parameter("conv.bias"), padding=padding))


@pytest.mark.parametrize(("largest", "padding"), [(5, 2), (3, 1)])
def test_a_reduced_module_is_figure_2b(largest: int, padding: int) -> None:
    module = Inception(16, ROW, form="reduced", largest=largest, normalisation="none", scale=scaling(1))  # type: ignore
    x = torch.randn(2, 16, 7, 6)
    parts = dict(module.named_modules())
    expected = [
        unit(parts["1x1.0"], x),
        unit(parts["3x3.1"], unit(parts["3x3.0"], x), 1),
        unit(parts["5x5.1"], unit(parts["5x5.0"], x), padding),
        unit(parts["pool.1"], F.max_pool2d(x, 3, 1, 1)),
    ]
    assert parts["5x5.1"].get_parameter("conv.weight").shape == (21, 20, largest, largest)
    assert [part.shape[1] for part in expected] == [17, 19, 21, 22]
    assert module.out_channels == 79
    torch.testing.assert_close(module(x), torch.cat(expected, 1))


def test_a_naive_module_is_figure_2a() -> None:
    module = Inception(16, ROW, form="naive", largest=5, normalisation="none", scale=scaling(1))
    x = torch.randn(2, 16, 7, 6)
    parts = dict(module.named_modules())
    expected = [
        unit(parts["1x1.0"], x),
        unit(parts["3x3.0"], x, 1),
        unit(parts["5x5.0"], x, 2),
        F.max_pool2d(x, 3, 1, 1),
    ]
    assert module.out_channels == 17 + 19 + 21 + 16
    torch.testing.assert_close(module(x), torch.cat(expected, 1))


def test_naive_modules_only_ever_grow() -> None:
    with torch.device("meta"):
        naive = catalogue.spec("googlenet_paper").replace(module="naive").build(3, 1000)
    shapes = analysis.stage_shapes(naive, (3, 224, 224))
    assert shapes["inception_3a"] == (64 + 128 + 32 + 192, 28, 28)
    assert shapes["inception_3b"] == (128 + 192 + 96 + 416, 28, 28)
    assert shapes["inception_5b"][0] > 4 * 1024
    assert analysis.count_macs(naive, (3, 224, 224)) > 7 * 1_582_671_872


def test_an_auxiliary_classifier_is_that_of_section_5() -> None:
    torch.manual_seed(0)
    head = AuxiliaryHead(16, 5, pool="strided", normalisation="none", scale=scaling(1)).eval()
    x = torch.randn(2, 16, 14, 14)
    y = unit(head.conv, F.avg_pool2d(x, 5, 3))
    assert y.shape == (2, 128, 4, 4)
    y = F.relu(F.linear(y.flatten(1), head.fc1.weight, head.fc1.bias))
    assert y.shape == (2, 1024)
    torch.testing.assert_close(head(x), F.linear(y, head.fc2.weight, head.fc2.bias))
    assert head.dropout.p == 0.7
    with torch.device("meta"):
        sizes = [
            analysis.count_parameters(AuxiliaryHead(maps, 1000, pool="strided", normalisation="none", scale=scaling(1)))
            for maps in (512, 528)
        ]
    assert sizes == [3_188_840, 3_190_888]


def test_auxiliary_classifiers_read_4a_and_4d_in_training_only() -> None:
    network = thin("googlenet", auxiliary=True)
    maps: dict[str, Tensor] = {}
    for name in ("inception_4a", "inception_4d"):
        network.get_submodule(name).register_forward_hook(lambda _m, _x, y, key=name: maps.update({key: y}))
    runs = []
    for name in network.auxiliary_heads:
        network.get_submodule(name).register_forward_hook(lambda _m, _x, _y, key=name: runs.append(key))
    x = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        logits = network(x)
        assert runs == []
        main, first, second = network.training_logits(x)
        assert runs == ["aux1", "aux2"]
        torch.testing.assert_close(main, logits)
        torch.testing.assert_close(first, network.get_submodule("aux1")(maps["inception_4a"]))
        torch.testing.assert_close(second, network.get_submodule("aux2")(maps["inception_4d"]))
        assert len(thin("googlenet").training_logits(x)) == 1
    names = [name for name, _ in network.named_children()]
    assert [names[names.index(head) - 1] for head in network.auxiliary_heads] == ["inception_4a", "inception_4d"]


def test_strided_auxiliary_classifiers_are_trained_on_about_224_pixels() -> None:
    with torch.device("meta"):
        network = thin("googlenet_paper_aux")
        for side in (223, 270):
            assert len(network.train().training_logits(torch.empty(2, 3, side, side))) == 3
        for side in (222, 271):
            x = torch.empty(2, 3, 224, side)
            with pytest.raises(SpecError) as caught:
                network.train()(x)
            assert str(caught.value) == (
                f"googlenet_paper_aux cannot take images of 224 x {side} pixels. Expected 223 to 270 pixels where "
                "auxiliary classifiers are trained. Resize the images, or set auxiliary_pool=adaptive."
            )
            assert network.eval()(x).shape == (2, 5)
            with pytest.raises(RuntimeError):  # the limits are those of the head's full connection
                network.training_logits(x)
        adaptive = thin("googlenet_paper_aux", auxiliary_pool="adaptive").train()
        assert len(adaptive.training_logits(torch.empty(2, 3, 96, 96))) == 3


@pytest.mark.parametrize(("name", "least"), [("googlenet_paper", 31), ("googlenet", 15)])
def test_the_smallest_image(name: str, least: int) -> None:
    network = thin(name)
    assert network(torch.randn(1, 3, least, least)).shape == (1, 5)
    with pytest.raises(SpecError) as caught:
        network(torch.zeros(1, 3, 224, least - 1))
    assert str(caught.value) == (
        f"{name} cannot take images of 224 x {least - 1} pixels. Expected at least {least} x {least}. "
        "Enlarge the images."
    )
    layers = nn.Sequential(*[child for key, child in network.named_children() if key not in ("gap", "dropout", "fc")])
    with pytest.raises(RuntimeError):
        layers(torch.zeros(1, 3, 224, least - 1))


def test_response_normalisation_has_caffes_constants() -> None:
    norms = [child for child in thin().children() if isinstance(child, LocalResponseNorm)]
    assert [norm.constants for norm in norms] == [(5, 1e-4 / 5, 0.75, 1.0)] * 2
    assert not [child for child in thin(response_norm=False).children() if isinstance(child, LocalResponseNorm)]


def test_torchvisions_form_differs_where_the_docstring_says() -> None:
    network = thin("googlenet", auxiliary=True)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(convolutions) == len(norms) == 57 + 2
    assert {norm.eps for norm in norms} == {1e-3}
    assert all(convolution.bias is None for convolution in convolutions)
    assert {convolution.kernel_size for convolution in convolutions} == {(7, 7), (1, 1), (3, 3)}
    assert network.get_submodule("pool4").kernel_size == 2  # type: ignore[comparison-overlap]
    assert network.get_submodule("dropout").p == 0.2  # type: ignore[comparison-overlap]
    assert thin().get_submodule("dropout").p == 0.4  # type: ignore[comparison-overlap]


def test_slid_over_a_picture_the_mean_of_the_answers_is_the_answer() -> None:
    network, x = thin(), torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        dense = network.dense_logits(x)
        assert dense.shape == (2, 5, 3, 2)
        torch.testing.assert_close(dense.mean((2, 3)), network(x))


def test_the_papers_form_starts_as_caffes() -> None:
    network = thin(auxiliary=True)
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            bound = sqrt(3 / layer.weight[0].numel())
            assert layer.weight.abs().max() <= bound, name
            assert layer.weight.std().item() == pytest.approx(bound / sqrt(3), rel=0.25), name
            assert layer.bias is not None
            expected = 0.0 if name in ("fc", "aux1.fc2", "aux2.fc2") else pytest.approx(0.2)
            assert layer.bias.unique().tolist() == [expected], name


def test_torchvisions_form_starts_from_a_cut_normal_distribution() -> None:
    torch.manual_seed(0)
    network = catalogue.create("googlenet", in_channels=3, num_classes=10)
    for name in ("conv1.conv", "inception_4c.5x5.1.conv", "fc"):
        weight = network.get_parameter(f"{name}.weight")
        assert weight.abs().max() <= 0.02
        assert weight.std().item() == pytest.approx(0.01 * 0.88, rel=0.03)


def without_heads(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.startswith("aux")}


def test_weights_with_and_without_auxiliary_classifiers_fit_both_forms() -> None:
    plain, trained = thin("googlenet"), thin("googlenet", auxiliary=True)
    notes = load_tensors(plain, trained.state_dict(), "w")
    assert notes == ("The file's auxiliary head aux1 was left out.", "The file's auxiliary head aux2 was left out.")
    notes = load_tensors(trained, without_heads(trained.state_dict()), "w")
    assert notes == (
        "The file has no auxiliary head aux1: its weights are fresh.",
        "The file has no auxiliary head aux2: its weights are fresh.",
    )


def test_fresh_heads_for_other_classes_are_three() -> None:
    old, network = thin("googlenet", auxiliary=True), thin("googlenet", 7, auxiliary=True)
    notes = load_tensors(network, old.state_dict(), "w", adapt=("head",))
    assert notes == ("Fresh weights for 7 instead of 5 classes: aux1.fc2, aux2.fc2, fc.",)
    assert torch.equal(network.get_parameter("aux1.fc1.weight"), old.get_parameter("aux1.fc1.weight"))


def as_torchvision(network: Network) -> dict[str, Tensor]:
    """Write torchvision's names, by substitutions of their own; without counters, as old files are."""
    branches = {"1x1.0": "branch1", "3x3": "branch2", "5x5": "branch3", "pool": "branch4"}
    state = {}
    for name, tensor in network.state_dict().items():
        if "num_batches" in name:
            continue
        name = {"conv2_reduce": "conv2", "conv2": "conv3"}.get(head := name.split(".")[0], head) + name[len(head) :]  # noqa: PLW2901
        for ours, theirs in branches.items():
            name = name.replace(f".{ours}.", f".{theirs}.") if name.startswith("inception") else name  # noqa: PLW2901
        state[name.replace("inception_", "inception").replace(".norm.", ".bn.")] = tensor
    return state


def test_published_names_and_what_their_weights_expect() -> None:
    """torchvision normalises by ImageNet's statistics and undoes it in the network: (v - 0.5) / 0.5 is what is left."""
    first, second = thin("googlenet", auxiliary=True), thin("googlenet", auxiliary=True)
    for parameter in first.parameters():
        nn.init.normal_(parameter)
    state = as_torchvision(first)
    assert {"conv3.bn.running_var", "inception5b.branch4.1.conv.weight", "aux2.conv.bn.bias"} <= set(state)
    assert load_tensors(second, state, "googlenet-1378be20.pth") == ()
    assert all(torch.equal(tensor, first.state_dict()[name]) for name, tensor in second.state_dict().items())
    made_for = second.pretraining
    assert made_for is not None
    v = torch.rand(3)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    transformed = (v - mean) / std * (std / 0.5) + (mean - 0.5) / 0.5
    torch.testing.assert_close((v - torch.tensor(made_for.mean)) / torch.tensor(made_for.std), transformed)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"width": 0.0}, "x: width=0. Expected more than 0. Correct it."),
        ({"dropout": 1.0}, "x: dropout=1. Expected from 0 up to but not including 1. Correct it."),
        ({"largest_kernel": 4}, "x: largest_kernel=4. Expected one of 3, 5. Correct the value."),
        ({"module": "wide"}, "x: module='wide'. Expected one of reduced, naive. Correct the value."),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        GoogLeNetSpec(name="x").replace(**columns)
    assert str(caught.value) == message
