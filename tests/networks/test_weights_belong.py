"""Weights of another network with the same names and shapes: told apart by what is known of the file, and refused."""

import contextlib
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import torch

from foreign_names import as_akamaster
from pixelwise import catalogue
from pixelwise.errors import SpecError, WeightsError
from pixelwise.specs import Network, Spec
from pixelwise.storage.arrays import write_tensors
from pixelwise.storage.atomic import write_json
from pixelwise.weights import LAYOUTS, check_file, load_tensors, load_weights
from pixelwise.weights.published import PUBLISHED
from pixelwise.weights.record import TRAINING_COLUMNS


def cifar() -> Network:
    return catalogue.create("resnet20_cifar", in_channels=3, num_classes=10)


# Published files


def test_a_network_without_shortcuts_refuses_published_weights_of_one_with_them() -> None:
    plain = catalogue.create("plain20_cifar", in_channels=3, num_classes=10)
    with pytest.raises(WeightsError) as caught:
        load_tensors(plain, as_akamaster(cifar()), "w.pth")
    assert str(caught.value) == (
        "w.pth holds weights of another network, as akamaster/pytorch_resnet_cifar10 builds it: shortcut=A instead of "
        "none. Expected weights of plain20_cifar as it is. Create resnet20_cifar, or set shortcut=A."
    )


def test_where_no_column_can_be_set_the_message_says_so() -> None:
    deeper = next(
        row for name in catalogue.names() if (row := catalogue.spec(name)).family == "nin" and "cifar" not in name
    )
    with pytest.raises(WeightsError, match=r"as it is\. Create the network that the weights belong to\.$"):
        LAYOUTS["nin"][0].check_spec(deeper, "w.pt")


REFERENCES = {
    "alexnet": "alexnet", "bn_inception": "bn_inception_p128", "convnext": "convnext_tiny", "densenet": "densenet121",
    "enet": "enet_davidtvs_2018", "fcn_resnet": "fcn_resnet50", "deeplabv3": "deeplabv3_resnet50",
    "googlenet": "googlenet", "inception_resnet": "inception_resnet_v2", "inception_v3": "inception_v3",
    "inception_v4": "inception_v4", "nin": "nin_cifar", "preact_resnet": "resnetv2_50", "resnet": "resnet50",
    "vgg": "vgg11", "vnet": "vnet_monai", "wide_resnet": "wide_resnet50_2",
}  # fmt: skip
"""A row of every family whose weights others have published."""


def other_values(value: object, kind: object) -> list[object]:
    if get_origin(kind) is Literal:
        return [word for word in get_args(kind) if word != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value * 2, value / 2 if isinstance(value, float) else value - 1]
    if isinstance(value, tuple) and value and isinstance(value[0], int | float):
        return [(*value[:-1], value[-1] + 1), tuple(2 * number for number in value)]
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        return [tuple("average" for _ in value)]
    return []


def shapes(spec: Spec) -> dict[str, torch.Size] | None:
    try:
        with torch.device("meta"):
            return {name: tensor.shape for name, tensor in spec.build(3, 10).state_dict().items()}
    except SpecError:
        return None


@pytest.mark.parametrize("family", LAYOUTS)
def test_every_column_that_leaves_no_mark_in_a_file_is_checked(family: str) -> None:
    """Where another value of a column gives the same shapes, some layout of the family has to insist on its value."""
    spec = catalogue.spec(REFERENCES[family])
    own, kinds = shapes(spec), get_type_hints(type(spec))
    # nin_cifar's files fit at 35 x 35 pixels, where its poolings agree; its image size heeds other heads alone.
    free = TRAINING_COLUMNS | ({"pooling", "image_size"} if family == "nin" else set())
    for column in spec.columns():
        for value in other_values(getattr(spec, column), kinds[column]):
            try:
                other = spec.replace(**{column: value})
            except SpecError:
                continue
            if column in free or shapes(other) != own:
                continue
            for layout in LAYOUTS[family]:
                if layout.pretraining.source.startswith("akamaster"):
                    continue
                layout.check_spec(spec, "w")
                with pytest.raises(WeightsError, match=f"another network, as .* builds it: {column}="):
                    layout.check_spec(other, "w")


def test_published_rows_have_the_columns_that_their_layouts_need() -> None:
    for entry in PUBLISHED:
        spec = catalogue.spec(entry.network)
        fits = 0
        for layout in LAYOUTS[spec.family]:
            with contextlib.suppress(WeightsError):
                layout.check_spec(spec, "w")
                fits += 1
        assert fits, entry.network


# Weights of runs


