"""DeepLab-v3, and the network that it shares its dilated trunk with: rates, output strides, heads, refusals."""

import pytest
import torch
from torch import nn

from pixelwise import catalogue
from pixelwise.errors import SpecError
from pixelwise.layers.dilated import DilatedNetwork
from pixelwise.networks.segmentation.deeplabv3 import AtrousPyramid


def rates(network: nn.Module) -> list[int]:
    return [m.dilation[0] for m in network.get_submodule("aspp.branches").modules() if isinstance(m, nn.Conv2d)]


def test_the_same_weights_run_at_both_output_strides() -> None:
    sixteen = catalogue.spec("deeplabv3_r50_os16")
    with torch.device("meta"):
        coarse, fine = sixteen.build(3, 21).eval(), sixteen.replace(output_stride=8).build(3, 21).eval()
    assert rates(coarse) == [1, 6, 12, 18, 1]
    assert rates(fine) == [1, 12, 24, 36, 1]
    fine.load_state_dict(coarse.state_dict())
    x = torch.empty(1, 3, 513, 513, device="meta")
    assert [maps.shape[-1] for maps in coarse.features(x)] == [129, 65, 33, 33]
    assert [maps.shape[-1] for maps in fine.features(x)] == [129, 65, 65, 65]
    assert coarse(x).shape == fine(x).shape == (1, 21, 513, 513)


def test_the_pyramid_is_the_sum_of_its_branches() -> None:
    """Figure 5 written out: the projection of the joined branches, of which one sees the mean alone."""
    torch.manual_seed(0)
    pyramid = AtrousPyramid(8, (1, 2), 0.0).eval()
    x = torch.randn(2, 8, 9, 7)
    one, first, second, image = pyramid.branches
    mean = image.unit(x.mean((2, 3), keepdim=True)).expand(-1, -1, 9, 7)
    joined = torch.cat([one(x), first(x), second(x), mean], dim=1)
    torch.testing.assert_close(pyramid(x), pyramid.project(joined))


def test_a_batch_of_one_picture_is_refused_in_training_only() -> None:
    network = catalogue.create("deeplabv3_resnet50", backbone="resnet20_cifar", in_channels=3, num_classes=2)
    with pytest.raises(SpecError) as caught:
        network(torch.randn(1, 3, 16, 16))
    assert str(caught.value) == (
        "image pooling in training: a batch of one picture. Expected at least two pictures: of one, batch "
        "normalisation sees a single value of every map. Set a larger batch_size, or choose a network without image "
        "pooling such as fcn_resnet50."
    )
    assert network.eval()(torch.randn(1, 3, 17, 21)).shape == (1, 2, 17, 21)


@pytest.mark.parametrize("name", ["fcn_resnet50", "deeplabv3_resnet50"])
def test_auxiliary_logits_have_the_pictures_size_and_cost_nothing_in_evaluation(name: str) -> None:
    spec = catalogue.spec(name, backbone="resnet20_cifar").replace(auxiliary=True)
    network = spec.build(3, 4).train()
    assert isinstance(network, DilatedNetwork)
    assert [logits.shape for logits in network.training_logits(torch.randn(2, 3, 18, 25))] == [(2, 4, 18, 25)] * 2
    assert network.heads[0] == "aux.score"
    plain = spec.replace(auxiliary=False).build(3, 4)
    assert {key.split(".")[0] for key in set(network.state_dict()) - set(plain.state_dict())} == {"aux"}


@pytest.mark.parametrize("name", ["fcn_resnet50", "deeplabv3_r50_os16"])
def test_only_residual_networks_are_dilated(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec(name, backbone="vgg16")
    assert str(caught.value) == (
        f"{name}: backbone=vgg16 has no dilated form. Expected a row of family resnet. "
        "Choose another, such as resnet50; fcn32s stands on every backbone."
    )


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        (
            "deeplabv3_r50_os16",
            {"output_stride": 32},
            "deeplabv3_r50_os16: output_stride=32, rates=(6, 12, 18), dropout=0.0. Expected output_stride 16 or 8; "
            "positive rates, at least one; a dropout from 0 up to, but not 1. Correct them.",
        ),
        (
            "deeplabv3_r50_os16",
            {"backbone": "resnet18"},
            "resnet18: multi_grid=(1, 2, 4) with output_stride=16 and depths=(2, 2, 2, 2). Expected one positive "
            "factor for each block of the last stage, and output_stride=16 or 8. Correct them, or leave multi_grid "
            "empty.",
        ),
        (
            "fcn_resnet50",
            {"dropout": 1.0},
            "fcn_resnet50: dropout=1.0. Expected a number from 0 up to, but not 1. Correct it.",
        ),
    ],
)
def test_impossible_columns_are_refused(name: str, columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec(name).replace(**columns)
    assert str(caught.value) == message


def test_pictures_smaller_than_the_stride_are_refused() -> None:
    with torch.device("meta"):
        network = catalogue.create("fcn_resnet50", in_channels=3, num_classes=2)
    with pytest.raises(SpecError) as caught:
        network.check_size(7, 100)
    assert str(caught.value) == (
        "fcn_resnet50 cannot take images of 7 x 100 pixels. Expected at least 8 x 8. Enlarge the images."
    )
