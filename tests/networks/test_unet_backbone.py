"""U-Net's expanding path on classification networks: every backbone, sizes, joins, refusals."""

from math import prod

import pytest
import torch
from torch import nn

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError
from pixelwise.layers.sizes import pad_to_multiple
from pixelwise.networks import backbones
from pixelwise.networks.segmentation.unet_backbone import SPECS

LIGHTEST = {
    min((row.facts.macs, row.name) for row in backbones.BACKBONES.values() if row.facts and row.family == family)[1]
    for family in {row.family for row in backbones.BACKBONES.values()}
}
BACKBONES = [name if name in LIGHTEST else pytest.param(name, marks=pytest.mark.slow) for name in backbones.BACKBONES]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_serves_at_any_size(backbone: str) -> None:
    with torch.device("meta"):
        network = catalogue.create("unet_resnet34", backbone=backbone, in_channels=4, num_classes=5).eval()
    for size in ((97, 131), (224, 192)):
        with torch.no_grad():
            assert network(torch.empty(1, 4, *size, device="meta")).shape == (1, 5, *size)
    depending = {key for key, tensor in network.state_dict().items() if tensor.ndim and 5 in tensor.shape[:1]}
    assert {key.rpartition(".")[0] for key in depending} == set(network.heads) == {"out"}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_parameters_are_those_of_trunk_and_path(spec: nn.Module) -> None:
    """Counted from the table: the trunk without its classifier, and each level's three layers."""
    row = backbones.BACKBONES[spec.backbone]
    with torch.device("meta"):
        trunk = row.build(3, 2)
    ends = [stage.module for stage in trunk.stages]
    children = list(trunk.named_children())
    cut = [name for name, _ in children].index(ends[-1]) + 1
    expected = sum(analysis.count_parameters(child) for _, child in children[:cut])
    channels, skips = trunk.stages[-1].channels, {stage.stride: stage.channels for stage in trunk.stages}
    for level in (5, 4, 3, 2, 1):
        width, skip = spec.widths[level - 1], skips.get(2 ** (level - 1), 0)
        expected += channels * width * 4 + width  # up-convolution 2x2
        expected += prod((width + skip, width, 9)) + prod((width, width, 9)) + 4 * width  # two units, normalised
        channels = width
    assert spec.facts is not None
    assert spec.facts.params == expected + 2 * channels + 2


@pytest.mark.parametrize("size", [(1, 1), (31, 64), (65, 40)])
def test_other_sizes_are_padded_at_the_end_and_cropped(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = catalogue.create("unet_resnet18", in_channels=3, num_classes=2).eval()
    x = torch.randn(1, 3, *size)
    with torch.no_grad():
        found = network(x)
        whole = network(pad_to_multiple(x, 32))
    assert found.shape == (1, 2, *size)
    assert torch.equal(found, whole[..., : size[0], : size[1]])


@pytest.mark.parametrize(("skip", "is_seen"), [("concatenate", True), ("sum", True), ("none", False)])
def test_the_expanding_path_sees_the_trunks_maps(skip: str, *, is_seen: bool) -> None:
    """With nothing from below, each level still has something to look at, unless there are no skips."""
    network = catalogue.spec("unet_resnet18", backbone="resnet20_cifar").replace(skip=skip).build(3, 2).eval()
    for level in (2, 1):
        for parameter in network.get_submodule(f"up{level}").parameters():
            nn.init.zeros_(parameter)
    seen = dict[str, bool]()

    def look(name: str, given: torch.Tensor) -> None:
        seen[name] = bool(given.any())

    for name in ("dec2", "dec1"):
        network.get_submodule(name).register_forward_pre_hook(lambda _, given, name=name: look(name, given[0]))
    with torch.no_grad():
        network(torch.randn(1, 3, 16, 16))
    assert seen == {"dec2": is_seen, "dec1": is_seen}


@pytest.mark.parametrize("upsampling", ["transposed2", "transposed3", "nearest", "pixel_shuffle", "bilinear"])
def test_every_up_sampling_builds(upsampling: str) -> None:
    spec = catalogue.spec("unet_resnet18", backbone="resnet20_cifar").replace(upsampling=upsampling)
    assert spec.build(3, 2).eval()(torch.randn(1, 3, 17, 22)).shape == (1, 2, 17, 22)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"widths": ()}, "unet_resnet34: widths=(). Expected positive numbers. Correct them."),
        (
            {"widths": (16, 32)},
            "unet_resnet34: widths=(16, 32) with backbone=resnet34. Expected at least 5 widths: the backbone halves "
            "the picture so often. Add widths, coarsest last.",
        ),
        (
            {"skip": "sum", "upsampling": "bilinear"},
            "unet_resnet34: skip=sum with upsampling=bilinear. Expected an up-sampling with weights, which makes as "
            "many maps as are added. Set upsampling=transposed2 or skip=concatenate.",
        ),
    ],
)
def test_impossible_columns_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec("unet_resnet34").replace(**columns).build(3, 2)
    assert str(caught.value) == message


def test_too_small_pictures_are_refused_where_the_trunk_is_unpadded() -> None:
    with torch.device("meta"):
        network = catalogue.create("unet_resnet34", backbone="inception_v3", in_channels=3, num_classes=2)
    with pytest.raises(SpecError) as caught:
        network.check_size(74, 300)
    assert str(caught.value) == (
        "unet_resnet34 cannot take images of 74 x 300 pixels. Expected at least 75 x 75. "
        "Enlarge the images, or choose a backbone of padded layers."
    )
