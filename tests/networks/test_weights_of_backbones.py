"""Weights of another network that one starts from: its backbone's, or an earlier stage's of its training."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pixelwise import catalogue
from pixelwise.errors import WeightsError
from pixelwise.networks import backbones
from pixelwise.specs import Network
from pixelwise.storage.arrays import write_tensors
from pixelwise.storage.atomic import write_json
from pixelwise.training.initial import load_initial_weights, plan_initial_weights
from pixelwise.weights import load_tensors, load_weights

THIN_VGG = {"widths": (3, 4, 5, 6, 7), "depths": (1, 1, 1, 1, 1), "hidden": (6, 5)}


@pytest.fixture(autouse=True)
def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    row = backbones.BACKBONES["vgg16"]
    monkeypatch.setitem(backbones.BACKBONES, "vgg16", row.replace(**THIN_VGG))


def make(name: str, classes: int = 2, channels: int = 3, **columns: object) -> Network:
    return catalogue.spec(name).replace(**columns).build(channels, classes)


def as_torchvision(network: Network) -> dict[str, Tensor]:
    """VGG's names there: a long sequence, by the places of layers with their activations and poolings."""
    trunk, head = {}, {"fc6.linear": 0, "fc7.linear": 3, "fc8": 6}
    place = 0
    for block in range(1, 6):
        for kind in ("weight", "bias"):
            trunk[f"features.{place}.{kind}"] = network.state_dict()[f"block{block}.0.conv.{kind}"]
        place += 3
    return trunk | {
        f"classifier.{number}.{kind}": network.state_dict()[f"{name}.{kind}"]
        for name, number in head.items()
        for kind in ("weight", "bias")
    }


