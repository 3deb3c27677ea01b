"""What is known of the rows of the pre-activation paper's tables (He et al. 2016, arXiv:1603.05027)."""

from typing import Final

from pixelwise.specs import Facts, Paper, Published

PAPER = Paper(
    title="Identity mappings in deep residual networks",
    authors="K. He, X. Zhang, S. Ren, J. Sun",
    year=2016,
    venue="ECCV 2016",
    link="arXiv:1603.05027",
)

_SINGLE_CROP = "single crop of 320 x 320"


def _errors(top1: float, top5: float, protocol: str, source: str = "paper") -> tuple[Published, Published]:
    dataset = "ILSVRC-2012 val"
    return (
        Published(dataset=dataset, metric="top-1 error %", value=top1, protocol=protocol, source=source),
        Published(dataset=dataset, metric="top-5 error %", value=top5, protocol=protocol, source=source),
    )


def _imagenet(params: int, macs: int, table: str, published: tuple[Published, ...] = ()) -> Facts:
    return Facts(
        paper=PAPER,
        table=table,
        input_size=(3, 224, 224),
        num_classes=1000,
        params=params,
        macs=macs,
        published=published,
    )


def _cifar_error(
    classes: int, value: float, protocol: str = "flips and translations, median of 5 runs", source: str = "paper"
) -> Published:
    return Published(dataset=f"CIFAR-{classes} test", metric="error %", value=value, protocol=protocol, source=source)


def _cifar(params: int, macs: int, published: tuple[Published, ...], paper_params: str = "") -> Facts:
    return Facts(
        paper=PAPER,
        table="table 3",
        input_size=(3, 32, 32),
        num_classes=10,
        params=params,
        macs=macs,
        paper_params=paper_params,
        published=published,
    )


_FB = "variant: fb.resnet.torch's form with fewer layers than the paper's"
_TIMM = "variant: timm's form, with the pooling before the first normalisation"

FACTS: Final[dict[str, Facts]] = {
    "preresnet50": _imagenet(25_549_352, 4_089_184_256, _FB),
    "preresnet101": _imagenet(44_541_480, 7_801_405_440, _FB),
    "preresnet152": _imagenet(60_185_128, 11_513_626_624, "table 5", _errors(21.1, 5.5, _SINGLE_CROP)),
    "preresnet200": _imagenet(
        64_666_152,
        15_007_481_856,
        "table 5",
        (
            *_errors(20.7, 5.3, _SINGLE_CROP),
            *_errors(20.1, 4.8, f"{_SINGLE_CROP}, trained with scale and aspect augmentation"),
            *_errors(21.66, 5.79, "single crop of 224 x 224", "fb.resnet.torch"),
        ),
    ),
    "resnetv2_18": _imagenet(11_687_720, 1_814_073_344, _TIMM),
    "resnetv2_34": _imagenet(21_795_880, 3_663_761_408, _TIMM),
    "resnetv2_50": _imagenet(25_549_352, 4_089_184_256, _TIMM),
    "resnetv2_101": _imagenet(44_541_480, 7_801_405_440, _TIMM),
    "resnetv2_152": _imagenet(60_185_128, 11_513_626_624, _TIMM),
    "preresnet110_cifar": _cifar(1_727_962, 252_887_680, (_cifar_error(10, 6.37),)),
    "preresnet164_cifar": _cifar(1_703_258, 244_500_992, (_cifar_error(10, 5.46), _cifar_error(100, 24.33))),
    "preresnet1001_cifar": _cifar(
        10_327_706,
        1_487_849_984,
        (
            _cifar_error(10, 4.92),
            _cifar_error(10, 4.62, "flips and translations, batches of 64", "KaimingHe/resnet-1k-layers readme"),
            _cifar_error(100, 22.71),
        ),
        "10.2M",
    ),
}
