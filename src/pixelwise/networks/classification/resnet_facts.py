"""What is known of the rows of the residual networks' paper (He et al. 2015, arXiv:1512.03385)."""

from typing import Final

from pixelwise.specs import Facts, Paper, Published

PAPER = Paper(
    title="Deep residual learning for image recognition",
    authors="K. He, X. Zhang, S. Ren, J. Sun",
    year=2015,
    venue="CVPR 2016",
    link="arXiv:1512.03385",
)

_TORCH = ("1 crop", "fb.resnet.torch")
_TORCH_50 = "1 crop, trained with batch normalisation after the addition"
_AUTHORS = ("1 crop", "KaimingHe/deep-residual-networks")


def _imagenet(metric: str, value: float, protocol: str, source: str = "paper") -> Published:
    return Published(dataset="ILSVRC-2012 val", metric=metric, value=value, protocol=protocol, source=source)


def _errors(top1: float, top5: float, protocol: str = "10-crop", source: str = "paper") -> tuple[Published, ...]:
    return (
        _imagenet("top-1 error %", top1, protocol, source),
        _imagenet("top-5 error %", top5, protocol, source),
    )


def _dense(top1: float, top5: float) -> tuple[Published, ...]:
    """Table 4: the network slid over pictures with short sides of 224, 256, 384, 480 and 640 pixels."""
    return _errors(top1, top5, "multi-scale")


def _torchvision(top1: float, top5: float, version: int = 1) -> tuple[Published, ...]:
    where = (f"weights IMAGENET1K_V{version}, centre crop", "torchvision 0.28.0")
    return _imagenet("top-1 accuracy %", top1, *where), _imagenet("top-5 accuracy %", top5, *where)


def _facts(params: int, macs: int, table: str, published: tuple[Published, ...]) -> Facts:
    return Facts(
        paper=PAPER,
        table=table,
        input_size=(3, 224, 224),
        num_classes=1000,
        params=params,
        macs=macs,
        published=published,
    )


def _error(value: float, protocol: str = "flips and crops of 4 padded pixels") -> Published:
    return Published(dataset="CIFAR-10 test", metric="error %", value=value, protocol=protocol, source="paper")


def _cifar(params: int, macs: int, paper_params: str, *published: Published) -> Facts:
    return Facts(
        paper=PAPER,
        table="section 4.2, table 6" if published else "section 4.2, figure 6",
        input_size=(3, 32, 32),
        num_classes=10,
        params=params,
        macs=macs,
        paper_params=paper_params,
        published=published,
    )


_V1_5 = "variant: torchvision's form (v1.5), with the stride in the 3x3 convolution"
_ENSEMBLE = Published(
    dataset="ILSVRC-2015 test",
    metric="top-5 error %",
    value=3.57,
    protocol="6 networks of several depths, two of them with 152 layers",
    source="paper",
)

FACTS: Final[dict[str, Facts]] = {
    "resnet18": _facts(
        11_689_512,
        1_814_073_344,
        "table 1 (FLOPs: 1.8e9)",
        (
            _imagenet("top-1 error %", 27.88, "10-crop"),
            *_errors(30.43, 10.76, *_TORCH),
            *_torchvision(69.758, 89.078),
        ),
    ),
    "resnet34": _facts(
        21_797_672,
        3_663_761_408,
        "table 1 (FLOPs: 3.6e9)",
        (
            *_errors(24.52, 7.46),
            *_dense(21.84, 5.71),
            *_errors(26.73, 8.74, *_TORCH),
            *_torchvision(73.314, 91.42),
        ),
    ),
    "resnet50_v1": _facts(
        25_557_032,
        3_857_973_248,
        "table 1 (FLOPs: 3.8e9)",
        (*_errors(22.85, 6.71), *_dense(20.74, 5.25), *_errors(24.7, 7.8, *_AUTHORS)),
    ),
    "resnet101_v1": _facts(
        44_549_160,
        7_570_194_432,
        "table 1 (FLOPs: 7.6e9)",
        (*_errors(21.75, 6.05), *_dense(19.87, 4.6), *_errors(23.6, 7.1, *_AUTHORS)),
    ),
    "resnet152_v1": _facts(
        60_192_808,
        11_282_415_616,
        "table 1 (FLOPs: 11.3e9)",
        (*_errors(21.43, 5.71), *_dense(19.38, 4.49), *_errors(23.0, 6.7, *_AUTHORS), _ENSEMBLE),
    ),
    "resnet50": _facts(
        25_557_032,
        4_089_184_256,
        _V1_5,
        (*_torchvision(76.13, 92.862), *_torchvision(80.858, 95.434, 2), *_errors(24.01, 7.02, _TORCH_50, _TORCH[1])),
    ),
    "resnet101": _facts(
        44_549_160,
        7_801_405_440,
        _V1_5,
        (*_torchvision(77.374, 93.546), *_torchvision(81.886, 95.78, 2), *_errors(22.44, 6.21, *_TORCH)),
    ),
    "resnet152": _facts(
        60_192_808,
        11_513_626_624,
        _V1_5,
        (*_torchvision(78.312, 94.046), *_torchvision(82.284, 96.002, 2), *_errors(22.16, 6.16, *_TORCH)),
    ),
    "plain18": _facts(11_515_688, 1_794_805_760, "table 2, plain", (_imagenet("top-1 error %", 27.94, "10-crop"),)),
    "plain34": _facts(21_623_848, 3_644_493_824, "table 3, plain-34", _errors(28.54, 10.02)),
    "resnet34_a": _facts(21_623_848, 3_644_493_824, "table 3, ResNet-34 A", _errors(25.03, 7.76)),
    "resnet34_c": _facts(22_716_840, 3_830_747_136, "table 3, ResNet-34 C", _errors(24.19, 7.4)),
    "resnet20_cifar": _cifar(269_722, 40_551_040, "0.27M", _error(8.75)),
    "resnet32_cifar": _cifar(464_154, 68_862_592, "0.46M", _error(7.51)),
    "resnet44_cifar": _cifar(658_586, 97_174_144, "0.66M", _error(7.17)),
    "resnet56_cifar": _cifar(853_018, 125_485_696, "0.85M", _error(6.97)),
    "resnet110_cifar": _cifar(
        1_727_962,
        252_887_680,
        "1.7M",
        _error(6.43, "flips and crops of 4 padded pixels, best of 5 runs"),
        _error(6.61, "flips and crops of 4 padded pixels, mean of 5 runs (deviation 0.16)"),
    ),
    "resnet1202_cifar": _cifar(19_421_274, 2_829_238_912, "19.4M", _error(7.93)),
    "plain20_cifar": _cifar(269_722, 40_551_040, "0.27M"),
    "plain32_cifar": _cifar(464_154, 68_862_592, "0.46M"),
    "plain44_cifar": _cifar(658_586, 97_174_144, "0.66M"),
    "plain56_cifar": _cifar(853_018, 125_485_696, "0.85M"),
}
