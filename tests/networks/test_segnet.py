"""SegNet: counted once more from VGG-16, unpooled by hand, for every size; its encoder is a classifier's."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise import catalogue
from pixelwise.errors import SpecError
from pixelwise.specs import Network
from pixelwise.weights import load_tensors

VGG16 = (*(64, 64), *(128, 128), *(256, 256, 256), *(512, 512, 512), *(512, 512, 512))


def small(**columns: object) -> Network:
    torch.manual_seed(0)
    columns = {"widths": (4, 6), "depths": (1, 2)} | columns
    return catalogue.spec("segnet").replace(**columns).build(2, 3).eval()


def test_parameters_from_the_thirteen_convolutions() -> None:
    """Each with its bias, gain and shift, then the same backwards; the last one goes to the classes and has a bias."""
    there = list(zip((3, *VGG16[:-1]), VGG16, strict=True))
    back = [(after, before) for before, after in reversed(there)]
    count = sum(9 * before * after + 3 * after for before, after in [*there, *back[:-1]]) + 9 * 64 * 11 + 11
    facts = catalogue.spec("segnet").facts
    assert facts is not None
    assert facts.params == count == 29_449_355
    levels = [*(0,) * 2, *(1,) * 2, *(2,) * 3, *(3,) * 3, *(4,) * 3]
    pixels = [384 * 480 >> 2 * level for level in levels]
    macs = sum(9 * before * after * area for (before, after), area in zip(there, pixels, strict=True))
    macs += sum(9 * before * after * area for (before, after), area in zip(back[:-1], pixels[:0:-1], strict=True))
    assert facts.macs == macs + 9 * 64 * 11 * pixels[0]


def test_parameters_of_the_basic_form() -> None:
    facts = catalogue.spec("segnet_basic").facts
    assert facts is not None
    assert facts.params == 49 * 64 * (3 + 7 * 64) + 8 * 2 * 64 + 64 * 11 + 11


def unpooled(x: Tensor, fine: Tensor) -> Tensor:
    """Each value where the largest of its 2x2 finer ones stands, zeros elsewhere."""
    y = torch.zeros(*x.shape[:2], *fine.shape[2:])
    for one, channel, i, j in np.ndindex(*x.shape):
        window = fine[one, channel, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        r, c = divmod(int(window.argmax()), 2)
        y[one, channel, 2 * i + r, 2 * j + c] = x[one, channel, i, j]
    return y


def test_the_decoder_puts_values_where_the_maxima_were() -> None:
    network, x = small(), torch.randn(2, 2, 8, 12)
    rows = dict(network.named_children())
    with torch.no_grad():
        first = rows["block1"](x)
        second = rows["block2"](F.max_pool2d(first, 2))
        y = rows["dec2"](unpooled(F.max_pool2d(second, 2), second))
        expected = rows["out"](rows["dec1"](unpooled(y, first)))
        torch.testing.assert_close(network(x), expected)
        assert [torch.equal(*pair) for pair in zip(network.features(x), (first, second), strict=True)] == [True, True]
    assert [len(rows[name]) for name in ("block1", "block2", "dec2", "dec1")] == [1, 2, 2, 0]  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (4, 8), (7, 9)])
@pytest.mark.parametrize("classifier", ["last_convolution", "1x1"])
def test_every_size_is_padded_and_cropped_back(size: tuple[int, int], classifier: str) -> None:
    network, x = small(classifier=classifier), torch.randn(1, 2, *size)
    with torch.no_grad():
        whole = network(F.pad(x, (0, -size[1] % 4, 0, -size[0] % 4)))
        assert torch.equal(network(x), whole[..., : size[0], : size[1]])


def test_the_encoder_is_vggs() -> None:
    spec = catalogue.spec("segnet")
    (vgg,) = spec.precursors
    with torch.device("meta"):
        own, theirs = spec.build(3, 11), vgg.build(3, 1000)
    names = {name for name in own.state_dict() if name.startswith("block")}
    assert names == {name for name in theirs.state_dict() if name.startswith("block")}
    assert all(own.state_dict()[name].shape == theirs.state_dict()[name].shape for name in names)
    assert catalogue.spec("segnet_basic").precursors == ()


@pytest.mark.slow
def test_the_encoder_can_start_from_vggs_weights() -> None:
    vgg = catalogue.create("vgg16_bn", in_channels=3, num_classes=2).state_dict()
    network = catalogue.create("segnet", in_channels=3, num_classes=4)
    (note,) = load_tensors(network, vgg, "file")
    assert note.startswith("Taken from weights of vgg16_bn, its backbone, without fc6, fc7, fc8; fresh: dec5, dec4,")
    own = network.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in vgg.items() if name.startswith("block"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"widths": (4,)},
            "segnet: widths=(4,), depths=(2, 2, 3, 3, 3). Expected one of each a level, at least one level, all "
            "positive. Correct the fields.",
        ),
        ({"kernel": 4}, "segnet: kernel=4. Expected an odd number of pixels. Correct the fields."),
    ],
)
def test_impossible_columns_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec("segnet").replace(**columns)
    assert str(caught.value) == message
