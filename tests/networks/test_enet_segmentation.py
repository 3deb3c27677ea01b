"""ENet with its decoder: its blocks by hand, the three forms, any size, and weights that saw real streets."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise import catalogue
from pixelwise.errors import SpecError, WeightsError
from pixelwise.networks.classification.enet_blocks import AUTHORS, UpsamplingBottleneck
from pixelwise.networks.segmentation.enet import FORMS, FormName
from pixelwise.specs import Network
from pixelwise.weights import load_tensors

SMALL = {"early_depth": 1, "context": ("regular", "asymmetric5"), "repeats": 1}


def small(name: str = "enet", classes: int = 3) -> Network:
    torch.manual_seed(0)
    return catalogue.spec(name).replace(**SMALL).build(3, classes).eval()


def spread(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            tensor.normal_(std=0.4)
    return module.eval()


def places_of(y: Tensor) -> tuple[Tensor, Tensor]:
    """Maxima of 2x2 pixels and where they lie, one by one."""
    n, maps, height, width = y.shape
    values, places = torch.zeros(n, maps, height // 2, width // 2), torch.zeros(n, maps, height // 2, width // 2).long()
    for index in np.ndindex(*values.shape):
        one, channel, i, j = index
        window = [(y[one, channel, r, c].item(), r * width + c) for r in (2 * i, 2 * i + 1) for c in (2 * j, 2 * j + 1)]
        values[index], places[index] = max(window)
    return values, places


def unpooled(x: Tensor, places: Tensor, height: int, width: int) -> Tensor:
    y = torch.zeros(*x.shape[:2], height * width)
    for one, channel, i, j in np.ndindex(*x.shape):
        y[one, channel, places[one, channel, i, j]] = x[one, channel, i, j]
    return y.reshape(*x.shape[:2], height, width)


def scattered(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Each pixel times the kernel at twice its place: what lies beyond twice the size is lost, of 3x3 at the start."""
    kernel = state["weight"]
    side = kernel.shape[-1]
    y = torch.zeros(len(x), kernel.shape[1], 2 * x.shape[2] + 1, 2 * x.shape[3] + 1)
    for i, j in np.ndindex(*x.shape[2:]):
        y[..., 2 * i : 2 * i + side, 2 * j : 2 * j + side] += torch.einsum("nc,cokl->nokl", x[..., i, j], kernel)
    y = y[..., 1:, 1:] if side == 3 else y[..., :-1, :-1]
    return y + state["bias"][:, None, None] if "bias" in state else y


def norm(module: nn.Module, x: Tensor, epsilon: float) -> Tensor:
    state = {name: tensor[:, None, None] for name, tensor in module.state_dict().items() if tensor.ndim}
    return (x - state["running_mean"]) / (state["running_var"] + epsilon).sqrt() * state["weight"] + state["bias"]


@pytest.mark.parametrize("kernel", [2, 3])
def test_doubling_bottlenecks_put_values_back_where_maxima_were(kernel: int) -> None:
    form = (AUTHORS if kernel == 3 else FORMS["davidtvs"]).of_decoder
    block = spread(UpsamplingBottleneck(8, 4, 0.1, form))
    y, x = torch.randn(2, 4, 6, 10), torch.randn(2, 8, 3, 5)
    _, places = places_of(y)
    parts = {name: part.state_dict() for name, part in block.named_modules()}
    own = dict(block.named_modules())
    shortcut = norm(own["shortcut.norm"], F.conv2d(x, parts["shortcut.conv"]["weight"]), form.epsilon)
    z = norm(own["branch.project.norm"], F.conv2d(x, parts["branch.project.conv"]["weight"]), form.epsilon).relu()
    doubled = scattered(z, parts["branch.middle.conv"])
    z = norm(own["branch.middle.norm"], doubled, form.epsilon).relu()
    z = norm(own["branch.norm"], F.conv2d(z, parts["branch.expand"]["weight"]), form.epsilon)
    expected = (unpooled(shortcut, places, 6, 10) + z).relu()
    torch.testing.assert_close(block(x, places), expected, rtol=1e-4, atol=1e-4)


