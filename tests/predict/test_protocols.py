"""The text of test protocols: there and back, and what is refused."""

import pytest

from pixelwise.errors import UsageError
from pixelwise.predict.protocols import CENTRE, Protocol, Share, Views

TEXTS = {
    "centre": Protocol(),
    "flip": Protocol(flip=True),
    "logits": Protocol(average="logits"),
    "10-crop": Protocol(views=(Views("corners", (Share(256, 224),)),), flip=True),
    "corners": Protocol(views=(Views("corners", (Share(256, 224),)),)),
    "outer+flip": Protocol(views=(Views("outer", (Share(256, 224),)),), flip=True),
    "144-crop": Protocol(
        views=(Views("squares", (Share(256, 224), Share(288, 224), Share(320, 224), Share(352, 224))),), flip=True
    ),
    "150-crop": Protocol(views=(Views("grid", (Share(256, 224), Share(384, 224), Share(512, 224))),), flip=True),
    "dense": Protocol(views=(Views("dense", (Share(256, 224),)),)),
    "dense:256,384,512": Protocol(views=(Views("dense", (256, 384, 512)),)),
    "dense:256,384+flip": Protocol(views=(Views("dense", (256, 384)),), flip=True),
    "multi-scale": Protocol(
        views=(Views("dense", tuple(Share(size, 224) for size in (224, 256, 384, 480, 640))),),
    ),
    "corners:32,8/7+flip": Protocol(views=(Views("corners", (32, Share(8, 7))),), flip=True),
    "10-crop+logits": Protocol(views=(Views("corners", (Share(256, 224),)),), flip=True, average="logits"),
    "grid+dense:256,384,512+flip": Protocol(
        views=(Views("grid", (Share(256, 224), Share(384, 224), Share(512, 224))), Views("dense", (256, 384, 512))),
        flip=True,
    ),
    "centre+dense": Protocol(views=(Views(), Views("dense", (Share(256, 224),)))),
}


@pytest.mark.parametrize("text", TEXTS)
def test_there_and_back(text):
    protocol = Protocol.parse(text)
    assert protocol == TEXTS[text]
    assert protocol.to_text() == str(protocol) == text


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (" 10-crop ", "10-crop"),
        ("corners+flip", "10-crop"),
        ("flip+corners", "10-crop"),
        ("10-crop+flip", "10-crop"),
        ("squares + flip", "144-crop"),
        ("centre+flip", "flip"),
        ("multi-scale:224,256", "dense:224,256"),
        ("150-crop+dense:256,384,512", "grid+dense:256,384,512+flip"),
        ("logits+flip", "flip+logits"),
    ],
)
def test_other_ways_to_say_the_same(text, same):
    assert Protocol.parse(text) == Protocol.parse(same)
    assert Protocol.parse(text).to_text() == same


def test_pixels_and_shares_are_not_the_same_size():
    assert Protocol.parse("dense:1") != Protocol.parse("dense:1/1")
    assert Protocol.parse("centre") == CENTRE