def write_record(folder: Path, network: Network) -> Path:
    folder.mkdir(parents=True)
    write_tensors(folder / "weights.safetensors", network.state_dict(), {})
    write_json(folder / "model.json", {"format": 1, "spec": network.spec.to_json()})
    return folder / "weights.safetensors"


def test_a_run_its_model_and_its_record_are_accepted_as_weights(tmp_path: Path) -> None:
    first = cifar()
    file = write_record(tmp_path / "run" / "model", first)
    for path in (tmp_path / "run", file.parent, file, file.with_name("model.json")):
        assert check_file(path) == file
        second = catalogue.create("resnet20_cifar", in_channels=3, num_classes=10, weights=path).state_dict()
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.state_dict().items())


def test_the_record_beside_weights_tells_networks_of_equal_shapes_apart(tmp_path: Path) -> None:
    file = write_record(tmp_path / "model", cifar())
    plain = catalogue.create("plain20_cifar", in_channels=3, num_classes=10)
    with pytest.raises(WeightsError) as caught:
        load_weights(plain, file)
    assert str(caught.value) == (
        f"{file} holds weights of another network, resnet20_cifar: shortcut=A instead of none. Expected weights of "
        "plain20_cifar as it is. Take the network that the weights belong to, or give other weights."
    )
    with pytest.raises(WeightsError, match=r"another network, resnet20_cifar: family resnet instead of lenet\."):
        load_weights(catalogue.create("lenet5", in_channels=1, num_classes=10), file)


def test_columns_of_training_may_differ(tmp_path: Path) -> None:
    spec = catalogue.spec("wrn_16_4_cifar").replace(depth=10, widening=1)
    file = write_record(tmp_path / "model", spec.build(3, 10))
    assert load_weights(spec.replace(dropout=0.3).build(3, 10), file) == ()


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"spec": 3}', b'{"spec": {"family": "resnet"}}'])
def test_a_record_that_cannot_be_read_proves_nothing(content: bytes, tmp_path: Path) -> None:
    file = write_record(tmp_path / "model", cifar())
    file.with_name("model.json").write_bytes(content)
    load_weights(cifar(), file)


SMALL_ALEXNET: dict[str, object] = {"widths": (8, 8, 8, 8, 8), "groups": (1, 1, 1, 1, 1), "hidden": (16, 16)}
CHANGED: tuple[tuple[str, dict[str, object], dict[str, object]], ...] = (
    (
        "alexnet",
        {"dropout": 0.1, "dropout_place": "after", "initialisation": "normal", "hidden_bias": 0.5},
        SMALL_ALEXNET,
    ),
    ("vgg11", {"dropout": 0.1, "initialisation": "normal"}, {"widths": (4, 4, 8, 8, 8), "hidden": (16, 16)}),
    ("nin_cifar", {"dropouts": (0.1, 0.1), "stds": (0.1,) * 3, "class_std": 0.3, "head_dropout": 0.2}, {}),
    ("googlenet", {"dropout": 0.1, "auxiliary": True, "auxiliary_pool": "strided"}, {"width": 0.25}),
    ("enet", {"decoder_dropout": 0.2}, {"early_depth": 1, "repeats": 1}),
    ("densenet40_k12_cifar", {"dropout": 0.3, "memory_efficient": True}, {}),
    ("convnext_tiny", {"stochastic_depth": 0.5, "layer_scale": 0.1}, {"depths": (1, 1), "widths": (8, 16)}),
    ("preresnet50", {"gate_bias": -1.0}, {"depths": (1, 1), "widths": (4, 8), "shortcut": "exclusive_gate"}),
    ("preresnet50", {"shortcut_dropout": 0.2}, {"depths": (1, 1), "widths": (4, 8), "shortcut": "dropout"}),
)
"""Rows, the columns of training to change, and columns that make them small."""


def test_columns_of_training_change_no_answer() -> None:
    assert {column for _, changes, _ in CHANGED for column in changes} == TRAINING_COLUMNS
    for name, changes, small in CHANGED:
        spec = catalogue.spec(name).replace(**small)
        other = spec.replace(**changes)
        assert all(getattr(spec, column) != value for column, value in changes.items()), name
        first, second = spec.build(3, 4).eval(), other.build(3, 4).eval()
        state = first.state_dict()
        second.load_state_dict({name: state.get(name, tensor) for name, tensor in second.state_dict().items()})
        x = torch.rand(1, 3, *(spec.fixed_size or ((32, 32) if "cifar" in name else (96, 96))))
        with torch.no_grad():
            assert torch.equal(first(x), second(x)), name