def test_places_of_the_encoder_are_those_of_the_maxima() -> None:
    network = small()
    places: list[Tensor] = []
    x = torch.randn(1, 16, 6, 8)
    block = network.get_submodule("bottleneck1_0")
    assert torch.equal(block(x, places), block(x))
    assert torch.equal(places[0], places_of(x)[1])


def test_each_up_sampling_gets_the_places_of_its_own_down_sampling() -> None:
    network = small()
    seen: dict[str, Tensor] = {}
    for name in ("bottleneck1_0", "bottleneck2_0"):
        network.get_submodule(name).register_forward_hook(
            lambda _m, given, _y, name=name: seen.update({name: given[1][-1]})
        )
    for name in ("bottleneck3_0", "bottleneck4_0"):  # one repeat of the context: the decoder begins at 3
        network.get_submodule(name).register_forward_hook(
            lambda _m, given, _y, name=name: seen.update({name: given[1]})
        )
    network(torch.randn(1, 3, 32, 48))
    assert seen["bottleneck3_0"] is seen["bottleneck2_0"]
    assert seen["bottleneck4_0"] is seen["bottleneck1_0"]
    assert seen["bottleneck4_0"].shape == (1, 16, 8, 12)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (45, 83), (8, 16)])
@pytest.mark.parametrize("form", FORMS)
def test_every_size_is_padded_and_cropped_back(form: FormName, size: tuple[int, int]) -> None:
    network = small({"authors": "enet"}.get(form, f"enet_{form}"))
    x = torch.randn(2, 3, *size)
    bottom, right = -size[0] % 8, -size[1] % 8
    with torch.no_grad():
        found, whole = network(x), network(F.pad(x, (0, right, 0, bottom)))
    assert found.shape == (2, 3, *size)
    assert torch.equal(found, whole[..., : size[0], : size[1]])
    assert network.output_size(*size) == network.input_size_for(*size) == size


def test_the_forms_differ_in_what_their_table_says() -> None:
    kinds = {
        name: [type(module) for part, module in small(name).named_modules() if "bottleneck4" in part and "act" in part]
        for name in ("enet", "enet_davidtvs", "enet_davidtvs_2018")
    }
    assert set(kinds["enet"]) == set(kinds["enet_davidtvs"]) == {nn.ReLU}
    assert set(kinds["enet_davidtvs_2018"]) == {nn.PReLU}
    state = {name: small(name).state_dict() for name in kinds}
    assert state["enet"]["fullconv.bias"].shape == (3,)
    assert "fullconv.bias" not in state["enet_davidtvs"]
    slopes = {
        name: (len(found["bottleneck1.0.branch.project.act.weight"]), len(found["bottleneck1.0.act.weight"]))
        for name, found in state.items()
    }
    assert slopes == {"enet": (16, 64), "enet_davidtvs": (1, 1), "enet_davidtvs_2018": (1, 64)}


def test_the_encoder_can_start_from_the_classifiers_weights() -> None:
    encoder = catalogue.spec("enet_classifier").replace(**SMALL).build(3, 5)
    whole = small(classes=7)
    before = whole.state_dict()["fullconv.weight"].clone()
    (note,) = load_tensors(whole, encoder.state_dict(), "file")
    assert note == (
        "Taken from weights of enet_classifier, its backbone, without fc; fresh: bottleneck3_0, bottleneck3, "
        "bottleneck4_0, bottleneck4, fullconv."
    )
    for name, tensor in encoder.state_dict().items():
        if not name.startswith("fc."):
            assert torch.equal(whole.state_dict()[name], tensor)
    assert torch.equal(whole.state_dict()["fullconv.weight"], before)
    assert catalogue.spec("enet_davidtvs").precursors == ()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"widths": (6, 16, 32)},
            "enet: widths=(6, 16, 32), decoder_depths=(2, 1). Expected widths that are multiples of 4, and depths of 0 "
            "or more. Correct them.",
        ),
        (
            {"decoder_dropout": 1.0},
            "enet: decoder_dropout=1. Expected a rate from 0 up to but not including 1. Correct it.",
        ),
    ],
)
def test_impossible_columns_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec("enet").replace(**columns)
    assert str(caught.value) == message


