"""Mean absolute weights between the layers of a DenseNet, against weights that are written in by hand."""

import numpy as np
import pytest
import torch

from pixelwise import catalogue
from pixelwise.analysis.feature_reuse import feature_reuse
from pixelwise.errors import SpecError

INPUT, GROWTH = 5, 3


def network(*, bottleneck: bool) -> torch.nn.Module:
    spec = catalogue.spec("densenet40_k12_cifar").replace(
        depths=(3, 2), growth_rate=GROWTH, stem_width=INPUT, bottleneck=bottleneck
    )
    return spec.build(1, 4)


@pytest.mark.parametrize("bottleneck", [False, True])
def test_every_cell_is_the_mean_of_the_weights_between_two_layers(bottleneck: bool) -> None:
    """The weight from source s to reader r is +-(10 r + s), its sign by turns: means of |w| are known."""
    built = network(bottleneck=bottleneck)
    part = "bottleneck" if bottleneck else "composite"
    rows = {"block1": ("layer1", "layer2", "layer3", "trans1"), "block2": ("layer1", "layer2", "fc")}
    widths = {"block1": INPUT, "block2": INPUT + 3 * GROWTH}
    for block, readers in rows.items():
        for number, reader in enumerate(readers):
            name = f"{block}.{reader}.{part}.conv" if reader.startswith("layer") else reader
            layer = built.get_submodule(f"{name}.composite.conv" if reader == "trans1" else name)
            source = torch.repeat_interleave(
                torch.arange(number + 1.0), torch.tensor([widths[block]] + [GROWTH] * number)
            )
            value = (10 * number + source).view(1, -1, *[1] * (layer.weight.ndim - 2)).expand_as(layer.weight)
            signs = torch.ones(layer.weight.numel())
            signs[::2] = -1
            with torch.no_grad():
                layer.weight.copy_(value * signs.view_as(layer.weight))
    found = feature_reuse(built)
    assert [block.name for block in found] == ["block1", "block2"]
    for block in found:
        assert block.readers == rows[block.name]
        assert block.sources == ("input", *(f"layer{at}" for at in range(1, len(block.readers))))
        expected = [
            [10 * reader + source if source <= reader else np.nan for reader in range(len(block.readers))]
            for source in range(len(block.sources))
        ]
        np.testing.assert_allclose(block.weights, expected, rtol=1e-6)


def test_a_fresh_network_reads_all_alike_and_what_is_cut_off_is_seen() -> None:
    torch.manual_seed(0)
    built = catalogue.spec("densenet_bc100_k12_cifar").replace(depths=(4, 4)).build(3, 10)
    first = feature_reuse(built)[0]
    layers = first.weights[:, :4]
    assert np.nanmax(layers) < 1.25 * np.nanmin(layers)
    with torch.no_grad():
        built.get_submodule("block1.layer4.bottleneck.conv").weight[:, 24:36] = 0  # what layer1 added to the 24 maps
    assert feature_reuse(built)[0].weights[1, 3] == 0
    assert np.array_equal(np.isnan(first.weights), np.tril(np.ones((5, 5), bool), -1))


def test_other_families_are_refused() -> None:
    with pytest.raises(SpecError) as caught:
        feature_reuse(catalogue.create("resnet20_cifar", in_channels=3, num_classes=2))
    assert str(caught.value) == (
        "feature_reuse: resnet20_cifar, a network of family resnet. Expected a network of family densenet, whose "
        "layers read all layers before them. Choose one, such as densenet_bc100_k12_cifar."
    )
