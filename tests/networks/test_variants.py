"""Rows that are not in a paper say so, and what they are."""

import json

import pytest
from typer.testing import CliRunner

from pixelwise import catalogue
from pixelwise.cli.main import app

VARIANTS = {
    *("lenet5_simplified", "lenet5_relu", "lenet_caffe", "pml_cnn", "mlp_784_128_128_10"),
    *("nin_imagenet", "bn_nin_cifar", "bn_nin_imagenet"),
    *("googlenet", "bn_inception_p128"),
    *("alexnet_nogroups", "bn_alexnet_2012", "alexnet", "bn_alexnet"),
    *("vgg11_bn", "vgg11_lrn_bn", "vgg13_bn", "vgg16c_bn", "vgg16_bn", "vgg19_bn"),
    *("resnet50", "resnet101", "resnet152"),
    *("preresnet50", "preresnet101", "wide_resnet101_2"),
    *("resnetv2_18", "resnetv2_34", "resnetv2_50", "resnetv2_101", "resnetv2_152"),
    *("enet_classifier", "enet_davidtvs", "enet_davidtvs_2018", "lenet_crf"),
    *("vnet_prototxt", "vnet_monai"),
    "inception_resnet_v2",
    *("unet_keras16", "unet_keras32", "unet_keras16_nobn", "unet_zhixuhao"),
    *("unet_milesial", "unet_milesial_bilinear", "unet16", "unet3d16", "fcn_inception_v3"),
    *("unet_resnet18", "unet_resnet34", "unet_resnet50", "unet_vgg11", "unet_vgg16_bn"),
    *("unet_densenet121", "unet_convnext_tiny"),
    *("fcn_resnet50", "fcn_resnet101", "tv_deeplabv3_resnet50", "tv_deeplabv3_resnet101"),
}


def test_which_rows_are_variants() -> None:
    assert {name for name in catalogue.names() if catalogue.spec(name).facts.variant} == VARIANTS


@pytest.mark.parametrize(
    ("name", "start"),
    [
        (
            "lenet5_relu",
            "lenet5_relu: not in the paper, but a variant of it (ReLU and maximum pooling, 28x28 padded by 2).\n"
            "The paper: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, “Gradient-based learning applied to document "
            "recognition”, Proceedings of the IEEE 86(11) (doi:10.1109/5.726791)\n",
        ),
        (
            "unet",
            "unet: O. Ronneberger, P. Fischer, T. Brox, “U-Net: Convolutional networks for biomedical image "
            "segmentation”, MICCAI 2015 (arXiv:1505.04597), figure 1\n",
        ),
    ],
)
def test_the_command_says_so(name: str, start: str) -> None:
    assert CliRunner().invoke(app, ["nets", name]).output.startswith(start)


def test_and_so_does_its_json() -> None:
    content = json.loads(CliRunner().invoke(app, ["nets", "unet16", "--json"]).output)
    assert (content["table"], content["variant"]) == (None, "for small data")
    content = json.loads(CliRunner().invoke(app, ["nets", "lenet5", "--json"]).output)
    assert (content["table"], content["variant"]) == ("figure 2, table I", None)