def test_too_many_channels_are_refused() -> None:
    with pytest.raises(SpecError, match=r"in_channels=16\. Expected fewer than the initial block's 16 maps"):
        catalogue.create("enet", in_channels=16, num_classes=2)


# --- weights of 2018 ------------------------------------------------------------------------------------------------


def in_2018(name: str) -> str:
    """How the implementation of that spring called a tensor of ours: the inverse of the name map, written by hand."""
    block, *rest = name.split(".")
    if block == "initial":
        return (
            "initial_block."
            + {"conv": "main_branch", "norm": "batch_norm", "act": "out_prelu"}[rest[0]]
            + "."
            + rest[1]
        )
    if block == "fullconv":
        return f"transposed_conv.{rest[0]}"
    group = int(block[10])
    if block.endswith("_0"):
        place = f"{'down' if group < 3 else 'up'}sample{group}_0"
        kind = ""
    else:
        number = int(rest.pop(0))
        names = ["regular", "dilated", "asymmetric", "dilated"] * 2
        kind = names[number] if group in (2, 3) else "regular"
        place = f"{kind}{group}_{number if group == 3 else number + 1}"
    path = ".".join(rest[:-1])
    numbers = {"conv": 0, "norm": 1, "act": 2}
    if path == "act":
        return f"{place}.out_prelu.{rest[-1]}"
    if path.startswith("shortcut"):
        return f"{place}.main_conv1.{numbers[rest[1]]}.{rest[-1]}"
    if path in ("branch.expand", "branch.norm", "branch.act"):
        return f"{place}.ext_conv3.{ {'expand': 0, 'norm': 1, 'act': 2}[rest[1]] }.{rest[-1]}"
    column = 1 if rest[1] == "project" else 2
    step = 3 * int(rest[2]) if kind == "asymmetric" and column == 2 else 0
    return f"{place}.ext_conv{column}.{numbers[rest[-2]] + step}.{rest[-1]}"


def test_weights_of_2018_go_where_they_belong() -> None:
    network = catalogue.create("enet_davidtvs_2018", in_channels=3, num_classes=12)
    own = {name: tensor for name, tensor in network.state_dict().items() if tensor.ndim}
    theirs = {in_2018(name): torch.randn_like(tensor) for name, tensor in own.items()}
    assert len(theirs) == len(own) == 554
    assert load_tensors(network, theirs, "file") == ()
    for name in own:
        assert torch.equal(network.state_dict()[name], theirs[in_2018(name)])
    assert network.pretraining is not None
    assert (network.pretraining.mean, network.pretraining.std) == ((0.0,) * 3, (1.0,) * 3)
    with pytest.raises(WeightsError, match=r"weights of another network.*Set form=davidtvs_2018"):
        load_tensors(catalogue.create("enet", in_channels=3, num_classes=12), theirs, "file")


@pytest.mark.slow
def test_published_weights_know_real_streets(data_folder: Path) -> None:
    """The mean over CamVid's 11 classes of intersection over union, on the 40 test pictures; unlabelled is left out."""
    file = data_folder / "weights" / "enet_camvid" / "davidtvs_ENet_default_2018-03-04.pth"
    folder = data_folder / "camvid_small" / "test"
    if not file.exists() or not folder.exists():
        pytest.skip(f"{data_folder} has no weights/enet_camvid, or no camvid_small")
    network = catalogue.create("enet_davidtvs_2018", in_channels=3, num_classes=12, weights=file).eval()
    counts = np.zeros((11, 12), np.int64)
    for path in sorted((folder / "image").glob("*.png")):
        picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        truth = cv2.imread(str(folder / "label" / path.name), cv2.IMREAD_UNCHANGED).astype(np.int64)
        x = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            found = network(x)[0].argmax(0).numpy()
        is_known = truth < 11
        counts += np.bincount(12 * truth[is_known] + found[is_known], minlength=132).reshape(11, 12)
    hits = np.diag(counts[:, :11])
    assert counts.sum() > 6_000_000
    assert (hits / (counts.sum(1) + counts[:, :11].sum(0) - hits)).mean() >= 0.53
    assert hits.sum() / counts.sum() >= 0.84
