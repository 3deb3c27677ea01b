"""What is known of the rows of U-Net's paper (Ronneberger et al. 2015, arXiv:1505.04597) and of its variants."""

from typing import Final

from pixelwise.specs import Facts, Paper, Published

PAPER = Paper(
    title="U-Net: Convolutional networks for biomedical image segmentation",
    authors="O. Ronneberger, P. Fischer, T. Brox",
    year=2015,
    venue="MICCAI 2015",
    link="arXiv:1505.04597",
)


def _published(dataset: str, metric: str, value: float) -> Published:
    return Published(dataset=dataset, metric=metric, value=value, protocol="the paper's own", source="paper")


_RESULTS = (
    _published("ISBI 2012 EM", "warping error", 0.000353),
    _published("ISBI 2012 EM", "Rand error", 0.0382),
    _published("ISBI 2012 EM", "pixel error", 0.0611),
    _published("ISBI 2015 PhC-U373", "IoU", 0.9203),
    _published("ISBI 2015 DIC-HeLa", "IoU", 0.7756),
)


def _facts(table: str, size: tuple[int, int, int], classes: int, params: int, macs: int) -> Facts:
    published = _RESULTS if size == (1, 572, 572) else ()
    return Facts(
        paper=PAPER,
        table=table,
        input_size=size,
        num_classes=classes,
        params=params,
        macs=macs,
        published=published,
    )


_KERAS = "variant: a widely used Keras notebook"

FACTS: Final[dict[str, Facts]] = {
    "unet": _facts("figure 1", (1, 572, 572), 2, 31_030_658, 150_428_424_448),
    "unet_phseg_v5": _facts("the released Caffe model", (1, 572, 572), 2, 31_100_354, 157_294_254_336),
    "unet_keras16": _facts(_KERAS, (3, 128, 128), 2, 2_161_666, 800_325_632),
    "unet_keras32": _facts(_KERAS, (3, 128, 128), 1, 8_636_385, 3_185_573_888),
    "unet_keras16_nobn": _facts(_KERAS, (3, 128, 128), 2, 2_158_722, 800_325_632),
    "unet_zhixuhao": _facts("variant: github.com/zhixuhao/unet", (1, 256, 256), 1, 31_031_685, 54_605_774_848),
    "unet_milesial": _facts("variant: github.com/milesial/Pytorch-UNet", (3, 512, 512), 2, 31_037_698, 192_686_325_760),
    "unet_milesial_bilinear": _facts(
        "variant: github.com/milesial/Pytorch-UNet", (3, 512, 512), 2, 17_263_042, 159_937_200_128
    ),
    "unet16": _facts("variant: for small data", (3, 128, 128), 2, 1_942_594, 758_382_592),
}