def test_a_classifiers_trunk_goes_into_a_u_net() -> None:
    classifier, network = make("resnet20_cifar", 10), make("unet_resnet34", backbone="resnet20_cifar")
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    notes = load_tensors(network, classifier.state_dict(), "r20")
    assert notes == (
        "Taken from weights of resnet20_cifar, its backbone, without fc; fresh: up2, dec2, up1, dec1, out.",
    )
    trunk, own = classifier.state_dict(), network.state_dict()
    for name in own:
        assert torch.equal(own[name], trunk.get(name, fresh[name])), name
    x = torch.randn(1, 3, 16, 16)
    for ours, theirs in zip(network.eval().features(x), classifier.eval().features(x), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_published_names_are_understood_and_pictures_expected_as_published() -> None:
    classifier, network = make("vgg16", 10, **THIN_VGG), make("fcn32s")
    notes = load_tensors(network, as_torchvision(classifier), "vgg16.pth")
    assert notes == ("Taken from weights of vgg16, its backbone, without fc8; fresh: score_fr, up.",)
    assert network.pretraining is not None
    assert network.pretraining.source == "torchvision"
    filters = network.state_dict()["fc6.linear.weight"]
    assert torch.equal(filters.flatten(1), classifier.state_dict()["fc6.linear.weight"])
    assert not network.state_dict()["score_fr.weight"].any()


def test_a_u_net_on_vgg_takes_no_full_connections() -> None:
    classifier, network = make("vgg16", 10, **THIN_VGG), make("unet_resnet34", backbone="vgg16")
    notes = load_tensors(network, as_torchvision(classifier), "vgg16.pth")
    assert notes[0].startswith("Taken from weights of vgg16, its backbone, without fc6, fc7, fc8; fresh: up5, ")


def test_a_finer_fcn_goes_on_from_a_coarser_one() -> None:
    torch.manual_seed(0)
    first = make("fcn32s", 4)
    torch.nn.init.normal_(first.get_submodule("score_fr").weight)
    second, third = make("fcn16s", 4), make("fcn8s", 4)
    assert load_tensors(second, first.state_dict(), "32s") == (
        "Taken from weights of fcn32s, an earlier stage of its training; fresh: upscore2, score_pool4, up.",
    )
    x = torch.randn(1, 3, 40, 60)
    assert torch.equal(second.state_dict()["score_fr.weight"], first.state_dict()["score_fr.weight"])
    coarse, fine = first.eval()(x), second.eval()(x)
    assert (coarse - fine).norm() < 0.3 * coarse.norm()  # the new skip says nothing yet: the same answer, smoother
    assert "fresh: upscore_pool4, score_pool3, up." in load_tensors(third, second.state_dict(), "16s")[0]
    assert "fresh: upscore2, score_pool4" in load_tensors(make("fcn8s", 4), first.state_dict(), "32s")[0]


def test_other_classes_of_an_earlier_stage_are_refused_unless_a_fresh_head_is_asked_for() -> None:
    first = make("fcn32s", 4)
    with pytest.raises(WeightsError, match="holds weights for 4 classes"):
        load_tensors(make("fcn16s", 7), first.state_dict(), "32s")
    notes = load_tensors(make("fcn16s", 7), first.state_dict(), "32s", adapt=["head"])
    assert notes[0].startswith("Fresh weights for 7 instead of 4 classes: score_fr, up")


def test_deeplab_goes_on_at_the_other_output_stride(tmp_path: Path) -> None:
    coarse = make("deeplabv3_resnet50", backbone="resnet20_cifar", output_stride=16)
    folder = record(tmp_path / "run" / "model", coarse)
    fine = make("deeplabv3_resnet50", backbone="resnet20_cifar", output_stride=8)
    assert load_weights(fine, folder) == ()
    assert all(torch.equal(tensor, fine.state_dict()[name]) for name, tensor in coarse.state_dict().items())


def test_other_channels_are_adapted_in_the_trunk_as_everywhere() -> None:
    classifier, network = make("resnet20_cifar", 10), make("unet_resnet34", channels=1, backbone="resnet20_cifar")
    with pytest.raises(WeightsError, match="holds weights for pictures of 3 channels"):
        load_tensors(network, classifier.state_dict(), "r20")
    notes = load_tensors(network, classifier.state_dict(), "r20", adapt=["input", "head"])
    assert notes[0] == "The first layer's filters were brought from 3 to 1 channel."
    assert notes[1].startswith("Taken from weights of resnet20_cifar")


def record(folder: Path, network: Network) -> Path:
    folder.mkdir(parents=True)
    write_tensors(folder / "weights.safetensors", network.state_dict(), {})
    write_json(folder / "model.json", {"format": 1, "spec": network.spec.to_json()})
    return folder


def test_a_run_of_the_backbone_is_accepted_and_one_of_another_refused(tmp_path: Path) -> None:
    network = make("unet_resnet34", backbone="resnet20_cifar")
    assert load_weights(network, record(tmp_path / "right", make("resnet20_cifar", 10)))
    other = record(tmp_path / "wrong", make("plain20_cifar", 10))
    with pytest.raises(WeightsError) as caught:
        load_weights(network, other)
    assert str(caught.value) == (
        f"{other / 'weights.safetensors'} holds weights of another network, plain20_cifar: shortcut=none instead of A. "
        "Expected weights of resnet20_cifar as it is. Take the network that the weights belong to, or give other "
        "weights."
    )


def test_weights_of_another_backbone_are_refused_by_its_name() -> None:
    network = make("unet_resnet34", backbone="resnet20_cifar")
    with pytest.raises(WeightsError, match=r"r32 does not fit resnet20_cifar: stage1\.3\.residual.* is not in the"):
        load_tensors(network, make("resnet32_cifar", 10).state_dict(), "r32")


def test_a_file_of_the_network_itself_stays_one() -> None:
    network, other = (make("unet_resnet34", backbone="resnet20_cifar") for _ in range(2))
    assert load_tensors(network, other.state_dict(), "own") == ()
    damaged = {name: tensor for name, tensor in other.state_dict().items() if name != "out.bias"}
    with pytest.raises(WeightsError, match=r"own does not fit unet_resnet34: out\.bias is missing"):
        load_tensors(network, damaged, "own")


def test_a_training_run_records_what_it_took(tmp_path: Path) -> None:
    file = tmp_path / "r20.safetensors"
    write_tensors(file, make("resnet20_cifar", 10).state_dict(), {})
    spec = catalogue.spec("fcn32s", backbone="resnet20_cifar")
    with torch.device("meta"):
        planned = plan_initial_weights(file, (), spec.build(3, 2))
    assert planned is not None
    assert planned["notes"] == ["Taken from weights of resnet20_cifar, its backbone, without fc; fresh: score."]
    network = spec.build(3, 2)
    load_initial_weights(network, planned)
    assert not network.state_dict()["score.weight"].any()