SIZES = "1 to 8192 pixels, or a share of the network's input up to 32/1, such as 256/224"
KNOWN = "centre, corners, dense, flip, grid, logits, multi-scale, outer, squares"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "10-crops",
            "protocol '10-crops'. Expected parts with + between them, such as 10-crop or "
            "dense:256,384+flip. Did you mean 10-crop or 150-crop or 144-crop?",
        ),
        (
            "",
            "protocol ''. Expected parts with + between them, such as 10-crop or dense:256,384+flip. Known are: "
            "10-crop, 144-crop, 150-crop, " + KNOWN + ".",
        ),
        (
            "flip:3",
            "protocol 'flip:3': flip has sizes. Expected flip alone. Give the sizes to views, as dense:256.",
        ),
        (
            "10-crop:256,320",
            "protocol '10-crop:256,320': 10-crop has sizes. Expected 10-crop alone, which is corners+flip. For other "
            "sizes: corners:256,320+flip.",
        ),
        (
            "centre:3",
            "centre:3 has sizes. Expected none: its size is that of the model's preprocessing. Choose corners or dense "
            "to have sizes.",
        ),
        (
            "dense:256,x",
            f"protocol 'dense:256,x': dense has the size 'x'. Expected {SIZES}. For example dense:256,384.",
        ),
        (
            "flip+dense:-5",
            f"protocol 'flip+dense:-5': dense has the size '-5'. Expected {SIZES}. For example dense:256,384.",
        ),
        (
            "dense:100000000",
            f"protocol 'dense:100000000': dense has the size '100000000'. Expected {SIZES}. For example dense:256,384.",
        ),
        (
            "grid:",
            f"protocol 'grid:': no sizes behind grid:. Expected grid alone, or {SIZES}. For example dense:256,384.",
        ),
        (
            "10-crop:",
            "protocol '10-crop:': 10-crop has sizes. Expected 10-crop alone, which is corners+flip. For other sizes: "
            "corners:256+flip.",
        ),
        (
            "flip+crops",
            "protocol 'flip+crops': unknown part 'crops'. Expected parts with + between them, such as 10-crop or "
            "dense:256,384+flip. Did you mean 10-crop or 150-crop or 144-crop?",
        ),
        (
            "dense:256,256",
            "dense:256,256. Expected one or more different sizes. Correct the sizes.",
        ),
        (
            "dense:0",
            f"dense:0 has the size 0. Expected {SIZES}. For example dense:256,384.",
        ),
        (
            "corners+corners",
            "protocol 'corners+corners'. Expected one or more different kinds of views. Name each one once.",
        ),
    ],
)
def test_what_is_wrong_is_said(text, message):
    with pytest.raises(UsageError) as caught:
        Protocol.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "dense:",
        "dense:,",
        "dense:8193",
        "dense:1/0",
        "dense:0/5",
        "dense:33/1",
        "dense:1/2/3",
        "dense:-4",
        "dense:4.5",
        "dense:²",
        "dense:" + "9" * 5000,
        "center",
        "+",
        "10-crop+",
        "dense+dense",
    ],
)
def test_more_that_is_no_protocol(text):
    with pytest.raises(UsageError):
        Protocol.parse(text)


def test_data_that_no_text_gives_is_refused_as_well():
    with pytest.raises(UsageError, match=r"views 'corner'\. Expected a kind of views\. Did you mean corners"):
        Views("corner", (256,))
    with pytest.raises(UsageError, match="different sizes"):
        Views("corners")
    with pytest.raises(UsageError, match="different kinds of views"):
        Protocol(views=())


@pytest.mark.parametrize("given", [None, 10, b"10-crop"])
def test_what_is_no_protocol_at_all_is_refused(given):
    with pytest.raises(UsageError) as caught:
        Protocol.of(given)
    assert str(caught.value) == (
        f'protocol={given!r}. Expected a protocol as text, such as "10-crop", or a Protocol. Leave it out, or say '
        '"centre", for each picture as the model\'s own preprocessing makes it.'
    )
    assert Protocol.of("flip") == Protocol.of(Protocol(flip=True)) == Protocol(flip=True)


@pytest.mark.parametrize("task", ["localisation", "sequence"])
def test_mirror_images_of_what_has_places_in_a_row_or_a_box_are_refused(task):
    Protocol.parse("logits").check_task(task)
    with pytest.raises(UsageError, match=rf"^protocol flip for {task}\. Expected centre\. Leave flip out: "):
        Protocol.parse("flip").check_task(task)


def test_crops_of_a_segmentation_are_refused():
    for text in ("centre", "flip", "flip+logits"):
        Protocol.parse(text).check_task("segmentation")
    Protocol.parse("144-crop+dense").check_task("classification")
    with pytest.raises(UsageError) as caught:
        Protocol.parse("centre+10-crop").check_task("segmentation")
    assert str(caught.value) == (
        "protocol centre+corners+flip for segmentation. Expected centre or flip. Leave corners out: such views answer "
        "for a picture, not for each of its pixels."
    )
